"""The short form of the coverage campaign: worlds with secret rates, analysed as a user would."""

import pytest

from benchmarks.release_cases import KINDS, draw_case
from benchmarks.release_coverage import main, run_many, summary


@pytest.mark.slow
@pytest.mark.no_cover  # most of its time would go into counting lines that other tests count
@pytest.mark.parametrize("kind", KINDS)
def test_intervals_hold_the_truth_in_worlds_that_the_analysis_does_not_know(kind: str) -> None:
    outcomes = run_many(range(1, 5), kind, 1, short=True)
    known = [one for one in outcomes if one.value is not None]
    # rates that short runs do not fix are told so, not guessed
    assert len(known) >= 0.6 * len(outcomes)
    deviations = [((one.value or 0.0) - one.truth) / one.standard_uncertainty for one in known]
    assert max(abs(z) for z in deviations) < 4.0
    assert sum(one.covered for one in known) >= 0.7 * len(known)


def test_a_world_and_its_beliefs_come_from_the_seed_alone() -> None:
    one, same, other = draw_case("enzyme", 7), draw_case("enzyme", 7), draw_case("enzyme", 8)
    assert one.config == same.config
    assert one.sample == same.sample
    assert one.config != other.config
    # the belief is off by its draw
    assert one.sample.release.enzyme.value != pytest.approx(1.02e-3 * 10.0, rel=1e-4)
    assert one.truth.keys() == {"kcat", "michaelis_constant"}


def test_the_summary_counts_what_was_not_identified(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.release_coverage import Outcome

    rows = [
        Outcome(1, "heat", "k_fast", 0.08, 0.081, 0.002, 0.077, 0.085, "", 1.0),
        Outcome(2, "heat", "k_fast", 0.08, 0.09, 0.002, 0.086, 0.094, "", 1.0),
        Outcome(3, "heat", "k_fast", 0.08, None, 0.0, 0.0, 0.0, "any", 1.0),
    ]
    table = summary(rows)["k_fast"]
    assert table["coverage"] == 0.5
    assert table["not identified"] == {"any": 1}
    with pytest.raises(SystemExit):
        main(["--kind", "nothing"])
    assert "invalid choice" in capsys.readouterr().err
