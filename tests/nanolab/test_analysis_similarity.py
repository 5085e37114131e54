"""f1, f2, the points that a rule keeps, and bootstrap intervals, against published tables."""

import csv
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from nanolab.analysis.similarity import (
    bootstrap,
    coefficients_of_variation,
    f1,
    f2,
    f2_bias_corrected,
    interval,
    kept_points,
)

Array = npt.NDArray[np.float64]

REFERENCE = Path(os.environ.get("NANOLAB_REFERENCE_DATA", Path(__file__).parents[3] / "shared" / "data"))
RELEASE = REFERENCE / "assays" / "release"

needs_reference = pytest.mark.skipif(
    not RELEASE.is_dir(), reason="the measured data sets are not here: name their folder in NANOLAB_REFERENCE_DATA"
)


def units(file: str, column: int, value: str, first: int) -> tuple[Array, Array]:
    """Return times and units (m, n) of one product of a wide table."""
    with (RELEASE / file).open(encoding="utf-8", newline="") as lines:
        heading, *rows = list(csv.reader(lines))
    times = np.array([float(name.removeprefix("t.")) for name in heading[first:]])
    return times, np.array([[float(text) for text in row[first:]] for row in rows if row[column] == value])


@pytest.mark.parametrize(("difference", "expected"), [(2, 82.53), (5, 64.63), (10, 49.89), (15, 41.15), (20, 34.92)])
def test_constant_differences(difference: float, expected: float) -> None:
    reference = np.array([20.0, 40.0, 60.0, 70.0])
    assert f2(reference, reference + difference) == pytest.approx(expected, abs=1e-2)


def test_equal_profiles_and_f1() -> None:
    assert f2([10.0, 20.0], [10.0, 20.0]) == 100.0
    assert f1([10.0, 30.0], [12.0, 26.0]) == pytest.approx(15.0)


@needs_reference
@pytest.mark.reference_data
@pytest.mark.parametrize(
    ("rule", "complete", "points", "difference", "similarity"),
    [
        ("ema", 85.0, 7, 18.19745, 40.83405),
        ("fda", 85.0, 7, 18.19745, 40.83405),
        ("ema", 80.0, 6, 21.333, 39.24385),
        ("all", 85.0, 8, 16.22299, 42.11197),
    ],
)
def test_tsong_1996(rule: str, complete: float, points: int, difference: float, similarity: float) -> None:
    times, reference = units("dissolution_tsong1996.csv", 0, "R", 2)
    _, test = units("dissolution_tsong1996.csv", 0, "T", 2)
    r, t = reference.mean(axis=0), test.mean(axis=0)
    keep = kept_points(times, r, t, rule, complete).keep
    assert np.count_nonzero(keep) == points
    assert f1(r[keep], t[keep]) == pytest.approx(difference, abs=5.1e-6 if difference != 21.333 else 5.1e-4)
    assert f2(r[keep], t[keep]) == pytest.approx(similarity, abs=1e-5)


@needs_reference
@pytest.mark.reference_data
@pytest.mark.parametrize(
    ("batch", "whole", "difference", "points", "stopped", "corrected"),
    [
        ("b1", 60.029, 8.73, 3, 57.468, 60.73),
        ("b2", 51.082, 13.21, 3, 49.969, 51.29),
        ("b3", 51.190, 13.67, 4, 51.190, 51.33),
        ("b4", 50.0719, 7.38, 4, 50.072, 50.21),
        ("b5", 48.052, 13.95, 3, 45.233, 48.14),
    ],
)
def test_shah_1998(batch: str, whole: float, difference: float, points: int, stopped: float, corrected: float) -> None:
    times, reference = units("dissolution_shah1998.csv", 2, "b0", 3)
    _, test = units("dissolution_shah1998.csv", 2, batch, 3)
    r, t = reference.mean(axis=0), test.mean(axis=0)
    every = kept_points(times, r, t, "all").keep
    assert np.count_nonzero(every) == 4  # time zero never counts
    assert f2(r[every], t[every]) == pytest.approx(whole, abs=5.1e-4)
    assert f1(r[every], t[every]) == pytest.approx(difference, abs=5.1e-3)
    keep = kept_points(times, r, t, "ema").keep
    assert np.count_nonzero(keep) == points
    assert f2(r[keep], t[keep]) == pytest.approx(stopped, abs=5.1e-4)
    assert f2_bias_corrected(reference[:, every], test[:, every]) == pytest.approx(corrected, abs=5.1e-3)


