"""The simulated Cobolt: golden bytes, sequence, key, interlock, faults; in a world that stands still."""

import socket

import numpy as np
import pytest
import serial

from sims.instruments.cobolt_06 import ILLEGAL, NOT_IN_AUTOSTART, OUT_OF_RANGE, Cobolt06MLDSimulator
from sims.instruments.laser_head import CASE_C, RegulatedHead
from sims.pace import LabClock
from sims.server import SimulationServer
from sims.testing import StillWorld, serving
from sims.world import World, load_world_config

T = 0.9
"""Transmission from head to sample plane."""


class Rig:
    def __init__(self, **options: object) -> None:
        self.world = StillWorld()
        self.laser = Cobolt06MLDSimulator(self.world, np.random.default_rng(2), **options)  # type: ignore[arg-type]  # options of many types
        self.clock = LabClock(self.world, [self.laser], None)
        self._session = self.laser.connection()

    def bytes(self, data: bytes) -> bytes:
        return b"".join(reply.data for reply in self._session.feed(data))

    def ask(self, *commands: str) -> list[str]:
        return [self.bytes(command.encode() + b"\r").decode().removesuffix("\r\n") for command in commands]

    @property
    def power_at_head(self) -> float:
        return self.world.photodiode_power_w() / T


def test_golden_vector_1() -> None:
    rig = Rig()
    assert rig.bytes(b"gsn?\r") == b"12345\r\n"
    assert rig.bytes(b"ilk?\r") == b"0\r\n"
    assert rig.bytes(b"p 0.012100\r") == b"OK\r\n"
    assert rig.bytes(b"p?\r") == b"0.01210\r\n"
    assert rig.bytes(b"l1\r") == b"OK\r\n"
    assert rig.bytes(b"bogus\r") == b"Syntax error: illegal command\r\n"
    rig.clock.advance(3.0)
    assert rig.bytes(b"pa?\r") == b"0.01210\r\n"
    assert rig.power_at_head == pytest.approx(0.0121)


@pytest.mark.parametrize("chunks", [[b"gsn", b"?", b"\r"], [b"gsn?\r\n"], [b"  gsn?  \r"], [b"\r\ngsn?\n"]])
def test_lines_come_in_any_pieces_and_blanks_around_them_do_not_matter(chunks: list[bytes]) -> None:
    rig = Rig()
    assert b"".join(rig.bytes(chunk) for chunk in chunks) == b"12345\r\n"


@pytest.mark.parametrize("line", ["GSN?", "p", "p  ", "p 1 2", "l1 1", "p one", "@cobas 2", "slp?", "l0r", "", "@@@l0"])
def test_what_is_not_a_command_is_a_syntax_error(line: str) -> None:
    assert Rig().ask(line) == ([ILLEGAL] if line else [""])


def test_echo_and_line_end_can_be_chosen_and_a_flood_without_end_is_forgotten() -> None:
    assert Rig(echo=True).bytes(b"l?\r") == b"l?\r\n0\r\n"
    assert Rig(line_end="\r").bytes(b"l?\r") == b"0\r"
    rig = Rig()
    assert rig.bytes(b"x" * 5000) == b""
    assert rig.bytes(b"l?\r") == b"0\r\n"
    rig.bytes(b"half")
    rig._session.clear()
    assert rig.bytes(b"l?\r") == b"0\r\n"


def test_l1_and_l0_switch_a_unit_without_key() -> None:
    rig = Rig()
    assert rig.ask("@cobas?", "gkses?", "l1", "l?", "gom?", "leds?") == ["0", "0", "OK", "1", "2", "7"]
    assert rig.world.diode[-1] == (0.0, rig.world.current_a, CASE_C)
    assert float(rig.ask("i?")[0]) == pytest.approx(1e3 * rig.world.current_a, abs=1.0)
    assert rig.ask("l0", "l?", "pa?", "i?") == ["OK", "0", "0.00000", "0.0"]
    assert rig.world.current_a == 0.0


def test_power_is_in_w_by_p_and_in_mw_by_slp() -> None:
    rig = Rig()
    assert rig.ask("slp 250", "p?", "glp?", "gmlp?", "@cobasp 0.3", "p?") == [
        "OK", "0.25000", "250.00", "1000.00", "OK", "0.30000",
    ]  # fmt: skip
    assert rig.ask("p 1.1", "p nan", "p -1", "slc 2600") == 4 * [OUT_OF_RANGE]


