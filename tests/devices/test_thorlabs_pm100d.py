"""The power meter driver against literal transcripts."""

import contextlib
import math
import time
from collections.abc import Iterator
from typing import Any

import pytest

from devices.thorlabs_pm100d import ThorlabsPM100D
from nanolab.errors import DeviceError
from nanolab.interfaces import DeviceContext
from nanolab.testing import CLOSE, ScriptedServer

DONE = b'+0,"No error"\n'
IDN = ("*IDN?", b"THORLABS,PM100D,P0012345,2.4.0\n")
WAVELENGTH = "SENS:CORR:WAV 808;:SENS:CORR:WAV?;:SYST:ERR?"
REST = (
    "SENS:AVER:COUN 100;:SENS:POW:UNIT W;:SENS:POW:RANG:AUTO 1;:SENS:AVER:COUN?;:SENS:POW:UNIT?;"
    ":SENS:POW:RANG:AUTO?;:SYST:ERR?"
)
SET_UP: list[tuple[str, bytes | None]] = [
    (WAVELENGTH, b'8.08000000E+02;+0,"No error"\n'),
    (REST, b'100;W;1;+0,"No error"\n'),
]
MEASURE = "MEAS:POW?;:SYST:ERR?"


@contextlib.contextmanager
def meter(transcript: list[tuple[str, bytes | None]], **settings: Any) -> Iterator[tuple[Any, ScriptedServer]]:
    with ScriptedServer([IDN, ("*CLS;:SYST:ERR?", DONE), *transcript]) as server:
        model = ThorlabsPM100D.Settings.model_validate(
            {
                "position": "pickoff",
                "wavelength": "808 nm",
                "to_sample_plane": "12.5±0.2",
                "deadline": "5 s",
                **settings,
            }
        )
        device = ThorlabsPM100D(DeviceContext("powermeter", server.address, model, True, time.time))
        device.connect()
        try:
            yield device, server
        finally:
            device.disconnect()


def reading(device: Any) -> dict[str, Any]:
    device.trigger().wait(5.0)
    return {key.removeprefix("powermeter_"): value["value"] for key, value in device.read().items()}


def test_a_reading_is_in_watts_at_the_wavelength_that_was_read_back() -> None:
    with meter([*SET_UP, (MEASURE, b'3.97123E-02;0,"No error"\n')]) as (device, _server):
        assert reading(device) == {"power": 0.0397123, "valid": 1, "reason": ""}
        assert device.to_sample_plane == 12.5 and device.position == "pickoff"
        configuration = {key: value["value"] for key, value in device.read_configuration().items()}
        assert configuration["powermeter_wavelength"] == 808.0
        assert configuration["powermeter_sample_plane_ratio"] == 12.5


@pytest.mark.parametrize("text", [b"INFINITY", b"inf", b"9.9E+37", b"nan"])
def test_over_range_is_nan_with_a_reason(text: bytes) -> None:
    with meter([*SET_UP, (MEASURE, text + b';+0,"No error"\n')]) as (device, _server):
        values = reading(device)
        assert math.isnan(values["power"]) and values["valid"] == 0 and values["reason"] == "over range"


def test_a_meter_without_its_head_says_so() -> None:
    steps = [*SET_UP, (MEASURE, b'-241,"Hardware missing"\n'), ("SYST:ERR?", DONE)]
    with meter(steps) as (device, _server), pytest.raises(DeviceError, match="reports an error: -241 Hardware missing"):
        reading(device)


