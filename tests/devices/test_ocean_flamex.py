"""The spectrometer's driver against the simulated Flame-X, stock seabreeze between them, each in its own process."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.protocols import Readable, Stageable, Triggerable
from pydantic import ValidationError

from devices import ocean_flamex, ocean_session
from devices.ocean_flamex import OceanFlameX
from nanolab.errors import DeviceError, RefusedError
from nanolab.interfaces import DeviceContext, Spectrometer
from nanolab.simulation import SimulationHandle, start_server

Make = Callable[..., OceanFlameX]


def serve(speed: float | str) -> SimulationHandle:
    return start_server(speed=speed, drivers={"spectrometer": "ocean_flamex"})


@pytest.fixture(scope="module")
def fast() -> Iterator[SimulationHandle]:
    with serve("max") as handle:
        yield handle


@pytest.fixture(scope="module")
def real_time() -> Iterator[SimulationHandle]:
    with serve(1.0) as handle:
        yield handle


class Faults:
    """Switches faults of one bench, and all of them off again."""

    def __init__(self, bench: SimulationHandle) -> None:
        self._bench = bench

    def __call__(self, name: str, on: bool = True) -> None:
        self._bench.simulation.fault("spectrometer", name, on)

    def clear(self) -> None:
        for active in self._bench.simulation.faults()["active"]:
            self(active["fault"], False)


@pytest.fixture
def fault(fast: SimulationHandle) -> Iterator[Faults]:
    faults = Faults(fast)
    yield faults
    faults.clear()


def make_device(address: str, wall_clock: bool = False, **settings: Any) -> OceanFlameX:
    checked = OceanFlameX.Settings(**settings)
    return OceanFlameX(DeviceContext("spectrometer", address, checked, True, lambda: 12.5, wall_clock))


def address_of(bench: SimulationHandle) -> str:
    return f"tcp://{bench.instruments['spectrometer']['tcp']}"


@pytest.fixture
def make(fast: SimulationHandle) -> Iterator[Make]:
    made: list[OceanFlameX] = []

    def build(address: str | None = None, connect: bool = True, **settings: Any) -> OceanFlameX:
        device = make_device(address or address_of(fast), **settings)
        made.append(device)
        if connect:
            device.connect()
        return device

    yield build
    for device in made:
        device.disconnect()
    assert not [thread.name for thread in threading.enumerate() if "nanolab-spectrometer" in thread.name]
    assert not [thread.name for thread in threading.enumerate() if "ocean" in thread.name]


def spectrum(device: OceanFlameX) -> Any:
    device.trigger().wait(10)
    return device.counts.get()


def pid_of(device: OceanFlameX) -> int:
    pid = device._session.pid
    assert pid is not None
    return pid


def has_ended(pid: int, within_s: float = 5.0) -> bool:
    limit = time.monotonic() + within_s
    while time.monotonic() < limit:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True  # an orphan that nobody has reaped yet
        time.sleep(0.02)
    return False


# --- the contract ------------------------------------------------------------------------------------------


def test_it_is_what_plans_ask_for(make: Make) -> None:
    device = make("tcp://192.0.2.1:9", connect=False)  # an address that would hang: the constructor says nothing to it
    assert isinstance(device, Spectrometer)
    assert isinstance(device, Readable)
    assert isinstance(device, Triggerable)
    assert isinstance(device, Stageable)
    assert device.identity() == {}
    with pytest.raises(DeviceError, match="spectrometer: is not connected"):
        device.trigger().wait(1)
    assert [row.ok for row in device.health()] == [False, False, False]
    device.disconnect()


def test_identity_and_configuration(make: Make) -> None:
    device = make(integration_time="30 ms", stray_light=4e-4)
    assert dict(device.identity()) == {
        "maker": "Ocean Insight",
        "model": "FLAMEX",
        "serial": "FLMX01234",
        "firmware": "295",
    }
    configuration = {key: value["value"] for key, value in device.read_configuration().items()}
    pixel = np.arange(2136)
    expected = 345.0 + pixel * (0.3455 + pixel * (-1.25e-5 + pixel * -1e-9))
    assert np.allclose(configuration["spectrometer_wavelengths"], expected, rtol=1e-6)
    assert configuration["spectrometer_integration_time"] == 0.03
    assert configuration["spectrometer_averages"] == 1
    assert configuration["spectrometer_full_scale"] == 65535.0
    assert configuration["spectrometer_nonlinearity"] == pytest.approx([1.0, -1.5e-7, 0.0, 0.0])
    assert configuration["spectrometer_stray_light"] == 4e-4
    device.connect()  # again: nothing happens
    rows = device.health()
    assert [row.ok for row in rows] == [True, True, True]
    assert "FLMX01234" in rows[0].detail
    assert "degC" in rows[1].detail


def test_readings_have_units_shapes_and_lab_time(make: Make) -> None:
    device = make()
    spectrum(device)
    described, read = device.describe(), device.read()
    assert set(read) == {f"spectrometer_{what}" for what in ("counts", "saturated", "lamp_on", "valid", "reason")}
    counts = described["spectrometer_counts"]
    assert (counts["dtype"], counts["shape"], counts["units"]) == ("array", [2136], "counts")
    assert counts["source"].startswith("simulated:tcp://127.0.0.1:")
    assert device.describe_configuration()["spectrometer_integration_time"]["units"] == "s"
    assert {value["timestamp"] for value in read.values()} == {12.5}
    assert read["spectrometer_valid"]["value"] == 1
    assert read["spectrometer_reason"]["value"] == ""
    with pytest.raises(RefusedError):
        device.counts.set(np.zeros(3))


def test_it_runs_in_a_run_engine(make: Make) -> None:
    device = make()
    documents: list[tuple[str, Any]] = []
    engine = RunEngine({})

    def plan() -> Any:
        yield from bps.configure(device, {"integration_time": 0.01})
        yield from bp.count([device], num=2)

    engine(plan(), lambda name, document: documents.append((name, document)))
    events = [document for name, document in documents if name == "event"]
    assert len(events) == 2
    assert events[0]["data"]["spectrometer_counts"].shape == (2136,)
    assert not np.array_equal(events[0]["data"]["spectrometer_counts"], events[1]["data"]["spectrometer_counts"])
    (descriptor,) = [document for name, document in documents if name == "descriptor"]
    assert descriptor["configuration"]["spectrometer"]["data"]["spectrometer_integration_time"] == 0.01


# --- light and exposure ------------------------------------------------------------------------------------


def test_the_lamp_is_switched_and_no_old_spectrum_is_recorded(make: Make) -> None:
    device = make()
    dark = spectrum(device).mean()
    device.lamp(True).wait(5)
    light = spectrum(device).mean()
    device.lamp(True).wait(5)
    assert device.lamp_on.get() == 1
    device.lamp(False).wait(5)
    dark_again = spectrum(device).mean()
    assert dark == pytest.approx(1507, abs=10)
    assert dark_again == pytest.approx(dark, abs=10)
    assert light > dark + 5000
    assert device.lamp_on.get() == 0


def test_integration_time_scales_the_counts(make: Make) -> None:
    device = make(integration_time="5 ms")
    device.lamp(True).wait(5)
    short = spectrum(device)
    device.integration_time.set(0.01).wait(5)
    long = spectrum(device)
    chosen = short > 4000
    assert np.median((long[chosen] - 1505) / (short[chosen] - 1505)) == pytest.approx(2.0, rel=0.02)
    assert device.integration_time.get() == 0.01
    device.integration_time.set(0.0101).wait(5)  # too small a change to be seen: taken on trust
    assert device.integration_time.limits == pytest.approx((1e-5, 10.0))
    for wrong in (5e-6, 10.5):
        with pytest.raises(DeviceError, match=r"cannot integrate for .* between 1e-05 s and 10 s"):
            device.integration_time.set(wrong)
        with pytest.raises(DeviceError, match="cannot integrate"):
            device.integration_time.check_value(wrong)


def test_without_a_discard_the_first_spectrum_is_an_old_one(make: Make) -> None:
    """Breaks the guard on purpose: the simulated detector does what real ones do."""
    device = make(discard_after_change=0, check_light=False)
    spectrum(device)
    device.lamp(True).wait(5)
    first, second = spectrum(device).mean(), spectrum(device).mean()
    assert first == pytest.approx(1507, abs=10)
    assert second > 5000


def test_averages_give_the_noise_of_the_mean(make: Make) -> None:
    device = make(averages=25)
    spectrum(device)
    noise = device.read()["spectrometer_noise"]["value"]
    assert noise.shape == (2136,)
    # read noise of 45 counts, dark current and dark drift are small
    assert np.mean(noise) == pytest.approx(45.0 / 5.0, rel=0.05)
    assert device.read_configuration()["spectrometer_averages"]["value"] == 25


def test_saturation_is_flagged(make: Make, fault: Faults) -> None:
    device = make(averages=2)
    device.lamp(True).wait(5)
    spectrum(device)
    assert device.saturated.get() == 0
    fault("saturated_spectrum")
    counts = spectrum(device)
    assert 200 < device.saturated.get() < 2136
    # a pixel counts where any of the averaged exposures was saturated: its mean may lie just below
    clipped = np.count_nonzero(counts >= 0.98 * 65535)
    assert clipped <= device.saturated.get() <= 1.02 * clipped
    assert device.valid.get() == 1
    device.integration_time.set(10.0).wait(5)  # all pixels saturated: no change could be seen any more
    device.integration_time.set(5.0).wait(5)
    spectrum(device)
    assert device.saturated.get() > 1500


def test_stage_and_unstage_restore(make: Make) -> None:
    device = make()
    device.stage()
    device.lamp(True).wait(5)
    device.integration_time.set(0.01).wait(5)
    spectrum(device)
    device.unstage()
    assert device.integration_time.get() == 0.02
    assert spectrum(device).mean() == pytest.approx(1507, abs=10)
    device.stage()
    device._session.drop()
    device.unstage()  # the child has gone: nothing is started for that
    assert not device._session.alive


def test_a_lamp_that_is_always_on(make: Make) -> None:
    device = make(lamp="always on")
    device.lamp(True).wait(1)
    assert device._session.lamp_on
    with pytest.raises(DeviceError, match="cannot be switched off"):
        device.lamp(False).wait(1)
    assert spectrum(device).mean() == pytest.approx(1507, abs=10)  # nobody has touched the strobe output


# --- a clock on the wall -----------------------------------------------------------------------------------


def test_exposures_take_their_time_on_a_wall_clock(real_time: SimulationHandle) -> None:
    device = make_device(address_of(real_time), True, integration_time="60 ms", lamp_settle="0 s", averages=2)
    device.connect()
    try:
        device.lamp(True).wait(5)
        start = time.monotonic()
        spectrum(device)
        assert time.monotonic() - start > 0.115
        assert device.valid.get() == 1
    finally:
        device.disconnect()


def test_a_spectrum_that_comes_too_soon_is_invalid(real_time: SimulationHandle) -> None:
    device = make_device(
        address_of(real_time), True, integration_time="10 ms", discard_after_change=0, check_light=False
    )
    device.connect()
    try:
        spectrum(device)
        device.integration_time.set(0.1).wait(5)
        assert np.isnan(spectrum(device)).all()  # the exposure of 10 ms that was under way
        assert device.valid.get() == 0
        assert "sooner than its integration time of 0.1 s" in device.reason.get()
        assert np.isfinite(spectrum(device)).all()
        assert device.valid.get() == 1
        assert device.reason.get() == ""
    finally:
        device.disconnect()


# --- faults ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("silent", "it is connected, but silent"),
        ("slow_reply", "it is connected, but silent"),
        ("half_frame", "it sent only 32 of 64 bytes"),
        ("wrong_checksum", "checksum of its reply is wrong"),
        ("port_vanishes", "refuses the connection"),
    ],
)
def test_faults_when_connecting(make: Make, fault: Faults, name: str, words: str) -> None:
    fault(name)
    device = make(connect=False, deadline="1.5 s")
    start = time.monotonic()
    with pytest.raises(DeviceError, match=words) as caught:
        device.connect()
    assert time.monotonic() - start < 8.0  # the start of the child process is not in the deadline
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("spectrometer: cannot be opened: no spectrometer answers at tcp://127.0.0.1:")
    assert device._session.pid is None
    fault(name, False)
    device.connect()
    assert spectrum(device).shape == (2136,)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("silent", "no answer to 'acquire' within 1.54 s"),
        ("nack_spectrum", "no answer to 'acquire' within 1.54 s"),
        ("half_frame", "no answer to 'acquire' within 1.54 s"),
        ("slow_reply", "no answer to 'acquire' within 1.54 s"),
        ("port_vanishes", "taking a spectrum failed: seabreeze: SeaBreezeError"),
    ],
)
def test_faults_in_the_middle_of_a_run(make: Make, fault: Faults, name: str, words: str) -> None:
    device = make(deadline="1.5 s", integration_time="20 ms")
    device.lamp(True).wait(5)
    light = spectrum(device).mean()
    device.lamp(False).wait(5)
    device.lamp(True).wait(5)
    device._session._to_discard = 1
    pid = pid_of(device)
    fault(name)
    start = time.monotonic()
    with pytest.raises(DeviceError, match=words) as caught:
        device.trigger().wait(10)
    assert time.monotonic() - start < 5.0
    assert "\n" not in str(caught.value)
    assert has_ended(pid)
    fault(name, False)
    # the next request starts a new child, with integration time and lamp as they were
    assert spectrum(device).mean() == pytest.approx(light, rel=0.01)
    assert pid_of(device) != pid


@pytest.mark.parametrize("name", ["lamp_off", "stale_spectrum"])
def test_a_lamp_that_does_not_light_is_noticed(make: Make, fault: Faults, name: str) -> None:
    device = make()
    spectrum(device)
    spectrum(device)
    fault(name)
    for _ in range(2 if name == "lamp_off" else 1):
        with pytest.raises(DeviceError, match="the lamp was switched on, but the counts did not rise"):
            device.lamp(True).wait(5)
    fault(name, False)
    for _ in range(4):
        spectrum(device)
    device.lamp(True).wait(5)  # not taken for done because it was told before
    assert spectrum(device).mean() > 5000


def test_an_integration_time_that_does_not_change_is_noticed(make: Make, fault: Faults) -> None:
    device = make()
    device.lamp(True).wait(5)
    fault("stale_spectrum")
    with pytest.raises(DeviceError, match=r"integration time was changed to 0.01 s, but the counts did not fall"):
        device.integration_time.set(0.01).wait(5)


def test_a_child_that_is_killed_is_started_again(make: Make) -> None:
    device = make()
    child = device._session._child
    assert child is not None
    os.kill(child.pid, signal.SIGKILL)
    # the leader of a thread group is a zombie a moment before the group can be waited for
    assert child._process.wait(5) == -signal.SIGKILL
    assert spectrum(device).shape == (2136,)


def test_a_child_that_dies_in_the_middle_of_a_request(make: Make, fault: Faults) -> None:
    device = make(deadline="20 s")
    fault("nack_spectrum")
    status = device.trigger()
    with pytest.raises(TimeoutError):
        status.wait(0.1)
    os.kill(pid_of(device), signal.SIGKILL)
    with pytest.raises(DeviceError, match="ended by signal 9"):
        status.wait(5)


def test_disconnecting_does_not_wait_for_a_spectrum_that_never_comes(
    make: Make, fault: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ocean_flamex, "CLOSE_S", 0.1)
    device = make(deadline="30 s")
    fault("nack_spectrum")
    status = device.trigger()
    pid = pid_of(device)
    start = time.monotonic()
    device.disconnect()
    assert time.monotonic() - start < 3
    assert has_ended(pid)
    with pytest.raises(DeviceError):
        status.wait(1)
    device.disconnect()


def test_disconnecting_from_a_silent_instrument(make: Make, fault: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocean_session, "CLOSE_S", 0.1)
    device = make()
    device.lamp(True).wait(5)
    pid = pid_of(device)
    fault("silent")
    device.disconnect()
    assert has_ended(pid)


def test_the_lamp_is_off_after_disconnecting(make: Make) -> None:
    first = make()
    first.lamp(True).wait(5)
    pid = pid_of(first)
    first.disconnect()
    assert has_ended(pid)
    second = make(lamp="always on", discard_after_change=2)  # never touches the strobe output
    assert spectrum(second).mean() == pytest.approx(1507, abs=10)


# --- bench files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "settings", "words"),
    [
        (None, {"serial": "FLMX99999"}, "serial number FLMX01234 answers at tcp://.*, but FLMX99999 is wanted"),
        (None, {"model": "FlameY"}, "seabreeze knows no model 'FlameY'; it knows .*FlameX"),
        (None, {"model": "STS"}, "seabreeze finds no STS at tcp://"),
        (None, {"integration_time": "11 s"}, "cannot integrate for 11 s"),
        ("tcp://127.0.0.1", {}, "address 'tcp://127.0.0.1' is not understood"),
        ("COM3", {}, "address 'COM3' is not understood"),
        ("tcp://no-such-host.invalid:1", {}, "the host 'no-such-host.invalid' is not known"),
        ("usb:ABC123", {}, "no spectrometer with serial number ABC123 on USB"),
    ],
)
def test_what_a_bench_file_can_say_wrong(make: Make, address: str | None, settings: dict[str, str], words: str) -> None:
    device = make(address, connect=False, **settings)
    with pytest.raises(DeviceError, match=words):
        device.connect()
    assert device._session.pid is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"integration_time": "20 K"},
        {"integration_time": "0 s"},
        {"averages": 0},
        {"discard_after_change": -1},
        {"lamp": "off"},
        {"saturation_fraction": 1.1},
        {"deadline": "0 s"},
        {"backend": "fortran"},
        {"intergration_time": "20 ms"},
    ],
)
def test_settings_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OceanFlameX.Settings(**wrong)


# --- nothing is left over ----------------------------------------------------------------------------------

OWNER = """
import sys, time
from devices.ocean_flamex import OceanFlameX
from nanolab.interfaces import DeviceContext
context = DeviceContext("spectrometer", sys.argv[1], OceanFlameX.Settings(), True, time.time, False)
device = OceanFlameX(context)
device.connect()
print(device._session.pid, flush=True)
sys.stdin.read()
"""


def test_the_child_ends_when_its_parent_is_killed(fast: SimulationHandle) -> None:
    command = [sys.executable, "-c", OWNER, address_of(fast)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.kill()
    assert has_ended(pid)
