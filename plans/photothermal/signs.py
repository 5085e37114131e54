"""Signs in the curves that an assumption of the balance does not hold: each both large and certain before it is named."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Cautions, exceeds
from nanolab.analysis.noise import autocorrelation
from plans.photothermal.conditions import Conditions
from plans.photothermal.curve import Prepared, background_inputs
from plans.photothermal.estimates import CurveEstimate
from plans.photothermal.transfer import fit_levels

Array = npt.NDArray[np.float64]

STEP_K = 0.3
PLATEAU_SHORT = 0.03
SLOPES_APART = 0.20
SETTLING_K = 0.25
"""A capped millilitre settles less than a tenth of a kelvin below the air; an open dish about six tenths."""
STEEP_LOSS_PER_K = 0.015
DRIFT_K_PER_H = 0.4
DRIFT_K = 0.2
RESTLESS = 2.0
RESTLESS_K = 0.01
CHANGED = 0.01
ABSORBANCE_CHANGED = 0.02


def look_for_signs(found: CurveEstimate, conditions: Conditions, cautions: Cautions) -> None:
    """Add the cautions that the curve, and the absorbances taken with it, give."""
    _invalid(found, cautions)
    _probe(found, cautions)
    _plateau(found, cautions)
    _slopes(found, cautions)
    _evaporation(found, cautions)
    _ambient(found, cautions)
    _stirring(found, cautions)
    _sample(found, conditions, cautions)


def _invalid(found: CurveEstimate, cautions: Cautions) -> None:
    curve = found.prepared.curve
    bad = int(np.count_nonzero(~curve.usable))
    if bad:
        cautions.add("invalid_readings", f"{bad} of {curve.time_s.size} readings are invalid and left out")


def _probe(found: CurveEstimate, cautions: Cautions) -> None:
    step, u = found.transfer.coefficient("probe_step")
    if step > 0 and exceeds(step, u, STEP_K, 4.0):
        cautions.add(
            "sensor_in_beam",
            f"the reading steps by {step:.2f} ± {u:.2f} K within seconds of the switch, faster than a liquid can: the probe "
            "sits in the beam",
        )


def _plateau(found: CurveEstimate, cautions: Cautions) -> None:
    """Share of the rise that a heating of the protocol's length would add to the last one."""
    prepared = found.prepared
    on, off = prepared.periods[-1]
    wanted = found.modes.heat_and_cool(found.heat_s)[0]
    reached = found.modes.heat_and_cool(off - on)[0]
    missing = 1.0 - reached / wanted
    if missing > PLATEAU_SHORT:
        cautions.add(
            "not_at_plateau",
            f"heating ended after {off - on:.0f} s with {100 * missing:.0f} % of the rise to come: it is extrapolated",
        )


def _slopes(found: CurveEstimate, cautions: Cautions) -> None:
    heating, cooling = found.heating, found.cooling
    if heating is None or cooling is None:
        return
    apart = heating.value / cooling.value - 1.0
    u = float(np.hypot(heating.standard_uncertainty, cooling.standard_uncertainty)) / cooling.value
    if exceeds(apart, u, SLOPES_APART):
        cautions.add(
            "slopes_differ",
            f"heating ({heating.value:.0f} s) and cooling ({cooling.value:.0f} s) differ by {100 * abs(apart):.0f} %: "
            "the body is not one thermal mass with one loss",
        )


@dataclass(frozen=True)
class Settling:
    """How far a liquid sank before any light: value and standard uncertainty in K."""

    value: float
    standard_uncertainty: float


def settling_before_heating(found: CurveEstimate) -> Settling | None:
    """How far the liquid sinks from its first reading to rest, from the baseline alone, at the rate of its own cooling.

    A fresh liquid at the temperature of the air ends below it by the heat of evaporation over its loss. The ambient's
    own change is taken off where it was recorded. None where the baseline is too short to tell.
    """
    prepared = found.prepared
    start = prepared.periods[0][0]
    before = prepared.present & (prepared.bin_s < start - 0.5 * prepared.bin_width_s)
    span = start - float(prepared.grid_s[0])
    rate = 1.0 / float(found.values[1])
    if np.count_nonzero(before) < 12 or span * rate < 0.3:
        return None
    shape = np.exp(-rate * (prepared.grid_s - prepared.grid_s[0]))
    columns = [prepared.binned(shape)[before], np.ones(int(np.count_nonzero(before)))]
    data = prepared.data[before]
    ambient = background_inputs(prepared)
    if ambient is not None:
        data = data - prepared.binned(prepared.response(rate, ambient))[before]
    matrix = np.stack(columns, axis=1)
    solution = np.linalg.lstsq(matrix, data, rcond=None)[0]
    residuals = data - matrix @ solution
    variance = float(np.sum(residuals**2)) / (data.size - 2) * np.linalg.inv(matrix.T @ matrix)[0, 0]
    memory = min(max(autocorrelation(residuals, np.ones(data.size, dtype=bool)), 0.0), 0.9)
    return Settling(float(solution[0]), float(np.sqrt(variance * (1.0 + memory) / (1.0 - memory))))


