"""The release laws as models to fit: names, parameters with units and limits, and where to start.

Plateaus stay below 120 %, rates between a small part of the inverse of the whole run and a large multiple of the
inverse of its first step: what lies outside, the data cannot show.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from nanolab.analysis.curve_fits import FitModel, FitParameter, ModelFit, fit_model
from nanolab.models import release, release_triggers

Array = npt.NDArray[np.float64]

HIGHEST_PLATEAU = 120.0
BURST_APART = 3.0
"""The fast rate of a biphasic release is at least this many times the slow one; else there are no two phases."""

POWER_SHAPE = 0.43
"""Peppas and Sahlin's exponent of a sphere, the shape of a particle."""

_HIGHEST_EARLY = release.KORSMEYER_PEPPAS_HIGHEST


@dataclass(frozen=True)
class Scales:
    """Size of a data set: first and last time after zero, highest percent."""

    first: float
    last: float
    top: float

    @classmethod
    def of(cls, t: Array, percent: Array) -> "Scales":
        """Read the scales off points (n,); ValueError where no time is above zero."""
        after = t[t > 0]
        if after.size == 0:
            raise ValueError("no point lies after time zero")
        return cls(float(after.min()), float(after.max()), max(float(np.max(percent)), 0.1))

    @property
    def rates(self) -> list[float]:
        """Rates to start from: from slower than the run to one over its first time."""
        slow, fast = 0.3 / self.last, 1.0 / self.first
        return [float(x) for x in np.geomspace(slow, max(fast, 10.0 * slow), 6)]


Kind = Callable[[Scales], tuple[float, float]]


def _rate(scales: Scales) -> tuple[float, float]:
    return 1e-3 / scales.last, 1e3 / scales.first


def _plateau(scales: Scales) -> tuple[float, float]:
    return 1e-2 * scales.top, HIGHEST_PLATEAU


def _exponent(_: Scales) -> tuple[float, float]:
    return 0.05, 10.0


def _size(scales: Scales) -> tuple[float, float]:
    """Limits of a factor of a power of time, for powers up to 10 the scale of time goes in."""
    reach = max(scales.last, 1.0 / scales.first, 1.0)
    return 1e-6 * scales.top / reach**2, 1e6 * scales.top * reach**2


_SHARE = "%"
_RATE = "1/{t}"


@dataclass(frozen=True)
class LawParameter:
    """Parameter of a law: name, unit with ``{t}`` for the unit of time, limits from the scales of the data."""

    name: str
    unit: str
    limits: Kind
    positive: bool = True


@dataclass(frozen=True)
class ReleaseLaw:
    """A release law to fit.

    ``curve(t, *parameters)`` is the law; ``starts`` lists guesses for a data set; ``above`` as in `FitModel`.
    ``highest_percent`` is where it stops to hold: points above are refused. ``remark`` is a trap worth saying.
    """

    name: str
    title: str
    parameters: Sequence[LawParameter]
    curve: Callable[..., Array]
    starts: Callable[[Scales], Iterable[Sequence[float]]]
    above: Sequence[tuple[int, int, float]] = ()
    highest_percent: float | None = None
    remark: str | None = None

    def model(self, scales: Scales, time_unit: str = "h") -> FitModel:
        """Return the law as a model to fit to data of these scales."""
        parameters = []
        for one in self.parameters:
            low, high = one.limits(scales)
            parameters.append(FitParameter(one.name, one.unit.format(t=time_unit), one.positive, low, high))
        return FitModel(self.name, parameters, lambda t, values: self.curve(t, *values), self.above)


def with_lag(law: ReleaseLaw) -> ReleaseLaw:
    """Return the law with the lag time as one more parameter."""
    place = len(law.parameters)

    def lagged(t: Array, *values: float) -> Array:
        return law.curve(t, *values[:place], t_lag=values[place])

    def starts(scales: Scales) -> Iterable[Sequence[float]]:
        return [[*start, lag] for start in law.starts(scales) for lag in (0.1 * scales.first, 0.9 * scales.first)]

    lag = LawParameter("t_lag", "{t}", lambda scales: (0.0, 0.9 * scales.last), positive=False)
    return ReleaseLaw(
        f"{law.name}_lag", f"{law.title} with lag", [*law.parameters, lag], lagged, starts, law.above,
        law.highest_percent, law.remark,
    )  # fmt: skip


