"""Withdrawn samples, mass balance, encapsulation: worked values and limits."""

import numpy as np
import pytest

from nanolab.analysis.encapsulation import encapsulation_efficiency, loading_capacity
from nanolab.analysis.sampling import mass_balance, released_amount, released_share_with_carrier
from nanolab.quantities import Quantity

CONCENTRATIONS = [2.0, 4.0, 5.5, 6.5, 7.0]  # ug/mL in 50 mL, samples of 1 mL, dose 500 ug


@pytest.mark.parametrize(
    ("withdrawn", "replaced", "expected"),
    [
        (1.0, True, [20.0, 40.4, 56.2, 67.3, 73.6]),
        (0.0, True, [20.0, 40.0, 55.0, 65.0, 70.0]),
        (1.0, False, [20.0, 39.6, 54.0, 63.4, 68.0]),
    ],
)
def test_worked_sampling_corrections(withdrawn: float, replaced: bool, expected: list[float]) -> None:
    found = 100.0 * released_amount(CONCENTRATIONS, 50.0, withdrawn, replaced=replaced) / 500.0
    assert found == pytest.approx(expected, abs=0.051)


def test_the_correction_finds_what_a_simulated_vessel_released() -> None:
    volume, withdrawn, dose = 20.0, 2.0, 300.0
    shares = np.array([0.1, 0.3, 0.5, 0.7, 0.75])
    for replaced in (True, False):
        inside, taken, seen, left = 0.0, 0.0, [], volume
        for share in shares:
            inside = share * dose - taken
            seen.append(inside / left)
            taken += withdrawn * inside / left
            left = volume if replaced else left - withdrawn
        assert released_amount(seen, volume, withdrawn, replaced=replaced) == pytest.approx(shares * dose)


def test_carrier_that_leaves_with_the_sample() -> None:
    volume, withdrawn, dose = 20.0, 2.0, 300.0
    shares = np.array([0.1, 0.3, 0.5, 0.7])
    held = dose * (1.0 - withdrawn / volume) ** np.arange(4)
    assert released_share_with_carrier(shares * held / volume, volume, withdrawn, dose) == pytest.approx(shares)
    unreplaced = released_share_with_carrier(shares * dose / volume, volume, withdrawn, dose, replaced=False)
    assert unreplaced == pytest.approx(shares)


def test_impossible_vessels() -> None:
    with pytest.raises(ValueError, match="a sample of 5 cannot be taken from a volume of 4"):
        released_amount(CONCENTRATIONS, 4.0, 5.0)
    with pytest.raises(ValueError, match="5 samples of 3 empty a vessel of 10"):
        released_amount(CONCENTRATIONS, 10.0, 3.0, replaced=False)
    with pytest.raises(ValueError, match="cannot be taken"):
        released_share_with_carrier(CONCENTRATIONS, 0.0, 0.0, 1.0)


def test_mass_balance() -> None:
    assert mass_balance(300.0, 150.0, 500.0) == pytest.approx(0.9)


def test_encapsulation_by_hand_and_by_monte_carlo() -> None:
    total, free = Quantity(100.0, "ug/mL", 3.0), Quantity(20.0, "ug/mL", 1.0)
    found = encapsulation_efficiency(total, free)
    assert found.value == pytest.approx(80.0)
    assert found.standard_uncertainty == pytest.approx(100 * np.sqrt(1.0 + (0.2 * 3.0) ** 2) / 100)
    particles = Quantity(1000.0, "ug/mL", 30.0)
    loading = loading_capacity(total, free, particles)
    assert loading.value == pytest.approx(8.0)
    generator = np.random.default_rng(1)
    t, f, p = (generator.normal(q.value, q.standard_uncertainty or 0.0, 40000) for q in (total, free, particles))
    assert loading.standard_uncertainty == pytest.approx(float(np.std(100 * (t - f) / p)), rel=0.02)
    assert found.standard_uncertainty == pytest.approx(float(np.std(100 * (1 - f / t))), rel=0.02)
    bare = Quantity(100.0, "ug/mL")
    assert encapsulation_efficiency(bare, Quantity(20.0, "ug/mL")).standard_uncertainty is None
    assert loading_capacity(bare, Quantity(20.0, "ug/mL"), Quantity(1000.0, "ug/mL")).standard_uncertainty is None


@pytest.mark.parametrize(
    ("total", "free", "particles", "sentence"),
    [
        (Quantity(0.0, "ug/mL"), Quantity(0.0, "ug/mL"), None, "total must be positive"),
        (Quantity(1.0, "ug/mL"), Quantity(1.0, "mg/mL"), None, "cannot be compared"),
        (Quantity(1.0, "ug/mL"), Quantity(-0.1, "ug/mL"), None, "cannot be negative"),
        (Quantity(9.0, "ug/mL"), Quantity(1.0, "ug/mL"), Quantity(5.0, "ug/mL"), "cannot be in 5 ug/mL of particles"),
        (Quantity(9.0, "ug/mL"), Quantity(1.0, "ug/mL"), Quantity(50.0, "mg/mL"), "must be positive and in ug/mL"),
    ],
)
def test_what_cannot_be_encapsulated(
    total: Quantity, free: Quantity, particles: Quantity | None, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        if particles is None:
            encapsulation_efficiency(total, free)
        else:
            loading_capacity(total, free, particles)
