"""The stubs: rules of stability on known series, pacing on lab time, a guard that always turns the laser off."""

import math
from collections.abc import Generator, Mapping
from typing import Any

import bluesky.plan_stubs as bps
import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.utils import Msg

from nanolab.engine.assembly import Engine
from nanolab.engine.clock import VirtualClock
from plans.stubs import RunState, Trend, emit, exposure, fixed_length, laser_guard, readings_until, steady


class Done:
    """A status that is done."""

    done, success = True, True

    def add_callback(self, callback: Any) -> None:
        callback(self)

    def exception(self, timeout: float | None = 0.0) -> None:
        return None


class Thermometer:
    """A readable whose temperature follows a function of lab time."""

    name, parent = "thermocouple", None

    def __init__(self, clock: VirtualClock, temperature: Any) -> None:
        self.clock, self.temperature, self.times = clock, temperature, list[float]()

    def read(self) -> dict[str, Any]:
        now = self.clock.now()
        self.times.append(now)
        return {"thermocouple_sample": {"value": self.temperature(now), "timestamp": now}}

    def describe(self) -> dict[str, Any]:
        return {"thermocouple_sample": {"source": "test", "dtype": "number", "shape": []}}

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}


class Laser:
    """Notes what it is set to."""

    name, parent = "laser", None

    def __init__(self) -> None:
        self.log: list[float] = []

    def set(self, power: float) -> Done:
        self.log.append(power)
        return Done()


class SlowLaser(Laser):
    """Emits so many lab seconds after it was told to."""

    def __init__(self, clock: VirtualClock, needs_s: float) -> None:
        super().__init__()
        self.clock, self.needs_s, self.told_s = clock, needs_s, math.inf

    starting = None

    def set(self, power: float) -> Done:
        self.told_s = self.clock.now()
        return super().set(power)

    def trigger(self) -> Done:
        return Done()

    def read(self) -> dict[str, Any]:
        now = self.clock.now()
        return {"laser_starting": {"value": int(now - self.told_s < self.needs_s), "timestamp": now}}

    def describe(self) -> dict[str, Any]:
        return {"laser_starting": {"source": "test", "dtype": "integer", "shape": []}}


def virtual_clock() -> VirtualClock:
    time = [0.0]

    def advance(seconds: float) -> float:
        time[0] += seconds
        return time[0]

    return VirtualClock(0.0, advance)


def run(clock: VirtualClock, plan: Generator[Msg, Any, Any]) -> BaseException | None:
    return Engine(clock, lambda _n, _d: None, lambda: None).run(plan).error


def in_a_run(inner: Generator[Msg, Any, Any], found: list[Any]) -> Generator[Msg, Any, Any]:
    yield from bps.open_run()
    reason = yield from inner
    found.append(reason)
    yield from bps.close_run()


def reading(value: float) -> Mapping[str, Mapping[str, Any]]:
    return {"T": {"value": value, "timestamp": 0.0}}


def test_readings_are_paced_on_lab_time_and_end_where_the_rule_says() -> None:
    clock = virtual_clock()
    thermometer = Thermometer(clock, lambda _t: 25.0)
    found: list[Any] = []
    plan = readings_until([thermometer, RunState(clock)], clock, 2.0, fixed_length(clock, 10.0))
    assert run(clock, in_a_run(plan, found)) is None
    assert thermometer.times == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert found == ["fixed length"]


def test_an_exponential_is_called_steady_when_its_slope_is() -> None:
    clock = virtual_clock()
    tau, rise = 100.0, 10.0
    thermometer = Thermometer(clock, lambda t: 25.0 + rise * (1.0 - math.exp(-t / tau)))
    rule = steady(
        clock, "thermocouple_sample", slope_per_min=0.03, tolerance=0.05, window_s=60.0, dwell_s=20.0, time_out_s=5000.0
    )
    found: list[Any] = []
    assert run(clock, in_a_run(readings_until([thermometer], clock, 1.0, rule), found)) is None
    assert found == ["steady"]
    # mean slope over the window falls below 0.03 K/min when rise/tau exp(-(t - 30)/tau) does: t = 30 + tau ln(200)
    expected = 30.0 + tau * math.log(rise / tau * 60.0 / 0.03) + 20.0
    assert clock.now() == pytest.approx(expected, abs=10.0)