def test_the_reported_power_rises_with_a_lag_and_falls_at_once() -> None:
    rig = Rig()
    rig.ask("p 0.5", "l1")
    rig.clock.advance(0.2)
    assert float(rig.ask("pa?")[0]) == pytest.approx(0.5 * (1 - np.exp(-1)), rel=1e-3)
    rig.clock.advance(2.0)
    assert float(rig.ask("pa?")[0]) == pytest.approx(0.5, rel=1e-3)
    assert rig.ask("l0", "pa?")[1] == "0.00000"


def test_constant_power_is_held_against_a_diode_that_loses_light() -> None:
    rig = Rig()
    rig.ask("p 0.5", "l1")
    # current as by the calibration at first: threshold + power at the sample plane / slope
    assert rig.world.current_a == pytest.approx(0.3 + 0.5 * T / 0.9)
    rig.world.slope_w_per_a = 0.8
    rig.clock.advance(60.0)
    assert rig.power_at_head == pytest.approx(0.5, rel=1e-3)


def test_constant_current_and_modulation() -> None:
    rig = Rig()
    assert rig.ask("ci", "slc 600", "l1", "gam?", "glc?", "gmlc?") == ["OK", "OK", "OK", "0", "600.0", "2500.0"]
    assert rig.world.current_a == 0.6
    assert rig.ask("em", "gam?", "gom?") == ["OK", "2", "4"]
    assert rig.world.current_a == 0.0, "there is no modulation input"
    assert rig.ask("eoom", "cp", "gom?", "xoom", "gom?") == ["OK", "OK", "3", "OK", "2"]
    assert rig.ask("sdmes 1", "gdmes?", "sames 1", "games?", "salis 1", "galis?", "@cobasdr 1", "@cobasdr?") == [
        "OK", "1", "OK", "1", "OK", "1", "OK", "1",
    ]  # fmt: skip
    assert rig.ask("slmp 20", "glmp?") == ["OK", "20.00"]


def test_pausing_is_known_to_newer_firmware() -> None:
    rig = Rig(pause_known=True)
    rig.ask("p 0.5", "l1", "l0r")
    assert rig.world.current_a == 0.0
    rig.ask("l1r")
    assert rig.world.current_a > 0.0


def test_the_sequence_settles_waits_for_the_key_and_warms_up() -> None:
    rig = Rig(cdrh=True)
    assert rig.ask("@cobas?", "gkses?", "l1") == ["1", "1", NOT_IN_AUTOSTART]
    rig.laser.set_fault("key_off", True)
    assert rig.ask("@cobasks?", "@cob1", "gom?", "l?") == ["0", "OK", "0", "0"]
    rig.clock.advance(30.0)
    assert rig.ask("gom?", "l?") == ["1", "0"]
    rig.laser.set_fault("key_off", False)
    assert rig.ask("gom?") == ["0"]
    rig.clock.advance(1.9)
    assert rig.ask("l?") == ["0"]
    rig.clock.advance(0.1)
    assert rig.ask("gom?", "l?") == ["2", "1"]
    assert rig.world.current_a > 0.0
    assert rig.ask("@cob0", "gom?", "l?") == ["OK", "0", "0"]


def test_cob1_while_it_emits_costs_the_light_until_the_key_is_turned() -> None:
    """Negative vector (g)."""
    rig = Rig(cdrh=True)
    rig.ask("@cob1")
    rig.clock.advance(5.0)
    assert rig.ask("l?", "@cob1", "l?") == ["1", "OK", "0"]
    rig.clock.advance(60.0)
    assert rig.ask("gom?", "l?") == ["1", "0"]
    rig.laser.set_fault("key_off", True)
    rig.laser.set_fault("key_off", False)
    rig.clock.advance(5.0)
    assert rig.ask("l?") == ["1"]
    rig.laser.set_fault("key_off", True)
    assert rig.ask("l?", "gom?") == ["0", "1"]
    assert rig.world.current_a == 0.0


def test_restart_and_abort() -> None:
    rig = Rig(cdrh=True)
    rig.ask("restart", "abort")
    rig.clock.advance(60.0)
    assert rig.ask("gom?", "l?") == ["6", "0"]


