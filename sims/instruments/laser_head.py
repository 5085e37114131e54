"""The optics of a turnkey laser head: a diode of the world, regulated to constant power by the head's own photodiode.

From power to current. The head first lets the current flow that the world's own calibration (`diode_current_for`: the
threshold line of the cold diode) gives for the power at the sample plane, which is the head's power times `transmission`.
From then on it compares once a second what its photodiode shows with what is set and trims the power that it asks the
calibration for, as the constant-power loop of a real head does (that one takes microseconds). The gain error of the world's
photodiode is thus the head's own: it reports what is set, and the power at the sample is off by that error.

Light, and the power that is reported, fall at once; the reported power rises with the time constant `lag_s`.
"""

import math

from sims.instruments.base import BenchWorld

REGULATED_EVERY_S = 1.0
_LOOP_GAIN = 0.3
_TRIM = (0.5, 1.5)

CASE_C = 25.0
"""Temperature at which the head holds its diode, degC."""


class RegulatedHead:
    """Powers at the head in W, currents in A.

    Parameters
    ----------
    world : BenchWorld
        Whose diode emits.
    transmission : float
        True share of the head's power that arrives at the sample plane.
    lag_s : float
        Time constant with which the reported power rises, s.
    """

    def __init__(self, world: BenchWorld, *, transmission: float = 0.9, lag_s: float = 0.2) -> None:
        self._world = world
        self.transmission = transmission
        self._lag_s = lag_s
        self._trim = 1.0
        self._set_w: float | None = None
        self._since = 0.0
        self._next_look_s = math.inf
        self.current_a = 0.0
        self.stuck = False
        """True while the output stage obeys neither off nor a lower power."""
        self.starved = False
        """True while the diode cannot give the power that is set."""

    @property
    def emitting(self) -> bool:
        """True while current flows."""
        return self.current_a > 0.0

    @property
    def due_s(self) -> float:
        """Lab time at which `regulate` wants to be called."""
        return self._next_look_s

    def emit(self, power_w: float) -> None:
        """Hold this power at the head from now on (constant power)."""
        if power_w == self._set_w:
            return
        self._set_w, self._trim = power_w, 1.0
        self._let_flow(self._current())
        self._next_look_s = self._world.time_s + REGULATED_EVERY_S

    def let_flow(self, current_a: float) -> None:
        """Hold this current (constant current)."""
        self._set_w, self._next_look_s = None, math.inf
        self._let_flow(current_a)

    def off(self, *, cut: bool = False) -> None:
        """Stop emitting; `cut` takes the diode's supply away, which even a stage that is stuck obeys."""
        self._set_w, self._next_look_s, self.starved = None, math.inf, False
        self._let_flow(0.0, cut=cut)

    def regulate(self) -> None:
        """Compare the photodiode with what is set; does nothing before it is due."""
        if self._set_w is None or self._world.time_s < self._next_look_s:
            return
        self._next_look_s = self._world.time_s + REGULATED_EVERY_S
        shown = self._world.photodiode_power_w() / self.transmission
        if shown > 0.0 and self._set_w > 0.0:
            low, high = _TRIM
            self._trim = min(max(self._trim * (1.0 + _LOOP_GAIN * (self._set_w / shown - 1.0)), low), high)
            self._let_flow(self._current())

    def measured_w(self) -> float:
        """Return the power that the head reports, W."""
        if not self.emitting:
            return 0.0
        risen = 1.0 - math.exp(-(self._world.time_s - self._since) / self._lag_s) if self._lag_s > 0.0 else 1.0
        return risen * self._world.photodiode_power_w() / self.transmission

    def _current(self) -> float:
        try:
            current = self._world.diode_current_for((self._set_w or 0.0) * self.transmission * self._trim)
        except ValueError:
            self.starved = True
            return self.current_a
        self.starved = False
        return current

    def _let_flow(self, current_a: float, *, cut: bool = False) -> None:
        if self.stuck and not cut:
            current_a = max(current_a, self.current_a)
        if current_a == self.current_a:
            return
        if not self.emitting:
            self._since = self._world.time_s
        self.current_a = current_a
        self._world.set_diode(current_a, CASE_C)
