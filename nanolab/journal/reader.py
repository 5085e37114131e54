"""Reading a run folder: what happened, as documents or as columns, however the run ended."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nanolab.errors import FileInvalidError, nearest
from nanolab.journal.columns import Collector, Columns, Row
from nanolab.journal.encoding import RawReference
from nanolab.journal.folder import DOCUMENTS, WRITER
from nanolab.journal.liveness import is_alive
from nanolab.journal.records import DamagedRunError, RawField, Record, parse_line, stated_number
from nanolab.journal.replay import Replay, whole_lines

STATUSES = ("finished", "aborted", "failed", "interrupted", "running")

SEEN_LATELY_S = 600.0
"""A writer on another machine touches its file every second; silent for longer than this, it is gone."""

_STATUS_OF_EXIT = {"success": "finished", "abort": "aborted", "fail": "failed"}
_BLOCK = 65536


def open_run(path: Path | str, *, salvage: bool = False) -> "Run":
    """Open a run folder, of any state, for reading.

    Parameters
    ----------
    path : Path or str
        The folder.
    salvage : bool
        Read a damaged run up to the last good record before the damage instead of raising.

    Raises
    ------
    FileInvalidError
        There is no such folder, or it is not a run of nanolab.
    DamagedRunError
        The first or the last record is not what was written (a JournalError).
    """
    folder = Path(path)
    if not folder.exists():
        raise FileInvalidError(f"{folder}: there is no such folder; list the runs with `nanolab runs`")
    if not folder.is_dir():
        raise FileInvalidError(f"{folder}: this is a file; give the folder of a run")
    documents = folder / DOCUMENTS
    if not documents.is_file():
        what = "not a run of nanolab" if any(folder.iterdir()) else "empty"
        raise FileInvalidError(f"{folder}: the folder is {what}: it holds no {DOCUMENTS}")
    return Run(folder, salvage=salvage)


class Run:
    """One run as it stood on disk when it was opened.

    Attributes
    ----------
    path : Path
        Its folder.
    start : dict
        The start document; empty where not even that was written whole.
    stop : dict or None
        The stop document.
    tail_bytes : int
        Length of an unfinished last line, which is left out.
    end : int
        Offset in bytes up to which whole lines stand in docs.jsonl.
    """

    def __init__(self, path: Path, *, salvage: bool = False) -> None:
        self.path = path
        self._salvage = salvage
        self._file = path / DOCUMENTS
        self._streams: dict[str, Columns] | None = None
        self._raw_fields: dict[str, dict[str, RawField]] = {}
        size = self._file.stat().st_size
        first, last, self.end = _first_and_last_line(self._file, size)
        self.tail_bytes = size - self.end
        self.start: dict[str, Any] = self._first(first)
        self.stop: dict[str, Any] | None = self._last(last)

    @property
    def uid(self) -> str:
        """Uid of the run; empty where it is not known."""
        return str(self.start.get("uid") or self._writer().get("uid", ""))

    @property
    def plan(self) -> str:
        """Name of the plan; empty where it is not known."""
        return str(self.start.get("plan_name", ""))

    @property
    def simulated(self) -> bool:
        """True if any of it comes from a simulated instrument."""
        return bool(self.start.get("simulated"))

    @property
    def sample(self) -> str:
        """Name of the sample; empty where it is not known."""
        sample = self.start.get("sample", "")
        if isinstance(sample, Mapping) and isinstance(sample.get("sample"), Mapping):
            sample = sample["sample"]  # a whole sample file, with its table of that name
        return str(sample.get("name", "") if isinstance(sample, Mapping) else sample)

    @property
    def status(self) -> str:
        """Say how the run ended: one of `STATUSES`.

        Without a stop document the run is ``running`` while the process that writes it lives, else
        ``interrupted``.
        """
        stop = self.stop
        if stop is None:
            if self._being_written():
                return "running"
            # the writer is gone: what the file says now is final, and it may have ended well since it was opened
            stop = self._last(_first_and_last_line(self._file, self._file.stat().st_size)[1])
        if stop is None:
            return "interrupted"
        return _STATUS_OF_EXIT.get(str(stop.get("exit_status")), "failed")

    @property
    def streams(self) -> list[str]:
        """Names of the streams that were described, in order. JournalError where a line is bad."""
        return list(self._read_streams())

    def documents(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield ``(name, document)`` as emitted, arrays filled in, up to the last whole record.

        DamagedRunError (a JournalError) names file and line of a bad record, after all before it.
        """
        with Replay(self.path) as replay:
            for record in self._records(replay, arrays=True):
                yield record.name, record.doc

    def descriptors(self, stream: str) -> list[dict[str, Any]]:
        """Return the descriptors of a stream in order; FileInvalidError where the run has no such stream."""
        return list(self._stream(stream).descriptors)

    def configuration(self, stream: str) -> dict[str, Any]:
        """Return the configuration readings of a stream's devices as last described, by name."""
        values: dict[str, Any] = {}
        for descriptor in self.descriptors(stream):
            for device in descriptor.get("configuration", {}).values():
                values.update(device.get("data", {}))
        return values

    def units(self, stream: str) -> dict[str, str]:
        """Return the unit of each field of a stream that has one."""
        found: dict[str, str] = {"time": "s"}
        for descriptor in self.descriptors(stream):
            data_keys = descriptor["data_keys"].items()
            found.update({key: str(data_key["units"]) for key, data_key in data_keys if data_key.get("units")})
        return found

    def table(self, stream: str) -> "dict[str, np.ndarray[Any, Any]]":
        """Return the events of a stream as columns, one row an event; ``time`` is wall time in s.

        Numbers are float64 or int64 (missing ones NaN), arrays are stacked to shape (n, ...), text is text;
        what does not fit together is a column of objects. FileInvalidError where the run has no such stream.
        """
        columns = self._stream(stream)
        with Replay(self.path, self._raw_fields) as replay:

            def load(row: Row, key: str, reference: RawReference) -> "np.ndarray[Any, Any]":
                return replay.array(row.descriptor, key, reference, row.n)

            return columns.table(load)

    def timestamps(self, stream: str) -> "dict[str, np.ndarray[Any, Any]]":
        """Return the devices' own time of each reading of a stream (lab time in s), columns as in `table`."""
        return self._stream(stream).timestamps()

    def _stream(self, stream: str) -> Columns:
        columns = self._read_streams()
        if stream not in columns:
            hint = nearest(stream, list(columns)) if columns else "it holds no readings at all"
            raise FileInvalidError(f"{self.path}: the run has no stream '{stream}'; {hint}")
        return columns[stream]

    def _read_streams(self) -> dict[str, Columns]:
        if self._streams is None:
            collector = Collector(self._file)
            with Replay(self.path) as replay:
                # arrays are read when a table asks for them; a salvage has to know at once where they end
                for record in self._records(replay, arrays=self._salvage):
                    collector.add(record)
                self._raw_fields = replay.fields
            self._streams = collector.streams
        return self._streams

    def _records(self, replay: Replay, *, arrays: bool) -> Iterator[Record]:
        try:
            for line in whole_lines(self._file, 0, self.end):
                yield replay.read(line, arrays=arrays)
        except DamagedRunError:
            if not self._salvage:
                raise

    def _first(self, line: bytes) -> dict[str, Any]:
        if not line:
            return {}
        try:
            record = parse_line(line, 1, self._file)
        except DamagedRunError:
            if self._salvage:
                return {}
            raise
        if record.name != "start":
            raise DamagedRunError(
                f"{self._file}, line 1: it is the record of '{record.name}', not of the start of a run"
            )
        return record.doc

    def _last(self, line: bytes) -> dict[str, Any] | None:
        """Return the stop document if that is the last line, whose number is checked when the run is read."""
        if not line:
            return None
        try:
            try:
                record = parse_line(line, stated_number(line), self._file)
            except DamagedRunError:
                count = sum(1 for _ in whole_lines(self._file, 0, self.end))
                record = parse_line(line, count, self._file)
        except DamagedRunError:
            if self._salvage:
                return None
            raise
        return record.doc if record.name == "stop" else None

    def _writer(self) -> dict[str, Any]:
        try:
            mark = json.loads((self.path / WRITER).read_bytes())
        except (OSError, ValueError):  # taken away at the end, or lost in a power cut: no writer either way
            return {}
        return mark if isinstance(mark, dict) else {}

    def _being_written(self) -> bool:
        mark = self._writer()
        alive = is_alive(mark) if mark else False
        if alive is not None:
            return alive
        try:
            return time.time() - (self.path / WRITER).stat().st_mtime < SEEN_LATELY_S
        except FileNotFoundError:  # taken away this moment
            return False


def _first_and_last_line(path: Path, size: int) -> tuple[bytes, bytes, int]:
    """Return first and last whole line of the first `size` bytes, and the offset behind the last."""
    with path.open("rb") as stream:
        first = stream.readline(size)
        if not first.endswith(b"\n"):
            return b"", b"", 0
        begin, block = size, b""
        while begin > 0 and block.count(b"\n") < 2:
            step = min(begin, max(_BLOCK, len(block)))
            begin -= step
            stream.seek(begin)
            block = stream.read(step) + block
    end = block.rindex(b"\n") + 1
    return first, block[: end - 1].rpartition(b"\n")[2], begin + end
