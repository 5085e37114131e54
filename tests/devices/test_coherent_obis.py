"""The OBIS driver against literal transcripts; every byte sent is written here."""

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from devices.coherent_obis import CoherentOBIS
from devices.obis_words import error_words, trouble
from nanolab.errors import DeviceError, OffNotConfirmedError, RefusedError
from nanolab.interfaces import DeviceContext
from nanolab.testing import CLOSE, ScriptedServer

Step = tuple[str, bytes | None]

SETTINGS: dict[str, Any] = {
    "wavelength": "808 nm",
    "max_power": "80 mW",
    "transmission": "0.80±0.02",
    "calibration_date": "2026-03-01",
    "deadline": "5 s",
}


@pytest.fixture(autouse=True)
def _close_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """pyserial sleeps 0.3 s whenever it closes a socket."""
    monkeypatch.setattr("serial.urlhandler.protocol_socket.time", SimpleNamespace(sleep=lambda _seconds: None))


def values(*pairs: tuple[str, str]) -> list[Step]:
    """Queries: the value, then OK (golden vector 2)."""
    return [(query, value.encode() + b"\r\nOK\r\n") for query, value in pairs]


def done(*commands: str) -> list[Step]:
    """Commands that are carried out: OK."""
    return [(command, b"OK\r\n") for command in commands]


def look(state: str = "OFF", status: str = "00000004", fault: str = "00000000", power: str = "0.00000",
         current: str = "0.0000") -> list[Step]:  # fmt: skip
    return values(("SOUR:AM:STAT?", state), ("SYST:STAT?", status), ("SYST:FAUL?", fault), ("SOUR:POW:LEV?", power),
                  ("SOUR:POW:CURR?", current), ("SOUR:TEMP:DIOD?", "25.0C"))  # fmt: skip


HANDSHAKE = done("SYST:COMM:HAND ON", "SYST:COMM:PROM OFF")
IDENTITY = values(
    ("SYST:INF:MOD?", "OBIS 808nm 100mW C"), ("SYST:INF:SNUM?", "SN1010101"), ("SYST:INF:FVER?", "V1.0.1")
)
RATING = values(("SYST:INF:WAV?", "808.0"), ("SOUR:POW:LIM:LOW?", "0.00100"), ("SOUR:POW:LIM:HIGH?", "0.11000"))
CONNECT = [*HANDSHAKE, *IDENTITY, *RATING, *values(("SYST:AUT?", "OFF")), *look()]
OFF = done("SOUR:AM:STAT OFF")
OFF_DARK = [*OFF, *look()]
PROTECTED = values(("SYST:LOCK?", "ON"), ("SYST:STAT?", "00000004"), ("SYST:FAUL?", "00000000"))
GATES = [*values(("SYST:AUT?", "OFF")), *PROTECTED, *values(("SYST:STAT?", "00000004"))]
SET = [*values(("SOUR:AM:SOUR?", "CWP")), *done("SOUR:POW:LEV:IMM:AMPL 0.050000"),
       *values(("SOUR:POW:LEV:IMM:AMPL?", "0.05000"))]  # fmt: skip
SWITCH = [*values(("SOUR:AM:STAT?", "OFF")), *done("SOUR:AM:STAT ON")]
LIT = look("ON", "00000006", power="0.04998", current="0.1520")
DELAY = look("ON", "00000014")
ON = [*look(), *GATES, *SET, *SWITCH, *LIT]


@contextlib.contextmanager
def laser(
    transcript: Sequence[Step], connect: Sequence[Step] = CONNECT, **changes: Any
) -> Iterator[tuple[Any, ScriptedServer]]:
    with ScriptedServer([*connect, *transcript], ends=b"\r") as server:
        settings = CoherentOBIS.Settings.model_validate({**SETTINGS, **changes})
        context = DeviceContext("laser", server.address, settings, False, time.time, may_emit=lambda: None)
        device = CoherentOBIS(context)
        device.connect()
        try:
            yield device, server
        finally:
            device._link.close()


def reading(device: Any) -> dict[str, Any]:
    device.trigger().wait(5.0)
    return {key.removeprefix("laser_"): value["value"] for key, value in device.read().items()}


