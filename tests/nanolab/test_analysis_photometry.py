"""Concentrations from spectra, calibration lines, and optical pH, against measured data and known truth."""

import csv
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from nanolab.analysis.calibration import calibrate
from nanolab.analysis.optical_ph import fit_ph, m_cresol_purple_pk
from nanolab.analysis.photometry import fit_mixture, monomer_fraction, total_from_absorbance
from nanolab.models.indicators import TABLE_NM, m_cresol_purple_acid, m_cresol_purple_base

Array = npt.NDArray[np.float64]

REFERENCE = Path(os.environ.get("NANOLAB_REFERENCE_DATA", Path(__file__).parents[3] / "shared" / "data"))
CALIBRATION, SPECTRA = REFERENCE / "assays" / "calibration", REFERENCE / "assays" / "spectra"

needs_reference = pytest.mark.skipif(
    not CALIBRATION.is_dir(), reason="the measured data sets are not here: name their folder in NANOLAB_REFERENCE_DATA"
)

WAVELENGTH = np.arange(400.0, 651.0)


def band(centre: float, width: float, height: float) -> Array:
    return np.asarray(height * np.exp(-0.5 * ((WAVELENGTH - centre) / width) ** 2))


DRUG, DYE = band(480, 40, 11000.0), band(545, 18, 90000.0)


def spectrum(drug: float, dye: float, scatter: float = 0.0, m: float = 3.0, offset: float = 0.0) -> Array:
    return np.asarray(drug * DRUG + dye * DYE + scatter * (WAVELENGTH / 500.0) ** -m + offset)


def test_a_mixture_in_a_scattering_carrier_is_taken_apart() -> None:
    noise = np.random.default_rng(2).normal(0.0, 1e-3, WAVELENGTH.size)
    measured = spectrum(8e-6, 1e-6, 0.30, 3.2, 0.01) + noise
    found = fit_mixture(WAVELENGTH, measured, {"drug": DRUG, "dye": DYE})
    for name, truth in (("drug", 8e-6), ("dye", 1e-6)):
        quantity = found.concentrations[name]
        assert quantity.standard_uncertainty is not None
        assert abs(quantity.value - truth) < 3 * quantity.standard_uncertainty
        assert quantity.standard_uncertainty < 0.03 * truth
    assert found.exponent == pytest.approx(3.2, abs=0.5)
    assert found.memory == 0.0
    # without the scatter term the carrier is taken for drug
    blind = fit_mixture(WAVELENGTH, measured, {"drug": DRUG, "dye": DYE}, scatter=False)
    assert abs(blind.concentrations["drug"].value - 8e-6) > 20 * 8e-8
    assert blind.memory > 0.5
    assert (blind.scatter, blind.exponent) == (None, None)


def test_the_stated_uncertainty_is_the_scatter_of_repetitions() -> None:
    generator = np.random.default_rng(5)
    values, stated = [], []
    for _ in range(150):
        noisy = spectrum(5e-6, 1e-6, 0.2, 3.0, 0.01) + generator.normal(0.0, 2e-3, WAVELENGTH.size)
        one = fit_mixture(WAVELENGTH, noisy, {"drug": DRUG, "dye": DYE}).concentrations["drug"]
        values.append(one.value)
        stated.append(one.standard_uncertainty or 0.0)
    # 150 repetitions know a standard deviation to 6 %; the memory of chance runs widens a few
    assert float(np.mean(stated)) == pytest.approx(float(np.std(values)), rel=0.25)


