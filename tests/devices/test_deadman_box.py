"""The drivers of the dead-man box and of the laser behind a contact, against literal transcripts."""

import contextlib
import datetime
import math
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from devices.deadman_box import DeadmanBox
from devices.deadman_wire import BoxTransport
from devices.gated_laser import GatedLaser, GatedLaserSettings
from devices.serial_line import SerialTransport
from nanolab.errors import DeviceError, OffNotConfirmedError, RefusedError
from nanolab.interfaces import DeviceContext
from nanolab.safety.deadman import crc8
from nanolab.testing import CLOSE, LineServer, ScriptedServer

Steps = list[tuple[str, bytes | None]]


def line(fields: str) -> bytes:
    return f"{fields}*{crc8(fields.encode()):02X}\n".encode()


IDENTITY = ("I", b"I,nanolab,deadman-box,0001,1.0*02\n")
OPEN = b"S,OPEN,COMMAND,0,40,0,0,1*D6\n"
OPENING = b"S,OPEN,COMMAND,0,40,0,1,1*BD\n"
CLOSED = b"S,CLOSED,RESET,0,30,1,1,1*78\n"
CLOSING = b"S,CLOSED,RESET,0,12,1,0,1*8C\n"
ON: Steps = [("?", OPEN), ("AC0", CLOSING), ("?", CLOSED)]
OFF: Steps = [("O", OPENING), ("O", OPEN)]
KNOB: dict[str, Any] = {
    "wavelength": "808 nm",
    "power": "0.65±0.02 W",
    "calibration_date": "2026-01-10",
    "recalibrate_after": "100000 day",
    "knob": "1.00 A",
}
DRIVERS: dict[str, tuple[Any, dict[str, Any]]] = {"deadman": (DeadmanBox, {}), "laser": (GatedLaser, KNOB)}


@contextlib.contextmanager
def device_on(
    role: str, transcript: Sequence[tuple[str, bytes | None]], connect: Sequence[tuple[str, bytes | None]] = (IDENTITY,),
    **changes: Any,
) -> Iterator[Any]:  # fmt: skip
    driver, table = DRIVERS[role]
    settings = driver.Settings.model_validate({**table, "deadline": "5 s", **changes})
    terminator = b"\r" if settings.model_dump().get("relay") else b"\n"
    with ScriptedServer([*connect, *transcript], ends=terminator) as server:
        device = driver(DeviceContext(role, server.address, settings, False, time.time, may_emit=lambda: None))
        device.connect()
        try:
            yield device
        finally:
            device._link.close()


def switch_on(device: Any) -> None:
    (device.set(0.65) if device.name == "laser" else device.arm()).wait(5.0)


def values(device: Any) -> dict[str, Any]:
    device.trigger().wait(5.0)
    return {key.split("_", 1)[1]: value["value"] for key, value in device.read().items()}


@pytest.mark.parametrize("role", DRIVERS)
def test_closing_and_opening_wait_for_the_contact(role: str) -> None:
    with device_on(role, [*ON, *OFF, ("O", OPEN)]) as device:
        switch_on(device)
        device.stop()
        assert device.off_report.confirmed
        assert "the box reads its contact back as open (OPEN, coil released)" in device.off_report.detail
        device.disconnect()
        assert (device.off() if role == "laser" else device.open()).confirmed, "a closed link that left it open"


def test_the_readings_of_the_box() -> None:
    never = line("S,OPEN,RESET,0,65535,0,0,0")
    with device_on("deadman", [("?", CLOSED), ("?", never)]) as box:
        assert values(box) == {
            "closed": 1, "state": "CLOSED", "last_opening": "it was reset or has just been powered", "trips": 0,
            "toggle_age": 0.03, "door": 1, "valid": 0, "reason": "the contact is closed though it was told to be open",
        }  # fmt: skip
        found = values(box)
        assert math.isnan(found.pop("toggle_age"))
        assert (found["closed"], found["door"], found["valid"]) == (0, 0, 1)
        assert box.identity() == {"maker": "nanolab", "model": "deadman-box", "serial": "0001", "firmware": "1.0"}
        assert box.describe()["deadman_toggle_age"]["units"] == "s"