def test_a_drifting_series_runs_into_the_time_out_and_says_so() -> None:
    clock = virtual_clock()
    thermometer = Thermometer(clock, lambda t: 25.0 + t / 60.0)
    rule = steady(
        clock, "thermocouple_sample", slope_per_min=0.05, tolerance=0.1, window_s=60.0, dwell_s=0.0, time_out_s=300.0
    )
    found: list[Any] = []
    assert run(clock, in_a_run(readings_until([thermometer], clock, 1.0, rule), found)) is None
    assert found == ["time-out"]
    assert clock.now() == pytest.approx(300.0, abs=6.0)


def test_trend_leaves_invalid_readings_out_and_forgets_old_ones() -> None:
    trend = Trend(60.0)
    for time in range(200):
        trend.add(float(time), math.nan if time % 10 == 0 else 20.0 + 0.01 * time)
    assert trend.full
    assert trend.slope() == pytest.approx(0.01)
    assert min(trend.times) >= 199 - 60
    assert not np.isfinite(Trend(10.0).slope())
    assert not np.isfinite(Trend(10.0).change())


@pytest.mark.parametrize("fails", [True, False])
def test_the_guard_turns_the_laser_off_however_the_plan_ends(fails: bool) -> None:
    laser = Laser()

    def plan() -> Generator[Msg, Any, Any]:
        yield from bps.abs_set(laser, 0.5)
        if fails:
            raise RuntimeError("the plan broke")

    engine = RunEngine({}, context_managers=[])
    if fails:
        with pytest.raises(RuntimeError, match="the plan broke"):
            engine(laser_guard(plan(), laser))
    else:
        engine(laser_guard(plan(), laser))
    assert laser.log[0] == 0.5
    assert laser.log[-1] == 0.0


@pytest.mark.parametrize(("power", "waited_s"), [(0.5, 5.0), (0.0, 0.0)])
def test_a_laser_that_takes_its_time_is_waited_for_on_lab_time(power: float, waited_s: float) -> None:
    clock = virtual_clock()
    laser = SlowLaser(clock, 5.0)
    assert run(clock, in_a_run(emit(laser, power), [])) is None
    assert laser.log == [power]
    assert clock.now() == waited_s


def test_a_laser_that_emits_at_once_is_not_read_for_it() -> None:
    clock = virtual_clock()
    laser = Laser()
    assert run(clock, in_a_run(emit(laser, 0.5), [])) is None
    assert laser.log == [0.5]
    assert clock.now() == 0.0


class Slow:
    """A thermometer (or spectrometer) whose trigger takes lab time on a clock that a test moves; notes when it was asked."""

    parent = None

    def __init__(self, name: str, clock: Any, takes_s: float = 0.0) -> None:
        self.name, self.clock, self.takes_s = name, clock, takes_s
        self.asked_s: list[float] = []
        self.value = 25.0

    def trigger(self) -> Any:
        self.asked_s.append(self.clock.now())
        return Lasting(self.clock, self.clock.now() + self.takes_s)

    def read(self) -> dict[str, Any]:
        return {f"{self.name}_sample": {"value": self.value, "timestamp": self.clock.now()}}

    def describe(self) -> dict[str, Any]:
        return {f"{self.name}_sample": {"source": "test", "dtype": "number", "shape": []}}

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}


class Couple(Slow):
    channel_names = ("sample",)


class Lasting(Done):
    """A status that is done at a lab time; whoever waits for it lets that time pass."""

    def __init__(self, clock: Any, until_s: float) -> None:
        self.clock, self.until_s = clock, until_s

    @property
    def done(self) -> bool:  # type: ignore[override]  # an attribute of a finished one
        return bool(self.clock.now() >= self.until_s)


class Emitter(Slow):
    def read(self) -> dict[str, Any]:
        return {"laser_emitting": {"value": int(self.value > 0), "timestamp": self.clock.now()}}

    def describe(self) -> dict[str, Any]:
        return {"laser_emitting": {"source": "test", "dtype": "integer", "shape": []}}


def wall_like(speed: float = 1.0) -> VirtualClock:
    """Return a clock that says of itself that lab time is tied to wall time, and is moved by its sleeps all the same."""
    clock = virtual_clock()
    clock.speed = speed
    return clock