def test_enabling_autostart_switches_off() -> None:
    rig = Rig()
    assert rig.ask("l1", "@cobas 1", "l?", "@cobas?", "@cobas 0", "@cobas?") == ["OK", "OK", "0", "1", "OK", "0"]


@pytest.mark.parametrize("cdrh", [False, True])
def test_an_open_interlock_ends_emission_and_closing_it_is_not_enough(cdrh: bool) -> None:
    rig = Rig(cdrh=cdrh)
    begin = "@cob1" if cdrh else "l1"
    rig.ask(begin)
    rig.clock.advance(5.0)
    assert rig.world.current_a > 0.0
    rig.laser.set_fault("interlock_open", True)
    assert rig.world.current_a == 0.0
    assert rig.ask("ilk?", "f?", "l?", "gom?", "leds?") == ["1", "3", "0", "5", "9"]
    assert rig.ask("cf", "f?") == ["OK", "3"]
    rig.laser.set_fault("interlock_open", False)
    assert rig.ask("ilk?", "f?") == ["0", "3"]
    if not cdrh:
        assert rig.ask("l1", "l?") == ["OK", "0"], "OK is no proof of light"
    assert rig.ask("cf", "f?", begin) == ["OK", "0", "OK"]
    rig.clock.advance(10.0)
    assert rig.ask("l?", "gom?") == (["0", "1"] if cdrh else ["1", "2"])
    if cdrh:
        rig.laser.set_fault("key_off", True)
        rig.laser.set_fault("key_off", False)
        rig.clock.advance(5.0)
        assert rig.ask("l?") == ["1"]


@pytest.mark.parametrize(("fault", "number"), [("over_temperature", "1"), ("power_not_reached", "4")])
def test_faults_have_numbers_and_end_emission(fault: str, number: str) -> None:
    rig = Rig()
    rig.ask("l1")
    rig.laser.set_fault(fault, True)
    assert rig.ask("f?", "l?") == [number, "0"]
    assert rig.world.current_a == 0.0
    assert (float(rig.ask("rbpt?")[0]) > 50.0) is (fault == "over_temperature")
    assert float(rig.ask("rtect?")[0]) == pytest.approx(25.0, abs=0.1)


def test_more_than_the_diode_gives_is_fault_4() -> None:
    rig = Rig(max_w=3.0)
    rig.ask("p 2.9", "l1")
    assert rig.ask("f?", "l?") == ["4", "0"]


def test_stuck_emission_acknowledges_off_and_only_light_and_current_tell() -> None:
    rig = Rig()
    rig.ask("p 0.5", "l1")
    rig.clock.advance(3.0)
    flowing = rig.world.current_a
    rig.laser.set_fault("emission_stuck", True)
    assert rig.ask("l0", "l?") == ["OK", "0"]
    assert rig.world.current_a == flowing
    assert float(rig.ask("pa?")[0]) == pytest.approx(0.5, rel=0.01)
    rig.laser.set_fault("emission_stuck", False)
    assert rig.world.current_a == 0.0
    rig.ask("l1")
    rig.laser.set_fault("emission_stuck", True)
    rig.laser.set_fault("interlock_open", True)
    assert rig.world.current_a == 0.0, "the interlock takes the diode's supply away"


def test_autostart_emits_without_any_computer() -> None:
    rig = Rig()
    rig.laser.set_fault("autostart", True)
    assert rig.world.current_a == 0.0
    rig.clock.advance(4.0)
    assert rig.world.current_a > 0.0
    rig.laser.set_fault("power_off", True)
    assert rig.world.current_a == 0.0
    rig.laser.set_fault("power_off", False)
    rig.clock.advance(4.0)
    assert rig.world.current_a > 0.0
    rig.laser.set_fault("autostart", False)
    assert rig.world.current_a == 0.0


def test_a_unit_with_key_waits_for_it_when_its_mains_come_back() -> None:
    rig = Rig()
    rig.laser.set_fault("cdrh", True)
    assert rig.ask("gkses?", "@cobas?", "l1") == ["1", "1", NOT_IN_AUTOSTART]
    rig.laser.set_fault("power_off", True)
    rig.laser.set_fault("power_off", False)
    rig.clock.advance(60.0)
    assert rig.ask("gom?") == ["1"]


