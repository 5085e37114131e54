"""Looks at carriers in the beam: how far they are on the way, while liquid evaporates and something is added."""

import numpy as np
import pytest

from nanolab.errors import AnalysisRefusesError
from nanolab.models.chromophores import monomer_per_mol_cm
from plans.release.beam_looks import BeamLooks, coarse, read
from plans.release.record import Look

NM = np.arange(430.0, 700.0, 0.35)
SD = np.full(NM.size, 5e-4)
LOST_PER_H = 0.003
DILUTION = 0.99


def spectrum(way: float, concentration: float, scatter: bool = True) -> np.ndarray:
    """Carriers that scatter and hold a redder dye, and the free dye; nothing dimerises here."""
    free = 8e-6 * monomer_per_mol_cm(NM)
    bound = 0.6 * np.interp(NM - 12.0, NM, free)
    return np.asarray(
        concentration * ((0.06 * (NM / 500.0) ** -3.0 if scatter else 0.0) + (1.0 - way) * bound + way * free)
    )


def course(ways: np.ndarray, hours: float, added_h: float | None = None) -> tuple[BeamLooks, np.ndarray]:
    """Five looks at nothing released, then `ways` over so many hours, at `added_h` a hundredth more liquid; and concentrations."""
    time_h = np.concatenate([np.arange(5) * 0.002, np.linspace(0.05, hours, ways.size)])
    begun_h = float(np.mean(time_h[:5]))
    thinned = np.where(time_h > (np.inf if added_h is None else added_h), 1.0 / 1.01, 1.0)
    concentration = thinned * (1.0 + LOST_PER_H * (time_h - begun_h))
    all_ways = np.concatenate([np.zeros(5), ways])
    looks = [
        Look(3600.0 * at_h, NM, spectrum(way, c) + 0.002, SD)
        for at_h, way, c in zip(time_h, all_ways, concentration, strict=True)
    ]
    end_h = hours + 0.05
    last = thinned[-1] * (1.0 + LOST_PER_H * (end_h - begun_h)) * DILUTION
    looks.append(Look(3600.0 * end_h, NM, spectrum(1.0, last, scatter=False) - 0.001, SD))
    additions = [] if added_h is None else [(3600.0 * added_h, 1.0 / 1.01)]
    return BeamLooks.of(looks, 3600.0 * (hours + 0.01), DILUTION, additions), concentration


def test_the_way_is_found_while_liquid_evaporates_and_comes_in() -> None:
    control, sample = np.linspace(0.0, 0.2, 12), np.linspace(0.0, 0.95, 20)
    courses = [course(control, 5.0), course(sample, 4.0, added_h=1.0)]
    found = read([looks for looks, _ in courses])
    for (way, concentration), true_way, (_, true_concentration) in zip(found, (control, sample), courses, strict=True):
        assert way[5:] == pytest.approx(true_way, abs=2e-4)
        assert concentration == pytest.approx(true_concentration, abs=5e-4)


def test_an_addition_that_nobody_told_would_bend_the_way() -> None:
    sample = np.linspace(0.0, 0.95, 20)
    looks, _ = course(sample, 4.0, added_h=1.0)
    untold = BeamLooks(**{**vars(looks), "thinned": np.ones(25)})
    [(way, _)] = read([untold])
    assert np.max(np.abs(way[5:] - sample)) > 1e-3


def test_groups_of_which_most_pixels_are_missing_are_missing() -> None:
    seen = spectrum(0.3, 1.0)
    seen[:7], seen[12:15] = np.nan, np.nan
    rough = coarse(Look(0.0, NM, seen, SD))
    assert rough.wavelength_nm.size == NM.size // 12
    assert np.isnan(rough.absorbance[0])
    assert np.all(np.isfinite(rough.absorbance[1:]))
    assert rough.sd[2:] == pytest.approx(5e-4 / np.sqrt(12.0))


def test_too_few_looks_are_refused() -> None:
    with pytest.raises(AnalysisRefusesError, match="7 looks before the carriers were dissolved and 1 after"):
        course(np.array([0.1, 0.2]), 1.0)
