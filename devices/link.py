"""One link per instrument: one worker thread does every exchange, each within a deadline that is always kept.

The worker is the lock: nothing else touches the transport. A second, idle thread looks at the worker's deadline: a
worker that does not come back from its transport (a hung driver below us) is left behind, its work fails with a
sentence, and a new worker with a new transport takes over.

After an exchange that failed, nothing that arrives late can answer the next query: the transport is cleared where
it can be, else opened anew, and then the driver's audit compares the instrument with what the driver believes.
"""

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from devices.status import Status
from devices.transport import NoReplyError, Transport
from nanolab.errors import DeviceError, NanolabError

GRACE_S = 0.05
"""How long after its deadline an exchange may still return by itself; also how often the watch looks, wall seconds."""


class SilentError(DeviceError):
    """The instrument did not answer within the deadline; `received` is the part of a line that came, if any."""

    def __init__(
        self, device: str, problem: str, *, sent: str, received: str | None = None, remedy: str | None = None
    ) -> None:
        super().__init__(device, problem, sent=sent, received=received, remedy=remedy)
        self.received = received


class HungError(DeviceError):
    """The transport did not come back within the deadline; nobody knows how far the work got."""


class GaveWayError(DeviceError):
    """Work that was cut short because something urgent (off) came in."""


@dataclass
class _Job:
    work: Callable[[], Any]
    urgent: bool
    gives_way: bool
    status: Status = field(default_factory=Status)


class _Worker:
    """A thread and the transport that it alone touches."""

    def __init__(self, name: str, serve: Callable[["_Worker"], None], transport: Transport) -> None:
        self.transport = transport
        self.thread = threading.Thread(target=serve, args=(self,), name=name, daemon=True)
        self.job = _Job(lambda: None, urgent=False, gives_way=False)
        self.due: float | None = None
        self.left_behind = False
        self.opened = False
        self.trusted = False

    @property
    def is_me(self) -> bool:
        """True in this worker's own thread."""
        return self.thread is threading.current_thread()


