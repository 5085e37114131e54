"""The interlock: each rule in its case, off before the reason, NaN never releases, every trip is data.

Longer than the house allows: every test stands on the same small bench, and a bench split off would be read twice.
"""

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanolab.errors import ExitCode, LimitTripError, UsageError
from nanolab.interfaces import DeviceContext, OffReport, Reading
from nanolab.safety import interlock as module
from nanolab.safety.interlock import Interlock
from nanolab.safety.latch import Latch
from nanolab.safety.limits import InterlockSettings, RuleNumbers, RunLimits
from nanolab.safety.rules import Finding, FrozenTemperature, Rule
from nanolab.safety.scene import Moment, Scene
from nanolab.safety.trip import Trip

LIMITS = RunLimits(max_power_w=1.0, max_temperature_c=60.0, max_time_on_s=100.0, max_energy_j=40.0, max_cem43_min=50.0)
OFF = OffReport(True, "output off")


@dataclass
class Bench:
    """An interlock with clocks that stand still until told, and a laser that notes when it is turned off."""

    limits: RunLimits = LIMITS
    latch: Latch | None = None
    rules: list[Rule] | None = None
    report: OffReport = OFF
    log: list[str] = field(default_factory=list)
    told: list[Trip] = field(default_factory=list)
    lab_s: float = 0.0
    wall_s: float = 1000.0
    off_takes_s: float = 0.125

    def __post_init__(self) -> None:
        self.interlock = Interlock(
            InterlockSettings(self.limits, RuleNumbers(frozen_s=0.0)),
            self.off,
            lab_time=lambda: self.lab_s,
            latch=self.latch,
            on_trip=self.tell,
            rules=self.rules,
            monotonic=lambda: self.wall_s,
            wall=lambda: 1.7e9,
        )

    def off(self) -> OffReport:
        self.log.append("off")
        self.wall_s += self.off_takes_s
        # the driver says that it was seen off, from its own worker, while whoever called waits
        self.laser(0.0)
        return self.report

    def tell(self, trip: Trip) -> None:
        self.log.append("told")
        self.told.append(trip)

    def pass_time(self, seconds: float) -> None:
        self.lab_s += seconds
        self.wall_s += seconds

    def laser(self, power_w: float, announced: bool = False, **more: Any) -> None:
        values = {"laser_emitting": int(power_w != 0.0), "laser_power": power_w, **more}
        if announced:
            values["laser_announced"] = 1
        self.interlock.judge(self.stamped(values))

    def sample(self, value_c: float, valid: int | None = None, **more: Any) -> None:
        values = {"thermocouple_sample": value_c, "thermocouple_reason": "", **more}
        if valid is not None:
            values["thermocouple_sample_valid"] = valid
        self.interlock.judge(self.stamped(values))

    def stamped(self, values: dict[str, Any]) -> Reading:
        return {key: {"value": value, "timestamp": self.lab_s} for key, value in values.items()}


def on(power_w: float = 0.5, **changes: Any) -> Bench:
    """Return a bench that has just begun to emit at 25 degC."""
    bench = Bench(**changes)
    bench.sample(25.0)
    bench.laser(power_w, announced=True)
    return bench


def tripped(bench: Bench, act: Callable[[], object]) -> Trip:
    """Do something that must trip; the laser must be off by the time that it is said why."""
    with pytest.raises(LimitTripError) as caught:
        act()
    assert bench.log[:2] == ["off", "told"]
    assert caught.value.exit_code is ExitCode.STOPPED_BY_LIMIT
    trip = bench.interlock.trips[-1]
    assert trip.words() in str(caught.value)
    return trip


# ---- each rule in its case


def test_temperature_at_the_limit_is_kept_and_above_it_trips_laser_on_or_off() -> None:
    bench = Bench()
    bench.sample(60.0)
    trip = tripped(bench, lambda: bench.sample(60.01))
    assert (trip.rule, trip.value, trip.limit, trip.unit) == ("max_temperature", 60.01, 60.0, "degC")
    assert "the sample is at 60.01 degC, over the limit of 60 degC" in trip.text


@pytest.mark.parametrize(
    ("value", "valid", "rule"),
    [
        (math.nan, None, "invalid_temperature"),
        (math.nan, 1, "invalid_temperature"),
        (25.0, 0, "invalid_temperature"),
        ("a word", 1, "invalid_temperature"),
        (math.inf, 1, "infinite_temperature"),
        (-math.inf, None, "infinite_temperature"),
    ],
)
def test_an_unknown_temperature_trips_while_emitting_and_not_before(value: Any, valid: int | None, rule: str) -> None:
    dark = Bench()
    dark.sample(value, valid)
    assert dark.log == []
    bench = on()
    assert tripped(bench, lambda: bench.sample(value, valid)).rule == rule


