"""Rates against temperature and against pH: Arrhenius, specific acid, protonation switch.

    ln k = ln k37 - Ea/R (1/T - 1/310.15 K)                 k37 is the rate at 37 degC
    k = k_neutral + k_acid 10^-pH                            specific acid
    k = k_low + (k_high - k_low)/(1 + 10^(m (pH - pKa)))     a carrier that protonates

Fitted in the logarithm of the rates, whose relative uncertainties are the weights; intervals are those of
`nanolab.analysis.profiles`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanolab.analysis.curve_fits import FitModel, FitParameter, ModelFit, fit_model
from nanolab.analysis.model_selection import Ranking, criteria, rank
from nanolab.analysis.profiles import ProfileInterval, profile_intervals
from nanolab.models.release_course import arrhenius
from nanolab.models.release_triggers import acid_rate, switched_rate

Array = npt.NDArray[np.float64]

DEFAULT_RELATIVE = 0.05
"""Relative standard deviation of a rate of which none is stated; only ratios between rates matter."""

TITLES = {"specific_acid": "specific acid", "switch": "protonation switch", "constant": "no dependence"}


@dataclass(frozen=True)
class RateFit:
    """A law of rates: the fit (of ln k), its intervals by name."""

    name: str
    fit: ModelFit
    intervals: Mapping[str, ProfileInterval]


def fit_arrhenius(temperature_c: npt.ArrayLike, rate: npt.ArrayLike, relative: npt.ArrayLike | None = None) -> RateFit:
    """Fit rates (n,) at temperatures (n,) degC, with relative standard uncertainties (n,) where known.

    ValueError where there are fewer than three temperatures, or a rate is not positive.
    """
    t, k, sd = _checked(temperature_c, rate, relative, "temperatures")

    def curve(x: Array, p: Array) -> Array:
        return np.asarray(np.log(p[0]) + np.log(arrhenius(x, float(p[1]))))

    parameters = [
        FitParameter("k37", "1/{t}", True, 1e-12, 1e12),
        FitParameter("activation_energy", "kJ/mol", False, -500.0, 1000.0),
    ]
    starts = [[float(np.median(k)), energy] for energy in (50.0, 150.0)]
    return _fitted("arrhenius", FitModel("arrhenius", parameters, curve), t, np.log(k), starts, sd)


def fit_ph_profile(
    ph: npt.ArrayLike, rate: npt.ArrayLike, relative: npt.ArrayLike | None = None
) -> tuple[Sequence[RateFit], Ranking]:
    """Fit rates (n,) at pH (n,) by specific acid, by a switch and by no dependence, and rank them by AICc.

    A law with more parameters than points is left out. ValueError as for `fit_arrhenius`.
    """
    x, k, sd = _checked(ph, rate, relative, "pH")
    low, high = float(k.min()), float(k.max())
    hydrogen = 10.0 ** -float(x.min())
    laws = [
        _law("constant", [("k_neutral", "1/{t}")], lambda at, p: np.full(at.shape, p[0]), [[low], [high]]),
        _law("specific_acid", [("k_neutral", "1/{t}"), ("k_acid", "L/mol/{t}")], lambda at, p: acid_rate(at, *p),
             [[low, high / hydrogen], [0.1 * low, 0.5 * high / hydrogen]]),
        _law("switch", [("k_low", "1/{t}"), ("k_high", "1/{t}"), ("pKa", "1"), ("m", "1")],
             lambda at, p: switched_rate(at, *p), [[low, high, pka, 1.5] for pka in np.linspace(x.min(), x.max(), 4)]),
    ]  # fmt: skip
    fits = [_fitted(m.name, m, x, np.log(k), starts, sd) for m, starts in laws if x.size > len(m.parameters)]
    scores = {one.name: criteria(one.fit.y, one.fit.fitted, one.fit.values.size, one.fit.sd).aicc for one in fits}
    return fits, rank(scores, TITLES)


def _law(
    name: str, parameters: Sequence[tuple[str, str]], rate: object, starts: list[list[float]]
) -> tuple[FitModel, list[list[float]]]:
    limits = {"pKa": (0.0, 14.0), "m": (0.3, 6.0)}
    fitted = [FitParameter(n, unit, True, *limits.get(n, (1e-12, 1e15))) for n, unit in parameters]

    def curve(x: Array, p: Array) -> Array:
        return np.asarray(np.log(rate(x, p)))  # type: ignore[operator]  # a callable of points and parameters

    return FitModel(name, fitted, curve), starts


def _checked(
    at: npt.ArrayLike, rate: npt.ArrayLike, relative: npt.ArrayLike | None, what: str
) -> tuple[Array, Array, Array]:
    x, k = np.asarray(at, dtype=np.float64), np.asarray(rate, dtype=np.float64)
    if np.unique(x).size < 3:
        raise ValueError(
            f"{np.unique(x).size} {what} cannot show how a rate depends on them: at least three are needed"
        )
    if not np.all(np.isfinite(k) & (k > 0)):
        raise ValueError("every rate must be a positive number")
    sd = np.full(k.shape, DEFAULT_RELATIVE) if relative is None else np.asarray(relative, dtype=np.float64)
    return x, k, sd


def _fitted(name: str, model: FitModel, x: Array, y: Array, starts: list[list[float]], sd: Array) -> RateFit:
    fit = fit_model(model, x, y, starts, sd)
    return RateFit(name, fit, {one.name: one for one in profile_intervals(fit)})