@needs_reference
@pytest.mark.reference_data
def test_the_published_bootstrap_interval() -> None:
    times, reference = units("dissolution_shah1998.csv", 2, "b0", 3)
    _, test = units("dissolution_shah1998.csv", 2, "b4", 3)
    later = times > 0
    found = bootstrap(f2, reference[:, later], test[:, later], seed=1)
    # its ends scatter by about 0.05 between seeds, and their resampling is another
    assert (found.low, found.high) == pytest.approx((48.69, 51.99), abs=0.2)
    assert found.value == pytest.approx(50.07187, abs=1e-5)
    again = bootstrap(f2, reference[:, later], test[:, later], seed=1)
    assert (again.low, again.high) == (found.low, found.high)
    plain = bootstrap(f2, reference[:, later], test[:, later], seed=1, method="percentile")
    assert plain.low < found.low  # f2 of resampled means is biased downward: BCa takes that back


def test_rules_differ_where_only_one_product_is_complete() -> None:
    times, r, t = [0, 5, 10, 20, 30, 45], [0, 30, 60, 80, 88, 95], [0, 40, 86, 90, 95, 99]
    ema, fda = kept_points(times, r, t, "ema"), kept_points(times, r, t, "fda")
    assert list(ema.keep) == [False, True, True, False, False, False]
    assert list(fda.keep) == [False, True, True, True, True, False]
    assert ema.why[0] == "left out: nothing is released at time zero"
    assert ema.why[2] == "kept: the first and only time at which a mean exceeds 85 %"
    assert ema.why[3] == "left out: comes after the first time at which a mean exceeds 85 %"
    assert fda.why[2] == "kept: release is not complete (85 %)"
    assert "both means exceed" in fda.why[4]
    assert set(kept_points(times, r, t, "all").why[1:]) == {"kept: the rule keeps all"}
    with pytest.raises(ValueError, match="no rule 'who': known are fda, ema, all"):
        kept_points(times, r, t, "who")


def test_coefficients_of_variation() -> None:
    assert coefficients_of_variation([[0.0, 10.0], [0.0, 30.0]]) == pytest.approx([0.0, 70.71], abs=0.01)


def test_intervals_are_percentiles_without_bias_and_acceleration() -> None:
    draws = np.arange(1.0, 1000.0)
    assert interval(draws, 500.0, None, 0.90) == pytest.approx((50.9, 949.1))
    flat = [np.ones(5), np.ones(5)]
    assert interval(draws, 500.0, flat, 0.90) == pytest.approx((50.9, 949.1), abs=0.5)
    # a value outside all draws has no bias that could be taken back
    assert interval(draws, 5000.0, flat, 0.90) == pytest.approx((50.9, 949.1))


def test_bca_covers_better_than_chance() -> None:
    """Coverage of the 90 % interval of f1, whose truth is known, over simulated products."""
    generator = np.random.default_rng(3)
    r, t = np.array([30.0, 60.0, 80.0]), np.array([36.0, 66.0, 84.0])
    truth, hits = f1(r, t), 0
    for seed in range(80):
        found = bootstrap(
            f1, r + generator.normal(0, 3, (12, 3)), t + generator.normal(0, 3, (12, 3)), draws=400, seed=seed
        )
        hits += found.low <= truth <= found.high
    # 72 are expected, with a standard deviation of 2.7; twelve units give away a few
    assert 63 <= hits <= 79


def test_what_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="the same times: 2 and 3 points"):
        f2([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="the reference releases nothing"):
        f1([0.0, 0.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="at least two units"):
        f2_bias_corrected([[1.0, 2.0]], [[1.0, 2.0]])
    with pytest.raises(ValueError, match="exceeds the difference"):
        f2_bias_corrected([[0.0, 50.0], [50.0, 0.0]], [[0.0, 50.0], [50.0, 0.0]])
    with pytest.raises(ValueError, match="at least two units"):
        bootstrap(f2, [[1.0, 2.0]], [[1.0, 2.0]])
    with pytest.raises(ValueError, match="no bootstrap 'magic'"):
        bootstrap(f2, [[1.0], [2.0]], [[1.0], [2.0]], method="magic")