def test_hurried_commands_are_lost() -> None:
    rig = Rig()
    rig.laser.set_fault("hurried_commands_lost", True)
    assert rig.ask("l?", "l?") == ["0", ""]
    rig.clock.advance(0.02)
    assert rig.ask("l?") == ["0"]


def test_faults_of_the_link() -> None:
    rig = Rig()
    rig.laser.set_fault("silent", True)
    assert rig.ask("l?") == [""]
    rig.laser.set_fault("silent", False)
    rig.laser.set_fault("half_line", True)
    assert rig.bytes(b"gsn?\r") == b"123"
    with pytest.raises(ValueError, match="no fault 'interlock_opn'; did you mean 'interlock_open'"):
        rig.laser.set_fault("interlock_opn", True)


def test_a_unit_of_the_second_generation_takes_no_legacy_power() -> None:
    rig = Rig(generation=2)
    assert rig.ask("glm?", "hrs?", "?", "gfv?", "sn?") == [
        "0808-06-01-1000-1000",
        "828.98",
        "OK",
        "CAP-1004.2.0",
        "12345",
    ]
    assert rig.ask("p 0.5", "l1", "p?") == 3 * [ILLEGAL]


def test_the_power_at_the_sample_follows_in_the_real_world() -> None:
    world = World(load_world_config(None), 3)
    laser = Cobolt06MLDSimulator(world, np.random.default_rng(3))
    clock = LabClock(world, [laser], None)
    session = laser.connection()
    session.feed(b"p 0.5\rl1\r")
    clock.advance(120.0)
    gain = world.config.laser.monitor_gain
    # the head holds what its own photodiode shows, whose gain error stands between it and the sample; 0.3 % noise in
    # each reading, smoothed by the loop
    assert world.laser_power_w() == pytest.approx(0.5 * T / gain, rel=0.006)
    assert float(session.feed(b"pa?\r")[0].data) == pytest.approx(0.5, rel=0.015)
    session.feed(b"l0\r")
    assert world.laser_power_w() == 0.0


def test_a_head_that_is_off_regulates_nothing() -> None:
    world = StillWorld()
    head = RegulatedHead(world, lag_s=0.0)
    head.regulate()
    assert world.diode == []
    head.emit(0.2)
    assert head.measured_w() == pytest.approx(0.2)
    head.emit(0.2)
    assert len(world.diode) == 1


def test_same_seed_same_readings() -> None:
    def readings() -> list[str]:
        rig = Rig()
        rig.ask("p 0.4", "l1")
        rig.clock.advance(2.0)
        return rig.ask("pa?", "i?", "rtect?", "i?")

    assert readings() == readings()


def build() -> SimulationServer:
    world = StillWorld()
    laser = Cobolt06MLDSimulator(world, np.random.default_rng(2))
    laser.role = "laser"
    return SimulationServer(world, {"laser": laser}, None)


def by_pyserial(url: str) -> list[bytes]:
    """What plain pyserial receives for golden vector 1."""
    with serial.serial_for_url(url, baudrate=115200, timeout=5) as port:
        found = []
        for command in (b"gsn?\r", b"ilk?\r", b"p 0.012100\r", b"bogus\r"):
            port.write(command)
            found.append(port.readline())
    return found


GOLDEN = [b"12345\r\n", b"0\r\n", b"OK\r\n", b"Syntax error: illegal command\r\n"]


def test_plain_pyserial_reads_the_golden_bytes_over_tcp_and_one_client_has_the_port() -> None:
    with serving(build()) as bench:
        tcp = f"socket://{bench.addresses()['instruments']['laser']['tcp']}"
        with serial.serial_for_url(tcp, timeout=5) as first:
            first.write(b"l?\r")
            assert first.readline() == b"0\r\n"
            host, port = tcp.removeprefix("socket://").split(":")
            with socket.create_connection((host, int(port)), timeout=5) as second:
                assert second.recv(1) == b"", "hung up on"
            first.write(b"l?\r")
            assert first.readline() == b"0\r\n"
        assert by_pyserial(tcp) == GOLDEN


def test_plain_pyserial_reads_the_golden_bytes_over_a_terminal() -> None:
    with serving(build()) as bench:
        pty = bench.addresses()["instruments"]["laser"]["pty"]
        if pty is None:
            pytest.skip("pseudo-terminals are POSIX")
        assert by_pyserial(pty) == GOLDEN