def test_the_readings_of_the_laser_and_what_they_rest_on() -> None:
    tripped = line("S,OPEN,SEQUENCE,1,30,0,0,1")
    with device_on("laser", [*ON, ("?", CLOSED), ("?", tripped)]) as laser:
        switch_on(laser)
        found = values(laser)
        assert math.isnan(found.pop("current"))
        assert found == {"power": 0.65, "emitting": 1, "valid": 1, "reason": ""}
        found = values(laser)
        assert (found["power"], found["emitting"], found["valid"]) == (0.0, 0, 0)
        assert found["reason"] == "the contact is open though it was closed: a toggle came out of sequence"
        read = {key: value["value"] for key, value in laser.read_configuration().items()}
        assert read["laser_power_uncertainty"] == 0.02
        assert (read["laser_calibration_date"], read["laser_knob"], read["laser_gate"]) == (
            "2026-01-10",
            "1.00 A",
            "box",
        )
        assert laser.powers_w == (0.65,)
        assert laser.max_power_w == pytest.approx(0.6565)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("S,OPEN,RESET,0,65535,0,0,1", r"no toggles arrive at it\. Start the guardian"),
        ("S,OPEN,TIMEOUT,1,501,0,0,1", "no toggles arrive"),
        ("S,OPEN,INTERLOCK,1,20,0,0,0", r"its door loop is open\. Close the door"),
        ("S,FAULT,CONTACT,0,20,0,1,1", "its contact does not follow its coil"),
    ],
)
@pytest.mark.parametrize("role", DRIVERS)
def test_the_box_is_asked_before_it_is_armed(role: str, state: str, said: str) -> None:
    with device_on(role, [("?", line(state)), ("?", line(state))]) as device:
        with pytest.raises(RefusedError, match=said):
            switch_on(device)
        with pytest.raises(RefusedError, match=said):
            device.resume()


def test_a_box_that_refuses_to_arm_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.gate.TOGGLES_WITHIN_S", 0.0)
    for refusal, said in ((line("R,OPEN,MALFORMED,1,20,0,0,1"), "something came that it does not understand"),
                          (line("R,OPEN,TIMEOUT,1,800,0,0,1"), "no toggles arrive")):  # fmt: skip
        with device_on("laser", [("?", OPEN), ("AC0", refusal), ("O", OPEN)]) as laser:
            with pytest.raises(RefusedError, match=said):
                switch_on(laser)
            assert laser.off_report.confirmed


def test_a_box_is_asked_again_until_it_has_had_its_two_toggles() -> None:
    refusal = line("R,OPEN,RESET,0,20,0,0,1")
    with device_on("laser", [("?", OPEN), ("AC0", refusal), ("AC0", CLOSING), ("?", CLOSED)]) as laser:
        switch_on(laser)
        assert laser.emitting.get() == 1


def test_a_contact_that_does_not_close_is_an_error_and_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.deadman_wire.CONTACT_MOVES_WITHIN_S", 0.0)
    with device_on("laser", [("?", OPEN), ("AC0", CLOSING), ("O", OPEN)]) as laser:
        with pytest.raises(DeviceError, match=r"was told to close, and the box reads its contact back as open"):
            switch_on(laser)
        assert laser.off_report.confirmed


def test_a_box_that_trips_while_it_closes_is_an_error() -> None:
    tripped = line("S,OPEN,TIMEOUT,1,501,0,0,1")
    with (
        device_on("laser", [("?", OPEN), ("AC0", CLOSING), ("?", tripped), ("O", tripped)]) as laser,
        pytest.raises(DeviceError, match="was told to close"),
    ):
        switch_on(laser)


def test_off_that_is_not_seen_says_what_to_do_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.guarded.CONFIRMED_WITHIN_S", 0.0)
    welded = line("S,FAULT,CONTACT,1,30,0,1,1")
    with device_on("laser", [("O", welded), ("O", welded), ("?", welded)]) as laser:
        report = laser.off()
        assert not report.confirmed
        assert "its contact back as closed (FAULT, coil released); this is about the contact" in report.detail
        assert report.by_hand.startswith("OFF NOT CONFIRMED. Turn the laser off at its key")
        with pytest.raises(OffNotConfirmedError, match="OFF NOT CONFIRMED"):
            laser.set(0).wait(5.0)
        found = values(laser)
        assert (found["emitting"], found["valid"]) == (1, 0)
        assert math.isnan(found["power"])


def test_a_box_that_does_not_understand_has_opened_and_that_is_an_error() -> None:
    confused = line("N,OPEN,MALFORMED,1,30,0,0,1")
    steps: Steps = [("?", confused), IDENTITY, ("?", OPEN), ("?", OPEN)]
    with device_on("deadman", steps) as box:
        with pytest.raises(DeviceError, match="did not understand, and has opened its contact"):
            box.trigger().wait(5.0)
        assert values(box)["valid"] == 1


@pytest.mark.parametrize("reply", [b"S,OPEN,COMMAND,0,40,0,0,1*D7\n", b"hello\n", b"S,OPEN*\n"])
def test_a_garbled_state_is_no_state(reply: bytes) -> None:
    with (
        device_on("deadman", [("?", reply)]) as box,
        pytest.raises(DeviceError, match=r"the dead-man box: .*; sent '\?'"),
    ):
        box.trigger().wait(5.0)