def test_after_silence_it_is_left_alone() -> None:
    with meter([*SET_UP, (MEASURE, b"")]) as (device, server):
        device._read_deadline_s = 0.1
        with pytest.raises(DeviceError, match="is silent within its deadline"):
            reading(device)
        with pytest.raises(DeviceError, match=r"is left alone for (10\.0|9\.\d) s more"):
            reading(device)
        assert server.received[-1] == MEASURE


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([(WAVELENGTH, b'7.8E+02;+0,"No error"\n')], "did not take SENS:CORR:WAV 808 nm; received '7.8E"),
        ([SET_UP[0], (REST, b'10;W;1;+0,"No error"\n')], "SENS:AVER:COUN 100"),
        ([SET_UP[0], (REST, b'100;DBM;1;+0,"No error"\n')], "SENS:POW:UNIT W"),
        ([SET_UP[0], (REST, b'100;W;0;+0,"No error"\n')], "SENS:POW:RANG:AUTO 1"),
        ([(WAVELENGTH, CLOSE)], "lost the connection"),
    ],
)
def test_settings_that_are_not_taken_are_errors(steps: list[tuple[str, bytes | None]], said: str) -> None:
    saved = ("SENS:CORR:WAV?;:SENS:AVER:COUN?;:SYST:ERR?", b'635;1;+0,"No error"\n')
    with meter([saved, *steps]) as (device, _server), pytest.raises(DeviceError, match=said):
        device.stage()


def test_staging_saves_and_gives_back() -> None:
    steps = [
        ("SENS:CORR:WAV?;:SENS:AVER:COUN?;:SYST:ERR?", b'635;1;+0,"No error"\n'),
        *SET_UP,
        ("SENS:CORR:WAV 635;:SENS:AVER:COUN 1;:SYST:ERR?", DONE),
    ]
    with meter(steps) as (device, _server):
        device.stage()
        device.unstage()
        device.unstage()


def test_settings_that_cannot_be_given_back_are_told(caplog: pytest.LogCaptureFixture) -> None:
    saved = ("SENS:CORR:WAV?;:SENS:AVER:COUN?;:SYST:ERR?", b'635;1;+0,"No error"\n')
    with meter([saved, *SET_UP, ("SENS:CORR:WAV 635;:SENS:AVER:COUN 1;:SYST:ERR?", CLOSE)]) as (device, _server):
        device.stage()
        device.unstage()
    assert "its settings could not be given back" in caplog.text


def test_while_zeroing_readings_are_invalid() -> None:
    ask = "SENS:CORR:COLL:ZERO:STAT?;:SENS:CORR:COLL:ZERO:MAGN?;:SYST:ERR?"
    steps = [
        ("SENS:CORR:COLL:ZERO:INIT;:SYST:ERR?", DONE),
        *SET_UP,
        (ask, b'1;0.0;+0,"No error"\n'),
        (ask, b'0;1.5E-07;+0,"No error"\n'),
        (MEASURE, b'1.0E-06;+0,"No error"\n'),
    ]
    with meter(steps) as (device, _server):
        device.zero().wait(5.0)
        assert reading(device)["reason"] == "zeroing"
        assert reading(device)["valid"] == 1
        assert device.zero_magnitude.get() == 1.5e-07


def test_a_meter_that_lost_its_wavelength_is_noticed_after_a_reconnection() -> None:
    lost = ("SENS:CORR:WAV?;:SYST:ERR?", b'635;+0,"No error"\n')
    with meter([*SET_UP, (MEASURE, CLOSE), IDN, lost]) as (device, _server):
        with pytest.raises(DeviceError, match="lost the connection"):
            reading(device)
        with pytest.raises(DeviceError, match="did not take SENS:CORR:WAV 808 nm"):
            reading(device)


def test_health_looks_at_head_and_reading() -> None:
    head = "SYST:SENS:IDN?;:SYST:ERR?"
    good = b'"S120C","16060232","2-JUN-2021",1,18,33;+0,"No error"\n'
    steps = [
        IDN,
        (head, good),
        *SET_UP,
        (MEASURE, b'1.0E-03;+0,"No error"\n'),
        IDN,
        (head, b'"no sensor","","",0,0,0;+0,"No error"\n'),
        (MEASURE, b'inf;+0,"No error"\n'),
    ]
    with meter(steps) as (device, _server):
        rows = list(device.health())
        assert [row.ok for row in rows] == [True, True, True]
        assert "S120C" in rows[1].detail
        rows = list(device.health())
        assert rows[1].detail.startswith("powermeter: no head is connected")
        assert "over range" in rows[2].detail
