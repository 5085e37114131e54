"""Dosing and thermostat stubs on devices that are told what to read: ends, troubles, time-outs, guards."""

import math
from collections.abc import Callable, Generator
from typing import Any

import bluesky.plan_stubs as bps
import pytest
from bluesky.utils import Msg

from nanolab.engine.assembly import Engine
from nanolab.engine.clock import VirtualClock
from nanolab.errors import LimitTripError
from plans.dispensing import dispense, dispense_to, pump_guard
from plans.thermostat import holder_guard, near, settle

Row = dict[str, Any]


class Done:
    """A status that is done."""

    done, success = True, True

    def add_callback(self, callback: Any) -> None:
        callback(self)

    def exception(self, timeout: float | None = 0.0) -> None:
        return None


class Played:
    """A readable, movable device whose reading is a function of lab time since it was last set, s."""

    parent = None

    def __init__(self, name: str, clock: VirtualClock, reading: Callable[[float], Row]) -> None:
        self.name, self.clock, self._reading = name, clock, reading
        self.begun = 0.0
        self.log: list[Any] = []

    def set(self, value: float, **options: Any) -> Done:
        self.begun = self.clock.now()
        self.log.append((value, options))
        return Done()

    def trigger(self) -> Done:
        return Done()

    def stop(self, *, success: bool = False) -> None:
        self.log.append("stop")

    def off(self) -> None:
        self.log.append("off")

    def read(self) -> dict[str, Any]:
        row = self._reading(self.clock.now() - self.begun)
        return {f"{self.name}_{key}": {"value": value, "timestamp": 0.0} for key, value in row.items()}

    def describe(self) -> dict[str, Any]:
        kinds = {float: "number", int: "integer", str: "string"}
        return {
            f"{self.name}_{key}": {"source": "test", "dtype": kinds[type(value)], "shape": []}
            for key, value in self._reading(0.0).items()
        }

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}


class Counter:
    """The pump's child signal."""

    name, parent = "pump_dispensed", None

    def __init__(self, pump: Played) -> None:
        self._pump = pump

    def read(self) -> dict[str, Any]:
        return {self.name: self._pump.read()[self.name]}

    def describe(self) -> dict[str, Any]:
        return {self.name: self._pump.describe()[self.name]}

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}


class Watch:
    """A clock that is set by hand."""

    time_s = 0.0

    def now(self) -> float:
        return self.time_s


def virtual_clock() -> VirtualClock:
    time = [0.0]

    def advance(seconds: float) -> float:
        time[0] += seconds
        return time[0]

    return VirtualClock(0.0, advance)


def a_pump(clock: VirtualClock, *, runs_s: float = 12.0, reason: str = "", rate: float = 0.01) -> Any:
    def row(since: float) -> Row:
        under_way = bool(device.log) and since < runs_s - 1e-9
        done = 0.5 + rate * min(since, runs_s) if device.log else 0.5
        return {"dispensed": done, "pumping": int(under_way and not reason), "valid": int(not reason), "reason": reason}

    device: Any = Played("pump", clock, row)
    device.read_within_s = 5.0
    device.dispensed = Counter(device)
    return device


def run(clock: VirtualClock, inner: Generator[Msg, Any, Any]) -> tuple[Any, BaseException | None]:
    found: list[Any] = []

    def plan() -> Generator[Msg, Any, Any]:
        yield from bps.open_run()
        found.append((yield from inner))
        yield from bps.close_run()

    error = Engine(clock, lambda _n, _d: None, lambda: None).run(plan()).error
    return (found[0] if found else None), error


def test_a_dose_is_ordered_as_a_total_and_returned_as_it_was_counted() -> None:
    clock = virtual_clock()
    pump = a_pump(clock)
    volume, error = run(clock, dispense(pump, 0.12, 0.6, clock, devices=[pump], cadence_s=60.0))
    assert error is None
    assert volume == pytest.approx(0.12)
    assert pump.log[0] == (0.62, {"rate_ml_per_min": 0.6})
    assert clock.now() == pytest.approx(15.0)  # read every five seconds, for the watchdog's sake