def test_the_reason_of_an_invalid_reading_is_told() -> None:
    bench = on()
    trip = tripped(bench, lambda: bench.sample(math.nan, 0, thermocouple_reason="sample: open thermocouple"))
    assert "unknown while the laser is on (sample: open thermocouple)" in trip.text


@settings(deadline=None)  # a busy machine is no fault of the judge
@given(st.lists(st.sampled_from([math.nan, math.inf, -math.inf]), min_size=1, max_size=8))
def test_what_is_unknown_never_releases(values: list[float]) -> None:
    bench = on()
    tripped(bench, lambda: bench.sample(61.0))
    for value in values:
        bench.sample(value)
        assert bench.interlock.may_emit() is not None
        assert bench.interlock.latched() is not None


def test_a_reading_that_failed_trips_while_emitting_and_not_before() -> None:
    bench = Bench()
    context = DeviceContext("thermocouple", "", None, True, lambda: bench.lab_s, judge=bench.interlock.judge)
    context.failed(RuntimeError("it is silent"))
    bench.sample(25.0)
    bench.laser(0.5, announced=True)
    # it does not raise: the driver's own error says more
    context.failed(RuntimeError("it is silent"))
    trip = bench.told[0]
    assert (trip.rule, "it is silent" in trip.text) == ("read_error", True)
    assert bench.log == ["off", "told"]


def test_a_laser_that_cannot_be_read_while_it_emits_trips() -> None:
    bench = on()
    bench.interlock.judge(bench.stamped({"laser_error": "half a line"}))
    assert bench.told[0].rule == "read_error"


def test_a_thermometer_that_repeats_itself_to_the_last_digit_trips() -> None:
    rule = FrozenTemperature(15.0)
    bench = Bench(rules=[rule])
    bench.sample(25.0)
    bench.laser(0.5, announced=True)
    for _second in range(14):
        bench.pass_time(1.0)
        bench.sample(25.004)
    bench.pass_time(1.0)
    bench.sample(25.003)
    for _second in range(15):
        bench.pass_time(1.0)
        bench.sample(25.004)
    assert bench.told == []
    bench.pass_time(1.0)
    trip = tripped(bench, lambda: bench.sample(25.004))
    assert (trip.rule, trip.value, trip.limit) == ("frozen_temperature", 15.0, 15.0)


def test_a_few_readings_far_apart_are_no_thermometer_that_hangs() -> None:
    bench = Bench(rules=[FrozenTemperature(15.0)])
    bench.sample(25.0)
    bench.laser(0.5, announced=True)
    for _reading in range(7):
        bench.pass_time(10.0)
        bench.sample(25.0)
    assert bench.told == []


def test_a_temperature_that_grows_old_trips_by_wall_time_even_without_a_reading() -> None:
    bench = on()
    bench.wall_s += 3.0
    bench.interlock.look()
    assert bench.log == []
    bench.wall_s += 0.01
    bench.interlock.look()
    assert bench.log == ["off", "told"]
    trip = bench.told[0]
    assert (trip.rule, trip.unit) == ("stale_temperature", "s")
    assert trip.value == pytest.approx(3.01)
    # the plan that slept learns of it with its next reading, once
    with pytest.raises(LimitTripError, match="stale_temperature"):
        bench.sample(25.0)
    bench.sample(25.0)


def test_readings_of_the_laser_alone_do_not_keep_a_temperature_fresh() -> None:
    bench = on()
    bench.pass_time(3.5)
    assert tripped(bench, lambda: bench.laser(0.5)).rule == "stale_temperature"


def test_an_old_temperature_is_no_fault_until_the_laser_emits() -> None:
    bench = Bench()
    bench.sample(25.0)
    bench.pass_time(500.0)
    bench.interlock.look()
    bench.laser(0.5, announced=True)  # from here on it counts
    bench.pass_time(2.9)
    bench.interlock.look()
    assert bench.log == []


@pytest.mark.parametrize("step_k", [10.5, -35.0])
def test_a_rate_that_is_not_believed_trips(step_k: float) -> None:
    bench = on()
    bench.pass_time(1.0)
    bench.sample(25.0)
    bench.pass_time(1.0)
    trip = tripped(bench, lambda: bench.sample(25.0 + step_k))
    assert trip.rule == "implausible_rate"
    assert trip.value == pytest.approx(step_k)


