"""The simulated NE-1000: transcripts of both modes, watchdog on lab time, program, alarms, faults; and a public driver."""

import os
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import serial

from sims.instruments.new_era_frames import crc16, safe_frame
from sims.instruments.new_era_ne1000 import NE1000Simulator
from sims.instruments.new_era_program import CommandError, number, read_number
from sims.pace import LabClock
from sims.server import SimulationServer
from sims.testing import StillWorld


class Rig:
    def __init__(self, speed: float | None = None, **options: Any) -> None:
        self.world = StillWorld()
        self.pump = NE1000Simulator(self.world, np.random.default_rng(4), **{"power_up_alarm": False, **options})
        self.pump.role = "pump"
        self.clock = LabClock(self.world, [self.pump], speed)
        self.session = self.pump.connection()

    def raw(self, data: bytes) -> bytes:
        return b"".join(reply.data for reply in self.session.feed(data))

    def ask(self, command: str) -> str:
        """Send in basic mode; the reply without its frame."""
        reply = self.raw(command.encode() + b"\r")
        assert reply[:1] == b"\x02"
        assert reply[-1:] == b"\x03"
        return reply[1:-1].decode()

    def safe(self, command: str) -> bytes:
        return self.raw(safe_frame(command.encode()))

    @property
    def flow_ml_per_s(self) -> float:
        return self.world.plunger[-1][1] * self.pump.memory.ml_per_mm


def test_golden_vector_4() -> None:
    rig = Rig()
    assert rig.raw(b"\r") == b"\x0200S\x03"
    assert rig.raw(b"0DIA\r") == b"\x0200S26.59\x03"
    assert rig.raw(b"VER\r") == b"\x0200SNE1000V3.928\x03"
    rig.ask("RUN")
    assert rig.raw(b"DIS\r") == b"\x0200II0.000W0.000ML\x03"


@pytest.mark.parametrize(
    ("payload", "frame"),
    [
        ("SAF0", "02 08 53 41 46 30 55 43 03"),
        ("SAF5", "02 08 53 41 46 35 05 e6 03"),
        ("0SAF50", "02 0a 30 53 41 46 35 30 af 7a 03"),
        ("VER", "02 07 56 45 52 64 e0 03"),
        ("00S", "02 07 30 30 53 aa a6 03"),
        ("00A?T", "02 09 30 30 41 3f 54 05 40 03"),
    ],
)
def test_safe_frames_are_those_of_the_protocol(payload: str, frame: str) -> None:
    assert safe_frame(payload.encode()) == bytes.fromhex(frame)
    assert crc16(b"123456789") == 0x31C3  # the check value of this CRC


def test_blanks_and_case_do_not_matter_and_other_addresses_are_left_alone() -> None:
    rig = Rig()
    assert rig.ask(" 0 d i a ") == "00S26.59"
    assert rig.raw(b"7DIA\r") == b""
    assert rig.ask("ADR") == "00S00"
    assert rig.ask("ADR7") == "07S"
    assert rig.ask("07DIA") == "07S26.59"
    assert rig.ask("7ADR100") == "07S?OOR"


def test_an_alarm_takes_the_place_of_a_reply() -> None:
    rig = Rig(power_up_alarm=True)
    assert rig.ask("RUN") == "00A?R"
    assert rig.ask("") == "00S"  # it was not carried out
    assert rig.ask("RUN") == "00I"


def test_safe_mode_begins_and_ends_with_its_own_replies() -> None:
    rig = Rig()
    assert rig.safe("SAF5") == safe_frame(b"00S")
    assert rig.raw(b"DIA\r") == b""  # plain text is no packet now
    assert rig.safe("DIA") == safe_frame(b"00S26.59")
    assert rig.safe("SAF") == safe_frame(b"00S5")
    assert rig.safe("SAF256") == safe_frame(b"00S?OOR")
    assert rig.safe("SAF0") == b"\x0200S\x03"
    assert rig.ask("DIA") == "00S26.59"


