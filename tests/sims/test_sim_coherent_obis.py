"""The simulated OBIS: golden bytes, handshake, delay, autostart, faults; in a world that stands still."""

import os
import sys

import numpy as np
import pytest
import serial

from sims.instruments.coherent_obis import CoherentOBISSimulator
from sims.instruments.obis_commands import understood
from sims.pace import LabClock
from sims.server import SimulationServer
from sims.testing import StillWorld, serving

T = 0.9
"""Transmission from head to sample plane."""


class Rig:
    def __init__(self, **options: object) -> None:
        self.world = StillWorld()
        self.laser = CoherentOBISSimulator(self.world, np.random.default_rng(2), **options)  # type: ignore[arg-type]  # options of many types
        self.clock = LabClock(self.world, [self.laser], None)
        self._session = self.laser.connection()

    def bytes(self, data: bytes) -> bytes:
        return b"".join(reply.data for reply in self._session.feed(data))

    def ask(self, *queries: str) -> list[str]:
        return [self.bytes(query.encode() + b"\r").decode().removesuffix("\r\nOK\r\n") for query in queries]

    def tell(self, *commands: str) -> None:
        for command in commands:
            assert self.bytes(command.encode() + b"\r") == b"OK\r\n", command

    def emit(self) -> None:
        self.tell("SOUR:AM:STAT ON")
        self.clock.advance(5.0)
        assert self.world.current_a > 0.0


def test_golden_vector_2() -> None:
    rig = Rig(cdrh=False)
    assert rig.bytes(b"SOUR:POW:LEV:IMM:AMPL 0.05\r") == b"OK\r\n"
    assert rig.bytes(b"SOUR:AM:STAT ON\r") == b"OK\r\n"
    rig.clock.advance(3.0)
    assert rig.bytes(b"SOUR:POW:LEV?\r") == b"0.05000\r\nOK\r\n"
    assert rig.bytes(b"SYST:STAT?\r") == b"00000006\r\nOK\r\n"
    assert rig.bytes(b"SOUR:AM:STAT OFF\r") == b"OK\r\n"
    assert rig.bytes(b"SYST:STAT?\r") == b"00000004\r\nOK\r\n"
    assert rig.bytes(b"FOO:BAR 1\r") == b"ERR-100\r\n"
    assert rig.bytes(b"SYST5:INF:WAV?\r") == b"ERR-241\r\n"


@pytest.mark.parametrize(
    "header",
    ["SOUR:POW:LIM:HIGH?", "sour:pow:lim:high?", "SOURCE:POWER:LIMIT:HIGH?", "SOURce0:POWer:LIMit:HIGH?"],
)
def test_headers_are_known_in_short_and_long_form_and_any_case(header: str) -> None:
    assert Rig().ask(header) == ["1.10000"]


@pytest.mark.parametrize(
    "header", ["SOURC:POW:LIM:HIGH?", "SOUR:POW:LIM?", "SOUR:POW:LIM:HIGH", "?SYSTem", "@@@SOUR:AM:STAT?"]
)
def test_what_is_no_header_is_an_unknown_command(header: str) -> None:
    assert understood(header) is None
    assert Rig().bytes(header.encode() + b"\r\n") == b"ERR-100\r\n"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("SOUR:AM:STAT", "-109"),
        ("SOUR:AM:STAT MAYBE", "-220"),
        ("SOUR:POW:LEV:IMM:AMPL much", "-220"),
        ("SOUR:POW:LEV:IMM:AMPL 1.2", "-220"),
        ("SOUR:POW:LEV:IMM:AMPL 0.001", "-220"),
        ("SOUR:AM:INT DIG", "-220"),
        ("SYST:STAT? 1", "-102"),
        ("SYST:ERR:CLE 1", "-102"),
    ],
)
def test_errors_have_numbers_and_go_into_the_queue(line: str, code: str) -> None:
    rig = Rig()
    assert rig.bytes(line.encode() + b"\r") == f"ERR{code}\r\n".encode()
    assert rig.ask("SYST:ERR:COUN?", "SYST:ERR:NEXT?", "SYST:ERR:NEXT?") == ["1", f"ERR{code}", "ERR-000"]
    rig.bytes(b"FOO\r")
    rig.tell("SYST:ERR:CLE")
    assert rig.ask("SYST:ERR:COUN?") == ["0"]