def test_noise_between_two_quick_readings_is_no_rate() -> None:
    bench = on()
    for index in range(30):
        bench.pass_time(0.05)
        bench.sample(25.0 + 0.6 * (index % 2))
    assert bench.log == []


def test_a_gap_in_the_readings_is_no_fall() -> None:
    bench = on()
    for _ in range(5):
        bench.pass_time(1.0)
        bench.sample(30.0)
    bench.lab_s += 45.0  # nothing is known of the ten seconds that count
    bench.sample(25.0)
    assert bench.log == []


def test_probes_that_disagree_trip_after_a_while() -> None:
    bench = on()
    for apart_k, seconds in ((2.9, 20.0), (3.1, 4.0), (2.9, 1.0), (3.1, 4.9)):
        for _ in range(10):
            bench.pass_time(seconds / 10)
            bench.sample(25.0, thermocouple_sample_2=25.0 + apart_k, thermocouple_sample_2_valid=1)
    assert bench.log == []
    bench.pass_time(1.0)
    trip = tripped(bench, lambda: bench.sample(25.0, thermocouple_sample_2=28.1, thermocouple_sample_2_valid=1))
    assert (trip.rule, "'sample_2' reads 3.1 K more than 'sample'" in trip.text) == ("disagreeing_probes", True)


def test_a_second_probe_counts_for_limit_and_validity_and_the_room_does_not() -> None:
    bench = on()
    bench.sample(25.0, thermocouple_ambient=math.nan, thermocouple_ambient_valid=0)
    assert bench.log == []
    twin: dict[str, Any] = {"thermocouple_sample_2": math.nan, "thermocouple_sample_2_valid": 0}
    assert "'sample_2'" in tripped(bench, lambda: bench.sample(25.0, **twin)).text


def test_power_above_the_limit_trips() -> None:
    bench = on(1.0)
    bench.laser(1.019)
    assert tripped(bench, lambda: bench.laser(1.03)).rule == "max_power"


def test_time_on_and_energy_are_integrated_over_lab_time_while_emitting() -> None:
    bench = Bench()
    bench.laser(0.0)
    bench.pass_time(50.0)
    bench.laser(0.5, announced=True)  # the fifty seconds before were dark
    for _ in range(79):
        bench.pass_time(1.0)
        bench.sample(25.0 + bench.lab_s * 0.05)
    assert bench.interlock.scene.energy_j(bench.lab_s) == pytest.approx(39.5)
    assert bench.interlock.scene.time_on_s(bench.lab_s) == pytest.approx(79.0)
    bench.pass_time(1.5)
    trip = tripped(bench, lambda: bench.sample(25.0 + bench.lab_s * 0.05))
    assert trip.rule == "max_energy"
    assert trip.value == pytest.approx(40.25)
    bench.interlock.release("a test")
    assert "budget of energy is used up: 40.25 of 40 J" in (bench.interlock.may_emit() or "")


def test_a_laser_that_does_not_announce_itself_counts_from_when_it_was_last_seen_off() -> None:
    bench = Bench()
    bench.laser(0.0)
    bench.pass_time(2.0)
    bench.laser(0.5)
    assert bench.interlock.scene.budget.energy_j == pytest.approx(1.0)
    assert bench.interlock.scene.budget.time_on_s == pytest.approx(2.0)


def test_time_on_trips_and_is_then_used_up() -> None:
    bench = on(0.01)
    for _ in range(100):
        bench.pass_time(1.0)
        bench.sample(25.0)
    bench.laser(0.01)
    bench.pass_time(1.0)
    assert tripped(bench, lambda: bench.sample(25.0)).rule == "max_time_on"
    bench.interlock.release("a test")
    assert "budget of time with the laser on is used up" in (bench.interlock.may_emit() or "")


def test_the_thermal_dose_trips() -> None:
    bench = on(0.01)
    for _ in range(60):
        bench.pass_time(1.0)
        bench.sample(min(25.0 + 0.5 * bench.lab_s, 49.0))

    def stay() -> None:
        for _ in range(40):
            bench.pass_time(1.0)
            bench.sample(49.0)

    trip = tripped(bench, stay)
    assert (trip.rule, trip.unit) == ("max_thermal_dose", "min")
    assert 50.0 < trip.value < 51.1
    bench.interlock.release("a test")
    assert "thermal dose" in (bench.interlock.may_emit() or "")


