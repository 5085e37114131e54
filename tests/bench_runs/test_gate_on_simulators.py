"""Dead-man box, lasers with a knob and shutter against their simulated instruments: contract suites, and what is theirs."""

import contextlib
import datetime
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from devices.deadman_box import DeadmanBox
from devices.gated_laser import GatedLaser
from devices.thorlabs_itc4000 import ThorlabsITC4005
from devices.thorlabs_sc10 import ThorlabsSC10
from nanolab.errors import RefusedError
from nanolab.interfaces import DeviceContext
from nanolab.safety.recipes import recipe_for
from nanolab.simulation import Simulation
from nanolab.testing import Rig, Toggler, laser_contract, shutter_contract
from nanolab.testing.rig import common, connected, finished, read_once, refused

KNOB: dict[str, Any] = {
    "wavelength": "808 nm",
    "power": "0.65±0.02 W",
    "calibration_date": datetime.date.today() - datetime.timedelta(days=30),
}
ITC: dict[str, Any] = {
    "wavelength": "808 nm",
    "max_power": "0.6 W",
    "current_limit": "1.0 A",
    "threshold_current": "0.287 A",
    "slope": "0.9 W/A",
    "deadline": "10 s",  # its first exchange imports pyvisa
}
CASES: dict[str, tuple[Any, dict[str, Any], str, tuple[Any, ...]]] = {
    "gated_laser": (GatedLaser, KNOB, "laser", laser_contract),
    "gated_laser_relay": (GatedLaser, {**KNOB, "gate": "relay", "relay": {}}, "laser", laser_contract),
    "thorlabs_sc10": (ThorlabsSC10, {}, "shutter", shutter_contract),
    "deadman_box": (DeadmanBox, {}, "deadman", common),
}
SERVED: dict[str, tuple[str, ...]] = {
    "gated_laser": ("laser=gated_laser", "shutter=thorlabs_sc10"),
    "gated_laser_relay": ("laser=gated_laser_relay",),
    "deadman_box": ("deadman=deadman_box", "laser=thorlabs_itc4005"),
}
STUCK = {"gated_laser": "relay_welded", "gated_laser_relay": "relay_welded"}
"""What the suite's `emission_stuck` is here."""


@dataclass
class Bench:
    """A served bench whose laser is let out by one of the gates."""

    control: Simulation
    truth: Simulation
    instruments: dict[str, Any]
    toggler: Toggler | None = None

    @property
    def laser(self) -> dict[str, Any]:
        """What is true of the laser now."""
        laser: dict[str, Any] = self.truth.call("truth")["truth"]["laser"]
        return laser


@contextlib.contextmanager
def served(*instruments: str) -> Iterator[Bench]:
    words = [sys.executable, "-m", "nanolab", "sim", "serve", "--speed", "max", "--json"]
    for instrument in instruments:
        words += ["--instrument", instrument]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    bench = Bench(Simulation(ready["control"]), Simulation(ready["truth"]), ready["instruments"])
    boxes = [place["tcp"] for place in bench.instruments.values() if place["driver"] in {"gated_laser", "deadman_box"}]
    try:
        with contextlib.ExitStack() as stack:
            for address in boxes:
                bench.toggler = stack.enter_context(Toggler(address))
            bench.control.advance(1.0)
            yield bench
    finally:
        bench.control.close()
        bench.truth.close()
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


@pytest.fixture(scope="module")
def benches() -> Iterator[dict[str, Bench]]:
    """Serve three benches, by the name of the driver; all at once, since what starts in a test must end with it."""
    with contextlib.ExitStack() as stack:
        found = {driver: stack.enter_context(served(*words)) for driver, words in SERVED.items()}
        found["thorlabs_sc10"] = found["gated_laser"]
        yield found


@contextlib.contextmanager
def rig_of(bench: Bench, driver: str, address: str = "", **changes: Any) -> Iterator[Rig]:
    driver_class, settings, role, _suite = CASES[driver]
    checked = driver_class.Settings.model_validate({**settings, **changes})
    place = address or f"tcp://{bench.instruments[role]['tcp']}"
    device = driver_class(DeviceContext(role, place, checked, True, bench.control.time_s, wall_clock=False))
    switched: dict[str, bool] = {}

    def fault(name: str, on: bool) -> None:
        bench.control.fault(role, STUCK.get(driver, name) if name == "emission_stuck" else name, on)
        switched[name] = on

    known = frozenset(bench.control.faults()["faults"][role])
    if driver in STUCK:
        known |= {"emission_stuck"}
    lit = "shutter_open" if role == "shutter" else "emitting"
    try:
        yield Rig(
            device, device.context, advance=bench.control.advance, fault=fault, faults=known,
            emitting=lambda: bool(bench.laser[lit]),
            # a box that a guardian feeds cannot be fed by the toggler of this bench too
            recipe=recipe_for("gated_laser", place, settings) if driver == "gated_laser_relay" else None,
        )  # fmt: skip
    finally:
        for name in [name for name, on in switched.items() if on]:
            fault(name, False)
        device.disconnect()
        if switched and bench.toggler is not None:
            # a box that was in FAULT stays there until its supply is cycled; then it wants two toggles again
            bench.control.fault(role, "brown_out", True) if role != "shutter" else None
            bench.control.fault(role, "brown_out", False) if role != "shutter" else None
            bench.toggler.go_on()
        bench.control.advance(1.0)


