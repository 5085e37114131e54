"""Thermal dose as cumulative equivalent minutes at 43 degC (CEM43).

    CEM43 = int R^(43 - T) dt,   R = 0.5 at and above 43 degC, 0.25 below

S. A. Sapareto and W. C. Dewey, Int. J. Radiat. Oncol. Biol. Phys. 10, 787 (1984), 10.1016/0360-3016(84)90379-1.
Between two readings the temperature is taken as a straight line and the integral over it is exact, so that a slow
cadence neither hides nor invents dose. There is no lower cut-off: below 39 degC the dose counts, little as it is.
"""

import math
from dataclasses import dataclass

REFERENCE_C = 43.0
R_ABOVE = 0.5
R_BELOW = 0.25


def cem43_of_ramp(start_c: float, end_c: float, seconds: float) -> float:
    """Return the dose in minutes of a straight line from `start_c` to `end_c` (degC) over `seconds`.

    ValueError where a temperature is not finite or the time is negative.
    """
    if not (math.isfinite(start_c) and math.isfinite(end_c) and seconds >= 0):
        raise ValueError(f"no dose of {start_c} to {end_c} degC in {seconds} s")
    minutes = seconds / 60.0
    low, high = sorted((start_c, end_c))
    if low < REFERENCE_C < high:
        below = (REFERENCE_C - low) / (high - low)
        return _one_branch(low, REFERENCE_C, below * minutes, R_BELOW) + _one_branch(
            REFERENCE_C, high, (1.0 - below) * minutes, R_ABOVE
        )
    return _one_branch(low, high, minutes, R_ABOVE if low >= REFERENCE_C else R_BELOW)


def _one_branch(low_c: float, high_c: float, minutes: float, base: float) -> float:
    """Integrate base^(43 - T) over a rising line on one side of 43 degC."""
    steepness = -math.log(base)
    at_low = math.exp(steepness * (low_c - REFERENCE_C))
    span = steepness * (high_c - low_c)
    # the mean of exp over the line is (exp(span) - 1) / span: 1 for a flat one
    return minutes * at_low * (math.expm1(span) / span if span > 0.0 else 1.0)


@dataclass
class ThermalDose:
    """Dose that grows with each valid reading; what is invalid is bridged by a straight line once a valid one comes."""

    minutes: float = 0.0
    _last: tuple[float, float] | None = None

    def add(self, time_s: float, temperature_c: float) -> None:
        """Take a valid reading: lab time in s, degC. One that is not later than the last adds nothing."""
        if self._last is not None:
            before_s, before_c = self._last
            self.minutes += cem43_of_ramp(before_c, temperature_c, max(0.0, time_s - before_s))
        self._last = (time_s, temperature_c)
