"""New documents of a run, read fast: a page that is opened in the middle of a long run has to read all of it first.

Records are checked as everywhere (number, checksum). What differs is how most lines become documents: an event that
holds nothing but plain JSON needs no decoder of ours.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from nanolab.journal.folder import DOCUMENTS
from nanolab.journal.reader import open_run
from nanolab.journal.replay import Replay

_CRC, _EVENT = b'"crc": "', b'", "name": "event", "doc": '
_DIGITS = 8
"""Of the checksum."""
_ENCODED = b"$"
"""In every value that needs a decoder of ours, and in the few texts that have a dollar sign: those lose a microsecond."""
_AT_ONCE = 8 << 20
"""Bytes read at a time: memory stays small however long the run is."""


class Tail:
    """Documents of one run folder from where the last call ended.

    ``offset`` is the byte up to which whole lines were read. FileInvalidError where the folder is no run. Close it: it
    keeps raw files open.
    """

    def __init__(self, path: Path) -> None:
        self.path = open_run(path, salvage=True).path
        self.offset = 0
        self._file = self.path / DOCUMENTS
        self._replay = Replay(self.path)
        self._seen: tuple[int, int] | None = None

    def close(self) -> None:
        """Close the raw files."""
        self._replay.close()

    def read(self) -> Iterator[tuple[str, Any]]:
        """Yield name and document of each new record, arrays filled in.

        DamagedRunError (a JournalError) where a record is not what was written, after all before it; OSError.
        """
        status = self._file.stat()
        state = (status.st_size, status.st_mtime_ns)
        if state == self._seen:
            return
        size = _AT_ONCE
        with self._file.open("rb", buffering=0) as stream:
            while self.offset < status.st_size:
                stream.seek(self.offset)
                left = status.st_size - self.offset
                lines = stream.read(min(size, left)).split(b"\n")[:-1]
                if lines:
                    yield from self._documents(lines)
                elif size < left:
                    size *= 2  # one line longer than what was read
                else:
                    break  # an unfinished last line: read again once the file has changed
        self._seen = state

    def _documents(self, lines: list[bytes]) -> Iterator[tuple[str, Any]]:
        replay, crc32, loads = self._replay, zlib.crc32, orjson.loads
        for line in lines:
            first = b'{"n": %d, ' % (replay.n + 1)
            digits = len(first) + len(_CRC)
            rest = digits + _DIGITS
            if (
                line.startswith(first)
                and line.startswith(_CRC, len(first))
                and line.startswith(_EVENT, rest)
                and _ENCODED not in line
                # of the whole record but the checksum itself: its quotation mark, comma and blank go with it
                and b"%08x" % crc32(line[rest + 3 :], crc32(first)) == line[digits:rest]
            ):
                name, doc = "event", loads(line[rest + len(_EVENT) : -1])
                replay.n += 1
            else:  # everything else, and what is bad: there the journal's own reader says what and where
                record = replay.read(line, arrays=True)
                name, doc = record.name, record.doc
            self.offset += len(line) + 1
            yield name, doc
