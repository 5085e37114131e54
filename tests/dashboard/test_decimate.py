"""Thinned curves keep their spikes, their gaps and their ends."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.decimate import as_bytes, fewer_pixels, inside, min_max


@given(st.integers(1, 5000), st.integers(4, 300), st.integers(0, 2**32 - 1))
def test_budget_kept_extremes_kept_order_kept(n: int, budget: int, seed: int) -> None:
    x = np.arange(n, dtype=float)
    y = np.random.default_rng(seed).normal(size=n)
    a, b = min_max(x, y, budget)
    assert a.size <= budget + 2
    assert np.all(np.diff(a) > 0)
    assert (b.min(), b.max()) == (y.min(), y.max())
    assert (a[0], a[-1]) == (0.0, n - 1.0)


def test_a_single_spike_among_a_million_is_seen() -> None:
    y = np.zeros(1_000_000)
    y[654_321] = 1.0
    _, shown = min_max(np.arange(y.size, dtype=float), y, 1000)
    assert shown.max() == 1.0


def test_a_gap_of_invalid_readings_stays_a_gap() -> None:
    y = np.ones(10_000)
    y[4000:6000] = np.nan
    x, shown = min_max(np.arange(y.size, dtype=float), y, 100)
    assert np.isnan(shown[(x > 4200) & (x < 5800)]).all()
    assert np.isfinite(shown[(x < 3900) | (x > 6100)]).all()


def test_a_rest_of_nothing_but_nan_adds_no_point_but_the_last() -> None:
    y = np.concatenate([np.ones(998), np.full(5, np.nan)])
    x, shown = min_max(np.arange(y.size, dtype=float), y, 102)
    assert np.isnan(shown[-1])
    assert x[-1] == 1002.0


def test_a_zoomed_window_keeps_one_point_on_each_side() -> None:
    x = np.arange(10.0)
    a, b = inside(x, x**2, (3.5, 6.5))
    assert a.tolist() == [3.0, 4.0, 5.0, 6.0, 7.0]
    assert b.tolist() == [9.0, 16.0, 25.0, 36.0, 49.0]
    assert inside(x, x, None)[0] is x


def test_pixels_are_averaged_in_groups() -> None:
    assert fewer_pixels(np.arange(10.0), 5).tolist() == [0.5, 2.5, 4.5, 6.5, 8.5]
    assert fewer_pixels(np.arange(4.0), 5).tolist() == [0.0, 1.0, 2.0, 3.0]
    assert fewer_pixels(np.ones((3, 2136)), 512).shape == (3, 427)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_map_is_scaled_to_bytes_and_what_is_not_finite_stays_in_range(bad: float) -> None:
    pixels, low, high = as_bytes(np.array([[0.0, 1.0, 2.0, bad]]))
    assert (low, high) == (0.0, 2.0)
    assert pixels[0, :3].tolist() == [0, 127, 255]
    assert pixels[0, 3] == (255 if bad == np.inf else 0)


def test_a_map_of_one_value_and_a_map_of_nothing() -> None:
    assert as_bytes(np.full((2, 2), 7.0))[0].tolist() == [[0, 0], [0, 0]]
    assert as_bytes(np.full((1, 2), np.nan))[1:] == (0.0, 1.0)
