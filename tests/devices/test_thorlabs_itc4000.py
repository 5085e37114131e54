"""The laser driver against literal transcripts; every byte sent is written here."""

import contextlib
import math
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from devices.thorlabs_itc4000 import ThorlabsITC4001, ThorlabsITC4005
from nanolab.errors import DeviceError, OffNotConfirmedError, RefusedError
from nanolab.interfaces import DeviceContext
from nanolab.testing import CLOSE, ScriptedServer

SETTINGS: dict[str, Any] = {
    "wavelength": "808 nm",
    "max_power": "0.6 W",
    "current_limit": "0.9 A",
    "threshold_current": "200 mA",
    "slope": "1.0±0.03 W/A",
    "calibration_date": "2026-03-01",
    "deadline": "5 s",
}
LOOK = "OUTP1?;:STAT:OPER:COND?;:STAT:MEAS:COND?;:MEAS:CURR1?;:MEAS:TEMP?;:SYST:ERR?"
OFF = f"OUTP1 OFF;:SOUR:CURR 0;:{LOOK}"
DARK = b'0;4096;0;0.00001;24.99;+0,"No error"\n'
DONE = b'+0,"No error"\n'
CONNECT: list[tuple[str, bytes | None]] = [
    ("*IDN?", b"THORLABS,ITC4001,M00315699,1.4.0/2.0.3/1.6.0\n"),
    ("*CLS;:SYST:ERR?", DONE),
    ("UNIT:TEMP C;:SYST:ERR?", DONE),
]
BEFORE_ON: list[tuple[str, bytes | None]] = [
    (LOOK, DARK),
    ("SOUR:CURR:LIM 0.90000;:SOUR:CURR:LIM?;:SYST:ERR?", b'0.9;+0,"No error"\n'),
    ("SOUR:FUNC:MODE?;:SOUR:FUNC:SHAP?;:SOUR:AM:STAT?;:OUTP1?;:SYST:ERR?", b'CURR;DC;0;0;+0,"No error"\n'),
    (
        "SOUR2:TEMP 25.000;:OUTP2 ON;:SOUR2:TEMP?;:OUTP2?;:STAT:OPER:COND?;:MEAS:TEMP?;:SYST:ERR?",
        b'25.0;1;4096;24.9;+0,"No error"\n',
    ),
    ("SOUR:CURR 0.50000;:SOUR:CURR?;:SYST:ERR?", b'0.5;+0,"No error"\n'),
]
SWITCH = "OUTP1 ON;:OUTP1?;:STAT:OPER:COND?;:SYST:ERR?"
ON: list[tuple[str, bytes | None]] = [*BEFORE_ON, (SWITCH, b'1;6144;+0,"No error"\n')]
GOODBYE: list[tuple[str, bytes | None]] = [(OFF, DARK)]


@contextlib.contextmanager
def laser(
    transcript: Sequence[tuple[str, bytes | None]], driver: Any = ThorlabsITC4001, **changes: Any
) -> Iterator[tuple[Any, ScriptedServer]]:
    with ScriptedServer([*CONNECT, *transcript]) as server:
        settings = driver.Settings.model_validate({**SETTINGS, **changes})
        context = DeviceContext("laser", server.address, settings, False, time.time, may_emit=lambda: None)
        device = driver(context)
        device.connect()
        try:
            yield device, server
        finally:
            device._link.close()
    assert not any(thread.name.startswith("nanolab-link") for thread in threading.enumerate())


def reading(device: Any) -> dict[str, Any]:
    device.trigger().wait(5.0)
    return {key.removeprefix("laser_"): value["value"] for key, value in device.read().items()}


def test_on_is_confirmed_by_output_and_status_word_and_off_by_all_three() -> None:
    lit = (LOOK, b'1;6144;0;0.49995;25.01;+0,"No error"\n')
    with laser([*ON, lit, (OFF, DARK), *GOODBYE]) as (device, _server):
        device.set(0.3).wait(5.0)
        assert reading(device) == {
            "power": 0.3,
            "emitting": 1,
            "current": 0.49995,
            "temperature": 25.01,
            "valid": 1,
            "reason": "",
        }
        device.set(0).wait(5.0)
        assert device.power.get() == 0.0 and device.emitting.get() == 0
        device.disconnect()
        assert device.off().confirmed, "a closed link that left the laser off"


