"""Aliquots beside a membrane: against the differential equation, and against the textbook's correction."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from nanolab.analysis.sampling import released_amount
from nanolab.models.aliquots import Aliquots, sampled
from nanolab.models.release_course import through_membrane

VOLUME, INSERT, RATE = 1.0, 0.08, 1.6
AT = np.array([1.0, 4.0, 10.0])
TIME = np.unique(np.concatenate([[0.0], np.linspace(0.01, 24.0, 4000), AT]))


def left(hours: np.ndarray | float) -> np.ndarray:
    return np.asarray(
        12.0 * (1.0 - np.exp(-2.0 * np.asarray(hours))) + 76.0 * (1.0 - np.exp(-0.06 * np.asarray(hours)))
    )


def integrated(returned: float) -> tuple[list[float], list[float]]:
    """Concentrations at the aliquots and at the end, and what each took, from the equation of the amounts themselves."""
    outside, gone, volume, seen, each = 0.0, 0.0, VOLUME, [], []
    edges = [0.0, *AT.tolist(), 24.0]
    for start, end in pairwise(edges):

        def rate(t: float, y: np.ndarray, gone: float = gone, volume: float = volume) -> np.ndarray:
            inside = left(t) - gone - y
            return np.asarray(RATE / (1.0 / INSERT + 1.0 / volume) * (inside / INSERT - y / volume))

        outside = float(solve_ivp(rate, (start, end), [outside], rtol=1e-10, atol=1e-10).y[0, -1])
        seen.append(outside / volume * (VOLUME + INSERT))
        if end < 24.0:
            each.append(0.1 * outside / volume)
            gone, outside, volume = gone + each[-1], outside - each[-1], volume - 0.1 + returned
    return seen, each


@pytest.mark.parametrize("returned", [0.1, 0.0, 0.04])
def test_it_follows_the_equation_of_the_amounts(returned: float) -> None:
    found = sampled(TIME, left(TIME), RATE, Aliquots(AT, np.full(3, 0.1), np.full(3, returned), VOLUME, INSERT))
    seen, each = integrated(returned)
    indices = np.searchsorted(TIME, [*AT, 24.0])
    np.testing.assert_allclose(found.seen[indices], seen, rtol=1e-5)
    np.testing.assert_allclose(found.each, each, rtol=1e-5)
    np.testing.assert_allclose(found.outside + found.inside + found.removed, left(TIME), atol=1e-10)
    assert found.removed[-1] == pytest.approx(sum(each), rel=1e-5)
    # an aliquot comes after what is seen at its time
    at, after = indices[0], indices[0] + 1
    assert found.seen[after] / found.seen[at] == pytest.approx(1.0 - returned, abs=0.01)


@pytest.mark.parametrize("replaced", [True, False])
def test_outside_and_removed_are_what_the_textbook_makes_of_the_concentrations(replaced: bool) -> None:
    returned = np.full(3, 0.1 if replaced else 0.0)
    found = sampled(TIME, left(TIME), RATE, Aliquots(AT, np.full(3, 0.1), returned, VOLUME, INSERT))
    indices = np.searchsorted(TIME, [*AT, 24.0])
    concentration = found.seen[indices] / (VOLUME + INSERT)
    amounts = released_amount(concentration, VOLUME, 0.1, replaced=replaced)
    np.testing.assert_allclose((found.outside + found.removed)[indices], amounts, rtol=1e-12)


def test_aliquots_of_nothing_change_nothing_and_evaporation_is_that_of_the_plain_course() -> None:
    nothing = Aliquots(AT, np.zeros(3), np.zeros(3), VOLUME, INSERT)
    plain = through_membrane(TIME, left(TIME), RATE) / (1.0 - 0.004 * TIME)
    np.testing.assert_allclose(sampled(TIME, left(TIME), RATE, nothing, 0.004).seen, plain, rtol=1e-13)


def test_an_aliquot_after_the_last_time_is_counted_and_one_that_is_not_there_refused() -> None:
    late = sampled(TIME, left(TIME), RATE, Aliquots(np.array([25.0]), np.array([0.1]), np.array([0.1]), VOLUME, INSERT))
    assert late.each[0] == pytest.approx(0.1 * late.outside[-1])
    assert late.removed[-1] == 0.0
    with pytest.raises(ValueError, match=r"1\.2 mL cannot be taken from 1 mL"):
        sampled(TIME, left(TIME), RATE, Aliquots(np.array([2.0]), np.array([1.2]), np.array([1.2]), VOLUME, INSERT))