def test_trouble_of_the_pump_ends_the_plan() -> None:
    clock = virtual_clock()
    _volume, error = run(clock, dispense_to(a_pump(clock, reason="its motor stalled"), 0.62, 0.6, clock))
    assert isinstance(error, LimitTripError)
    assert str(error) == "the pump at 0.5 of 0.62 mL: its motor stalled"


def test_a_dose_that_never_ends_is_given_up() -> None:
    clock = virtual_clock()
    _volume, error = run(clock, dispense_to(a_pump(clock, runs_s=1e9, rate=0.0), 0.62, 0.6, clock))
    assert isinstance(error, LimitTripError)
    assert "long after it should be done" in str(error)
    assert clock.now() == pytest.approx(1.5 * 12.0 + 30.0, abs=1.1)


def test_the_guard_stops_the_pump_however_the_plan_ends() -> None:
    clock = virtual_clock()
    pump = a_pump(clock)

    def fails() -> Generator[Msg, Any, Any]:
        yield from bps.null()
        raise RuntimeError("oops")

    for inner in (bps.null(), fails()):
        run(clock, pump_guard(inner, pump))
    assert pump.log == ["stop", "stop"]


def a_holder(clock: VirtualClock, *, final: float = 37.0, reason: str = "") -> Any:
    def row(since: float) -> Row:
        block = final - 12.0 * math.exp(-since / 60.0)
        probe = math.nan if 200.0 < since < 204.0 else block - 3.0 * math.exp(-since / 100.0)
        return {"temperature": block, "probe": probe, "valid": int(not reason), "reason": reason}

    return Played("cuvette_holder", clock, row)


def test_settling_waits_for_the_liquid_and_lets_it_soak() -> None:
    times = {}
    for key in (None, "cuvette_holder_probe"):
        clock = virtual_clock()
        holder = a_holder(clock)
        ended, error = run(
            clock, settle(holder, 37.0, clock, devices=[holder], key=key, soak_s=60.0, ramp_k_per_min=2.0)
        )
        assert error is None
        assert ended == "near"
        assert holder.log[0] == (37.0, {"ramp_k_per_min": 2.0})
        times[key] = clock.now()
    # the block is within 0.2 K after 246 s (12 exp(-t/60)), the liquid later
    assert times[None] == pytest.approx(250.0 + 60.0, abs=5.1)
    assert times["cuvette_holder_probe"] > times[None] + 30.0


def test_settling_ends_with_words_where_it_cannot() -> None:
    clock = virtual_clock()
    _ended, error = run(clock, settle(a_holder(clock, final=35.0), 37.0, clock, time_out_s=600.0))
    assert isinstance(error, LimitTripError)
    assert str(error) == "cuvette_holder_temperature is at 35.00 degC after 600 s, 37 degC is wanted"
    _ended, error = run(clock, settle(a_holder(clock, reason="no coolant"), 37.0, clock))
    assert str(error) == "the cuvette holder: no coolant"


def test_an_invalid_reading_begins_the_dwell_anew() -> None:
    clock: Any = Watch()
    rule = near(clock, "T", 37.0, tolerance=0.2, dwell_s=10.0, time_out_s=100.0)

    def look(value: float, wait_s: float) -> str | None:
        clock.time_s += wait_s
        return rule({"T": {"value": value, "timestamp": 0.0}})

    assert [look(value, 5.0) for value in (37.0, 37.1, math.nan, 36.9, 37.0, 37.1)] == [None] * 5 + ["near"]
    assert look(30.0, 70.0) == "time-out"


def test_the_guard_switches_the_holder_off_where_the_plan_fails() -> None:
    clock = virtual_clock()
    holder = a_holder(clock)

    def fails() -> Generator[Msg, Any, Any]:
        yield from bps.null()
        raise RuntimeError("oops")

    run(clock, holder_guard(bps.null(), holder))
    assert holder.log == []
    _result, error = run(clock, holder_guard(fails(), holder))
    assert isinstance(error, RuntimeError)
    assert holder.log == ["off"]