def test_an_unknown_power_counts_as_the_highest_permitted_one() -> None:
    bench = on(0.1)
    bench.laser(math.nan)
    bench.lab_s += 10.0
    bench.laser(0.1)
    assert bench.interlock.scene.budget.energy_j == pytest.approx(10.0)


def test_budgets_belong_to_a_sample_and_go_on_where_they_were() -> None:
    bench = Bench()
    for name, wanted_j in (("a", 1.0), ("b", 1.0), ("a", 2.0)):
        bench.interlock.begin(name, expects_heating=False)
        bench.laser(0.5, announced=True)
        bench.pass_time(2.0)
        bench.laser(0.0)
        assert bench.interlock.may_emit() is None
        assert bench.interlock.scene.budget.energy_j == pytest.approx(wanted_j)


# ---- off, then the rest


def test_reaction_time_is_measured_and_written_down(tmp_path: Path) -> None:
    bench = on(latch=Latch(tmp_path, simulated=False))
    bench.pass_time(1.0)
    trip = tripped(bench, lambda: bench.sample(61.0))
    assert trip.command_s == 0.0
    assert trip.off_s == trip.reaction_s == 0.125
    assert (trip.lab_time_s, trip.time) == (1.0, 1.7e9)
    assert trip.off_confirmed
    assert trip.off_detail == "OFF (output off)"
    assert bench.told == [trip]
    assert Latch(tmp_path, simulated=False).records() == [trip]


def test_an_off_that_was_not_seen_is_said_everywhere() -> None:
    bench = on(report=OffReport(False, "still 0.4 A", "Turn the key"))
    with pytest.raises(LimitTripError, match=r"OFF NOT CONFIRMED.*still 0\.4 A"):
        bench.sample(61.0)
    assert math.isnan(bench.told[0].reaction_s)
    assert not bench.told[0].off_confirmed


def test_a_laser_that_cannot_be_asked_is_one_whose_off_is_not_confirmed() -> None:
    bench = on()

    def broken() -> OffReport:
        raise RuntimeError("no link")

    bench.interlock._off = broken
    with pytest.raises(LimitTripError, match="could not be asked: no link"):
        bench.sample(61.0)


def test_a_listener_that_fails_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    bench = on()

    def broken(_trip: Trip) -> None:
        raise RuntimeError("no journal")

    bench.interlock._on_trip = broken
    with pytest.raises(LimitTripError), caplog.at_level(logging.ERROR):
        bench.sample(61.0)
    assert "what should happen on a trip failed" in caplog.text
    assert bench.interlock.latched() is not None


