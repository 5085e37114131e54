"""Proof of faith: clients that are not ours (plain pyvisa, pymeasure) against the served instruments.

The server is a process of its own with the real world behind it, at full speed.
"""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import pyvisa
from pymeasure.instruments.thorlabs import ThorlabsPM100USB
from pyvisa.resources import MessageBasedResource

DRIVERS = {
    "laser": "thorlabs_itc4001",
    "thermocouple": "keysight_34970a",
    "spectrometer": "ocean_flamex",
    "powermeter": "thorlabs_pm100d",
}
SERVE = f"import sys, sims.server as s; sys.exit(s.main(seed=11, truth=True, json_ready=True, instruments={DRIVERS}))"
NO_ERROR = '+0,"No error"'


class Control:
    def __init__(self, address: str) -> None:
        host, port = address.split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=10)
        self._file = self._socket.makefile("rwb", buffering=0)

    def __call__(self, op: str, **fields: Any) -> dict[str, Any]:
        self._file.write(json.dumps({"op": op, **fields}).encode() + b"\n")
        answer: dict[str, Any] = json.loads(self._file.readline())
        assert answer["ok"], answer
        return answer

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Bench:
    """One server process; instruments are opened by plain pyvisa-py as raw sockets."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", SERVE]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.places = json.loads(self._process.stdout.readline())
        self.control = Control(self.places["control"])
        self.truth = Control(self.places["truth"])
        self._manager = pyvisa.ResourceManager("@py")
        self._opened: list[MessageBasedResource] = []

    def resource(self, role: str) -> str:
        host, port = self.places["instruments"][role]["tcp"].split(":")
        return f"TCPIP0::{host}::{port}::SOCKET"

    def open(self, role: str) -> MessageBasedResource:
        resource = self._manager.open_resource(
            self.resource(role), read_termination="\n", write_termination="\n", timeout=5000
        )
        assert isinstance(resource, MessageBasedResource)
        self._opened.append(resource)
        return resource

    def advance(self, seconds: float) -> None:
        self.control("advance", seconds=seconds)

    def laser_truth(self) -> dict[str, Any]:
        laser: dict[str, Any] = self.truth("truth")["truth"]["laser"]
        return laser

    def close_resources(self) -> None:
        while self._opened:
            self._opened.pop().close()

    def close(self) -> None:
        self.close_resources()
        self._manager.close()
        self.control.close()
        self.truth.close()
        self._process.communicate(timeout=20)
        assert self._process.returncode == 0


@pytest.fixture(scope="module")
def served() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.fixture
def bench(served: Bench) -> Iterator[Bench]:
    """The module's bench; what a test opens on it is closed with the test."""
    yield served
    served.close_resources()


@pytest.fixture
def laser(bench: Bench) -> Iterator[MessageBasedResource]:
    laser = bench.open("laser")
    laser.write("*RST")
    laser.write("*CLS")
    yield laser
    laser.write("OUTP1 OFF")
    assert laser.query("OUTP1?") == "0"


def test_34970a_session_of_the_manual(bench: Bench) -> None:
    """detectors 1.9, sent as it stands there."""
    daq = bench.open("thermocouple")
    assert daq.query("*IDN?").split(",")[1] == "34970A"
    for command in (
        "*RST",
        "CONF:TEMP TC,K,(@101:103)",
        "TEMP:TRAN:TC:RJUN:TYPE INT,(@101:103)",
        "TEMP:TRAN:TC:CHEC ON,(@101:103)",
        "TEMP:NPLC 1,(@101:103)",
        "FORM:READ:TIME ON",
        "FORM:READ:CHAN ON",
        "TRIG:SOUR TIM",
        "TRIG:TIM 0.5",
        "TRIG:COUN INF",
        "INIT",
    ):
        daq.write(command)
    assert daq.query("*OPC?") == "1"  # so that the clock, on another connection, does not overtake INIT
    seen = []
    for _ in range(3):
        bench.advance(1.0)
        daq.write("R? 200")
        block = daq.read_raw()
        digits = int(block[1:2])
        length = int(block[2 : 2 + digits])
        assert block[:1] == b"#"
        assert len(block) == 2 + digits + length + 1  # and the terminator
        fields = block[2 + digits : -1].decode().split(",")
        seen += list(zip(fields[0::3], fields[1::3], fields[2::3], strict=True))
    assert [channel for _, _, channel in seen] == ["101", "102", "103"] * 7
    stamps = [float(time) for _, time, _ in seen]
    assert stamps == sorted(stamps)
    assert stamps[3] - stamps[0] == pytest.approx(0.5, abs=0.002)
    assert all(re.fullmatch(r"\+\d\.\d{8}E\+01", value) for value, _, _ in seen)
    assert all(15.0 < float(value) < 30.0 for value, _, _ in seen)
    assert int(daq.query("STAT:OPER:COND?")) & 16
    daq.write("ABOR")
    assert daq.query("SYST:ERR?") == NO_ERROR


