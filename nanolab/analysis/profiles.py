"""95 % intervals of fitted parameters from the profile of the sum of squares, and whether the data fix them.

For each trial value of one parameter all others are fitted anew; the interval ends where the sum of squares has risen
by the share that chance explains (D. M. Bates & D. G. Watts, Nonlinear Regression Analysis, Wiley 1988,
10.1002/9780470316757, section 6.1). That share grows with the memory of the residuals: n points of which neighbours
resemble each other are worth n (1 - r)/(1 + r) independent ones. The white-noise covariance is not used, except as the
first step of the search.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from nanolab.analysis.curve_fits import FitParameter, ModelFit, Problem
from nanolab.quantities import Quantity

Array = npt.NDArray[np.float64]

WIDEST_RATIO = 10.0
"""A positive parameter whose interval spans more than this factor is not called identified."""

_PROBES = 14
_REFINEMENTS = 14


@dataclass(frozen=True)
class ProfileInterval:
    """95 % interval of one parameter: its ends are None where the data do not set them.

    ``standard_uncertainty`` is the half-width over Student's factor, None where an end is missing. ``why`` says in
    words what keeps the parameter from being identified.
    """

    name: str
    value: float
    unit: str
    low: float | None
    high: float | None
    standard_uncertainty: float | None
    why: str | None = None

    @property
    def identified(self) -> bool:
        """Whether the data fix the parameter."""
        return self.why is None

    @property
    def quantity(self) -> Quantity | None:
        """The parameter with its interval; None where it is not identified."""
        if self.why is not None or self.low is None or self.high is None:
            return None
        return Quantity(self.value, self.unit, self.standard_uncertainty, (self.low, self.high))


def profile_intervals(fit: ModelFit, without: Container[str] = ()) -> list[ProfileInterval]:
    """Return the interval of every parameter of a fit, in its order; those `without` (names) have none, which saves their search."""
    why = _no_interval(fit)
    found = []
    for index, parameter in enumerate(fit.model.parameters):
        reason = "no interval was asked for" if parameter.name in without else why
        if reason is None:
            found.append(_interval(fit, index))
        else:
            value = float(fit.values[index])
            found.append(ProfileInterval(parameter.name, value, parameter.unit, None, None, None, reason))
    return found


def _no_interval(fit: ModelFit) -> str | None:
    if fit.freedom < 1:
        return "there are as many parameters as points"
    if independent_points(fit) - fit.values.size < 1.0:
        return f"the curve does not follow the points (residuals of neighbours agree, r = {fit.memory:.2f})"
    return None


def independent_points(fit: ModelFit) -> float:
    """Return how many independent points the correlated ones are worth."""
    return fit.x.size * (1.0 - fit.memory) / (1.0 + fit.memory)


def allowed_sum(fit: ModelFit, level: float = 0.95) -> tuple[float, float]:
    """Return the sum of squares up to which values are inside the interval, and Student's factor."""
    freedom = max(independent_points(fit) - fit.values.size, 1.0)
    factor = float(student.ppf(0.5 + 0.5 * level, freedom))
    # a perfect fit has no scatter to judge by: rounding of the data stands for it
    floor = fit.x.size * (1e-9 * float(np.max(np.abs(fit.y / fit.sd), initial=0.0))) ** 2
    return max(fit.sum_of_squares, floor) * (1.0 + factor**2 / freedom), factor


def _interval(fit: ModelFit, index: int) -> ProfileInterval:
    parameter, value = fit.model.parameters[index], float(fit.values[index])
    limit, factor = allowed_sum(fit)
    ends = [_end(fit, index, sign, limit) for sign in (-1.0, 1.0)]
    low, high = ends
    uncertainty = None if low is None or high is None else (high - low) / (2.0 * factor)
    why = _why(parameter, value, low, high, parameter.name in fit.at_limit)
    return ProfileInterval(parameter.name, value, parameter.unit, low, high, uncertainty, why)


def _why(parameter: FitParameter, value: float, low: float | None, high: float | None, at_limit: bool) -> str | None:
    unit = "" if parameter.unit == "1" else f" {parameter.unit}"
    if low is None and high is None:
        return f"the data allow any {parameter.name}"
    if high is None:
        return f"the data only say that {parameter.name} is above {low:.3g}{unit}"
    if low is None:
        return f"the data only say that {parameter.name} is below {high:.3g}{unit}"
    if at_limit:
        return f"the best {parameter.name} lies at the end of the range that was searched ({value:.3g}{unit})"
    if parameter.positive and high > WIDEST_RATIO * low:
        return f"the data allow {parameter.name} from {low:.3g} to {high:.3g}{unit}"
    return None


