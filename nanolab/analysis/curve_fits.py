"""Weighted least squares of a curve with a few parameters, from many starts.

Positive parameters are fitted as logarithms, the others in units of their starting size, so that every step is of
order one. Intervals are those of `nanolab.analysis.profiles`; the covariance given here is that of the linearised
problem with white noise and only sets the first step of their search.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

Array = npt.NDArray[np.float64]
Curve = Callable[[Array, Array], Array]

LARGEST_MEMORY = 0.95
"""Autocorrelation of residuals is not believed beyond this: drift and noise cannot be told apart there."""

_BEST_STARTS = 3
_BAD = 1e9
_LARGEST_LOG = 690.0  # exp of more overflows
_NUDGE = 1e-6
_MOST_DESCENTS = 60
_COARSE = {"xtol": 1e-10, "ftol": 1e-10, "gtol": 1e-12, "max_nfev": 400}
_FINE = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "max_nfev": 2000, "jac": "3-point"}


@dataclass(frozen=True)
class FitParameter:
    """One parameter: name, unit, limits, and whether it is positive (then fitted as its logarithm)."""

    name: str
    unit: str = "1"
    positive: bool = True
    low: float = -np.inf
    high: float = np.inf


@dataclass(frozen=True)
class FitModel:
    """A curve and its parameters.

    ``curve(x, values)`` maps x (n,) and parameters (p,) to y (n,). ``above`` lists (i, j, factor): parameter i stays
    at or above factor times parameter j, which tells the parts of a sum apart.
    """

    name: str
    parameters: Sequence[FitParameter]
    curve: Curve
    above: Sequence[tuple[int, int, float]] = ()


@dataclass(frozen=True)
class ModelFit:
    """Least-squares fit of one model to n points.

    ``values`` (p,); ``fitted`` and ``residuals`` (n,) in the unit of y; ``sd`` (n,) as used for weights;
    ``sum_of_squares`` of the weighted residuals; ``covariance`` (p, p) of the linearised problem, for white noise of
    unknown size, inf where that cannot be inverted; ``at_limit`` names the parameters that ended at a limit.
    """

    model: FitModel
    x: Array
    y: Array
    sd: Array
    values: Array
    fitted: Array
    residuals: Array
    sum_of_squares: float
    covariance: Array
    at_limit: tuple[str, ...] = ()

    @property
    def freedom(self) -> int:
        """Points minus parameters."""
        return int(self.x.size - self.values.size)

    @property
    def memory(self) -> float:
        """Autocorrelation of the weighted residuals between neighbours in x, 0 where it is not seen."""
        return residual_memory((self.residuals / self.sd)[np.argsort(self.x, kind="stable")])


@dataclass
class Problem:
    """A fit in steps of order one: u = ln p for positive parameters, p / scale otherwise; some may be held fixed."""

    model: FitModel
    x: Array
    y: Array
    sd: Array
    scale: Array
    fixed: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.free = [i for i in range(len(self.model.parameters)) if i not in self.fixed]
        self._logs = np.array([p.positive for p in self.model.parameters])
        # in one multiplication: the step of a logarithm is not scaled
        self._scales = np.where(self._logs, 1.0, self.scale)

    def to_steps(self, values: Array) -> Array:
        """Turn parameters (p,) into steps (p,)."""
        steps = [_step(p, v, s) for p, v, s in zip(self.model.parameters, values, self.scale, strict=True)]
        return np.array(steps)

    def full(self, free: Array) -> Array:
        """Return all parameters (p,) from the steps of the free ones; the fixed ones are exact."""
        values = np.zeros(self._logs.size)
        values[self.free] = free
        values *= self._scales
        values[self._logs] = np.exp(np.minimum(values[self._logs], _LARGEST_LOG))
        for index, value in self.fixed.items():
            values[index] = value
        return values

    def bounds(self) -> tuple[Array, Array]:
        """Limits of the free steps, those of an ordered partner moved where the other one is held fixed."""
        low = np.array([p.low for p in self.model.parameters])
        high = np.array([p.high for p in self.model.parameters])
        for larger, smaller, factor in self.model.above:
            if smaller in self.fixed:
                low[larger] = max(low[larger], factor * self.fixed[smaller])
            if larger in self.fixed:
                high[smaller] = min(high[smaller], self.fixed[larger] / factor)
        low, high = self.to_steps(low), self.to_steps(high)
        return low[self.free], np.maximum(high, low + 1e-9)[self.free]

    def left_over(self, free: Array) -> Array:
        """Return weighted residuals (n,)."""
        with np.errstate(all="ignore"):
            left = np.asarray((self.model.curve(self.x, self.full(free)) - self.y) / self.sd)
        if not np.all(np.isfinite(left)):
            # a curve that overflows is merely a very bad one
            left = np.nan_to_num(left, nan=_BAD, posinf=_BAD, neginf=-_BAD)
        return left

    def solve(self, start: Array, fine: bool = False) -> tuple[Array, float]:
        """Minimise from parameters (p,) anywhere; return those found and the sum of squares."""
        low, high = self.bounds()
        inside = np.clip(self.to_steps(start)[self.free], low, high)
        with np.errstate(all="ignore"):  # a trial step may overflow; it is then not taken
            found = least_squares(self.left_over, inside, bounds=(low, high), **(_FINE if fine else _COARSE))
        return self.full(found.x), float(2.0 * found.cost)

    def descend(self, start: Array) -> tuple[Array, float]:
        """Minimise from parameters (p,) near the optimum, as `solve` does but several times faster.

        Levenberg's method with the steps cut at the limits (D. W. Marquardt, J. SIAM 11, 431 (1963),
        10.1137/0111030).
        """
        low, high = self.bounds()
        at = np.clip(self.to_steps(start)[self.free], low, high)
        left = self.left_over(at)
        cost, damping = float(left @ left), 1e-3
        for _ in range(_MOST_DESCENTS if at.size else 0):
            jacobian = np.column_stack([(self.left_over(_nudged(at, i)) - left) / _NUDGE for i in range(at.size)])
            gradient = jacobian.T @ left
            # a parameter at its limit that wants to go beyond stays there
            moving = ~(((at <= low) & (gradient > 0)) | ((at >= high) & (gradient < 0)))
            if not np.any(moving):
                break
            normal = (jacobian.T @ jacobian)[np.ix_(moving, moving)]
            gained, damping = 0.0, max(damping, 1e-9)
            while damping < 1e8:
                trial = at.copy()
                damped = normal + damping * np.diag(np.diag(normal) + 1e-12 * np.trace(normal) + 1e-300)
                trial[moving] -= np.linalg.solve(damped, gradient[moving])
                trial = np.clip(trial, low, high)
                new = self.left_over(trial)
                gained = cost - float(new @ new)
                if gained > 0.0:
                    at, left, cost, damping = trial, new, cost - gained, 0.2 * damping
                    break
                damping *= 5.0
            if gained <= 1e-7 * cost:
                break
        return self.full(at), cost


def _nudged(at: Array, index: int) -> Array:
    moved = at.copy()
    moved[index] += _NUDGE
    return moved


def _step(parameter: FitParameter, value: float, scale: float) -> float:
    if parameter.positive:
        return float(np.log(value)) if value > 0 else -np.inf
    return float(value / scale)


def _scale(start: Array) -> Array:
    return np.where(np.abs(start) > 0, np.abs(start), 1.0)


def fit_model(
    model: FitModel, x: npt.ArrayLike, y: npt.ArrayLike, starts: Sequence[npt.ArrayLike], sd: npt.ArrayLike = 1.0
) -> ModelFit:
    """Fit a model to points (n,) from several starting values (p,); the best of the three most promising is kept.

    Parameters
    ----------
    x, y : (n,)
        The points; x in any order.
    starts : sequence of (p,)
        Guesses, one for each plausible scale; ranked by how well they fit as they are.
    sd : float or (n,)
        Standard deviations of y, or anything proportional to them: their common size is taken from the residuals.

    Raises
    ------
    ValueError
        Fewer points than parameters, no start, a standard deviation that is not positive, values not finite.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    spread = np.broadcast_to(np.asarray(sd, dtype=np.float64), y.shape)
    if x.size < len(model.parameters):
        raise ValueError(f"{model.name}: {x.size} points cannot fix {len(model.parameters)} parameters")
    if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y)) and np.all(spread > 0)):
        raise ValueError(f"{model.name}: every point needs a finite x and y and a positive standard deviation")
    guesses = [np.asarray(start, dtype=np.float64) for start in starts]
    if not guesses:
        raise ValueError(f"{model.name}: no starting values were given")
    problems = [Problem(model, x, y, spread, _scale(guess)) for guess in guesses]
    costs = [float(np.sum(p.left_over(p.to_steps(g)[p.free]) ** 2)) for p, g in zip(problems, guesses, strict=True)]
    promising = np.argsort(costs, kind="stable")[:_BEST_STARTS]
    if len(guesses) > 1:
        found = [problems[at].descend(guesses[at]) for at in promising]
    else:
        # no other start makes up for a poor one: take the slower, surer way
        found = [problems[0].solve(guesses[0])]
    values, _ = min(found, key=lambda pair: pair[1])
    problem = Problem(model, x, y, spread, _scale(values))
    values, ss = problem.solve(values, fine=True)
    return _finished(problem, values, ss)


