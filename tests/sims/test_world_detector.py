import math

import numpy as np
import pytest

from sims.world import World, WorldConfig
from sims.world.detector import Detector
from sims.world.sections import Spectrometer

QUIET = {
    "spectrometer.read_noise_counts": 0.0,
    "spectrometer.electrons_per_count": 1e12,
    "spectrometer.dark_pattern_counts": 0.0,
    "spectrometer.dark_drift_counts": 0.0,
    "spectrometer.lamp_drift": 0.0,
    "spectrometer.lamp_drift_per_h": 0.0,
    "spectrometer.stray_light": 0.0,
    "spectrometer.nonlinearity": (1.0, 0.0, 0.0, 0.0),
    "spectrometer.dark_counts": 1500.0,
    "spectrometer.dark_counts_per_s": 0.0,
}


def absorbance(world: World, sample: str, reference: str, averages: int = 100) -> np.ndarray:
    dark = world.read_counts(0.02, False, averages)
    spectra = []
    for cuvette in (sample, reference):
        world.load(cuvette)
        spectra.append(world.read_counts(0.02, True, averages) - dark)
    return np.asarray(-np.log10(spectra[0] / spectra[1]))


def at(world: World, values: np.ndarray, nm: float) -> float:
    return float(np.interp(nm, world.wavelengths_nm, values))


def test_wavelengths_are_a_rising_cubic_over_the_useful_range() -> None:
    world = World(WorldConfig(), 1)
    nm = world.wavelengths_nm
    assert nm.shape == (2136,)
    assert np.all(np.diff(nm) > 0.0)
    assert nm[0] < 350.0
    assert nm[-1] > 1000.0
    assert nm[777] == pytest.approx(sum(c * 777**i for i, c in enumerate(world.wavelength_coefficients)))


def test_the_lamp_fills_the_detector_to_sixty_per_cent() -> None:
    world = World(WorldConfig(), 1)
    world.load("reference")
    counts = world.read_counts(0.020, True)
    assert 0.5 * 65535 < np.max(counts) < 0.7 * 65535
    dark = world.read_counts(0.020, False)
    assert np.mean(dark) == pytest.approx(1505.0, abs=15.0)
    useful = (world.wavelengths_nm > 350.0) & (world.wavelengths_nm < 1000.0)
    assert np.min((counts - dark)[useful]) > 10.0 * 45.0


def test_absorbance_comes_back_exactly_from_a_perfect_detector() -> None:
    world = World(WorldConfig().replaced({**QUIET, "cuvette.reference_offset": 0.0}), 1)
    measured = absorbance(world, "sample", "reference")
    assert at(world, measured, 808.0) == pytest.approx(0.90, abs=1e-4)
    assert np.max(measured[world.wavelengths_nm > 650.0]) == pytest.approx(0.906, abs=0.002)


def test_absorbance_is_a_little_wrong_on_the_real_one() -> None:
    world = World(WorldConfig(), 1)
    measured = absorbance(world, "sample", "reference")
    error = at(world, measured, 808.0) - 0.90
    assert 1e-4 < abs(error) < 0.02


def test_a_dark_sample_drowns_in_stray_light() -> None:
    world = World(WorldConfig().replaced({"photothermal.absorbance": 5.0}), 1)
    assert at(world, absorbance(world, "sample", "blank", 10**5), 808.0) < 4.5


def test_cuvettes_differ_as_they_should() -> None:
    world = World(WorldConfig().replaced(QUIET), 1)
    assert at(world, absorbance(world, "reference", "blank"), 700.0) == pytest.approx(0.001, abs=1e-5)
    empty = at(world, absorbance(world, "empty", "blank"), 600.0)
    water = 10.0**-empty * (0.962 / 0.933) ** 2
    assert water == pytest.approx(math.exp(0.0023), abs=0.001)


def test_noise_is_read_and_shot_noise_and_averages_down() -> None:
    detector = Detector(Spectrometer(stray_light=0.0, nonlinearity=(1.0, 0.0, 0.0, 0.0)), 5)
    light = np.full(2136, 30000.0 / 0.02)
    frames = np.array([detector.expose(0.0, 0.02, light, 1) for _ in range(60)])
    expected = math.sqrt(45.0**2 + 30005.0 / 1.25)
    assert float(np.mean(np.std(frames, axis=0, ddof=1))) == pytest.approx(expected, rel=0.02)
    averaged = np.array([detector.expose(0.0, 0.02, light, 16) for _ in range(60)])
    assert float(np.mean(np.std(averaged, axis=0, ddof=1))) == pytest.approx(expected / 4.0, rel=0.02)


def test_counts_clip_at_full_scale() -> None:
    world = World(WorldConfig(), 1)
    world.load("blank")
    counts = world.read_counts(0.2, True)
    assert np.max(counts) == 65535.0
    assert np.count_nonzero(counts == 65535.0) > 500


def test_the_published_polynomial_undoes_the_non_linearity() -> None:
    bent = WorldConfig().replaced({**QUIET, "spectrometer.nonlinearity": (1.0, -1.5e-6, 4e-12, 0.0)})
    straight = WorldConfig().replaced(QUIET)
    seen = World(bent, 1).read_counts(0.02, True) - 1500.0
    true = World(straight, 1).read_counts(0.02, True) - 1500.0
    assert np.max(np.abs(seen - true)) > 100.0
    n0, n1, n2, n3 = World(bent, 1).nonlinearity_coefficients
    mended = seen / (n0 + n1 * seen + n2 * seen**2 + n3 * seen**3)
    assert mended == pytest.approx(true, abs=0.5)


def test_the_laser_is_seen_at_its_own_line() -> None:
    world = World(WorldConfig(), 1)
    world.set_diode(0.835, 30.0)
    world.advance_to(1.0)
    counts = world.read_counts(0.020, False)
    peak = world.wavelengths_nm[int(np.argmax(counts))]
    assert peak == pytest.approx(808.0 + 0.28 * 5.0, abs=1.0)
    assert 5000.0 < np.max(counts) < 30000.0
    world.set_diode(0.0, 30.0)
    assert np.max(world.read_counts(0.020, False)) < 2500.0


def test_lamp_and_dark_drift_slowly() -> None:
    config = WorldConfig().replaced(
        {**QUIET, "spectrometer.dark_drift_counts": 5.0, "spectrometer.lamp_drift_per_h": -0.1}
    )
    world = World(config, 1)
    world.load("blank")
    dark, bright = world.read_counts(0.02, False), world.read_counts(0.02, True)
    world.advance_to(3600.0)
    later_dark, later = world.read_counts(0.02, False), world.read_counts(0.02, True)
    assert 0.1 < abs(np.mean(later_dark - dark)) < 25.0
    ratio = (later - later_dark) / (bright - dark)
    assert np.median(ratio) == pytest.approx(0.9, abs=1e-3)


@pytest.mark.parametrize(("seconds", "averages"), [(0.0, 1), (-1.0, 1), (math.nan, 1), (0.02, 0)])
def test_impossible_exposures_are_refused(seconds: float, averages: int) -> None:
    with pytest.raises(ValueError, match="both must be positive"):
        World(WorldConfig(), 1).read_counts(seconds, True, averages)