def test_every_query_is_answered() -> None:
    from sims.instruments.obis_commands import QUERIES

    rig = Rig()
    for header in QUERIES:
        reply = rig.bytes(header.encode() + b"\r")
        assert reply.endswith(b"\r\nOK\r\n") and len(reply) > 6, header
    assert rig.ask("*IDN?") == ["Coherent, Inc - OBIS 808nm 1000mW C - V1.0.1 - Dec 14 2010"]
    assert rig.ask("SYST:INF:TYP?", "SYST:INF:WAV?", "SOUR:POW:NOM?") == ["DDL", "808.0", "1.00000"]


def test_without_handshake_there_is_no_ok_and_errors_are_silent() -> None:
    rig = Rig()
    assert rig.bytes(b"SYST:COMM:HAND OFF\r") == b""
    assert rig.bytes(b"SYST:LOCK?\r") == b"ON\r\n"
    assert rig.bytes(b"FOO\r") == b""
    assert rig.bytes(b"SYST:COMM:HAND ON\r") == b"OK\r\n"
    assert rig.bytes(b"SYST:COMM:PROM ON\r").startswith(b"OK\r\n")
    assert rig.bytes(b"SYST:LOCK?\r") != b"ON\r\nOK\r\n"


def test_a_laser_in_a_box_answers_on_its_channel_alone() -> None:
    rig = Rig(channels=(2,))
    assert rig.bytes(b"SYST:INF:WAV?\r") == b"ERR-241\r\n"
    assert rig.ask("SYST2:INF:WAV?") == ["808.0"]
    assert rig.bytes(b"SYST:COMM:HAND ON\r") == b"OK\r\n", "the handshake is the controller's"


def test_emission_comes_after_the_delay_that_regulations_ask_for() -> None:
    rig = Rig()
    rig.tell("SOUR:POW:LEV:IMM:AMPL 0.5", "SOUR:AM:STAT ON")
    assert rig.ask("SOUR:AM:STAT?", "SYST:STAT?", "SOUR:POW:LEV?") == ["ON", "00000014", "0.00000"]
    rig.clock.advance(4.9)
    assert rig.world.current_a == 0.0
    rig.tell("SOUR:AM:STAT ON")  # again: nothing begins anew
    rig.clock.advance(0.1)
    assert rig.world.current_a == pytest.approx(0.3 + 0.5 * T / 0.9)
    assert rig.ask("SYST:STAT?") == ["00000006"]
    rig.clock.advance(3.0)
    assert float(rig.ask("SOUR:POW:LEV?")[0]) == pytest.approx(0.5, rel=1e-3)
    assert float(rig.ask("SOUR:POW:CURR?")[0]) == pytest.approx(rig.world.current_a, abs=1e-3)
    rig.tell("SOUR:AM:STAT OFF")
    assert rig.world.current_a == 0.0
    assert rig.ask("SOUR:POW:LEV?", "SOUR:POW:CURR?") == ["0.00000", "0.0000"]


def test_off_during_the_delay_cancels_it() -> None:
    rig = Rig()
    rig.tell("SOUR:AM:STAT ON", "SOUR:AM:STAT OFF")
    rig.clock.advance(60.0)
    assert rig.world.current_a == 0.0


