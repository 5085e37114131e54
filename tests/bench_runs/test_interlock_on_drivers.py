"""The interlock behind the drivers, on the simulated bench, in a RunEngine that knows nothing of it."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import bluesky.plan_stubs as bps
import pytest
from bluesky import RunEngine
from bluesky.utils import FailedStatus, Msg

from devices.keysight_34970a import Keysight34970A
from devices.thorlabs_itc4000 import ThorlabsITC4005
from nanolab.errors import DeviceError, LimitTripError, RefusedError
from nanolab.interfaces import DeviceContext, OffReport
from nanolab.safety.interlock import Interlock
from nanolab.safety.limits import InterlockSettings, RunLimits
from nanolab.simulation import Simulation

LASER = {
    "wavelength": "808 nm",
    "max_power": "1.6 W",
    "current_limit": "2.2 A",
    "threshold_current": "0.287 A",
    "slope": "0.90 W/A",
    "deadline": "10 s",  # a busy machine is no fault of the laser's
}


@dataclass
class Rig:
    """Laser and thermometer behind an interlock; `events` is the order in which things happened."""

    control: Simulation
    truth: Simulation
    instruments: dict[str, Any]
    limits: RunLimits
    events: list[str] = field(default_factory=list)
    later_s: float = 0.0

    def __post_init__(self) -> None:
        self.interlock = Interlock(
            InterlockSettings(self.limits),
            self.off,
            lab_time=self.control.time_s,
            on_trip=lambda trip: self.events.append(f"told {trip.rule}, emitting {self.emitting}"),
            monotonic=lambda: time.monotonic() + self.later_s,
        )
        self.laser = self.make("laser", ThorlabsITC4005, LASER)
        self.thermocouple = self.make("thermocouple", Keysight34970A, {})
        self.devices = [self.laser, self.thermocouple]

    def make(self, role: str, driver: Any, settings: dict[str, Any]) -> Any:
        checked = driver.Settings.model_validate(settings)
        address = "tcp://" + self.instruments[role]["tcp"]
        return driver(
            DeviceContext(
                role, address, checked, True, self.control.time_s, False, self.interlock.may_emit, self.interlock.judge
            )
        )

    def off(self) -> OffReport:
        self.events.append(f"off, emitting {self.emitting}")
        report: OffReport = self.laser.off()
        return report

    @property
    def emitting(self) -> bool:
        """Whether light really comes out."""
        return bool(self.truth.call("truth")["truth"]["laser"]["emitting"])


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Simulation, Simulation, dict[str, Any]]]:
    words = [sys.executable, "-m", "nanolab", "sim", "serve", "--speed", "max", "--json"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    control, truth = Simulation(ready["control"]), Simulation(ready["truth"])
    yield control, truth, ready["instruments"]
    control.close()
    truth.close()
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


@contextlib.contextmanager
def rig(served: tuple[Simulation, Simulation, dict[str, Any]], max_temperature_c: float = 60.0) -> Iterator[Rig]:
    control, truth, instruments = served
    control.load("sample")
    made = Rig(control, truth, instruments, RunLimits(1.6, max_temperature_c, 1e4, 1e4))
    for device in made.devices:
        device.connect()
        device.stage()
    try:
        yield made
    finally:
        for name in ("open_couple", "silent"):
            control.fault("thermocouple", name, False)
        for device in made.devices:
            device.disconnect()


def heat(made: Rig, seconds: int, fault: str | None = None) -> Generator[Msg, Any, None]:
    """Heat and read; somebody's plan, with no judge, that goes on whatever it reads."""
    yield from bps.trigger(made.thermocouple, wait=True)
    yield from bps.mv(made.laser, 1.0)
    for second in range(seconds):
        made.control.advance(1.0)
        if fault is not None and second == 5:
            made.control.fault("thermocouple", fault, True)
        for device in made.devices:
            yield from bps.trigger(device, wait=True)
        made.events.append("read")


def cause_of(error: BaseException) -> BaseException | None:
    """Return what failed the status."""
    return error.args[0].exception() if error.args and hasattr(error.args[0], "exception") else error.__cause__


@pytest.mark.parametrize(
    ("fault", "max_c", "rules"),
    [
        (None, 26.0, {"forecast", "max_temperature"}),
        ("open_couple", 60.0, {"invalid_temperature"}),
        ("silent", 60.0, {"read_error"}),
    ],
)
def test_a_trip_turns_the_laser_off_before_the_status_fails(
    served: tuple[Simulation, Simulation, dict[str, Any]], fault: str | None, max_c: float, rules: set[str]
) -> None:
    engine = RunEngine({}, context_managers=[])
    with rig(served, max_c) as made:
        with pytest.raises(FailedStatus) as caught:
            engine(heat(made, 120, fault))
        # an instrument that is silent says more of itself than the trip does
        assert isinstance(cause_of(caught.value), DeviceError if fault == "silent" else LimitTripError)
        trip = made.interlock.trips[0]
        assert trip.rule in rules
        # it emitted until then, was told to go off, was dark when anybody was told, and only then the status failed
        assert made.events[-2:] == ["off, emitting True", f"told {trip.rule}, emitting False"]
        assert trip.off_confirmed
        # off is one exchange, which has a deadline
        assert 0.0 < trip.reaction_s < 10.0
        assert trip.off_detail.startswith("OFF (off: OUTP1? 0")
        with pytest.raises(RefusedError, match="the interlock has tripped"):
            made.laser.resume()
        made.laser.unstage()
        made.laser.stage()  # armed again as far as the driver is concerned
        with pytest.raises(RefusedError, match="the interlock has tripped"):
            made.laser.set(0.1)


def test_a_thermometer_that_fails_while_the_laser_is_off_is_an_error_and_no_trip(
    served: tuple[Simulation, Simulation, dict[str, Any]],
) -> None:
    with rig(served) as made:
        made.control.fault("thermocouple", "silent", True)
        with pytest.raises(DeviceError, match="gave no whole reply"):
            made.thermocouple.trigger().wait(20.0)
        assert made.interlock.trips == []


def test_a_plan_that_hangs_is_turned_off_by_the_timer(
    served: tuple[Simulation, Simulation, dict[str, Any]],
) -> None:
    with rig(served) as made:
        made.thermocouple.trigger().wait(10.0)
        made.laser.set(0.5).wait(10.0)
        assert made.emitting
        made.interlock.look()
        assert made.emitting
        made.later_s = 3.5  # nobody has read anything meanwhile
        made.interlock.look()
        assert not made.emitting
        assert made.interlock.trips[0].rule == "stale_temperature"
        with pytest.raises(LimitTripError, match="stale_temperature"):
            made.thermocouple.trigger().wait(10.0)


def test_turning_off_ends_the_watch(served: tuple[Simulation, Simulation, dict[str, Any]]) -> None:
    with rig(served) as made:
        made.thermocouple.trigger().wait(10.0)
        made.laser.set(0.5).wait(10.0)
        made.laser.set(0.0).wait(10.0)
        made.later_s = 100.0
        made.interlock.look()
        assert made.interlock.trips == []
        assert made.interlock.may_emit() is None
