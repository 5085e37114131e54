"""One time constant through a curve that is still growing: quick enough to be made anew at every look.

For the screen only: the analysis after the run fits more than one mode, with uncertainties.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

GRID = 400
FEWEST_POINTS = 12
RATES_TRIED = 32
SHORTEST_SHARE, LONGEST_SHARE = 0.02, 3.0


@dataclass(frozen=True)
class LiveFit:
    """Time constant (s), rise of the plateau (K) at the last level of the input, base (degC), and what it gives.

    ``time_s`` (n,) and ``temperature_c`` (n,) of the curve; ``rms`` of the residuals in K.
    """

    time_constant_s: float
    steady_rise_k: float
    base_c: float
    rms_k: float
    time_s: Array
    temperature_c: Array

    def at(self, time_s: Array) -> Array:
        """Return the fitted temperature in degC at other times (m,) of the same span."""
        return np.interp(time_s, self.time_s, self.temperature_c)


def fit_live(time_s: Array, temperature_c: Array, input_w: Array) -> LiveFit | None:
    """Fit ``T = base + gain * response(input)`` of one mode; None where there is too little to fit.

    Parameters
    ----------
    time_s, temperature_c, input_w : (n,)
        Lab time in s, increasing; temperature in degC (NaN: left out); input power in W, taken to be constant until the
        next reading.
    """
    good = np.isfinite(temperature_c) & np.isfinite(input_w)
    time, temperature, power = time_s[good], temperature_c[good], input_w[good]
    lit = np.flatnonzero(power > 0)
    if time.size < FEWEST_POINTS or lit.size == 0 or time.size - lit[0] < FEWEST_POINTS or time[-1] <= time[0]:
        return None
    steps = np.diff(power, prepend=0.0)
    edges = np.flatnonzero(steps)
    levels = [(float(time[edge]), float(steps[edge])) for edge in edges]
    since_on = float(time[-1] - time[lit[0]])
    taus = since_on * np.geomspace(SHORTEST_SHARE, LONGEST_SHARE, RATES_TRIED)
    costs = [_solve(tau, levels, time, temperature)[0] for tau in taus]
    best = int(np.argmin(costs))
    fine = np.geomspace(taus[max(0, best - 1)], taus[min(RATES_TRIED - 1, best + 1)], RATES_TRIED)
    solved = [(_solve(tau, levels, time, temperature), float(tau)) for tau in fine]
    (cost, base, gain), tau = min(solved, key=lambda item: item[0][0])
    if gain <= 0:
        return None
    grid = np.linspace(time[0], time[-1], GRID)
    rms = float(np.sqrt(cost / time.size))
    curve = base + gain * response(grid, levels, tau)
    return LiveFit(tau, gain * float(power[lit[-1]]), base, rms, grid, curve)


def response(time_s: Array, steps: Sequence[tuple[float, float]], tau_s: float) -> Array:
    """Response (n,) of one mode of unit gain to an input that changes in steps (time in s, by how much)."""
    shape = np.zeros(time_s.size)
    for begin, by in steps:
        shape += by * -np.expm1(-np.maximum(time_s - begin, 0.0) / tau_s)
    return shape


def _solve(
    tau: float, steps: Sequence[tuple[float, float]], time: Array, temperature: Array
) -> tuple[float, float, float]:
    """Sum of squares, base and gain for one time constant: a line of temperature against the response."""
    x = response(time, steps, tau)
    spread = x - x.mean()
    gain = float(spread @ temperature / max(float(spread @ spread), 1e-30))
    base = float(temperature.mean() - gain * x.mean())
    return float(np.sum((temperature - base - gain * x) ** 2)), base, gain
