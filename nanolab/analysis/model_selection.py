"""Which of several models the data prefer, each with the right number of parameters, and which they cannot tell apart.

With n points, p fitted parameters and SS the (weighted) sum of squared residuals:

* AIC = n ln(SS/n) + 2 p, the convention of KinetDS; DDSolver writes n ln(SS) + 2 p, which differs by n ln n.
* AICc = n ln(SS/n) + 2 K + 2 K (K + 1)/(n - K - 1), K = p + 1: the variance is counted too (K. P. Burnham & D. R.
  Anderson, Model Selection and Multimodel Inference, Springer 2002, 10.1007/b97636). Ranking is by AICc.
* MSC = ln(SStot/SS) - 2 p/n; R2 = 1 - SS/SStot.
* adjusted R2 = 1 - (n - 1)/(n - p) (1 - R2) in DDSolver, with n - p - 1 in KinetDS.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TOLD_APART_FROM = 4.0
"""AICc difference (odds of seven to one) from which the better of two models is called preferred."""


@dataclass(frozen=True)
class Criteria:
    """Criteria of one fit; None where too few points are left to form one, or the fit is perfect."""

    points: int
    parameters: int
    sum_of_squares: float
    rmse: float | None
    r2: float | None
    r2_adjusted_ddsolver: float | None
    r2_adjusted_kinetds: float | None
    aic: float | None
    aic_ddsolver: float | None
    aicc: float | None
    msc: float | None

    def to_json(self) -> dict[str, float | int | None]:
        """Return the machine-readable form."""
        return dict(vars(self))


def criteria(
    observed: npt.ArrayLike, fitted: npt.ArrayLike, parameters: int, sd: npt.ArrayLike = 1.0, extra_parameters: int = 0
) -> Criteria:
    """Compute the criteria of a fit.

    Parameters
    ----------
    observed, fitted : (n,)
    parameters : int
        Number of fitted parameters p; the variance is not among them.
    sd : float or (n,)
        Standard deviations by which residuals are divided (relative ones will do).
    extra_parameters : int
        Added to p in the penalties only: to reproduce tables that were made with another count.

    Raises
    ------
    ValueError
        No points, or shapes that differ.
    """
    y, model = np.asarray(observed, dtype=np.float64), np.asarray(fitted, dtype=np.float64)
    if y.shape != model.shape or y.size == 0:
        raise ValueError(f"{y.size} observed and {model.size} fitted values cannot be compared")
    weights = np.broadcast_to(1.0 / np.square(np.asarray(sd, dtype=np.float64)), y.shape)
    n, p = int(y.size), int(parameters + extra_parameters)
    ss = float(np.sum(weights * (y - model) ** 2))
    total = float(np.sum(weights * (y - np.average(y, weights=weights)) ** 2))
    r2 = 1.0 - ss / total if total > 0 else None
    perfect = ss <= 0.0
    aic = None if perfect else n * np.log(ss / n) + 2.0 * p
    k = p + 1
    return Criteria(
        points=n,
        parameters=parameters,
        sum_of_squares=ss,
        rmse=float(np.sqrt(ss / (n - p))) if n > p else None,
        r2=r2,
        r2_adjusted_ddsolver=_adjusted(r2, n, n - p),
        r2_adjusted_kinetds=_adjusted(r2, n, n - p - 1),
        aic=_number(aic),
        aic_ddsolver=None if perfect else float(n * np.log(ss) + 2.0 * p),
        aicc=None if aic is None or n - k - 1 <= 0 else float(aic + 2.0 + 2.0 * k * (k + 1) / (n - k - 1)),
        msc=None if perfect or total <= 0 else float(np.log(total / ss) - 2.0 * p / n),
    )


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _adjusted(r2: float | None, n: int, freedom: int) -> float | None:
    return None if r2 is None or freedom <= 0 else 1.0 - (n - 1) / freedom * (1.0 - r2)


def akaike_weights(values: Sequence[float]) -> list[float]:
    """Return the share of each model: exp(-difference/2), normalised."""
    array = np.asarray(values, dtype=np.float64)
    share = np.exp(-0.5 * (array - array.min()))
    return [float(x) for x in share / share.sum()]


@dataclass(frozen=True)
class Ranking:
    """Order of models by AICc, best first.

    ``together`` are those that the data cannot tell apart, the best among them; ``sentence`` says it in words.
    """

    order: tuple[str, ...]
    differences: Mapping[str, float]
    weights: Mapping[str, float]
    together: tuple[str, ...]
    sentence: str

    @property
    def preferred(self) -> str | None:
        """The one model that the data prefer, None where there is no single one."""
        return self.together[0] if len(self.together) == 1 else None


def rank(aicc: Mapping[str, float | None], titles: Mapping[str, str] | None = None) -> Ranking:
    """Rank models that were fitted to the same points with the same weights; those without an AICc are left out."""
    known = {name: value for name, value in aicc.items() if value is not None}
    if not known:
        return Ranking((), {}, {}, (), "no model could be ranked: too few points")
    order = sorted(known, key=lambda name: known[name])
    best = known[order[0]]
    weights = akaike_weights([known[name] for name in order])
    differences = {name: known[name] - best for name in order}
    together = tuple(name for name in order if differences[name] < TOLD_APART_FROM)
    called = [(titles or {}).get(name, name) for name in together]
    if len(together) > 1:
        widest = differences[together[-1]]
        sentence = f"{', '.join(called[:-1])} and {called[-1]} cannot be told apart (AICc within {widest:.1f})"
    elif len(order) > 1:
        second = (titles or {}).get(order[1], order[1])
        sentence = f"{called[0]} is preferred; next is {second}, AICc {differences[order[1]]:.1f} higher"
    else:
        sentence = f"{called[0]} is the only model that could be ranked"
    return Ranking(tuple(order), differences, dict(zip(order, weights, strict=True)), together, sentence)
