"""Notes that a person adds to a run, while it goes on or later: ``notes.jsonl``, one line a note.

A file of its own: the journal's records stay what the run wrote.
"""

import errno
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from nanolab.errors import JournalError, UsageError
from nanolab.journal.reader import open_run

NOTES = "notes.jsonl"
LONGEST_NOTE = 2000

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class Note:
    """One note: wall time in s since 1970, who wrote it (may be empty), its words."""

    time: float
    author: str
    text: str


def add_note(run_path: Path | str, text: str, author: str = "", time_s: float | None = None) -> Note:
    """Append a note to a run, on disk when this returns.

    UsageError where there are no words or too many; FileInvalidError where the folder is no run; JournalError where it
    cannot be written.
    """
    words = " ".join(text.split())
    if not words:
        raise UsageError("the note is empty: write a few words")
    if len(words) > LONGEST_NOTE:
        raise UsageError(f"the note has {len(words)} characters: keep it under {LONGEST_NOTE}")
    note = Note(time.time() if time_s is None else time_s, author.strip(), words)
    path = open_run(run_path, salvage=True).path / NOTES
    try:
        fd = os.open(path, _FLAGS, 0o666)
        try:
            # one write a note: two people at two screens do not mix their lines
            line = json.dumps(asdict(note)).encode("ascii") + b"\n"
            line = line if _ends_whole(fd) else b"\n" + line
            if os.write(fd, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise JournalError(f"{path}: the note could not be written: {error}") from error
    return note


def _ends_whole(fd: int) -> bool:
    """Say whether the file ends with a whole line: a writer may have been killed in the middle of its own."""
    size = os.fstat(fd).st_size
    if size == 0:
        return True
    os.lseek(fd, size - 1, os.SEEK_SET)
    return os.read(fd, 1) == b"\n"


def read_notes(run_path: Path | str) -> list[Note]:
    """Return the notes of a run, oldest first; a line that is no note is left out."""
    try:
        lines = (Path(run_path) / NOTES).read_bytes().splitlines()
    except OSError:
        return []
    notes = []
    for line in lines:
        try:
            found = json.loads(line)
            notes.append(Note(float(found["time"]), str(found["author"]), str(found["text"])))
        except (ValueError, KeyError, TypeError):
            continue
    return sorted(notes, key=lambda note: note.time)
