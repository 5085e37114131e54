"""The shutter driver against literal transcripts; every byte sent is written here."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from devices.thorlabs_sc10 import ThorlabsSC10
from nanolab.errors import DeviceError, OffNotConfirmedError, RefusedError
from nanolab.interfaces import DeviceContext
from nanolab.testing import CLOSE, ScriptedServer

Steps = list[tuple[str, bytes | None]]

IDENTITY = ("id?", b"id?\rTHORLABS SC10 VERSION 1.07\r> ")
CONNECT: Steps = [IDENTITY, IDENTITY, ("mode?", b"mode?\r1\r> ")]


def look(closed: int, enabled: int, interlock: int = 0) -> Steps:
    return [
        ("closed?", b"closed?\r%d\r> " % closed),
        ("ens?", b"ens?\r%d\r> " % enabled),
        ("interlock?", b"interlock?\r%d\r> " % interlock),
    ]


READY: Steps = [("interlock?", b"interlock?\r0\r> "), ("mode?", b"mode?\r1\r> ")]
TOGGLE_ON: Steps = [("ens?", b"ens?\r0\r> "), ("ens", b"ens\r> "), ("ens?", b"ens?\r1\r> ")]
OPENED: Steps = [*READY, *TOGGLE_ON, *look(0, 1)]
CLOSE_IT: Steps = [("ens?", b"ens?\r1\r> "), ("ens", b"ens\r> "), ("ens?", b"ens?\r0\r> "), *look(1, 0)]
IS_CLOSED: Steps = [("ens?", b"ens?\r0\r> "), *look(1, 0)]


@contextlib.contextmanager
def shutter(transcript: Sequence[tuple[str, bytes | None]], connect: Steps = CONNECT, **changes: Any) -> Iterator[Any]:
    with ScriptedServer([*connect, *transcript], ends=b"\r") as server:
        settings = ThorlabsSC10.Settings.model_validate({"deadline": "5 s", **changes})
        context = DeviceContext("shutter", server.address, settings, False, time.time, may_emit=lambda: None)
        device = ThorlabsSC10(context)
        device.connect()
        try:
            yield device
        finally:
            device._link.close()


def values(device: Any) -> dict[str, Any]:
    device.trigger().wait(5.0)
    return {key.removeprefix("shutter_"): value["value"] for key, value in device.read().items()}


def test_it_opens_and_closes_with_one_toggle_each_and_the_blade_seen() -> None:
    with shutter([*OPENED, *look(0, 1), *CLOSE_IT]) as device:
        assert device.identity() == {"maker": "Thorlabs", "model": "SC10", "serial": "", "firmware": "VERSION 1.07"}
        device.set(1).wait(5.0)
        assert values(device) == {"open": 1, "enabled": 1, "interlock": 1, "valid": 1, "reason": ""}
        device.set(0).wait(5.0)
        assert device.off_report.confirmed
        assert device.off_report.detail == "its blade sensor says closed, ens? 0"


def test_what_is_open_or_closed_already_is_not_toggled() -> None:
    already: Steps = [*READY, ("ens?", b"ens?\r1\r> "), *look(0, 1)]
    with shutter([*already, *CLOSE_IT, *IS_CLOSED]) as device:
        device.set(1).wait(5.0)
        device.set(0).wait(5.0)
        device.set(0).wait(5.0)


def test_a_lost_answer_to_the_toggle_is_settled_by_asking_never_by_toggling_again() -> None:
    audit: Steps = [("id?", b"id?\rTHORLABS SC10 VERSION 1.07\r> "), *look(1, 1)]
    # the audit after the reconnection sees that the blade has not arrived yet, and is not what was wanted: closed again
    again: Steps = [("ens?", b"ens?\r1\r> "), ("ens", b"ens\r> "), ("ens?", b"ens?\r0\r> "), *look(1, 0)]
    steps: Steps = [*READY, ("ens?", b"ens?\r0\r> "), ("ens", CLOSE), *audit[:1], *look(0, 1), ("ens?", b"ens?\r1\r> ")]
    with shutter([*steps, *look(0, 1), *again]) as device:
        device.set(1).wait(5.0)
        device.set(0).wait(5.0)


def test_a_toggle_that_was_lost_and_not_obeyed_is_an_error_and_closes() -> None:
    audit: Steps = [("id?", b"id?\rTHORLABS SC10 VERSION 1.07\r> ")]
    steps: Steps = [*READY, ("ens?", b"ens?\r0\r> "), ("ens", CLOSE), *audit, *look(1, 0), *IS_CLOSED]
    with shutter(steps) as device:
        with pytest.raises(DeviceError, match="after reconnecting its blade sensor says closed"):
            device.set(1).wait(5.0)
        assert device.off_report.confirmed


def test_an_open_interlock_refuses_before_anything_is_sent_and_closing_is_never_refused() -> None:
    steps: Steps = [("interlock?", b"interlock?\r1\r> "), ("interlock?", b"interlock?\r1\r> "), *IS_CLOSED]
    with shutter(steps) as device:
        with pytest.raises(RefusedError, match=r"its interlock is open\. Close it"):
            device.set(1).wait(5.0)
        with pytest.raises(RefusedError, match="its interlock is open"):
            device.resume()
        device.set(0).wait(5.0)


def test_an_interlock_that_opens_meanwhile_is_named() -> None:
    steps: Steps = [*READY, *TOGGLE_ON, *look(1, 0, 1), *IS_CLOSED]
    with shutter(steps) as device, pytest.raises(RefusedError, match="its interlock opened"):
        device.set(1).wait(5.0)


def test_a_refusal_of_the_controller_is_told_in_its_words_whatever_stands_before_them() -> None:
    for prefix in (b"Command error ", b""):
        refusal = b"ens\r" + prefix + b"CMD_NOT_ALLOWED\r> "
        steps: Steps = [*READY, ("ens?", b"ens?\r0\r> "), ("ens", refusal), ("ens?", b"ens?\r0\r> "), *IS_CLOSED]
        with (
            shutter(steps) as device,
            pytest.raises(DeviceError, match=r"refuses; sent 'ens'; received '.*CMD_NOT_ALLOWED'"),
        ):
            device.set(1).wait(5.0)


def test_a_blade_that_does_not_follow() -> None:
    steps: Steps = [*READY, *TOGGLE_ON, *look(1, 1), *CLOSE_IT]
    with shutter(steps, transit="0 s") as device, pytest.raises(DeviceError, match="was told to open, and its blade"):
        device.set(1).wait(5.0)


def test_closing_that_is_not_seen_says_what_to_do_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.guarded.CONFIRMED_WITHIN_S", 0.0)
    stuck: Steps = [("ens?", b"ens?\r0\r> "), *look(0, 0)]
    with shutter([*stuck, *stuck, *look(0, 0), *look(0, 0)]) as device:
        report = device.shut()
        assert not report.confirmed
        assert report.detail == "told to go off, and still its blade sensor says open, ens? 0"
        assert "turn the laser off" in report.by_hand
        with pytest.raises(OffNotConfirmedError, match="OFF NOT CONFIRMED"):
            device.set(0).wait(5.0)
        assert values(device)["reason"].startswith("it is not closed though it was told to be")
        looks = {what: ask for what, ask, _remedy in device._health_looks()}
        with pytest.raises(DeviceError, match="its blade sensor says open"):
            device._link.call(looks["blade of the shutter"])


def test_another_mode_is_stopped_before_it_is_changed() -> None:
    steps: Steps = [
        IDENTITY, IDENTITY, ("mode?", b"mode?\r4\r> "), ("ens?", b"ens?\r1\r> "), ("ens", b"ens\r> "), ("ens?", b"ens?\r0\r> "),
        ("mode=1", b"mode=1\r> "), ("mode?", b"mode?\r1\r> "),
    ]  # fmt: skip
    with shutter([], steps) as device:
        assert device.mode.get() == "manual"


def test_a_mode_that_is_not_taken_is_an_error() -> None:
    steps: Steps = [
        IDENTITY, IDENTITY, ("mode?", b"mode?\r4\r> "), ("ens?", b"ens?\r0\r> "), ("mode=1", b"mode=1\r> "),
        ("mode?", b"mode?\r4\r> "),
    ]  # fmt: skip
    with pytest.raises(DeviceError, match="did not take the manual mode"), shutter([], steps):
        pass


def test_the_first_command_may_be_mutilated_or_lost() -> None:
    mutilated = ("id?", b"d?\rCommand error CMD_NOT_DEFINED\r> ")
    with shutter([], [mutilated, *CONNECT[1:]]) as device:
        assert device.identity()["model"] == "SC10"
    with shutter([], [("id?", CLOSE), IDENTITY, *look(1, 0), *CONNECT[1:]]) as device:
        assert device.identity()["model"] == "SC10"
    with pytest.raises(DeviceError, match="its echo is another line"), shutter([], [mutilated, mutilated]):
        pass


def test_another_instrument_is_named() -> None:
    with pytest.raises(DeviceError, match="FW102C"), shutter([], [("id?", b"id?\rFW102C 1.0\r> ")] * 2):
        pass


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"closed?\r2\r> ", "neither 0 nor 1"),
        (b"closed?\r> ", "one value is wanted"),
        (b"closed?\r1\r1\r> ", "one value is wanted"),
        (b"ens?\r1\r> ", "its echo is another line"),
    ],
)
def test_answers_that_make_no_sense(reply: bytes, said: str) -> None:
    with shutter([("closed?", reply)]) as device, pytest.raises(DeviceError, match=said):
        device.trigger().wait(5.0)


def test_a_command_that_is_answered_by_a_value() -> None:
    steps: Steps = [*READY, ("ens?", b"ens?\r0\r> "), ("ens", b"ens\r1\r> ")]
    back: Steps = [CONNECT[0], *look(0, 1), ("ens?", b"ens?\r1\r> "), *look(0, 1)]
    with shutter([*steps, *back, *CLOSE_IT]) as device:
        device.set(1).wait(5.0)
        device.stop()
        assert device.off_report.confirmed


def test_what_the_reading_doubts() -> None:
    steps: Steps = [*OPENED, *look(1, 0, 1), *look(0, 0), *look(1, 1)]
    with shutter(steps) as device:
        device.set(1).wait(5.0)
        assert values(device)["reason"] == "it is closed though it was opened; its interlock is open"
        assert values(device)["reason"] == "it is open though it is not enabled"
        assert values(device)["reason"] == "it is closed though it was opened"


def test_paused_and_not_permitted() -> None:
    with shutter([*IS_CLOSED, *IS_CLOSED]) as device:
        device.pause()
        with pytest.raises(RefusedError, match="it is paused; stage it"):
            device.set(1)
        device.shut()
        with pytest.raises(RefusedError, match="it was turned off"):
            device.set(1)
        for wrong in (2, 0.5, float("nan"), "open", None):
            with pytest.raises(RefusedError, match=r"a shutter is 1 \(open\) or 0 \(closed\)"):
                device.check_value(wrong)
