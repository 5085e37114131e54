"""What sample.toml and bench.toml believe, as the conditions that analysis and prediction take."""

from typing import TYPE_CHECKING, Any

from nanolab.models.optics import rod_cross_sections, sphere_cross_sections
from nanolab.models.water import water_absorption_per_cm
from nanolab.quantities import Quantity
from plans.photothermal.conditions import Conditions
from plans.photothermal.prediction import TYPICAL_HEAT_LOSS, Beliefs

if TYPE_CHECKING:
    from nanolab.bench.config import BenchConfig
    from nanolab.bench.sample import SampleConfig

WATER_J_PER_G_K = 4.18
WATER_G_PER_ML = 0.997


def conditions_from(sample: "SampleConfig", bench: "BenchConfig", power: Quantity | None = None) -> Conditions:
    """Return the conditions as believed before the run; `power` in W replaces what only the run can tell."""
    volume = sample.sample.volume
    liquid = None
    if volume is not None:
        factor = WATER_J_PER_G_K * WATER_G_PER_ML
        u = volume.standard_uncertainty
        liquid = Quantity(volume.value * factor, "J/K", None if u is None else u * factor)
    return Conditions(
        power=power,
        absorbance=sample.sample.absorbance,
        window=sample.sample.window_transmission,
        path_length=sample.sample.path_length.with_default_uncertainty(0.005),
        wavelength_nm=laser_wavelength_nm(bench),
        heat_capacity=sample.heat_capacity.effective if sample.heat_capacity is not None else None,
        liquid_heat_capacity=liquid,
        wall_heat_capacity=sample.cuvette.wall_heat_capacity,
        thermometer_gain=sample.beliefs.thermometer_gain,
        power_gain=sample.beliefs.power_gain,
        albedo=sample.sample.albedo,
        efficiency_bound=efficiency_bound(sample, bench),
    )


def beliefs_from(sample: "SampleConfig", bench: "BenchConfig", power_w: float) -> Beliefs:
    """Return what is believed of a run at `power_w` before it; the power's gain belongs to the power meter.

    Where the sample file states no effective heat capacity, solution and wetted wall are taken; where it
    expects no heat loss, that of a typical cuvette.
    """
    conditions = conditions_from(sample, bench)
    capacity = conditions.heat_capacity or _estimated_capacity(conditions)
    wavelength = conditions.wavelength_nm
    solvent = 0.0 if wavelength is None else float(water_absorption_per_cm(wavelength))
    return Beliefs(
        efficiency=expected_efficiency(sample, bench),
        power=Quantity(power_w, "W", 0.01 * power_w),
        absorbance=conditions.absorbance or Quantity(1.0, "1", 0.3),
        heat_capacity=capacity,
        window=conditions.window or Quantity(1.0, "1", 0.02),
        path_length=conditions.path_length,
        solvent_per_cm=solvent,
        heat_loss=expected_heat_loss(sample, capacity),
        thermometer_gain=conditions.thermometer_gain,
        power_gain=conditions.power_gain,
    )


def _estimated_capacity(conditions: Conditions) -> Quantity:
    liquid = conditions.liquid_heat_capacity or Quantity(WATER_J_PER_G_K, "J/K")
    wall = conditions.wall_heat_capacity or Quantity(1.2, "J/K")
    total = liquid.value + wall.value
    return Quantity(total, "J/K", 0.1 * total)


def expected_heat_loss(sample: "SampleConfig", capacity: Quantity) -> Quantity:
    """Return hS in W/K: stated, or from a stated time constant, or that of a typical cuvette."""
    expected = sample.expected
    if expected.heat_loss is not None:
        return expected.heat_loss
    if expected.time_constant is None:
        return TYPICAL_HEAT_LOSS
    tau = expected.time_constant
    value = capacity.value / tau.value
    relative = (tau.standard_uncertainty or 0.0) / tau.value
    return Quantity(value, "W/K", value * relative)


def expected_efficiency(sample: "SampleConfig", bench: "BenchConfig") -> Quantity:
    """Return the efficiency that is believed: stated, or the absorbed share of the particle's extinction."""
    if sample.expected.efficiency is not None:
        return sample.expected.efficiency.with_default_uncertainty(0.1)
    bound = efficiency_bound(sample, bench)
    if bound is not None:
        return Quantity(bound, "1", 0.05)
    # nothing is known: published efficiencies of one material spread from 0.2 to 1
    return Quantity(0.6, "1", 0.2)


def laser_wavelength_nm(bench: "BenchConfig") -> float | None:
    """Return the laser's wavelength in nm, or None for a bench without a laser."""
    laser: Any = bench.devices.get("laser")
    if laser is None:
        return None
    return float(laser.settings.wavelength.value)


def efficiency_bound(sample: "SampleConfig", bench: "BenchConfig") -> float | None:
    """Return the absorbed share of the extinction by Mie or Gans at the laser line, where the particle is given."""
    particle = sample.particle
    wavelength = laser_wavelength_nm(bench)
    if particle is None or wavelength is None or particle.diameter is None:
        return None
    diameter = particle.diameter.value
    if particle.kind == "gold sphere":
        return float(sphere_cross_sections(wavelength, diameter).efficiency_bound)
    if particle.kind == "gold nanorod" and particle.length is not None:
        return float(rod_cross_sections(wavelength, particle.length.value, diameter).efficiency_bound)
    return None
