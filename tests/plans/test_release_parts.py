"""Parts of the release assays: times of looks, thinned courses, the joint fit with its inputs, expectations, detection."""

from types import SimpleNamespace

import numpy as np
import pytest

from nanolab.analysis.cautions import Cautions
from nanolab.analysis.curve_fits import FitParameter
from nanolab.assay import Plan
from nanolab.bench.defaults import example_sample
from nanolab.engine.clock import WallClock
from nanolab.errors import AnalysisRefusesError, LimitTripError, RefusedError, UsageError
from nanolab.models.chromophores import monomer_per_mol_cm
from nanolab.quantities import Quantity
from plans.release import bench_plan
from plans.release.acid_assay import AcidAssay
from plans.release.bench_plan import CoursePlan, block_for, next_dose_ml, steps_ahead
from plans.release.bench_report import check_levels
from plans.release.devices import Benchful
from plans.release.enzyme_assay import enzyme_findings
from plans.release.expectation import expect, judged
from plans.release.grid import grid_of
from plans.release.heat_assay import check_controls, heat_courses
from plans.release.in_beam import Followed, beam_profiles
from plans.release.joint import fit_jointly
from plans.release.outline import RoleCourse
from plans.release.passive_assay import passive_findings
from plans.release.record import Course, Look, detection, smooth_noise
from plans.release.replay import MOST_AHEAD_K, replayed
from plans.release.schedule import Step, even, in_order, looks


def test_looks_are_dense_then_log_spaced() -> None:
    times = looks(86400.0, first_s=120.0, dense=10, points=40)
    assert times[:10] == [120.0 * (n + 1) for n in range(10)]
    ratios = np.diff(np.log(times[9:]))
    assert ratios == pytest.approx(ratios[0], rel=1e-2)
    assert times[-1] == 86400.0
    assert len(times) == 40


def test_even_looks_hold_both_ends() -> None:
    assert even(10.0, 70.0, 20.0) == [10.0, 30.0, 50.0, 70.0]
    assert even(0.0, 50.0, 20.0) == [0.0, 16.7, 33.3, 50.0]


def test_a_look_comes_before_what_is_done_at_the_same_time() -> None:
    steps = in_order([Step(5.0, "add", word="enzyme"), Step(5.0, "look"), Step(1.0, "look")])
    assert [step.what for step in steps] == ["look", "look", "add"]


def test_a_thinned_course_keeps_its_looks_and_interpolates_between() -> None:
    time = np.arange(0.0, 7200.0, 5.0)
    grid = grid_of(np.array([600.0, 7000.0]), time, 37.0 - 15.0 * np.exp(-time / 100.0), np.full(time.size, np.nan))
    assert grid.time[grid.looks] == pytest.approx([600.0 / 3600.0, 7000.0 / 3600.0])
    assert grid.time.size < 200
    assert grid.temperature_c[0] == pytest.approx(22.0)
    assert np.all(np.isnan(grid.ph))
    assert grid.moved(kelvin=0.5).temperature_c[0] == pytest.approx(22.5)


def test_a_joint_fit_puts_the_uncertainty_of_an_input_where_it_acts() -> None:
    x = np.linspace(0.1, 3.0, 40)
    rng = np.random.default_rng(3)
    seen = 5.0 * (1.0 - np.exp(-0.8 * x)) + 0.002 * rng.standard_normal(40)

    def predicted(p: np.ndarray, given: object) -> np.ndarray:
        gain = given["gain"]  # type: ignore[index]  # a mapping by its protocol
        return np.asarray(gain * p[0] * (1.0 - np.exp(-p[1] * x)))

    parameters = [FitParameter("size", "%", True, 0.1, 100.0), FitParameter("rate", "1/h", True, 0.01, 50.0)]
    joint = fit_jointly(
        parameters, predicted, seen, np.ones(40), [[1.0, 0.3], [8.0, 2.0]], {"gain": Quantity(1.0, "1", 0.03)}
    )
    size, rate = joint.found["size"], joint.found["rate"]
    assert size.quantity is not None
    assert rate.quantity is not None
    assert size.quantity.value == pytest.approx(5.0, rel=2e-3)
    assert size.quantity.standard_uncertainty == pytest.approx(0.15, rel=0.03)
    assert size.shares["gain"] > 0.99
    # a gain does not touch the rate
    assert rate.shares["gain"] < 1e-3
    assert rate.quantity.standard_uncertainty == pytest.approx(0.0012, rel=0.5)


