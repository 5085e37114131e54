"""One client's connection to an instrument that speaks the Ocean Binary Protocol."""

from collections import deque
from typing import TYPE_CHECKING

from sims.instruments.base import Reply, Session
from sims.instruments.obp import Message, Reassembler

if TYPE_CHECKING:
    from sims.instruments.ocean_flamex import OceanFlameXSimulator

_ABORT = 0x00100000


class ObpSession(Session):
    """Reassembles frames and answers them; holds a spectrum back until its trigger pulse comes."""

    def __init__(self, instrument: "OceanFlameXSimulator") -> None:
        self._instrument = instrument
        self._frames = Reassembler()
        self._held: deque[tuple[Message, int]] = deque()

    def feed(self, data: bytes) -> list[Reply]:
        """Take bytes in whatever pieces they come and return the replies, in order."""
        if self._instrument.deaf:
            self._frames.clear()
            return []
        replies: list[Reply] = []
        for message in self._frames.feed(data):
            replies += self._carry_out(message)
        return replies + self.resume()

    def resume(self) -> list[Reply]:
        """Return the spectra whose trigger pulse has come."""
        instrument = self._instrument
        replies: list[Reply] = []
        while self._held and not instrument.deaf:
            message, pulses_before = self._held[0]
            if not (instrument.free_running or (instrument.triggered and instrument.pulses > pulses_before)):
                break
            self._held.popleft()
            # one pulse is one exposure: the next spectrum waits for the next pulse
            self._held = deque((other, max(before, pulses_before + 1)) for other, before in self._held)
            replies += self._answered(message)
        self.waiting = bool(self._held)
        return replies

    def clear(self) -> None:
        """Forget a half-received frame and spectra that wait."""
        self._frames.clear()
        self._held.clear()
        self.waiting = False

    def _carry_out(self, message: Message) -> list[Reply]:
        instrument = self._instrument
        if message.error is None and instrument.is_spectrum(message) and not instrument.free_running:
            self._held.append((message, instrument.pulses))
            return []
        if message.error is None and message.type == _ABORT:
            self._held.clear()
        return self._answered(message)

    def _answered(self, message: Message) -> list[Reply]:
        reply = self._instrument.carry_out(message)
        return [] if reply is None else self._instrument.spoil(reply)