def test_an_instrument_that_is_no_box() -> None:
    for reply, said in (
        (b"OK\n", "is no line of a dead-man box"),
        (line("I,nanolab,other,1,1.0"), "DEADMAN-BOX is wanted"),
    ):
        with pytest.raises(DeviceError, match=said), device_on("deadman", [], [("I", reply)]):
            pass
    with pytest.raises(DeviceError, match="serial number 0001 answers"), device_on("deadman", [], serial="0002"):
        pass


def test_a_lost_connection_opens_and_the_audit_tells() -> None:
    steps: Steps = [*ON, ("?", CLOSE), IDENTITY, ("?", line("S,OPEN,RESET,0,65535,0,0,1")), ("O", b""), ("O", OPEN)]
    with device_on("laser", steps) as laser:
        switch_on(laser)
        with pytest.raises(DeviceError, match="lost the connection"):
            laser.trigger().wait(5.0)
        with pytest.raises(
            DeviceError, match=r"after reconnecting the box reads its contact back as open .* but it was on"
        ):
            laser.trigger().wait(5.0)
        assert laser.off().confirmed


def test_off_is_sent_before_a_silent_line_is_mended() -> None:
    steps: Steps = [("?", OPEN), ("AC0", b""), ("O", b""), ("O", OPEN)]
    with device_on("laser", steps, deadline="1 s", boot="0 s") as laser:
        with pytest.raises(DeviceError, match="is silent within its deadline; sent 'AC0'"):
            switch_on(laser)
        assert laser.off_report.confirmed


def test_off_without_an_answer_is_not_confirmed() -> None:
    with device_on("laser", [("O", CLOSE), ("O", CLOSE)]) as laser:
        report = laser.off()
        assert not report.confirmed
        assert "lost the connection" in report.detail


def test_a_set_that_waits_gives_way_to_off() -> None:
    with LineServer(lambda text: {"I": IDENTITY[1], "O": OPEN, "?": OPEN}[text]) as server:
        settings = GatedLaser.Settings.model_validate(KNOB)
        laser = GatedLaser(DeviceContext("laser", server.address, settings, False, time.time, may_emit=lambda: None))
        laser.connect()
        laser._link.submit(lambda: laser._link.rest(0.2))
        waiting = laser.set(0.65)
        assert laser.off().confirmed
        with pytest.raises(DeviceError, match=r"gave way|given up"):
            waiting.wait(5.0)
        laser.disconnect()


def test_a_reading_waits_for_a_contact_that_moves_and_not_for_one_that_will_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with device_on("laser", [*ON, ("?", OPENING), ("?", OPENING), ("?", OPEN), ("?", OPENING)]) as laser:
        switch_on(laser)
        found = values(laser)
        assert (found["emitting"], found["reason"]) == (
            0,
            "the contact is open though it was closed: it was told to open",
        )
        monkeypatch.setattr("devices.deadman_wire.CONTACT_MOVES_WITHIN_S", 0.0)
        found = values(laser)
        assert (found["emitting"], found["valid"]) == (1, 0), "what is still closed may still let light pass"


# ---- a plain relay

RELAY: dict[str, Any] = {"gate": "relay", "relay": {}, "boot": "0 s"}
ASKED_OFF, ASKED_ON = ("RLY1?", b"RLY10\r\n"), ("RLY1?", b"RLY11\r\n")


def test_a_relay_is_told_and_asked() -> None:
    steps: Steps = [
        ASKED_OFF,
        ("RLY11", b""),
        ASKED_OFF,
        ASKED_ON,
        ASKED_ON,
        ("RLY10", b""),
        ASKED_ON,
        ("RLY10", b""),
        ASKED_OFF,
    ]
    with device_on("laser", steps, [ASKED_OFF], **RELAY) as laser:
        assert laser.identity()["model"] == "relay"
        switch_on(laser)
        assert values(laser)["emitting"] == 1
        report = laser.off()
        assert report.confirmed
        assert report.detail == "the relay reads its contact back as open; this is about the contact, not the light"


def test_a_relay_that_answers_its_commands_with_bytes_that_are_no_text() -> None:
    relay = {
        "on": "\\xA0\\x01",
        "off": "\\xA0\\x00",
        "ask": "\\xA0?",
        "says_on": "\\xa1",
        "says_off": "\\xa2",
        "answered": True,
    }
    ask, ok = "\\xa0?", b"ok\r\n"
    steps: Steps = [(ask, b"\xa2\n"), ("\\xa0\x01", ok), (ask, b"\xa1\n"), ("\\xa0\x00", ok), (ask, b"\xa2\n")]
    with device_on("laser", steps, [(ask, b"\xa2\n")], gate="relay", relay=relay) as laser:
        switch_on(laser)
        assert laser.off().confirmed


