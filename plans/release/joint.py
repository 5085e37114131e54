"""A model of several courses fitted at once, and what the uncertainty of its inputs adds to each parameter.

Chance: profile intervals of the joint fit. Inputs: what the best fit becomes, to first order, when an input moves by its
standard uncertainty (JCGM 100:2008, 5.1.3); the moves add in quadrature. Positive parameters are combined as logarithms.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nanolab.analysis.curve_fits import FitModel, FitParameter, ModelFit, fit_model
from nanolab.analysis.profiles import ProfileInterval, independent_points, profile_intervals
from nanolab.quantities import Quantity

Array = npt.NDArray[np.float64]

Predicted = Callable[[Array, Mapping[str, float]], Array]
"""(parameters (p,), inputs) -> all read-outs (n,), in the order in which they are given."""

FACTOR_95 = 1.959964
WIDEST_RATIO = 10.0


@dataclass(frozen=True)
class Found:
    """One parameter: its quantity (None where the data do not fix it, ``why`` says so), shares of its variance by term."""

    name: str
    value: float
    quantity: Quantity | None
    why: str | None
    shares: Mapping[str, float]


@dataclass(frozen=True)
class Joint:
    """A joint fit: parameters by name, read-outs as fitted (n,), residual rms."""

    fit: ModelFit
    found: Mapping[str, Found]
    moves: Mapping[str, Array] = field(default_factory=dict)
    """How the best fit (p,) moves when an input does by its standard uncertainty; positive parameters as logarithms."""


def fit_jointly(
    parameters: Sequence[FitParameter],
    predicted: Predicted,
    seen: Array,
    sd: Array,
    starts: Sequence[Sequence[float]],
    inputs: Mapping[str, Quantity],
    without: Container[str] = (),
) -> Joint:
    """Fit read-outs (n,) with their relative standard deviations (n,); the parameters `without` get no interval."""
    order = np.arange(seen.size, dtype=float)
    central = {name: quantity.value for name, quantity in inputs.items()}
    model = FitModel("joint", parameters, lambda _x, p: predicted(p, central))
    fit = fit_model(model, order, seen, starts, sd)
    intervals = profile_intervals(fit, without)
    slopes = _slopes(parameters, lambda p: predicted(p, central) / sd, fit.values)
    moves: dict[str, Array] = {}
    for name, quantity in inputs.items():
        u = quantity.standard_uncertainty or 0.0
        if u > 0.0:
            # half the difference of both ways: what bends would otherwise count as a slope
            ends = [predicted(fit.values, {**central, name: quantity.value + sign * u}) / sd for sign in (1.0, -1.0)]
            moves[name] = -np.asarray(
                np.linalg.lstsq(slopes, 0.5 * (ends[0] - ends[1]), rcond=1e-10)[0], dtype=np.float64
            )
    found = {one.name: _found(one, index, parameters[index], moves) for index, one in enumerate(intervals)}
    return Joint(fit, found, moves)


def carried(joint: Joint, inputs: Mapping[str, Quantity], of: Predicted) -> tuple[Array, Array]:
    """Return numbers (m,) that follow from a fit and its inputs, and their standard uncertainties; NaN where there is none.

    Chance by the covariance of the linearised fit, widened by the memory of the residuals; an input by what it does itself and
    through the parameters.
    """
    fit, parameters = joint.fit, joint.fit.model.parameters
    central = {name: quantity.value for name, quantity in inputs.items()}
    slopes = _slopes(parameters, lambda p: of(p, central), fit.values)
    sizes = np.array([v if p.positive else 1.0 for p, v in zip(parameters, fit.values, strict=True)])
    widened = fit.freedom / max(independent_points(fit) - fit.values.size, 1.0)
    covariance = widened * fit.covariance / np.outer(sizes, sizes)
    squares = np.einsum("ij,jk,ik->i", slopes, covariance, slopes) if np.all(np.isfinite(covariance)) else np.nan
    for name, move in joint.moves.items():
        u = inputs[name].standard_uncertainty or 0.0
        ends = [of(fit.values, {**central, name: inputs[name].value + sign * u}) for sign in (1.0, -1.0)]
        squares = squares + (0.5 * (ends[0] - ends[1]) + slopes @ move) ** 2
    return of(fit.values, central), np.sqrt(np.asarray(squares))


def _slopes(parameters: Sequence[FitParameter], weighted: Callable[[Array], Array], values: Array) -> Array:
    """Return the derivatives (n, p) of weighted read-outs by the parameters, positive ones as logarithms."""
    columns = []
    for index, parameter in enumerate(parameters):
        step = 1e-4 if parameter.positive else 1e-4 * max(abs(float(values[index])), _span(parameter))
        ends = []
        for sign in (1.0, -1.0):
            moved = values.copy()
            moved[index] = values[index] * np.exp(sign * step) if parameter.positive else values[index] + sign * step
            ends.append(weighted(moved))
        columns.append((ends[0] - ends[1]) / (2.0 * step))
    return np.column_stack(columns)


def _span(parameter: FitParameter) -> float:
    """Return the size on which a parameter that may be nothing counts as large: 1, or a hundredth of its range."""
    return float(min(1.0, 0.01 * (parameter.high - parameter.low)))


def _found(one: ProfileInterval, index: int, parameter: FitParameter, moves: Mapping[str, Array]) -> Found:
    if one.low is None or one.high is None or one.standard_uncertainty is None:
        return Found(one.name, one.value, None, one.why, {})
    log = parameter.positive
    centre = float(np.log(one.value)) if log else one.value
    down = centre - (float(np.log(one.low)) if log else one.low)
    up = (float(np.log(one.high)) if log else one.high) - centre
    squares = {name: float(move[index]) ** 2 for name, move in moves.items()}
    inputs = FACTOR_95**2 * sum(squares.values())
    low, high = centre - float(np.hypot(down, np.sqrt(inputs))), centre + float(np.hypot(up, np.sqrt(inputs)))
    chance = (0.5 * (down + up) / FACTOR_95) ** 2
    u = (high - low) / (2.0 * FACTOR_95) * (one.value if log else 1.0)
    interval = (float(np.exp(low)), float(np.exp(high))) if log else (low, high)
    total = chance + sum(squares.values())
    shares = {"chance": chance, **squares}
    shares = (
        {name: part / total for name, part in sorted(shares.items(), key=lambda item: -item[1])} if total > 0 else {}
    )
    why = one.why
    if log and why is None and interval[1] > WIDEST_RATIO * interval[0]:
        why = f"the data and inputs allow {one.name} from {interval[0]:.3g} to {interval[1]:.3g} {one.unit}"
    quantity = None if why is not None else Quantity(one.value, one.unit, u, interval)
    return Found(one.name, one.value, quantity, why, shares)
