"""Which runs there are, and which of them the bench screen shows. A bad folder is a sentence, never an exception."""

import os
from dataclasses import dataclass
from pathlib import Path

from nanolab.journal.folder import DOCUMENTS, WRITER

MOST_DAYS = 3
"""Days looked at for the newest run: a day's folder may hold only foreign or hidden ones."""


@dataclass(frozen=True)
class Found:
    """The run that the bench screen shows (None: none), and what to say about the data folder, if anything."""

    path: Path | None
    words: str = ""


def newest_run(root: Path) -> Found:
    """Return the run that is being written, else the newest; quick: only the newest days' folders are listed."""
    problem = look_at_folder(root)
    if problem:
        return Found(None, problem)
    try:
        runs = [folder for day in _newest_first(root)[:MOST_DAYS] for folder in _runs_of(day)]
        runs += _runs_of(root)
    except OSError as error:
        return Found(None, unreadable(root, error))
    if not runs:
        return Found(None, f"There is no run in {root} yet. Start one: nanolab run monitor --data {root}")
    written = [run for run in runs if (run / WRITER).exists()]
    return Found(max(written or runs, key=_begun))


def look_at_folder(root: Path) -> str:
    """Say in a sentence why a data folder cannot be read; empty where it can."""
    try:
        if not root.exists():
            return f"The data folder {root} does not exist yet; it is made by the first run."
        if not root.is_dir():
            return f"{root} is a file: give the folder of the run folders with --data."
        with os.scandir(root) as entries:
            next(entries, None)
    except OSError as error:
        return unreadable(root, error)
    return ""


def unreadable(path: Path, error: OSError) -> str:
    """Say that a folder cannot be read and what to do."""
    return f"{path} cannot be read ({error.strerror or error}): give this user the right to read it."


def _newest_first(root: Path) -> list[Path]:
    days = [entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    return sorted((day for day in days if not (day / DOCUMENTS).exists()), key=lambda day: day.name, reverse=True)


def _runs_of(day: Path) -> list[Path]:
    try:
        return [run for run in day.iterdir() if not run.name.startswith(".") and (run / DOCUMENTS).is_file()]
    except OSError:  # a folder without rights among the others hides only itself
        return []


def _begun(run: Path) -> float:
    """Wall time at which a run's folder got its README, which is never touched again."""
    for name in ("README.txt", DOCUMENTS):
        try:
            return (run / name).stat().st_mtime
        except OSError:
            continue
    return 0.0
