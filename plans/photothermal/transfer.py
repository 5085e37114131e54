"""The whole curve as two thermal modes, a probe step, a curved loss and a background, in correlated noise.

From one temperature the transfer function of a liquid and its surroundings has four identifiable numbers
(two rates, two gains); all that the efficiency needs, the steady rise and the apparent time constant, follows
from them. The loss may rise with temperature (evaporation, natural convection, radiation): heat b dT^2 is
withdrawn from the same node, which is again linear in b once the rise is known.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nanolab.analysis.fits import Posterior, Prior, Samples, SeparableFit, fit_separable, refit_noise, sample_posterior
from nanolab.analysis.noise import ArNoise, estimate_noise
from nanolab.models.heat import TwoModes, cell_means
from plans.photothermal.curve import Prepared, background_inputs

Array = npt.NDArray[np.float64]

PROBE_TIME_S = 2.0
"""Time constant of the column that takes up a step of the probe itself: its lag (negative) or beam on it (positive)."""

CURVATURE_PRIOR = (0.004, 0.006)
"""b in 1/K, mean and sd: capped water and natural convection give 0.001 to 0.01, an open dish 0.02 and more."""

DRIFT_PRIOR_K_PER_H = 0.5
RESIDUAL_DRIFT_PRIOR_K_PER_H = 0.05
AMBIENT_GAIN_PRIOR = (1.0, 0.1)
UNSETTLED_PRIOR_K = 0.5
RATIO_PRIOR = (np.log(2.5), 0.7)
"""ln(p1 / p2): rates that are nearly equal cannot be told from one, and one that is far slower not from drift."""

STARTING_RATIOS = (1.5, 3.0, 9.0)
"""p1/p2 from which further optima are looked for."""

NAMES = ("fast_gain", "slow_gain", "probe_step", "curvature", "base", "unsettled", "drift", "ambient")


@dataclass(frozen=True)
class TransferFit:
    """Two modes fitted to one curve.

    ``modes`` at the reference power; ``fit`` with the covariance (shape: ln p2, ln(p1/p2), then the columns
    NAMES); ``background`` (b,) base and drifts in degC or K; ``rise`` (b,) fitted rise of the liquid.
    """

    prepared: Prepared
    fit: SeparableFit
    modes: TwoModes
    background: Array
    rise: Array
    samples: Samples | None = None

    def coefficient(self, name: str) -> tuple[float, float]:
        """Value and standard uncertainty of a column of NAMES."""
        index = NAMES.index(name)
        at = 2 + index
        return float(self.fit.linear[index]), float(np.sqrt(self.fit.covariance[at, at]))

    @property
    def parameters(self) -> Array:
        """All parameters (2 + 8,), in the order of the covariance."""
        return np.concatenate([self.fit.shape, self.fit.linear])

    def modes_at(self, parameters: Array) -> TwoModes:
        """Modes for other values of the parameters."""
        return modes_from(parameters[:2], parameters[2:])


def modes_from(shape: Array, linear: Array) -> TwoModes:
    """Two modes from ln p2, ln(p1/p2) and the columns' coefficients.

    A probe that lags shows a negative step which belongs to the rise, a positive one is heat in the probe and
    does not. Behind a lag t_l a mode of gain G and rate p is seen with G/(1 - p t_l) and leaves -G p t_l/(1 -
    p t_l) in the step: the step is taken off each mode in proportion to gain times rate. (Taken off in
    proportion to the gains, a fast mode that the step cancels would be mistaken for the rise.)
    """
    slow = float(np.exp(shape[0]))
    fast = slow * float(np.exp(shape[1]))
    lag = min(float(linear[2]), 0.0)
    gains, rates = (float(linear[0]), float(linear[1])), (fast, slow)
    weights = [max(gain * rate, 0.0) for gain, rate in zip(gains, rates, strict=True)]
    total = sum(weights)
    shares = [weight / total for weight in weights] if total > 0 else [0.0, 0.0]
    return TwoModes(rates, (gains[0] + lag * shares[0], gains[1] + lag * shares[1]), float(linear[3]))


def fit_transfer(
    prepared: Prepared, *, curved: bool = True, base: tuple[float, float] | None = None, draws: int = 0
) -> TransferFit:
    """Fit two modes to a whole curve.

    Parameters
    ----------
    prepared : Prepared
        The curve on its grids.
    curved : bool
        Whether the loss may rise with temperature; if not, b is held at zero.
    base : (value, sd) or None
        What is known of the temperature before heating, where there was no baseline.
    draws : int
        Number of proposals for draws from the posterior (0: none).
    """
    span = float(prepared.grid_s[-1] - prepared.grid_s[0])
    on_time = max(off - on for on, off in prepared.periods)
    first = np.array([np.log(4.0 / min(on_time, span)), RATIO_PRIOR[0]])
    low = np.log([0.3 / span, 1.3])
    high = np.log([0.2, 60.0])
    start = np.clip(first, low + 1e-6, high - 1e-6)
    shape_prior = Prior(np.array([0.0, RATIO_PRIOR[0]]), np.array([np.inf, RATIO_PRIOR[1]]))
    prior = _prior(prepared, curved, base)
    noise = ArNoise(np.zeros(0), _rough_noise(prepared))
    rise: Array | None = None
    fit: SeparableFit | None = None
    # first white and linear, to see the noise and the rise; then whitened, with the curved loss
    for turn in range(4):
        columns = _Columns(prepared, rise, None if fit is None else modes_from(fit.shape, fit.linear))
        fit = fit_separable(
            columns,
            prepared.data,
            prepared.present,
            start,
            (low, high),
            prior,
            shape_prior,
            noise,
            tolerance=1e-4 if turn < 3 else 1e-8,
        )
        start = np.clip(fit.shape, low + 1e-6, high - 1e-6)
        rise = columns.rise(fit)
        if turn < 3:
            noise = refit_noise(fit, prepared.present, noise_order(prepared), noise_floor(prepared))
    if fit is None or rise is None:
        raise RuntimeError("the fit was not made")
    columns = _Columns(prepared, rise, modes_from(fit.shape, fit.linear))
    samples = None
    if draws:
        optima = [fit]
        for ratio in STARTING_RATIOS:
            other = np.clip([first[0], np.log(ratio)], low + 1e-6, high - 1e-6)
            optima.append(
                fit_separable(
                    columns, prepared.data, prepared.present, other, (low, high), prior, shape_prior, noise,
                    tolerance=1e-4,
                )
            )  # fmt: skip
        posterior = Posterior(
            columns, columns.refined if curved else None, prepared.data, prepared.present, prior, shape_prior, noise,
            max(fit.chi2, 1.0),
        )  # fmt: skip
        samples = sample_posterior(
            posterior, optima, (low, high), lambda linear: bool(min(linear[:2]) >= 0), np.random.default_rng(2), draws
        )
    background = columns(fit.shape)[:, 4:] @ fit.linear[4:]
    modes = modes_from(fit.shape, fit.linear)
    return TransferFit(prepared, fit, modes, background, fit.fitted - background, samples)


def _rough_noise(prepared: Prepared) -> float:
    """Standard deviation of the data from second differences, K: a start for the weights of the priors."""
    second = np.diff(prepared.data[prepared.present], 2)
    return max(float(1.4826 * np.median(np.abs(second)) / np.sqrt(6.0)), noise_floor(prepared))


def noise_floor(prepared: Prepared) -> float:
    """Noise below which a curve counts as computed, K: a millionth of its range."""
    return max(1e-6 * float(np.ptp(prepared.data[prepared.present])), 1e-9)


def _prior(prepared: Prepared, curved: bool, base: tuple[float, float] | None) -> Prior:
    mean = np.zeros(len(NAMES))
    sd = np.full(len(NAMES), np.inf)
    mean[3], sd[3] = CURVATURE_PRIOR if curved else (0.0, 1e-9)
    if base is not None:
        mean[4], sd[4] = base
    sd[5] = UNSETTLED_PRIOR_K
    if background_inputs(prepared) is None:
        sd[6] = DRIFT_PRIOR_K_PER_H
        mean[7], sd[7] = 0.0, 1e-9
    else:
        sd[6] = RESIDUAL_DRIFT_PRIOR_K_PER_H
        mean[7], sd[7] = AMBIENT_GAIN_PRIOR
    return Prior(mean, sd)


class _Columns:
    """Columns NAMES (b, 8) for given ln p2, ln(p1/p2); the rise of the round before feeds the curved loss."""

    def __init__(self, prepared: Prepared, rise: Array | None, modes: TwoModes | None) -> None:
        self._prepared = prepared
        self._ambient = background_inputs(prepared)
        self._fine_rise = rise
        self._shares = (0.0, 1.0) if modes is None else (modes.gains[0] / modes.gain, modes.gains[1] / modes.gain)
        self._probe = prepared.response(1.0 / PROBE_TIME_S)

    def __call__(self, shape: Array) -> Array:
        prepared = self._prepared
        slow = float(np.exp(shape[0]))
        fast = slow * float(np.exp(shape[1]))
        grid = prepared.grid_s
        time = grid - prepared.periods[0][0]
        rows = np.empty((len(NAMES), grid.size))
        rows[0], rows[1], rows[2] = prepared.response(fast), prepared.response(slow), self._probe
        if self._fine_rise is None:
            rows[3] = 0.0
        else:
            withdrawn = cell_means(self._fine_rise**2)
            rows[3] = -self._shares[0] * prepared.response(fast, withdrawn)
            rows[3] -= self._shares[1] * prepared.response(slow, withdrawn)
        rows[4] = 1.0
        # a fresh liquid that settles against a constant sink goes the way of its own step response
        since = grid - grid[0]
        rows[5] = self._shares[0] * np.exp(-fast * since) + self._shares[1] * np.exp(-slow * since)
        rows[6] = time / 3600.0
        rows[7] = 0.0 if self._ambient is None else prepared.response(slow, self._ambient)
        return prepared.binned(rows)

    def refined(self, shape: Array, linear: Array) -> Array:
        """Columns (b, 8) in which the curved loss is that of these parameters' own rise."""
        modes = modes_from(shape, linear)
        if min(modes.gains) < 0.0:
            return self(shape)
        rise = modes.response(self._prepared.drive, self._prepared.step_s)
        return _Columns(self._prepared, rise, modes)(shape)

    def rise(self, fit: SeparableFit) -> Array:
        """Rise (g,) of the body on the fine grid, without background and probe step."""
        modes = modes_from(fit.shape, fit.linear)
        return modes.response(self._prepared.drive, self._prepared.step_s)


