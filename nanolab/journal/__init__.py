"""Crash-safe run folders: write, read, follow, export.

A run folder opens with a text editor and ``numpy.fromfile``; its own README.txt says how. ``RunWriter`` is
the RunEngine's first subscriber, ``open_run`` reads whatever is left of a run, however it ended.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nanolab.errors import JournalError
from nanolab.journal.catalog import RunInfo, find_run, find_runs
from nanolab.journal.derived import mark_interrupted, write_derived
from nanolab.journal.export import export_csv, export_npz
from nanolab.journal.follow import Follower
from nanolab.journal.reader import Run, open_run
from nanolab.journal.records import DamagedRunError
from nanolab.journal.writer import RunWriter

__all__ = [
    "DamagedRunError",
    "Follower",
    "JournalError",
    "Run",
    "RunInfo",
    "RunWriter",
    "export_csv",
    "export_npz",
    "find_run",
    "find_runs",
    "mark_interrupted",
    "open_run",
    "replay",
    "write_derived",
]


def replay(path: Path | str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the documents of a run as emitted, event-model valid, arrays filled in; raises as `open_run`."""
    return open_run(path).documents()
