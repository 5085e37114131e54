"""Spectra against synthetic counts of known absorbance, the readers against written and real files."""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from nanolab.analysis.laser_line import (
    LaserLine,
    absorbance_at_laser,
    gaussian_laser_line,
    lspr_peak,
    measured_laser_line,
)
from nanolab.analysis.spectra import (
    AbsorbanceSpectrum,
    Detector,
    Exposure,
    absorbance,
    imported_absorbance,
    photon_transfer,
    point_noise,
)
from nanolab.analysis.spectrum_files import read_absorbance, read_spectra, read_spectrum
from nanolab.errors import AnalysisRefusesError, FileInvalidError, UsageError
from nanolab.models.optics import rod_batch_extinction_per_nm

FloatArray = npt.NDArray[np.float64]
REFERENCE = Path(os.environ.get("NANOLAB_REFERENCE_DATA", Path(__file__).parents[3] / "shared" / "data"))
SPECTRA = REFERENCE / "photothermal"

WAVELENGTH = np.linspace(400.0, 1000.0, 601)
DARK_LEVEL = 1500.0
LAMP = 45000.0 * np.exp(-(((WAVELENGTH - 700.0) / 220.0) ** 2))
TRUE_A = 0.9 * np.exp(-(((WAVELENGTH - 800.0) / 70.0) ** 2)) + 0.15
DETECTOR = Detector(electrons_per_count=1.5, read_noise_counts=25.0)


