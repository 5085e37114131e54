"""The journal: a RunEngine's first subscriber, which has every document on disk before anything else sees it.

*Stored* means written: it survives the death of this process. *Durable* means synced: it survives a power
cut. A background thread syncs once a second; at start, descriptor, pause and stop it is done at once.

What cannot be stored ends the run: `on_failure` is called first (it turns the laser off), then the files are
cut back to their last good end, then the error is raised.
"""

import logging
import os
import threading
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from nanolab.errors import JournalError
from nanolab.journal.encoding import RawReference
from nanolab.journal.files import AppendFile, Calls, sync_folder
from nanolab.journal.folder import DOCUMENTS, WRITER, create_folder, fit_name
from nanolab.journal.records import RAW_KEY, RawField, format_line, raw_layout

ACKNOWLEDGE = "NANOLAB_ACK_FD"
"""Environment variable: a file descriptor on which ``<uid> <n>`` is reported after each stored document."""

_SYNC_AT_ONCE = frozenset({"start", "descriptor", "stop"})
_log = logging.getLogger(__name__)


def _nothing() -> None:
    """Stand in where nobody wants to be told."""


class RunWriter:
    """Writes each run that passes to a folder of its own; call it with ``(name, doc)``.

    Runs come one after another. A start document closes a run that was left without its stop.

    Parameters
    ----------
    data_root : Path
        Where the folders go: ``YYYY-MM-DD/HHMMSS-<plan>-<uid8>[-simulated]``.
    on_failure : callable
        Called, in the thread of the failing call, before an error is raised: turn the laser off here.
    sync_interval_s : float
        Wall seconds between syncs in the background.
    calls : Calls
        The operating system's write, truncate and sync.
    wait : callable
        Waits for an event at most so many seconds and says whether it came; a test paces the thread here.

    Raises
    ------
    JournalError
        From a call: the document is not stored. After a failed sync or cut-back every later call raises.
    """

    def __init__(
        self,
        data_root: Path | str,
        *,
        on_failure: Callable[[], object] = _nothing,
        sync_interval_s: float = 1.0,
        calls: Calls | None = None,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self._root = Path(data_root)
        self._on_failure = on_failure
        self._interval = sync_interval_s
        self._calls = Calls() if calls is None else calls
        self._wait = wait
        self._open: _OpenRun | None = None
        self._last: _OpenRun | None = None
        self._lock = threading.RLock()
        channel = os.environ.get(ACKNOWLEDGE)
        self._acknowledge_fd = int(channel) if channel else None

    @property
    def path(self) -> Path | None:
        """Folder of the run that is open or was the last; None before the first."""
        return self._last.path if self._last else None

    @property
    def uid(self) -> str | None:
        """Uid of the run that is open or was the last; None before the first."""
        return self._last.uid if self._last else None

    @property
    def stored(self) -> int:
        """Number of documents of that run that survive the death of this process."""
        return self._last.stored if self._last else 0

    @property
    def durable(self) -> int:
        """Number of documents of that run that survive a power cut."""
        return self._last.durable if self._last else 0

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Store one document; when this returns, it survives ``kill -9``."""
        try:
            with self._lock:
                self._store(name, doc)
        except BaseException as error:
            # the lock is free: turning the laser off may wait for a thread that has a document to store
            self._failed(error, f"the {name} document was not stored")
            raise

    def pause(self) -> None:
        """Make durable what is stored, now: the run is pausing and may stand for long."""
        try:
            with self._lock:
                if self._open is not None:
                    self._open.sync()
        except BaseException as error:
            self._failed(error, "what was stored is not durable")
            raise

    def close(self) -> None:
        """Leave the open run, if any, without a stop document (it reads as interrupted); end the thread."""
        with self._lock:
            run, self._open = self._open, None
        if run is None:
            return
        try:
            if not run.broken:  # a broken run has been told of; a failed sync is never retried
                run.sync()
        except BaseException as error:
            self._failed(error, "what was stored is not durable", run)
            raise
        finally:
            run.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _store(self, name: str, doc: Mapping[str, Any]) -> None:
        if name == "start":
            run = self._begin(doc)
        else:
            run = self._running(name, doc)
            run.append(name, doc)
        self._report(run)
        if name in _SYNC_AT_ONCE:
            run.sync()
        if name == "stop":
            self._open = None
            run.close()

    def _begin(self, start: Mapping[str, Any]) -> "_OpenRun":
        self.close()
        line = format_line(1, "start", start)
        path = create_folder(self._root, start, line, self._calls)
        self._open = self._last = _OpenRun(str(start["uid"]), path, self._calls, self._pace)
        return self._open

    def _pace(self, ending: threading.Event) -> bool:
        return self._wait(ending, self._interval)

    def _running(self, name: str, doc: Mapping[str, Any]) -> "_OpenRun":
        if self._open is None:
            raise JournalError(
                f"the {name} document came with no run open: subscribe the journal before the run starts"
            )
        owner = doc.get("run_start", self._open.uid)
        if owner != self._open.uid:
            raise JournalError(
                f"the {name} document belongs to run {owner}, but {self._open.uid} is open: one at a time"
            )
        return self._open

    def _report(self, run: "_OpenRun") -> None:
        if self._acknowledge_fd is None:
            return
        try:
            os.write(self._acknowledge_fd, f"{run.uid} {run.stored}\n".encode("ascii"))
        except OSError as error:
            self._acknowledge_fd = None
            _log.warning("Nobody listens to the acknowledgements any more: %s", error)

    def _failed(self, error: BaseException, what: str, run: "_OpenRun | None" = None) -> None:
        """Turn the laser off, cut back, and raise a JournalError (an interrupt stays what it is)."""
        remarks = []
        try:
            self._on_failure()
        except Exception as failure:  # noqa: BLE001 - told of in the sentence that is raised
            remarks.append(f"what should happen on a failure failed too: {failure}")
        with self._lock:
            run = run or self._open
            if run is not None:
                remarks.extend(run.roll_back())
        if isinstance(error, Exception):
            where = self._root if run is None else run.path
            sentence = "; ".join([f"{where}: {what}: {error}", *remarks])
            raise JournalError(f"{sentence}. The run must end; what was stored before is kept") from error
        for remark in remarks:
            _log.error("%s", remark)


class _OpenRun:
    """The files of one run while it is written."""

    def __init__(self, uid: str, path: Path, calls: Calls, pace: Callable[[threading.Event], bool]) -> None:
        self.uid = uid
        self.path = path
        self.durable = 0
        self.broken: str | None = None
        self._calls = calls
        self._documents = AppendFile(path / DOCUMENTS, calls, records=1)
        self._arrays: dict[str, AppendFile] = {}
        self._layouts: dict[tuple[str, str, RawField], RawField] = {}
        self._fields: dict[str, dict[str, RawField]] = {}
        self._touched: list[AppendFile] = []
        self._sync_lock = threading.Lock()
        self._ending = threading.Event()
        self._pace = pace
        self._thread = threading.Thread(target=self._keep_syncing, name="nanolab-journal-sync", daemon=True)
        self._thread.start()

    @property
    def stored(self) -> int:
        """Number of documents written for good."""
        return self._documents.records

    def append(self, name: str, doc: Mapping[str, Any]) -> None:
        """Write one document: its arrays first, then the line that names them."""
        if self.broken:
            raise JournalError(f"an earlier failure ended this run's journal ({self.broken})")
        if self._touched:
            raise JournalError("the document before it failed a moment ago and is not yet cut off")
        if name == "descriptor":
            doc = self._describe(doc)
        elif name == "event":
            doc = self._store_arrays(doc)
        line = format_line(self.stored + 1, name, doc)
        self._write(self._documents, line)
        for file in self._touched:  # the line comes last: an array without its line is harmless
            file.commit()
        self._touched.clear()

    def roll_back(self) -> list[str]:
        """Cut every file back to its last good end; say in words what did not work, and be broken then."""
        problems = []
        for file in self._touched:
            try:
                file.roll_back()
            except OSError as error:
                problems.append(f"{file.path.name} could not be cut back to its last good end: {error}")
        self._touched.clear()
        if problems:
            self.broken = "; ".join(problems)
        return problems

    def sync(self) -> None:
        """Make everything stored durable. A failure is fatal and stays: the data may have been dropped."""
        with self._sync_lock:
            if self.broken:
                raise JournalError(f"an earlier failure ended this run's journal ({self.broken})")
            stored = self.stored
            try:
                for file in [*self._arrays.values(), self._documents]:
                    file.sync()
            except OSError as error:
                self.broken = f"sync failed: {error}"
                raise
            self.durable = stored

    def _keep_syncing(self) -> None:
        """Sync in the background until closed; `pace` returns True when it is time to end."""
        while not self._pace(self._ending) and not self.broken:
            # whoever reads on another machine sees by the age of this file that the writer is there
            with suppress(OSError):
                os.utime(self.path / WRITER)
            if self.durable < self.stored:
                # the next document raises what is kept in `broken`
                with suppress(OSError, JournalError):
                    self.sync()

    def close(self) -> None:
        """End the thread, close the files, and take the sign of a living writer away."""
        self._ending.set()
        self._thread.join()
        for file in [*self._arrays.values(), self._documents]:
            file.close()
        try:
            (self.path / WRITER).unlink()
        except OSError as error:
            _log.warning("%s stays although nobody writes here any more: %s", self.path / WRITER, error)

    def _write(self, file: AppendFile, data: Any) -> None:
        self._touched.append(file)
        file.append(data)

    def _describe(self, descriptor: Mapping[str, Any]) -> dict[str, Any]:
        """Note which fields go to raw files; returns the descriptor that says so."""
        stream = str(descriptor.get("name", "primary"))
        fields: dict[str, RawField] = {}
        data_keys = dict(descriptor["data_keys"])
        for key, data_key in data_keys.items():
            layout = raw_layout(data_key)
            if layout is not None:
                fields[key] = self._raw_field(stream, key, *layout)
                data_keys[key] = {**data_key, RAW_KEY: fields[key].to_json()}
        self._fields[descriptor["uid"]] = fields
        if fields:
            sync_folder(self.path)
        return {**descriptor, "data_keys": data_keys}

    def _raw_field(self, stream: str, key: str, dtype: "np.dtype[Any]", shape: tuple[int, ...]) -> RawField:
        wanted = RawField("", dtype, shape)
        known = self._layouts.get((stream, key, wanted))
        # a stream that was described anew (a setting changed) keeps its arrays in one file
        if known is not None:
            return known
        name = base = f"{fit_name(stream)}-{fit_name(key)}"
        number = 1
        while name.casefold() in self._arrays:  # Windows does not tell A.raw from a.raw
            number += 1
            name = f"{base}-{number}"
        field = RawField(f"{name}.raw", dtype, shape)
        self._arrays[name.casefold()] = AppendFile(self.path / field.file, self._calls)
        self._layouts[stream, key, wanted] = field
        return field

    def _store_arrays(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """Write the event's arrays to their raw files; returns the event that refers to them."""
        fields = self._fields.get(event["descriptor"])
        if fields is None:
            raise JournalError(f"an event refers to descriptor {event['descriptor']}, which this run does not have")
        if not fields:
            return event
        data = dict(event["data"])
        for key, field in fields.items():
            value = data.get(key)
            # anything but the array that was announced is written into the line as it is
            if type(value) is np.ndarray and value.dtype == field.dtype and value.shape == field.shape:
                content = value.ravel().view(np.uint8).data
                file = self._arrays[field.file.removesuffix(".raw").casefold()]
                self._write(file, content)
                data[key] = RawReference(file.records, f"{zlib.crc32(content):08x}")
        return {**event, "data": data}
