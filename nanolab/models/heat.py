"""Heat flow in a cuvette as a few first-order modes: responses, apparent time constants, vapour density.

Symbols: rates p_i in 1/s (p_1 > p_2 > 0), gains G_i in K per unit of input (G_i = residue / p_i), so that a
linear body with temperature rise dT(t) under an input u(t) reads ``dT = sum_i G_i p_i int exp(-p_i (t - s)) u(s) ds``.
A body heated and measured in the same node has only positive gains, whatever the number of nodes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

Array = npt.NDArray[np.float64]

THETA_HIGH = 0.95
THETA_LOW = 0.10
"""The line of ln(theta) is drawn between these: above, the probe lags; below, noise and drift rule."""


def mode_response(inputs: Array, step_s: float, rate: float) -> Array:
    """Response of a first-order mode of unit gain to an input given as averages over equal cells.

    Parameters
    ----------
    inputs : (n - 1,) or (k, n - 1)
        Mean input in each cell between grid points.
    step_s : float
        Cell width in s.
    rate : float
        Rate of the mode in 1/s.

    Returns
    -------
    (n,) or (k, n)
        Response at the grid points, in the unit of the input; zero at the first.
    """
    keep = np.exp(-rate * step_s)
    driven = lfilter([1.0 - keep], [1.0, -keep], inputs, axis=-1)
    zero = np.zeros((*np.shape(inputs)[:-1], 1))
    return np.concatenate([zero, driven], axis=-1)


def cell_means(values: Array) -> Array:
    """Mean over each cell of a function that is linear between grid points, shape (..., n) to (..., n - 1)."""
    return 0.5 * (values[..., 1:] + values[..., :-1])


def switched_input(grid_s: Array, switches: Sequence[tuple[float, float]]) -> Array:
    """Cell means (n - 1,) of an input that takes a new level at each switch (time in s, level); zero before.

    Cells in which the input switches get the share of the level that they see.
    """
    levels = np.array([0.0, *(level for _, level in switches)])
    times = np.array([time for time, _ in switches])
    # integral of the input up to each grid point, exact for steps
    edges = np.concatenate([[min(grid_s[0], times.min(initial=grid_s[0]))], times])
    integral_at_edges = np.concatenate([[0.0], np.cumsum(levels[:-1] * np.diff(edges))])
    index = np.searchsorted(times, grid_s, side="right")
    integral = integral_at_edges[index] + levels[index] * (grid_s - edges[index])
    result: Array = np.diff(integral) / np.diff(grid_s)
    return result


@dataclass(frozen=True)
class TwoModes:
    """Two first-order modes with a temperature-dependent loss, hS = hS_0 (1 + b dT).

    Parameters
    ----------
    rates : (p_1, p_2) in 1/s
    gains : (G_1, G_2) in K per unit input, of the body at small rises
    curvature : float
        b in 1/K.
    """

    rates: tuple[float, float]
    gains: tuple[float, float]
    curvature: float = 0.0

    @property
    def gain(self) -> float:
        """Steady rise per unit input at small rises, K."""
        return self.gains[0] + self.gains[1]

    @property
    def initial_slope(self) -> float:
        """First slope after switching on, K/s per unit input (independent of the loss)."""
        return self.gains[0] * self.rates[0] + self.gains[1] * self.rates[1]

    @property
    def loss_rate(self) -> float:
        """Initial slope over the steady rise, p_1 p_2 / z: the effective hS / C_s, 1/s."""
        return self.initial_slope / self.gain

    def steady_rise(self, level: float = 1.0) -> float:
        """Rise in K at which loss and input balance: dT (1 + b dT) = G u."""
        linear = self.gain * level
        root = np.sqrt(max(1.0 + 4.0 * self.curvature * linear, 0.0))
        return float(2.0 * linear / (1.0 + root))

    def response(self, drive: Array, step_s: float) -> Array:
        """Rise (n,) in K on a grid of equal steps, from rest, to a drive given as cell means (n - 1,).

        The curved part of the loss, b dT^2, is heat withdrawn from the same node; a few sweeps of fixed-point
        iteration settle it, since b dT is small.
        """
        linear = sum(g * mode_response(drive, step_s, p) for g, p in zip(self.gains, self.rates, strict=True))
        rise = np.asarray(linear)
        if self.curvature == 0.0 or self.gain == 0.0:
            return rise
        for _ in range(5):
            withdrawn = (self.curvature / self.gain) * cell_means(rise**2)
            cooled = sum(g * mode_response(withdrawn, step_s, p) for g, p in zip(self.gains, self.rates, strict=True))
            rise = np.asarray(linear - cooled)
        return rise

    def heat_and_cool(self, heat_s: float, level: float = 1.0, points: int = 400) -> tuple[float, float]:
        """Heat from rest for `heat_s` at an input `level` and let cool as long: rise in K at the end, apparent tau in s.

        Tau is the time constant of the line of ln(theta), theta counted from the rise at the end of heating: what
        a person reads off such a run, whatever the number of modes.
        """
        step_s = heat_s / points
        drive = np.concatenate([np.full(points, level), np.zeros(points)])
        rise = self.response(drive, step_s)
        end = float(rise[points])
        times = step_s * np.arange(points + 1, dtype=float)
        return end, ln_theta_time_constant(times, rise[points:] / end)


def ln_theta_time_constant(times_s: Array, theta: Array) -> float:
    """Apparent time constant in s: minus the inverse slope of ln(theta) against time, theta in 0.95..0.1.

    Source: the linear cooling plot of Roper, Ahn & Hoepfner, J. Phys. Chem. C 111, 3636 (2007),
    10.1021/jp064341w, held to the range where it is a line. NaN with fewer than three points in the range.

    Parameters
    ----------
    times_s, theta : (n,)
        Time and the share of the rise that is left.
    """
    inside = theta_range(theta)
    if np.count_nonzero(inside) < 3:
        return float("nan")
    slope = np.polyfit(times_s[inside], np.log(theta[inside]), 1)[0]
    return float(-1.0 / slope)


def theta_range(theta: Array) -> npt.NDArray[np.bool_]:
    """Mark the points (n,) used for the line: from the first below 0.95 to the last before falling below 0.1."""
    with np.errstate(invalid="ignore"):
        below_low = np.flatnonzero(theta < THETA_LOW)
        inside = (theta <= THETA_HIGH) & (theta >= THETA_LOW)
    if below_low.size:
        inside[below_low[0] :] = False
    result: npt.NDArray[np.bool_] = inside
    return result


def saturation_vapour_density(temperature_c: Array | float) -> Array:
    """Saturated water vapour over water in kg/m3 (Magnus form over R_v T, R_v = 461.5 J/(kg K)).

    Parameters
    ----------
    temperature_c : (...)
        degC.
    """
    celsius = np.asarray(temperature_c, dtype=float)
    pressure = 610.94 * np.exp(17.625 * celsius / (celsius + 243.04))
    return np.asarray(pressure / (461.5 * (celsius + 273.15)))
