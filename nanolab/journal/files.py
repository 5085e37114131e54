"""Files of a run: append-only with a way back, and small ones that appear whole or not at all."""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Windows has no fdatasync and would translate newlines without O_BINARY
_sync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True)
class Calls:
    """The operating system as the writer sees it; a test hands in one that fails."""

    write: Callable[[int, Any], int] = os.write
    truncate: Callable[[int, int], None] = os.ftruncate
    sync: Callable[[int], None] = _sync


class AppendFile:
    """An unbuffered file of records that only grows, and shrinks only back to its last good end.

    ``records`` counts what was committed; `records` begins the count for a file that has some already.
    """

    def __init__(self, path: Path, calls: Calls, records: int = 0) -> None:
        self.path = path
        self._calls = calls
        self._fd = os.open(path, _FLAGS, 0o666)
        self._reached = os.fstat(self._fd).st_size
        # one pair, set in one step: an interrupt finds end and count in agreement
        self._good = (self._reached, records)

    @property
    def records(self) -> int:
        """Number of records that stand in the file for good."""
        return self._good[1]

    def append(self, data: Any) -> None:
        """Write all of `data` (one byte an element); OSError where the system does not take it."""
        view = memoryview(data)
        while view:
            written = self._calls.write(self._fd, view)
            if written <= 0:
                raise OSError(f"the system took {written} of {len(view)} bytes")
            self._reached += written
            view = view[written:]

    def commit(self) -> None:
        """Declare what has been written since the last commit one good record."""
        self._good = (self._reached, self.records + 1)

    def roll_back(self) -> None:
        """Cut off what was written since the last commit."""
        self._calls.truncate(self._fd, self._good[0])
        self._reached = self._good[0]

    def sync(self) -> None:
        """Return when what was written would survive a power cut."""
        self._calls.sync(self._fd)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system knows how (not on Windows)."""
    if os.name != "posix":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_whole(path: Path, content: bytes) -> None:
    """Write a small file: it is there whole or as it was before, even after a power cut. OSError if not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):  # the first error is the one to tell
            temporary.unlink()
        raise
    sync_folder(path.parent)