def watched(speed: float, cadence_s: float, emitting: bool, length_s: float = 6.0) -> tuple[list[float], list[float]]:
    """Run a series; return when events were saved and when the thermometer was asked."""
    clock = wall_like(speed)
    laser, couple = Emitter("laser", clock), Couple("thermocouple", clock)
    laser.value = float(emitting)
    events: list[float] = []
    engine = Engine(clock, lambda name, doc: events.append(clock.now()) if name == "event" else None, lambda: None)
    plan = readings_until([laser, couple], clock, cadence_s, fixed_length(clock, length_s))
    assert engine.run(in_a_run(plan, [])).error is None
    return events, couple.asked_s


def test_while_the_laser_emits_a_temperature_comes_every_wall_second_whatever_the_cadence() -> None:
    events, asked = watched(1.0, cadence_s=3.0, emitting=True)
    assert events == [0.0, 3.0, 6.0]
    assert max(np.diff(asked)) <= 0.9
    assert len(asked) == 3 + 2 * 3  # each sleep of three seconds in four slices
    assert set(events) <= set(asked)


def test_a_cadence_of_a_second_is_watched_too_and_its_events_are_not_late() -> None:
    events, asked = watched(1.0, cadence_s=1.0, emitting=True)
    assert events == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert max(np.diff(asked)) == 0.5


@pytest.mark.parametrize(
    ("speed", "cadence_s", "emitting"), [(1.0, 3.0, False), (1.0, 0.5, True), (10.0, 3.0, True), (math.inf, 3.0, True)]
)
def test_there_are_no_readings_between_where_none_are_due(speed: float, cadence_s: float, emitting: bool) -> None:
    events, asked = watched(speed, cadence_s, emitting)
    assert asked == events


def test_a_fast_bench_counts_wall_seconds() -> None:
    _, asked = watched(10.0, cadence_s=30.0, emitting=True, length_s=60.0)
    assert max(np.diff(asked)) <= 9.0
    assert len(asked) == 3 + 2 * 3


def test_readings_between_are_judged_beside_the_last_whole_one_and_can_end_the_run() -> None:
    clock = wall_like()
    laser, couple = Emitter("laser", clock), Couple("thermocouple", clock)
    laser.value = 1.0
    seen: list[Mapping[str, Any]] = []

    def judge(reading: Mapping[str, Any]) -> None:
        seen.append(reading)
        if len(seen) == 3:
            raise ValueError("too hot")

    plan = readings_until([laser, couple], clock, 5.0, fixed_length(clock, 60.0), judge)
    error = run(clock, in_a_run(plan, []))
    assert isinstance(error, ValueError)
    assert set(seen[2]) == {"laser_emitting", "thermocouple_sample"}
    assert 1.0 < clock.now() < 2.0


def exposed(speed: float, takes_s: float) -> tuple[VirtualClock, Slow, Couple]:
    clock = wall_like(speed)
    spectrometer, couple = Slow("spectrometer", clock, takes_s), Couple("thermocouple", clock)
    plan = exposure(spectrometer, couple, clock, judge=lambda reading: None)
    assert run(clock, in_a_run(plan, [])) is None
    return clock, spectrometer, couple


def test_a_long_exposure_is_watched_and_not_made_much_longer() -> None:
    clock, spectrometer, couple = exposed(1.0, 4.0)
    assert spectrometer.asked_s == [0.0]
    assert max(np.diff([0.0, *couple.asked_s, clock.now()])) <= 0.95
    assert 4.0 <= clock.now() <= 4.06


def test_a_short_exposure_and_one_on_a_virtual_clock_are_left_alone() -> None:
    assert exposed(1.0, 0.3)[2].asked_s == []
    clock, _, couple = exposed(math.inf, 4.0)
    assert (couple.asked_s, clock.now()) == ([], 0.0)


def test_an_exposure_that_fails_raises() -> None:
    clock = wall_like()

    class Failed(Done):
        success = False

        def exception(self, timeout: float | None = 0.0) -> Any:
            return RuntimeError("no light")

    spectrometer = Slow("spectrometer", clock)
    spectrometer.trigger = lambda: Failed()  # type: ignore[method-assign]  # one answer for one test
    error = run(clock, in_a_run(exposure(spectrometer, Couple("thermocouple", clock), clock), []))
    assert "no light" in repr(error.__cause__ if error is not None else None)


def test_the_plan_can_be_listed_without_devices() -> None:
    plan = exposure(None, None, wall_like())
    assert plan.send(None).command == "trigger"
    assert plan.send(None).command == "wait"  # a dry run has no status to wait for
