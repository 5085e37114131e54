"""Following a run while it grows, at the price of what is new."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nanolab.journal.folder import DOCUMENTS
from nanolab.journal.reader import open_run
from nanolab.journal.records import DamagedRunError
from nanolab.journal.replay import Replay


class Follower:
    """Reads a run's documents as they are stored; each call of `poll` goes on where the last one ended.

    Use it as a context, or close it: it keeps raw files open.

    Attributes
    ----------
    offset : int
        Byte of docs.jsonl up to which whole lines have been read.
    bytes_read : int
        What was read so far, of documents and arrays together.
    finished : bool
        True once the stop document was seen: nothing more will come.

    Raises
    ------
    FileInvalidError
        There is no such folder, or it is not a run.
    """

    def __init__(self, path: Path | str, *, arrays: bool = True) -> None:
        self.path = open_run(path, salvage=True).path
        self.offset = 0
        self.finished = False
        self._arrays = arrays
        self._file = self.path / DOCUMENTS
        self._replay = Replay(self.path)
        self._seen: tuple[int, int] | None = None
        self._document_bytes = 0

    @property
    def bytes_read(self) -> int:
        """Bytes read so far, of documents and arrays together."""
        return self._document_bytes + self._replay.array_bytes

    def poll(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the documents stored since the last call, as emitted (``arrays=False``: references stay).

        Reads only what is new; an unfinished last line is read again once the file has changed.
        DamagedRunError (a JournalError) names a line that is bad.
        """
        status = self._file.stat()
        state = (status.st_size, status.st_mtime_ns)
        if state == self._seen:
            return []
        with self._file.open("rb", buffering=0) as stream:
            stream.seek(self.offset)
            new = stream.read(max(0, status.st_size - self.offset))
        self._document_bytes += len(new)
        found: list[tuple[str, dict[str, Any]]] = []
        for line in new.split(b"\n")[:-1]:
            try:
                record = self._replay.read(line, arrays=self._arrays)
            except DamagedRunError:
                if found:  # first what is good; the next call raises
                    return found
                raise
            self.offset += len(line) + 1
            self.finished = record.name == "stop"
            found.append((record.name, record.doc))
        self._seen = state
        return found

    def close(self) -> None:
        """Close the raw files."""
        self._replay.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