@dataclass(frozen=True)
class AmplitudeFit:
    """How large a known shape is in another curve: value and standard uncertainty in K, and the noise found."""

    value: float
    standard_uncertainty: float
    noise: ArNoise
    residuals: Array


def fit_amplitude(
    prepared: Prepared, modes: TwoModes, heat_s: float, *, base: tuple[float, float] | None = None
) -> AmplitudeFit:
    """Rise in K after `heat_s` of a curve whose time course is that of `modes` (the blank in the same cuvette).

    The blank's own rise is too small to tell rates; it shares cuvette, volume and holder with the sample.
    """
    linear_modes = replace(modes, curvature=0.0)
    prior = _prior(prepared, False, base)
    keep = [1, 2, 4, 5, 6, 7]
    shape = np.log([modes.rates[1], modes.rates[0] / modes.rates[1]])
    table = _Columns(prepared, None, None)(shape)
    shares = (linear_modes.gains[0] / linear_modes.gain, linear_modes.gains[1] / linear_modes.gain)
    table[:, 1] = shares[0] * table[:, 0] + shares[1] * table[:, 1]
    sd = prior.sd.copy()
    sd[2] = 0.5
    matrix, known = table[:, keep], Prior(prior.mean[keep], sd[keep])
    noise = ArNoise(np.zeros(0), _rough_noise(prepared))
    order = max(2, min(8, round(40.0 / prepared.bin_width_s)))
    for _ in range(3):
        rows = noise.rows(prepared.present)
        white = noise.whiten(matrix, rows)
        data = noise.whiten(np.where(prepared.present, prepared.data, 0.0), rows)
        prior_rows, prior_values = known.rows()
        stacked = np.vstack([white, prior_rows])
        linear = np.linalg.lstsq(stacked, np.concatenate([data, prior_values]), rcond=None)[0]
        residuals = np.where(prepared.present, prepared.data - matrix @ linear, 0.0)
        # a parameter held by its prior is a billion times better known than the rise: scale before inverting
        scale = np.linalg.norm(stacked, axis=0)
        scale[scale == 0] = 1.0
        scaled = stacked / scale
        covariance = np.linalg.pinv(scaled.T @ scaled, hermitian=True) / np.outer(scale, scale)
        noise = estimate_noise(
            residuals, prepared.present, largest_order=order, parameters=6, floor=noise_floor(prepared)
        )
    reached = linear_modes.heat_and_cool(heat_s)[0] / linear_modes.gain
    return AmplitudeFit(reached * float(linear[0]), reached * float(np.sqrt(covariance[0, 0])), noise, residuals)