def test_34970a_conformance_13_6(bench: Bench) -> None:
    daq = bench.open("thermocouple")
    daq.write("*RST")
    daq.write("CONF:TEMP TC,K,(@101:103)")
    daq.write("TEMP:TRAN:TC:RJUN:TYPE INT,(@101:103)")
    daq.write("ROUT:SCAN?")
    assert daq.read_raw() == b"#214(@101,102,103)\n"
    daq.write("TEMP:TRAN:TC:CHEC ON,(@101:103)")
    bench.control("fault", instrument="thermocouple", fault="open_couple", on=True)
    daq.write("READ?")
    line = daq.read_raw()
    bench.control("fault", instrument="thermocouple", fault="open_couple", on=False)
    assert re.fullmatch(rb"\+9\.90000000E\+37,\+\d\.\d{8}E\+01,\+\d\.\d{8}E\+01\n", line)
    assert int(daq.query("STAT:QUES:EVEN?")) & 1024
    assert daq.query("SYST:ERR?") == NO_ERROR


def test_34970a_late_reply_is_taken_for_the_next_query(bench: Bench) -> None:
    """detectors 1.10: the trap that a driver must avoid is there, and a new connection is clean."""
    daq = bench.open("thermocouple")
    daq.write("*RST")
    daq.write("CONF:TEMP TC,K,(@101)")
    daq.write("TRIG:SOUR TIM;TIM 5;COUN 2")
    daq.timeout = 100
    with pytest.raises(pyvisa.VisaIOError, match="VI_ERROR_TMO"):
        daq.query("READ?")  # two sweeps 5 s apart: lab time stands still meanwhile
    bench.advance(5.0)
    daq.timeout = 5000
    assert "," in daq.query("*IDN?")
    assert daq.read().split(",")[1] == "34970A"
    again = bench.open("thermocouple")
    assert again.query("*IDN?").split(",")[1] == "34970A"


def test_itc4001_golden_vector_9(laser: MessageBasedResource) -> None:
    laser.timeout = 100
    with pytest.raises(pyvisa.VisaIOError, match="VI_ERROR_TMO"):
        laser.query("MEAS:NONSENSE?")
    laser.clear()
    laser.timeout = 5000
    assert laser.query("SYST:ERR?") == '-113,"Undefined header"'
    assert laser.query("SYST:ERR?") == NO_ERROR


def test_itc4001_arms_emits_and_goes_off(bench: Bench, laser: MessageBasedResource) -> None:
    """actuators 1.5."""
    assert laser.query("*IDN?").split(",")[:2] == ["THORLABS", "ITC4001"]
    assert laser.query("SYST:ERR?") == NO_ERROR
    assert [laser.query(f"OUTP:PROT:{what}:TRIP?") for what in ("KEYL", "INTL")] == ["0", "0"]
    assert int(laser.query("STAT:MEAS:COND?")) == 0
    laser.write("SOUR:CURR:LIM 0.9")
    assert float(laser.query("SOUR:CURR:LIM?")) == 0.9
    laser.write("SOUR:CURR 0")
    laser.write("SOUR2:TEMP 25")
    assert laser.query("OUTP2 ON;*OPC?") == "1"
    for _ in range(120):
        bench.advance(1.0)
        if abs(float(laser.query("MEAS:TEMP?")) - 25.0) < 0.1:
            break
    else:
        pytest.fail("the TEC did not settle")
    laser.write("OUTP1 ON")
    assert laser.query("OUTP1?") == "1"
    assert int(laser.query("STAT:OPER:COND?")) & 2048
    assert laser.query("SOUR:CURR 0.8;*OPC?") == "1"
    bench.advance(2.0)
    assert float(laser.query("MEAS:CURR?")) == pytest.approx(0.8, abs=1e-3)
    assert bench.laser_truth()["emitting"]
    assert 0.3 < bench.laser_truth()["power_w"] < 0.6
    assert float(laser.query("MEAS:POW2?")) == pytest.approx(bench.laser_truth()["power_w"], rel=0.1)
    laser.write("SOUR:CURR 0")
    laser.write("OUTP1 OFF")
    assert laser.query("OUTP1?") == "0"
    assert int(laser.query("STAT:OPER:COND?")) & 2048 == 0
    assert not bench.laser_truth()["emitting"]
    assert laser.query("SYST:ERR?") == NO_ERROR


