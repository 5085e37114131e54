"""The entries that a referee asks for, from the files of the run and, where given, from what was entered afterwards."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanolab.bench.config import BeamConfig
from nanolab.bench.files import read_toml, validate
from nanolab.bench.sample import ReportTable
from nanolab.errors import FileInvalidError
from nanolab.quantities import Quantity
from nanolab.report.chapter import Entry

if TYPE_CHECKING:
    from nanolab.assay import Setup

LN2 = math.log(2.0)
PEAK_OVER_MEAN = {"1/e2": 2.0, "FWHM": LN2, "top hat": 1.0}
"""Irradiance on the axis over power per circle of the stated diameter d. Gaussian beam, I0 = 2P/(pi w²): w = d/2 at 1/e²,
w = d/sqrt(2 ln 2) at half maximum (ISO 11146-1 for the width at 1/e²)."""

IN_SAMPLE = "sample.toml, [report]"
MATERIAL = "Material characterization (after MIRIBEL)"
BIOLOGY = "Biological characterization (after MIRIBEL)"
PROTOCOL = "Details of experimental protocols (after MIRIBEL)"
"""The three groups bear the names of the paper (doi:10.1038/s41565-018-0246-4). The items in them are worded after it and
were not compared with its table, which asks for more: hence "after"."""

_MIRIBEL = (
    (MATERIAL, "synthesis and composition", "synthesis"),
    (MATERIAL, "size, shape, dispersity", "size_and_shape"),
    (MATERIAL, "aggregation", "aggregation"),
    (MATERIAL, "zeta potential", "zeta_potential"),
    (MATERIAL, "density", "density"),
    (MATERIAL, "surface, targeting, labelling", "surface"),
    (MATERIAL, "loading", "loading"),
    (BIOLOGY, "cells", "cells"),
    (BIOLOGY, "seeding and medium", "seeding"),
    (PROTOCOL, "culture dimensions", "culture_dimensions"),
    (PROTOCOL, "dose as administered", "dose"),
    (PROTOCOL, "imaging", "imaging"),
)


@dataclass(frozen=True)
class Details:
    """What was entered for the report: before the run, and afterwards in a file of its own (`later` names those)."""

    report: ReportTable
    beam: BeamConfig
    later: tuple[str, ...] = ()
    source: str = ""


def details_of(setup: "Setup", file: Path | None = None) -> Details:
    """Return what was entered before the run; a TOML file with [report] and [beam] fills in what was left out.

    FileInvalidError where the file is no such file, or would change what was entered before the run.
    """
    before = {"report": setup.sample.report, "beam": setup.bench.beam}
    if file is None:
        return Details(setup.sample.report, setup.bench.beam)
    tables, source = read_toml(file, "write one with the tables [report] and [beam]")
    strange = sorted(set(tables) - set(before))
    if strange:
        raise FileInvalidError(f"{file}: [{strange[0]}] is not of a report; only [report] and [beam] are read here")
    report = validate(ReportTable, tables.get("report", {}), source, under=("report",))
    beam = validate(BeamConfig, tables.get("beam", {}), source, under=("beam",))
    source.raise_problems()
    if report is None or beam is None:
        raise FileInvalidError(f"{file}: the file cannot be read as details of a report")
    later: list[str] = []
    filled: dict[str, Any] = {}
    for name, table in {"report": report, "beam": beam}.items():
        own, added = before[name], {}
        for key in sorted(table.model_fields_set):
            value = getattr(table, key)
            if _entered(getattr(own, key)):
                if getattr(own, key) != value:
                    raise FileInvalidError(
                        f"{file}: [{name}] {key} was entered before the run, and what was said then stays; take it out"
                    )
                continue
            added[key] = value
            later.append(f"[{name}] {key}")
        filled[name] = own.model_copy(update=added)
    return Details(filled["report"], filled["beam"], tuple(later), file.name)


def _entered(value: object) -> bool:
    return value is not None and value != ""


def _text(value: object) -> str | None:
    return str(value) if _entered(value) else None


def laser_entries(setup: "Setup", beam: BeamConfig, power: Quantity | None, *, used: bool = True) -> list[Entry]:
    """Return line, width, power, spot and irradiance. `power` W at the sample; `used` False where the plan asks for no laser."""
    laser = setup.bench.laser
    if not used:
        return [Entry("Laser", "laser", "none on this bench" if laser is None else "the plan does not use it")]
    if laser is None:
        return [Entry("Laser", "laser", "none on this bench")]
    wavelength = getattr(laser.settings, "wavelength", None)
    where = "bench.toml, [beam]"
    spot = None
    if beam.spot_diameter is not None:
        spot = f"{beam.spot_diameter} ({beam.spot_definition or 'its definition is not entered'})"
    return [
        Entry("Laser", "driver", laser.driver),
        Entry("Laser", "line λ", _text(wavelength), "bench.toml, [laser] wavelength"),
        Entry("Laser", "line width, FWHM", _text(beam.linewidth), f"{where} linewidth"),
        Entry("Laser", "power at the sample P", None if power is None else str(power), "a power meter on the bench"),
        Entry("Laser", "spot diameter (1/e² or FWHM)", spot, f"{where} spot_diameter, spot_definition"),
        Entry("Laser", "irradiance", irradiance_words(power, beam), f"{where} spot_diameter, spot_definition"),
    ]


def irradiance_words(power: Quantity | None, beam: BeamConfig) -> str | None:
    """Return power per circle of the stated diameter and the irradiance on the axis, W/cm²; None where either is unknown."""
    if power is None or beam.spot_diameter is None or beam.spot_definition is None:
        return None
    area = math.pi / 4.0 * beam.spot_diameter.value**2
    mean = power.value / area
    relative = math.hypot(
        (power.standard_uncertainty or 0.0) / power.value if power.value else 0.0,
        2.0 * (beam.spot_diameter.standard_uncertainty or 0.0) / beam.spot_diameter.value,
    )
    axis = mean * PEAK_OVER_MEAN[beam.spot_definition]
    found = [Quantity(value, "W/cm²", value * relative or None) for value in (mean, axis)]
    if beam.spot_definition == "top hat":
        return str(found[0])
    return f"{found[0]} (P over the circle of that diameter); {found[1]} on the axis of a Gaussian beam"


def cell_entries(setup: "Setup", report: ReportTable) -> list[Entry]:
    """Return cuvette, path, volume, mass of the liquid, stirring."""
    sample, cuvette, heat = setup.sample.sample, setup.sample.cuvette, setup.sample.heat_capacity
    capacity = None if heat is None else f"{heat.effective} ({heat.method})"
    group, where = "Cell", "sample.toml, [cuvette]"
    return [
        Entry(group, "cuvette", _text(cuvette.id), f"{where} id"),
        Entry(group, "material", _text(cuvette.material), f"{where} material"),
        Entry(group, "holder", _text(cuvette.holder), f"{where} holder"),
        Entry(group, "path", str(sample.path_length)),
        Entry(group, "volume", _text(sample.volume), "sample.toml, [sample] volume"),
        Entry(group, "mass of the liquid", _text(report.liquid_mass), f"{IN_SAMPLE} liquid_mass"),
        Entry(group, "stirring, as entered", _text(cuvette.stirring), f"{where} stirring"),
        Entry(group, "window transmission", _text(sample.window_transmission), "sample.toml, [sample]"),
        Entry(group, "effective heat capacity", capacity, "sample.toml, [heat_capacity]"),
    ]


def sample_entries(setup: "Setup", report: ReportTable) -> list[Entry]:
    """Return what is in the cuvette, particle and metal mass, and how many preparations were measured."""
    sample, particle = setup.sample.sample, setup.sample.particle
    group, where = "Sample", "sample.toml, [sample]"
    kind = None
    if particle is not None:
        sizes = [str(size) for size in (particle.length, particle.diameter) if size is not None]
        kind = " × ".join(sizes) + f" {particle.kind}" if sizes else particle.kind
    metal = None if report.metal_concentration is None else f"{report.metal_concentration} {report.metal}".rstrip()
    mass = None
    if report.metal_concentration is not None and sample.volume is not None:
        mass = f"{report.metal_concentration.value * sample.volume.value:.3g} µg {report.metal}".rstrip()
    return [
        Entry(group, "name", _text(sample.name)),
        Entry(group, "batch", _text(sample.batch), f"{where} batch"),
        Entry(group, "description", _text(sample.description), f"{where} description"),
        Entry(group, "solvent", _text(sample.solvent), f"{where} solvent"),
        Entry(group, "particle", kind, "sample.toml, [particle]"),
        Entry(group, "particle mass concentration", _text(sample.mass_concentration), f"{where} mass_concentration"),
        Entry(group, "metal mass concentration", metal, f"{IN_SAMPLE} metal, metal_concentration"),
        Entry(group, "metal mass in the cell", mass, f"{IN_SAMPLE} metal_concentration"),
        Entry(group, "scattered share (albedo)", _text(sample.albedo), f"{where} albedo"),
        Entry(group, "independent preparations", _text(report.preparations), f"{IN_SAMPLE} preparations"),
    ]


def miribel_entries(report: ReportTable) -> list[Entry]:
    """Return items after MIRIBEL (doi:10.1038/s41565-018-0246-4) that no other group has."""
    return [Entry(group, name, _text(getattr(report, key)), f"{IN_SAMPLE} {key}") for group, name, key in _MIRIBEL]