def _end(fit: ModelFit, index: int, sign: float, limit: float) -> float | None:
    """Return where the profile of one parameter crosses the limit on one side, None where it never does."""
    parameter, value = fit.model.parameters[index], float(fit.values[index])
    move = _mover(parameter, value, sign)
    edge = parameter.high if sign > 0 else parameter.low
    profile = _Profile(fit, index)
    size = _first_step(fit, index)
    inside, below = 0.0, fit.sum_of_squares
    for _ in range(_PROBES):
        at = move(inside + size)
        if (at - edge) * sign >= 0:
            return _crossing(profile, move, (inside, below), _reach(move, edge, inside, size), limit)
        ss = profile(at)
        if ss > limit:
            return _crossing(profile, move, (inside, below), inside + size, limit)
        inside, below = inside + size, ss
        size *= 1.6
    return None


def _mover(parameter: FitParameter, value: float, sign: float) -> Callable[[float], float]:
    """Return the parameter as a function of the distance from its best value: in e-foldings where it is positive."""
    if parameter.positive:
        return lambda distance: float(value * np.exp(np.clip(sign * distance, -600.0, 600.0)))
    return lambda distance: float(value + sign * distance)


def _first_step(fit: ModelFit, index: int) -> float:
    sd = float(np.sqrt(fit.covariance[index, index]))
    parameter, value = fit.model.parameters[index], abs(float(fit.values[index]))
    step = sd / value if parameter.positive else sd
    usual = 0.3 if parameter.positive else 0.3 * max(value, 1e-3)
    if not np.isfinite(step) or step <= 0:
        return usual
    return float(np.clip(1.2 * step, 1e-6 * usual, 3.0 * usual))


def _reach(move: Callable[[float], float], edge: float, inside: float, size: float) -> float:
    """Return the distance at which the edge of the range is reached, by halving."""
    near, far = inside, inside + size
    rising = move(far) > move(near)
    for _ in range(40):
        middle = 0.5 * (near + far)
        near, far = (near, middle) if (move(middle) >= edge) == rising else (middle, far)
    return near


def _crossing(
    profile: "_Profile", move: Callable[[float], float], near: tuple[float, float], far: float, limit: float
) -> float | None:
    """Find the crossing between an inside and an outside distance, by regula falsi in the root of the rise."""
    far_ss = profile(move(far))
    if far_ss <= limit:
        return None
    inside, below = near
    base = profile.fit.sum_of_squares

    def height(ss: float) -> float:
        return float(np.sqrt(max(ss - base, 0.0)) - np.sqrt(limit - base))

    a, fa, b, fb = inside, height(below), far, height(far_ss)
    last = 0.0
    for _ in range(_REFINEMENTS):
        # the root of the rise is close to a straight line; stay off the ends so that the bracket shrinks
        middle = a + (b - a) * float(np.clip(-fa / (fb - fa), 0.05, 0.95))
        value = height(profile(move(middle)))
        if abs(value) < 2e-3 * np.sqrt(limit - base):
            return move(middle)
        # the Illinois rule: an end that stays twice counts half, else a bent profile is never bracketed closely
        if value > 0:
            b, fb, fa = middle, value, fa * (0.5 if last > 0 else 1.0)
        else:
            a, fa, fb = middle, value, fb * (0.5 if last < 0 else 1.0)
        last = value
    return move(0.5 * (a + b))


@dataclass
class _Profile:
    """Smallest sum of squares with one parameter held, each search begun where the last one ended."""

    fit: ModelFit
    index: int
    last: Array | None = None

    def __call__(self, value: float) -> float:
        fit = self.fit
        start = fit.values if self.last is None else self.last
        scale = _sizes(fit)
        problem = Problem(fit.model, fit.x, fit.y, fit.sd, scale, {self.index: value})
        self.last, ss = problem.descend(start)
        return ss


def _sizes(fit: ModelFit) -> Array:
    """Return steps of order one for the parameters (p,): their size, but no less than a thousandth of the range of one that may be 0."""
    ranges = np.array([0.0 if p.positive else p.high - p.low for p in fit.model.parameters])
    least = np.where(np.isfinite(ranges) & (ranges > 0.0), 1e-3 * ranges, 0.0)
    sizes = np.maximum(np.abs(fit.values), least)
    return np.where(sizes > 0.0, sizes, 1.0)