def _evaporation(found: CurveEstimate, cautions: Cautions) -> None:
    settling = settling_before_heating(found)
    if settling is not None and exceeds(max(settling.value, 0.0), settling.standard_uncertainty, SETTLING_K):
        cautions.add(
            "evaporation",
            f"before any light the liquid sinks by {settling.value:.2f} ± {settling.standard_uncertainty:.2f} K: it evaporates "
            "(an open vessel?) or was warmer than the room; cap it and weigh it before and after",
        )
        return
    curvature, u = found.transfer.coefficient("curvature")
    if exceeds(max(curvature, 0.0), u, STEEP_LOSS_PER_K, 4.0):
        cautions.add(
            "evaporation",
            f"the heat loss grows by {100 * curvature:.1f} ± {100 * u:.1f} % per kelvin, more than a closed vessel's: "
            "evaporation, or a sample that changes while it is hot",
        )


def _ambient(found: CurveEstimate, cautions: Cautions) -> None:
    slope, u, source = _ambient_slope(found)
    hours = float(found.prepared.grid_s[-1] - found.prepared.grid_s[0]) / 3600.0
    if exceeds(slope, u, DRIFT_K_PER_H, 4.0) and abs(slope) * hours > DRIFT_K:
        cautions.add("ambient_drift", f"the surroundings drift by {slope:.1f} ± {u:.1f} K/h ({source})")


def _ambient_slope(found: CurveEstimate) -> tuple[float, float, str]:
    curve = found.prepared.curve
    if curve.ambient_c is None or background_inputs(found.prepared) is None:
        slope, u = found.transfer.coefficient("drift")
        return slope, u, "seen in the curve: there is no ambient channel"
    good = np.isfinite(curve.ambient_c)
    hours, ambient = curve.time_s[good] / 3600.0, curve.ambient_c[good]
    slope = float(np.polyfit(hours, ambient, 1)[0])
    # an air temperature wanders slowly: four independent stretches are all that a run can be trusted to hold
    spread = float(np.std(ambient - slope * hours))
    u = spread / (float(np.std(hours)) * 2.0)
    return slope, u, "ambient channel"


def _stirring(found: CurveEstimate, cautions: Cautions) -> None:
    """Plumes: short noise that is larger while the liquid is hot than while it is cold."""
    transfer, prepared = found.transfer, found.prepared
    top = float(np.max(transfer.rise))
    hot = _short_noise(prepared, transfer.fit.residuals, transfer.rise > 0.6 * top)
    cold = _short_noise(prepared, transfer.fit.residuals, transfer.rise < 0.1 * top)
    if hot is None or cold is None or cold[0] <= 0:
        return
    ratio = hot[0] / cold[0]
    u = ratio * float(np.sqrt(1.0 / hot[1] + 1.0 / cold[1]))
    if ratio - RESTLESS > 3.0 * u and hot[0] > RESTLESS_K:
        cautions.add(
            "unstirred",
            f"the reading is {ratio:.1f} times as restless hot as cold ({1000 * hot[0]:.0f} mK against {1000 * cold[0]:.0f} mK): "
            "the liquid is not mixed, and the probe may not show its mean",
        )


def _short_noise(prepared: Prepared, residuals: Array, where: npt.NDArray[np.bool_]) -> tuple[float, int] | None:
    """Root mean square of the step between neighbouring bins (K) and their number; None with fewer than 15."""
    chosen = where & prepared.present & prepared.in_one_phase()
    pairs = chosen[1:] & chosen[:-1]
    if np.count_nonzero(pairs) < 15:
        return None
    return float(np.sqrt(np.mean(np.diff(residuals)[pairs] ** 2))), int(np.count_nonzero(pairs))


def _sample(found: CurveEstimate, conditions: Conditions, cautions: Cautions) -> None:
    """Rise per watt that changes between cycles, or absorbance that changes between spectra."""
    if len(found.prepared.periods) > 1:
        levels = fit_levels(found.transfer)
        change = levels.values[-1] / levels.values[0] - 1.0
        u = float(np.sqrt(levels.covariance[0, 0] + levels.covariance[-1, -1] - 2.0 * levels.covariance[0, -1]))
        if exceeds(change, float(np.hypot(u / levels.values[0], 0.002)), CHANGED, 4.0):
            cautions.add(
                "sample_changed",
                f"the rise per watt changes by {100 * change:+.1f} % from the first heating to the last: "
                "the sample (or its volume) is not what it was",
            )
            return
    taken = conditions.absorbances
    if len(taken) > 1 and taken[0].value > 0:
        change = taken[-1].value / taken[0].value - 1.0
        u = (
            float(np.hypot(taken[0].standard_uncertainty or 0.0, taken[-1].standard_uncertainty or 0.0))
            / taken[0].value
        )
        if exceeds(change, u, ABSORBANCE_CHANGED):
            cautions.add(
                "sample_changed",
                f"the absorbance at the laser line changes by {100 * change:+.1f} % from the first spectrum to the last",
            )
