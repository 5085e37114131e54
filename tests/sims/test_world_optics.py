"""Light against independent numbers: Mie and Gans tables, water, and the shares of particles and solvent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sims.world import WorldConfig
from sims.world.constants import water_absorption_per_cm
from sims.world.optics import LaserLineOptics
from sims.world.particles import batch_spectrum, gans_cross_sections, mie_cross_sections
from sims.world.sections import Particles


@pytest.mark.parametrize(
    ("d_nm", "peak_nm", "c_ext_nm2", "at_532", "at_808"),
    [
        (5.0, 525.5, 3.58, 1.000, 1.000),
        (20.0, 524.0, 354.0, 0.992, 0.974),
        (50.0, 530.0, 7355.0, 0.878, 0.632),
        (100.0, 570.0, 5.32e4, 0.515, 0.167),
    ],
)
def test_spheres_agree_with_the_mie_table(
    d_nm: float, peak_nm: float, c_ext_nm2: float, at_532: float, at_808: float
) -> None:
    wavelength = np.arange(500.0, 620.0, 0.5)
    extinction = np.sum(mie_cross_sections(wavelength, d_nm, 1.33), axis=0)
    assert wavelength[np.argmax(extinction)] == pytest.approx(peak_nm, abs=0.6)
    assert np.max(extinction) == pytest.approx(c_ext_nm2, rel=0.01)
    absorption, scattering = mie_cross_sections(np.array([532.0, 808.0]), d_nm, 1.33)
    assert absorption / (absorption + scattering) == pytest.approx([at_532, at_808], abs=0.002)


@pytest.mark.parametrize(
    ("length_nm", "d_nm", "albedo"),
    [(41.0, 10.0, 0.021), (60.0, 15.0, 0.076), (82.0, 20.0, 0.174), (92.0, 30.0, 0.369)],
)
def test_rods_agree_with_the_gans_numbers(length_nm: float, d_nm: float, albedo: float) -> None:
    wavelength = np.arange(600.0, 1000.0, 0.5)
    absorption, scattering = gans_cross_sections(wavelength, np.array([length_nm / d_nm]), d_nm, 1.33)
    extinction = (absorption + scattering)[0]
    peak = int(np.argmax(extinction))
    assert scattering[0, peak] / extinction[peak] == pytest.approx(albedo, abs=0.001)
    if d_nm == 10.0:
        assert wavelength[peak] == pytest.approx(779.0, abs=1.0)
        assert extinction[peak] == pytest.approx(1216.0, rel=0.01)


def test_resonance_moves_98_nm_per_unit_aspect_ratio() -> None:
    wavelength = np.arange(500.0, 1100.0, 0.5)
    ratios = np.array([2.5, 6.0])
    peaks = wavelength[np.argmax(np.sum(gans_cross_sections(wavelength, ratios, 10.0, 1.33), axis=0), axis=1)]
    assert (peaks[1] - peaks[0]) / 3.5 == pytest.approx(98.0, rel=0.02)
    assert peaks[0] == pytest.approx(98.0 * 2.5 + 378.0, abs=8.0)


def test_the_default_batch_looks_like_a_real_one() -> None:
    batch = batch_spectrum(Particles())
    wavelength = np.arange(600.0, 1000.0, 1.0)
    relative = batch.relative(wavelength, 808.0)
    assert wavelength[np.argmax(relative)] == pytest.approx(813.0, abs=5.0)
    above = wavelength[relative > 0.5 * np.max(relative)]
    assert 120.0 < above[-1] - above[0] < 160.0
    assert 0.2 < float(batch.relative(515.0, 808.0)) < 0.4
    assert batch.albedo(808.0) == pytest.approx(0.0227, abs=0.001)


def test_one_aspect_ratio_without_spheres_is_gans_alone() -> None:
    batch = batch_spectrum(Particles(aspect_ratio=4.1, aspect_ratio_sd=0.0, sphere_share=0.0))
    alone = np.sum(gans_cross_sections(np.array([700.0, 780.0]), np.array([4.1]), 10.0, 1.33), axis=0)[0]
    assert float(batch.relative(700.0, 780.0)) == pytest.approx(alone[0] / alone[1], rel=1e-3)
    assert batch.albedo(780.0) == pytest.approx(0.021, abs=0.001)


@pytest.mark.parametrize(("nm", "per_cm"), [(808.0, 0.0204), (980.0, 0.4371), (1064.0, 0.1510)])
def test_water_absorbs_as_tabulated(nm: float, per_cm: float) -> None:
    assert float(water_absorption_per_cm(nm)) == pytest.approx(per_cm, rel=0.003)


@pytest.mark.parametrize(
    ("nm", "particles", "water", "blank"), [(808.0, 0.8941, 0.0079, 0.0202), (980.0, 0.7858, 0.1497, 0.3550)]
)
def test_particles_and_water_share_the_light(nm: float, particles: float, water: float, blank: float) -> None:
    changes = {"laser.wavelength_nm": nm, "laser.line_width_nm": 0.0}
    optics = LaserLineOptics(WorldConfig().replaced(changes))
    window = WorldConfig().cuvette.window_transmission
    shares = optics.shares(1.0, filled=True)
    assert shares.particles / window == pytest.approx(particles, abs=0.0005)
    assert shares.solvent / window == pytest.approx(water, abs=0.0006)
    assert optics.shares(0.0, filled=True).solvent / window == pytest.approx(blank, abs=0.0015)


@given(st.floats(0.0, 5.0), st.booleans(), st.floats(0.0, 0.03))
def test_light_is_never_made(absorbance: float, filled: bool, windows: float) -> None:
    shares = LaserLineOptics(WorldConfig().replaced({"cuvette.window_absorption": windows})).shares(absorbance, filled)
    assert min(shares) >= 0.0
    assert sum(shares) <= 1.0 + 1e-12


def test_windows_and_clear_solvent() -> None:
    config = WorldConfig().replaced({"photothermal.solvent_absorption_scale": 0.0, "cuvette.window_absorption": 0.01})
    optics = LaserLineOptics(config)
    clear = optics.shares(0.0, filled=True)
    assert clear.behind == pytest.approx(0.962**2)
    assert clear.wall == pytest.approx(0.01 * 1.962)
    # the back window's heat is scaled by what passes the sample, the front one's is not
    assert optics.shares(1.0, filled=True).wall == pytest.approx(0.01 * (1.0 + 0.0962))
    empty = optics.shares(0.7, filled=False)
    assert empty.behind == pytest.approx(0.933**2)
    assert (empty.particles, empty.solvent) == (0.0, 0.0)


def test_the_line_follows_the_slope_of_the_spectrum() -> None:
    config = WorldConfig().replaced({"laser.line_width_nm": 0.0})
    optics = LaserLineOptics(config)
    assert optics.relative_absorbance == 1.0
    batch = batch_spectrum(config.particles)
    optics.tune(812.0, 0.0)
    assert optics.relative_absorbance == pytest.approx(float(batch.relative(812.0, 808.0)), rel=1e-9)
    # a spectrum that moved by -4 nm is at 808 nm what it was at 812; the loss there is given elsewhere
    optics.tune(808.0, -4.0)
    assert optics.relative_absorbance == pytest.approx(1.0, rel=1e-12)
    optics.tune(806.0, -4.0)
    expected = float(batch.relative(810.0, 812.0))
    assert optics.relative_absorbance == pytest.approx(expected, rel=1e-9)