def test_on_and_off_are_seen_in_state_status_power_and_current() -> None:
    with laser([*ON, *LIT, *OFF_DARK]) as (device, _server):
        device.set(0.04).wait(5.0)
        found = reading(device)
        assert found.pop("measured_power") == pytest.approx(0.039984)
        assert found == {"power": 0.04, "emitting": 1, "current": 0.152, "temperature": 25.0, "valid": 1, "reason": "",
                         "starting": 0}  # fmt: skip
        device.set(0).wait(5.0)
        assert device.power.get() == 0.0 and device.emitting.get() == 0
        assert device.identity() == {
            "maker": "Coherent", "model": "OBIS 808nm 100mW C", "serial": "SN1010101", "firmware": "V1.0.1",
        }  # fmt: skip


def test_the_delay_before_emission_is_a_start_and_no_emission() -> None:
    steps = [*look(), *GATES, *SET, *SWITCH, *DELAY, *DELAY, *LIT]
    with laser(steps) as (device, _server):
        device.set(0.04).wait(5.0)
        found = reading(device)
        assert (found["emitting"], found["starting"], found["valid"], found["power"]) == (0, 1, 1, 0.0)
        found = reading(device)
        assert (found["emitting"], found["starting"], found["valid"], found["power"]) == (1, 0, 1, 0.04)


def test_a_delay_that_counts_down_is_not_off() -> None:
    with laser([*OFF, *DELAY, *OFF_DARK]) as (device, _server):
        assert device.off().confirmed


def test_more_power_while_it_emits_is_written_and_on_is_not_repeated() -> None:
    gates = [
        *values(("SYST:AUT?", "OFF"), ("SYST:LOCK?", "ON"), ("SYST:STAT?", "00000006"), ("SYST:FAUL?", "00000000"))
    ]
    change = [*values(("SOUR:AM:SOUR?", "CWP")), *done("SOUR:POW:LEV:IMM:AMPL 0.100000"),
              *values(("SOUR:POW:LEV:IMM:AMPL?", "0.10000"), ("SOUR:AM:STAT?", "ON"))]  # fmt: skip
    with laser([*ON, *LIT, *gates, *change, *LIT]) as (device, server):
        device.set(0.04).wait(5.0)
        device.set(0.08).wait(5.0)
        assert server.received.count("SOUR:AM:STAT ON") == 1


def test_a_laser_found_emitting_after_power_up_is_turned_off_and_not_armed(caplog: pytest.LogCaptureFixture) -> None:
    autostart = values(("SYST:AUT?", "ON"))
    connect = [*HANDSHAKE, *IDENTITY, *RATING, *autostart, *LIT, *OFF_DARK]
    steps = [*OFF_DARK, *autostart, *look(), *autostart, *look(), *autostart]
    with laser(steps, connect) as (device, _server):
        assert "it was found emitting on connecting (emission on, 49.98 mW at the head" in device.found_emitting
        assert "keep its beam blocked whenever its mains come back" in caplog.text
        with pytest.raises(RefusedError, match="its autostart is enabled: it emits whenever its mains come back"):
            device.stage()
        with pytest.raises(RefusedError, match="its autostart is enabled"):
            device.set(0.04).wait(5.0)
        with pytest.raises(RefusedError, match="its autostart is enabled"):
            device.resume()


def test_autostart_that_the_bench_file_allows_is_no_obstacle() -> None:
    connect = [*HANDSHAKE, *IDENTITY, *RATING, *values(("SYST:AUT?", "ON")), *look(), *OFF_DARK]
    steps = [*OFF_DARK, *look(), *PROTECTED, *values(("SYST:STAT?", "00000004")), *SET, *SWITCH, *LIT]
    with laser(steps, connect, autostart="allow") as (device, _server):
        assert device.found_emitting == ""
        device.stage()
        device.set(0.04).wait(5.0)


@pytest.mark.parametrize(
    ("gates", "said"),
    [
        (values(("SYST:LOCK?", "OFF")), r"the interlock is open\. Close the interlock"),
        (values(("SYST:LOCK?", "ON"), ("SYST:STAT?", "02000004"), ("SYST:FAUL?", "00000000")), "turn its key on"),
        (values(("SYST:LOCK?", "ON"), ("SYST:STAT?", "00000001"), ("SYST:FAUL?", "00000003")),
         "the laser reports a fault; fault: base plate temperature, diode temperature"),
        ([("SYST:LOCK?", b"ERR-100\r\n"), *values(("SYST:STAT?", "00000100"), ("SYST:FAUL?", "00000000"),
          ("SYST:STAT?", "00000100"))], "not ready yet"),
    ],
)  # fmt: skip
def test_protections_refuse_emission_before_anything_is_written(gates: list[Step], said: str) -> None:
    with (
        laser([*look(), *values(("SYST:AUT?", "OFF")), *gates]) as (device, _server),
        pytest.raises(RefusedError, match=said),
    ):
        device.set(0.04).wait(5.0)


