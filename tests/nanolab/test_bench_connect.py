"""Opening and closing a bench: addresses, permission to emit, failures that name the device, laser off first."""

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from nanolab.bench import connect
from nanolab.bench.config import BenchConfig, DeviceConfig
from nanolab.bench.connect import Bench, open_bench
from nanolab.engine.clock import WallClock
from nanolab.errors import (
    DeviceError,
    NanolabError,
    OffNotConfirmedError,
    RefusedError,
    UsageError,
)
from nanolab.interfaces import DeviceContext, OffReport
from nanolab.simulation import SimulationHandle

REAL = "tcp://192.0.2.1:5025"
LOG: list[str] = []


class Settings(BaseModel):
    position: str = "pickoff"


class FakeDriver:
    """A driver that writes down what is done to it; `fails` and `off_report` are set by the tests."""

    fails: ClassVar[dict[str, BaseException]] = {}
    off_answer: ClassVar[OffReport | Exception] = OffReport(True, "off: read back 0")

    def __init__(self, context: DeviceContext) -> None:
        self.name, self.context = context.name, context

    def connect(self) -> None:
        if self.name in self.fails:
            raise self.fails[self.name]
        LOG.append(f"connect {self.name}")

    def disconnect(self) -> None:
        LOG.append(f"disconnect {self.name}")
        if f"disconnect {self.name}" in self.fails:
            raise self.fails[f"disconnect {self.name}"]

    def off(self) -> OffReport:
        LOG.append("off")
        if isinstance(self.off_answer, Exception):
            raise self.off_answer
        return self.off_answer


class FakeSimulation:
    address = "127.0.0.1:4"

    def __init__(self, speed: float | str = "max", held: bool = False) -> None:
        self.loaded: list[str] = []
        self._speed, self._held = speed, held

    def clock(self) -> WallClock:
        return WallClock()

    def speed(self) -> float | str:
        return self._speed

    def advance(self, seconds: float) -> float:
        if self._held:
            raise RefusedError("simulated bench: another client moves the clock")
        LOG.append(f"advance {seconds:g}")
        return 0.0

    def load(self, cuvette: str) -> None:
        self.loaded.append(cuvette)

    def add(self, what: str) -> None:
        self.loaded.append(f"add {what}")

    def withdraw(self, ml: float, replace: bool = True) -> None:
        self.loaded.append(f"withdraw {ml:g} {replace}")

    def close(self) -> None:
        LOG.append("end of simulation")