def test_path_weights_and_unusable_pixels() -> None:
    measured = 2.0 * spectrum(5e-6, 0.0)
    measured[:20] = np.nan
    found = fit_mixture(
        WAVELENGTH, measured, {"drug": DRUG}, path_cm=2.0, scatter=False, sd=np.where(WAVELENGTH > 600, np.inf, 1e-3)
    )
    assert found.concentrations["drug"].value == pytest.approx(5e-6, rel=1e-9)
    assert np.all(np.isnan(found.residuals[:20]))
    assert found.offset is not None
    assert found.offset.value == pytest.approx(0.0, abs=1e-12)
    assert found.condition < 10
    fixed = fit_mixture(WAVELENGTH, spectrum(5e-6, 0.0, 0.1, 4.0), {"drug": DRUG}, exponent=4.0, offset=False)
    assert fixed.offset is None
    assert fixed.scatter is not None
    assert fixed.scatter.value == pytest.approx(0.1, rel=1e-9)
    default = fit_mixture(WAVELENGTH, spectrum(5e-6, 0.0, 0.1, 4.0), {"drug": DRUG})
    assert default.exponent == pytest.approx(4.0, abs=1e-3)


def test_what_is_no_mixture() -> None:
    with pytest.raises(ValueError, match="path must be positive"):
        fit_mixture(WAVELENGTH, DRUG, {"drug": DRUG}, path_cm=0.0)
    with pytest.raises(ValueError, match="cannot carry 0 species"):
        fit_mixture(WAVELENGTH, DRUG, {})
    with pytest.raises(ValueError, match="3 usable pixels cannot carry 1 species"):
        fit_mixture(WAVELENGTH[:3], DRUG[:3], {"drug": DRUG[:3]})


