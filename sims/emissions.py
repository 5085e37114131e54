"""When emission began and ended, in wall time: for measuring how fast something turns the laser off.

The world knows no wall clock; it tells of each change, and this log stamps it. `time.monotonic()` is the same for all
processes of one machine, so that a test can compare the stamps with its own.
"""

import time
from collections import deque
from typing import Any

LONGEST = 10_000
"""The log keeps the last changes, so many."""


class EmissionLog:
    """Stamps every change of emission."""

    def __init__(self) -> None:
        self._changes: deque[tuple[bool, float]] = deque(maxlen=LONGEST)

    def note(self, emitting: bool) -> None:
        """Take note that emission has begun or ended now."""
        self._changes.append((emitting, time.monotonic()))

    def told(self) -> list[dict[str, Any]]:
        """Return the changes in order: ``emitting`` and ``monotonic_s``, wall seconds of `time.monotonic`."""
        return [{"emitting": emitting, "monotonic_s": moment} for emitting, moment in self._changes]