def test_the_mode_changes_while_it_is_off_only() -> None:
    rig = Rig()
    rig.emit()
    assert rig.bytes(b"SOUR:AM:INT CWC\r") == b"ERR-200\r\n"
    rig.tell("SOUR:AM:STAT OFF", "SOUR:AM:EXT DIG")
    assert rig.ask("SOUR:AM:SOUR?", "SYST:STAT?") == ["DIGITAL", "00000404"]
    rig.tell("SOUR:AM:STAT ON")
    rig.clock.advance(10.0)
    assert rig.world.current_a == 0.0, "there is no input for modulation"
    rig.tell("SOUR:AM:STAT OFF", "SOUR:AM:INT CWC", "SOUR:TEMP:APR OFF", "SOUR:AM:BLAN ON", "SYST:IND:LAS OFF")
    assert rig.ask("SOUR:AM:SOUR?", "SOUR:TEMP:APR?", "SOUR:AM:BLAN?", "SYST:IND:LAS?") == ["CWC", "OFF", "ON", "OFF"]


@pytest.mark.parametrize(
    ("fault", "status"),
    [("interlock_open", "04000000"), ("key_off", "02000000"), ("over_temperature", "00000001")],
)
def test_what_ends_emission_does_not_let_it_restart(fault: str, status: str) -> None:
    rig = Rig()
    rig.emit()
    rig.laser.set_fault(fault, True)
    assert rig.world.current_a == 0.0
    assert rig.ask("SYST:STAT?", "SOUR:AM:STAT?") == [status, "OFF"]
    assert rig.ask("SYST:LOCK?") == ["OFF" if fault == "interlock_open" else "ON"]
    assert rig.ask("SYST:FAUL?") == ["00000001" if fault == "over_temperature" else "00000000"]
    assert (float(rig.ask("SOUR:TEMP:BAS?")[0].removesuffix("C")) > 50.0) is (fault == "over_temperature")
    assert rig.bytes(b"SOUR:AM:STAT ON\r") == b"ERR-200\r\n"
    rig.laser.set_fault(fault, False)
    rig.clock.advance(60.0)
    assert rig.world.current_a == 0.0
    rig.emit()


def test_stuck_emission_acknowledges_off_and_only_light_and_current_tell() -> None:
    rig = Rig()
    rig.emit()
    rig.clock.advance(3.0)
    flowing = rig.world.current_a
    rig.laser.set_fault("emission_stuck", True)
    rig.tell("SOUR:AM:STAT OFF")
    assert rig.ask("SOUR:AM:STAT?", "SYST:STAT?") == ["OFF", "00000004"]
    assert rig.world.current_a == flowing
    assert float(rig.ask("SOUR:POW:LEV?")[0]) > 0.005
    rig.laser.set_fault("interlock_open", True)
    assert rig.world.current_a == 0.0


def test_autostart_emits_without_any_computer() -> None:
    rig = Rig(cdrh=False)
    rig.laser.set_fault("autostart", True)
    assert rig.world.current_a > 0.0
    assert rig.ask("SYST:AUT?") == ["ON"]
    rig.laser.set_fault("power_off", True)
    assert rig.world.current_a == 0.0
    rig.laser.set_fault("power_off", False)
    assert rig.ask("SYST:STAT?") == ["00000100"]
    assert rig.ask("SYST:CYCL?") == ["13"]
    rig.clock.advance(6.0)
    assert rig.world.current_a > 0.0, "after its warm-up"
    rig.laser.set_fault("autostart", False)
    assert rig.world.current_a == 0.0


def test_autostart_off_outlives_the_mains_or_not() -> None:
    for lasts in (True, False):
        rig = Rig(autostart=True, autostart_off_lasts=lasts)
        rig.tell("SYST:AUT OFF", "*RST")
        rig.clock.advance(20.0)
        assert (rig.world.current_a > 0.0) is not lasts


def test_it_is_not_ready_while_it_warms_up() -> None:
    rig = Rig()
    rig.tell("*RST")
    assert rig.bytes(b"SOUR:AM:STAT ON\r") == b"ERR-200\r\n"
    rig.clock.advance(6.0)
    rig.emit()