def _finished(problem: Problem, values: Array, ss: float) -> ModelFit:
    model = problem.model
    with np.errstate(all="ignore"):
        fitted = np.asarray(model.curve(problem.x, values))
    at_limit = tuple(
        p.name
        for p, value in zip(model.parameters, values, strict=True)
        if value <= p.low + 1e-6 * abs(p.low) or value >= p.high - 1e-6 * abs(p.high)
    )
    return ModelFit(
        model, problem.x, problem.y, problem.sd, values, fitted, problem.y - fitted, ss,
        _covariance(problem, values, ss), at_limit,
    )  # fmt: skip


def _covariance(problem: Problem, values: Array, ss: float) -> Array:
    """Covariance (p, p) of the linearised problem: s^2 (J^T J)^-1 in the parameters themselves."""
    steps = problem.to_steps(values)
    columns = []
    for index in range(steps.size):
        # fourth-order differences: NIST's standard deviations ask for four digits of the inverse of J^T J
        h = 1e-3 * max(1.0, abs(steps[index])) if not problem.model.parameters[index].positive else 1e-3
        at = [problem.left_over(steps + move * h * np.eye(steps.size)[index]) for move in (-2, -1, 1, 2)]
        columns.append((at[0] - 8.0 * at[1] + 8.0 * at[2] - at[3]) / (12.0 * h))
    jacobian = np.column_stack(columns)
    freedom = max(problem.x.size - steps.size, 1)
    size = np.linalg.norm(jacobian, axis=0)
    # what moves nothing by more than rounding cannot be inverted
    if np.any(size <= 1e-12 * max(float(np.linalg.norm(problem.y / problem.sd)), 1e-300)) or not np.all(
        np.isfinite(jacobian)
    ):
        return np.full((steps.size, steps.size), np.inf)
    inverse = np.linalg.pinv(jacobian / size)
    per_step = np.array(
        [v if p.positive else s for p, v, s in zip(problem.model.parameters, values, problem.scale, strict=True)]
    )
    scaled = inverse @ inverse.T / np.outer(size, size)
    return np.asarray(ss / freedom * scaled * np.outer(per_step, per_step))


def residual_memory(residuals: npt.ArrayLike) -> float:
    """Autocorrelation of residuals (n,) between neighbours; 0 unless it exceeds its own uncertainty, 1/sqrt(n)."""
    values = np.asarray(residuals, dtype=np.float64)
    total = float(np.sum(values**2))
    if values.size < 8 or total == 0.0:
        return 0.0
    memory = float(np.sum(values[1:] * values[:-1]) / total)
    return min(memory, LARGEST_MEMORY) if memory > 1.0 / np.sqrt(values.size) else 0.0