DARK_ON = 4 * look("OFF", "00000004")


@pytest.mark.parametrize(
    ("steps", "error", "said"),
    [
        ([*SET[:1], ("SOUR:POW:LEV:IMM:AMPL 0.050000", b"ERR-220\r\n")], DeviceError, "bad parameter.*received 'ERR-220'"),
        ([*SET[:2], *values(("SOUR:POW:LEV:IMM:AMPL?", "0.04000"))], DeviceError, "did not take 0.050000 W"),
        ([*values(("SOUR:AM:SOUR?", "DIGITAL"), ("SOUR:AM:STAT?", "ON"))], DeviceError, "emits in mode DIGITAL"),
        ([*values(("SOUR:AM:SOUR?", "CWC"), ("SOUR:AM:STAT?", "OFF")), *done("SOUR:AM:INT CWP"),
          *values(("SOUR:AM:SOUR?", "CWC"))], DeviceError, "does not go to constant power"),
        ([*SET, *values(("SOUR:AM:STAT?", "OFF")), ("SOUR:AM:STAT ON", b"ERR-200\r\n")], DeviceError, "execution error"),
        ([*SET, *SWITCH, *DARK_ON, *PROTECTED], DeviceError, "told to emit, and its read-back does not say so"),
        ([*SET, *SWITCH, *DARK_ON, *values(("SYST:LOCK?", "OFF"))], RefusedError, "the interlock is open"),
    ],
)  # fmt: skip
def test_what_goes_wrong_while_switching_on_ends_with_off(steps: list[Step], error: type[Exception], said: str) -> None:
    with laser([*look(), *GATES, *steps, *OFF_DARK]) as (device, _server):
        with pytest.raises(error, match=said):
            device.set(0.04).wait(5.0)
        assert device.off_report.confirmed


def test_another_mode_is_set_right_while_it_is_dark() -> None:
    mode = [*values(("SOUR:AM:SOUR?", "CWC"), ("SOUR:AM:STAT?", "OFF")), *done("SOUR:AM:INT CWP")]
    with laser([*look(), *GATES, *mode, *SET, *SWITCH, *LIT]) as (device, _server):
        device.set(0.04).wait(5.0)


def test_less_than_the_head_can_give_is_refused() -> None:
    with (
        laser([]) as (device, _server),
        pytest.raises(RefusedError, match=r"the head gives 0\.0008 W at the sample plane"),
    ):
        device.set(0.0005)


def test_off_is_not_confirmed_while_any_read_back_speaks_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.laser_head.OFF_CONFIRMED_WITHIN_S", 0.0)
    for stuck in (look("ON", "00000006"), look(status="00000006"), look(power="0.02"), look(current="0.1"), DELAY):
        with laser([*OFF, *stuck, *OFF, *stuck]) as (device, _server):
            report = device.off()
            assert not report.confirmed
            assert "Turn the key of the Coherent laser to off, open its interlock or cut its mains" in report.by_hand
            with pytest.raises(OffNotConfirmedError, match="OFF NOT CONFIRMED"):
                device.set(0.0).wait(5.0)


def test_an_error_on_off_does_not_keep_it_from_being_confirmed() -> None:
    with laser([("SOUR:AM:STAT OFF", b"ERR-200\r\n"), *look()]) as (device, _server):
        report = device.off()
        assert report.confirmed and "execution error" in report.detail


def test_a_late_ok_is_not_taken_for_an_answer() -> None:
    """Negative vector (a): the OK of a query comes after its time is up, and another query follows."""
    with laser([("SOUR:AM:STAT?", b"OFF\r\n"), *IDENTITY, *look(), *look()]) as (device, server):
        device._link.deadline_s = 0.2
        with pytest.raises(DeviceError, match=r"answered only half a line within its deadline.*received 'OFF"):
            reading(device)
        device._link.deadline_s = 5.0
        server.push(b"OK\r\n")
        assert reading(device)["valid"] == 1
        assert len(server.connections) == 2


def test_an_old_reply_cannot_pass_for_off() -> None:
    """A value that was still in the line: the serial number is asked for until it is what comes back."""
    resynchronised = values(("SYST:INF:SNUM?", "OFF"), ("SYST:INF:SNUM?", "SN1010101"))
    with laser([("SOUR:AM:STAT?", CLOSE), *OFF, *resynchronised, *look()]) as (device, _server):
        with pytest.raises(DeviceError, match="lost the connection"):
            reading(device)
        assert device.off().confirmed


