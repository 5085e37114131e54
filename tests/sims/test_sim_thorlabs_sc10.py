"""The simulated SC10: echo, prompt, toggle, modes, interlock, faults; and a plain serial client with literal bytes."""

import contextlib
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import serial

from sims.instruments.thorlabs_sc10 import SC10_FAULTS, ThorlabsSC10Simulator
from sims.pace import LabClock
from sims.server import SimulationServer
from sims.testing import StillWorld


class Rig:
    """A controller and its clock; `speed` None: full speed."""

    def __init__(self, speed: float | None = 1.0, identity: str = "bloopbloop") -> None:
        self.world = StillWorld()
        self.shutter = ThorlabsSC10Simulator(self.world, np.random.default_rng(0), identity=identity)
        self.clock = LabClock(self.world, [self.shutter], None)
        if speed is not None:
            self.shutter.wall_s_per_lab_s = 1.0 / speed
        self.session = self.shutter.connection()

    def say(self, data: bytes) -> bytes:
        return b"".join(reply.data for reply in self.session.feed(data))

    def ask(self, question: str) -> str:
        echo, value, prompt = self.say(question.encode() + b"\r").split(b"\r")
        assert (echo.decode(), prompt) == (question, b"> ")
        return value.decode()


def test_conformance_vectors() -> None:
    rig = Rig()
    assert rig.say(b"id?\r") == b"id?\rbloopbloop\r> "
    assert rig.say(b"ens?\r") == b"ens?\r0\r> "
    assert rig.say(b"ens\r") == b"ens\r> "
    assert rig.say(b"ens?\r") == b"ens?\r1\r> "
    assert rig.say(b"mode=1\r") == b"mode=1\r> "
    assert rig.say(b"bogus\r") == b"bogus\rCommand error CMD_NOT_DEFINED\r> "
    assert rig.say(b"mode=9\r") == b"mode=9\rCommand error CMD_ARG_INVALID\r> "
    assert rig.say(b"ENS?\r") == b"ENS?\rCommand error CMD_NOT_DEFINED\r> ", "lower case only"


def test_pieces_and_several_lines_at_once() -> None:
    rig = Rig()
    assert rig.say(b"en") == b""
    assert rig.say(b"s?\rmode?\r") == b"ens?\r0\r> mode?\r1\r> "
    rig.say(b"half")
    rig.session.clear()
    assert rig.say(b"\r") == b"\r> "
    assert rig.say(b"\xff\r") == b"?\rCommand error CMD_NOT_DEFINED\r> "


def test_ens_is_a_toggle_and_the_blade_takes_its_time() -> None:
    rig = Rig()
    assert rig.ask("closed?") == "1"
    assert not rig.world.shutter_open
    rig.say(b"ens\r")
    assert (rig.ask("ens?"), rig.ask("closed?")) == ("1", "1"), "enabled is not open"
    rig.clock.advance(0.011)
    assert rig.ask("closed?") == "0"
    assert rig.world.shutter_open
    rig.say(b"ens\r")
    rig.clock.advance(0.011)
    assert (rig.ask("ens?"), rig.ask("closed?")) == ("0", "1")
    assert not rig.world.shutter_open


def test_at_full_speed_the_transit_is_credited() -> None:
    rig = Rig(speed=None)
    rig.say(b"ens\r")
    assert rig.ask("closed?") == "0"


def test_a_single_exposure_ends_by_itself() -> None:
    rig = Rig(speed=None)
    assert rig.say(b"mode=3\ropen=250\rens\r") == b"mode=3\r> open=250\r> ens\r> "
    rig.clock.advance(0.249)
    assert rig.world.shutter_open
    rig.clock.advance(0.002)
    assert not rig.world.shutter_open
    assert rig.ask("ens?") == "0"


def test_repeat_and_auto_open_and_shut_in_turn() -> None:
    rig = Rig(speed=None)
    rig.say(b"mode=4\rrep=2\ropen=100\rshut=300\rens\r")
    rig.clock.advance(0.05)
    assert rig.world.shutter_open
    seen = []
    for _step in range(12):
        rig.clock.advance(0.1)
        seen.append(rig.world.shutter_open)
    assert seen == [False, False, False, True, False, False, False, False, False, False, False, False]
    assert rig.ask("ens?") == "0"
    rig.say(b"mode=2\rens\r")
    rig.clock.advance(0.05)
    opened = 0
    for _step in range(40):
        rig.clock.advance(0.1)
        opened += rig.world.shutter_open
    assert opened == 10, "an auto pattern goes on: open a quarter of the time"
    assert rig.ask("ens?") == "1"
    rig.say(b"mode=5\r")
    assert (rig.ask("ens?"), rig.ask("mode?")) == ("0", "5"), "another mode disables"
    rig.say(b"ens\r")
    assert rig.ask("closed?") == "1", "nothing drives the gate input"


