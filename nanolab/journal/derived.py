"""What is written into a run folder beside the journal: results, pictures, and what is found later.

Nobody appends to a dead run. Each of these is a file of its own that appears whole or not at all.
"""

import json
import time
from pathlib import Path
from typing import Any

from nanolab.errors import JournalError
from nanolab.journal.files import write_whole
from nanolab.journal.folder import DOCUMENTS, README, WRITER
from nanolab.journal.reader import open_run

INTERRUPTED = "interrupted.json"
_OWN = {name.casefold() for name in (DOCUMENTS, README, WRITER)}


def write_derived(run_path: Path | str, name: str, content: bytes | str) -> Path:
    """Write a derived file (result.json, figure.svg) into a run folder, whole or not at all; return its path.

    Text is written as UTF-8. ValueError where `name` is no plain file name or one of the journal's own;
    FileInvalidError where the folder is no run; JournalError where it cannot be written.
    """
    if not name or Path(name).name != name or name.startswith("."):
        raise ValueError(f"'{name}' is no plain file name")
    if name.casefold() in _OWN or name.casefold().endswith(".raw"):
        raise ValueError(f"'{name}' belongs to the journal: choose another name")
    path = open_run(run_path, salvage=True).path / name
    try:
        write_whole(path, content.encode("utf-8") if isinstance(content, str) else content)
    except OSError as error:
        raise JournalError(f"{path}: it could not be written: {error}; what was there before is kept") from error
    return path


def mark_interrupted(run_path: Path | str, found_by: str, **what: Any) -> Path | None:
    """Write down that a run was found interrupted, by whom and when, in ``interrupted.json``.

    Returns None, and writes nothing, where the run is not interrupted or was marked before. `what` are
    further members (JSON-able).
    """
    run = open_run(run_path, salvage=True)
    if run.status != "interrupted" or (run.path / INTERRUPTED).exists():
        return None
    finding = {
        "uid": run.uid,
        "found_by": found_by,
        "time": time.time(),
        "whole_documents": sum(1 for _ in run.documents()),
        "tail_bytes": run.tail_bytes,
        **what,
    }
    return write_derived(run.path, INTERRUPTED, json.dumps(finding, indent=1, allow_nan=False) + "\n")
