"""The photothermal efficiency of one run, with its budget and cautions.

    efficiency = hS (dT - kappa dT_blank) / (P T_opt f_t mu_n / (mu_n + mu_w)),  hS = C_eff / tau

The steady rise and tau come from the whole curve (`transfer`), tau as the apparent time constant of a cooling from
the plateau: the same definition by which a heater in the liquid measures C_eff, so that what is not one thermal mass
cancels. Every input is drawn once and used wherever it enters (JCGM 101).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Cautions
from nanolab.analysis.montecarlo import DEFAULT_DRAWS, Inputs, Propagated, propagate
from nanolab.analysis.noise import autocorrelation
from nanolab.errors import UsageError, nearest
from nanolab.models.energy_balance import blank_scale, particle_share, solvent_share
from nanolab.quantities import Quantity
from plans.photothermal.conditions import Blank, Conditions, with_defaults
from plans.photothermal.curve import HeatingCurve, prepare
from plans.photothermal.estimates import QUANTITIES, CurveEstimate, estimate, line_quantity
from plans.photothermal.methods import METHODS, method_model
from plans.photothermal.result import PhotothermalResult
from plans.photothermal.signs import look_for_signs
from plans.photothermal.transfer import fit_amplitude

Array = npt.NDArray[np.float64]
Draws = Mapping[str, Array]

WALL_SHARE_UNKNOWN = 0.15
"""Standard uncertainty of the share of the blank's rise that is wall heat, where the solvent's own cannot be computed."""


def analyze(
    curve: HeatingCurve,
    conditions: Conditions,
    blank: Blank | None = None,
    *,
    method: str = "balance",
    seed: int = 0,
    draws: int = DEFAULT_DRAWS,
) -> PhotothermalResult:
    """Analyse one run; its cycles are one curve.

    Parameters
    ----------
    curve : HeatingCurve
    conditions : Conditions
        What is known beside the curve.
    blank : Blank or None
        The solvent blank; without it nothing is subtracted, with a caution.
    method : str
        One of METHODS.
    seed, draws : int
        Of the Monte Carlo propagation; use the same for a prediction that the result is compared with.

    Raises
    ------
    UsageError
        Where the method is not known.
    """
    if method not in METHODS:
        raise UsageError(f"method '{method}' is not known; {nearest(method, list(METHODS))}")
    return interpret(look_at(curve, conditions), conditions, blank, method=method, seed=seed, draws=draws)


@dataclass(frozen=True)
class BlankRise:
    """Rise of the blank in K per watt of incident power with its standard uncertainty, and the words for it."""

    per_watt: float
    standard_uncertainty: float


def look_at(curve: HeatingCurve, conditions: Conditions) -> CurveEstimate:
    """Fit one curve under these conditions: the part of the analysis that takes time, the same for every method."""
    return estimate(
        curve,
        None if conditions.power is None else conditions.power.value,
        ambient_c=None if conditions.ambient_c is None else conditions.ambient_c.value,
        calibration_rise_k=conditions.heat_capacity_rise_k,
    )


def interpret(
    found: CurveEstimate,
    stated: Conditions,
    blank: Blank | None,
    *,
    method: str,
    seed: int = 0,
    draws: int = DEFAULT_DRAWS,
) -> PhotothermalResult:
    """Turn what a curve shows into quantities, by one method. Parameters as of `analyze`."""
    cautions = Cautions()
    conditions = with_defaults(stated, cautions)
    power = conditions.power
    reference = found.prepared.reference_power_w
    if power is None and reference is not None:
        power = Quantity(reference, "W", 0.0)
        conditions = replace(conditions, power=power)
    inputs = Inputs(seed, draws)
    capacity, used = chosen_heat_capacity(conditions, method, cautions)
    _look_for_missing(conditions, capacity, method, cautions)
    blank_rise = _blank_rise(blank, conditions, found, cautions)
    _draw_inputs(inputs, conditions, capacity, found, blank_rise)
    look_for_signs(found, conditions, cautions)
    outputs = _determined(_outputs(inputs, conditions, capacity, blank_rise, method, found), cautions)
    efficiency = outputs.get("efficiency")
    _look_at_bound(efficiency, conditions, cautions)
    shares = next((outputs[k].shares for k in ("efficiency", "external_efficiency", "heat_loss") if k in outputs), {})
    quantities = {name: output.quantity for name, output in outputs.items()}
    gain = conditions.thermometer_gain
    rise_u = float(np.sqrt(found.covariance[0, 0]))
    rise = found.values[0] / gain.value
    return PhotothermalResult(
        method=method,
        heat_capacity_used=used,
        efficiency=quantities.get("efficiency"),
        external_efficiency=quantities.get("external_efficiency"),
        absorption_efficiency=quantities.get("absorption_efficiency"),
        time_constant_heating=line_quantity(found.heating),
        time_constant_cooling=line_quantity(found.cooling),
        heat_capacity=capacity,
        heat_loss=quantities.get("heat_loss"),
        temperature_rise=Quantity(rise, "K", float(np.hypot(rise_u, rise * (gain.standard_uncertainty or 0.0)))),
        blank_rise=None
        if blank_rise is None or power is None
        else Quantity(blank_rise.per_watt * power.value, "K", blank_rise.standard_uncertainty * power.value),
        power=power,
        residual_autocorrelation=autocorrelation(found.transfer.fit.residuals, found.prepared.present),
        shares={term: share for term, share in shares.items() if share > 0},
        cautions=cautions,
        draws={name: output.draws for name, output in outputs.items()},
        estimate=found,
        conditions=conditions,
        refused=_refused(quantities, conditions, capacity),
    )


def _determined(outputs: dict[str, Propagated], cautions: Cautions) -> dict[str, Propagated]:
    """Leave out what the curve does not fix (its fit has no covariance), with a caution."""
    fixed = {
        name: output
        for name, output in outputs.items()
        if np.isfinite(output.quantity.value) and not np.isnan(output.quantity.standard_uncertainty or 0.0)
    }
    left_out = [name.replace("_", " ") for name in outputs if name not in fixed]
    if left_out:
        cautions.add("curve_too_short", f"the curve does not determine: {', '.join(left_out)}; heat for longer")
    return fixed


def chosen_heat_capacity(conditions: Conditions, method: str, cautions: Cautions) -> tuple[Quantity | None, str]:
    """Heat capacity that a method takes, and the name for it.

    An initial slope sees the liquid only; a time constant sees whatever follows the liquid: the effective one.
    """
    if method == "slope":
        return conditions.liquid_heat_capacity, "liquid"
    if conditions.heat_capacity is not None:
        return conditions.heat_capacity, "effective"
    liquid, wall = conditions.liquid_heat_capacity, conditions.wall_heat_capacity
    if liquid is not None and wall is not None:
        cautions.add(
            "heat_capacity_estimated",
            "no heat capacity measured in situ is given: solution plus wetted wall is taken, which leaves out the holder",
        )
        u = float(np.hypot(liquid.standard_uncertainty or 0.0, wall.standard_uncertainty or 0.0))
        # holders add two to ten percent to solution and wall in cuvettes of a millilitre
        u = float(np.hypot(u, 0.05 * (liquid.value + wall.value)))
        return Quantity(liquid.value + wall.value, "J/K", u), "solution + wetted wall"
    return None, "none"


def _look_for_missing(conditions: Conditions, capacity: Quantity | None, method: str, cautions: Cautions) -> None:
    if capacity is None:
        wanted = "heat capacity of the liquid" if method == "slope" else "effective heat capacity"
        cautions.add(
            "heat_capacity_missing",
            f"no {wanted} is given, so the curve gives no watts: efficiency and heat loss are left out",
            "efficiency",
        )
    if conditions.power is None:
        cautions.add("power_missing", "no incident power is given: the efficiency is left out", "efficiency")
    if conditions.absorbance is None:
        cautions.add(
            "absorbance_missing",
            "no absorbance at the laser line is given: only heat per incident power can be told",
            "efficiency",
        )
    elif conditions.absorbance.value <= 0:
        cautions.add(
            "absorbance_missing",
            f"an absorbance of {conditions.absorbance.value:g} leaves nothing to refer the heat to",
            "efficiency",
        )


def _blank_rise(
    blank: Blank | None, conditions: Conditions, found: CurveEstimate, cautions: Cautions
) -> BlankRise | None:
    """Rise of the blank per incident watt, at the shape of the sample's own curve; None without a usable blank."""
    power = conditions.power
    if blank is not None and blank.mismatch:
        cautions.add("blank_mismatch", f"the blank is not used: its run differs in {blank.mismatch}")
        return None
    if blank is None or (blank.curve is None and blank.rise_k is None):
        cautions.add(
            "blank_missing", "no solvent blank is given: heat from solvent and container counts as the particles'"
        )
        return None
    watts = blank.power or power
    if blank.curve is not None:
        prepared = prepare(blank.curve, None if watts is None else watts.value)
        if prepared.reference_power_w is not None:
            watts = Quantity(prepared.reference_power_w, "W")
        fitted = fit_amplitude(prepared, found.modes, found.heat_s)
        rise, u = fitted.value, fitted.standard_uncertainty
    elif blank.rise_k is not None:
        rise, u = blank.rise_k.value, blank.rise_k.standard_uncertainty or 0.0
    scale = 1.0 if watts is None or power is None else watts.value
    return BlankRise(rise / scale, u / scale)


