"""The scanner driver against literal transcripts."""

import contextlib
import math
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from devices.keysight_34970a import Keysight34970A, Keysight34970ASettings
from nanolab.errors import DeviceError
from nanolab.interfaces import DeviceContext
from nanolab.testing import CLOSE, ScriptedServer

DONE = b'+0,"No error"\n'
IDN = ("*IDN?", b"HEWLETT-PACKARD,34970A,0,13-2-2\n")
L = "(@101,102)"
READ_BACK = (
    f"TEMP:TRAN:TC:TYPE? {L};:TEMP:TRAN:TC:RJUN:TYPE? {L};:TEMP:TRAN:TC:CHEC? {L};:UNIT:TEMP? {L};:TRIG:SOUR?;"
    f":TEMP:NPLC? {L};:SYST:ERR?"
)
GOOD = b'K,K;INT,INT;1,1;C,C;IMM;+1.0E+00,+1.0E+00;+0,"No error"\n'
WRITE: list[tuple[str, bytes | None]] = [
    ("ABOR;*RST;*CLS;:SYST:ERR?", DONE),
    (f"CONF:TEMP TC,K,{L};:SYST:ERR?", DONE),
    (f"TEMP:TRAN:TC:RJUN:TYPE INT,{L};:TEMP:TRAN:TC:CHEC ON,{L};:SYST:ERR?", DONE),
    (f"TEMP:NPLC 1,{L};:UNIT:TEMP C,{L};:SYST:ERR?", DONE),
    ("FORM:READ:UNIT ON;:FORM:READ:CHAN ON;:FORM:READ:TIME OFF;:FORM:READ:ALAR OFF;:SYST:ERR?", DONE),
    ("TRIG:SOUR IMM;:TRIG:COUN 1;:SYST:ERR?", DONE),
]
SCAN = ("ROUT:SCAN?;:SYST:ERR?", b'#210(@101,102);+0,"No error"\n')
SET_UP = [*WRITE, (READ_BACK, GOOD), SCAN]
READ = "READ?;:SYST:ERR?"


@contextlib.contextmanager
def scanner(transcript: list[tuple[str, bytes | None]], **settings: Any) -> Iterator[tuple[Any, ScriptedServer]]:
    with ScriptedServer([IDN, ("*CLS;:SYST:ERR?", DONE), *transcript]) as server:
        model = Keysight34970ASettings.model_validate({"deadline": "5 s", **settings})
        device = Keysight34970A(DeviceContext("thermocouple", server.address, model, True, time.time))
        device.connect()
        try:
            yield device, server
        finally:
            device.disconnect()


def reading(device: Any) -> dict[str, Any]:
    device.trigger().wait(5.0)
    return {key.removeprefix("thermocouple_"): value["value"] for key, value in device.read().items()}


def test_it_is_configured_when_staged_and_read_in_one_exchange() -> None:
    reply = b'+3.65640000E+01 C,101,+2.50000000E+01 C,102;+0,"No error"\n'
    with scanner([*SET_UP, (READ, reply), (READ, reply)]) as (device, _server):
        device.stage()
        assert reading(device) == {
            "sample": 36.564,
            "sample_valid": 1,
            "ambient": 25.0,
            "ambient_valid": 1,
            "valid": 1,
            "reason": "",
        }
        reading(device)
        assert device.describe()["thermocouple_sample"]["units"] == "degC"
        assert "thermocouple_sample" in device.hints["fields"]
        assert device.read_configuration()["thermocouple_thermocouple_type"]["value"] == "K"


def test_an_open_couple_is_nan_with_a_reason() -> None:
    reply = b'+9.90000000E+37 C,101,+2.50000000E+01 C,102;+0,"No error"\n'
    with scanner([*SET_UP, (READ, reply)]) as (device, _server):
        values = reading(device)
        assert math.isnan(values["sample"]) and values["sample_valid"] == 0 and values["ambient_valid"] == 1
        assert values["valid"] == 0 and values["reason"] == "sample: open thermocouple"


def test_what_no_couple_can_be_is_nan_with_a_reason() -> None:
    reply = b'-3.00000000E+02 C,101,-9.90000000E+37 C,102;+0,"No error"\n'
    check = (SET_UP[2][0].replace("CHEC ON", "CHEC OFF"), DONE)
    back = (READ_BACK, GOOD.replace(b";1,1;", b";0,0;"))
    with scanner([*SET_UP[:2], check, *SET_UP[3:6], back, SCAN, (READ, reply)], open_check=False) as (device, _server):
        values = reading(device)
        assert values["reason"] == "sample: -300 degC is outside the range of type K, ambient: overload"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b'+3.6E+01 F,101,+2.5E+01 C,102;+0,"No error"\n', "degC of channel 101 is wanted"),
        (b'+3.6E+01 C,102,+2.5E+01 C,101;+0,"No error"\n', "degC of channel 101 is wanted"),
        (b'+3.6E+01 C,101;+0,"No error"\n', "4 parts are wanted, 2 came"),
        (b'+3.6EE01 C,101,+2.5E+01 C,102;+0,"No error"\n', "a number is wanted"),
        (b'+3.6E+01 C,101,+2.5E+01 C,102;-230,"Data stale"\n', "reports an error: -230 Data stale"),
        (CLOSE, "lost the connection"),
    ],
)
def test_replies_that_are_wrong_are_errors(reply: bytes | None, said: str) -> None:
    drained: list[tuple[str, bytes | None]] = [("SYST:ERR?", DONE)] if reply and b"-230" in reply else []
    with scanner([*SET_UP, (READ, reply), *drained]) as (device, _server), pytest.raises(DeviceError, match=said):
        reading(device)