@pytest.mark.parametrize(
    ("driver", "check"),
    [(driver, check) for driver, case in CASES.items() for check in case[3]],
    ids=[f"{driver}-{check.__name__}" for driver, case in CASES.items() for check in case[3]],
)
def test_the_driver_keeps_its_contract_on_the_simulated_instrument(
    benches: dict[str, Bench], driver: str, check: Callable[..., None]
) -> None:
    check(lambda: rig_of(benches[driver], driver))


def _allowed(rig: Rig) -> Any:
    rig.context.may_emit = lambda: None
    rig.device.stage()
    return rig.device


def _wait(done: Callable[[], bool], within_s: float) -> float:
    """Wait (wall time) until something is so, and return how long it took."""
    start = time.monotonic()
    while not done():
        assert time.monotonic() - start < within_s, "it did not come"
    return time.monotonic() - start


def test_a_sender_that_stops_puts_the_laser_out_within_the_time_out(benches: dict[str, Bench]) -> None:
    bench = benches["gated_laser"]
    assert bench.toggler is not None
    with connected(lambda: rig_of(bench, "gated_laser")) as rig:
        finished(_allowed(rig).set(0.65))
        assert rig.emitting is not None and rig.emitting()
        bench.toggler.pause()
        took = _wait(lambda: rig.emitting is not None and not rig.emitting(), 3.0)
        assert took < 1.5, "500 ms and what a busy machine adds"
        values = read_once(rig.device)
        assert (values["laser_emitting"], values["laser_valid"], values["laser_power"]) == (0, 0, 0.0)
        assert values["laser_reason"] == "the contact is open though it was closed: no toggle came in time"
        with pytest.raises(RefusedError, match=r"no toggles arrive at it\. Start the guardian"):
            finished(rig.device.set(0.65))
        bench.toggler.go_on()
        # toggles alone close nothing
        assert not rig.emitting()
        finished(rig.device.set(0.65))


def test_only_the_power_of_the_knob_is_taken_and_the_refusal_says_what_to_do(benches: dict[str, Bench]) -> None:
    with connected(lambda: rig_of(benches["gated_laser"], "gated_laser")) as rig:
        laser = _allowed(rig)
        finished(laser.set(0.655))  # within the tolerance of 1 %
        assert read_once(laser)["laser_power"] == 0.65, "what is known, not what was asked for"
        for power in (0.5, 0.64, 0.66):
            with pytest.raises(RefusedError, match="turn the knob, measure at the sample plane"):
                laser.set(power)
        refused(lambda: laser.set("0.65"), "a word")
        refused(lambda: laser.set(True), "a truth value")


def test_what_the_read_back_cannot_see(benches: dict[str, Bench]) -> None:
    bench = benches["gated_laser"]
    with connected(lambda: rig_of(bench, "gated_laser")) as rig:
        laser = _allowed(rig)
        finished(laser.set(0.65))
        before = bench.laser["current_a"]
        rig.set_fault("knob_turned", True)
        assert bench.laser["current_a"] == pytest.approx(1.2 * before)
        values = read_once(laser)
        assert (values["laser_power"], values["laser_valid"]) == (0.65, 1), "nothing on the line tells of a knob"
        assert math.isnan(values["laser_current"])
        rig.set_fault("relay_welded_unseen", True)
        report = laser.off()
        assert report.confirmed, "the second pole says open"
        assert "this is about the contact, not the light" in report.detail
        assert rig.emitting is not None and rig.emitting(), "and light comes out: why the interlock is in hardware"


