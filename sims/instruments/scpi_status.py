"""The status model of SCPI-1999 volume 1, chapter 9: error queue and register groups."""

from collections import deque
from collections.abc import Callable

from sims.instruments.scpi_values import ERROR_TEXTS, ScpiError


class ErrorQueue:
    """First in, first out, `depth` entries; an error too many turns the last one into -350.

    ``summary`` collects the bits that the errors set in the standard event register (IEEE 488.2, 11.5.1).
    """

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self._errors: deque[ScpiError] = deque()
        self.summary = 0

    def __len__(self) -> int:
        return len(self._errors)

    def push(self, error: ScpiError) -> None:
        """Append an error, or mark the overflow."""
        self.summary |= _summary_bit(error.code)
        if len(self._errors) < self.depth:
            self._errors.append(error)
        else:
            self._errors[-1] = ScpiError(-350)

    def pop(self) -> str:
        """Return and forget the oldest error: ``-113,"Undefined header"``; ``+0,"No error"`` if none."""
        if not self._errors:
            return f'+0,"{ERROR_TEXTS[0]}"'
        error = self._errors.popleft()
        return f'{error.code:+d},"{error.text}"'

    def clear(self) -> None:
        """Forget all errors."""
        self._errors.clear()


def _summary_bit(code: int) -> int:
    if -200 < code <= -100:
        return 32  # command error
    if -300 < code <= -200:
        return 16  # execution error
    if -500 < code <= -400:
        return 4  # query error
    return 8  # device-dependent: -3xx and the maker's own positive numbers


class StatusGroup:
    """A condition register, its transition filters, the latched event register and the enable mask."""

    def __init__(self, condition: Callable[[], int]) -> None:
        self.condition = condition
        self.positive = 0x7FFF
        self.negative = 0
        self.enable = 0
        self._event = 0
        self._last = 0

    def update(self) -> int:
        """Latch what has changed since the last call; return the condition."""
        now = self.condition()
        if now != self._last:
            self._event |= (now & ~self._last & self.positive) | (self._last & ~now & self.negative)
            self._last = now
        return now

    def latch(self, bits: int) -> None:
        """Set event bits that have no lasting condition."""
        self._event |= bits & 0x7FFF

    def read_event(self) -> int:
        """Return the event register and clear it, as reading does."""
        self.update()
        event, self._event = self._event, 0
        return event

    def clear_event(self) -> None:
        """Clear the event register (`*CLS`)."""
        self.update()
        self._event = 0

    def preset(self) -> None:
        """Reset the filters and the mask (`STAT:PRES`)."""
        self.positive, self.negative, self.enable = 0x7FFF, 0, 0

    @property
    def summary(self) -> bool:
        """Whether an enabled event is latched."""
        return bool(self._event & self.enable)