def test_an_expectation_has_its_band_and_a_verdict() -> None:
    sample = example_sample()
    time = np.linspace(0.0, 10.0, 20)
    names = ("k_release", "plateau")
    found = expect(sample, names, time, lambda v: v["plateau"] * (1.0 - np.exp(-v["k_release"] * time)), "k_release")
    stored = found.to_json()
    assert stored["k_release"]["value"] == 0.06
    assert stored["curve"]["lower_95"][-1] < stored["curve"]["percent"][-1] < stored["curve"]["upper_95"][-1]
    agrees, departs = judged(found, Quantity(0.065, "1/h", 0.003)), judged(found, Quantity(0.2, "1/h", 0.003))
    assert agrees is not None
    assert departs is not None
    assert (agrees.word, departs.word) == ("agrees", "departs")
    assert judged(found, None) is None


def test_detection_needs_three_blanks() -> None:
    cautions = Cautions()
    assert detection([0.1, 0.2], "umol/L", cautions)["lod"] is None
    assert cautions.codes == ["blanks_missing"]
    found = detection([0.0, 0.01, 0.02], "umol/L", Cautions())
    assert found["lod"]["value"] == pytest.approx(0.033)
    assert found["loq"]["value"] == pytest.approx(0.1)


def test_noise_is_smoothed_over_neighbours_and_gaps_stay() -> None:
    rng = np.random.default_rng(2)
    sd = 1e-3 * np.sqrt(rng.chisquare(4, 500) / 4.0)
    sd[100] = np.nan
    smooth = smooth_noise(sd)
    assert np.isnan(smooth[100])
    assert np.nanstd(smooth[50:450]) < 0.2 * np.nanstd(sd[50:450])
    assert np.nanmean(smooth) == pytest.approx(1e-3, rel=0.05)


def test_a_ph_that_rises_is_refused() -> None:
    assay = AcidAssay()
    values = {one.name: one.default for one in assay.parameters()} | {"ph_steps": [5.0, 6.0]}
    with pytest.raises(UsageError, match="the pH must fall"):
        assay.outline(values)


def test_the_laser_has_its_controls_and_replays_the_temperatures() -> None:
    from plans.release.heat_assay import TriggeredAssay

    values = {one.name: one.default for one in TriggeredAssay().parameters()}
    assert [one.role for one in heat_courses(values)] == ["dark", "sample"]
    courses = heat_courses(values | {"trigger": "laser"})
    assert [one.role for one in courses] == ["dark", "no_carrier", "sample", "same_temperature"]
    assert [one.emits for one in courses] == [False, True, True, False]
    rows = [{"run_state_lab_time": 100.0 + 3.0 * n, "cuvette_holder_probe": 37.0 + 0.1 * n} for n in range(20)]
    steps = replayed(rows, courses[-1].cadence_s)
    assert all(step.what == "temperature" for step in steps)
    assert np.diff([step.at_s for step in steps]).min() >= 10.0


def test_a_liquid_that_follows_the_replayed_holder_has_the_temperatures_of_the_sample() -> None:
    time = np.arange(0.0, 1200.0, 3.0)
    target = np.where((time > 300.0) & (time < 540.0), 41.0, 37.0)
    sample, liquid = [37.0], [37.0]
    for one in target[1:]:
        sample.append(sample[-1] + (one - sample[-1]) * (1.0 - np.exp(-3.0 / 75.0)))
    rows = [
        {"run_state_lab_time": 5000.0 + at, "cuvette_holder_probe": degrees}
        for at, degrees in zip(time, sample, strict=True)
    ]
    rows[5]["cuvette_holder_probe"] = float("nan")
    steps = replayed(rows, 0.0)
    block = np.interp(time, [step.at_s for step in steps], [step.value for step in steps])
    for one in block[1:]:
        liquid.append(liquid[-1] + (one - liquid[-1]) * (1.0 - np.exp(-3.0 / 75.0)))
    # the corners are rounded over half a minute; a block that is asked for the liquid's own temperature is 1.5 K behind there
    assert np.max(np.abs(np.array(liquid) - sample)) < 0.4
    assert np.max(np.abs(block - sample)) <= MOST_AHEAD_K
    assert replayed([{"run_state_lab_time": 0.0}], 3.0) == []