def test_replies_that_never_fit_confirm_nothing() -> None:
    never = [*OFF, *values(("SYST:INF:SNUM?", "OFF"), ("SYST:INF:SNUM?", "OFF"))]
    with laser([("SOUR:AM:STAT?", CLOSE), *never, *never]) as (device, _server):
        with pytest.raises(DeviceError):
            reading(device)
        report = device.off()
        assert not report.confirmed and "its serial number SN1010101 is wanted" in report.detail


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"OK\r\n", "a value and OK are wanted"),
        (b"OFF\r\nOFF\r\nOK\r\n", "a value and OK are wanted"),
        (b"MAYBE\r\nOK\r\n", "ON or OFF is wanted"),
        (b"ERR-520\r\n", r"the controller got no answer from the laser in time; sent 'SOUR:AM:STAT\?'"),
        (b"ERR520\r\n", "the controller got no answer from the laser in time"),
        (b"ERR-999\r\n", "no words for"),
        (b"\r\n".join([b"1"] * 8) + b"\r\n", "OK or ERR is wanted at the end"),
    ],
)
def test_answers_that_are_none_are_errors(reply: bytes, said: str) -> None:
    with laser([("SOUR:AM:STAT?", reply)]) as (device, _server), pytest.raises(DeviceError, match=said):
        reading(device)


@pytest.mark.parametrize(("place", "reply", "said"), [(1, b"0x4", "hexadecimal"), (3, b"nan", "a number")])
def test_words_and_numbers_are_looked_at(place: int, reply: bytes, said: str) -> None:
    steps = look()[: place + 1]
    steps[place] = (steps[place][0], reply + b"\r\nOK\r\n")
    with laser(steps) as (device, _server), pytest.raises(DeviceError, match=f"{said}.* is wanted"):
        reading(device)


def test_a_value_behind_the_ok_of_a_command_is_an_error() -> None:
    with laser([*look(), *GATES, *SET[:1], ("SOUR:POW:LEV:IMM:AMPL 0.050000", b"1\r\nOK\r\n"), *OFF, *OFF,
                *values(("SYST:INF:SNUM?", "SN1010101")), *look()]) as (device, _server):  # fmt: skip
        with pytest.raises(DeviceError, match="OK alone is wanted"):
            device.set(0.04).wait(5.0)
        assert device.off_report.confirmed


def test_a_unit_that_does_not_shake_hands_is_named() -> None:
    with pytest.raises(DeviceError, match="OK alone is wanted"), laser([], [("SYST:COMM:HAND ON", b"1\r\nOK\r\n")]):
        pass


def test_a_command_that_was_left_half_sent_spoils_the_first_command_only() -> None:
    with laser([], [("SYST:COMM:HAND ON", b"ERR-220\r\n"), *CONNECT]) as (device, _server):
        assert device.identity()["serial"] == "SN1010101"


def test_the_channel_stands_on_the_subsystem() -> None:
    connect = [
        (command if "COMM" in command else command.replace("SYST", "SYST3").replace("SOUR", "SOUR3", 1), reply)
        for command, reply in CONNECT
    ]
    with laser([("SOUR3:AM:STAT OFF", b"OK\r\n"), *connect[-6:]], connect, channel=3) as (device, _server):
        assert device.off().confirmed


@pytest.mark.parametrize(
    ("identity", "changes", "said"),
    [
        ([("SYST:INF:MOD?", b"ERR-241\r\n")], {}, r"no laser answers on this channel.*\(channel 0\). Set channel in"),
        (
            values(("SYST:INF:MOD?", "Sapphire"), ("SYST:INF:SNUM?", "S1"), ("SYST:INF:FVER?", "1")),
            {},
            "an OBIS is wanted",
        ),
        (IDENTITY, {"serial": "S7"}, "serial number SN1010101 answers at .* but S7 is wanted"),
        ([*IDENTITY, *RATING], {"wavelength": "785 nm"}, "emits at 808 nm, and bench.toml says 785 nm"),
        ([*IDENTITY, *RATING], {"max_power": "0.1 W"}, "needs 0.125 W at the head by its transmission"),
    ],
)
def test_the_wrong_laser_is_named(identity: list[Step], changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DeviceError, match=said), laser([], [*HANDSHAKE, *identity], **changes):
        pass