def test_configuration_says_what_the_power_rests_on() -> None:
    with laser([]) as (device, _server):
        read = {key: value["value"] for key, value in device.read_configuration().items()}
        assert read["laser_wavelength"] == 808.0
        assert read["laser_slope"] == 1.0
        assert read["laser_threshold_current"] == 0.2
        assert read["laser_calibration_date"] == "2026-03-01"
        assert read["laser_serial"] == "M00315699"
        described = device.describe()["laser_power"]
        assert described["units"] == "W"
        assert described["source"].startswith("instrument:tcp://")
        assert device.identity()["firmware"] == "1.4.0/2.0.3/1.6.0"


@pytest.mark.parametrize(
    ("word", "said"),
    [(4, "the interlock is open. Close the interlock."), (1, "the key is off. Turn the key on."), (16, "inhibited")],
)
def test_protections_refuse_emission_before_anything_is_written(word: int, said: str) -> None:
    with (
        laser([(LOOK, b'0;4096;%d;0.0;25.0;+0,"No error"\n' % word)]) as (device, _server),
        pytest.raises(RefusedError, match=said),
    ):
        device.set(0.3).wait(5.0)


def test_an_interlock_that_opens_while_switching_on_is_named_and_the_laser_told_to_go_off() -> None:
    opened = b'0;4096;4;0.0;25.0;+0,"No error"\n'
    steps = [
        *BEFORE_ON,
        (SWITCH, b'0;4096;-221,"Settings conflict"\n'),
        ("SYST:ERR?", DONE),
        (LOOK, opened),
        (OFF, DARK),
    ]
    with laser(steps) as (device, _server):
        with pytest.raises(RefusedError, match="the interlock is open"):
            device.set(0.3).wait(5.0)
        assert device.off_report.confirmed


def test_a_read_back_that_never_says_on_is_an_error_and_goes_off() -> None:
    again = ("OUTP1?;:STAT:OPER:COND?;:SYST:ERR?", b'1;4096;+0,"No error"\n')
    steps = [*BEFORE_ON, (SWITCH, b'1;4096;+0,"No error"\n'), *[again] * 4, (LOOK, DARK), (OFF, DARK)]
    with (
        laser(steps) as (device, _server),
        pytest.raises(DeviceError, match="told to emit, and its read-back does not say so"),
    ):
        device.set(0.3).wait(5.0)


def test_silence_while_switching_on_sends_off_first_and_mends_the_connection() -> None:
    steps = [*BEFORE_ON, (SWITCH, b""), ("SYST:ERR?", b""), ("OUTP1 OFF;:SOUR:CURR 0", b""), (OFF, DARK)]
    with laser(steps, deadline="1 s") as (device, server):
        with pytest.raises(DeviceError, match="gave no whole reply"):
            device.set(0.3).wait(5.0)
        assert device.off_report.confirmed
        assert len(server.connections) >= 2


def test_a_limit_that_is_not_taken_is_an_error() -> None:
    steps = [BEFORE_ON[0], ("SOUR:CURR:LIM 0.90000;:SOUR:CURR:LIM?;:SYST:ERR?", b'0.5;+0,"No error"\n'), (OFF, DARK)]
    with (
        laser(steps) as (device, _server),
        pytest.raises(DeviceError, match=r"did not take 0\.90000 A; .* received '0\.5'"),
    ):
        device.set(0.3).wait(5.0)


def test_another_mode_is_set_right_while_the_output_is_off() -> None:
    modes = (BEFORE_ON[2][0], b'POW;PULS;1;0;+0,"No error"\n')
    right = ("SOUR:FUNC:MODE CURR;:SOUR:FUNC:SHAP DC;:SOUR:AM:STAT 0;:SYST:ERR?", DONE)
    with laser([*BEFORE_ON[:2], modes, right, *ON[3:]]) as (device, _server):
        device.set(0.3).wait(5.0)


