"""Lab time of the simulated bench: who moves it, and in what steps.

At a finite speed lab time is `speed` times the wall time since the bench was ready; at full speed it moves
only when a client asks. Either way the world is moved in slices that end wherever an instrument is due, and
at least every 0.5 s, so that ramps, scans and protections act when they should and not late.
"""

import time
from collections.abc import Callable, Sequence
from math import inf
from typing import Protocol

from sims.instruments.base import InstrumentSimulator

SLICE_S = 0.5
"""Longest step of lab time between two ticks, s."""

_BUDGET_S = 0.05  # wall time after which a bench that cannot keep up lets its clients have their turn
_IDLE_S = 0.1  # at a finite speed the world is looked after this often even when nobody asks (wall time)


class MovableWorld(Protocol):
    """The part of the world that the clock moves."""

    @property
    def time_s(self) -> float:
        """Lab time, s."""

    def advance_to(self, time_s: float) -> None:
        """Integrate forward to this lab time."""


class LabClock:
    """Moves one world and ticks its instruments.

    Parameters
    ----------
    world : MovableWorld
        The world; its lab time is the bench's.
    instruments : sequence of InstrumentSimulator
        Ticked after every step.
    speed : float or None
        Lab seconds per wall second; None for full speed, where only `advance` moves time.
    """

    def __init__(
        self,
        world: MovableWorld,
        instruments: Sequence[InstrumentSimulator],
        speed: float | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.speed = speed
        self._world = world
        self._instruments = tuple(instruments)
        self._monotonic = monotonic
        self._start = monotonic()
        self._offset_s = world.time_s
        self._appointments: list[tuple[float, Callable[[], None]]] = []
        for instrument in self._instruments:
            instrument.wall_s_per_lab_s = 0.0 if speed is None else 1.0 / speed

    @property
    def time_s(self) -> float:
        """Lab time, s."""
        return self._world.time_s

    def start(self) -> None:
        """Let lab time run from this moment (the bench is ready)."""
        self._start = self._monotonic()

    def at(self, time_s: float, action: Callable[[], None]) -> None:
        """Have `action` done when lab time reaches `time_s`; ValueError where that is past."""
        if time_s < self._world.time_s:
            raise ValueError(f"lab time {time_s:g} s is past: it is {self._world.time_s:g} s")
        self._appointments.append((time_s, action))
        self._appointments.sort(key=lambda appointment: appointment[0])

    def advance(self, seconds: float) -> None:
        """Move lab time by `seconds`, ticking the instruments on the way."""
        self._move(self._world.time_s + seconds, inf)

    def catch_up(self) -> None:
        """Move lab time to where the wall clock says it should be. Does nothing at full speed.

        A speed that this machine cannot hold makes lab time lag behind; it catches up when it can.
        """
        if self.speed is not None:
            now = self._monotonic()
            target = self._offset_s + (now - self._start) * self.speed
            if target > self._world.time_s:
                self._move(target, now + _BUDGET_S)

    def wall_s_until_due(self) -> float | None:
        """Return how long (wall time, s) nothing needs to happen; None where only clients move time."""
        if self.speed is None:
            return None
        due = min((instrument.due_s for instrument in self._instruments), default=inf)
        target = self._offset_s + (self._monotonic() - self._start) * self.speed
        return min(max((due - target) / self.speed, 0.0), _IDLE_S)

    def _move(self, target: float, deadline: float) -> None:
        world, instruments = self._world, self._instruments
        now = world.time_s
        while now < target:
            step = min(target, now + SLICE_S)
            for instrument in instruments:
                if now < instrument.due_s < step:
                    step = instrument.due_s
            if self._appointments:
                step = min(step, max(now, self._appointments[0][0]))
            world.advance_to(step)
            while self._appointments and self._appointments[0][0] <= step:
                self._appointments.pop(0)[1]()
            for instrument in instruments:
                instrument.tick()
            now = step
            if deadline != inf and self._monotonic() > deadline:
                break
