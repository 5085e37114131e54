"""What one curve says by itself: steady rise, apparent time constants, their covariance, and how far models disagree."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nanolab.models.heat import TwoModes, ln_theta_time_constant, theta_range
from nanolab.quantities import Quantity
from plans.photothermal.curve import HeatingCurve, Prepared, prepare
from plans.photothermal.nodes import OneNode, TwoNode, fit_one_node, fit_two_nodes
from plans.photothermal.transfer import TransferFit, fit_transfer, modes_from

Array = npt.NDArray[np.float64]

QUANTITIES = ("rise", "tau", "slope", "loss_rate", "small_loss")
"""Rise in K after the protocol's heating at the reference power; tau in s, so that heat capacity over tau is the
heat per kelvin of that rise; first slope in K/s; slope over rise in 1/s; heat per kelvin at a small rise over that."""

NOISE_DRAWS = 200
POSTERIOR_DRAWS = 300
KEPT_DRAWS = 150
HEATINGS = 5.0
STRAIGHT_WEIGHT = 0.3
MODEL_FLOOR = 0.002
END_OF_HEATING_S = 30.0


@dataclass(frozen=True)
class Line:
    """An apparent time constant from the readings themselves: value, standard uncertainty (s), number of phases."""

    value: float
    standard_uncertainty: float
    phases: int


@dataclass(frozen=True)
class CurveEstimate:
    """Estimates of one curve.

    ``heat_s`` length of the protocol's heating in s; ``values`` (5,) of QUANTITIES and their ``covariance``; ``spread`` relative standard uncertainty of rise/tau from the disagreement of
    models; ``calibration_spread`` the same from not knowing at which rise a heater measured the heat capacity.
    """

    prepared: Prepared
    transfer: TransferFit
    linear: TransferFit
    heat_s: float
    values: Array
    covariance: Array
    spread: float
    calibration_spread: float
    heating: Line | None
    cooling: Line | None
    end_rise: float
    base: float | None

    @cached_property
    def one_node(self) -> OneNode:
        """One node through the whole curve; fitted when first asked for, as the efficiency does not need it."""
        return fit_one_node(self.prepared, self.base)

    @cached_property
    def two_node(self) -> TwoNode:
        """Two nodes through the whole curve; fitted when first asked for."""
        return fit_two_nodes(self.prepared, self.base, self.one_node)

    @property
    def modes(self) -> TwoModes:
        """The fitted modes."""
        return self.transfer.modes


def estimate(
    curve: HeatingCurve,
    power_w: float | None = None,
    *,
    ambient_c: float | None = None,
    calibration_rise_k: float | None = None,
) -> CurveEstimate:
    """Fit a curve and say what it shows.

    Parameters
    ----------
    curve : HeatingCurve
    power_w : float or None
        Reference incident power in W.
    ambient_c : float or None
        Temperature before heating in degC, used where the curve has no baseline.
    calibration_rise_k : float or None
        Rise in K at which the effective heat capacity was measured.
    """
    prepared = prepare(curve, power_w)
    base = known_base(prepared, ambient_c)
    prior = None if base is None or has_baseline(prepared) else (base, 0.1 if curve.delta else 0.2)
    transfer = fit_transfer(prepared, base=prior, draws=POSTERIOR_DRAWS)
    linear = fit_transfer(prepared, base=prior, curved=False)

    heat_s = protocol_length(transfer.modes, prepared.periods)
    values, covariance = _moments(transfer, heat_s, calibration_rise_k)
    spread, calibration = _spreads(transfer, linear, heat_s, calibration_rise_k)
    heating, cooling = _lines(transfer, heating=True), _lines(transfer, heating=False)
    return CurveEstimate(
        prepared,
        transfer,
        linear,
        heat_s,
        values,
        covariance,
        spread,
        calibration,
        heating,
        cooling,
        _end_rise(prepared, base),
        base,
    )


def has_baseline(prepared: Prepared) -> bool:
    """Whether readings before the first heating show where it starts."""
    before = prepared.present & (prepared.bin_s < prepared.periods[0][0] - 0.5 * prepared.bin_width_s)
    return int(np.count_nonzero(before)) >= 5


def known_base(prepared: Prepared, ambient_c: float | None) -> float | None:
    """Temperature before heating: mean of the baseline, else zero of a difference, else the ambient given, else None."""
    if has_baseline(prepared):
        before = prepared.present & (prepared.bin_s < prepared.periods[0][0] - 0.5 * prepared.bin_width_s)
        return float(np.average(prepared.data[before], weights=prepared.counts[before]))
    return 0.0 if prepared.curve.delta else ambient_c


def protocol_length(modes: TwoModes, periods: tuple[tuple[float, float], ...]) -> float:
    """Seconds of heating after which rise and tau are taken: as long as the run's own, at least five time constants.

    A heater heats for several time constants too. Taken at the same moment, what a slow wall or holder still adds is in
    the heat capacity as it is in the rise, and need not be extrapolated.
    """
    longest = max(off - on for on, off in periods)
    length = longest
    for _ in range(2):
        length = max(longest, HEATINGS * modes.heat_and_cool(length)[1])
    return length


def _describe(modes: TwoModes, heat_s: float, calibration_rise_k: float | None) -> Array:
    """QUANTITIES of two modes.

    A heater of w watts with rise R and cooling time tau gives C = tau w / R. Were w the laser's heat, tau / R would be
    known from the run itself. With a curved loss tau and R / w depend on the rise: they are taken from the modes at
    the rise at which the heater worked (where that is known).
    """
    rise, tau = modes.heat_and_cool(heat_s)
    per_level = rise / tau
    if calibration_rise_k is not None:
        level = calibration_rise_k / rise
        there, tau_there = modes.heat_and_cool(heat_s, level)
        per_level = there / tau_there / level
    small, _ = modes.heat_and_cool(heat_s, 0.01)
    return np.array([rise, rise / per_level, modes.initial_slope, modes.initial_slope / rise, rise / (100.0 * small)])


def _moments(transfer: TransferFit, heat_s: float, calibration_rise_k: float | None) -> tuple[Array, Array]:
    """Mean (5,) and covariance (5, 5) of QUANTITIES over draws from the posterior."""
    samples = transfer.samples
    if samples is None:
        raise RuntimeError("the transfer function was fitted without draws")
    # equal weights: every kept draw costs a cooling curve, many proposals weigh next to nothing
    generator = np.random.default_rng(3)
    places = (np.arange(KEPT_DRAWS) + generator.uniform()) / KEPT_DRAWS
    kept = np.minimum(np.searchsorted(np.cumsum(samples.weights), places), samples.weights.size - 1)
    table = np.array(
        [
            _describe(modes_from(samples.shape[index], samples.linear[index]), heat_s, calibration_rise_k)
            for index in kept
        ]
    )
    return table.mean(axis=0), np.cov(table.T)


def _spreads(
    transfer: TransferFit, linear: TransferFit, heat_s: float, calibration_rise_k: float | None
) -> tuple[float, float]:
    """Relative spreads of rise/tau: between curved and straight loss, and by the heater's unknown rise."""
    curved = _describe(transfer.modes, heat_s, calibration_rise_k)
    straight = _describe(linear.modes, heat_s, calibration_rise_k)
    between = np.log(curved[0] / curved[1]) - np.log(straight[0] / straight[1])
    spread = float(np.hypot(STRAIGHT_WEIGHT * between, MODEL_FLOOR))
    if calibration_rise_k is not None:
        return spread, 0.0
    half = _describe(transfer.modes, heat_s, 0.5 * float(curved[0]))
    return spread, float(abs(np.log(half[1] / curved[1])) / np.sqrt(3.0))