def test_a_latch_that_cannot_be_written_holds_in_this_process(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    bench = on(latch=Latch(tmp_path / "file", simulated=False))
    with pytest.raises(LimitTripError):
        bench.sample(61.0)
    bench.interlock._latch = Latch(tmp_path, simulated=False)
    assert "max_temperature" in (bench.interlock.may_emit() or "")
    bench.interlock.release("the disk is back")
    assert bench.interlock.may_emit() is None


def test_one_trip_is_recorded_once_and_a_laser_that_emits_after_it_goes_off_again() -> None:
    bench = on()
    tripped(bench, lambda: bench.sample(61.0))
    bench.sample(61.0)  # it cools: may be watched
    with pytest.raises(LimitTripError, match="max_temperature"):
        bench.laser(0.5)
    assert bench.log == ["off", "told", "off"]
    assert len(bench.interlock.trips) == 1


def test_what_is_said_of_a_laser_that_is_off_never_waits() -> None:
    bench = on()
    with bench.interlock._lock:
        bench.laser(0.0)
    assert bench.interlock.may_emit() is None
    assert not bench.interlock.scene.emitting


def test_two_readings_that_break_rules_at_once_both_end_in_off() -> None:
    bench = on()
    tripped(bench, lambda: bench.sample(61.0))
    bench.interlock._tripped = Finding("max_power", 2.0, 1.0, "W", "it is first")
    with pytest.raises(LimitTripError, match="max_power: it is first; the laser was told to go off"):
        bench.laser(0.5)
    assert bench.log == ["off", "told", "off"]


def test_the_context_announces_and_says_off() -> None:
    bench = Bench()
    context = DeviceContext("laser", "", None, True, lambda: bench.lab_s, judge=bench.interlock.judge)
    context.about_to_emit(0.5)
    assert bench.interlock.may_emit() is None
    assert bench.interlock.scene.power_w == 0.5
    context.went_off()
    assert bench.interlock.may_emit() is None
    assert not bench.interlock.scene.emitting


# ---- a judge that fails


@dataclass(frozen=True)
class Broken:
    name: ClassVar[str] = "broken"
    timed: ClassVar[bool] = True

    def look(self, scene: Scene, now: Moment) -> Finding | None:
        raise ZeroDivisionError("a mistake")


def test_a_rule_that_fails_ends_in_off() -> None:
    bench = Bench(rules=[Broken()])
    assert tripped(bench, lambda: bench.sample(25.0)).rule == "judge_failed"


def test_a_reading_that_cannot_be_understood_ends_in_off() -> None:
    bench = Bench()
    reading: Any = {"thermocouple_sample": {"value": 25.0}}
    assert tripped(bench, lambda: bench.interlock.judge(reading)).rule == "judge_failed"


def test_a_judge_that_hangs_is_seen_by_the_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_WITHIN_S", 0.0)
    bench = on()
    with bench.interlock._lock:
        bench.interlock.look()
    assert bench.log == ["off", "told"]
    assert bench.told[0].rule == "judge_failed"
    assert "does not come back" in (bench.interlock.latched() or "")


def test_the_timer_says_nothing_of_a_trip_that_stands() -> None:
    bench = on()
    tripped(bench, lambda: bench.sample(61.0))
    bench.wall_s += 100.0
    bench.interlock.look()
    assert len(bench.interlock.trips) == 1


# ---- release


def test_a_trip_stays_until_a_person_releases_it_with_a_reason(tmp_path: Path) -> None:
    latch = Latch(tmp_path, simulated=False)
    bench = on(latch=latch)
    tripped(bench, lambda: bench.sample(61.0))
    # a new process on the same data folder
    again = Bench(latch=latch)
    assert "has tripped (max_temperature" in (again.interlock.may_emit() or "")
    with pytest.raises(UsageError, match="with a reason"):
        again.interlock.release("  ")
    again.interlock.release("the probe was outside", by="A. Person")
    # both see the release, whoever wrote it
    assert again.interlock.may_emit() is None
    assert bench.interlock.may_emit() is None


def test_without_a_file_the_trip_holds_in_this_object() -> None:
    bench = on()
    tripped(bench, lambda: bench.sample(61.0))
    assert "has tripped" in (bench.interlock.may_emit() or "")
    bench.interlock.release("a test")
    assert bench.interlock.may_emit() is None


def test_readings_from_many_threads_trip_once(tmp_path: Path) -> None:
    bench = on(latch=Latch(tmp_path, simulated=True))
    raised: list[str] = []

    def work() -> None:
        try:
            bench.sample(61.0)
        except LimitTripError as error:
            raised.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bench.interlock.trips) == 1
    assert raised
    assert len(Latch(tmp_path, simulated=False).records()) == 1


def test_what_no_rule_sees_trips_too_and_the_plan_learns_of_it() -> None:
    bench = on()
    untold: list[Trip] = []
    bench.interlock._on_untold = untold.append
    bench.interlock.trip("guardian", "it is gone")
    bench.interlock.trip("guardian", "told a second time")
    assert bench.log == ["off", "told"]
    assert [trip.text for trip in untold] == ["it is gone"]
    with pytest.raises(LimitTripError, match="it is gone"):
        bench.sample(25.0)
    assert "it is gone" in str(bench.interlock.may_emit())


def test_what_somebody_asked_for_holds_in_this_process_only(tmp_path: Path) -> None:
    bench = Bench(latch=Latch(tmp_path, simulated=True))
    bench.sample(25.0)
    bench.laser(0.5, announced=True)
    bench.interlock.trip("guardian", "somebody asked for it", latch=False)
    assert "asked for it" in str(bench.interlock.may_emit())
    assert not (tmp_path / "interlock.jsonl").exists()


def test_a_listener_that_fails_does_not_keep_a_trip_from_being_kept() -> None:
    bench = on()

    def fails(_trip: Trip) -> None:
        raise RuntimeError("the engine is gone")

    bench.interlock._on_untold = fails
    bench.interlock.trip("guardian", "it is gone")
    assert bench.told[0].rule == "guardian"


def test_a_laser_whose_start_is_under_way_counts_as_one_that_emits() -> None:
    bench = Bench()
    bench.sample(25.0)
    bench.laser(0.5, announced=True)
    bench.laser(0.0, laser_starting=1)
    assert bench.interlock.scene.emitting
    bench.laser(0.0, laser_starting=0)
    bench.sample(25.0)
    assert not bench.interlock.scene.emitting