def test_commands_are_paced_where_the_bench_file_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with laser([*look(), *OFF_DARK], pause="0.1 s") as (device, server):
        now, rested = [1000.0], list[str]()

        def rest(seconds: float) -> None:
            now[0] += seconds
            if rested[-1:] != server.received[-1:]:
                rested.append(server.received[-1])

        monkeypatch.setattr(device._link, "rest", rest)
        monkeypatch.setattr("devices.laser_head.time", SimpleNamespace(monotonic=lambda: now[0]))
        device._pace.replied()
        reading(device)
        assert len(rested) == 6
        rested.clear()
        assert device.off().confirmed
        assert rested[0] == "SOUR:AM:STAT OFF", "nothing rests before it"


def test_readings_that_are_not_what_was_set() -> None:
    steps = [*ON, *look(), *look(fault="00008000"), *look("ON", "00000006", power="0.03000", current="0.1")]
    with laser(steps) as (device, _server):
        device.set(0.04).wait(5.0)
        assert reading(device)["reason"] == "it does not emit, though 0.04 W is set"
        assert reading(device)["reason"] == "fault: fatal fault"
        device._commanded_at -= 10.0
        device._light_since = device._commanded_at
        found = reading(device)
        assert found["reason"] == "the head reports 0.024 W at the sample plane, 0.04 W is set"
        assert math.isnan(found["power"]) and found["valid"] == 0


def test_a_power_that_cannot_be_read_is_invalid_and_confirms_nothing() -> None:
    from devices.laser_head import HeadLook

    with laser([]) as (device, _server):
        unread = HeadLook(False, False, math.nan, 0.0, 25.0, "", "", 1e-3, 0.02)
        device._note(unread)
        assert device.reason.get() == "the power at the head cannot be read" and device.valid.get() == 0
        assert not unread.dark


def test_a_reconnection_is_audited_and_a_start_under_way_passes() -> None:
    begin = [*look(), *GATES, *SET, *SWITCH, *DELAY]
    lost = [("SOUR:AM:STAT?", CLOSE), *IDENTITY]
    steps = [*begin, *lost, *DELAY, *DELAY, *lost, *look(), *OFF, *OFF_DARK]
    with laser(steps) as (device, _server):
        device.set(0.04).wait(5.0)
        with pytest.raises(DeviceError, match="lost the connection"):
            reading(device)
        assert reading(device)["starting"] == 1
        with pytest.raises(DeviceError, match="lost the connection"):
            reading(device)
        with pytest.raises(DeviceError, match=r"after reconnecting its output is off, but 0\.04 W was set"):
            reading(device)
        assert device.off().confirmed


def test_health_tells_interlock_autostart_and_hours() -> None:
    well = [*IDENTITY, *PROTECTED, *look(), *values(("SYST:AUT?", "OFF"), ("SYST:AUT?", "OFF"), ("SYST:CDRH?", "ON"),
            ("SYST:DIOD:HOUR?", "310.00"))]  # fmt: skip
    ill = [
        *IDENTITY,
        *values(("SYST:LOCK?", "OFF")),
        *LIT,
        *values(("SYST:AUT?", "ON")),
        ("SYST:DIOD:HOUR?", b"ERR-100\r\n"),
    ]
    with laser([*well, *ill]) as (device, _server):
        rows = {row.what: row for row in device.health()}
        assert all(row.ok for row in rows.values())
        assert rows["autostart"].detail == "off; delay before emission on"
        rows = {row.what: row for row in device.health()}
        assert [name for name, row in rows.items() if not row.ok] == [
            "interlock, key and other protections", "output", "autostart", "diode hours",
        ]  # fmt: skip
        assert "it emits (emission on" in rows["output"].detail


def test_words_of_the_manual() -> None:
    assert trouble(0x4, 0) == "" and trouble(0x8000_0006, 0x8000_0000) == ""
    assert trouble(0x0400_0000, 0) == "the interlock is open. Close the interlock."
    assert trouble(0, 0x0200_0000) == "fault: unknown bits 02000000"
    assert error_words(-100) == "unknown command" and error_words(-900) == error_words(900) == "CCB timed out"


def test_settings_are_checked() -> None:
    for changes, said in (({"channel": 9}, "less than or equal to 6"), ({"autostart": "yes"}, "'refuse' or 'allow'")):
        with pytest.raises(ValidationError, match=said):
            CoherentOBIS.Settings.model_validate({**SETTINGS, **changes})