def _end_rise(prepared: Prepared, base: float | None) -> float:
    """Mean rise in K over the last half minute of the last heating, from the readings."""
    on, off = prepared.periods[-1]
    clear = prepared.present & prepared.in_one_phase()
    window = max(END_OF_HEATING_S, 2.0 * prepared.bin_width_s)
    last = clear & (prepared.bin_s > max(on, off - window)) & (prepared.bin_s <= off)
    if not last.any():
        last = clear & (prepared.bin_s > on) & (prepared.bin_s <= off)
    start = float(np.nanmin(prepared.data)) if base is None else base
    return float(np.average(prepared.data[last], weights=prepared.counts[last])) - start


def _lines(transfer: TransferFit, *, heating: bool) -> Line | None:
    """Apparent time constant of ln(theta) over 0.95..0.1 from the readings, mean over the phases; None without any.

    The background is taken off as fitted; theta runs between the fitted start and end of each phase. The uncertainty is
    that of the fitted noise drawn anew, with its memory.
    """
    prepared = transfer.prepared
    draws = transfer.fit.noise.draw(np.random.default_rng(1), NOISE_DRAWS, prepared.data.size)
    results = []
    ends = [*(on for on, _ in prepared.periods[1:]), float(prepared.grid_s[-1])]
    for (on, off), end in zip(prepared.periods, ends, strict=True):
        begin, finish = (on, off) if heating else (off, end)
        inside = prepared.in_one_phase() & prepared.present & (prepared.bin_s > begin) & (prepared.bin_s < finish)
        if np.count_nonzero(inside) < 5:
            continue
        time = prepared.bin_s[inside]
        level = prepared.levels[prepared.periods.index((on, off))]
        begin_rise = float(np.interp(begin, prepared.bin_s, transfer.rise))
        limit = transfer.modes.steady_rise(level) if heating else 0.0
        theta = (transfer.rise[inside] - limit) / (begin_rise - limit)
        used = theta_range(theta)
        # a line over less than half of an e-folding says nothing of the curve as a whole
        if np.count_nonzero(used) < 4 or theta[used].min() > 0.6:
            continue
        noise = np.concatenate([transfer.fit.residuals[None, inside], draws[:, inside]]) / (begin_rise - limit)
        results.append(_line(time[used], theta[used], noise[:, used]))
    if not results:
        return None
    table = np.array(results)
    mean = table.mean(axis=0)
    return Line(float(mean[0]), float(np.std(mean[1:], ddof=1)), len(results))


def _line(time: Array, theta: Array, noise: Array) -> Array:
    """Time constants (1 + draws,) of lines through ln(theta + noise), to first order in the noise."""
    central = time - time.mean()
    weights = central / np.sum(central**2)
    slopes = weights @ np.log(theta) + (noise / theta) @ weights
    return np.asarray(-1.0 / slopes)


def line_quantity(line: Line | None) -> Quantity | None:
    """The line's time constant as a quantity in s."""
    return None if line is None else Quantity(line.value, "s", line.standard_uncertainty)


def direct_cooling(estimate_: CurveEstimate) -> float:
    """Apparent time constant in s straight from the readings of the last cooling, as most papers have it."""
    prepared, base = estimate_.prepared, estimate_.base
    off = prepared.periods[-1][1]
    after = prepared.present & prepared.in_one_phase() & (prepared.bin_s > off)
    start = float(np.nanmin(prepared.data)) if base is None else base
    theta = (prepared.data[after] - start) / estimate_.end_rise
    return ln_theta_time_constant(prepared.bin_s[after], theta)