def test_settings_are_kept_told_stored_and_given_back() -> None:
    rig = Rig()
    rig.say(b"trig=1\rxto=1\rrep=99\ropen=999999\rbaud=1\rsavp\ropen=1\r")
    assert [rig.ask(f"{name}?") for name in ("trig", "xto", "rep", "open", "baud")] == ["1", "1", "99", "1", "1"]
    rig.say(b"resp\r")
    assert rig.ask("open?") == "999999"
    rig.say(b"default\r")
    assert (rig.ask("open?"), rig.ask("baud?")) == ("200", "0")
    rig.say(b"ens\r")
    assert b"CMD_NOT_ALLOWED" in rig.say(b"default\r")
    for wrong in (b"rep=100", b"rep=0", b"open=1000000", b"open=-1", b"open=", b"open=1.5", b"trig=2"):
        assert rig.say(wrong + b"\r") == wrong + b"\rCommand error CMD_ARG_INVALID\r> "
    assert "closed?" in rig.ask("?")
    assert rig.ask("*idn?") == "bloopbloop"


def test_an_open_interlock_closes_and_refuses() -> None:
    rig = Rig(speed=None)
    rig.say(b"ens\r")
    assert rig.ask("interlock?") == "0"
    rig.shutter.set_fault("interlock_open", True)
    assert (rig.ask("interlock?"), rig.ask("closed?"), rig.ask("ens?")) == ("1", "1", "0")
    assert rig.say(b"ens\r") == b"ens\rCommand error CMD_NOT_ALLOWED\r> "
    rig.shutter.set_fault("interlock_open", False)
    assert rig.ask("ens?") == "0", "it stays closed"


def test_faults() -> None:
    rig = Rig(speed=None)
    rig.shutter.set_fault("eaten_first_byte", True)
    assert rig.say(b"id?\r") == b"d?\rCommand error CMD_NOT_DEFINED\r> "
    assert rig.say(b"id?\r") == b"id?\rbloopbloop\r> "
    rig.shutter.set_fault("lost_ens_reply", True)
    assert rig.say(b"ens\r") == b""
    assert rig.ask("ens?") == "1", "the shutter obeyed all the same"
    rig.shutter.set_fault("blade_stuck", True)
    rig.say(b"ens\r")
    assert (rig.ask("ens?"), rig.ask("closed?")) == ("0", "0")
    rig.shutter.set_fault("blade_stuck", False)
    assert rig.ask("closed?") == "1"
    rig.say(b"ens\r")
    rig.shutter.set_fault("power_off", True)
    rig.shutter.set_fault("power_off", False)
    assert (rig.ask("ens?"), rig.ask("closed?")) == ("0", "1")
    rig.shutter.set_fault("silent", True)
    assert rig.say(b"id?\r") == b""
    rig.shutter.set_fault("silent", False)
    rig.shutter.set_fault("fragmented_reply", True)
    assert len(rig.session.feed(b"id?\r")) > 3, "a prompt split across packets"
    assert all(len(words.split()) > 4 for words in SC10_FAULTS.values())


@contextlib.contextmanager
def served() -> Iterator[dict[str, str]]:
    world = StillWorld()
    shutter = ThorlabsSC10Simulator(world, np.random.default_rng(0))
    server = SimulationServer(world, {"shutter": shutter}, 1.0)
    end = threading.Event()

    def serve() -> None:
        while not end.is_set():
            server.step(0.05)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.addresses()["instruments"]["shutter"]
    finally:
        end.set()
        thread.join()
        server.close()


@pytest.mark.parametrize("way", ["tcp", "pty"])
def test_a_plain_serial_client(way: str) -> None:
    with served() as place:
        if place[way] is None:
            pytest.skip("pseudo-terminals are POSIX")
        url = f"socket://{place['tcp']}" if way == "tcp" else place["pty"]
        with serial.serial_for_url(url, baudrate=9600, timeout=5.0) as port:

            def say(line: bytes) -> bytes:
                port.write(line + b"\r")
                return bytes(port.read_until(b"> "))

            assert say(b"id?") == b"id?\rTHORLABS SC10 VERSION 1.07\r> "
            assert say(b"ens?") == b"ens?\r0\r> "
            assert say(b"ens") == b"ens\r> "
            while say(b"closed?") != b"closed?\r0\r> ":
                pass
            assert say(b"ens") == b"ens\r> "
            while say(b"closed?") != b"closed?\r1\r> ":
                pass
