"""What is known of a photothermal experiment beside its curves, with the defaults for what was not stated."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nanolab.analysis.cautions import Cautions
from nanolab.quantities import Quantity

if TYPE_CHECKING:
    from plans.photothermal.curve import HeatingCurve

RELATIVE_DEFAULTS = {
    "power": 0.04,
    "absorbance": 0.02,
    "window": 0.005,
    "path_length": 0.01,
    "heat_capacity": 0.10,
    "liquid_heat_capacity": 0.01,
    "wall_heat_capacity": 0.20,
    "albedo": 0.10,
}
"""Relative standard uncertainties where none is stated: the middle of the typical budget of a careful laboratory."""

WINDOW_UNKNOWN = Quantity(1.0, "1", 0.02)
"""A window of which nothing is known is left out of the balance (1); bare quartz passes 0.964, hence the 0.02."""


@dataclass(frozen=True)
class Conditions:
    """Inputs of the balance.

    Parameters
    ----------
    power : Quantity or None
        Incident power before the window in W while the laser is on (mean over the heatings). Where a curve has a
        power channel, the channel gives the shape and this the size; None: the channel gives both.
    absorbance : Quantity or None
        Decadic, particles against solvent, over the path, weighted by the laser's spectrum.
    window : Quantity or None
        T_opt, share of the power that enters the liquid.
    path_length : Quantity
        cm.
    wavelength_nm : float or None
        Laser line; with it the absorption of water is taken into account.
    heat_capacity : Quantity or None
        Effective, J/K: apparent cooling time constant times watts per kelvin, as a heater in the liquid measures it.
    heat_capacity_rise_k : float or None
        Temperature rise in K at which the heater measured it; None: near that of the run.
    liquid_heat_capacity, wall_heat_capacity : Quantity or None
        m c of the solution and of the wetted wall, J/K.
    thermometer_gain, power_gain : Quantity
        Shown over true, 1 ± u: shared by sample, blank and prediction.
    ambient_c : Quantity or None
        degC; used where a curve has no baseline.
    albedo : Quantity or None
        Scattered share of the extinction (sphere measurement or Mie).
    efficiency_bound : float or None
        Absorbed share of the extinction by Mie: no efficiency lies above.
    absorbances : tuple of Quantity
        Absorbance before and after each cycle, where spectra were taken.
    """

    power: Quantity | None = None
    absorbance: Quantity | None = None
    window: Quantity | None = None
    path_length: Quantity = field(default_factory=lambda: Quantity(1.0, "cm", 0.0))
    wavelength_nm: float | None = None
    heat_capacity: Quantity | None = None
    heat_capacity_rise_k: float | None = None
    liquid_heat_capacity: Quantity | None = None
    wall_heat_capacity: Quantity | None = None
    thermometer_gain: Quantity = field(default_factory=lambda: Quantity(1.0, "1", 0.01))
    power_gain: Quantity = field(default_factory=lambda: Quantity(1.0, "1", 0.0))
    ambient_c: Quantity | None = None
    albedo: Quantity | None = None
    efficiency_bound: float | None = None
    absorbances: tuple[Quantity, ...] = ()


@dataclass(frozen=True)
class Blank:
    """The solvent blank: a curve of its own, or only its steady rise.

    Parameters
    ----------
    curve : HeatingCurve or None
        Run of the blank in the same cuvette.
    rise_k : Quantity or None
        Its steady rise in K, where there is no curve.
    power : Quantity or None
        Incident power of that run in W; None: as for the sample.
    mismatch : str
        In what the blank differs from the sample's run (cuvette, volume, holder, stirring, wavelength); empty if in nothing.
    """

    curve: "HeatingCurve | None" = None
    rise_k: Quantity | None = None
    power: Quantity | None = None
    mismatch: str = ""


def with_defaults(conditions: Conditions, cautions: Cautions) -> Conditions:
    """Fill in what was not stated, with a caution for each kind of assumption."""
    changed: dict[str, Quantity] = {}
    assumed: list[str] = []
    for name, relative in RELATIVE_DEFAULTS.items():
        quantity = getattr(conditions, name)
        if quantity is not None and quantity.standard_uncertainty is None:
            changed[name] = quantity.with_default_uncertainty(relative)
            assumed.append(f"{name.replace('_', ' ')} {100 * relative:g} %")
    for name in ("thermometer_gain", "power_gain"):
        quantity = getattr(conditions, name)
        if quantity.standard_uncertainty is None:
            changed[name] = quantity.with_default_uncertainty(0.01)
            assumed.append(f"{name.replace('_', ' ')} 1 %")
    if assumed:
        cautions.add(
            "uncertainty_assumed", "standard uncertainties were not stated and are assumed: " + ", ".join(assumed)
        )
    if conditions.window is None:
        changed["window"] = WINDOW_UNKNOWN
        cautions.add(
            "window_missing",
            "no window transmission is given: 1 ± 0.02 is assumed, though a bare quartz wall passes only 0.964; state it",
        )
    return replace(conditions, **changed)  # type: ignore[arg-type]  # every changed field holds a Quantity