def test_an_old_calibration_is_a_caution_and_a_row_of_the_doctor(benches: dict[str, Bench]) -> None:
    with connected(lambda: rig_of(benches["gated_laser"], "gated_laser", recalibrate_after="7 day")) as rig:
        caution = rig.device.read_configuration()["laser_caution"]["value"]
        assert "was measured 30 days ago" in caution and "more than 7" in caution
        rows = {row.what: row for row in rig.device.health()}
        assert not rows["calibration of the power"].ok
        assert rows["door loop of the dead-man box"].ok
        assert rows["contact of the dead-man box"].ok
        rig.set_fault("interlock_open", True)
        assert not next(row for row in rig.device.health() if row.what.startswith("door")).ok
    with connected(lambda: rig_of(benches["gated_laser"], "gated_laser")) as rig:
        assert rig.device.read_configuration()["laser_caution"]["value"] == ""
        assert all(row.ok for row in rig.device.health())


@dataclass
class _Disconnected:
    """Disconnects a device in the end."""

    device: Any

    def close(self) -> None:
        self.device.disconnect()


def test_the_box_gates_a_laser_that_has_a_driver_of_its_own(benches: dict[str, Bench]) -> None:
    bench = benches["deadman_box"]
    context = DeviceContext(
        "laser", "tcp://" + bench.instruments["laser"]["tcp"], ThorlabsITC4005.Settings.model_validate(ITC), True,
        bench.control.time_s, wall_clock=False, may_emit=lambda: None,
    )  # fmt: skip
    laser = ThorlabsITC4005(context)
    with contextlib.closing(_Disconnected(laser)), connected(lambda: rig_of(bench, "deadman_box")) as rig:
        laser.connect()
        refused(lambda: finished(rig.device.arm()), "arming without permission")
        box = _allowed(rig)
        laser.stage()
        finished(laser.set(0.3))
        bench.control.advance(2.0)
        assert bench.laser["power_w"] == 0.0, "the controller drives, and the loop is open"
        finished(box.arm())
        values = read_once(box)
        assert (values["deadman_closed"], values["deadman_state"], values["deadman_valid"]) == (1, "CLOSED", 1)
        assert 0.0 <= values["deadman_toggle_age"] < 1.0
        bench.control.advance(2.0)
        assert bench.laser["power_w"] == pytest.approx(0.3, rel=0.1)
        assert box.open().confirmed
        assert bench.laser["power_w"] == 0.0
        refused(lambda: finished(box.arm()), "arming after open()")
        box.resume()
        finished(box.arm())
        assert not box.health()[1].ok, "a closed contact is no healthy rest"
        rig.set_fault("relay_welded", True)
        assert not box.open().confirmed
        _wait(lambda: read_once(box)["deadman_state"] == "FAULT", 2.0)
        assert "FAULT" in read_once(box)["deadman_reason"]
        assert not box.health()[1].ok
        refused(box.resume, "resume() in FAULT")


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
@pytest.mark.parametrize("driver", ["gated_laser", "gated_laser_relay", "thorlabs_sc10", "deadman_box"])
def test_on_and_off_through_a_pseudo_terminal(benches: dict[str, Bench], driver: str) -> None:
    bench = benches[driver]
    pty = bench.instruments[CASES[driver][2]]["pty"]
    changes = {"boot": "0 s"} if driver in {"gated_laser", "deadman_box"} else {}
    with connected(lambda: rig_of(bench, driver, pty, **changes)) as rig:
        device = _allowed(rig)
        finished(device.arm() if driver == "deadman_box" else device.set(0.65 if "laser" in driver else 1))
        assert read_once(device)[f"{device.name}_valid"] == 1
        device.stop()
        assert device.off_report.confirmed


def test_a_relay_that_answers_and_one_that_speaks_otherwise(benches: dict[str, Bench]) -> None:
    other = {**CASES["gated_laser_relay"][1]["relay"], "says_on": "on", "says_off": "off"}
    with rig_of(benches["gated_laser_relay"], "gated_laser_relay", relay=other, deadline="0.5 s", boot="0 s") as rig:
        with pytest.raises(Exception, match="answers neither 'on' nor 'off'"):
            rig.device.connect()
        assert not rig.device.connected_to_instrument


def test_a_shutter_between_a_lost_answer_and_a_blind_retry(benches: dict[str, Bench]) -> None:
    bench = benches["thorlabs_sc10"]
    with connected(lambda: rig_of(bench, "thorlabs_sc10", deadline="1.5 s")) as rig:
        shutter = _allowed(rig)
        rig.set_fault("lost_ens_reply", True)
        finished(shutter.set(1))
        assert rig.emitting is not None and rig.emitting(), "obeyed once, not twice"
        finished(shutter.set(0))
        assert not rig.emitting()
        rig.set_fault("lost_ens_reply", False)
        rig.set_fault("eaten_first_byte", True)
        assert shutter.shut().confirmed, "a mutilated command is asked again"
