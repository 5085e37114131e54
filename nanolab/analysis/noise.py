"""Noise that remembers: autoregressive models of residuals, whitening, and draws of the same kind.

Residuals of real temperature curves are correlated over many samples. An interval that takes them for white
covers a third to a half of what it promises; all intervals here come from whitened fits or from draws of the
fitted noise.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

LARGEST_ROOT = 0.985
"""Poles of an estimated noise model are held inside this radius: beyond, drift and noise cannot be told apart."""


@dataclass(frozen=True)
class ArNoise:
    """Autoregressive noise on an even grid: e_t = sum_j phi_j e_(t-j) + white noise of standard deviation `sigma`."""

    phi: Array
    sigma: float

    @property
    def order(self) -> int:
        """Number of earlier samples that a sample remembers."""
        return int(self.phi.size)

    @property
    def long_run_sd(self) -> float:
        """Standard deviation per root sample of a long mean: sigma / |1 - sum phi|."""
        return float(self.sigma / abs(1.0 - self.phi.sum()))

    def rows(self, present: Mask) -> npt.NDArray[np.intp]:
        """Grid rows (r,) whose whole memory is present."""
        complete = present[self.order :].copy()
        for lag in range(1, self.order + 1):
            complete &= present[self.order - lag : present.size - lag]
        return np.flatnonzero(complete) + self.order

    def whiten(self, values: Array, rows: npt.NDArray[np.intp]) -> Array:
        """Whiten (n,) or (n, k) on the grid; returns the given rows, in units of `sigma`."""
        out = values[rows].copy()
        for lag, phi in enumerate(self.phi, start=1):
            out -= phi * values[rows - lag]
        return np.asarray(out / self.sigma)

    def draw(self, generator: np.random.Generator, count: int, length: int) -> Array:
        """Draw `count` series (count, length) of this noise, past its transient."""
        settle = 20 * (self.order + 1) + 200
        white = generator.normal(0.0, self.sigma, size=(count, length + settle))
        series = lfilter([1.0], np.concatenate([[1.0], -self.phi]), white, axis=-1)
        return np.asarray(series[:, settle:])


def estimate_noise(
    residuals: Array, present: Mask, *, largest_order: int = 8, parameters: int = 0, floor: float = 1e-12
) -> ArNoise:
    """Fit an autoregressive model to residuals on an even grid, its order chosen by AIC.

    Parameters
    ----------
    residuals : (n,)
        What a fit left; ignored where not `present`.
    present : (n,) bool
        Where the grid holds data.
    largest_order : int
        Upper limit of the order.
    parameters : int
        Number of parameters that the fit took out of the data; raises sigma accordingly.
    floor : float
        Smallest sigma: data without noise would give priors no weight and a fit no end.
    """
    values = np.where(present, residuals, 0.0)
    best: tuple[float, ArNoise] | None = None
    limit = max(0, min(largest_order, int(np.count_nonzero(present)) // 30))
    common = ArNoise(np.zeros(limit), 1.0).rows(present)
    if common.size < 4 * (limit + 1):
        limit, common = 0, np.flatnonzero(present)
    for order in range(limit + 1):
        lagged = np.stack([values[common - lag] for lag in range(1, order + 1)], axis=1) if order else None
        phi = np.linalg.lstsq(lagged, values[common], rcond=None)[0] if lagged is not None else np.zeros(0)
        left = values[common] - (lagged @ phi if lagged is not None else 0.0)
        variance = max(float(np.mean(left**2)), floor**2)
        score = common.size * np.log(variance) + 2.0 * order
        if best is None or score < best[0] - 1e-9:
            freedom = max(common.size - parameters - order, 1)
            best = (score, ArNoise(_held_stationary(phi), float(np.sqrt(variance * common.size / freedom))))
    if best is None:
        raise ValueError("no residuals: the curve holds no valid point")
    return best[1]


def _held_stationary(phi: Array) -> Array:
    """Pull the poles of an autoregressive model inside the unit circle."""
    if phi.size == 0:
        return phi
    roots = np.roots(np.concatenate([[1.0], -phi]))
    radius = float(np.max(np.abs(roots)))
    if radius <= LARGEST_ROOT:
        return phi
    # scaling phi_j by s^j scales every pole by s
    return np.asarray(phi * (LARGEST_ROOT / radius) ** np.arange(1, phi.size + 1))


def autocorrelation(residuals: Array, present: Mask, lag: int = 1) -> float:
    """Autocorrelation of residuals at a lag, over the pairs that are both present; 0 where there are none."""
    both = present[lag:] & present[:-lag]
    if np.count_nonzero(both) < 3:
        return 0.0
    first, second = residuals[:-lag][both], residuals[lag:][both]
    scale = float(np.sqrt(np.mean(first**2) * np.mean(second**2)))
    return float(np.mean(first * second) / scale) if scale > 0 else 0.0