def test_another_mode_while_the_output_is_on_is_an_error() -> None:
    modes = (BEFORE_ON[2][0], b'POW;DC;0;1;+0,"No error"\n')
    with (
        laser([*BEFORE_ON[:2], modes, (OFF, DARK)]) as (device, _server),
        pytest.raises(DeviceError, match="emits in mode POW DC"),
    ):
        device.set(0.3).wait(5.0)


@pytest.mark.parametrize(
    ("reply", "error", "said"),
    [
        (b'20.0;1;4096;24.9;+0,"No error"\n', DeviceError, "was set to 25 degC and says 20.0"),
        (b'25.0;0;0;24.9;+0,"No error"\n', DeviceError, "the TEC does not start"),
        (b'25.0;1;4096;41.0;+0,"No error"\n', RefusedError, "the diode is at 41.0 degC, 25 degC is wanted"),
        (b'25.0;1;4096;nan;+0,"No error"\n', RefusedError, "the diode is at nan degC"),
    ],
)
def test_the_tec_must_hold_the_diode(reply: bytes, error: type[Exception], said: str) -> None:
    with (
        laser([*BEFORE_ON[:3], (BEFORE_ON[3][0], reply), (OFF, DARK)]) as (device, _server),
        pytest.raises(error, match=said),
    ):
        device.set(0.3).wait(5.0)


def test_off_that_is_never_seen_says_what_to_do_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.thorlabs_itc4000.OFF_CONFIRMED_WITHIN_S", 0.0)
    stuck = b'0;2048;0;0.5;25.0;+0,"No error"\n'
    with laser([(OFF, stuck), (OFF, stuck), (OFF, stuck)]) as (device, _server):
        report = device.off()
        assert not report.confirmed
        assert "OUTP1? 0, status word laser on, diode current 500.0 mA" in report.detail
        assert "Turn the key of the ITC4001 to off" in report.by_hand
        with pytest.raises(OffNotConfirmedError, match="OFF NOT CONFIRMED"):
            device.set(0.0).wait(5.0)
        device._staged = device._staged.yes
        with pytest.raises(OffNotConfirmedError):
            device.unstage()


def test_off_waits_for_a_current_that_falls() -> None:
    with laser([(OFF, b'0;4096;0;0.3;25.0;+0,"No error"\n'), (OFF, DARK)]) as (device, _server):
        assert device.off().confirmed


def test_an_unreadable_current_confirms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.thorlabs_itc4000.OFF_CONFIRMED_WITHIN_S", 0.0)
    with laser([(OFF, b'0;4096;0;9.9E37;25.0;+0,"No error"\n')]) as (device, _server):
        assert not device.off().confirmed
        assert device.reason.get() == "the diode current cannot be read"
        assert device.valid.get() == 0


def test_an_error_in_the_queue_does_not_keep_off_from_being_confirmed() -> None:
    with laser([(OFF, b'0;4096;0;0.0;25.0;-221,"Settings conflict"\n')]) as (device, _server):
        report = device.off()
        assert report.confirmed and "Settings conflict" in report.detail


def test_off_tries_again_over_a_new_connection_and_then_gives_up_within_its_time() -> None:
    with laser([(OFF, CLOSE), (OFF, DARK)]) as (device, _server):
        assert device.off().confirmed
    with laser([(OFF, b""), ("OUTP1 OFF;:SOUR:CURR 0", b"")], deadline="0.5 s") as (device, server):
        server.expect((OFF, b""))
        server._script.pop(1)
        start = time.monotonic()
        report = device.off()
        assert time.monotonic() - start < 1.5
        assert not report.confirmed and "silent" in report.detail


def test_nothing_emits_after_off_until_it_is_armed_again() -> None:
    with laser([(OFF, DARK), (LOOK, b'0;4096;4;0;25;+0,"No error"\n'), (LOOK, DARK), *ON]) as (device, _server):
        device.off()
        with pytest.raises(RefusedError, match=r"it was turned off; stage it, or call resume\(\)"):
            device.set(0.3)
        with pytest.raises(RefusedError, match="the interlock is open"):
            device.resume()
        with pytest.raises(RefusedError):
            device.set(0.3)
        device.resume()
        device.set(0.3).wait(5.0)


