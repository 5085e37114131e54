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
from plans.stubs import RunState, Trend, emit, fixed_length, laser_guard, readings_until, steady


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