def _draw_inputs(
    inputs: Inputs, c: Conditions, capacity: Quantity | None, found: CurveEstimate, blank: BlankRise | None
) -> None:
    """Draw every input of the budget once."""
    shared = (
        ("power", c.power), ("power_gain", c.power_gain), ("absorbance", c.absorbance), ("window", c.window),
        ("path_length", c.path_length), ("thermometer_gain", c.thermometer_gain), ("albedo", c.albedo),
        ("heat_capacity", capacity),
    )  # fmt: skip
    for name, quantity in shared:
        if quantity is not None:
            inputs.quantity(name, quantity)
    inputs.correlated(
        [f"curve_{name}" for name in QUANTITIES],
        found.values,
        found.covariance,
        "curve (noise)",
    )
    inputs.normal("model", 0.0, found.spread, "curve (spread between models)")
    inputs.normal("calibration_rise", 0.0, found.calibration_spread, "heat capacity at another rise")
    if blank is not None:
        inputs.normal("blank", blank.per_watt, blank.standard_uncertainty, "blank (noise)")
        inputs.normal("wall_share", 0.0, 1.0, "blank (share of the wall)")
        inputs.uniform("wall_front", 0.0, 1.0, "blank (share of the wall)")


def _outputs(
    inputs: Inputs,
    conditions: Conditions,
    capacity: Quantity | None,
    blank: BlankRise | None,
    method: str,
    found: CurveEstimate,
) -> dict[str, Propagated]:
    """Propagate what the inputs allow."""
    out: dict[str, Propagated] = {}
    if capacity is None:
        return out
    model = method_model(method, found)
    out["heat_loss"] = propagate(lambda v: model.loss(v), inputs, "W/K")
    if conditions.power is None:
        return out
    absorbance = conditions.absorbance
    mu_w = solvent_absorption(conditions)

    def external(v: Draws) -> Array:
        rise, loss = model.rise(v), model.loss(v)
        power = v["power"] / v["power_gain"]
        dissipated = np.zeros(())
        if blank is not None and absorbance is not None:
            at_power = v["blank"] / v["thermometer_gain"] * v["power"]
            scale = blank_share(v, mu_w, loss, power, at_power, method)
            dissipated = scale * at_power
        elif blank is not None:
            dissipated = v["blank"] / v["thermometer_gain"] * v["power"]
        if method == "balance":
            # a small rise stands for less heat per kelvin than a large one
            dissipated = dissipated * v["curve_small_loss"]
        return np.asarray(loss * (rise - dissipated) / power)

    def efficiency(v: Draws) -> Array:
        share = particle_share(v["absorbance"], 0.0 if mu_w is None else mu_w, v["path_length"])
        return np.asarray(external(v) / (v["window"] * share))

    out["external_efficiency"] = propagate(external, inputs, "1")
    if absorbance is None or absorbance.value <= 0:
        return out
    out["efficiency"] = propagate(efficiency, inputs, "1")
    if conditions.albedo is not None:
        out["absorption_efficiency"] = propagate(lambda v: efficiency(v) / (1.0 - v["albedo"]), inputs, "1")
    return out


