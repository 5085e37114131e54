"""Lines back to documents as they were emitted: checksums checked, arrays filled in."""

import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from nanolab.journal.encoding import RawReference
from nanolab.journal.folder import DOCUMENTS
from nanolab.journal.records import RAW_KEY, DamagedRunError, RawField, Record, parse_line


def whole_lines(path: Path, begin: int, end: int) -> Iterator[bytes]:
    """Yield the lines of `path` between two byte offsets, both at ends of lines.

    DamagedRunError where the file has become shorter since the end was found.
    """
    with path.open("rb") as stream:
        stream.seek(begin)
        while begin < end:
            line = stream.readline(end - begin)
            if not line.endswith(b"\n"):
                raise DamagedRunError(f"{path}: it became shorter while it was read; open the run again")
            begin += len(line)
            yield line


class Replay:
    """Turns a run's lines, given in order, into its documents. Use it as a context: it holds raw files open.

    ``fields`` says where the arrays of each descriptor (by uid) are, as read so far or as given;
    ``array_bytes`` counts what was read from raw files.
    """

    def __init__(self, folder: Path, fields: dict[str, dict[str, RawField]] | None = None) -> None:
        self._folder = folder
        self._documents = folder / DOCUMENTS
        self.fields = {} if fields is None else fields
        self._files: dict[str, BinaryIO] = {}
        self._stack = ExitStack()
        self.n = 0
        self.array_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the raw files; they are opened again when needed."""
        self._files.clear()
        self._stack.close()

    def read(self, line: bytes, *, arrays: bool) -> Record:
        """Check and read the next line; without `arrays` an event keeps references in their place.

        DamagedRunError names file and line; the next call then expects the same line again.
        """
        record = parse_line(line, self.n + 1, self._documents)
        if record.name == "descriptor":
            self._restore_descriptor(record)
        elif record.name == "event" and arrays:
            self._fill(record)
        self.n = record.n
        return record

    def _fill(self, record: Record) -> None:
        fields = self.fields.get(record.doc.get("descriptor", ""), {})
        data = record.doc.get("data", {})
        for key, field in fields.items():
            reference = data.get(key)
            if isinstance(reference, RawReference):
                data[key] = self._load(field, reference, record.n)

    def array(self, descriptor: str, key: str, reference: RawReference, n: int) -> "np.ndarray[Any, Any]":
        """Return the array that line `n` refers to, for a field of a known descriptor. DamagedRunError."""
        return self._load(self.fields[descriptor][key], reference, n)

    def _restore_descriptor(self, record: Record) -> None:
        try:
            data_keys = record.doc["data_keys"]
            found = {key: data_key.pop(RAW_KEY) for key, data_key in data_keys.items() if RAW_KEY in data_key}
            self.fields[record.doc["uid"]] = {key: RawField.from_json(described) for key, described in found.items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DamagedRunError(f"{self._documents}, line {record.n}: it describes no stream ({error!r})") from error

    def _load(self, field: RawField, reference: RawReference, n: int) -> "np.ndarray[Any, Any]":
        array = np.empty(field.shape, field.dtype)
        content = array.ravel().view(np.uint8)
        try:
            stream = self._files.get(field.file)
            if stream is None:
                # unbuffered: what is read is what is counted, and a growing file is seen as it is now
                opened = (self._folder / field.file).open("rb", buffering=0)
                stream = self._files[field.file] = self._stack.enter_context(opened)
            stream.seek(reference.index * field.item_bytes)
            got = stream.readinto(content)  # type: ignore[attr-defined]  # typeshed: raw files only
        except OSError as error:
            raise DamagedRunError(f"{self._documents}, line {n}: its array cannot be read: {error}") from error
        self.array_bytes += got
        if got != field.item_bytes or f"{zlib.crc32(content.data):08x}" != reference.crc:
            why = "is cut short" if got != field.item_bytes else "has a wrong checksum"
            raise DamagedRunError(
                f"{self._folder / field.file}, array {reference.index}: it {why} "
                f"(named by {DOCUMENTS} line {n}). The lines before it are good: "
                "open the run with salvage=True to read them"
            )
        return array