def test_damaged_packets_are_told() -> None:
    rig = Rig()
    frame = bytearray(safe_frame(b"VER"))
    frame[3] ^= 1
    assert rig.raw(bytes(frame)) == b"\x0200S?COM\x03"
    assert rig.raw(b"\x02\x01") == b"\x0200S?COM\x03"
    assert rig.raw(b"\x02") == b""
    rig.clock.advance(1.0)  # the rest of a packet that began long ago is none
    assert rig.ask("DIA") == "00S26.59"
    assert rig.raw(b"x" * 300) == b""
    assert rig.ask("DIA") == "00S26.59"
    rig.raw(b"DI")
    rig.session.clear()
    assert rig.ask("VER") == "00SNE1000V3.928"


def test_the_watchdog_stops_the_pump_on_lab_time() -> None:
    rig = Rig()
    rig.safe("SAF5")
    rig.safe("RUN")
    rig.clock.advance(4.5)
    assert rig.safe("") == safe_frame(b"00I")
    rig.clock.advance(4.9)
    assert rig.pump.motor.running
    rig.clock.advance(0.2)
    assert not rig.pump.motor.running
    assert rig.world.plunger[-1][:2] == (pytest.approx(9.5), 0.0)
    # told at once, and again in the place of the next reply
    assert [reply.data for reply in rig.session.resume()] == [safe_frame(b"00A?T")]
    assert rig.session.resume() == []
    assert rig.safe("") == safe_frame(b"00A?T")
    assert rig.safe("") == safe_frame(b"00S")
    assert rig.pump.memory.safe_s == 5  # kept without power too


def test_the_watchdog_begins_with_the_first_packet_after_it_was_set() -> None:
    rig = Rig()
    rig.safe("SAF5")
    rig.clock.advance(100.0)
    assert rig.safe("") == safe_frame(b"00S")


def test_a_dose_ends_by_itself_on_time() -> None:
    rig = Rig()
    for command in ("VOL1.000", "RAT2.000MM"):
        assert rig.ask(command) == "00S"
    assert (rig.ask("VOL"), rig.ask("RAT")) == ("00S1.000ML", "00S2.000MM")
    assert rig.ask("RUN") == "00I"
    assert rig.flow_ml_per_s == pytest.approx(2.0 / 60.0)
    rig.clock.advance(15.0)
    assert rig.ask("DIS") == "00II0.500W0.000ML"
    rig.clock.advance(100.0)
    assert rig.ask("DIS") == "00SI1.000W0.000ML"
    assert rig.world.plunger[-1][0] == pytest.approx(30.0)
    assert rig.world.plunger[-1][1:] == (0.0, 0.0)
    assert rig.ask("CLDINF") == "00S"
    assert rig.ask("DIS") == "00SI0.000W0.000ML"


def test_pause_go_on_stop() -> None:
    rig = Rig()
    rig.ask("RAT2.000MM")
    rig.ask("RUN")
    rig.clock.advance(3.0)
    assert rig.ask("STP") == "00P"
    rig.clock.advance(3.0)
    assert rig.ask("DIS") == "00PI0.100W0.000ML"
    assert rig.ask("RUN") == "00I"
    rig.clock.advance(3.0)
    assert rig.ask("DIS") == "00II0.200W0.000ML"
    assert (rig.ask("STP"), rig.ask("STP"), rig.ask("STP")) == ("00P", "00S", "00S?NA")


def test_withdrawing_and_directions() -> None:
    rig = Rig()
    assert rig.ask("DIRREV") == "00S"
    assert rig.ask("DIR") == "00SWDR"
    assert rig.ask("DIRSTP") == "00S?"  # a public driver sends this
    rig.ask("RAT2.000MM")
    assert rig.ask("RUN") == "00W"
    assert rig.flow_ml_per_s < 0.0
    rig.clock.advance(3.0)
    assert rig.ask("DIS") == "00WI0.000W0.100ML"
    assert rig.ask("RAT1.000MM") == "00W"
    assert rig.flow_ml_per_s == pytest.approx(-1.0 / 60.0)
    assert rig.ask("CLDWDR") == "00W?NA"
    rig.ask("STP")
    assert rig.ask("CLDWDR") == "00P"
    assert rig.ask("CLDALL") == "00P?"