class Bench:
    """Draws exposures as a detector would give them: Poisson electrons, Gaussian read noise."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def expose(self, light: FloatArray, averages: int = 10, seconds: float = 0.01, time_s: float = 0.0) -> Exposure:
        return Exposure(self.frames(light, averages).mean(axis=0), seconds, averages, time_s)

    def frames(self, light: FloatArray, count: int) -> FloatArray:
        gain = DETECTOR.electrons_per_count
        electrons = self.rng.poisson(light * gain, (count, light.size))
        return np.asarray(electrons / gain + DARK_LEVEL + self.rng.normal(0.0, 25.0, (count, light.size)))

    def spectrum(self, transmitted: FloatArray | None = None, averages: int = 10) -> AbsorbanceSpectrum:
        light = LAMP * 10**-TRUE_A if transmitted is None else transmitted
        return absorbance(
            WAVELENGTH,
            self.expose(light, averages),
            self.expose(LAMP, averages),
            self.expose(0 * LAMP, averages),
            DETECTOR,
        )


def test_per_pixel_uncertainty_covers_the_truth() -> None:
    # half of the error of A comes from the dark, which sample and reference share: leaving that out shows
    # here
    scores = []
    for seed in range(40):
        spectrum = Bench(seed).spectrum()
        scores.append((spectrum.absorbance - TRUE_A) / spectrum.standard_uncertainty)
    z = np.array(scores)
    lit = LAMP * 10**-TRUE_A > 1000.0
    assert np.mean(np.abs(z[:, lit]) < 1.96) == pytest.approx(0.95, abs=0.01)
    assert z[:, lit].std() == pytest.approx(1.0, abs=0.03)
    assert abs(z[:, lit].mean()) < 0.05


def test_dark_noise_partly_cancels_between_sample_and_reference() -> None:
    # at A = 0 the dark cancels wholly to first order: its noise alone leaves no uncertainty
    loud_dark = Exposure(np.full(601, DARK_LEVEL), 0.01, noise=np.full(601, 200.0))
    quiet = Exposure(LAMP + DARK_LEVEL, 0.01, noise=np.zeros(601))
    same = absorbance(WAVELENGTH, quiet, quiet, loud_dark, DETECTOR)
    assert same.standard_uncertainty == pytest.approx(np.zeros(601), abs=1e-12)
    half = Exposure(LAMP / 2 + DARK_LEVEL, 0.01, noise=np.zeros(601))
    # dA/dd = (1/S - 1/R)/ln 10 = 1/(R ln 10) at S = R/2
    expected = 200.0 / LAMP / np.log(10)
    assert absorbance(WAVELENGTH, half, quiet, loud_dark, DETECTOR).standard_uncertainty == pytest.approx(expected)


def test_noise_from_repeats_agrees_with_the_detector() -> None:
    bench = Bench(3)
    repeats = Exposure.from_repeats(bench.frames(LAMP, 200), 0.01)
    modelled = bench.expose(LAMP, 200).variance(LAMP, DETECTOR)
    assert np.median(repeats.variance(LAMP, DETECTOR) / modelled) == pytest.approx(1.0, abs=0.03)
    with pytest.raises(ValueError, match="at least five"):
        Exposure.from_repeats(bench.frames(LAMP, 4), 0.01)


def test_photon_transfer_finds_gain_and_read_noise() -> None:
    bench = Bench(4)
    levels = np.repeat(np.array([0.0, 300.0, 3000.0, 10000.0, 30000.0]), 200)
    frames = bench.frames(levels, 60)
    found = photon_transfer(frames.mean(axis=0) - DARK_LEVEL, frames.var(axis=0, ddof=1))
    assert found.electrons_per_count == pytest.approx(1.5, rel=0.03)
    assert found.read_noise_counts == pytest.approx(25.0, rel=0.1)
    with pytest.raises(ValueError, match="does not rise"):
        photon_transfer([1.0, 2.0, 3.0], [3.0, 2.0, 1.0])


def test_saturated_and_dark_pixels_hold_no_number() -> None:
    bench = Bench(5)
    sample = bench.expose(LAMP * 10**-TRUE_A)
    bright = np.where(np.abs(WAVELENGTH - 700.0) < 20.0, 65535.0, LAMP + DARK_LEVEL)
    reference = Exposure(bright, 0.01, 10)
    counts = sample.counts.copy()
    counts[:25] = DARK_LEVEL - 100.0
    spectrum = absorbance(
        WAVELENGTH,
        Exposure(counts, 0.01, 10),
        reference,
        Exposure(np.full(601, DARK_LEVEL), 0.01, 10),
        DETECTOR,
    )
    assert np.count_nonzero(spectrum.saturated) == 39
    assert np.isnan(spectrum.absorbance[spectrum.saturated]).all()
    assert spectrum.dark_pixels >= 25
    assert np.isnan(spectrum.absorbance[:25]).all()
    assert np.array_equal(np.isnan(spectrum.absorbance), np.isnan(spectrum.standard_uncertainty))
    assert {caution.code for caution in spectrum.cautions} == {"saturated", "too_little_light"}
    text = next(c.text for c in spectrum.cautions if c.code == "saturated")
    assert text == "39 pixels are saturated (681 to 719 nm) and were left out"


def test_a_single_saturated_frame_in_an_average_is_seen() -> None:
    frames = np.full((10, 601), 30000.0)
    frames[0] = 65535.0
    assert Exposure.from_repeats(frames, 0.01).saturated(DETECTOR).all()


def test_good_spectra_have_no_cautions() -> None:
    lamp = LAMP + 2000.0
    bench = Bench(6)
    spectrum = absorbance(WAVELENGTH, bench.expose(lamp * 0.5), bench.expose(lamp), bench.expose(0 * lamp), DETECTOR)
    assert spectrum.cautions == ()
    assert spectrum.usable.all()


def test_old_dark_and_reference_are_told() -> None:
    bench = Bench(7)
    now = bench.expose(LAMP + 5000.0, time_s=8000.0)
    old = bench.expose(LAMP + 5000.0, time_s=6100.0)
    dark = bench.expose(0 * LAMP, time_s=4500.0)
    assert [c.code for c in absorbance(WAVELENGTH, now, old, dark, DETECTOR).cautions] == ["reference_old"]
    older = bench.expose(0 * LAMP, time_s=4300.0)
    codes = [c.code for c in absorbance(WAVELENGTH, now, old, older, DETECTOR).cautions]
    assert codes == ["dark_old", "reference_old"]


def test_nonlinearity_is_taken_out_and_raises_noise() -> None:
    coefficients = (1.0, -2.0e-6)
    detector = Detector(1.5, 25.0, nonlinearity=coefficients)
    true = np.linspace(100.0, 50000.0, 601)
    # the detector shows c with c/(1 - 2e-6 c) = true
    shown = true / (1.0 + 2.0e-6 * true)
    assert detector.linear(shown) == pytest.approx(true, rel=1e-12)
    step = 1e-3
    numeric = (detector.linear(shown + step) - detector.linear(shown - step)) / (2 * step)
    assert detector.slope(shown) == pytest.approx(numeric, rel=1e-6)
    dark = Exposure(np.zeros(601), 0.01)
    spectrum = absorbance(
        WAVELENGTH,
        Exposure(0.25 * true / (1 + 2e-6 * 0.25 * true), 0.01),
        Exposure(shown, 0.01),
        dark,
        detector,
    )
    assert spectrum.absorbance == pytest.approx(np.full(601, np.log10(4.0)), rel=1e-9)


def test_stray_light_is_taken_out_and_lowers_the_absorbance_where_it_is_not() -> None:
    absorbed = np.linspace(0.0, 3.0, 601)
    zero = Exposure(np.zeros(601), 0.01)

    def seen(light: np.ndarray) -> Exposure:
        return Exposure(0.999 * light + 0.001 * light.mean(), 0.01)

    light, sample = seen(LAMP), seen(LAMP * 10.0**-absorbed)
    corrected = absorbance(WAVELENGTH, sample, light, zero, Detector(stray_light=0.001)).absorbance
    assert corrected == pytest.approx(absorbed, abs=1e-9)
    as_seen = absorbance(WAVELENGTH, sample, light, zero, Detector()).absorbance
    stray = 0.001 * np.array([np.mean(LAMP * 10.0**-absorbed), np.mean(LAMP)])
    by_hand = -np.log10((0.999 * LAMP[-1] * 1e-3 + stray[0]) / (0.999 * LAMP[-1] + stray[1]))
    assert as_seen[-1] == pytest.approx(by_hand, rel=1e-9)
    assert as_seen[-1] < 2.95


def test_a_run_tells_what_is_known_of_its_detector() -> None:
    told = {
        "spectrometer_full_scale": 4095.0,
        "spectrometer_nonlinearity": np.array([1.0, -1e-7]),
        "spectrometer_stray_light": 2e-4,
    }
    assert Detector.of(told) == Detector(full_scale=4095.0, nonlinearity=(1.0, -1e-7), stray_light=2e-4)
    assert Detector.of({}) == Detector()


def test_different_integration_times_are_compared_per_second() -> None:
    zero = Exposure(np.zeros(601), 0.02, 100)
    sample = Exposure(LAMP, 0.02, 100)
    reference = Exposure(LAMP, 0.01, 100)
    with pytest.raises(ValueError, match=r"dark was taken with 0\.02 s, the reference with 0\.01 s"):
        absorbance(WAVELENGTH, sample, reference, zero, DETECTOR)
    own = Exposure(np.zeros(601), 0.01, 100)
    spectrum = absorbance(WAVELENGTH, sample, reference, zero, DETECTOR, reference_dark=own)
    assert spectrum.absorbance == pytest.approx(np.full(601, np.log10(2.0)))
    with pytest.raises(ValueError, match="must have 601 pixels"):
        absorbance(WAVELENGTH, Exposure(LAMP[1:], 0.02), reference, zero, DETECTOR)


# --- the laser's line


def synthetic(noise: float = 0.0, seed: int = 0, common: float = 0.0) -> AbsorbanceSpectrum:
    values = TRUE_A + np.random.default_rng(seed).normal(0.0, noise, 601) if noise else TRUE_A
    flat = np.full(601, noise)
    return AbsorbanceSpectrum(WAVELENGTH, values, flat, np.zeros(601, dtype=bool), 0, common)


def true_at(centre: float, fwhm: float) -> float:
    fine = np.linspace(centre - 30.0, centre + 30.0, 60001)
    line = np.exp(-4.0 * np.log(2.0) * ((fine - centre) / fwhm) ** 2)
    a = 0.9 * np.exp(-(((fine - 800.0) / 70.0) ** 2)) + 0.15
    return float(-np.log10(np.trapezoid(line * 10**-a, fine) / np.trapezoid(line, fine)))


@pytest.mark.parametrize(("centre", "fwhm"), [(808.0, 2.0), (770.0, 5.0), (850.0, 12.0)])
def test_absorbance_at_a_gaussian_line(centre: float, fwhm: float) -> None:
    found = absorbance_at_laser(synthetic(), gaussian_laser_line(centre, fwhm))
    assert found.value == pytest.approx(true_at(centre, fwhm), abs=2e-4)
    assert gaussian_laser_line(centre, fwhm).centre_nm == pytest.approx(centre)


def test_uncertainty_at_the_laser_line_covers_the_truth() -> None:
    truth, line = true_at(830.0, 4.0), gaussian_laser_line(830.0, 4.0, 0.0)
    found = [absorbance_at_laser(synthetic(0.004, seed), line) for seed in range(400)]
    z = np.array([(q.value - truth) / (q.standard_uncertainty or np.nan) for q in found])
    assert z.std() == pytest.approx(1.0, abs=0.12)
    # several pixels under the line average their noise
    assert (found[0].standard_uncertainty or 0.0) < 0.0025


def test_common_part_and_wavelength_enter_the_uncertainty() -> None:
    shared = absorbance_at_laser(synthetic(common=0.01), gaussian_laser_line(800.0, 2.0, 0.0))
    assert shared.standard_uncertainty == pytest.approx(0.01)
    # slope of the Gaussian at 850 nm: -2 (50/4900) (A - 0.15)
    slope = 2 * 50.0 / 4900.0 * 0.9 * np.exp(-((50.0 / 70.0) ** 2))
    moved = absorbance_at_laser(synthetic(), gaussian_laser_line(850.0, 2.0, 0.5))
    assert moved.standard_uncertainty == pytest.approx(0.5 * slope, rel=0.02)


def test_measured_line_takes_out_dark_and_pedestal() -> None:
    bench = Bench(8)
    shape = np.exp(-4 * np.log(2) * ((WAVELENGTH - 811.3) / 3.0) ** 2)
    line = measured_laser_line(WAVELENGTH, bench.expose(30000 * shape), bench.expose(0 * shape), DETECTOR)
    assert line.centre_nm == pytest.approx(811.3, abs=0.05)
    assert np.trapezoid(line.weight_per_nm, line.wavelength_nm) == pytest.approx(1.0)
    assert line.wavelength_nm.size < 15
    assert line.cautions == ()
    found = absorbance_at_laser(synthetic(), line)
    assert found.value == pytest.approx(true_at(811.3, 3.0), abs=5e-4)


def test_side_light_of_a_laser_is_told() -> None:
    bench = Bench(9)
    shape = np.exp(-(((WAVELENGTH - 808.0) / 2.0) ** 2)) + 0.1 * np.exp(-(((WAVELENGTH - 900.0) / 2.0) ** 2))
    line = measured_laser_line(WAVELENGTH, bench.expose(30000 * shape), bench.expose(0 * shape), DETECTOR)
    assert [c.code for c in line.cautions] == ["laser_side_light"]
    assert line.cautions[0].text.startswith("9.")
    assert line.centre_nm == pytest.approx(808.0, abs=0.1)


def test_lines_that_cannot_be_used_are_refused() -> None:
    bench = Bench(10)
    dark = bench.expose(0 * LAMP)
    with pytest.raises(AnalysisRefusesError, match="shows no line"):
        measured_laser_line(WAVELENGTH, bench.expose(0 * LAMP), dark, DETECTOR)
    shape = np.where(np.abs(WAVELENGTH - 808.0) < 3.0, 70000.0, 0.0)
    clipped = Exposure(np.minimum(shape + DARK_LEVEL, 65535.0), 0.01)
    with pytest.raises(AnalysisRefusesError, match=r"808\.0|80\d\.\d nm is saturated"):
        measured_laser_line(WAVELENGTH, clipped, dark, DETECTOR)
    with pytest.raises(ValueError, match="601 pixels"):
        measured_laser_line(WAVELENGTH, Exposure(LAMP[1:], 0.01), dark, DETECTOR)
    with pytest.raises(ValueError, match="must be positive"):
        gaussian_laser_line(808.0, 0.0)


def test_absorbance_at_the_line_is_refused_where_there_is_none() -> None:
    values = TRUE_A.copy()
    values[400:420] = np.nan
    holed = AbsorbanceSpectrum(WAVELENGTH, values, np.full(601, 0.001), np.isnan(values))
    with pytest.raises(AnalysisRefusesError, match="saturated or dark"):
        absorbance_at_laser(holed, gaussian_laser_line(808.0, 3.0))
    with pytest.raises(AnalysisRefusesError, match="outside the spectrum"):
        absorbance_at_laser(holed, gaussian_laser_line(1064.0, 3.0))
    # one bad pixel in the wing does not matter
    values = TRUE_A.copy()
    values[411] = np.nan
    one = AbsorbanceSpectrum(WAVELENGTH, values, np.full(601, 0.001), np.isnan(values))
    assert absorbance_at_laser(one, gaussian_laser_line(808.0, 3.0)).value == pytest.approx(true_at(808, 3), abs=1e-3)


def test_a_line_on_few_pixels_still_has_a_slope() -> None:
    coarse = AbsorbanceSpectrum(np.array([700.0, 800.0, 900.0]), np.ones(3), np.full(3, 0.01), np.zeros(3, dtype=bool))
    line = LaserLine(np.array([799.0, 800.0, 801.0]), np.array([0.0, 1.0, 0.0]))
    assert absorbance_at_laser(coarse, line).value == pytest.approx(1.0)


# --- peaks


def test_peak_position_and_its_uncertainty() -> None:
    wavelength = np.linspace(600.0, 1000.0, 801)
    batch = rod_batch_extinction_per_nm(wavelength, 4.2, 0.5)
    true = float(wavelength[np.argmax(batch)])
    values = batch / batch.max()
    rng = np.random.default_rng(11)
    z = []
    for _ in range(60):
        noisy = values + rng.normal(0.0, 0.003, values.size)
        spectrum = AbsorbanceSpectrum(wavelength, noisy, np.full(801, 0.003), np.zeros(801, dtype=bool))
        peak = lspr_peak(spectrum, 650.0, 950.0)
        z.append((peak.value - true) / (peak.standard_uncertainty or np.nan))
    assert np.mean(np.abs(z) < 2.0) >= 0.85
    assert abs(np.mean(z)) < 1.0


@pytest.mark.parametrize(
    ("low", "high", "sentence"),
    [(400.0, 405.0, "too few usable pixels"), (780.0, 800.0, "too short"), (420.0, 700.0, "no maximum")],
)
def test_no_peak_no_number(low: float, high: float, sentence: str) -> None:
    with pytest.raises(AnalysisRefusesError, match=sentence):
        lspr_peak(synthetic(), low, high)


def test_a_peak_at_the_edge_of_the_range_is_refused() -> None:
    with pytest.raises(AnalysisRefusesError, match="no maximum"):
        lspr_peak(synthetic(), 812.0, 900.0)


def test_point_noise_ignores_the_curve_and_its_steps() -> None:
    rng = np.random.default_rng(12)
    stepped = TRUE_A + np.where(np.arange(601) > 300, 0.05, 0.0)
    found = [point_noise(stepped + rng.normal(0.0, 0.002, 601)) for _ in range(30)]
    assert np.mean(found) == pytest.approx(0.002, rel=0.05)
    with pytest.raises(ValueError, match="seven points"):
        point_noise([1.0, 2.0, 3.0])


def test_smoothed_files_keep_an_honest_uncertainty() -> None:
    rng = np.random.default_rng(13)
    truth, line = true_at(808.0, 8.0), gaussian_laser_line(808.0, 8.0, 0.0)
    z = []
    for _ in range(150):
        noisy = np.convolve(TRUE_A + rng.normal(0.0, 0.01, 601), np.ones(11) / 11, mode="same")
        spectrum = imported_absorbance(WAVELENGTH, noisy, 0.0, boxcar=5)
        found = absorbance_at_laser(spectrum, line)
        z.append((found.value - truth) / (found.standard_uncertainty or np.nan))
    assert 0.5 < np.std(z) < 1.3


# --- files


def saved(tmp_path: Path, text: str, name: str = "spectrum.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


TABLE = [(500.0 + i, round(0.1 + 0.01 * i, 3)) for i in range(12)]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"{w}\t{a}" for w, a in TABLE),
        "Wavelength (nm),Abs\n" + "\n".join(f"{w},{a:.3f}" for w, a in reversed(TABLE)),
        "\r\n".join(f"{w}  {a}".replace(".", ",") for w, a in TABLE),
        "nm;A\n" + "\n".join(f"{w};{a}".replace(".", ",") for w, a in TABLE),
        "No.;Name;" + ";".join(f"{w:.2f}" for w, _ in TABLE) + "\n1;rods;" + ";".join(f"{a:.4f}" for _, a in TABLE),
        "SpectraSuite Data File\r\nIntegration Time (usec): 25000 (USB4H00887)\r\n"
        "Number of Pixels in Processed Spectrum: 12\r\n>>>>>Begin Processed Spectral Data<<<<<\r\n"
        + "\r\n".join(f"{w}\t{a}" for w, a in TABLE)
        + "\r\n>>>>>End Processed Spectral Data<<<<<\r\n",
        "Data from x_Absorbance_1.txt Node\n\rUser: me\nNumber of Pixels in Spectrum: 12\n"
        ">>>>>Begin Spectral Data<<<<<\n" + "\r\n".join(f"{w}\t{a}" for w, a in TABLE),
    ],
)
def test_every_kind_of_file_gives_the_same_spectrum(tmp_path: Path, text: str) -> None:
    spectrum = read_absorbance(saved(tmp_path, text))
    assert spectrum.wavelength_nm == pytest.approx([w for w, _ in TABLE])
    assert spectrum.values == pytest.approx([a for _, a in TABLE], abs=6e-4)


def test_headings_of_spectrasuite_are_kept(tmp_path: Path) -> None:
    text = "SpectraSuite Data File\nIntegration Time (usec): 25000 (USB4H00887)\n>>>>>Begin x<<<<<\n"
    spectrum = read_spectrum(saved(tmp_path, text + "\n".join(f"{w}\t{a}" for w, a in TABLE)))
    assert spectrum.metadata["Integration Time (usec)"] == "25000"


def test_several_spectra_are_chosen_by_name(tmp_path: Path) -> None:
    head = "No.;Name;" + ";".join(f"{w}" for w, _ in TABLE)
    rows = [f"{i};{name};" + ";".join(f"{a + i}" for _, a in TABLE) for i, name in enumerate(("bare", "PEG"))]
    path = saved(tmp_path, "\n".join([head, *rows]))
    assert read_spectrum(path, "PEG").values[0] == pytest.approx(1.1)
    with pytest.raises(UsageError, match="holds 2 spectra: choose one of 'bare', 'PEG'"):
        read_spectrum(path)
    with pytest.raises(UsageError, match="no spectrum 'PEGG'; did you mean 'PEG'"):
        read_spectrum(path, "PEGG")


def test_cary_pairs_with_a_log_behind(tmp_path: Path) -> None:
    lines = ["Base,,Gold,,", "Wavelength (nm),Abs,Wavelength (nm),Abs,"]
    lines += [f"{w},{0},{w},{a}," for w, a in reversed(TABLE)]
    lines += ["", "Base,,,,", "Collection Time: 1/1/2020 10:00:00 AM"]
    base, gold = read_spectra(saved(tmp_path, "\n".join(lines), "cary.csv"))
    assert (base.name, gold.name, gold.kind) == ("Base", "Gold", "absorbance")
    assert gold.wavelength_nm[0] == 500.0
    assert gold.values == pytest.approx([a for _, a in TABLE])


def test_transmittance_is_converted_and_counts_are_refused(tmp_path: Path) -> None:
    percent = saved(tmp_path, "nm,%T\n" + "\n".join(f"{w},{100 * 10**-a}" for w, a in TABLE))
    assert read_absorbance(percent).values == pytest.approx([a for _, a in TABLE])
    counts = saved(tmp_path, "nm,counts\n" + "\n".join(f"{w},{a}" for w, a in TABLE))
    with pytest.raises(FileInvalidError, match="these are counts"):
        read_absorbance(counts)
    unnamed = saved(tmp_path, "\n".join(f"{w}\t{1000 * a}" for w, a in TABLE))
    with pytest.raises(FileInvalidError, match="these are counts"):
        read_absorbance(unnamed)


GOOD = "\n".join(f"{w}\t{a}" for w, a in TABLE)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the file is empty"),
        ("nothing here\nat all\n", "no line holds a wavelength and a value"),
        ("500\t0.1\n501\t0.2\n", "2 points are no spectrum"),
        (GOOD.replace("505.0", "405.0"), "line 6: the wavelengths neither rise nor fall"),
        (GOOD.replace("505.0\t0.15", "505.0\tabc"), "line 6: '505.0 abc' is not a wavelength and a value"),
        (GOOD.replace("505.0\t0.15", "505.0"), "line 6: the line holds no wavelength and value"),
        ("\n".join(f"{w / 1000}\t{a}" for w, a in TABLE), "are not in nm"),
        ("x\n>>>>>Begin x<<<<<\n" + GOOD.replace("0.15", "abc"), "line 8: '505.0\tabc' is not"),
        ("x\nNumber of Pixels in Spectrum: 13\n>>>>>Begin x<<<<<\n" + GOOD, "12 of 13 pixels are there"),
        ("Name;" + ";".join(str(w) for w, _ in TABLE) + "\na;0.1;0.2\n", "line 2: 12 numbers are wanted"),
    ],
)
def test_bad_spectra_get_one_sentence_with_the_place(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(FileInvalidError, match=sentence):
        read_spectrum(saved(tmp_path, text))


needs_reference = pytest.mark.skipif(
    not SPECTRA.is_dir(),
    reason="the measured data sets are not here: name their folder in NANOLAB_REFERENCE_DATA",
)


@needs_reference
@pytest.mark.reference_data
@pytest.mark.parametrize(
    ("name", "peak_nm", "window_nm"),
    [
        ("aunp_spectrasuite_usb4000/auab0.txt", 522.7, 2.0),
        ("aunp_oceanview_flame/AuNP_Jan1_slurryTest_Absorbance_10-37-16-028.txt", 525.4, 1.0),
        ("aunp_oceanview_flame/AuNP_Jan1_slurryTest_532nm_50mJ_30s_Absorbance_11-40-56-577.txt", 523.3, 1.0),
    ],
)
def test_peaks_of_real_gold(name: str, peak_nm: float, window_nm: float) -> None:
    spectrum = read_absorbance(SPECTRA / name)
    found = lspr_peak(imported_absorbance(spectrum.wavelength_nm, spectrum.values), 490.0, 600.0)
    assert found.value == pytest.approx(peak_nm, abs=window_nm)
    assert abs(found.value - peak_nm) < 2.5 * (found.standard_uncertainty or 0.0)


@needs_reference
@pytest.mark.reference_data
def test_every_spectrum_folder_is_read() -> None:
    folders = {
        "gnr_uvvis": 23,
        "aunp_spectrasuite_usb4000": 8,
        "aunp_oceanview_flame": 5,
        "aunp_cary60": 11,
        "cqd_uvvis": 6,
    }
    for folder, count in folders.items():
        spectra = [s for path in sorted((SPECTRA / folder).iterdir()) for s in read_spectra(path)]
        assert len(spectra) == count, folder
        assert all(np.all(np.diff(s.wavelength_nm) > 0) for s in spectra)


@needs_reference
@pytest.mark.reference_data
@pytest.mark.parametrize(
    ("file", "name", "aspect_ratio"),
    [
        ("2025-12-03_AuNR_stock_1-200.csv", "Sample A", 4.36),
        ("2026-01-13_AuNR_bare_PEG.csv", "AuNR", 3.69),
        ("2026-01-13_AuNR_bare_PEG.csv", "AuNR-peg", 3.68),
    ],
)
def test_batches_of_rods_are_described_by_gans(file: str, name: str, aspect_ratio: float) -> None:
    from scipy.optimize import least_squares

    spectrum = read_absorbance(SPECTRA / "gnr_uvvis" / file, name)
    near = (spectrum.wavelength_nm >= 450.0) & (spectrum.wavelength_nm <= 1000.0)
    x, y = spectrum.wavelength_nm[near][::5], spectrum.values[near][::5]

    def model(p: FloatArray) -> FloatArray:
        rods = rod_batch_extinction_per_nm(x, p[0], p[1])
        both = rod_batch_extinction_per_nm(x, p[0], p[1], sphere_volume_ratio=1.0)
        columns = np.column_stack([rods, both - rods, np.ones_like(x)])
        return np.asarray(columns @ np.linalg.lstsq(columns, y, rcond=None)[0])

    fit = least_squares(lambda p: model(p) - y, [4.0, 0.5], bounds=([1.5, 0.05], [7.0, 2.0]))
    assert np.sqrt(np.mean(fit.fun**2)) / y[x > 600.0].max() < 0.02
    assert fit.x[0] == pytest.approx(aspect_ratio, rel=0.03)
