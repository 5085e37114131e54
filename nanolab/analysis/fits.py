"""Separable least squares with correlated noise and stated prior knowledge.

Curves of an assay are linear in most of their parameters and nonlinear in a few rates. For given rates the linear
part is solved at once (variable projection: Golub & Pereyra, SIAM J. Numer. Anal. 10, 413 (1973),
10.1137/0710036); the noise model is estimated from the residuals and the fit repeated on whitened data.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from nanolab.analysis.noise import ArNoise, estimate_noise

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Prior:
    """What is known of parameters before the data: normal, `sd` infinite where nothing is known. Shapes (k,)."""

    mean: Array
    sd: Array

    def rows(self) -> tuple[Array, Array]:
        """Return the rows (r, k) and values (r,) that stand for this knowledge in whitened least squares."""
        known = np.flatnonzero(np.isfinite(self.sd))
        rows = np.zeros((known.size, self.mean.size))
        rows[np.arange(known.size), known] = 1.0 / self.sd[known]
        return rows, self.mean[known] / self.sd[known]


@dataclass(frozen=True)
class SeparableFit:
    """Result of `fit_separable`.

    ``shape`` (s,) nonlinear parameters, ``linear`` (k,) coefficients, ``covariance`` (s + k, s + k) of both, shape
    first; ``fitted`` and ``residuals`` (n,) on the grid; ``noise`` of the residuals; ``chi2`` per degree of freedom
    of the whitened residuals.
    """

    shape: Array
    linear: Array
    covariance: Array
    fitted: Array
    residuals: Array
    noise: ArNoise
    chi2: float
    at_bound: tuple[bool, ...] = field(default=())


Columns = Callable[[Array], Array]


def solve_linear(columns: Array, data: Array, prior: Prior) -> Array:
    """Coefficients (k,) of whitened columns (r, k) that fit whitened data (r,) under a prior."""
    rows, values = prior.rows()
    return np.asarray(np.linalg.lstsq(np.vstack([columns, rows]), np.concatenate([data, values]), rcond=None)[0])


def fit_separable(
    columns: Columns,
    data: Array,
    present: Mask,
    start: Array,
    bounds: tuple[Array, Array],
    prior: Prior,
    shape_prior: Prior,
    noise: ArNoise,
    *,
    tolerance: float = 1e-8,
) -> SeparableFit:
    """Fit ``data = columns(shape) @ linear`` for a given noise model.

    Parameters
    ----------
    columns : callable
        Maps the nonlinear parameters (s,) to the columns (n, k) on the grid.
    data, present : (n,)
        Values on an even grid, and where there are any.
    start, bounds : (s,) and a pair of (s,)
        Where to start and between what to stay.
    prior, shape_prior : Prior
        Prior knowledge of the linear and of the nonlinear parameters.
    noise : ArNoise
        Noise model used to whiten; its sigma weighs the data against the priors.

    Returns
    -------
    SeparableFit
        With the covariance of the whitened problem, scaled up (never down) by the whitened residuals.
    """
    rows = noise.rows(present)
    whitened = noise.whiten(np.where(present, data, 0.0), rows)
    shape_rows, shape_values = shape_prior.rows()

    def left_over(shape: Array) -> Array:
        matrix = noise.whiten(columns(shape), rows)
        linear = solve_linear(matrix, whitened, prior)
        prior_rows, prior_values = prior.rows()
        return np.concatenate(
            [matrix @ linear - whitened, prior_rows @ linear - prior_values, shape_rows @ shape - shape_values]
        )

    found = least_squares(left_over, start, bounds=bounds, xtol=tolerance, ftol=tolerance, gtol=1e-12, diff_step=1e-5)
    shape = np.asarray(found.x)
    full = columns(shape)
    matrix = noise.whiten(full, rows)
    linear = solve_linear(matrix, whitened, prior)
    fitted = full @ linear
    freedom = max(rows.size - shape.size - linear.size, 1)
    chi2 = float(np.sum((matrix @ linear - whitened) ** 2) / freedom)
    jacobian = _jacobian(columns, shape, linear, full)
    covariance = _covariance(noise.whiten(jacobian, rows), prior, shape_prior) * max(chi2, 1.0)
    low, high = bounds
    stuck = tuple(bool(x) for x in (np.isclose(shape, low, atol=1e-6) | np.isclose(shape, high, atol=1e-6)))
    return SeparableFit(shape, linear, covariance, fitted, np.where(present, data - fitted, 0.0), noise, chi2, stuck)


def _jacobian(columns: Columns, shape: Array, linear: Array, full: Array) -> Array:
    """Derivatives (n, s + k) of the fitted curve by all parameters, shape first (central differences)."""
    parts = []
    for index in range(shape.size):
        step = np.zeros(shape.size)
        step[index] = 1e-4
        parts.append((columns(shape + step) - columns(shape - step)) @ linear / 2e-4)
    return np.column_stack([*parts, full])


def _covariance(jacobian: Array, prior: Prior, shape_prior: Prior) -> Array:
    shape_rows, _ = shape_prior.rows()
    linear_rows, _ = prior.rows()
    s, k = shape_rows.shape[1], linear_rows.shape[1]
    stacked = np.vstack(
        [
            jacobian,
            np.hstack([shape_rows, np.zeros((shape_rows.shape[0], k))]),
            np.hstack([np.zeros((linear_rows.shape[0], s)), linear_rows]),
        ]
    )
    # rates and kelvins differ by orders of magnitude: scale before inverting
    scale = np.linalg.norm(stacked, axis=0)
    scale[scale == 0] = 1.0
    scaled = stacked / scale
    return np.asarray(np.linalg.pinv(scaled.T @ scaled, hermitian=True) / np.outer(scale, scale))


def refit_noise(fit: SeparableFit, present: Mask, largest_order: int, floor: float = 1e-12) -> ArNoise:
    """Estimate the noise anew from the residuals of a fit; its sigma stays above `floor`."""
    count = fit.shape.size + fit.linear.size
    return estimate_noise(fit.residuals, present, largest_order=largest_order, parameters=count, floor=floor)


@dataclass(frozen=True)
class Samples:
    """Draws from the posterior of a separable fit: ``shape`` (m, s), ``linear`` (m, k), normalised ``weights`` (m,)."""

    shape: Array
    linear: Array
    weights: Array

    @property
    def effective_size(self) -> float:
        """Number of equally weighted draws that these are worth: 1 / sum of squared weights."""
        return float(1.0 / np.sum(self.weights**2))


@dataclass(frozen=True)
class Posterior:
    """The problem of `fit_separable` with a noise model, as a density of its nonlinear parameters.

    ``refine`` maps nonlinear (s,) and linear (k,) parameters to columns (n, k) where the columns depend weakly on the
    linear parameters too (None: they do not).
    """

    columns: Columns
    refine: Callable[[Array, Array], Array] | None
    data: Array
    present: Mask
    prior: Prior
    shape_prior: Prior
    noise: ArNoise
    chi2: float

    def solve(self, columns: Array) -> tuple[Array, Array, Array, float]:
        """Coefficients (k,), the triangular root of their precision with its scales, and the log of the density."""
        rows = self.noise.rows(self.present)
        whitened = self.noise.whiten(np.where(self.present, self.data, 0.0), rows) / np.sqrt(self.chi2)
        prior_rows, prior_values = self.prior.rows()
        matrix = np.vstack([self.noise.whiten(columns, rows) / np.sqrt(self.chi2), prior_rows])
        target = np.concatenate([whitened, prior_values])
        scale = np.linalg.norm(matrix, axis=0)
        scale[scale == 0] = 1.0
        q, r = np.linalg.qr(matrix / scale)
        best = np.linalg.solve(r, q.T @ target)
        left = target - (matrix / scale) @ best
        log_determinant = np.sum(np.log(np.abs(np.diag(r)))) + np.sum(np.log(scale))
        return best / scale, r, scale, float(-0.5 * (left @ left) - log_determinant)

    def surprise(self, shape: Array) -> float:
        """Half the squared distance of the nonlinear parameters from what was known of them."""
        known = np.isfinite(self.shape_prior.sd)
        return float(0.5 * np.sum(((shape - self.shape_prior.mean)[known] / self.shape_prior.sd[known]) ** 2))


NEGLIGIBLE = 12.0
"""Draws whose density lies this many e-foldings below the best are left out: they weigh nothing and cost time."""


def sample_posterior(
    posterior: Posterior,
    fits: list[SeparableFit],
    bounds: tuple[Array, Array],
    acceptable: Callable[[Array], bool],
    generator: np.random.Generator,
    count: int = 300,
) -> Samples:
    """Draw from a posterior by importance sampling around every optimum that was found.

    Rates of decaying curves have crooked and many-peaked posteriors, where a covariance at the best point says too
    little. The nonlinear parameters are proposed from Student's t (4 degrees of freedom) around each optimum; for
    each the linear ones are integrated out in closed form, and one vector of them is drawn.

    Parameters
    ----------
    posterior : Posterior
    fits : list of SeparableFit
        Optima from several starts.
    bounds : pair of (s,)
        Between what the nonlinear parameters stay.
    acceptable : callable
        Says whether drawn linear coefficients (k,) are possible (signs).
    count : int
        Number of proposals.
    """
    centres, roots = _proposals(fits)
    low, high = bounds
    shapes, linears, scores = [], [], []
    highest = -np.inf
    for index in range(count):
        which = index % len(centres)
        z = generator.standard_normal(centres[which].size) / np.sqrt(generator.chisquare(4) / 4.0)
        shape = centres[which] + roots[which] @ z
        if np.any(shape < low) or np.any(shape > high):
            continue
        best, r, scale, density = posterior.solve(posterior.columns(shape))
        fixed = -posterior.surprise(shape) - _log_proposal(shape, centres, roots)
        if density + fixed < highest - NEGLIGIBLE:
            continue
        if posterior.refine is not None:
            best, r, scale, density = posterior.solve(posterior.refine(shape, best))
        linear = best + np.linalg.solve(r, generator.standard_normal(best.size)) / scale
        if not acceptable(linear):
            continue
        highest = max(highest, density + fixed)
        shapes.append(shape)
        linears.append(linear)
        scores.append(density + fixed)
    if not scores:
        return Samples(fits[0].shape[None], fits[0].linear[None], np.ones(1))
    weights = np.exp(np.array(scores) - max(scores))
    return Samples(np.array(shapes), np.array(linears), weights / weights.sum())


def _proposals(fits: list[SeparableFit]) -> tuple[list[Array], list[Array]]:
    """Centres (s,) and roots (s, s) of the proposal around each optimum, a little wider than the optimum is."""
    centres, roots = [], []
    for fit in fits:
        size = fit.shape.size
        covariance = fit.covariance[:size, :size]
        weights, vectors = np.linalg.eigh(covariance)
        # a flat direction has no width of its own: half an e-folding
        spread = np.clip(1.2 * np.sqrt(np.clip(weights, 0.0, None)), 1e-4, 0.5)
        centres.append(fit.shape)
        roots.append(vectors * spread)
    return centres, roots


def _log_proposal(shape: Array, centres: list[Array], roots: list[Array]) -> float:
    """Logarithm of the mixture of Student's t densities (4 degrees of freedom), up to a constant."""
    terms = []
    for centre, root in zip(centres, roots, strict=True):
        distance = float(np.sum(np.linalg.solve(root, shape - centre) ** 2))
        size = shape.size
        terms.append(-0.5 * (4 + size) * np.log1p(distance / 4.0) - np.log(abs(np.linalg.det(root))))
    return float(np.logaddexp.reduce(terms))