@pytest.fixture(autouse=True)
def drivers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    LOG.clear()
    monkeypatch.setattr(connect, "load", lambda _group, _name: FakeDriver)
    monkeypatch.setattr(FakeDriver, "fails", {})
    yield


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Have a fake simulation started in place of a server; says with what it was started."""
    seen = SimpleNamespace(options={}, simulation=FakeSimulation())

    def start(**options: Any) -> SimulationHandle:
        seen.options = options
        return handle(seen.simulation, options["drivers"])

    monkeypatch.setattr(connect, "start_server", start)
    return seen


def handle(simulation: Any, drivers: dict[str, str]) -> SimulationHandle:
    places = {
        role: {"driver": driver, "tcp": f"127.0.0.1:{7000 + i}"} for i, (role, driver) in enumerate(drivers.items())
    }
    return SimulationHandle(simulation, places)


def bench_with(**addresses: str) -> BenchConfig:
    devices = {
        role: DeviceConfig(driver=f"acme_{role}", address=address, settings=Settings())
        for role, address in addresses.items()
    }
    return BenchConfig(version=1).model_copy(update=devices)


# --- permission and addresses -----------------------------------------------------------------------------------


def test_a_simulated_bench_starts_its_server_with_what_the_file_says(served: SimpleNamespace) -> None:
    config = bench_with(laser="simulated", powermeter="simulated")
    simulation = config.simulation.model_copy(update={"seed": 7})
    with open_bench(config.model_copy(update={"simulation": simulation})) as bench:
        assert bench.simulated == {"laser": True, "powermeter": True, "cuvette": True}
        assert bench.devices["laser"].context.address == "tcp://127.0.0.1:7000"
        assert bench.devices["laser"].context.may_emit() is None
        assert bench.data_root == config.bench.data
    assert served.options == {
        "world": None,
        "seed": 7,
        "speed": "max",
        "meter_position": "pickoff",
        "drivers": {"laser": "acme_laser", "powermeter": "acme_powermeter"},
    }


def test_a_real_laser_may_not_emit() -> None:
    with open_bench(bench_with(laser=REAL)) as bench:
        context = bench.devices["laser"].context
        assert (context.address, context.simulated, context.wall_clock) == (REAL, False, True)
        assert context.may_emit() == "the laser is not armed; call arm() of the bench, or use `nanolab run`"
        with pytest.raises(RefusedError, match="guardian: the driver 'acme_laser' has no off recipe"):
            bench.arm(yes=True)
        assert bench.simulated == {"laser": False, "cuvette": False}


def test_one_device_may_be_simulated_beside_real_ones(served: SimpleNamespace) -> None:
    with open_bench(bench_with(laser="simulated", thermocouple=REAL)) as bench:
        assert bench.devices["laser"].context.may_emit() is None
        assert bench.devices["thermocouple"].context.may_emit() is not None
        assert bench.devices["thermocouple"].context.address == REAL
        assert bench.simulated == {"laser": True, "thermocouple": False, "cuvette": False}
    assert served.options["speed"] == 1.0


def test_a_bench_that_says_simulated_without_a_simulator_may_not_emit_either() -> None:
    device = DeviceConfig(driver="acme_laser", address="simulated", settings=Settings())
    laser = connect.build_device("laser", device, WallClock(), None)
    assert laser.context.simulated is False
    assert laser.context.may_emit() is not None


# --- closing ----------------------------------------------------------------------------------------------------


def test_the_laser_goes_off_before_anything_is_closed(served: SimpleNamespace) -> None:
    with open_bench(bench_with(thermocouple="simulated", laser="simulated")) as bench:
        LOG.clear()
    assert LOG == ["off", "disconnect laser", "disconnect thermocouple", "end of simulation"]
    assert bench.off_report == OffReport(True, "off: read back 0")
    LOG.clear()
    assert bench.close() == OffReport(True, "off: read back 0")
    assert LOG == []


def test_the_laser_goes_off_when_the_body_fails() -> None:
    with pytest.raises(KeyboardInterrupt), open_bench(bench_with(laser=REAL)):
        raise KeyboardInterrupt
    assert LOG == ["connect laser", "off", "disconnect laser"]


def test_a_second_interrupt_cannot_stop_the_switching_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(self: FakeDriver) -> OffReport:
        os.kill(os.getpid(), signal.SIGINT)
        LOG.append("off")
        return OffReport(True, "off")

    monkeypatch.setattr(FakeDriver, "off", off)
    before = signal.getsignal(signal.SIGINT)
    with open_bench(bench_with(laser=REAL)):
        pass
    assert LOG == ["connect laser", "off", "disconnect laser"]
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("answer", [OffReport(False, "OUTP1? 1", "Turn the key"), OSError("the cable is out")])
def test_off_not_confirmed_overrides_every_other_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, answer: OffReport | Exception
) -> None:
    monkeypatch.setattr(FakeDriver, "off_answer", answer)
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(OffNotConfirmedError) as caught,
        open_bench(bench_with(laser=REAL)),
    ):
        raise NanolabError("something else")
    assert str(caught.value).startswith("OFF NOT CONFIRMED: ")
    assert int(caught.value.exit_code) == 8
    assert "OFF NOT CONFIRMED" in caplog.text


def test_without_another_error_the_report_tells_that_off_is_not_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeDriver, "off_answer", OffReport(False, "OUTP1? 1", "Turn the key"))
    with open_bench(bench_with(laser=REAL)) as bench:
        pass
    assert bench.off_report == OffReport(False, "OUTP1? 1", "Turn the key")
    assert LOG[-1] == "disconnect laser"


def test_one_instrument_that_cannot_be_closed_does_not_keep_the_others_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeDriver, "fails", {"disconnect laser": OSError("stuck")})
    with open_bench(bench_with(laser=REAL, thermocouple=REAL)):
        LOG.clear()
    assert LOG == ["off", "disconnect laser", "disconnect thermocouple"]


def test_a_bench_without_a_laser_has_nothing_to_switch_off() -> None:
    bench = Bench(BenchConfig(version=1), WallClock())
    assert bench.emergency_off().confirmed
    assert bench.close().confirmed


# --- failing to open ----------------------------------------------------------------------------------------------


def failing(monkeypatch: pytest.MonkeyPatch, **errors: BaseException) -> NanolabError:
    monkeypatch.setattr(FakeDriver, "fails", errors)
    config = bench_with(laser=REAL, thermocouple="tcp://192.0.2.2:5025", powermeter="USB0::1::2::INSTR")
    with pytest.raises(NanolabError) as caught, open_bench(config):
        pytest.fail("the bench was opened")
    return caught.value


def test_a_silent_device_is_named_with_its_address_and_the_others_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    error = failing(monkeypatch, thermocouple=DeviceError("thermocouple", "no answer", remedy="Look at the cable"))
    assert isinstance(error, DeviceError)
    assert error.device == "thermocouple"
    assert str(error) == "thermocouple: acme_thermocouple at tcp://192.0.2.2:5025: no answer. Look at the cable"
    assert {"connect laser", "connect powermeter"} <= set(LOG)
    assert LOG[-2:] == ["disconnect laser", "disconnect powermeter"]
    assert LOG.count("off") == 1


def test_all_devices_that_fail_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    error = failing(monkeypatch, laser=OSError("Connection refused"), powermeter=DeviceError("powermeter", "silent"))
    assert isinstance(error, DeviceError)
    first, second = str(error).split("\n")
    assert first.startswith(f"laser: acme_laser at {REAL}: OSError: Connection refused. Look at power, cable and")
    assert second == "powermeter: acme_powermeter at USB0::1::2::INSTR: silent"
    # the laser was never connected: nothing of ours can be emitting, and exit 8 would cry wolf
    assert "off" not in LOG


def test_a_refusal_keeps_its_own_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    error = failing(
        monkeypatch, laser=DeviceError("laser", "silent"), thermocouple=RefusedError("the interlock is open")
    )
    assert isinstance(error, RefusedError)


# --- somebody else's simulated bench -------------------------------------------------------------------------------


def test_a_bench_that_is_serving_is_joined_and_its_clock_taken() -> None:
    simulation: Any = FakeSimulation()
    with open_bench(bench_with(laser="simulated"), sim=handle(simulation, {"laser": "acme_laser"})) as bench:
        assert "advance 0" in LOG
        bench.devices["cuvette"].set("blank")
        bench.devices["cuvette"].set("meter")
        bench.devices["aliquot"].set(0.1, replace=False)
    assert simulation.loaded == ["blank", "empty", "withdraw 0.1 False"]
    assert LOG[-1] == "end of simulation"


def test_a_clock_that_runs_by_itself_is_not_taken() -> None:
    simulation: Any = FakeSimulation(speed=60.0)
    with open_bench(bench_with(laser="simulated"), sim=handle(simulation, {"laser": "acme_laser"})):
        assert "advance 0" not in LOG


@pytest.mark.parametrize(
    ("simulation", "serves", "kind", "sentence"),
    [
        (FakeSimulation(), {"powermeter": "acme_powermeter"}, DeviceError, "serves none .it serves: powermeter"),
        (FakeSimulation(), {"laser": "other_laser"}, DeviceError, "wants a acme_laser.*serves a other_laser"),
        (FakeSimulation(held=True), {"laser": "acme_laser"}, RefusedError, "another client moves the clock"),
    ],
)
def test_a_bench_that_does_not_fit_is_refused_before_the_start(
    simulation: Any, serves: dict[str, str], kind: type[NanolabError], sentence: str
) -> None:
    with (
        pytest.raises(kind, match=sentence),
        open_bench(bench_with(laser="simulated"), sim=handle(simulation, serves)),
    ):
        pytest.fail("the bench was opened")
    assert LOG == ["end of simulation"]


def test_joining_needs_a_simulated_device() -> None:
    with (
        pytest.raises(UsageError, match="no device of this one is simulated"),
        open_bench(bench_with(laser=REAL), sim="x:1"),
    ):
        pytest.fail("the bench was opened")


def test_nobody_serves_at_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    opening: Callable[[], Any] = open_bench(bench_with(laser="simulated"), sim=f"127.0.0.1:{port}").__enter__
    with pytest.raises(DeviceError, match="no control port answers"):
        opening()


def test_a_clock_may_be_handed_in(served: SimpleNamespace) -> None:
    clock = WallClock()
    with open_bench(bench_with(laser="simulated"), clock=clock) as bench:
        assert bench.clock is clock