def test_rates_go_by_the_diameter() -> None:
    rig = Rig()
    assert rig.ask("RAT28.32MM") == "00S"  # published for 26.59 mm: 1699 mL/h
    assert rig.ask("RAT1700MH") == "00S?OOR"
    assert rig.ask("RAT1699MH") == "00S"
    assert rig.ask("DIA4.000") == "00S"
    assert rig.ask("VOL") == "00S0.000UL"  # small syringes count in microlitres
    assert rig.ask("RAT1.000MM") == "00S?OOR"
    assert rig.ask("RAT500.0UM") == "00S"
    assert rig.ask("DIA60.00") == "00S?OOR"
    assert rig.ask("DIA0.05") == "00S?OOR"
    rig.ask("RUN")
    assert rig.ask("DIA5.000") == "00I?NA"
    assert rig.ask("RAT1.000UH") == "00I?NA"  # no other unit while it pumps
    assert rig.ask("VOL1.000") == "00I?NA"
    assert rig.ask("RUN") == "00I?NA"


def test_numbers_as_the_pump_reads_and_writes_them() -> None:
    rig = Rig()
    assert rig.ask("VOL1e-05") == "00S?"
    assert rig.ask("VOL12345") == "00S?OOR"
    assert rig.ask("VOL0.0001") == "00S?OOR"
    assert [number(value) for value in (0.0, 1.234, 12.34, 123.4, 1234.0, 9.9996)] == [
        "0.000", "1.234", "12.34", "123.4", "1234.", "10.00",
    ]  # fmt: skip
    assert read_number(".5") == 0.5
    with pytest.raises(CommandError):
        read_number("1.2.3")


def test_phases_follow_each_other_and_the_last_one_is_the_end() -> None:
    rig = Rig()
    rig.ask("VOL0.100")
    rig.ask("RAT2.000MM")
    assert rig.ask("PHN") == "00S01"
    assert rig.ask("PHN2") == "00S"
    assert rig.ask("FUN") == "00SSTP"
    for command in ("FUNRAT", "DIRWDR", "RAT2.000MM", "VOL0.050"):
        assert rig.ask(command) == "00S"
    assert rig.ask("FUNLOP") == "00S?"
    assert rig.ask("PHN42") == "00S?OOR"
    assert rig.ask("RUN") == "00I"
    rig.clock.advance(3.5)
    assert rig.ask("") == "00W"
    rig.clock.advance(2.0)
    assert rig.ask("DIS") == "00SI0.100W0.050ML"
    rig.ask("PHN41")
    for command in ("FUNRAT", "RAT2.000MM", "VOL0.050"):
        rig.ask(command)
    assert rig.ask("RUN42") == "00S?OOR"
    assert rig.ask("RUN3") == "00S?NA"
    assert rig.ask("RUN41") == "00I"
    rig.clock.advance(3.0)
    assert rig.ask("") == "00A?O"


def test_purge_switches_and_unknown_words() -> None:
    rig = Rig()
    assert rig.ask("PUR") == "00X"
    assert rig.ask("RAT1.000MH") == "00X?NA"
    rig.clock.advance(60.0)
    assert rig.ask("DIS") == "00XI28.32W0.000ML"
    assert rig.ask("STP") == "00S"
    assert (rig.ask("AL"), rig.ask("AL0"), rig.ask("AL"), rig.ask("AL7")) == ("00S1", "00S", "00S0", "00S?OOR")
    assert rig.ask("XYZ") == "00S?"


def test_counters_may_begin_anew_at_each_start() -> None:
    rig = Rig(counters_restart=True)
    for _time in range(2):
        rig.ask("RAT2.000MM")
        rig.ask("RUN")
        rig.clock.advance(3.0)
        rig.ask("STP")
        assert rig.ask("STP") == "00S"
        assert rig.ask("DIS") == "00SI0.100W0.000ML"


def test_the_end_of_the_syringe_and_a_blocked_plunger_stall() -> None:
    rig = Rig()
    rig.ask("RUN")
    rig.world.travel_left_mm = 0.0
    rig.clock.advance(1.0)
    assert rig.ask("") == "00A?S"
    rig.world.travel_left_mm = 40.0
    rig.ask("RUN")
    rig.pump.set_fault("stall", True)
    assert rig.ask("") == "00A?S"
    assert rig.ask("RUN") == "00S"
    assert rig.ask("") == "00A?S"
    rig.pump.set_fault("stall", False)
    assert rig.ask("RUN") == "00I"


