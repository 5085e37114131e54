"""Lab time: what readings are stamped with and what plans wait on.

A real bench runs on the wall clock. A simulated bench runs at a factor of it, or at the server's own
virtual time, which only `sleep` advances.
"""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Lab time in seconds, and the only way to wait for it."""

    wall: bool
    """True where lab time passes as wall time does."""
    speed: float
    """Lab seconds per wall second; infinite where lab time is not tied to wall time at all."""

    def now(self) -> float:
        """Return lab time in seconds since its epoch."""

    async def sleep(self, seconds: float) -> None:
        """Wait until `seconds` of lab time have passed."""


class WallClock:
    """Lab time is wall time."""

    wall = True
    speed = 1.0

    def now(self) -> float:
        """Return seconds since the Unix epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait on the wall clock."""
        await asyncio.sleep(max(0.0, seconds))


class ScaledClock:
    """Lab time passes `speed` times as fast as wall time, in step with a server that told us its time."""

    def __init__(self, time_s: float, speed: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        if speed <= 0:
            raise ValueError(f"speed must be positive, not {speed:g}")
        self.wall = speed == 1
        self.speed = speed
        self._monotonic = monotonic
        self._start = monotonic()
        self._offset = time_s

    def now(self) -> float:
        """Return the server's lab time, extrapolated from when it was last asked."""
        return self._offset + (self._monotonic() - self._start) * self.speed

    async def sleep(self, seconds: float) -> None:
        """Wait for the wall time that `seconds` of lab time take."""
        await asyncio.sleep(max(0.0, seconds) / self.speed)


class VirtualClock:
    """Lab time moves only when `sleep` asks the bench to advance (``--speed max``)."""

    wall = False
    speed = math.inf

    def __init__(self, time_s: float, advance: Callable[[float], float]) -> None:
        self._now = time_s
        self._advance = advance

    def now(self) -> float:
        """Return lab time as of the last advance."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Advance the bench by `seconds`; returns as soon as it has."""
        if seconds > 0:
            self._now = self._advance(seconds)
        await asyncio.sleep(0)