@needs_reference
@pytest.mark.reference_data
def test_a_whole_spectrum_beats_two_wavelengths() -> None:
    """Two rhodamines at noise of 1e-3: 16.7 nM from two wavelengths, 3.2 nM from all, 3.4 to 3.8 with a baseline."""
    table: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with (SPECTRA / "photochemcad_absorption.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            table[row["id"]].append((float(row["wavelength_nm"]), float(row["epsilon_M-1cm-1"])))
    grid = np.arange(450.0, 600.5, 1.0)
    species = {name: np.interp(grid, *np.array(table[name]).T) for name in ("N13", "N11")}
    generator = np.random.default_rng(8)
    found: dict[str, list[float]] = defaultdict(list)
    two = [int(np.argmax(epsilon)) for epsilon in species.values()]
    truth = 1e-6 * species["N13"] + 1e-6 * species["N11"]
    for _ in range(300):
        noisy = truth + generator.normal(0.0, 1e-3, grid.size)
        pair = np.linalg.solve(np.column_stack([species["N13"], species["N11"]])[two], noisy[two])
        found["two"].append(pair[0])
        for name, baseline in (("whole", False), ("baseline", True)):
            fit = fit_mixture(grid, noisy, species, offset=baseline, scatter=baseline, exponent=4.0)
            found[name].append(fit.concentrations["N13"].value)
    spread = {name: 1e9 * float(np.std(values)) for name, values in found.items()}
    assert spread["whole"] < spread["baseline"] < 1.5 * spread["whole"]
    assert spread["two"] > 3.0 * spread["whole"]


@pytest.mark.parametrize(
    ("micromolar", "share"),
    [(1, 0.975), (5, 0.896), (10, 0.824), (20, 0.726), (50, 0.573), (100, 0.457), (200, 0.353)],
)
def test_doxorubicin_dimerises(micromolar: float, share: float) -> None:
    assert float(monomer_fraction(micromolar * 1e-6)) == pytest.approx(share, abs=5.1e-4)


def test_concentration_of_a_dye_that_dimerises() -> None:
    total = np.array([0.0, 1e-6, 5e-5, 2e-4])
    monomer = total * monomer_fraction(total)
    absorbance = 0.5 * (11000.0 * monomer + 14000.0 * 0.5 * (total - monomer))
    assert total_from_absorbance(absorbance, 11000.0, 14000.0, path_cm=0.5) == pytest.approx(total, rel=1e-9)
    with pytest.raises(ValueError, match="must be positive"):
        total_from_absorbance(0.1, 0.0, 14000.0)


def points(name: str) -> tuple[Array, Array]:
    table = np.loadtxt(
        CALIBRATION / f"uvvis_release_{name}_dataset_1_concentration_data.csv", delimiter=",", skiprows=1
    )
    return table[:, 0], table[:, 1]


@needs_reference
@pytest.mark.reference_data
def test_the_simple_calibration() -> None:
    found = calibrate(*points("simple"))
    assert found.slope == pytest.approx(0.036734, abs=5e-7)
    assert found.intercept == pytest.approx(0.001477, abs=5e-7)
    assert found.scatter == pytest.approx(0.003114, abs=5e-7)
    assert (found.lod, found.loq) == pytest.approx((0.280, 0.848), abs=5e-4)
    assert found.r2 == pytest.approx(0.99989, abs=5e-6)
    assert found.rests_on == "scatter about the line"
    assert not found.curved
    several = calibrate(*points("multi_group"))
    assert several.slope == pytest.approx(0.17719, abs=5e-6)
    assert several.lod == pytest.approx(0.42, abs=5e-3)


@needs_reference
@pytest.mark.reference_data
@pytest.mark.parametrize(
    ("mode", "read_lod"),
    [("high_gain_22_flashes", 0.055), ("medium_gain_100_flashes", 0.26), ("medium_gain_6_flashes", 0.82)],
)
def test_blanks_of_different_wells_limit_not_reads_of_one(mode: str, read_lod: float) -> None:
    reads: dict[tuple[float, str], list[float]] = defaultdict(list)
    with (CALIBRATION / "fluorescein_dilution_flexstation.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["read_mode"] == mode and row["saturated"] == "0" and row["rfu"]:
                reads[float(row["nominal_nM"]), row["well"]].append(float(row["rfu"]))
    blanks = [float(np.mean(values)) for (level, _), values in reads.items() if level == 0.0]
    found = calibrate([level for level, _ in reads], [float(np.mean(values)) for values in reads.values()], blanks)
    assert found.rests_on == "5 independent blanks"
    assert 0.50 < found.lod < 0.75
    within = np.sqrt(np.mean([np.var(values, ddof=1) for (level, _), values in reads.items() if level == 0.0]))
    assert 3.3 * within / found.slope == pytest.approx(read_lod, rel=0.06)


def test_reading_off_a_line_carries_its_uncertainty() -> None:
    generator = np.random.default_rng(3)
    x = np.linspace(0.0, 10.0, 8)
    slopes, stated = [], 0.0
    for _ in range(400):
        line = calibrate(x, 0.1 + 0.05 * x + generator.normal(0.0, 0.004, x.size))
        signal = 0.1 + 0.05 * 4.0 + generator.normal(0.0, 0.004)
        slopes.append(float(line.concentration(signal)))
        stated += float(line.uncertainty(signal)) / 400
    assert float(np.mean(slopes)) == pytest.approx(4.0, abs=0.02)
    assert stated == pytest.approx(float(np.std(slopes)), rel=0.1)
    assert float(line.uncertainty(0.3, readings=100)) < float(line.uncertainty(0.3))


def test_curvature_is_seen_and_chance_is_not() -> None:
    x = np.arange(1.0, 9.0)
    assert calibrate(x, 2.0 * x - 0.05 * x**2).curved
    assert not calibrate(x, 2.0 * x).curved
    generator = np.random.default_rng(9)
    false = sum(calibrate(x, 2.0 * x + generator.normal(0.0, 0.2, 8)).curved for _ in range(200))
    assert false <= 20  # 5 % of 200 is 10, with a standard deviation of 3.1
    assert calibrate([0.0, 1.0, 2.0], [0.0, 1.0, 2.1]).curvature_p is None


@pytest.mark.parametrize(
    ("x", "y", "blanks", "sentence"),
    [
        ([1.0, 2.0], [1.0, 2.0], None, "three finite points, not 2"),
        ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], None, "the same concentration"),
        ([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], None, "does not change"),
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [0.1, 0.2], "at least 3 independent finite blanks are needed, not 2"),
    ],
)
def test_what_is_no_calibration(x: list[float], y: list[float], blanks: list[float] | None, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        calibrate(x, y, blanks)


@needs_reference
@pytest.mark.reference_data
def test_optical_ph_of_a_reference_seawater() -> None:
    forms = np.genfromtxt(CALIBRATION / "optical_ph_dye_endmembers_carbspec.csv", delimiter=",", names=True)
    spectra = np.genfromtxt(CALIBRATION / "optical_ph_mcp_crm_absorbance.csv", delimiter=",", names=True)
    with (CALIBRATION / "optical_ph_mcp_crm_conditions.csv").open(encoding="utf-8", newline="") as file:
        conditions = [(float(row["temperature_C"]), float(row["salinity"])) for row in csv.DictReader(file)]
    found = [
        fit_ph(
            spectra["wavelength"], spectra[f"A_{i}"], forms["wavelength_nm"], forms["MCP_acid"], forms["MCP_base"],
            m_cresol_purple_pk(*condition),
        )
        for i, condition in enumerate(conditions, start=1)
    ]  # fmt: skip
    values = [one.ph.value for one in found]
    # another spline through the same table moves single values by 1e-4
    assert values == pytest.approx([7.9828, 7.9832, 7.9800, 7.9806, 7.9839, 7.9832, 7.9826], abs=2e-4)
    assert float(np.mean(values)) == pytest.approx(7.982, abs=0.002)
    assert float(np.std(values, ddof=1)) == pytest.approx(0.0015, abs=1e-4)
    for one in found:
        assert 3e-4 < one.residual_rms < 5e-4
        assert 0.7 < one.shift_nm < 1.95
        assert 0.995 < one.stretch < 0.999
        assert one.ph.standard_uncertainty is not None
        # of one spectrum; what differs between fillings of the cell is ten times that
        assert 5e-5 < one.ph.standard_uncertainty < 3e-4


@needs_reference
@pytest.mark.reference_data
def test_bands_stand_for_the_measured_forms_of_m_cresol_purple() -> None:
    forms = np.genfromtxt(CALIBRATION / "optical_ph_dye_endmembers_carbspec.csv", delimiter=",", names=True)
    spectra = np.genfromtxt(CALIBRATION / "optical_ph_mcp_crm_absorbance.csv", delimiter=",", names=True)
    nm = forms["wavelength_nm"]
    for i in range(1, 8):
        seen = spectra["wavelength"], spectra[f"A_{i}"]
        table = fit_ph(*seen, nm, forms["MCP_acid"], forms["MCP_base"], 8.0)
        bands = fit_ph(*seen, TABLE_NM, m_cresol_purple_acid(TABLE_NM), m_cresol_purple_base(TABLE_NM), 8.0)
        assert bands.ph.value == pytest.approx(table.ph.value, abs=2e-4)
        assert bands.residual_rms < 1e-3


def test_ph_of_an_invented_indicator() -> None:
    table = np.arange(400.0, 701.0)
    acid = np.exp(-0.5 * ((table - 440) / 30) ** 2)
    base = 1.8 * np.exp(-0.5 * ((table - 580) / 32) ** 2)
    pixels = np.arange(420.0, 680.0, 0.5)
    moved = 1.001 * pixels - 0.3
    curve = 0.2 * np.interp(moved, table, acid) + 0.1 * np.interp(moved, table, base) + 0.02
    curve[5] = np.nan
    found = fit_ph(pixels, curve, table, acid, base, 8.0)
    assert found.ph.value == pytest.approx(8.0 + np.log10(0.5), abs=1e-3)
    assert (found.stretch, found.shift_nm) == pytest.approx((1.001, -0.3), abs=0.02)
    assert found.offset == pytest.approx(0.02, abs=1e-3)
    with pytest.raises(ValueError, match="one form of the indicator is not seen"):
        fit_ph(pixels, -0.2 * np.interp(pixels, table, acid), table, acid, base, 8.0)
    with pytest.raises(ValueError, match="10 pixels lie within the indicator's table"):
        fit_ph(pixels[:10], curve[10:20], table, acid, base, 8.0)
