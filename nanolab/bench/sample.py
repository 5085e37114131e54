"""sample.toml: what the scientist believes of a sample before the run; the simulated world never reads it."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from nanolab.bench.fields import (
    Absorbance,
    Duration,
    Efficiency,
    Gain,
    HeatCapacity,
    HeatLoss,
    Length,
    Mass,
    MassConcentration,
    ParticleLength,
    PositiveShare,
    Share,
    Volume,
)
from nanolab.bench.files import Source, Table, read_toml, validate
from nanolab.bench.release_sample import ExpectedReleaseTable, ReleaseTable
from nanolab.errors import FileInvalidError
from nanolab.quantities import Quantity

DEFAULT_UNCERTAINTY: dict[str, float] = {
    "sample.volume": 0.01,
    "sample.absorbance": 0.02,
    "sample.path_length": 0.005,
    "sample.window_transmission": 0.005,
    "sample.albedo": 0.10,
    "sample.mass_concentration": 0.05,
    "cuvette.wall_heat_capacity": 0.20,
    "heat_capacity.effective": 0.10,
    "beliefs.power_gain": 0.04,
    "beliefs.thermometer_gain": 0.01,
    "expected.efficiency": 0.10,
    "expected.heat_loss": 0.10,
    "expected.time_constant": 0.10,
    "particle.length": 0.10,
    "particle.diameter": 0.10,
    "release.concentration": 0.02,
    "release.dose_ratio": 0.02,
    "release.beam_area": 0.05,
    "release.activation_energy": 0.25,
    "release.indicator_pk": 0.006,
    "release.enzyme": 0.05,
    "release.evaporation": 1.0,
    "release.addition": 0.01,
    "release.withdrawal": 0.01,
    "release.insert": 0.10,
    "release.standard": 0.01,
    "release.filter_recovery": 0.01,
    "release.dilution": 0.01,
    "release.particles": 0.05,
    **{f"expected_release.{name}": 0.20 for name in ExpectedReleaseTable.model_fields},
}
"""Relative standard uncertainty of a value that is stated without one: the typical budget of a careful laboratory."""

REMEDY = "`nanolab bench init` writes one with every key explained"


class SampleTable(Table):
    """What is in the cuvette."""

    name: str = Field(default="unnamed", description="what the sample is called in tables and figures")
    batch: str = Field(default="", description="batch or preparation")
    description: str = Field(default="", description="anything worth remembering")
    solvent: str = Field(default="water", description="solvent; its absorption is known for water")
    volume: Volume | None = Field(default=None, description="liquid in the cuvette; without u: 1 %")
    absorbance: Absorbance | None = Field(
        default=None,
        description="decadic absorbance of the particles at the laser line over the path; measured if left out, "
        "but the prediction needs it; without u: 2 %",
    )
    path_length: Length = Field(
        default=Quantity(1.0, "cm", 0.005),
        description="path of the beam in the liquid; left out: 10.00±0.05 mm; without u: 0.5 %",
    )
    window_transmission: PositiveShare | None = Field(
        default=None,
        description="share of the power that one window lets into the liquid; bare quartz in front of water: 0.964; "
        "left out: 1.00±0.02, with a caution; without u: 0.5 %",
    )
    albedo: Share | None = Field(
        default=None,
        description="scattered share of the extinction (integrating sphere or Mie); needed for "
        "absorption_efficiency; without u: 10 %",
    )
    mass_concentration: MassConcentration | None = Field(default=None, description="of the particles; without u: 5 %")


class CuvetteTable(Table):
    """The cuvette and its place: a solvent blank is used only where all of this agrees."""

    id: str = Field(default="", description="which cuvette it is, as written on it")
    material: str = Field(default="quartz", description="material of the wall")
    holder: str = Field(default="", description="holder that it stands in")
    stirring: str = Field(default="", description='stirring, such as "400 rpm" or "none"')
    wall_heat_capacity: HeatCapacity | None = Field(
        default=None,
        description="heat capacity of the wetted wall (1 mL in 10 mm quartz: 1.23 J/K); without u: 20 %",
    )


class HeatCapacityTable(Table):
    """The heat capacity that turns a time constant into a loss."""

    effective: HeatCapacity = Field(
        description="time constant times watts per kelvin, solution, wall and what the holder adds; without u: 10 %"
    )
    method: Literal["heater", "wetted wall", "solution"] = Field(
        default="heater",
        description='where it comes from: "heater" (measured in this cuvette), "wetted wall" (sum of m c), '
        '"solution" (liquid only: too small)',
    )


class BeliefsTable(Table):
    """How far the instruments are trusted: reading over truth."""

    power_gain: Gain = Field(
        default=Quantity(1.0, "1", 0.03),
        description="power meter; left out: 1.00±0.03; without u: 4 %",
    )
    thermometer_gain: Gain = Field(
        default=Quantity(1.0, "1", 0.01),
        description="temperature differences; left out: 1.000±0.010; without u: 1 %",
    )


class ExpectedTable(Table):
    """What the run is expected to show; the prediction is made from this, before the first reading."""

    efficiency: Efficiency | None = Field(
        default=None, description="photothermal efficiency; left out: nothing is predicted; without u: 10 %"
    )
    heat_loss: HeatLoss | None = Field(
        default=None, description="hS, from a heater calibration or an earlier run; without u: 10 %"
    )
    time_constant: Duration | None = Field(
        default=None, description="of heating, in place of heat_loss; without u: 10 %"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "ExpectedTable":
        if self.heat_loss is not None and self.time_constant is not None:
            raise ValueError("state heat_loss or time_constant, not both: one follows from the other")
        return self


class ParticleTable(Table):
    """The particle: bounds the efficiency by Mie (spheres) or Gans (rods)."""

    kind: Literal["gold nanorod", "gold sphere", "other"] = Field(
        description='"gold nanorod", "gold sphere" or "other" (no bound)'
    )
    length: ParticleLength | None = Field(default=None, description="length of a rod; without u: 10 %")
    diameter: ParticleLength | None = Field(default=None, description="diameter of a rod or a sphere; without u: 10 %")

    @model_validator(mode="after")
    def _a_rod_is_longer(self) -> "ParticleTable":
        sizes = [size.value for size in (self.length, self.diameter) if size is not None]
        if self.kind == "gold nanorod" and len(sizes) == 2 and sizes[0] <= sizes[1]:
            raise ValueError("the length of a rod must exceed its diameter")
        return self


class ReportTable(Table):
    """What a referee asks for and no analysis uses; a report names what is left out as missing.

    The items are grouped as MIRIBEL does and worded after it, not word for word and not all of it: Faria et al.,
    Nat. Nanotechnol. 13, 777 (2018), doi:10.1038/s41565-018-0246-4.
    """

    preparations: int | None = Field(default=None, ge=1, description="number of independent preparations measured")
    liquid_mass: Mass | None = Field(default=None, description="mass of the liquid in the cuvette, weighed")
    metal: str = Field(default="", description='metal of the particles, such as "Au"')
    metal_concentration: MassConcentration | None = Field(
        default=None, description="of the metal, by ICP-MS or the like"
    )
    synthesis: str = Field(default="", description="material: synthesis and composition, or where it was bought")
    size_and_shape: str = Field(default="", description="material: size, shape, dispersity, and how they were measured")
    aggregation: str = Field(default="", description="material: aggregation in the medium used")
    zeta_potential: str = Field(default="", description="material: zeta potential, with medium and pH")
    density: str = Field(default="", description="material: density of the particles")
    surface: str = Field(default="", description="material: coating, ligand and its amount; targeting, labelling")
    loading: str = Field(default="", description='material: what is loaded and how much, or "none"')
    cells: str = Field(default="", description='biology: cell line, source, passage, mycoplasma test, or "none"')
    seeding: str = Field(default="", description='biology: seeding, confluence, medium and serum, or "none"')
    culture_dimensions: str = Field(default="", description='protocol: vessel, area, volume of medium, or "none"')
    dose: str = Field(default="", description='protocol: dose as administered (mass, number or area), or "none"')
    imaging: str = Field(default="", description='protocol: imaging and its settings, or "none"')


class SampleConfig(Table):
    """A sample file, checked. Lengths in cm, particles in nm, volume in mL, everything else SI."""

    version: Literal[1]
    sample: SampleTable = SampleTable()
    cuvette: CuvetteTable = CuvetteTable()
    heat_capacity: HeatCapacityTable | None = None
    beliefs: BeliefsTable = BeliefsTable()
    expected: ExpectedTable = ExpectedTable()
    particle: ParticleTable | None = None
    release: ReleaseTable = ReleaseTable()
    expected_release: ExpectedReleaseTable = ExpectedReleaseTable()
    report: ReportTable = ReportTable()
    assumed: tuple[str, ...] = Field(
        default=(),
        description="values that were stated without an uncertainty and have got the default one; filled in on reading",
    )

    def blank_key(self) -> dict[str, Any]:
        """Return what a solvent blank must share with a sample (beside the wavelength) to be used for it."""
        return {
            "cuvette": self.cuvette.id,
            "holder": self.cuvette.holder,
            "stirring": self.cuvette.stirring,
            "volume_ml": None if self.sample.volume is None else self.sample.volume.value,
        }


def load_sample(path: Path) -> SampleConfig:
    """Read a sample file; FileInvalidError with every mistake, one a line."""
    tables, source = read_toml(path, REMEDY)
    return check_sample(tables, source)


def check_sample(tables: dict[str, Any], source: Source) -> SampleConfig:
    """Check the tables of a sample file (or of a run's start document) and fill in default uncertainties."""
    config = validate(SampleConfig, tables, source)
    source.raise_problems()
    if config is None:
        raise FileInvalidError(f"{source.name}: the file is no sample file")
    return _with_default_uncertainties(config)


def _with_default_uncertainties(config: SampleConfig) -> SampleConfig:
    assumed = list(config.assumed)
    tables: dict[str, Any] = {}
    for place, relative in DEFAULT_UNCERTAINTY.items():
        table_name, key = place.split(".")
        table = tables.get(table_name, getattr(config, table_name))
        value = None if table is None else getattr(table, key)
        if isinstance(value, Quantity) and value.standard_uncertainty is None:
            tables[table_name] = table.model_copy(update={key: value.with_default_uncertainty(relative)})
            assumed.append(place)
    return config.model_copy(update={**tables, "assumed": tuple(assumed)})