def fit_law(
    law: ReleaseLaw, t: npt.ArrayLike, percent: npt.ArrayLike, sd: npt.ArrayLike = 1.0, time_unit: str = "h"
) -> ModelFit:
    """Fit a law to a profile (n,): times in any unit, percent of the dose, relative standard deviations.

    ValueError where a point lies above the highest percent at which the law holds, or too few points are given.
    """
    times, values = np.asarray(t, dtype=np.float64), np.asarray(percent, dtype=np.float64)
    if law.highest_percent is not None and np.max(values, initial=0.0) > law.highest_percent:
        raise ValueError(
            f"{law.title} holds up to {law.highest_percent:g} % only; the profile reaches {np.max(values):.3g} %"
        )
    scales = Scales.of(times, values)
    return fit_model(law.model(scales, time_unit), times, values, [list(s) for s in law.starts(scales)], sd)


def _plateaus(scales: Scales) -> list[float]:
    return [min(factor * scales.top, 0.99 * HIGHEST_PLATEAU) for factor in (1.0, 1.4)]


def _grid(*choices: Callable[[Scales], Sequence[float]]) -> Callable[[Scales], Iterable[Sequence[float]]]:
    return lambda scales: [list(values) for values in product(*(choice(scales) for choice in choices))]


def _rates(scales: Scales) -> list[float]:
    return scales.rates


def _just(*values: float) -> Callable[[Scales], Sequence[float]]:
    return lambda _: list(values)


def _biphasic_starts(scales: Scales) -> Iterable[Sequence[float]]:
    for plateau, share in product(_plateaus(scales), (0.2, 0.5, 0.8)):
        for fast, slow in product(scales.rates, scales.rates):
            if fast > BURST_APART * slow:
                yield [share * plateau, fast, plateau, slow]


def _power_starts(scales: Scales) -> Iterable[Sequence[float]]:
    return [[scales.top / scales.last**n, n] for n in (0.2, 0.4, 0.6, 0.9, 1.3)]


def _sahlin_starts(scales: Scales) -> Iterable[Sequence[float]]:
    whole = scales.top / scales.last**POWER_SHAPE
    return [[whole * share, whole * (1.0 - share) / scales.last**POWER_SHAPE] for share in (1.3, 1.0, 0.6)]


def _gompertz_starts(scales: Scales) -> Iterable[Sequence[float]]:
    for half, b in product(np.geomspace(scales.first, 10.0 * scales.last, 5), (0.7, 1.5, 3.0)):
        yield [float(np.log(2.0) * 10.0 ** (b * np.log10(half))), b]


_FMAX = LawParameter("Fmax", _SHARE, _plateau)
_K = LawParameter("k", _RATE, _rate)
_EARLY = "planar diffusion has no ground beyond 60 %"


