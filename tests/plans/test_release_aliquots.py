"""Aliquots in `nanolab run release`: which looks, refusals, going on, prediction, fit and balance; worlds by an equation of their own."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nanolab.analysis.cautions import Cautions
from nanolab.analysis.sampling import released_amount
from nanolab.assay import Setup, parse_settings
from nanolab.bench.defaults import example_sample, simulated_bench
from nanolab.bench.sample import SampleConfig
from nanolab.errors import AnalysisRefusesError, RefusedError, UsageError
from nanolab.models.aliquots import Aliquots
from nanolab.models.release_course import through_membrane
from nanolab.quantities import Quantity
from plans.release.aliquots import check_taken, planned, sampled_looks, taken_from, with_aliquots
from plans.release.bench_plan import CoursePlan, steps_ahead
from plans.release.grid import Grid
from plans.release.mass_balance import balance_of, balance_words, words
from plans.release.passive import Profile, fit_passive, inputs_of
from plans.release.passive_assay import PassiveAssay
from plans.release.record import Course
from plans.release.schedule import Step, in_order, looks

LOOKS = looks(24.0 * 3600.0, points=40)


def setup_for(*settings: str, sample: SampleConfig | None = None) -> Setup:
    assay = PassiveAssay()
    values = parse_settings(assay, settings)
    return Setup(simulated_bench(assay.roles), sample or example_sample(), values, "none", Path("runs"), True)


def steps_of(setup: Setup) -> list[Step]:
    return next(list(one.steps) for one in PassiveAssay().outline(setup.values) if one.role == "sample")


@pytest.mark.parametrize("count", [1, 2, 8, 25, 40, 60])
def test_aliquots_follow_looks_spread_in_the_logarithm_up_to_the_last(count: int) -> None:
    chosen = sampled_looks(LOOKS, count)
    assert len(chosen) == len(set(chosen)) == min(count, 40)
    assert chosen == sorted(chosen)
    assert set(chosen) <= set(LOOKS)
    assert chosen[-1] == LOOKS[-1]
    if count == 8:
        assert np.diff(np.log(chosen)) == pytest.approx(np.log(720.0) / 8.0, abs=0.35)


def test_the_aliquot_comes_after_its_look_in_sample_and_control_and_by_default_there_is_none() -> None:
    free, sample = PassiveAssay().outline(setup_for("sample_ml=0.1").values)
    for one in (free, sample):
        steps = in_order(one.steps)
        taken = [index for index, step in enumerate(steps) if step.what == "sample"]
        assert len(taken) == 8
        assert all(steps[index - 1] == Step(steps[index].at_s, "look") for index in taken)
        assert {(steps[index].value, steps[index].word) for index in taken} == {(0.1, "replaced")}
    kept = steps_of(setup_for("sample_ml=50 uL", "replace=no", "samples=3"))
    taken_ml = [step.value for step in kept if step.what == "sample"]
    assert taken_ml == pytest.approx([0.05] * 3)
    assert not any(step.word for step in kept)
    assert all(step.what == "look" for step in steps_of(setup_for()))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (("sample_ml=1.5",), "more than the 1 mL in the cuvette"),
        (
            ("sample_ml=0.6",),
            r"0.376 of 1 mL would be left \(0.024 mL evaporate until then\) and beam and probe need 0.5 mL",
        ),
        (("sample_ml=0.1", "replace=no"), "0.176 of 1 mL would be left"),
        (("sample_ml=0.2", "replace=no"), "0 of 1 mL would be left"),
    ],
)
def test_what_would_leave_too_little_is_refused_before_the_start(settings: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(RefusedError, match=sentence) as caught:
        PassiveAssay().forecast(setup_for(*settings))
    assert int(caught.value.exit_code) == 5
    assert str(caught.value).count("\n") == 0


def test_other_mistakes_are_a_sentence_each() -> None:
    with pytest.raises(UsageError, match="samples=50: there are 40 looks"):
        PassiveAssay().forecast(setup_for("sample_ml=0.01", "samples=50"))
    for wrong in ("sample_ml=-0.1", "replace=maybe", "samples=0", "samples=2.5"):
        with pytest.raises(UsageError, match=wrong.split("=")[0]):
            setup_for(wrong)
    sample = example_sample()
    unknown = sample.model_copy(update={"sample": sample.sample.model_copy(update={"volume": None})})
    with pytest.raises(RefusedError, match=r"enter \[sample\] volume"):
        PassiveAssay().forecast(setup_for("sample_ml=0.1", sample=unknown))
    with pytest.raises(AnalysisRefusesError, match=r"enter \[sample\] volume"):
        taken_from(bare([(60.0, "sampled", 0.1)]), unknown)
    # just enough is enough: 2.4 % evaporate in a day
    PassiveAssay().forecast(setup_for("sample_ml=0.475"))
    PassiveAssay().forecast(setup_for("sample_ml=0.0594", "replace=no"))
    with pytest.raises(RefusedError, match="of 1 mL would be left"):
        PassiveAssay().forecast(setup_for("sample_ml=0.48"))


def test_a_run_that_goes_on_takes_no_aliquot_twice_and_makes_up_for_none() -> None:
    steps = [
        step for at_s in (100.0, 200.0, 300.0) for step in (Step(at_s, "look"), Step(at_s, "sample", 0.1, "replaced"))
    ]
    begun = CoursePlan("dialysis", steps, 37.0, 10.0, begun_s=0.0)
    ahead = [step.at_s for step in steps_ahead(begun, 150.0) if step.what == "sample"]
    assert ahead == [200.0, 300.0]  # the first was missed: its time point has passed
    # the marks are those of the very moment at which it broke off
    again = [step.at_s for step in steps_ahead(replace(begun, sampled_s=199.9996), 199.9997) if step.what == "sample"]
    assert again == [300.0]
    assert sum(step.what == "sample" for step in steps_ahead(replace(begun, begun_s=None), 0.0)) == 3


def bare(marks: list[tuple[float, str, float]]) -> Course:
    return Course(np.zeros(2), np.zeros(2), np.zeros(2), marks, [])


def test_marks_tell_what_was_taken_and_put_back() -> None:
    marks = [(0.0, "begun", 0.0), (360.0, "sampled", 0.1), (360.0, "replaced", 0.1), (720.0, "sampled", 0.2)]
    found = taken_from(bare(marks), example_sample())
    assert found is not None
    assert found.time_h.tolist() == [0.1, 0.2]
    assert found.taken_ml.tolist() == [0.1, 0.2]
    assert found.returned_ml.tolist() == [0.1, 0.0]
    assert (found.volume_ml, found.insert_ml) == (1.0, 0.08)
    assert taken_from(bare(marks[:1]), example_sample()) is None
    cautions = Cautions()
    check_taken(bare(marks), [Step(360.0, "sample", 0.1), Step(720.0, "sample", 0.1)], cautions)
    assert not cautions.codes
    check_taken(bare(marks), steps_of(setup_for("sample_ml=0.1")), cautions)
    assert cautions.codes == ["aliquots_missed"]


def curve_of(setup: Setup) -> Mapping[str, Any]:
    prediction = PassiveAssay().forecast(setup).prediction
    assert prediction is not None
    return dict(prediction["curve"])


def test_the_prediction_holds_the_dilution_by_the_planned_aliquots() -> None:
    plain, thinned = curve_of(setup_for()), curve_of(setup_for("sample_ml=0.1"))
    taken = planned(steps_of(setup_for("sample_ml=0.1")), example_sample())
    assert taken is not None
    time = np.asarray(thinned["time_h"])
    step = [
        np.interp(at + 1e-4, time, thinned["percent"]) / np.interp(at, time, thinned["percent"])
        for at in taken.time_h[:-1]
    ]
    assert step == pytest.approx([0.9] * 7, abs=3e-3)
    assert thinned["percent"][0] == plain["percent"][0] == 0.0
    assert thinned["percent"][-1] < 0.9 * plain["percent"][-1]
    assert np.all(np.asarray(thinned["lower_95"]) <= np.asarray(thinned["percent"]) + 1e-9)
    # nothing withdrawn: the prediction is what it was
    assert plain == curve_of(setup_for("replace=no", "samples=3"))
    assert len(plain["time_h"]) == 81


# ---- worlds by the equation of the amounts, in small steps, for all worlds at once

TRUTH = {"k_release": 0.12, "k_burst": 2.0, "membrane_rate": 1.6, "burst": 12.0, "plateau": 85.0, "drift": 0.003}
DRAWN = {"withdrawal": 0.01, "volume": 0.01, "insert": 0.10, "dose_ratio": 0.02, "linearity": 0.0}
STEP_H = 1.0 / 900.0


def amounts(
    free: bool,
    volume: np.ndarray,
    insert: np.ndarray,
    gain: np.ndarray,
    steps: list[Step],
    truth: Mapping[str, float] = TRUTH,
) -> np.ndarray:
    """Concentrations at the looks (looks, worlds), relative to all of a dose of 100 in the fresh outer volume; midpoint rule."""
    outside, gone, lost = np.zeros(volume.size), np.zeros(volume.size), np.zeros(volume.size)
    inside = np.full(volume.size, 100.0) if free else np.zeros(volume.size)
    burst, main = (0.0, 0.0) if free else (truth["burst"], truth["plateau"] - truth["burst"])
    now, seen = 0, []
    for step in in_order(steps):
        due = round(step.at_s / 3600.0 / STEP_H)
        for _ in range(due - now):
            left = burst * -np.expm1(-truth["k_burst"] * STEP_H) + main * -np.expm1(-truth["k_release"] * STEP_H)
            burst, main = burst * np.exp(-truth["k_burst"] * STEP_H), main * np.exp(-truth["k_release"] * STEP_H)
            lost += truth["drift"] * STEP_H * (volume + insert)
            inside = inside + 0.5 * left
            rest = (inside + outside) * insert / (insert + volume - lost)
            move = (inside - rest) * -np.expm1(-truth["membrane_rate"] * STEP_H)
            inside, outside = inside - move + 0.5 * left, outside + move
        now = due
        if step.what == "look":
            seen.append(outside / (volume - lost) * volume)
            continue
        share = gain * step.value / (volume - lost)
        gone, outside = gone + share * outside, (1.0 - share) * outside
        lost += 0.0 if step.word else gain * step.value
    return np.array([*seen, gone])


def profiles(
    count: int, settings: Mapping[str, Any], noise: float
) -> list[tuple[Profile, Profile, dict[str, Quantity], float]]:
    """Free cargo and carriers as seen, beliefs off by a draw from their uncertainty, and the true percent removed."""
    rng = np.random.default_rng(7)
    errors = {name: u * rng.standard_normal(count) for name, u in DRAWN.items()}
    volume, insert = np.full(count, 0.99), np.full(count, 0.075)
    found = []
    plans = [
        with_aliquots([Step(at_s, "look") for at_s in looks(3600.0 * h, points=n)], settings)
        for h, n in ((8.0, 25), (24.0, 40))
    ]
    courses = [
        amounts(index == 0, volume, insert, 1.0 + errors["withdrawal"], plan) for index, plan in enumerate(plans)
    ]
    sample = example_sample()
    for world in range(count):
        given = inputs_of(sample, aliquots=True)
        given["linearity"] = Quantity(0.0, "1", 1e-6)
        for name, truth in (("volume", volume), ("insert", insert)):
            value = float(truth[world] * (1.0 + errors[name][world]))
            given[name] = Quantity(value, "mL", DRAWN[name] * value)
        made = []
        for plan, course, ratio in zip(plans, courses, (1.0, 1.0 + errors["dose_ratio"][world]), strict=True):
            at = np.array([step.at_s for step in in_order(plan) if step.what == "look"]) / 3600.0
            aliquots = planned(plan, sample)
            assert aliquots is not None
            own = Aliquots(
                aliquots.time_h, aliquots.taken_ml, aliquots.returned_ml, given["volume"].value, given["insert"].value
            )
            nodes = np.unique(np.concatenate([[0.0], at, np.linspace(0.01, at[-1], 150)]))
            grid = Grid(nodes, np.full(nodes.size, 37.0), np.full(nodes.size, np.nan), np.searchsorted(nodes, at))
            percent = ratio * course[:-1, world] + noise * rng.standard_normal(at.size)
            made.append(Profile(grid, percent, own))
        found.append((made[0], made[1], given, float(courses[1][-1, world])))
    return found


@pytest.mark.parametrize("settings", [("sample_ml=0.1",), ("sample_ml=0.05", "samples=5", "replace=no")])
def test_the_predicted_curve_is_what_is_seen_when_the_beliefs_are_right(settings: tuple[str, ...]) -> None:
    setup = setup_for("points=20", *settings)
    believed = {name: getattr(setup.sample.expected_release, name).value for name in TRUTH if name != "drift"}
    steps = steps_of(setup)
    volume, insert = np.array([1.0]), np.array([0.08])
    seen = amounts(False, volume, insert, np.ones(1), steps, {**believed, "drift": 0.0})[:-1, 0] * 1.08
    curve = curve_of(setup)
    at = [step.at_s / 3600.0 for step in in_order(steps) if step.what == "look"]
    # the curve is drawn through 80 points: straight lines between them
    np.testing.assert_allclose(np.interp(at, curve["time_h"], curve["percent"]), seen, rtol=5e-3, atol=0.1)


def test_without_noise_and_errors_the_fit_finds_the_truth_and_the_balance_that_of_the_textbook() -> None:
    for settings in (
        {"sample_ml": 0.1, "samples": 8, "replace": "yes"},
        {"sample_ml": 0.05, "samples": 6, "replace": "no"},
    ):
        free, carriers, given, _ = profiles(1, settings, 0.0)[0]
        # in the volumes that are believed, by a pipette that is right
        volume, insert = np.array([given["volume"].value]), np.array([given["insert"].value])
        early, late = (
            with_aliquots([Step(at_s, "look") for at_s in times], settings)
            for times in (looks(8.0 * 3600.0, points=25), LOOKS)
        )
        one = amounts(True, volume, insert, np.ones(1), early)
        two = amounts(False, volume, insert, np.ones(1), late)
        free, carriers = replace(free, percent=one[:-1, 0]), replace(carriers, percent=two[:-1, 0])
        joint = fit_passive(free, carriers, given)
        for name in ("k_release", "k_burst", "membrane_rate", "burst", "plateau", "drift"):
            assert joint.found[name].value == pytest.approx(TRUTH[name], rel=6e-3), name
        balance = balance_of(carriers, joint, given, 1.0)
        assert balance is not None
        document = balance.to_json()
        assert balance.removed.value == pytest.approx(two[-1, 0], rel=3e-3)
        assert sum(one["removed"]["value"] for one in document["samples"]) == pytest.approx(balance.removed.value)
        parts = [document[name]["value"] for name in ("removed", "outside", "insert", "remaining")]
        assert sum(parts) == pytest.approx(100.0, abs=1e-9)
        bound = TRUTH["burst"] * np.exp(-48.0) + 73.0 * np.exp(-24.0 * TRUTH["k_release"]) + 15.0
        assert document["remaining"]["value"] == pytest.approx(bound, rel=3e-3)
        assert document["released"]["value"] == pytest.approx(100.0 - bound, rel=3e-3)
        assert np.all(np.diff(balance.released) > -1e-3)


def test_removed_and_outside_agree_with_the_correction_for_filtered_samples() -> None:
    settings = {"sample_ml": 0.1, "samples": 8, "replace": "yes"}
    free, carriers, given, _ = profiles(1, settings, 0.0)[0]
    joint = fit_passive(free, carriers, given)
    balance = balance_of(carriers, joint, given, 1.0)
    assert balance is not None
    volume, insert = given["volume"].value, given["insert"].value
    at = np.searchsorted(balance.time_h, balance.taken_h)
    concentration = carriers.percent[at] / (0.01 * joint.found["level"].value) / (volume + insert)
    amount = released_amount(concentration, volume, 0.1)
    # the textbook's vessel does not evaporate: 0.003 1/h over a day is 7 % of what is outside, that it calls release
    assert balance.removed.value + balance.outside.value == pytest.approx(amount[-1], rel=0.075)
    dry = [amount[-1] - 0.072 * concentration[-1] * volume]
    assert balance.removed.value + balance.outside.value == pytest.approx(dry[0], rel=0.01)


@pytest.mark.slow
@pytest.mark.no_cover  # most of its time would go into counting lines that other tests count
def test_intervals_of_ten_worlds_hold_the_truth_without_bias() -> None:
    z: dict[str, list[float]] = {"k_release": [], "k_burst": [], "membrane_rate": [], "removed": []}
    covered = 0
    for free, carriers, given, removed in profiles(10, {"sample_ml": 0.1, "samples": 8, "replace": "yes"}, 0.1):
        joint = fit_passive(free, carriers, given)
        balance = balance_of(carriers, joint, given, 1.0)
        assert balance is not None
        found = {name: joint.found[name].quantity for name in z if name != "removed"} | {"removed": balance.removed}
        for name, quantity in found.items():
            assert quantity is not None, joint.found[name].why
            assert quantity.interval_95 is not None
            truth = removed if name == "removed" else TRUTH[name]
            z[name].append((quantity.value - truth) / (quantity.standard_uncertainty or 0.0))
            covered += quantity.interval_95[0] <= truth <= quantity.interval_95[1]
    assert covered >= 34, z  # of 40; 38 are expected, and the four are not independent of each other
    for name, values in z.items():
        assert abs(float(np.mean(values))) < 1.0, (name, values)
        assert float(np.max(np.abs(values))) < 4.0, (name, values)


def test_where_nothing_was_withdrawn_the_course_is_that_without_aliquots() -> None:
    sample = example_sample()
    assert inputs_of(sample) == inputs_of(sample, aliquots=False)
    assert set(inputs_of(sample, aliquots=True)) - set(inputs_of(sample)) == {"withdrawal", "volume", "insert"}
    time = np.concatenate([[0.0], np.geomspace(0.05, 24.0, 60)])
    grid = Grid(time, np.full(time.size, 37.0), np.full(time.size, np.nan), np.arange(1, time.size))
    rng = np.random.default_rng(3)
    seen = [0.9 * through_membrane(time, left, 1.6)[1:] / (1.0 - 0.003 * time[1:]) + 0.05 * rng.standard_normal(60)
            for left in (np.full(time.size, 100.0), 80.0 * -np.expm1(-0.1 * time) + 10.0 * -np.expm1(-2.0 * time))]  # fmt: skip
    free, carriers = (Profile(grid, percent) for percent in seen)
    joint = fit_passive(free, carriers, inputs_of(sample))
    nothing = Aliquots(np.array([1.0]), np.zeros(1), np.zeros(1), 1.0, 0.08)
    other = fit_passive(
        replace(free, taken=nothing), replace(carriers, taken=nothing), inputs_of(sample, aliquots=True)
    )
    for name, one in joint.found.items():
        assert other.found[name].value == pytest.approx(one.value, rel=1e-5), name
        assert one.shares.keys() <= {"chance", "dose_ratio", "temperature", "activation_energy", "linearity"}
    assert balance_of(carriers, joint, inputs_of(sample), 1.0) is None


def test_the_balance_in_words() -> None:
    def stored(*returned: float) -> dict[str, Any]:
        amount = Quantity(12.0, "%", 0.5).to_json()
        samples = [{"time_h": 1.0, "withdrawn_ml": 0.1, "replaced_ml": ml, "removed": amount} for ml in returned]
        return {"samples": samples, **dict.fromkeys(("released", "removed", "outside", "insert", "remaining"), amount)}

    assert words(stored(*[0.1] * 8)) == "8 samples of 0.1 mL were withdrawn and replaced by fresh medium"
    assert words(stored(0.0)) == "1 sample of 0.1 mL was withdrawn and not replaced"
    assert words(stored(0.1, 0.0)) == "2 samples of 0.1 mL were withdrawn and 1 of them replaced"
    assert balance_words(stored(0.1)).startswith(
        "of the dose 12.00 ± 0.50 % was released in all: 12.00 ± 0.50 % went with"
    )
