"""One client's connection to a SCPI instrument: from chunks of bytes to messages, from answers to replies."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sims.instruments.base import Reply, Session
from sims.instruments.scpi_tree import Answer, Pending, Unit
from sims.instruments.scpi_values import ScpiError

if TYPE_CHECKING:
    from sims.instruments.scpi import ScpiInstrument

_INPUT_LIMIT = 65536
_UNASKED = b"*RS\n"  # what some instruments say of their own accord after a restart


class ScpiSession(Session):
    """One client of a SCPI instrument: assembles messages from chunks, runs them, joins the answers.

    While an answer is pending (a scan that runs), what arrives is kept and carried out afterwards, as in an
    instrument whose input buffer fills while its parser is held.
    """

    def __init__(self, instrument: "ScpiInstrument") -> None:
        self._instrument = instrument
        self._buffer = b""
        self._answers: list[str] = []
        self._units: tuple[Unit, ...] = ()
        self._next = 0
        self._pending: Pending | None = None
        self._unread = False

    def feed(self, data: bytes) -> list[Reply]:
        """Take any piece of the stream; return the replies of all messages that it completes."""
        if self._instrument.deaf:
            return []
        self._buffer += data
        if len(self._buffer) > _INPUT_LIMIT:
            self._buffer = b""
            self._instrument.errors.push(ScpiError(-363))
        return [] if self._pending else self._drain()

    def resume(self) -> list[Reply]:
        """Go on with a message that waited, if its answer is there by now, and with what came after it."""
        if self._pending is None or self._instrument.deaf:
            return []
        answer = self._attempt(self._pending.ask)
        if answer is None and self.waiting:
            return []
        self._stop_waiting()
        if isinstance(answer, str):
            self._answers.append(answer)
        return self._run() + ([] if self._pending else self._drain())

    def clear(self) -> None:
        """Device clear: forget input, pending answers and the unread reply."""
        self._buffer = b""
        self._answers.clear()
        self._units, self._next = (), 0
        self._stop_waiting()
        self._unread = False

    def _stop_waiting(self) -> None:
        self._pending = None
        self.waiting = False

    def _drain(self) -> list[Reply]:
        replies: list[Reply] = []
        while self._pending is None:
            message, newline, rest = self._buffer.partition(b"\n")
            if not newline:
                break
            self._buffer = rest
            if self._unread:
                self._unread = False
                self._instrument.errors.push(ScpiError(-410))
            self._units = self._instrument.compiled(message.rstrip(b"\r"))
            self._next = 0
            replies += self._run()
        return replies

    def _run(self) -> list[Reply]:
        units = self._units
        while self._next < len(units):
            unit = units[self._next]
            self._next += 1
            if unit.method is None:
                self._instrument.errors.push(ScpiError(unit.error))
                break
            answer = self._attempt(unit.method, *unit.arguments)
            if isinstance(answer, Pending):
                self._pending, self.waiting = answer, True
                return []
            if answer is not None:
                self._answers.append(answer)
        return self._finish()

    def _attempt(self, method: Callable[..., Answer], *arguments: Any) -> Answer:
        try:
            return method(*arguments)
        except ScpiError as error:
            self._instrument.errors.push(error)
            if -200 < error.code <= -100:
                self._next = len(self._units)
            self._stop_waiting()
            return None

    def _finish(self) -> list[Reply]:
        instrument = self._instrument
        instrument.message_done()
        if not self._answers:
            return []
        data = (";".join(self._answers) + "\n").encode("ascii")
        self._answers.clear()
        after = instrument.busy_lab_s * instrument.wall_s_per_lab_s
        instrument.busy_lab_s = 0.0
        if "stale_reply" in instrument.active:
            self._unread = True
            return []
        if "spurious_line" in instrument.active:
            data = _UNASKED + data
        return instrument.spoil(Reply(data, after))
