"""A straight calibration line, its detection limits, and whether it is straight.

LOD = 3.3 s / slope and LOQ = 10 s / slope (ICH Q2), with s the standard deviation of independent blanks; the scatter
of the calibration points about the line stands in where there are none. Repeated reads of one blank are not
independent blanks: they know nothing of what differs from well to well and from day to day.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import f as f_distribution

Array = npt.NDArray[np.float64]

LOD_FACTOR, LOQ_FACTOR = 3.3, 10.0
CURVED_BELOW = 0.05
"""Probability below which the gain of a quadratic term is not left to chance."""

FEWEST_BLANKS = 3


@dataclass(frozen=True)
class CalibrationLine:
    """Line signal = intercept + slope x concentration by least squares.

    ``scatter`` is the standard deviation about the line, ``blank_sd`` that of the blanks (None without);
    ``lod`` and ``loq`` in the unit of the concentration, from what ``rests_on`` says; ``curvature_p`` is the
    probability of so large a quadratic term on a straight line (None with fewer than four points).
    """

    slope: float
    intercept: float
    slope_u: float
    intercept_u: float
    covariance: float
    scatter: float
    r2: float
    points: int
    lod: float
    loq: float
    rests_on: str
    blank_sd: float | None
    curvature_p: float | None

    @property
    def curved(self) -> bool:
        """Whether the residuals bend more than chance lets them."""
        return self.curvature_p is not None and self.curvature_p < CURVED_BELOW

    def concentration(self, signal: npt.ArrayLike) -> Array:
        """Return concentrations (n,) of signals (n,)."""
        return np.asarray((np.asarray(signal, dtype=np.float64) - self.intercept) / self.slope)

    def uncertainty(self, signal: npt.ArrayLike, readings: int = 1) -> Array:
        """Standard uncertainty of concentrations (n,) read off the line, each from the mean of ``readings``."""
        x = self.concentration(signal)
        line = self.intercept_u**2 + x**2 * self.slope_u**2 + 2.0 * x * self.covariance
        return np.asarray(np.sqrt(np.maximum(line, 0.0) + self.scatter**2 / readings) / abs(self.slope))


def calibrate(
    concentration: npt.ArrayLike, signal: npt.ArrayLike, blanks: npt.ArrayLike | None = None
) -> CalibrationLine:
    """Fit a calibration line to (n,) points.

    Parameters
    ----------
    concentration, signal : (n,)
        At least three points, in any units.
    blanks : (m,), optional
        Signals of independent blanks, at least three.

    Raises
    ------
    ValueError
        Too few points or blanks, equal concentrations, values not finite, or a line without a slope.
    """
    x, y = np.asarray(concentration, dtype=np.float64), np.asarray(signal, dtype=np.float64)
    if x.shape != y.shape or x.size < 3 or not np.all(np.isfinite(x)) or not np.all(np.isfinite(y)):
        raise ValueError(f"a calibration needs at least three finite points, not {x.size}")
    if np.ptp(x) == 0:
        raise ValueError("all calibration points have the same concentration")
    centre, spread = float(x.mean()), float(np.sum((x - x.mean()) ** 2))
    slope = float(np.sum((x - centre) * y) / spread)
    if slope == 0:
        raise ValueError("the signal does not change with the concentration")
    intercept = float(y.mean() - slope * centre)
    left = y - intercept - slope * x
    scatter = float(np.sqrt(np.sum(left**2) / (x.size - 2)))
    blank_sd, rests_on = _blank_sd(blanks)
    s = scatter if blank_sd is None else blank_sd
    total = float(np.sum((y - y.mean()) ** 2))
    return CalibrationLine(
        slope=slope,
        intercept=intercept,
        slope_u=scatter / float(np.sqrt(spread)),
        intercept_u=scatter * float(np.sqrt(1.0 / x.size + centre**2 / spread)),
        covariance=-(scatter**2) * centre / spread,
        scatter=scatter,
        r2=1.0 - float(np.sum(left**2)) / total if total > 0 else 0.0,
        points=int(x.size),
        lod=LOD_FACTOR * s / abs(slope),
        loq=LOQ_FACTOR * s / abs(slope),
        rests_on=rests_on,
        blank_sd=blank_sd,
        curvature_p=_curvature_p(x, y, float(np.sum(left**2))),
    )


def _blank_sd(blanks: npt.ArrayLike | None) -> tuple[float | None, str]:
    if blanks is None:
        return None, "scatter about the line"
    values = np.asarray(blanks, dtype=np.float64)
    if values.size < FEWEST_BLANKS or not np.all(np.isfinite(values)):
        raise ValueError(f"at least {FEWEST_BLANKS} independent finite blanks are needed, not {values.size}")
    return float(values.std(ddof=1)), f"{values.size} independent blanks"


def _curvature_p(x: Array, y: Array, straight: float) -> float | None:
    freedom = x.size - 3
    if freedom < 1 or np.unique(x).size < 3:
        return None
    scaled = (x - x.mean()) / np.ptp(x)
    bent = float(np.sum((y - np.polyval(np.polyfit(scaled, y, 2), scaled)) ** 2))
    if bent <= 1e-24 * float(np.sum(y**2)):
        # a perfect quadratic: curved only if the line was not perfect too
        return 0.0 if straight > 1e-20 * float(np.sum(y**2)) else None
    return float(f_distribution.sf((straight - bent) / (bent / freedom), 1, freedom))