@dataclass(frozen=True)
class LevelFit:
    """Rise of each heating relative to the common fit, per unit of its own power: ``values`` (c,), ``covariance`` (c, c)."""

    values: Array
    covariance: Array


def fit_levels(transfer: TransferFit) -> LevelFit:
    """Let every heating of a run have its own size, its shape being that of the common fit."""
    prepared, modes = transfer.prepared, transfer.modes
    table = _Columns(prepared, None, modes)(transfer.fit.shape)
    middle = 0.5 * (prepared.grid_s[1:] + prepared.grid_s[:-1])
    whole = modes.response(prepared.drive, prepared.step_s)
    shapes, before = [], np.zeros_like(whole)
    for index in range(len(prepared.periods)):
        # with a curved loss the parts do not add up by themselves: each is what the heating adds to those before
        last = index == len(prepared.periods) - 1
        until = np.inf if last else prepared.periods[index + 1][0]
        sofar = whole if last else modes.response(np.where(middle < until, prepared.drive, 0.0), prepared.step_s)
        shapes.append(prepared.binned(sofar - before))
        before = sofar
    matrix = np.column_stack([*shapes, table[:, [2, 4, 5, 6, 7]]])
    count = len(shapes)
    prior = _prior(prepared, False, None)
    known = Prior(
        np.concatenate([np.zeros(count), prior.mean[[2, 4, 5, 6, 7]]]),
        np.concatenate([np.full(count, np.inf), prior.sd[[2, 4, 5, 6, 7]]]),
    )
    noise = transfer.fit.noise
    # what the common fit could not follow counts as noise there; once each heating has its size it is gone
    for _ in range(3):
        linear, covariance, residuals = _solve_linear(prepared, matrix, known, noise)
        noise = estimate_noise(
            residuals, prepared.present, largest_order=noise_order(prepared), parameters=linear.size,
            floor=noise_floor(prepared),
        )  # fmt: skip
    return LevelFit(linear[:count], covariance[:count, :count])


def _solve_linear(prepared: Prepared, matrix: Array, known: Prior, noise: ArNoise) -> tuple[Array, Array, Array]:
    """Coefficients (k,), covariance (k, k) and residuals (b,) of whitened linear least squares with a prior."""
    rows = noise.rows(prepared.present)
    white = noise.whiten(matrix, rows)
    data = noise.whiten(np.where(prepared.present, prepared.data, 0.0), rows)
    prior_rows, prior_values = known.rows()
    stacked = np.vstack([white, prior_rows])
    linear = np.linalg.lstsq(stacked, np.concatenate([data, prior_values]), rcond=None)[0]
    residuals = np.where(prepared.present, prepared.data - matrix @ linear, 0.0)
    return np.asarray(linear), np.asarray(np.linalg.pinv(stacked.T @ stacked, hermitian=True)), residuals


def noise_order(prepared: Prepared) -> int:
    """Largest order of the noise model: a memory of about forty seconds, two to eight bins."""
    return max(2, min(8, round(40.0 / prepared.bin_width_s)))
