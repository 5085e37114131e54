"""A RunEngine put together the way a guarded bench needs it.

The journal is its first subscriber and is held strongly here (bluesky keeps bound methods weakly); everything
else stands behind one catching fan-out, so that a broken plot costs its own output and nothing more.
"""

import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from bluesky import RunEngine
from bluesky.utils import Msg, RunEngineInterrupted, TransitionError

from nanolab.assay import Plan
from nanolab.engine.clock import Clock
from nanolab.errors import NanolabError

Subscriber = Callable[[str, Mapping[str, Any]], object]

_log = logging.getLogger(__name__)


class FanOut:
    """Hand each document to every consumer; one that raises is told of once and left out from then on."""

    def __init__(self) -> None:
        self._consumers: list[Subscriber] = []
        self.failures: list[str] = []

    def add(self, consumer: Subscriber) -> None:
        """Add a consumer of documents."""
        self._consumers.append(consumer)

    def remove(self, consumer: Subscriber) -> None:
        """Leave a consumer out from now on."""
        if consumer in self._consumers:
            self._consumers.remove(consumer)

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Pass the document on."""
        for consumer in list(self._consumers):
            try:
                consumer(name, doc)
            except Exception as error:  # noqa: BLE001 - whatever a consumer does must not end the run
                self._consumers.remove(consumer)
                self.failures.append(f"{consumer!r}: {error}")
                _log.exception("A consumer of documents failed and was left out: %r", consumer)


@dataclass
class Outcome:
    """How one run ended: its uid where it was opened, the error, the signal or the request (in words) that ended it."""

    uids: tuple[str, ...] = ()
    error: BaseException | None = None
    signal_number: int | None = None
    stopped_by: str | None = None


@dataclass
class Engine:
    """A RunEngine with the journal first, a fan-out behind it, lab time, and signals that turn the laser off.

    Parameters
    ----------
    clock : Clock
        Lab time; the engine's ``sleep`` waits on it.
    journal : callable
        First subscriber; an error it raises ends the run.
    emergency_off : callable
        Turns emission off at once and verifies it; called from the signal handler before anything else.
    on_pause : callable
        Called when the engine has paused (the journal makes its records durable then).
    """

    clock: Clock
    journal: Subscriber
    emergency_off: Callable[[], object]
    on_pause: Callable[[], object] = lambda: None
    fan_out: FanOut = field(default_factory=FanOut)
    RE: RunEngine = field(init=False)
    stopped_by: str | None = field(default=None, init=False)
    """Who asked for a stop, in words; no run is begun afterwards."""

    def __post_init__(self) -> None:
        self._ended_by: NanolabError | None = None
        self.RE = RunEngine({}, context_managers=[])
        self.RE.pause_msg = ""
        self.RE.register_command("sleep", self._sleep)
        self.RE.subscribe(self.journal)
        self.RE.subscribe(self.fan_out)

    async def _sleep(self, msg: Msg) -> None:
        await self.clock.sleep(float(msg.args[0]))

    def run(self, plan: Plan, **metadata: Any) -> Outcome:
        """Run one plan to its end. Whatever ends it, the answer is an `Outcome`; nothing is raised."""
        outcome = Outcome()
        seen: list[str] = []
        self._ended_by = None

        def opened(_name: str, doc: Mapping[str, Any]) -> None:
            seen.append(doc["uid"])
            if self.stopped_by is not None:  # asked for in the moment before the run could be paused
                self._pause_soon()

        token = self.RE.subscribe(opened, "start")
        try:
            with stop_signals(self._signalled) as received, _engine_words_to_stderr():
                try:
                    self.RE(plan, **metadata)
                except RunEngineInterrupted:
                    outcome.error = self._abort(received)
                    if not received and self.stopped_by is None and outcome.error is None:
                        outcome.error = NanolabError("the plan was paused, which nobody could end here: it was aborted")
                except BaseException as error:  # noqa: BLE001 - reported in the outcome, never swallowed
                    outcome.error = error
                outcome.signal_number = received[0] if received else None
                if self._ended_by is not None and not received:
                    outcome.error = self._ended_by
        finally:
            self.RE.unsubscribe(token)
        outcome.uids = tuple(seen)
        outcome.stopped_by = self.stopped_by
        return outcome

    def stop(self, who: str) -> Any:
        """Do what Ctrl-C does, asked for from any thread: laser off, read back, then abort. Returns what off reports."""
        self.stopped_by = who
        report = self.emergency_off()
        self._pause_soon()
        return report

    def end(self, error: NanolabError) -> None:
        """End the run that is under way, from any thread; the laser is off already. Its outcome has this error."""
        self._ended_by = error
        self._pause_soon()

    def _signalled(self, signal_number: int) -> None:
        self.emergency_off()
        self._pause_soon()

    def _pause_soon(self) -> None:
        # request_pause waits for the engine's loop; the main thread must stay free to see the pause arrive
        threading.Thread(target=self._pause, name="nanolab-stop-request", daemon=True).start()

    def _pause(self) -> None:
        # a run that is just ending cannot be paused: then there is nothing left to stop
        with contextlib.suppress(TransitionError):
            self.RE.request_pause(defer=False)

    def _abort(self, received: list[int]) -> BaseException | None:
        if self.RE.state == "paused":
            self.on_pause()
            name = signal.Signals(received[0]).name if received else (self.stopped_by or str(self._ended_by or "pause"))
            return self._aborted(f"stopped by {name}; the laser was turned off first")
        return None

    def _aborted(self, reason: str) -> BaseException | None:
        """Abort; return what the plan's clean-up raised, which must not hide why it was aborted."""
        try:
            self.RE.abort(reason=reason)
        except Exception as error:  # noqa: BLE001 - reported in the outcome, never swallowed
            _log.exception("the clean-up after an abort failed")
            return error
        return None


@contextlib.contextmanager
def stop_signals(action: Callable[[int], None]) -> Iterator[list[int]]:
    """Within the block Ctrl-C, SIGTERM and a closing terminal call `action` (once) instead of raising.

    Yields the list of signals received. Outside the main thread signals cannot be handled: the list stays empty.
    """
    received: list[int] = []

    def handler(signal_number: int, _frame: FrameType | None) -> None:
        received.append(signal_number)
        if len(received) == 1:
            action(signal_number)

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), handler) for name in names}
    try:
        yield received
    finally:
        for name, previous in before.items():
            signal.signal(getattr(signal, name), previous)


@contextlib.contextmanager
def _engine_words_to_stderr() -> Iterator[None]:
    """Keep standard output for results: the engine prints its own words there."""
    with contextlib.redirect_stdout(sys.stderr):
        yield
