"""The simulated EZO-pH: transcripts, continuous mode, calibration against Nernst, restarts, faults."""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import serial

from sims.instruments.atlas_ezo_ph import Calibration, EzoPhSimulator
from sims.pace import LabClock
from sims.server import SimulationServer
from sims.testing import StillWorld
from sims.world import World, WorldConfig
from sims.world.campaign import without_errors

PERFECT = (2, 100.0, 100.0, 0.0)


class Rig:
    def __init__(self, world: Any = None, speed: float | None = None, **options: Any) -> None:
        self.world = StillWorld() if world is None else world
        self.meter = EzoPhSimulator(self.world, np.random.default_rng(4), **options)
        self.meter.role = "ph"
        self.clock = LabClock(self.world, [self.meter], speed)
        self.session = self.meter.connection()

    def raw(self, data: bytes) -> bytes:
        return b"".join(reply.data for reply in self.session.feed(data))

    def ask(self, command: str) -> str:
        return self.raw(command.encode() + b"\r").decode().replace("\r", "|").rstrip("|")

    def said(self) -> str:
        return b"".join(reply.data for reply in self.session.resume()).decode()


def voltage(ph: float, temperature_c: float = 25.0) -> float:
    """Of an ideal electrode, mV (2.303 RT/F: 59.16 mV at 25 degC)."""
    return -59.159 * (temperature_c + 273.15) / 298.15 * (ph - 7.0)


def test_golden_vector_8() -> None:
    rig = Rig(calibration=Calibration(2, 99.7, 100.3, -0.89))
    rig.world.electrode_mv = -0.89 - 1.003 * 59.159 * 2.56
    assert rig.raw(b"R\r") == b"9.560\r*OK\r"
    assert rig.raw(b"junk\r") == b"*ER\r"
    assert rig.raw(b"T,?\r") == b"?T,25.0\r*OK\r"
    assert rig.raw(b"Cal,?\r") == b"?Cal,2\r*OK\r"
    assert rig.raw(b"Slope,?\r") == b"?Slope,99.7,100.3,-0.89\r*OK\r"
    assert rig.raw(b"Status\r") == b"?Status,P,3.83\r*OK\r"
    assert rig.raw(b"i\r") == b"?i,pH,2.12\r*OK\r"
    assert rig.raw(b"C,0\r") == b"*OK\r"


def test_commands_in_pieces_and_any_case() -> None:
    rig = Rig()
    assert rig.raw(b"t,") == b""
    assert rig.raw(b"?\rSTATUS\r") == b"?T,25.0\r*OK\r?Status,P,3.83\r*OK\r"
    rig.raw(b"Sta")
    rig.session.clear()
    assert rig.ask("") == "*ER"
    for wrong in ("R,1", "T,warm", "T,999", "C,100", "Slope", "Cal,low", "Name", "Baud,x", "Cal,top,3"):
        assert rig.ask(wrong) == "*ER", wrong


def test_after_power_up_it_talks_once_a_second_until_told_not_to() -> None:
    rig = Rig(calibration=Calibration(*PERFECT))
    rig.world.electrode_mv = voltage(7.4)
    rig.clock.advance(3.0)
    assert rig.said() == "7.400\r" * 3
    assert rig.ask("C,?") == "?C,1|*OK"
    assert rig.ask("C,5") == "*OK"
    rig.clock.advance(11.0)
    assert rig.said() == "7.400\r" * 2
    rig.ask("C,0")
    rig.clock.advance(100.0)
    assert rig.said() == ""
    rig.ask("C,1")
    rig.clock.advance(500.0)
    assert rig.said().count("\r") == 50  # a line's buffer holds no more


def test_codes_can_be_switched_off() -> None:
    rig = Rig()
    assert rig.ask("*OK,?") == "?*OK,1|*OK"
    assert rig.ask("*OK,0") == ""
    assert rig.ask("T,?") == "?T,25.0"
    assert rig.ask("junk") == ""
    assert rig.ask("*OK,1") == "*OK"


def test_the_compensation_that_is_told_counts() -> None:
    rig = Rig(calibration=Calibration(*PERFECT))
    rig.world.electrode_mv = voltage(4.0, 60.0)
    assert rig.ask("RT,60") == "4.000|*OK"
    assert rig.ask("T,?") == "?T,60.0|*OK"
    assert rig.ask("T,25") == "*OK"
    assert rig.ask("R") == f"{7.0 - 3.0 * 333.15 / 298.15:.3f}|*OK"


def test_three_points_make_a_calibration() -> None:
    rig = Rig()
    assert rig.ask("Cal,clear") == "*OK"
    assert rig.ask("Cal,?") == "?Cal,0|*OK"
    rig.world.electrode_mv = 12.0 + 0.95 * voltage(4.0)
    assert rig.ask("Cal,low,4.00") == "*ER"  # the middle point comes first
    rig.world.electrode_mv = 12.0
    assert rig.ask("Cal,mid,7.00") == "*OK"
    assert rig.ask("Cal,high,7.00") == "*ER"
    assert rig.ask("Cal,high,10.00") == "*ER"  # the voltage does not suit
    rig.world.electrode_mv = 12.0 + 0.95 * voltage(4.0)
    assert rig.ask("Cal,low,4.00") == "*OK"
    rig.world.electrode_mv = 12.0 + 0.98 * voltage(10.0)
    assert rig.ask("Cal,high,10.00") == "*OK"
    assert rig.ask("Cal,?") == "?Cal,3|*OK"
    assert rig.ask("Slope,?") == "?Slope,95.0,98.0,12.00|*OK"
    rig.world.electrode_mv = 12.0 + 0.95 * voltage(5.5)
    assert rig.ask("R") == "5.500|*OK"
    rig.world.electrode_mv = None
    assert rig.ask("Cal,mid,7.00") == "*ER"