def test_a_late_sweep_never_answers_the_next_query() -> None:
    steps = [*SET_UP, (READ, b""), ("SYST:ERR?", DONE), IDN, (READ_BACK, GOOD), SCAN]
    good = b'+3.0E+01 C,101,+2.5E+01 C,102;+0,"No error"\n'
    with scanner([*steps, (READ, good)], deadline="1 s") as (device, server):
        device._read_deadline_s = 0.3
        with pytest.raises(DeviceError, match="gave no whole reply within"):
            reading(device)
        with pytest.raises(OSError):  # the old connection is gone: what comes late has nowhere to go
            for _time in range(100):
                server.push(b"+9.9E+01 C,101,+9.9E+01 C,102\n", connection=0)
                time.sleep(0.001)
        assert reading(device)["sample"] == 30.0


@pytest.mark.parametrize(
    ("back", "scan", "said"),
    [
        (GOOD.replace(b"INT,INT", b"FIX,FIX"), None, r"INT,INT is wanted.*received 'FIX,FIX'"),
        (GOOD.replace(b"K,K", b"J,K"), None, "K,K is wanted"),
        (GOOD.replace(b"+1.0E+00,", b"+1.0E+01,"), None, "1 is wanted"),
        (GOOD, b'#16(@101);+0,"No error"\n', r"\(@101,102\) is wanted"),
    ],
)
def test_settings_that_are_not_taken_are_errors(back: bytes, scan: bytes | None, said: str) -> None:
    rest: list[tuple[str, bytes | None]] = [(SCAN[0], scan)] if scan else []
    with scanner([*WRITE, (READ_BACK, back), *rest]) as (device, _server):
        with pytest.raises(DeviceError, match=said):
            device.stage()
        device.stage_sigs.clear()
        assert device.unstage() is not None


def test_the_alarm_line_is_armed_and_read_back() -> None:
    alarm = (
        f"CALC:LIM:UPP 70,{L};:CALC:LIM:UPP:STAT ON,{L};:OUTP:ALAR1:SOUR {L};:SYST:ERR?",
        DONE,
    )
    query = READ_BACK.replace(f":TEMP:NPLC? {L}", f":CALC:LIM:UPP:STAT? {L};:TEMP:NPLC? {L}")
    back = (query, GOOD.replace(b"IMM;", b"IMM;1,1;"))
    with scanner([*WRITE, alarm, back, SCAN], alarm_limit="70 degC") as (device, _server):
        device.stage()


def test_a_scanner_that_lost_its_settings_is_noticed_after_a_reconnection() -> None:
    reset = GOOD.replace(b"INT,INT", b"FIX,FIX")
    with scanner([*SET_UP, (READ, CLOSE), IDN, (READ_BACK, reset)]) as (device, _server):
        with pytest.raises(DeviceError, match="lost the connection"):
            reading(device)
        with pytest.raises(DeviceError, match="did not take its settings"):
            reading(device)


def test_health_looks_at_module_and_couples() -> None:
    card = ("SYST:CTYP? 100;:SYST:ERR?", b'HEWLETT-PACKARD,34901A,0,2.3;+0,"No error"\n')
    empty = (card[0], b'HEWLETT-PACKARD,0,0,0;+0,"No error"\n')
    good = (READ, b'+3.0E+01 C,101,+2.5E+01 C,102;+0,"No error"\n')
    bad = (READ, b'+9.9E+37 C,101,+2.5E+01 C,102;+0,"No error"\n')
    with scanner([IDN, card, *SET_UP, good, IDN, empty, bad]) as (device, _server):
        assert [row.ok for row in device.health()] == [True, True, True]
        rows = {row.what: row for row in device.health()}
        assert "slot 1 is empty" in rows["multiplexer"].detail
        assert "open thermocouple" in rows["thermocouples"].detail


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"channels": {"ambient": 102}}, "must be named 'sample'"),
        ({"channels": {"sample": 101, "read": 102}}, "cannot name a channel"),
        ({"channels": {"sample": 101, "my probe": 102}}, "cannot name a channel"),
        ({"channels": {"sample": 401}}, "channel 401 of 'sample' does not exist"),
        ({"channels": {"sample": 101, "ambient": 101}}, "same channel"),
        ({"nplc": 3}, "nplc 3 is not possible"),
        ({"thermocouple_type": "X"}, "thermocouple_type"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Keysight34970ASettings.model_validate(settings)


def test_channels_are_read_in_ascending_order_whatever_their_names() -> None:
    settings = Keysight34970ASettings.model_validate({"channels": {"sample": 203, "holder": 101}})
    device = Keysight34970A(DeviceContext("thermocouple", "tcp://127.0.0.1:1", settings, True, time.time))
    assert device._list == "(@101,203)"
    assert device.channel_names == ("sample", "holder")
    assert isinstance(device, Keysight34970A)
    assert "holder_valid" in device.component_names