def test_permission_and_limits_are_asked_before_the_first_byte() -> None:
    with laser([]) as (device, _server):
        device.context.may_emit = lambda: "no guardian"
        with pytest.raises(RefusedError, match="laser: emission is refused: no guardian"):
            device.set(0.3)
        for power in (0.61, -0.1, math.nan, math.inf, True, "0.3"):
            with pytest.raises(RefusedError, match="laser: "):
                device.set(power)


def test_off_overtakes_a_set_that_is_under_way() -> None:
    gate = threading.Event()
    steps = [*BEFORE_ON, (OFF, DARK)]
    with laser(steps) as (device, server):
        play = server._answer

        def answer(line: str) -> bytes | None:
            if line.startswith("SOUR:CURR 0.5"):
                gate.wait(5.0)
            return play(line)

        server._answer = answer
        status = device.set(0.3)
        limit = time.monotonic() + 5.0
        while "SOUR:CURR 0.50000;:SOUR:CURR?;:SYST:ERR?" not in server.received:
            assert time.monotonic() < limit
        off = threading.Thread(target=device.off)
        off.start()
        while not device._link._urgent:
            assert time.monotonic() < limit
        gate.set()
        off.join(5.0)
        with pytest.raises(DeviceError, match=r"gave way|given up"):
            status.wait(5.0)
        assert device.off_report.confirmed
        assert not any(line.startswith("OUTP1 ON") for line in server.received)


def test_a_set_that_hangs_is_followed_by_off() -> None:
    with laser([(LOOK, b""), (OFF, DARK)], deadline="1 s") as (device, server):
        worker = device._link._worker
        release = threading.Event()
        worker.transport.read_line = lambda _deadline_s: release.wait(10.0) and b""
        status = device.set(0.3)
        with pytest.raises(DeviceError, match="the connection hangs"):
            status.wait(5.0)
        limit = time.monotonic() + 5.0
        while OFF not in server.received:
            assert time.monotonic() < limit
        device._link.call(lambda: None)
        release.set()
        worker.thread.join(5.0)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b'0;4096;4;0.0;25.0;+0,"No error"\n', (0.0, 0, 0, "the interlock is open")),
        (b'0;4096;0;0.0;25.0;+0,"No error"\n', (0.0, 0, 0, "its output is off though 0.3 W is set")),
        (b'1;6144;8;0.4;25.0;+0,"No error"\n', (math.nan, 1, 0, "the diode current is at its limit")),
        (b'1;6144;0;0.3;25.0;+0,"No error"\n', (math.nan, 1, 0, "the diode current is 0.3000 A, 0.5000 A is set")),
    ],
)
def test_readings_that_are_not_what_was_set(reply: bytes, expected: tuple[float, int, int, str]) -> None:
    with laser([*ON, (LOOK, reply)]) as (device, _server):
        device.set(0.3).wait(5.0)
        device._commanded_at -= 10.0
        values = reading(device)
        found = (values["power"], values["emitting"], values["valid"], values["reason"])
        assert repr(found) == repr(expected)  # NaN equals nothing


def test_soft_start_is_no_fault() -> None:
    with laser([*ON, (LOOK, b'1;6144;0;0.1;25.0;+0,"No error"\n')]) as (device, _server):
        device.set(0.3).wait(5.0)
        assert reading(device)["valid"] == 1


def test_emission_that_nobody_asked_for_is_invalid() -> None:
    with laser([(LOOK, b'1;6144;0;0.5;25.0;+0,"No error"\n')]) as (device, _server):
        values = reading(device)
        assert values["emitting"] == 1 and values["valid"] == 0 and math.isnan(values["power"])
        assert "emits though it is told to be off" in values["reason"]


def test_staging_saves_and_gives_back() -> None:
    steps = [
        ("SOUR:CURR:LIM?;:SOUR2:TEMP?;:SYST:ERR?", b'1.0;22.5;+0,"No error"\n'),
        (OFF, DARK),
        BEFORE_ON[3],
        (OFF, DARK),
        ("SOUR:CURR:LIM 1.00000;:SOUR2:TEMP 22.500;:SYST:ERR?", DONE),
        (OFF, DARK),
    ]
    with laser(steps) as (device, _server):
        device.stage()
        device.unstage()
        device.unstage()


