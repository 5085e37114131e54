"""Twenty of the worlds of `python -m benchmarks.coverage`: the short form of the campaign."""

import pytest

from benchmarks.coverage import MATCHING, run_world

WORLDS = range(1, 21)


@pytest.mark.slow
@pytest.mark.no_cover  # most of its time would go into counting lines that other tests count
@pytest.mark.timeout(900)
def test_intervals_hold_the_truth_in_worlds_that_the_analysis_does_not_know() -> None:
    outcomes = [run_world(seed) for seed in WORLDS]
    missed = [outcome.seed for outcome in outcomes if not outcome.covered]
    assert len(missed) <= 3, f"worlds {missed} are not covered"
    assert sum(bool(outcome.cautions) for outcome in outcomes) <= 1


@pytest.mark.slow
@pytest.mark.no_cover  # most of its time would go into counting lines that other tests count
@pytest.mark.parametrize("kind", MATCHING)
def test_a_broken_assumption_gets_its_caution(kind: str) -> None:
    outcome = run_world(7, kind=kind)
    assert MATCHING[kind] in outcome.cautions


@pytest.mark.slow
@pytest.mark.no_cover  # most of its time would go into counting lines that other tests count
def test_a_belief_five_sigmas_away_departs() -> None:
    assert run_world(3, kind="departs").verdict_word == "departs"