def test_settings_sleep_and_what_is_not_played() -> None:
    rig = Rig()
    assert rig.ask("Name,ph1") == "*OK"
    assert rig.ask("Name,?") == "?Name,ph1|*OK"
    assert rig.ask("pHext,?") == "?pHext,0|*OK"
    assert rig.ask("L,0") == "*OK"
    assert rig.ask("Find") == "*OK"
    assert rig.ask("Sleep") == "*SL|*OK"
    rig.clock.advance(10.0)
    assert rig.said() == ""
    assert rig.ask("T,?") == "*WA"
    assert rig.ask("T,?") == "?T,25.0|*OK"


def test_it_leaves_its_uart_for_good() -> None:
    rig = Rig()
    rig.ask("I2C,100")
    assert rig.ask("R") == ""
    rig.clock.advance(5.0)
    assert rig.said() == ""
    rig.meter.set_fault("power_off", True)
    rig.meter.set_fault("power_off", False)
    assert rig.said() == "*RE\r"
    assert rig.ask("T,?") == "?T,25.0|*OK"


def test_faults() -> None:
    rig = Rig(calibration=Calibration(*PERFECT))
    rig.ask("C,0")
    rig.ask("T,37")
    rig.meter.set_fault("probe_dry", True)
    assert rig.ask("R") == "0.000|*OK"
    rig.meter.set_fault("probe_dry", False)
    rig.meter.set_fault("over_voltage", True)
    assert rig.ask("R").startswith("*OV|")
    rig.meter.set_fault("over_voltage", False)
    rig.meter.set_fault("under_voltage", True)
    assert rig.ask("R").startswith("*UV|")
    rig.meter.set_fault("streaming", True)
    rig.clock.advance(1.0)
    assert rig.said().count("\r") == 1
    rig.meter.set_fault("streaming", False)
    rig.meter.set_fault("brown_out", True)
    assert rig.said() == "*RS\r*RE\r"
    assert rig.ask("Status") == "?Status,B,3.83|*OK"
    assert rig.ask("T,?") == "?T,25.0|*OK"
    assert rig.ask("C,?") == "?C,1|*OK"
    rig.meter.set_fault("silent", True)
    assert rig.ask("R") == ""
    assert rig.said() == ""
    rig.meter.set_fault("silent", False)
    assert rig.ask("Factory") == "*OK"
    assert rig.ask("Cal,?") == "?Cal,0|*OK"


def test_readings_take_their_time_in_lab_time() -> None:
    rig = Rig(speed=2.0)
    (reading,) = rig.session.feed(b"R\r")
    (other,) = rig.session.feed(b"T,?\r")
    assert reading.after_wall_s == pytest.approx(0.45)
    assert other.after_wall_s == pytest.approx(0.15)


def test_the_meter_shows_the_worlds_ph_by_its_calibration() -> None:
    world = World(without_errors(WorldConfig()), 1)
    rig = Rig(world)
    rig.ask("C,0")
    truth = world.truth()
    # offset 0.5 mV and 0.35 per cent of slope from the true electrode, 22.5 degC told as 25 degC
    assert float(rig.ask("R").split("|")[0]) == pytest.approx(truth["ph"], abs=0.02)
    rig.ask("T,22.5")
    assert float(rig.ask("R").split("|")[0]) == pytest.approx(truth["ph"], abs=0.012)
    world.load("empty")
    assert rig.ask("R") == "0.000|*OK"


@pytest.fixture
def served() -> Iterator[str]:
    meter = EzoPhSimulator(StillWorld(), np.random.default_rng(4), calibration=Calibration(*PERFECT))
    meter.role = "ph"
    server = SimulationServer(meter.world, {"ph": meter}, 20.0)  # type: ignore[arg-type]  # the still world has all that is served
    running = True

    def serve() -> None:
        while running:
            server.step(0.02)

    thread = threading.Thread(target=serve, name="served")
    thread.start()
    yield str(server.addresses()["instruments"]["ph"]["tcp"])
    running = False
    thread.join()
    server.close()


def test_plain_pyserial_holds_the_transcript(served: str) -> None:
    with serial.serial_for_url(f"socket://{served}", timeout=5.0) as port:
        port.write(b"\r")
        assert port.read_until(b"\r") == b"*ER\r"
        assert port.read_until(b"\r") == b"7.400\r"  # continuous mode talks by itself
        port.write(b"C,0\r")
        while port.read_until(b"\r") != b"*OK\r":
            pass
        port.write(b"R\r")
        assert port.read_until(b"\r") == b"7.400\r"
        assert port.read_until(b"\r") == b"*OK\r"
