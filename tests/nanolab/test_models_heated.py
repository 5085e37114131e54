"""Carriers that heat opens: at rest, in stairs, in pulses; and that nothing jumps where a plateau crosses a class."""

import numpy as np
import pytest

from nanolab.models.heated import Passing, heated


def biexponential(t: np.ndarray, degrees: float) -> np.ndarray:
    share = 1.0 / (1.0 + np.exp(-(degrees - 41.0) / 0.4))
    return np.asarray(share * (1.0 - np.exp(-0.08 * t)) + (1.0 - share) * (1.0 - np.exp(-0.003 * share * t)))


@pytest.mark.parametrize("degrees", [39.8, 41.0, 42.3])
def test_a_thermosensitive_carrier_at_rest_is_biexponential(degrees: float) -> None:
    time = np.linspace(0.0, 300.0, 200)
    assert heated(time, np.full(200, degrees), 41.0, 0.4, 0.08, 0.003) == pytest.approx(
        biexponential(time, degrees), abs=1e-3
    )


def test_heating_in_stairs_is_the_same_whether_followed_at_once_or_in_parts() -> None:
    time = np.arange(0.0, 1200.0, 2.0)
    stairs = 39.0 + np.minimum(time / 100.0, 4.0)
    dipped = stairs.copy()
    dipped[3] -= 0.5  # long before anything melts: only the way of reckoning changes
    once, parts = (heated(time, course, 41.0, 0.4, 0.08, 0.003) for course in (stairs, dipped))
    assert parts == pytest.approx(once, abs=4e-3)
    assert once[-1] > 0.95


def test_a_pulse_stops_when_it_is_over() -> None:
    time = np.arange(0.0, 400.0, 1.0)
    degrees = np.where((time > 100.0) & (time < 110.0), 42.5, 37.0)
    left = heated(time, degrees, 41.0, 0.4, 0.08, 0.0)
    assert left[100] == pytest.approx(0.0, abs=0.02)
    # nine seconds above, a second of slope on either side, one carrier in fifty not past it
    assert left[115] == pytest.approx(0.977 * (1.0 - np.exp(-0.08 * 9.0)), abs=0.03)
    assert left[-1] == pytest.approx(left[115], abs=0.01)


def plateau(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    time = np.arange(0.0, 1500.0, 5.0)
    degrees = np.select([time < 300.0, time < 900.0], [37.0, 41.0], 38.0)
    return time, degrees + 0.003 * np.random.default_rng(seed).standard_normal(time.size)


def by_many_carriers(time: np.ndarray, degrees: np.ndarray, middle: float, width: float) -> np.ndarray:
    """Sum over six thousand carriers, each with its own transition; k_fast 0.08 and k_tail 0.003 1/s."""
    share = (np.arange(6000) + 0.5) / 6000
    own = middle + width * np.log(share / (1.0 - share))
    low, high = np.minimum(degrees[1:], degrees[:-1]), np.maximum(degrees[1:], degrees[:-1])
    above = np.clip((high - own[:, None]) / np.maximum(high - low, 1e-9), 0.0, 1.0)
    slow = 0.003 / (1.0 + np.exp(-(0.5 * (low + high) - middle) / width))
    left = np.cumsum(np.diff(time) * (slow + (0.08 - slow) * above), axis=1)
    return np.concatenate([[0.0], -np.mean(np.expm1(-left), axis=0)])


@pytest.mark.parametrize("middle", [40.6, 41.0, 41.3])
def test_the_classes_are_as_good_as_many_carriers(middle: float) -> None:
    time, degrees = plateau()
    assert heated(time, degrees, middle, 0.4, 0.08, 0.003) == pytest.approx(
        by_many_carriers(time, degrees, middle, 0.4), abs=4e-3
    )


def test_what_is_made_of_a_plateau_changes_smoothly_with_the_transition() -> None:
    time, degrees = plateau()
    passing = Passing.of(degrees)
    slopes = []
    for step in (1e-4, 4e-3, 2e-2):
        ends = [heated(time, degrees, 41.0 + sign * step, 0.4, 0.08, 0.003, passing=passing)[170] for sign in (1, -1)]
        slopes.append((ends[0] - ends[1]) / (2.0 * step))
    ends = [by_many_carriers(time, degrees, 41.0 + sign * 0.02, 0.4)[170] for sign in (1, -1)]
    assert slopes == pytest.approx([(ends[0] - ends[1]) / 0.04] * 3, rel=0.02)


def test_far_below_the_transition_there_is_no_tail() -> None:
    time = np.arange(0.0, 3600.0, 30.0)
    cold = np.where(time < 600.0, 36.5, 36.0)
    assert heated(time, cold, 41.0, 1.0, 0.08, 0.01, from_k=3.0) == pytest.approx(0.0, abs=1e-12)
    assert heated(time, cold, 41.0, 1.0, 0.08, 0.01)[-1] > 0.1
    assert heated(time, cold[::-1], 41.0, 1.0, 0.08, 0.01, from_k=3.0) == pytest.approx(0.0, abs=1e-12)


def test_nothing_jumps_where_the_first_carriers_begin_to_pass() -> None:
    time, degrees = plateau()
    passing = Passing.of(degrees)
    slopes = []
    # the plateau at 38 degC lies where the distribution is cut
    for step in (1e-4, 4e-3, 2e-2):
        ends = [
            heated(time, degrees, 41.0 + sign * step, 0.8, 0.08, 0.01, from_k=3.0, passing=passing)[-1]
            for sign in (1, -1)
        ]
        slopes.append((ends[0] - ends[1]) / (2.0 * step))
    assert slopes == pytest.approx([slopes[-1]] * 3, rel=0.02)


def test_the_cut_distribution_is_a_whole_one() -> None:
    time = np.arange(0.0, 600.0, 1.0)
    past_all = np.full(600, 60.0)
    assert heated(time, past_all, 41.0, 2.0, 0.08, 0.003, from_k=3.0)[100] == pytest.approx(
        1.0 - np.exp(-8.0), abs=1e-3
    )
