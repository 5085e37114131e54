"""One time constant through a curve that is still growing: quick enough to be made anew at every look.

For the screen only: the analysis after the run fits more than one mode, with uncertainties.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanolab.models.heat import mode_response, switched_input

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
    grid = np.linspace(time[0], time[-1], GRID)
    edges = np.flatnonzero(np.diff(power, prepend=0.0))
    drive = switched_input(grid, [(float(time[edge]), float(power[edge])) for edge in edges])
    since_on = float(time[-1] - time[lit[0]])
    taus = since_on * np.geomspace(SHORTEST_SHARE, LONGEST_SHARE, RATES_TRIED)
    costs = [_solve(tau, grid, drive, time, temperature)[0] for tau in taus]
    best = int(np.argmin(costs))
    fine = np.geomspace(taus[max(0, best - 1)], taus[min(RATES_TRIED - 1, best + 1)], RATES_TRIED)
    solved = [(_solve(tau, grid, drive, time, temperature), tau) for tau in fine]
    (cost, base, gain, shape), tau = min(solved, key=lambda item: item[0][0])
    if gain <= 0:
        return None
    rms = float(np.sqrt(cost / time.size))
    return LiveFit(float(tau), float(gain * power[lit[-1]]), float(base), rms, grid, base + gain * shape)


def _solve(tau: float, grid: Array, drive: Array, time: Array, temperature: Array) -> tuple[float, float, float, Array]:
    """Sum of squares, base, gain and shape on the grid for one time constant: a line of temperature against shape."""
    shape = mode_response(drive, float(grid[1] - grid[0]), 1.0 / tau)
    x = np.interp(time, grid, shape)
    spread = x - x.mean()
    gain = float(spread @ temperature / max(float(spread @ spread), 1e-30))
    base = float(temperature.mean() - gain * x.mean())
    return float(np.sum((temperature - base - gain * x) ** 2)), base, gain, shape