def _laws() -> list[ReleaseLaw]:
    """List the laws; longer than other functions because it is a table."""
    k0 = LawParameter("k0", "%/{t}", lambda s: (1e-4 * s.top / s.last, 1e3 * s.top / s.first))
    burst = LawParameter("F0", _SHARE, lambda _: (-20.0, HIGHEST_PLATEAU), positive=False)
    td = LawParameter("td", "{t}", lambda s: (1e-3 * s.first, 1e4 * s.last))
    b = LawParameter("b", "1", _exponent)
    return [
        ReleaseLaw("zero_order", "zero order", [k0], release.zero_order, lambda s: [[s.top / s.last]]),
        ReleaseLaw(
            "zero_order_burst", "zero order with burst", [k0, burst], release.zero_order,
            lambda s: [[0.5 * s.top / s.last, 0.5 * s.top], [s.top / s.last, 0.0]],
        ),
        ReleaseLaw(
            "first_order_complete", "first order to 100 %", [_K],
            lambda t, k, t_lag=0.0: release.first_order(t, 100.0, k, t_lag), _grid(_rates),
        ),
        ReleaseLaw("first_order", "first order", [_FMAX, _K], release.first_order, _grid(_plateaus, _rates)),
        ReleaseLaw(
            "higuchi", "Higuchi", [LawParameter("kH", "%/{t}^0.5", _size)], release.higuchi,
            lambda s: [[s.top / np.sqrt(s.last)]], remark=_EARLY,
        ),
        ReleaseLaw(
            "korsmeyer_peppas", "Korsmeyer-Peppas", [LawParameter("k", "%/{t}^n", _size), LawParameter("n", "1", _exponent)],
            release.korsmeyer_peppas, _power_starts, highest_percent=_HIGHEST_EARLY,
        ),
        ReleaseLaw("hixson_crowell", "Hixson-Crowell", [_K], release.hixson_crowell, _grid(_rates)),
        ReleaseLaw(
            "hopfenberg_cylinder", "Hopfenberg, cylinder", [_K],
            lambda t, k, t_lag=0.0: release.hopfenberg(t, k, release.CYLINDER, t_lag), _grid(_rates),
        ),
        ReleaseLaw(
            "peppas_sahlin", "Peppas-Sahlin, sphere",
            [
                LawParameter("k1", f"%/{{t}}^{POWER_SHAPE}", lambda _: (-np.inf, np.inf), positive=False),
                LawParameter("k2", f"%/{{t}}^{2 * POWER_SHAPE}", lambda _: (-np.inf, np.inf), positive=False),
            ],
            lambda t, k1, k2, t_lag=0.0: release.peppas_sahlin(t, k1, k2, POWER_SHAPE, t_lag), _sahlin_starts, highest_percent=_HIGHEST_EARLY,
        ),
        ReleaseLaw("baker_lonsdale", "Baker-Lonsdale", [_K], release.baker_lonsdale,
                   lambda s: [[0.1 * k] for k in s.rates]),
        ReleaseLaw(
            "weibull_complete", "Weibull to 100 %", [td, b],
            lambda t, td, b, t_lag=0.0: release.weibull(t, 100.0, td, b, t_lag), _grid(_times, _just(0.5, 0.9, 1.5)),
        ),
        ReleaseLaw(
            "weibull", "Weibull", [_FMAX, td, b], release.weibull, _grid(_plateaus, _times, _just(0.5, 0.9, 1.5)),
        ),
        ReleaseLaw(
            "gompertz", "Gompertz",
            [LawParameter("a", "1", lambda _: (1e-6, 1e9)), LawParameter("b", "1", _exponent)],
            release.gompertz, _gompertz_starts,
        ),
        ReleaseLaw(
            "reciprocal_complete", "reciprocal to 100 %", [_K],
            lambda t, k, t_lag=0.0: release.reciprocal(t, 100.0, k, t_lag), _grid(_rates),
        ),
        ReleaseLaw("reciprocal", "reciprocal", [_FMAX, _K], release.reciprocal, _grid(_plateaus, _rates)),
        ReleaseLaw(
            "biphasic", "biphasic",
            [LawParameter("A", _SHARE, _plateau), LawParameter("k1", _RATE, _rate), _FMAX, LawParameter("k2", _RATE, _rate)],
            _biphasic, _biphasic_starts, above=((1, 3, BURST_APART), (2, 0, 1.0)),
        ),
        ReleaseLaw(
            "enzyme", "integrated Michaelis-Menten",
            [_FMAX, LawParameter("v", _RATE, _rate), LawParameter("kappa", "1", lambda _: (1e-3, 1e3))],
            release_triggers.enzyme_release, _grid(_plateaus, _rates, _just(0.1, 1.0)),
            remark="kappa is KM over the starting substrate; without an enzyme it has no meaning",
        ),
    ]  # fmt: skip


def _times(scales: Scales) -> list[float]:
    return [1.0 / rate for rate in scales.rates]


def _biphasic(t: Array, A: float, k1: float, Fmax: float, k2: float, t_lag: float = 0.0) -> Array:
    # the two phases keep their names: fast and slow do not change places, the burst is part of the whole
    return release.biphasic(t, min(A, Fmax), k1, Fmax, min(k2, k1 / BURST_APART), t_lag)


LAWS: Mapping[str, ReleaseLaw] = {law.name: law for law in _laws()}
"""All laws that need nothing but the profile, by name."""


def membrane_law(km: float) -> ReleaseLaw:
    """Return first-order release behind a dialysis membrane of known transfer rate km (1/time, from free drug)."""
    return ReleaseLaw(
        "membrane_limited",
        "first order behind a membrane",
        [_FMAX, _K],
        lambda t, Fmax, k, t_lag=0.0: release_triggers.membrane_limited(t, Fmax, k, km, t_lag),
        _grid(_plateaus, _rates),
    )