def test_a_controller_without_its_laser_and_a_lost_handshake() -> None:
    rig = Rig()
    rig.laser.set_fault("controller_timeout", True)
    assert rig.bytes(b"SYST:STAT?\r") == b"ERR-520\r\n"
    assert rig.bytes(b"SYST:COMM:HAND?\r") == b"ON\r\nOK\r\n"
    rig.laser.set_fault("controller_timeout", False)
    rig.laser.set_fault("lost_handshake", True)
    assert rig.bytes(b"SYST:AUT?\r") == b"OFF\r\n"


def test_same_seed_same_readings() -> None:
    def readings() -> list[str]:
        rig = Rig()
        rig.emit()
        rig.clock.advance(2.0)
        return rig.ask("SOUR:POW:LEV?", "SOUR:POW:CURR?", "SOUR:TEMP:DIOD?", "SOUR:TEMP:INT?")

    assert readings() == readings()


def build() -> SimulationServer:
    world = StillWorld()
    laser = CoherentOBISSimulator(world, np.random.default_rng(2), cdrh=False)
    laser.role = "laser"
    return SimulationServer(world, {"laser": laser}, None)


@pytest.mark.parametrize("kind", ["tcp", "pty"])
def test_plain_pyserial_reads_the_golden_bytes(kind: str) -> None:
    with serving(build()) as bench:
        place = bench.addresses()["instruments"]["laser"][kind]
        if place is None:
            pytest.skip("pseudo-terminals are POSIX")
        with serial.serial_for_url(f"socket://{place}" if kind == "tcp" else place, baudrate=9600, timeout=5) as port:
            port.write(b"SOUR:AM:STAT ON\rSYST:STAT?\r")
            assert [port.readline() for _line in range(3)] == [b"OK\r\n", b"00000006\r\n", b"OK\r\n"]
            port.write(b"FOO:BAR 1\r\nSYST5:INF:WAV?\r\n")
            assert [port.readline() for _line in range(2)] == [b"ERR-100\r\n", b"ERR-241\r\n"]
            port.write(b"SOUR:AM:STAT OFF\r")
            assert port.readline() == b"OK\r\n"


def test_pyvisa_speaks_to_it_as_to_any_socket() -> None:
    import pyvisa

    with serving(build()) as bench:
        host, port = bench.addresses()["instruments"]["laser"]["tcp"].split(":")
        manager = pyvisa.ResourceManager("@py")
        try:
            laser = manager.open_resource(f"TCPIP::{host}::{port}::SOCKET", read_termination="\r\n",
                                          write_termination="\r", timeout=5000)  # fmt: skip
            assert isinstance(laser, pyvisa.resources.MessageBasedResource)
            assert laser.query("SYST:INF:MOD?") == "OBIS 808nm 1000mW C"
            assert laser.read() == "OK"
            laser.close()
        finally:
            manager.close()


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
@pytest.mark.filterwarnings("ignore:TCPIP:UserWarning")  # advice of pyvisa-py on packages that search a network
def test_a_driver_that_we_did_not_write_works_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from obis_laser_controller import obis_laser_controller as public

    with serving(build()) as bench:
        port = os.path.realpath(bench.addresses()["instruments"]["laser"]["pty"])
        # it looks its port up in a list of the system's serial ports, in which no pseudo-terminal stands
        monkeypatch.setattr(public.scpi.Instrument, "_match_resource", lambda *_: f"ASRL{port}::INSTR")
        laser = public.ObisLaserController(port, timeout=5)
        laser.connect()
        assert (laser.wavelength, laser.nominal_power, laser.max_power, laser.min_power) == (808.0, 1.0, 1.1, 0.01)
        assert laser.enabled is False
        laser.set_power(0.5)
        laser.on()
        assert laser.enabled is True
        laser.off()
        assert laser.enabled is False and laser.power == 0.0
        laser.disconnect()