def test_a_power_cut_and_a_leak() -> None:
    rig = Rig()
    rig.ask("RUN")
    rig.clock.advance(3.0)
    rig.pump.set_fault("leak", True)
    assert rig.world.plunger[-1][2] == 0.5
    rig.pump.set_fault("power_off", True)
    assert rig.world.plunger[-1][1] == 0.0
    rig.pump.set_fault("power_off", False)
    assert rig.ask("DIS") == "00A?R"
    assert rig.ask("DIS") == "00SI0.000W0.000ML"


def test_a_silent_pump_hears_nothing_and_time_to_reply_is_lab_time() -> None:
    rig = Rig(speed=2.0)
    (reply,) = rig.session.feed(b"VER\r")
    assert reply.after_wall_s == pytest.approx(0.01)
    rig.pump.set_fault("silent", True)
    assert rig.raw(b"RUN\r") == b""
    rig.pump._raise_alarm("T")
    assert rig.session.resume() == []


# --- clients that are not ours


class Served:
    """The pump behind the real server, which runs in a thread while it is used."""

    def __init__(self) -> None:
        self.world = StillWorld()
        self.pump = NE1000Simulator(self.world, np.random.default_rng(4), power_up_alarm=False)
        self.pump.role = "pump"
        self.server = SimulationServer(self.world, {"pump": self.pump}, 20.0)
        self.places = self.server.addresses()["instruments"]["pump"]
        self.running = True
        self.thread = threading.Thread(target=self._serve, name="served")
        self.thread.start()

    def _serve(self) -> None:
        while self.running:
            self.server.step(0.02)

    def close(self) -> None:
        self.running = False
        self.thread.join()
        self.server.close()


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.close()


def test_plain_pyserial_on_tcp_holds_the_transcript(served: Served) -> None:
    with serial.serial_for_url(f"socket://{served.places['tcp']}", timeout=5.0) as port:
        for sent, received in ((b"\r", b"\x0200S\x03"), (b"0DIA\r", b"\x0200S26.59\x03")):
            port.write(sent)
            assert port.read(len(received)) == received
        port.write(bytes.fromhex("02 08 53 41 46 35 05 e6 03"))
        assert port.read(8) == bytes.fromhex("02 07 30 30 53 aa a6 03")


@pytest.mark.skipif(
    not hasattr(os, "openpty"), reason="the public driver opens real serial ports only; this needs a pty"
)
def test_a_public_driver_doses_with_it(served: Served) -> None:
    nesp_lib = pytest.importorskip("nesp_lib", reason="the public driver comes with the test extra")
    port = nesp_lib.Port(served.places["pty"], 19200)
    try:
        pump = nesp_lib.Pump(port)
        assert (pump.model_number, pump.firmware_version) == (1000, (3, 928))
        pump.syringe_diameter_mm = 8.66
        assert pump.syringe_diameter_mm == 8.66
        pump.pumping_direction = nesp_lib.PumpingDirection.INFUSE
        pump.pumping_volume_ml = 0.1
        pump.pumping_rate_ml_per_min = 2.0
        assert pump.pumping_volume_ml == pytest.approx(0.1)
        assert pump.pumping_rate_ml_per_min == pytest.approx(2.0)
        pump.run(wait_while_running=False)
        assert pump.running
        pump.wait_while_running()  # three seconds of lab time at twenty times the speed
        assert pump.volume_infused_ml == pytest.approx(0.1)
        pump.safe_mode_timeout_s = 50
        assert pump.safe_mode_timeout_s == 50
        with pytest.raises(ValueError, match="limit"):
            pump.pumping_rate_ml_per_min = 500.0
        pump.safe_mode_timeout_s = 0
        assert pump.status == nesp_lib.Status.STOPPED
    finally:
        port.close()


def test_the_server_offers_a_pty_where_there_are_ptys(served: Served) -> None:
    assert (served.places["pty"] is not None) == hasattr(os, "openpty")
    assert sys.platform.startswith("win") or served.places["pty"].endswith("pump")
    with socket.create_connection(("127.0.0.1", int(served.places["tcp"].rsplit(":")[-1])), timeout=5.0) as client:
        client.sendall(b"0SAF5\r")
        client.recv(100)
        client.sendall(safe_frame(b"0RUN"))
        alarm = b""
        while not alarm.endswith(safe_frame(b"00A?T")):
            alarm += client.recv(100)  # nobody says a word: five seconds of lab time later it stops and says so
        assert not served.pump.motor.running