def solvent_absorption(conditions: Conditions) -> float | None:
    """Absorption coefficient of water in 1/cm at the laser line; None where no wavelength is given."""
    if conditions.wavelength_nm is None:
        return None
    from nanolab.models.water import water_absorption_per_cm

    return float(water_absorption_per_cm(conditions.wavelength_nm))


def blank_share(v: Draws, mu_w: float | None, loss: Array, power: Array, blank_rise: Array, method: str) -> Array:
    """Share of the blank's rise that is still there with particles in the beam.

    The solvent's part is scaled by kappa. Heat in the wall is not scaled at the front window and falls with the beam
    (10^-A) at the back; without a run of the empty cell its place is not known. Where the wavelength is known, the
    solvent's part is computed, and the wall's is what is left of the blank's rise; else it is uncertain.
    """
    if method == "roper_unscaled":
        return np.asarray(1.0)
    solvent = blank_scale(v["absorbance"], mu_w, v["path_length"])
    if method != "balance":
        return solvent
    behind = 10.0 ** -v["absorbance"]
    wall = v["wall_front"] + (1.0 - v["wall_front"]) * behind
    if mu_w is None:
        share = WALL_SHARE_UNKNOWN * v["wall_share"]
    else:
        computed = power * v["window"] * solvent_share(0.0, mu_w, v["path_length"]) / loss
        share = np.clip(1.0 - computed / blank_rise, 0.0, 1.0)
    return np.asarray(solvent + share * (wall - solvent))


def _look_at_bound(efficiency: Propagated | None, conditions: Conditions, cautions: Cautions) -> None:
    if efficiency is None:
        return
    bound = 1.0 if conditions.efficiency_bound is None else conditions.efficiency_bound
    source = "what the light can give" if conditions.efficiency_bound is None else "the absorbed share by Mie"
    sigma = float(np.std(efficiency.draws))
    if efficiency.value > bound + 2.0 * sigma:
        cautions.add(
            "efficiency_above_bound",
            f"an efficiency of {efficiency.value:.3f} is more than {source} ({bound:.3f}): look at power, absorbance at the "
            "laser line, beam path and heat capacity",
        )


def _refused(quantities: Mapping[str, Quantity], c: Conditions, capacity: Quantity | None) -> tuple[str, ...]:
    """Quantities whose inputs were all given and which are not there all the same."""
    given = capacity is not None and c.power is not None and c.absorbance is not None
    return ("efficiency",) if given and "efficiency" not in quantities else ()