def test_staging_that_fails_leaves_it_unstaged() -> None:
    steps = [
        ("SOUR:CURR:LIM?;:SOUR2:TEMP?;:SYST:ERR?", b'-113,"Undefined header"\n'),
        ("SYST:ERR?", DONE),
        (OFF, DARK),
    ]
    with laser(steps) as (device, _server):
        with pytest.raises(DeviceError, match="-113 Undefined header"):
            device.stage()
        device.unstage()


def test_a_reconnection_is_audited() -> None:
    lost = b'0;0;0;0.0;25.0;+0,"No error"\n'
    steps = [*ON, (LOOK, CLOSE), CONNECT[0], (LOOK, lost), ("OUTP1 OFF;:SOUR:CURR 0", b""), CONNECT[0], (LOOK, lost)]
    with laser(steps) as (device, server):
        server.expect(("OUTP1 OFF;:SOUR:CURR 0", b""), (OFF, DARK))
        device.set(0.3).wait(5.0)
        with pytest.raises(DeviceError, match="lost the connection"):
            reading(device)
        for _time in range(2):
            with pytest.raises(DeviceError, match=r"after reconnecting its output is off, but 0\.3 W was set"):
                reading(device)
        assert device.off().confirmed


def test_a_reconnection_to_another_instrument_is_an_error() -> None:
    other = b"THORLABS,ITC4001,M99999999,1.4.0/2.0.3/1.6.0\n"
    with laser([(LOOK, CLOSE), ("*IDN?", other)]) as (device, _server):
        with pytest.raises(DeviceError, match="lost"):
            reading(device)
        with pytest.raises(DeviceError, match="another instrument answers now: serial M99999999, it was M00315699"):
            reading(device)


@pytest.mark.parametrize(
    ("identity", "changes", "said"),
    [
        (b"THORLABS,PM100D,P0012345,2.4.0\n", {}, "a THORLABS PM100D .serial P0012345. answers at .* but ITC4001 is"),
        (b"THORLABS,ITC4001,M1,1.0\n", {"serial": "M2"}, "serial number M1 answers at .* but M2 is wanted"),
        (b"THORLABS,ITC4001\n", {}, "garbled reply .maker, model, serial and firmware are wanted"),
        (b"TH~RL#BS,ITC4001,M1,1.0\n", {}, "garbled reply"),
        (b"THORLABS,ITC\xff4001,M1,1.0\n", {}, "garbled reply"),
        (b"", {}, "is silent within its deadline; sent '.IDN"),
        (CLOSE, {}, "lost the connection"),
    ],
)
def test_the_wrong_instrument_is_named_and_nothing_is_written_to_it(
    identity: bytes | None, changes: dict[str, Any], said: str
) -> None:
    with ScriptedServer([("*IDN?", identity)]) as server:
        settings = ThorlabsITC4001.Settings.model_validate({**SETTINGS, "deadline": "0.2 s", **changes})
        device = ThorlabsITC4001(DeviceContext("laser", server.address, settings, False, time.time))
        with pytest.raises(DeviceError, match=said):
            device.connect()
        assert not device._link.is_open
        report = device.off()
        assert not report.confirmed and "not connected" in report.detail


def test_health_tells_protections_and_emission() -> None:
    bad = b'1;6144;5;0.5;25.0;+0,"No error"\n'
    with laser([CONNECT[0], (LOOK, DARK), (LOOK, DARK), CONNECT[0], (LOOK, bad), (LOOK, bad)]) as (device, _server):
        assert [row.ok for row in device.health()] == [True, True, True]
        rows = {row.what: row for row in device.health()}
        assert "the key is off, the interlock is open" in rows["interlock, key and other protections"].detail
        assert not rows["output"].ok and "emits" in rows["output"].detail


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_power": "0.8 W"}, "max_power 0.8 W needs 1.000 A by threshold_current and slope"),
        ({"current_limit": "1.2 A"}, "beyond the controller's 1 A"),
        ({"wavelength": "808 W"}, "does not fit: 'nm' is wanted"),
        ({"max_power": "0 W"}, "must be above 0 W"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_settings_are_checked(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ThorlabsITC4001.Settings.model_validate({**SETTINGS, **changes})
    if "current_limit" in changes:
        ThorlabsITC4005.Settings.model_validate({**SETTINGS, **changes})