def test_itc4001_interlock_opens_while_on(bench: Bench, laser: MessageBasedResource) -> None:
    assert laser.query("SOUR:CURR:LIM 0.9;:SOUR:CURR 0.6;:OUTP1 ON;*OPC?") == "1"
    bench.advance(2.0)
    assert bench.laser_truth()["emitting"]
    bench.control("fault", instrument="laser", fault="interlock_open", on=True)
    assert not bench.laser_truth()["emitting"]
    assert laser.query("OUTP1?") == "0"
    assert int(laser.query("STAT:MEAS:COND?")) & 4
    laser.write("OUTP1 ON")
    assert laser.query("SYST:ERR?") == '-221,"Settings conflict"'
    bench.control("fault", instrument="laser", fault="interlock_open", on=False)
    bench.advance(2.0)
    assert laser.query("OUTP1?") == "0"  # closing does not restart
    assert not bench.laser_truth()["emitting"]
    # without an answer to wait for, the clock (another connection) could overtake the command
    assert laser.query("OUTP1 ON;*OPC?") == "1"
    bench.advance(2.0)
    assert bench.laser_truth()["emitting"]


def test_itc4001_stuck_emission_is_seen_in_every_read_back(bench: Bench, laser: MessageBasedResource) -> None:
    assert laser.query("SOUR:CURR:LIM 0.9;:SOUR:CURR 0.6;:OUTP1 ON;*OPC?") == "1"
    bench.advance(2.0)
    bench.control("fault", instrument="laser", fault="emission_stuck", on=True)
    laser.write("SOUR:CURR 0")
    laser.write("OUTP1 OFF")
    assert laser.query("OUTP1?") == "1"
    assert float(laser.query("MEAS:CURR?")) == pytest.approx(0.6, abs=1e-3)
    assert bench.laser_truth()["emitting"]
    bench.control("fault", instrument="laser", fault="emission_stuck", on=False)


@pytest.mark.filterwarnings("ignore:It is not known whether this device support SCPI:FutureWarning")  # pymeasure's own
def test_pymeasure_reads_the_power_meter(bench: Bench, laser: MessageBasedResource) -> None:
    meter = ThorlabsPM100USB(
        bench.resource("powermeter"), visa_library="@py", read_termination="\n", write_termination="\n", timeout=5000
    )
    try:
        assert meter.sensor_name.strip('"') == "S121C"
        assert meter.is_power_sensor
        assert not meter.is_energy_sensor
        meter.wavelength = 808
        assert meter.wavelength == 808
        meter.wavelength = 2000  # the client cuts it to what the head says it can
        assert meter.wavelength == 1100
        meter.wavelength = 808
        bench.advance(10.0)
        assert meter.power == pytest.approx(0.0, abs=2e-4)
        assert laser.query("SOUR:CURR:LIM 0.9;:SOUR:CURR 0.8;:OUTP1 ON;*OPC?") == "1"
        bench.advance(10.0)
        # 4 % of the beam go to the pickoff; the head is a few per cent off
        assert meter.power == pytest.approx(0.04 * bench.laser_truth()["power_w"], rel=0.05)
    finally:
        meter.adapter.connection.close()  # not the manager: pyvisa shares it with the bench's own resources
