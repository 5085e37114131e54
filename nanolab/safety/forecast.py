"""The forecast rule: trips when the sample is about to pass its limit, before it has.

The last minute is fitted with one first-order mode about the present,

    T(t) = T_now + s (1 - exp(-k t)) / k,

for each of a range of rates k (k = 0 is a straight line); of a body with several modes this is the one that rules now, since
old readings fade with a time constant of `FADE_S`. Least squares at each k, the best k is kept, and the forecast carries
its standard uncertainty. The limit counts as reached where the forecast plus `COVER` of these are above it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nanolab.safety.rules import Finding
from nanolab.safety.scene import Moment, Scene

RATES_PER_S = np.concatenate([[1e-6], np.geomspace(1.0 / 2000.0, 1.0 / 5.0, 10)])
FADE_S = 15.0
WINDOW_S = 60.0
AT_LEAST = 8
"""Readings since the last change of power that a mode is fitted to; before, a line through the last ten seconds is."""
SETTLE_S = 3.0
"""Lab time after a change of power in which probe and soft start lag."""
LINE_S = 10.0
CHOICE_OF_RATE = 1.7
"""What choosing the best of the rates adds to the uncertainty of the fit itself, found from many noisy series."""
COVER = 1.2
"""Standard uncertainties between forecast and limit (one-sided 88 %): more trips earlier, and nearer to a false trip."""

Series = Sequence[tuple[float, float]]


def extrapolate(readings: Series, ahead_s: float, rates_per_s: "np.ndarray[tuple[int], np.dtype[np.float64]]" = RATES_PER_S) -> tuple[float, float]:  # fmt: skip
    """Return the temperature `ahead_s` after the last reading, degC, and its standard uncertainty, K.

    Parameters
    ----------
    readings : sequence of (time in s, degC)
        At least four, in order, at different times.
    rates_per_s : (m,)
        Rates to try; a single tiny one makes a straight line.
    """
    times, values = np.array(readings, dtype=float).T
    x = times - times[-1]
    fade = max(FADE_S, 3.0 * float(x[-1] - x[-2]))
    weights = np.exp(2.0 * x / fade)
    basis = -np.expm1(-np.outer(rates_per_s, x)) / rates_per_s[:, None]
    # weighted normal equations of two parameters, for every rate at once
    total = weights.sum()
    mean_basis = basis @ weights / total
    mean_value = float(values @ weights / total)
    centred = basis - mean_basis[:, None]
    spread = (centred**2) @ weights
    slope = (centred * weights) @ (values - mean_value) / spread
    residuals = (values - mean_value) - slope[:, None] * centred
    squares = (residuals**2) @ weights
    best = int(np.argmin(squares))
    rate = rates_per_s[best]
    reach = float(-np.expm1(-rate * ahead_s) / rate - mean_basis[best])
    return mean_value + float(slope[best]) * reach, _uncertainty(weights, centred[best], residuals[best], reach)


def _uncertainty(weights: "np.ndarray", centred: "np.ndarray", residuals: "np.ndarray", reach: float) -> float:
    """Return the standard uncertainty of the forecast, the residuals of the fit giving the noise of one reading."""
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    noise2 = float((residuals**2) @ weights / weights.sum()) * effective / max(effective - 3.0, 1.0)
    # what each reading weighs in the forecast, and the noise of all of them together
    shares = weights / weights.sum() + reach * weights * centred / float((centred**2) @ weights)
    return CHOICE_OF_RATE * float(np.sqrt(noise2 * (shares**2).sum()))


@dataclass(frozen=True)
class Forecast:
    """While the laser emits, the sample does not reach `limit_c` within `reaction_s` of lab time and one reading more."""

    limit_c: float
    reaction_s: float
    name: ClassVar[str] = "forecast"
    timed: ClassVar[bool] = False

    def look(self, scene: Scene, now: Moment) -> Finding | None:
        """Fit and extrapolate where the limit is near enough to be reached."""
        if scene.emission is None or len(scene.heated) < 4:
            return None
        ahead_s = self.reaction_s + scene.heated[-1][0] - scene.heated[-2][0]
        if not _near(scene.heated, ahead_s, self.limit_c):
            return None
        first_s = scene.emission.since.lab_s + SETTLE_S
        readings = [entry for entry in scene.heated if entry[0] >= first_s]
        if len(readings) < 4:
            return None
        end_s = readings[-1][0]
        steady = [entry for entry in readings if entry[0] >= scene.power_steps[-1][0] + SETTLE_S]
        if len(steady) >= AT_LEAST:
            recent = [entry for entry in steady if end_s - entry[0] <= WINDOW_S]
            chosen = recent if len(recent) >= AT_LEAST else steady[-AT_LEAST:]
            coming_c, u_k = extrapolate(chosen, ahead_s)
        else:
            recent = [entry for entry in readings if end_s - entry[0] <= LINE_S]
            coming_c, u_k = extrapolate(recent if len(recent) >= 4 else readings[-4:], ahead_s, RATES_PER_S[:1])
        if coming_c + COVER * u_k <= self.limit_c:
            return None
        text = (
            f"the sample is at {readings[-1][1]:.4g} degC and is expected at {coming_c:.4g} degC in {ahead_s:.3g} s "
            f"(u = {u_k:.2g} K), at the limit of {self.limit_c:g} degC"
        )
        return Finding(self.name, coming_c, self.limit_c, "degC", text)


def _near(readings: Series, ahead_s: float, limit_c: float) -> bool:
    """Return whether one and a half times the present slope, with a margin, would reach the limit: cheap, and seldom true."""
    time_s, value_c = readings[-1]
    before_s, before_c = next((entry for entry in reversed(readings) if time_s - entry[0] >= SETTLE_S), readings[0])
    slope = max(0.0, (value_c - before_c) / max(time_s - before_s, 1e-3))
    return value_c + 1.5 * slope * ahead_s + 1.0 >= limit_c
