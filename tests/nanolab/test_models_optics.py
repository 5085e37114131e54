"""Gold spheres and rods against numbers computed elsewhere and Haiss et al. 2007, 10.1021/ac0702084."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolab.models.optical_constants import gold_index, gold_permittivity, water_index
from nanolab.models.optics import (
    depolarisation_factors,
    lspr_nm,
    mass_absorptivity,
    molar_absorptivity,
    rod_batch_extinction_per_nm,
    rod_cross_sections,
    sphere_cross_sections,
    spheroid_free_path_nm,
)

# diameter, LSPR, C_ext at the peak, eps at the peak, eps at 450 nm, absorbed share at 532 and 808 nm
SPHERES = [
    (5.0, 525.5, 3.58, 9.4e6, 6.9e6, 1.000, 1.000),
    (10.0, 524.0, 36.8, 9.62e7, 6.21e7, 1.000, 0.998),
    (20.0, 524.0, 354.0, 9.27e8, 5.39e8, 0.992, 0.974),
    (40.0, 527.0, 3481.0, 9.11e9, 4.82e9, 0.934, 0.780),
    (50.0, 530.0, 7355.0, 1.92e10, 9.81e9, 0.878, 0.632),
    (60.0, 534.5, 1.34e4, 3.50e10, 1.73e10, 0.807, 0.491),
    (80.0, 548.0, 3.12e4, 8.17e10, 3.86e10, 0.649, 0.283),
    (100.0, 570.0, 5.32e4, 1.39e11, 6.43e10, 0.515, 0.167),
]


@pytest.mark.parametrize(("d", "peak", "extinction", "eps_peak", "eps_450", "bound_532", "bound_808"), SPHERES)
def test_mie_spheres(
    d: float,
    peak: float,
    extinction: float,
    eps_peak: float,
    eps_450: float,
    bound_532: float,
    bound_808: float,
) -> None:
    wavelength = np.arange(450.0, 650.0, 0.5)
    spectrum = sphere_cross_sections(wavelength, d).extinction_nm2
    assert lspr_nm(wavelength, spectrum) == pytest.approx(peak, abs=0.5)
    assert spectrum.max() == pytest.approx(extinction, rel=0.01)
    assert molar_absorptivity(spectrum.max()) == pytest.approx(eps_peak, rel=0.01)
    assert molar_absorptivity(spectrum[0]) == pytest.approx(eps_450, rel=0.01)
    bounds = sphere_cross_sections([532.0, 808.0], d).efficiency_bound
    assert bounds == pytest.approx([bound_532, bound_808], rel=0.01)


@pytest.mark.parametrize(("d", "eps_450"), [(10.0, 6.15e7), (20.0, 5.41e8), (50.0, 9.92e9), (100.0, 6.4e10)])
def test_spheres_agree_with_haiss_2007(d: float, eps_450: float) -> None:
    eps = molar_absorptivity(sphere_cross_sections(450.0, d).extinction_nm2)
    assert eps == pytest.approx(eps_450, rel=0.02)


def test_gold_in_the_table_of_johnson_and_christy() -> None:
    eps = gold_permittivity([520.0, 532.0, 808.0])
    assert eps == pytest.approx([-3.88 + 2.61j, -4.71 + 2.29j, -24.72 + 1.56j], abs=0.006)
    # a point of the printed table: 0.64 eV = 1937 nm, n 0.92, k 13.78
    assert gold_index(1937.0) == pytest.approx(0.92 + 13.78j, abs=0.02)
    assert water_index(589.0).real == pytest.approx(1.333, abs=0.004)


@pytest.mark.parametrize("wavelength_nm", [100.0, 3000.0, float("nan")])
def test_gold_outside_the_table_is_refused(wavelength_nm: float) -> None:
    with pytest.raises(ValueError, match="gold are known from 188 to 1937"):
        gold_index(wavelength_nm)


def test_a_longer_free_path_tends_to_bulk_gold() -> None:
    bulk = gold_permittivity(800.0)
    assert gold_permittivity(800.0, 1e9) == pytest.approx(bulk, rel=1e-6)
    assert gold_permittivity(800.0, 5.0).imag > bulk.imag
    with pytest.raises(ValueError, match="free path"):
        gold_permittivity(800.0, 0.0)


@pytest.mark.parametrize(
    ("length", "diameter", "bound"),
    [(41.0, 10.0, 0.979), (60.0, 15.0, 0.924), (82.0, 20.0, 0.826), (92.0, 30.0, 0.631)],
)
def test_gans_rods(length: float, diameter: float, bound: float) -> None:
    wavelength = np.arange(550.0, 1000.0, 0.5)
    rod = rod_cross_sections(wavelength, length, diameter)
    peak = int(np.argmax(rod.extinction_nm2))
    assert rod.efficiency_bound[peak] == pytest.approx(bound, rel=0.01)
    assert rod.albedo[peak] == pytest.approx(1.0 - bound, abs=0.01)
    if length == 41.0:
        assert lspr_nm(wavelength, rod.extinction_nm2) == pytest.approx(779.0, abs=0.5)
        assert rod.extinction_nm2.max() == pytest.approx(1216.0, rel=0.01)
        per_volume = rod.extinction_nm2.max() / (np.pi / 6 * length * diameter**2)
        assert mass_absorptivity(per_volume) == pytest.approx(0.127, rel=0.01)


def test_lspr_of_rods_is_linear_in_the_aspect_ratio() -> None:
    wavelength = np.arange(500.0, 1100.0, 1.0)
    ratios = np.linspace(2.5, 6.0, 6)
    peaks = [lspr_nm(wavelength, rod_cross_sections(wavelength, 10.0 * r, 10.0).extinction_nm2) for r in ratios]
    slope, offset = np.polyfit(ratios, peaks, 1)
    assert (slope, offset) == pytest.approx((98.0, 378.0), rel=0.01)


def test_a_round_rod_is_a_small_sphere() -> None:
    wavelength = np.array([450.0, 520.0, 800.0])
    rod = rod_cross_sections(wavelength, 4.0, 4.0, damping=None)
    sphere = sphere_cross_sections(wavelength, 4.0, damping=None)
    assert rod.absorption_nm2 == pytest.approx(sphere.absorption_nm2, rel=0.01)
    assert rod.scattering_nm2 == pytest.approx(sphere.scattering_nm2, rel=0.02)
    # 4V/S of a sphere is two thirds of its diameter
    assert spheroid_free_path_nm(6.0, 6.0) == pytest.approx(4.0)


@given(st.floats(min_value=1.0, max_value=50.0))
def test_depolarisation_factors_sum_to_one_and_do_not_jump(ratio: float) -> None:
    along, across = depolarisation_factors(ratio)
    assert along + 2 * across == pytest.approx(1.0, abs=1e-12)
    assert 0 < along <= 1 / 3 + 1e-12
    assert depolarisation_factors(ratio * (1 + 1e-7))[0] == pytest.approx(float(along), abs=1e-6)


def test_a_batch_is_broader_than_its_mean_rod() -> None:
    wavelength = np.arange(500.0, 1000.0, 2.0)
    batch = rod_batch_extinction_per_nm(wavelength, 4.0, 0.5)
    single = rod_cross_sections(wavelength, 40.0, 10.0).extinction_nm2 / (np.pi / 6 * 40.0 * 100.0)
    assert batch.max() < 0.6 * single.max()
    assert lspr_nm(wavelength, batch) == pytest.approx(lspr_nm(wavelength, single), abs=15.0)
    with_spheres = rod_batch_extinction_per_nm(wavelength, 4.0, 0.5, sphere_volume_ratio=0.5)
    assert with_spheres[10] > batch[10]
    assert wavelength[np.argmax(with_spheres - batch)] == pytest.approx(527.0, abs=3.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: sphere_cross_sections(500.0, 0.0),
        lambda: rod_cross_sections(500.0, 10.0, 20.0),
        lambda: rod_cross_sections(500.0, -10.0, 20.0),
        lambda: lspr_nm([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]),
    ],
)
def test_impossible_particles_are_refused(call: object) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=r"positive|aspect ratio|no maximum"):
        call()
