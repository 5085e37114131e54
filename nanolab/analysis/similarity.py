"""Difference factor f1 and similarity factor f2 of two release profiles, and which points a rule keeps.

With mean percents R and T of reference and test at n common times (FDA, Dissolution Testing of Immediate Release
Solid Oral Dosage Forms, 1997; EMA, CPMP/EWP/QWP/1401/98 Rev. 1, 2010):

f1 = 100 sum|R - T| / sum R, f2 = 50 log10{100 / sqrt[1 + mean (R - T)^2]}; similar is f1 <= 15 and f2 >= 50.

f2 depends on the points that are kept: at most one after release is nearly complete. FDA calls it complete when
both means exceed 85 %, EMA when either does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

RULES = ("fda", "ema", "all")
COMPLETE_PERCENT = 85.0
SIMILAR_F1, SIMILAR_F2 = 15.0, 50.0
FEWEST_TIMES, FEWEST_UNITS = 3, 12
CV_EARLY, CV_LATER = 20.0, 10.0
"""Coefficients of variation in percent up to which means may stand for the units: first time kept, and later ones."""

DEFAULT_DRAWS = 5000


def f1(reference: npt.ArrayLike, test: npt.ArrayLike) -> float:
    """Difference factor in percent from mean profiles (n,); ValueError where the reference releases nothing."""
    r, t = _pair(reference, test)
    if np.sum(r) <= 0:
        raise ValueError("f1 has no scale: the reference releases nothing")
    return float(100.0 * np.sum(np.abs(r - t)) / np.sum(r))


def f2(reference: npt.ArrayLike, test: npt.ArrayLike) -> float:
    """Similarity factor from mean profiles (n,): 100 for equal ones, 50 for a mean difference of 10 %."""
    r, t = _pair(reference, test)
    return _f2_of(float(np.mean((r - t) ** 2)))


def f2_bias_corrected(reference_units: npt.ArrayLike, test_units: npt.ArrayLike) -> float:
    """f2 without the bias that the scatter of the units adds; arrays (units, n), at least two units each.

    The mean square difference loses sum(s_R^2 + s_T^2)/N. ValueError where less than nothing is left under the
    root: the scatter then explains more than the difference.
    """
    r, t = np.atleast_2d(np.asarray(reference_units, float)), np.atleast_2d(np.asarray(test_units, float))
    if r.shape[0] < 2 or t.shape[0] < 2:
        raise ValueError("the bias correction needs at least two units of each product")
    squares = float(np.sum((r.mean(axis=0) - t.mean(axis=0)) ** 2))
    scatter = np.sum(r.var(axis=0, ddof=1)) / r.shape[0] + np.sum(t.var(axis=0, ddof=1)) / t.shape[0]
    left = (squares - float(scatter)) / r.shape[1]
    if left <= -1.0:
        raise ValueError("the scatter of the units exceeds the difference: no bias-corrected f2")
    return _f2_of(left)


def _f2_of(mean_square: float) -> float:
    return float(50.0 * np.log10(100.0 / np.sqrt(1.0 + mean_square)))


def _pair(reference: npt.ArrayLike, test: npt.ArrayLike) -> tuple[Array, Array]:
    r, t = np.asarray(reference, dtype=np.float64), np.asarray(test, dtype=np.float64)
    if r.shape != t.shape or r.ndim != 1 or r.size == 0:
        raise ValueError(f"reference and test need the same times: {r.size} and {t.size} points")
    return r, t


@dataclass(frozen=True)
class KeptPoints:
    """Which points (n,) a rule keeps, and why each one is or is not among them."""

    keep: Mask
    why: tuple[str, ...]


def kept_points(
    times: npt.ArrayLike,
    reference: npt.ArrayLike,
    test: npt.ArrayLike,
    rule: str,
    complete_percent: float = COMPLETE_PERCENT,
) -> KeptPoints:
    """Choose the points by rule: ``fda``, ``ema`` or ``all``.

    Time zero never counts: both are nothing there. Up to the first time at which both means (fda) or either of them
    (ema) exceed ``complete_percent`` all points count, that one included, and none after it.
    ValueError for an unknown rule.
    """
    if rule not in RULES:
        raise ValueError(f"no rule '{rule}': known are {', '.join(RULES)}")
    when = np.asarray(times, dtype=np.float64)
    r, t = _pair(reference, test)
    beyond = (r > complete_percent) & (t > complete_percent) if rule == "fda" else np.maximum(r, t) > complete_percent
    who = "both means exceed" if rule == "fda" else "a mean exceeds"
    keep, why, complete = np.ones(r.size, dtype=np.bool_), [], False
    for index in range(r.size):
        if when[index] <= 0:
            keep[index] = False
            why.append("left out: nothing is released at time zero")
        elif rule == "all":
            why.append("kept: the rule keeps all")
        elif complete:
            keep[index] = False
            why.append(f"left out: comes after the first time at which {who} {complete_percent:g} %")
        elif beyond[index]:
            complete = True
            why.append(f"kept: the first and only time at which {who} {complete_percent:g} %")
        else:
            why.append(f"kept: release is not complete ({complete_percent:g} %)")
    return KeptPoints(keep, tuple(why))


def coefficients_of_variation(units: npt.ArrayLike) -> Array:
    """Coefficient of variation in percent at each time, from units (m, n); infinite where the mean is zero."""
    table = np.asarray(units, dtype=np.float64)
    mean, sd = table.mean(axis=0), table.std(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(sd == 0, 0.0, 100.0 * sd / mean))


@dataclass(frozen=True)
class Bootstrap:
    """Interval of a factor from resampled units: ``value``, ``low`` and ``high`` at ``level``, and its draws (m,)."""

    value: float
    low: float
    high: float
    level: float
    method: str
    draws: Array


def bootstrap(
    factor: Callable[[npt.ArrayLike, npt.ArrayLike], float],
    reference_units: npt.ArrayLike,
    test_units: npt.ArrayLike,
    *,
    level: float = 0.90,
    method: str = "bca",
    draws: int = DEFAULT_DRAWS,
    seed: int = 0,
) -> Bootstrap:
    """Resample units (m, n) of each product with replacement, at the points already chosen.

    ``method`` is ``percentile`` or ``bca``, bias-corrected and accelerated (B. Efron, J. Am. Stat. Assoc. 82, 171
    (1987), 10.1080/01621459.1987.10478410). ValueError for another method or a single unit.
    """
    if method not in {"bca", "percentile"}:
        raise ValueError(f"no bootstrap '{method}': known are bca, percentile")
    r, t = np.asarray(reference_units, dtype=np.float64), np.asarray(test_units, dtype=np.float64)
    if r.shape[0] < 2 or t.shape[0] < 2:
        raise ValueError("a bootstrap needs at least two units of each product")
    generator = np.random.default_rng(seed)
    pick_r = generator.integers(0, r.shape[0], (draws, r.shape[0]))
    pick_t = generator.integers(0, t.shape[0], (draws, t.shape[0]))
    means = zip(r[pick_r].mean(axis=1), t[pick_t].mean(axis=1), strict=True)
    found = np.array([factor(one, other) for one, other in means])
    value = factor(r.mean(axis=0), t.mean(axis=0))
    low, high = interval(found, value, jackknife(factor, r, t) if method == "bca" else None, level)
    return Bootstrap(value, low, high, level, method, found)


def jackknife(
    factor: Callable[[npt.ArrayLike, npt.ArrayLike], float], reference_units: Array, test_units: Array
) -> list[Array]:
    """Return the factor with each unit left out in turn, one array (m,) for each product."""
    r, t = reference_units, test_units
    without_r = [factor(np.delete(r, i, axis=0).mean(axis=0), t.mean(axis=0)) for i in range(r.shape[0])]
    without_t = [factor(r.mean(axis=0), np.delete(t, i, axis=0).mean(axis=0)) for i in range(t.shape[0])]
    return [np.array(without_r), np.array(without_t)]


def interval(draws: Array, value: float, left_out: Sequence[Array] | None, level: float) -> tuple[float, float]:
    """Return the bootstrap interval of draws (m,): BCa where values with units left out are given, else percentile."""
    tails = np.array([0.5 * (1.0 - level), 0.5 * (1.0 + level)])
    below = float(np.mean(draws < value) + 0.5 * np.mean(draws == value))
    if left_out is not None and 0.0 < below < 1.0:
        bias = float(norm.ppf(below))
        # several samples: each contributes its own influence values, scaled by its size
        influence = [(group.mean() - group) * (group.size - 1) / group.size for group in left_out]
        cubes = sum(float(np.sum(values**3)) for values in influence)
        squares = sum(float(np.sum(values**2)) for values in influence)
        acceleration = cubes / (6.0 * squares**1.5) if squares > 0 else 0.0
        z = bias + norm.ppf(tails)
        tails = norm.cdf(bias + z / (1.0 - acceleration * z))
    low, high = np.quantile(draws, tails)
    return float(low), float(high)