def test_a_relay_that_does_not_move_and_one_that_speaks_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.gate.CONTACT_MOVES_WITHIN_S", 0.0)
    steps: Steps = [ASKED_OFF, ("RLY11", b""), ASKED_OFF, ("RLY10", b""), ASKED_OFF, ASKED_ON]
    with device_on("laser", steps, [ASKED_OFF], **RELAY) as laser:
        with pytest.raises(DeviceError, match="the relay was told to close"):
            switch_on(laser)
        assert values(laser)["reason"].endswith("as closed, though it was told to be open")
    with device_on("laser", [ASKED_ON], [ASKED_OFF], **RELAY) as laser:
        looks = {what: look for what, look, _remedy in laser._health_looks()}
        with pytest.raises(DeviceError, match="as closed"):
            laser._link.call(looks["contact of the relay"])
    neither = pytest.raises(DeviceError, match="answers neither 'RLY11' nor 'RLY10'")
    with neither, device_on("laser", [], [("RLY1?", b"what?\r\n")], **RELAY):
        pass


def test_a_relay_whose_connection_was_lost_is_told_again() -> None:
    steps: Steps = [("RLY1?", CLOSE), ASKED_OFF, ("RLY10", b""), ASKED_OFF]
    with device_on("laser", steps, [ASKED_OFF], **RELAY) as laser:
        with pytest.raises(DeviceError, match="lost the connection"):
            laser.trigger().wait(5.0)
        assert laser.off().confirmed


# ---- settings


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"power": "0.65 W"}, "needs the uncertainty of its measurement"),
        ({"power": "-0.65±0.02 W"}, "power"),
        ({"calibration_date": "2999-01-01"}, "lies in the future"),
        ({"gate": "relay"}, "belong together"),
        ({"relay": {}}, "belong together"),
        ({"gate": "relay", "relay": {"ask": ""}}, "ask"),
        ({"boot": "5 s"}, "must be longer than boot"),
        ({"tolerance": 0.5}, "tolerance"),
    ],
)
def test_settings_that_cannot_be(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        GatedLaser.Settings.model_validate({**KNOB, **change})


def test_the_age_of_the_calibration_is_judged_by_the_day() -> None:
    settings = GatedLaserSettings.model_validate({**KNOB, "recalibrate_after": "2 week"})
    assert settings.caution(datetime.date(2026, 1, 24)) == ""
    assert "was measured 15 days ago (2026-01-10), more than 14" in settings.caution(datetime.date(2026, 1, 25))


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_a_port_whose_opening_resets_the_board_is_given_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("devices.deadman_wire.time.sleep", slept.append)
    ours, theirs = os.openpty()
    try:
        transport = BoxTransport(os.ttyname(theirs), 2.0)
        transport.open(4.0)
        transport.close()
        assert slept == [2.0]
    finally:
        os.close(ours)
        os.close(theirs)


# ---- what every guarded instrument does when things go wrong


def test_staging_that_cannot_go_safe_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.guarded.CONFIRMED_WITHIN_S", 0.0)
    with device_on("deadman", [("O", CLOSED), ("O", OPEN), ("O", CLOSED)]) as box:
        with pytest.raises(OffNotConfirmedError, match="told to go off, and still"):
            box.stage()
        box.stage()
        with pytest.raises(OffNotConfirmedError, match="told to go off, and still"):
            box.unstage()


def test_a_failure_while_closing_and_an_opening_that_is_not_seen_are_both_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.guarded.CONFIRMED_WITHIN_S", 0.0)
    garbled = ("AC0", b"S,CLO\n")
    with (
        device_on("laser", [("?", OPEN), garbled, ("O", b""), ("O", CLOSED)], boot="0 s", deadline="1 s") as laser,
        pytest.raises(OffNotConfirmedError, match=r"no line of a dead-man box.* Then: told to go off, and still"),
    ):
        switch_on(laser)


def test_a_set_that_hangs_is_followed_by_off(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    with LineServer(lambda text: {"I": IDENTITY[1], "O": OPEN, "?": OPEN}[text]) as server:
        settings = GatedLaser.Settings.model_validate({**KNOB, "deadline": "0.5 s", "boot": "0 s"})
        laser = GatedLaser(DeviceContext("laser", server.address, settings, False, time.time, may_emit=lambda: None))
        laser.connect()
        real = SerialTransport.read_line

        def hangs_once(transport: SerialTransport, deadline_s: float) -> bytes:
            monkeypatch.setattr(SerialTransport, "read_line", real)
            released.wait(5.0)
            return b""

        monkeypatch.setattr(SerialTransport, "read_line", hangs_once)
        error = laser.set(0.65).exception(5.0)
        released.set()
        assert isinstance(error, DeviceError) and "hangs" in str(error)
        # nobody has called off(): it goes off by itself
        limit = time.monotonic() + 5.0
        while "O" not in server.received:
            assert time.monotonic() < limit, "nothing was told to go off"
        assert laser.off().confirmed
        laser.disconnect()