class Link:
    """Exchanges of lines with one instrument.

    Parameters
    ----------
    name : str
        The device's name on the bench, for threads and errors.
    make_transport : callable
        Returns a new, closed `Transport`; no I/O.
    deadline_s : float
        Wall seconds for one exchange, reopening and audit included.
    audit : callable
        Called in the worker after every reopening, before the next exchange: reads the instrument back, compares it
        with what the driver believes, and raises DeviceError where the run must not go on.
    """

    def __init__(
        self,
        name: str,
        make_transport: Callable[[], Transport],
        *,
        deadline_s: float,
        audit: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.deadline_s = deadline_s
        self.audit = audit
        self._make_transport = make_transport
        self._jobs: deque[_Job] = deque()
        self._urgent: deque[_Job] = deque()
        # SimpleQueue.put may be interrupted by a signal handler that puts again; a lock of ours could not
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._worker: _Worker | None = None
        self._left_behind: list[_Worker] = []
        self._workers_made = 0
        self._audit_due = False
        self._outer_deadline: float | None = None
        self._quiet_until = 0.0
        self._closing = threading.Event()
        self._watch: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        """True between `open` and `close`."""
        return self._worker is not None

    def open(self) -> None:
        """Start the worker and connect; DeviceError within the deadline, with nothing left running."""
        if self._worker is not None:
            return
        self._closing.clear()
        self._hire()
        self._watch = threading.Thread(target=self._look_after, name=f"nanolab-link-{self.name}-watch", daemon=True)
        self._watch.start()
        try:
            self.call(self._first_opening)
        except NanolabError:
            self.close()
            raise

    def close(self) -> None:
        """Finish the work in hand, fail what waits, close the transport and join the threads. Never raises."""
        worker, watch = self._worker, self._watch
        if worker is None or watch is None:
            return
        self._closing.set()
        watch.join()
        # the watch may have hired a successor up to here
        worker, self._worker, self._watch = self._worker or worker, None, None
        self._wake.put(None)
        worker.thread.join(self.deadline_s + 2 * GRACE_S)
        self._give_up(worker)
        for job in (worker.job, *self._urgent, *self._jobs):
            job.status.finish(DeviceError(self.name, "the link was closed before this was done"))
        self._urgent.clear()
        self._jobs.clear()
        # wake-ups that nobody took would be spent by the next worker
        self._wake = queue.SimpleQueue()

    # ---- from any thread

    def submit(self, work: Callable[[], Any], *, urgent: bool = False, gives_way: bool = False) -> Status:
        """Have the worker do `work()`; the status is finished by the worker.

        `urgent` work goes before all that waits; work that `gives_way` ends with GaveWayError at its next exchange
        once something urgent waits. DeviceError where the link is not open.
        """
        if self._worker is None:
            raise DeviceError(self.name, "is not connected", remedy="Call connect() first.")
        if any(worker.is_me for worker in self._left_behind):
            # work that hung and has come back must not go on: others have been told that it failed
            raise DeviceError(self.name, "this work hung before and was given up")
        job = _Job(work, urgent, gives_way)
        (self._urgent if urgent else self._jobs).append(job)
        self._wake.put(None)
        if self._worker is None:
            # closed while we were here: nobody would ever do it
            job.status.finish(DeviceError(self.name, "the link was closed before this was done"))
        return job.status

    def call(self, work: Callable[[], Any], *, urgent: bool = False, timeout_s: float | None = None) -> Any:
        """Have the worker do `work()` and return its result; raises what it raises.

        `timeout_s` bounds the waiting (DeviceError); without it the deadlines of the exchanges do.
        """
        if self._in_worker():
            return work()
        status = self.submit(work, urgent=urgent)
        try:
            return status.result(timeout_s)
        except TimeoutError as error:
            raise DeviceError(self.name, f"the link was busy for {timeout_s:g} s") from error

    def exchange(
        self, message: str, *, deadline_s: float | None = None, quiet_s: float = 0.0, audited: bool = True
    ) -> str:
        """Send one line and return the one line that answers it, without terminators.

        Parameters
        ----------
        message : str
            ASCII, without terminator.
        deadline_s : float or None
            Wall seconds for this exchange in place of the link's own.
        quiet_s : float
            After silence, leave the instrument alone for so many seconds (some crash when spoken to).
        audited : bool
            False where an audit that is due may wait for the next exchange.

        Raises
        ------
        SilentError
            Nothing, or half a line, came in time.
        DeviceError
            The connection is refused, lost or hangs; the reply is no ASCII line.
        """
        if not self._in_worker():
            return str(
                self.call(lambda: self.exchange(message, deadline_s=deadline_s, quiet_s=quiet_s, audited=audited))
            )
        limit = time.monotonic() + (self.deadline_s if deadline_s is None else deadline_s)
        with self._within(limit) as (worker, inner_limit):
            self._make_ready(worker, inner_limit, audited)
            return self._speak(worker, message, inner_limit, quiet_s)

    def blurt(self, message: str) -> bool:
        """Write a line at once on the connection as it is, unsure or not; True if it could be written.

        For commands to go off: they are sent before anything is read or mended. Only from the worker.
        """
        with self._within(time.monotonic() + self.deadline_s) as (worker, _limit):
            if not worker.opened:
                return False
            try:
                worker.transport.write(message.encode("ascii") + b"\n")
            except ConnectionError:
                worker.trusted = False
                return False
            return True

    def insist(self) -> None:
        """From here on the work in hand is urgent: it gives way to nothing and waits for no audit. In the worker."""
        worker = self._me()
        worker.job.urgent, worker.job.gives_way = True, False

    def rest(self, seconds: float) -> None:
        """Wait `seconds` of wall time in the worker, less where the link is being closed."""
        self._closing.wait(seconds)

    def mistrust(self) -> None:
        """Note that what came back made no sense: the connection is cleared or reopened before the next exchange."""
        if self._worker is not None:
            self._worker.trusted = False

    @property
    def trusted(self) -> bool:
        """True while no exchange has failed since the connection was last opened or cleared."""
        return self._worker is not None and self._worker.trusted

    # ---- in the worker

    def _me(self) -> _Worker:
        worker = self._worker
        if worker is None or not worker.is_me:
            raise DeviceError(self.name, "only work that the link does may do this")
        return worker

    def _in_worker(self) -> bool:
        return self._worker is not None and self._worker.is_me

    @contextlib.contextmanager
    def _within(self, limit: float) -> Iterator[tuple[_Worker, float]]:
        """Yield the worker and the limit as the watch knows it; an audit's exchanges stay within the outer one."""
        worker = self._me()
        outer = self._outer_deadline
        inner = limit if outer is None else min(limit, outer)
        self._outer_deadline = inner
        worker.due = inner + GRACE_S
        try:
            yield worker, inner
        finally:
            if not worker.left_behind:
                self._outer_deadline = outer
            worker.due = None if outer is None else outer + GRACE_S

    def _first_opening(self) -> None:
        with self._within(time.monotonic() + self.deadline_s) as (worker, limit):
            self._reopen(worker, limit)
            self._audit_due = False

    def _make_ready(self, worker: _Worker, limit: float, audited: bool) -> None:
        job = worker.job
        if job.gives_way and self._urgent:
            raise GaveWayError(self.name, "gave way to a command to go off")
        quiet = self._quiet_until - time.monotonic()
        if quiet > 0:
            raise DeviceError(
                self.name,
                f"was silent and is left alone for {quiet:.1f} s more, since it may crash when spoken to",
                remedy="Try again after that.",
            )
        if worker.trusted and worker.transport.unasked():
            worker.trusted = False
        if not worker.trusted and not (worker.opened and worker.transport.clear()):
            self._reopen(worker, limit)
        worker.trusted = True
        # what goes off does not wait for an audit; the next exchange does
        if self._audit_due and audited and not job.urgent:
            self._audit_due = False
            try:
                self.audit()
            except NanolabError:
                self._audit_due = True
                raise

    def _reopen(self, worker: _Worker, limit: float) -> None:
        worker.transport.close()
        worker.opened = False
        try:
            worker.transport.open(max(0.0, limit - time.monotonic()))
        except ConnectionError as error:
            remedy = "Check the cable, the power and the address."
            raise DeviceError(self.name, f"cannot be reached: {error}", remedy=remedy) from error
        worker.opened = worker.trusted = True
        self._audit_due = True

    def _speak(self, worker: _Worker, message: str, limit: float, quiet_s: float) -> str:
        worker.trusted = False
        try:
            worker.transport.write(message.encode("ascii") + b"\n")
            raw = worker.transport.read_line(max(0.0, limit - time.monotonic()))
        except NoReplyError as error:
            self._quiet_until = time.monotonic() + quiet_s
            words = "answered only half a line" if error.partial else "is silent"
            received = _shown(error.partial) if error.partial else None
            silence = f"{words} within its deadline"
            remedy = "Check it and its cable."
            raise SilentError(self.name, silence, sent=message, received=received, remedy=remedy) from error
        except ConnectionError as error:
            worker.transport.close()
            worker.opened = False
            raise DeviceError(self.name, f"lost the connection: {error}", sent=message) from error
        text = raw.decode("ascii", "replace")
        if not (text.isascii() and text.isprintable()):
            garbled = "sent a garbled reply"
            raise DeviceError(self.name, garbled, sent=message, received=_shown(raw), remedy="Check the cable.")
        worker.trusted = True
        return text

    # ---- the worker's loop and its watch

    def _hire(self) -> None:
        suffix = f"-{self._workers_made}" if self._workers_made else ""
        self._workers_made += 1
        worker = _Worker(f"nanolab-link-{self.name}{suffix}", self._serve, self._make_transport())
        self._worker = worker
        worker.thread.start()

    def _serve(self, worker: _Worker) -> None:
        while not worker.left_behind:
            self._wake.get()
            if self._closing.is_set():
                break
            self._do_next(worker)
        worker.transport.close()

    def _do_next(self, worker: _Worker) -> None:
        try:
            job = self._urgent.popleft() if self._urgent else self._jobs.popleft()
        except IndexError:
            return
        worker.job = job
        error: BaseException | None = None
        result = None
        try:
            result = job.work()
        except BaseException as caught:  # noqa: BLE001 - handed to whoever waits for the status
            error = caught
        job.status.finish(error, result)

    def _look_after(self) -> None:
        while not self._closing.wait(GRACE_S):
            worker = self._worker
            due = worker.due if worker is not None else None
            if worker is not None and due is not None and time.monotonic() > due:
                self._leave_behind(worker)

    def _give_up(self, worker: _Worker) -> None:
        worker.left_behind = True
        self._left_behind = [other for other in (*self._left_behind, worker) if other.thread.is_alive()]

    def _leave_behind(self, worker: _Worker) -> None:
        self._give_up(worker)
        self._outer_deadline = None
        self._audit_due = True
        self._hire()
        worker.job.status.finish(
            HungError(
                self.name,
                "the connection hangs: it did not come back within its deadline",
                remedy="Check the instrument and its cable; a new connection is tried with the next command.",
            )
        )


def _shown(raw: bytes) -> str:
    """Return bytes as text for an error message, shortened, with escapes where they are no ASCII."""
    text = raw[:200].decode("ascii", "backslashreplace")
    return text + ("..." if len(raw) > 200 else "")