def test_the_block_is_warmer_in_proportion_to_what_the_liquid_is_above_the_room() -> None:
    assert block_for(37.0, 37.0, 2.4) == pytest.approx(39.4)
    assert block_for(42.0, 37.0, 2.4) == pytest.approx(42.0 + 3.2)
    assert block_for(22.0, 37.0, 2.4) == pytest.approx(22.0)
    # nothing to tell the losses from, close to the room
    assert block_for(42.0, 24.0, 0.2) == pytest.approx(42.2)


def test_a_missing_control_is_said() -> None:
    check_controls(["same_temperature", "no_carrier"], quiet := Cautions())
    assert not quiet.codes
    check_controls(["no_carrier"], cautions := Cautions())
    [caution] = cautions
    assert caution.text == (
        "the control 'same_temperature' is missing: nothing but the law of heat tells the light from its warmth"
    )


def bare(marks: list[tuple[float, str, float]]) -> Course:
    return Course(np.zeros(2), np.zeros(2), np.zeros(2), marks, [])


def test_what_was_never_done_is_refused_in_a_sentence() -> None:
    sample = example_sample()
    with pytest.raises(AnalysisRefusesError, match="never dissolved"):
        beam_profiles([Followed(bare([]))], sample, Cautions())
    with pytest.raises(AnalysisRefusesError, match="too few to read"):
        beam_profiles([Followed(bare([(100.0, "surfactant", 0.0)]))], sample, Cautions())
    with pytest.raises(AnalysisRefusesError, match="no enzyme was added"):
        enzyme_findings(bare([]), bare([]), sample, Cautions())


def test_an_outline_knows_its_length() -> None:
    assert RoleCourse("sample", "carrier", [Step(5.0, "look"), Step(9.0, "look")], 37.0, 1.0).seconds == 9.0


def test_a_course_that_goes_on_does_what_was_due_and_not_what_was_done() -> None:
    steps = [Step(0.0, "look"), Step(100.0, "temperature", 40.0), Step(200.0, "ph", 6.5), Step(300.0, "ph", 5.5),
             Step(350.0, "add", word="enzyme"), Step(400.0, "temperature", 41.0), Step(500.0, "look")]  # fmt: skip
    whole = CoursePlan("carrier", steps, 37.0, 10.0)
    assert steps_ahead(whole, 0.0) == steps
    goes_on = CoursePlan("carrier", steps, 37.0, 10.0, begun_s=50.0, done=frozenset({("ph", 6.5), ("enzyme", 0.0)}))
    assert steps_ahead(goes_on, 450.0) == [steps[5], steps[3], steps[6]]


@pytest.mark.parametrize(
    ("missing", "slope", "last"), [(0.025, 245.6, 0.001), (1.0, 0.1, 0.0123456), (0.03, 3000.0, 5e-5)]
)
def test_a_dose_is_one_that_four_digits_can_say(missing: float, slope: float, last: float) -> None:
    dose_ml = next_dose_ml(missing, slope, last)
    assert dose_ml * 1e6 == pytest.approx(round(dose_ml * 1e6), abs=1e-6)
    assert 4e-5 <= dose_ml <= 4.0 * last + 1e-6
    assert dose_ml * max(slope, 0.5) < 0.16 or dose_ml == 4e-5


def seen_course(umol_per_l: list[float]) -> Course:
    nm = np.arange(420.0, 720.0, 0.5)
    time = 3600.0 * np.arange(1.0, len(umol_per_l) + 1.0)
    free = [1e-6 * c * monomer_per_mol_cm(nm) for c in umol_per_l]
    found = [Look(float(t), nm, a, np.full(nm.size, 1e-3)) for t, a in zip(time, free, strict=True)]
    return Course(time, np.full(time.size, 37.0), np.full(time.size, np.nan), [], found)


