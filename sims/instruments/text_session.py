"""Instruments on a serial line that speak in lines of text: one client's connection, and what the box adds to it."""

from abc import abstractmethod

import numpy as np

from sims.instruments.base import BenchWorld, InstrumentSimulator, Reply, Session

_INPUT_LIMIT = 4096


class TextInstrument(InstrumentSimulator):
    """An instrument that answers lines which end with CR (LF, CR LF).

    Parameters
    ----------
    reply_s : float
        Time from a command to its reply where the bench runs in real time, s; scaled with its speed, 0 at full speed.
    """

    serial = True
    one_client = True

    def __init__(
        self, world: BenchWorld, rng: np.random.Generator, *, reply_s: float = 0.01, slow_reply_s: float = 30.0
    ) -> None:
        super().__init__(world, rng, slow_reply_s=slow_reply_s)
        self.reply_s = reply_s

    def connection(self) -> Session:
        """Return a session for a client that has just connected."""
        return TextSession(self)

    @abstractmethod
    def answer(self, line: str) -> str:
        """Carry out one line (blanks around it removed, never empty) and return all that is sent back, ends included."""


class TextSession(Session):
    """One client of a `TextInstrument`: lines out of chunks, replies in order. Lines of blanks are not answered."""

    def __init__(self, instrument: TextInstrument) -> None:
        self._instrument = instrument
        self._buffer = b""

    def feed(self, data: bytes) -> list[Reply]:
        """Take any piece of the stream; return the replies of all lines that it completes."""
        instrument = self._instrument
        if instrument.deaf:
            return []
        *lines, self._buffer = (self._buffer + data).replace(b"\n", b"\r").split(b"\r")
        if len(self._buffer) > _INPUT_LIMIT:
            self._buffer = b""
        replies: list[Reply] = []
        for line in lines:
            text = line.decode("latin-1").strip()
            said = instrument.answer(text) if text else ""
            if said:
                after = instrument.reply_s * instrument.wall_s_per_lab_s
                replies += instrument.spoil(Reply(said.encode("latin-1"), after))
        return replies

    def clear(self) -> None:
        """Forget a line that is not complete."""
        self._buffer = b""
