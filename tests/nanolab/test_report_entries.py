"""What a referee asks for: entered, entered afterwards, or named as missing; irradiance by its definition."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from nanolab.assay import Setup
from nanolab.bench.config import BeamConfig
from nanolab.bench.defaults import example_sample, simulated_bench
from nanolab.bench.sample import ReportTable
from nanolab.errors import FileInvalidError
from nanolab.quantities import Quantity
from nanolab.report.chapter import MISSING, Entry
from nanolab.report.entries import (
    cell_entries,
    details_of,
    irradiance_words,
    laser_entries,
    miribel_entries,
    sample_entries,
)

POWER = Quantity(0.5, "W", 0.01)


@pytest.fixture
def setup() -> Setup:
    return Setup(simulated_bench(), example_sample(), {}, "none", Path("runs"), True)


def by_name(entries: list[Entry]) -> dict[str, Entry]:
    return {entry.name: entry for entry in entries}


def details_file(folder: Path, text: str) -> Path:
    path = folder / "details.toml"
    path.write_text(text)
    return path


def test_what_was_not_entered_is_missing_and_says_where_it_goes(setup: Setup) -> None:
    entries = [
        *laser_entries(setup, setup.bench.beam, None),
        *cell_entries(setup, setup.sample.report),
        *sample_entries(setup, setup.sample.report),
        *miribel_entries(setup.sample.report),
    ]
    missing = [entry for entry in entries if entry.value is None]
    assert all(entry.words == MISSING and entry.where for entry in missing)
    names = {entry.name for entry in missing}
    assert {"line width, FWHM", "spot diameter (1/e² or FWHM)", "irradiance", "mass of the liquid", "zeta potential",
            "metal mass concentration", "independent preparations", "cells", "power at the sample P"} <= names  # fmt: skip
    groups = dict.fromkeys(entry.group for entry in miribel_entries(setup.sample.report))
    assert [group.removesuffix(" (after MIRIBEL)") for group in groups] == [
        "Material characterization", "Biological characterization", "Details of experimental protocols",
    ]  # fmt: skip
    found = by_name(entries)
    assert found["line λ"].value == "808 nm"
    assert found["path"].value == "1.0000 ± 0.0050 cm"
    assert found["stirring, as entered"].words == "400 rpm"
    assert found["particle"].value == "43.6 ± 4.4 nm × 10.0 ± 1.0 nm gold nanorod"


def test_a_bench_without_a_laser_has_no_line(setup: Setup) -> None:
    bare = replace(setup, bench=setup.bench.model_copy(update={"laser": None}))
    [entry] = laser_entries(bare, bare.bench.beam, POWER)
    assert entry.value == "none on this bench"


@pytest.mark.parametrize(
    ("definition", "on_axis"),
    [("1/e2", 2.0 * 0.5 / (math.pi * 0.2**2)), ("FWHM", 4 * math.log(2) * 0.5 / (math.pi * 0.4**2))],
)
def test_the_irradiance_of_a_gaussian_beam_is_told_for_the_circle_and_on_the_axis(
    definition: str, on_axis: float
) -> None:
    # integrating I0 exp(-2 r²/w²) over the plane gives P = I0 pi w²/2: the oracle for the value on the axis
    radii = [0.0005 * (i + 0.5) for i in range(4000)]
    w = 0.2 if definition == "1/e2" else 0.4 / math.sqrt(2.0 * math.log(2.0))
    total = sum(on_axis * math.exp(-2.0 * r * r / w**2) * 2.0 * math.pi * r * 0.0005 for r in radii)
    assert total == pytest.approx(0.5, rel=1e-4)
    beam = BeamConfig(spot_diameter=Quantity(0.4, "cm", 0.02), spot_definition=definition)  # type: ignore[arg-type]  # parametrized
    words = irradiance_words(POWER, beam)
    assert words is not None
    circle, axis = words.split("; ")
    assert circle.startswith("3.98 ± 0.41 W/cm²")
    assert float(axis.split(" ")[0]) == pytest.approx(on_axis, rel=0.01)


def test_the_irradiance_of_a_top_hat_and_of_an_unknown_spot() -> None:
    beam = BeamConfig(spot_diameter=Quantity(0.4, "cm"), spot_definition="top hat")
    assert irradiance_words(Quantity(0.5, "W"), beam) == "3.97887 W/cm²"
    assert irradiance_words(None, beam) is None
    assert irradiance_words(POWER, BeamConfig(spot_diameter=Quantity(0.4, "cm"))) is None
    assert irradiance_words(Quantity(0.0, "W"), beam) == "0 W/cm²"


def test_metal_mass_is_concentration_times_volume(setup: Setup) -> None:
    report = ReportTable(metal="Au", metal_concentration=Quantity(50.0, "mg/L"), preparations=3)
    found = by_name(sample_entries(setup, report))
    assert found["metal mass in the cell"].value == "50 µg Au"
    assert found["metal mass concentration"].value == "50 mg/L Au"
    assert found["independent preparations"].value == "3"


def test_what_was_left_out_is_filled_in_afterwards_and_called_so(setup: Setup, tmp_path: Path) -> None:
    file = details_file(
        tmp_path, '[report]\nzeta_potential = "-31 mV, water, pH 6"\npreparations = 3\n[beam]\nlinewidth = "2 nm"\n'
    )
    details = details_of(setup, file)
    assert details.report.zeta_potential == "-31 mV, water, pH 6"
    assert details.beam.linewidth == Quantity(2.0, "nm")
    assert details.later == ("[report] preparations", "[report] zeta_potential", "[beam] linewidth")
    assert details.source == "details.toml"
    assert details_of(setup).later == ()


def test_what_was_said_before_the_run_stays(setup: Setup, tmp_path: Path) -> None:
    said = setup.sample.model_copy(update={"report": ReportTable(preparations=3)})
    before = replace(setup, sample=said)
    same = details_of(before, details_file(tmp_path, "[report]\npreparations = 3\n"))
    assert (same.report.preparations, same.later) == (3, ())
    with pytest.raises(FileInvalidError, match="was entered before the run"):
        details_of(before, details_file(tmp_path, "[report]\npreparations = 5\n"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[sample]\nname = 'x'\n", r"\[sample\] is not of a report"),
        ("[report]\nzeta = 'x'\n", "zeta: unknown key"),
        ("[beam]\nspot_definition = 'wide'\n", "spot_definition"),
        ("[report\n", "no TOML"),
    ],
)
def test_a_bad_file_of_details_is_a_sentence(setup: Setup, tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(FileInvalidError, match=words):
        details_of(setup, details_file(tmp_path, text))
