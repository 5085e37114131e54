"""Read-outs from spectra: free cargo by its spectrum, carriers between whole and dissolved, whatever scatters or drifts."""

import numpy as np
import pytest

from nanolab.analysis.photometry import monomer_fraction
from nanolab.analysis.readout import Series, between, free_cargo, scatter_exponent
from nanolab.models.chromophores import dimerised_per_mol_cm, monomer_per_mol_cm

NM = np.arange(400.0, 750.0, 0.35)
SD = np.full(NM.size, 6e-4)


def free(umol_per_l: float) -> np.ndarray:
    share = float(monomer_fraction(1e-6 * umol_per_l))
    molar = share * monomer_per_mol_cm(NM) + (1.0 - share) * dimerised_per_mol_cm(NM)
    return np.asarray(1e-6 * umol_per_l * molar)


@pytest.mark.parametrize("umol_per_l", [0.2, 5.0, 40.0])
def test_free_cargo_is_found_with_its_dimers_below_a_drifted_lamp(umol_per_l: float) -> None:
    noise = SD * np.random.default_rng(1).standard_normal(NM.size)
    found = free_cargo(NM, free(umol_per_l) + 0.01 + noise, SD)
    assert found.value == pytest.approx(umol_per_l, rel=0.003, abs=0.01)
    assert found.standard_uncertainty < 0.02
    assert found.residual_rms == pytest.approx(6e-4, rel=0.1)


def test_without_dimers_in_the_model_forty_micromolar_would_be_wrong_by_a_fifteenth() -> None:
    seen = float(np.interp(480.0, NM, free(40.0)))
    assert 1e6 * seen / 1.1e4 < 37.5


def carriers(share: float, exponent: float, concentrated: float = 1.0) -> np.ndarray:
    """Gold, scatter, bound cargo that is redder and weaker, and free cargo, 12 umol/L in all."""
    gold = 0.5 * np.exp(-0.5 * ((NM - 780.0) / 90.0) ** 2) + 0.2 * np.exp(-0.5 * ((NM - 520.0) / 40.0) ** 2)
    scatter = 0.06 * (NM / 500.0) ** -exponent if share < 1.0 else 0.0
    bound = 12e-6 * (1.0 - share) * 0.66 * np.interp(NM - 12.0, NM, monomer_per_mol_cm(NM))
    return np.asarray(concentrated * (gold + scatter + bound) + free(12.0 * share * concentrated))


@pytest.mark.parametrize("exponent", [2.1, 3.2, 3.9])
def test_the_way_to_dissolved_carriers_is_straight_in_what_was_released(exponent: float) -> None:
    first, last = carriers(0.1, exponent), carriers(1.0, exponent)
    shares = np.linspace(0.1, 0.9, 9)
    looks = [(NM, carriers(share, exponent, 1.02) + 0.003, SD) for share in shares]
    found_exponent = scatter_exponent([Series(looks, first, last - first)])
    assert found_exponent == pytest.approx(exponent, abs=0.05)
    for share, look in zip(shares, looks, strict=True):
        reading, concentrated = between(*look, first, last - first, found_exponent)
        assert reading.value == pytest.approx((share - 0.1) / 0.9, abs=0.004)
        assert concentrated == pytest.approx(1.02, abs=0.002)


def test_a_wrong_exponent_of_the_scatter_would_bend_it() -> None:
    first, last = carriers(0.1, 4.0), carriers(1.0, 4.0)
    reading, _ = between(NM, carriers(0.9, 4.0), SD, first, last - first, 3.0)
    assert abs(reading.value - 0.8 / 0.9) > 0.02


def noisy_series(shares: np.ndarray, seed: int) -> Series:
    """Looks of a course, measured from the mean of five noisy first ones to that of five noisy last ones."""
    rng = np.random.default_rng(seed)

    def seen(share: float) -> np.ndarray:
        return carriers(share, 3.0) + SD * rng.standard_normal(NM.size)

    first, last = (np.mean([seen(share) for _ in range(5)], axis=0) for share in (0.0, 1.0))
    return Series([(NM, seen(share), SD) for share in shares], first, last - first)


def test_a_control_in_which_little_leaves_takes_its_scatter_from_the_sample() -> None:
    alone: list[list[float]] = []
    together: list[list[float]] = []
    for seed in range(8):
        control, sample = (
            noisy_series(np.linspace(0.02, 0.15, 12), seed),
            noisy_series(np.linspace(0.1, 0.9, 12), 90 + seed),
        )
        for found, series in ((alone, [control]), (together, [control, sample])):
            exponent = scatter_exponent(series)
            last = between(*control.spectra[-1], control.first, control.step, exponent)[0]
            found.append([exponent - 3.0, last.value - 0.15])
    alone_rms, together_rms = (np.sqrt(np.mean(np.square(found), axis=0)) for found in (alone, together))
    assert together_rms[0] < 0.1 < alone_rms[0]
    assert together_rms[1] < 0.7 * alone_rms[1]