def test_too_few_or_equal_or_too_many_percent_are_one_sentence_each() -> None:
    sample, free = example_sample(), seen_course([6.0, 9.0, 10.5, 11.0, 11.2, 11.3, 11.3, 11.3])
    with pytest.raises(AnalysisRefusesError, match="1 looks cannot show a release"):
        passive_findings(free, seen_course([1.0]), sample, Cautions())
    with pytest.raises(AnalysisRefusesError, match="nothing comes through the membrane"):
        passive_findings(free, seen_course([3.0] * 8), sample, Cautions())
    cautions = Cautions()
    check_levels([40.0, 107.0], sample, cautions)
    assert cautions.codes == ["above_100"]
    # three uncertainties of the dose ratio, 2 % each
    check_levels([40.0, 105.0], sample, quiet := Cautions())
    assert not quiet.codes
    with pytest.raises(AnalysisRefusesError, match="mixed up"):
        check_levels([130.0], sample, cautions)


def test_times_may_be_added_to_a_course_and_its_looks_stay() -> None:
    time, looks = np.arange(0.0, 36000.0, 60.0), np.array([600.0, 9000.0, 35000.0])
    deeds = [3600.0 * hours for hours in (1.2345, 1.2346, 2.5)]
    degrees, no_ph = 30.0 + time / 36000.0, np.full(time.size, np.nan)
    grid = grid_of(looks, time, degrees, no_ph)
    more = grid_of(looks, time, degrees, no_ph, deeds_s=deeds)
    assert more.time.size == grid.time.size + 2  # 2.5 h is a look's own
    assert more.time[more.looks] == pytest.approx(grid.time[grid.looks], abs=0.0)
    assert set(np.array(deeds) / 3600.0) <= set(more.time)
    assert more.temperature_c == pytest.approx(30.0 + more.time / 10.0, abs=1e-9)


def test_a_step_of_acid_is_not_smeared_over_an_interval() -> None:
    time = np.arange(0.0, 43200.0, 20.0)
    ph = np.where(time < 21610.0, 7.4, 6.5)
    ph[3] = np.nan
    grid = grid_of(np.array([600.0, 43000.0]), time, np.full(time.size, 37.0), ph)
    fallen = int(np.argmax(grid.ph < 7.0))
    assert 3600.0 * (grid.time[fallen] - grid.time[fallen - 1]) == pytest.approx(20.0)
    assert grid.ph[fallen - 1 : fallen + 1].tolist() == [7.4, 6.5]
    assert grid.time.size < 0.15 * time.size


@pytest.mark.parametrize("error", [LimitTripError("the pump stalled"), RefusedError("pump: a stall; look at it")])
def test_a_pump_that_does_not_dose_leaves_a_run_to_go_on_with(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_dose(*_: object, **__: object) -> Plan:
        yield from ()
        raise error

    def seven_four(_: object) -> Plan:
        yield from ()
        return 7.4

    monkeypatch.setattr(bench_plan, "dispense", no_dose)
    monkeypatch.setattr(bench_plan, "_read_ph", seven_four)
    bench = Benchful(None, None, clock=WallClock())
    with pytest.raises(LimitTripError, match=r"pH 7\.40, on the way to 6\.5.*go on with --continue"):
        list(bench_plan.acidify(bench, 6.5))


def test_only_light_spectra_in_a_row_count_as_saturated() -> None:
    spectrometer = SimpleNamespace(name="spectrometer")
    bench = Benchful(spectrometer, None, clock=WallClock())

    def spectrum(saturated: int) -> dict[str, dict[str, object]]:
        return {"spectrometer_saturated": {"value": saturated}, "spectrometer_counts": {"value": np.zeros(100)}}

    for phase, pixels in [("light", 50), ("dark", 50), ("light", 50), ("light", 5), ("light", 50), ("light", 50)]:
        bench.state.phase = phase
        bench.count_saturated(spectrum(pixels))
    with pytest.raises(LimitTripError, match="3 spectra in a row are saturated in 50 of 100 pixels"):
        bench.count_saturated(spectrum(50))
    bench.count_saturated({})
