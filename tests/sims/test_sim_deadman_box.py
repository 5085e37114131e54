"""The simulated dead-man box: literal bytes, wall time, faults, and its hold on the laser of the world."""

import contextlib
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import serial

from sims.instruments.deadman_box import BOX_FAULTS, DeadmanBoxSimulator
from sims.instruments.gated_laser import GatedLaserSimulator, RelayLaserSimulator
from sims.server import SimulationServer
from sims.testing import StillWorld
from sims.world import World, WorldConfig

TOGGLES = (b"T00E6\n", b"T01E1\n", b"T02E8\n", b"T03EF\n")


class Rig:
    """A box in a world in which a current is set, and a wall clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.world = StillWorld()
        self.world.set_diode(1.0, 25.0)
        self.box = DeadmanBoxSimulator(self.world, np.random.default_rng(0), wall=lambda: self.now)
        self.session = self.box.connection()

    def say(self, data: bytes, after_s: float = 0.0) -> bytes:
        self.wait(after_s)
        return b"".join(reply.data for reply in self.session.feed(data))

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while self.box.due_wall_s <= end:
            self.now = max(self.now, self.box.due_wall_s)
            self.box.wall_tick(self.now)
        self.now = end

    def arm(self) -> bytes:
        self.say(TOGGLES[0])
        self.say(TOGGLES[1], 0.15)
        answer = self.say(b"AC0\n", 0.012)
        self.wait(0.02)
        return answer

    @property
    def lit(self) -> bool:
        return self.world.current_a > 0.0


def test_it_starts_open_and_says_nothing_unasked() -> None:
    rig = Rig()
    assert not rig.lit
    assert rig.say(b"") == b""
    assert rig.say(b"?\n") == b"S,OPEN,RESET,0,65535,0,0,1*96\n"
    assert rig.say(b"I\r\n") == b"I,nanolab,deadman-box,0001,1.0*02\n"


def test_arming_wants_two_toggles_in_sequence_and_the_contact_follows() -> None:
    rig = Rig()
    assert rig.say(b"AC0\n") == b"R,OPEN,RESET,0,65535,0,0,1*46\n"
    assert rig.say(TOGGLES[0]) == b""
    assert rig.say(b"AC0\n").startswith(b"R,OPEN")
    assert rig.say(TOGGLES[1], 0.1) == b""
    assert rig.say(b"AC0\n", 0.012) == b"S,CLOSED,RESET,0,12,1,0,1*8C\n"
    assert not rig.lit, "the relay takes its time"
    assert rig.say(b"?\n", 0.018) == b"S,CLOSED,RESET,0,30,1,1,1*78\n"
    assert rig.lit
    assert rig.say(b"AC0\n").startswith(b"S,CLOSED")
    assert rig.say(b"O\n", 0.010) == b"S,OPEN,COMMAND,0,40,0,1,1*BD\n"
    rig.wait(0.02)
    assert not rig.lit
    assert rig.say(b"@@@\n") == b"N,OPEN,COMMAND,0,60,0,0,1*4B\n"


def test_half_a_second_of_wall_time_whatever_the_lab_time_is() -> None:
    rig = Rig()
    rig.arm()
    rig.world.time_s = 1e6
    rig.box.tick()
    assert rig.lit, "lab time is none of its business"
    rig.wait(0.46)
    assert rig.lit
    rig.wait(0.02)
    assert not rig.lit
    assert b"OPEN,TIMEOUT,1," in rig.say(b"?\n")
    rig.say(TOGGLES[2])
    rig.say(TOGGLES[3], 0.15)
    assert b"OPEN,TIMEOUT" in rig.say(b"?\n"), "toggles alone close nothing"
    assert b"S,CLOSED" in rig.say(b"AC0\n")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"T01E1\n", b"SEQUENCE"),  # the same again: a stuck sender
        (b"T03EF\n", b"SEQUENCE"),  # one is missing
        (b"T02E9\n", b"MALFORMED"),
        (b"T02e8\n", b"MALFORMED"),
        (b"TGG00\n", b"MALFORMED"),
        (b"\n", b"MALFORMED"),
        (b"hello\n", b"MALFORMED"),
        (b"\x00", b"MALFORMED"),
        (b"\xff", b"MALFORMED"),
        (b"123456789", b"MALFORMED"),
        (b"?\r?", b"MALFORMED"),
        (b"AC1\n", b"MALFORMED"),
        (b"A\n", b"MALFORMED"),
        (b"T02E8O\n", b"MALFORMED"),
    ],
)
def test_everything_that_is_not_right_opens_at_once(data: bytes, reason: bytes) -> None:
    rig = Rig()
    rig.arm()
    rig.say(data)
    rig.wait(0.006)
    assert not rig.lit
    rig.session.clear()
    assert b"OPEN," + reason + b",1," in rig.say(b"?\n")


def test_the_counter_rolls_over() -> None:
    rig = Rig()
    rig.say(b"TFE76\n")
    rig.say(b"TFF7F\n", 0.15)
    rig.say(b"AC0\n")
    rig.say(b"T00E6\n", 0.15)
    assert b"S,CLOSED" in rig.say(b"?\n")


def test_door_and_brown_out_and_watchdog() -> None:
    rig = Rig()
    rig.arm()
    rig.box.set_fault("interlock_open", True)
    assert not rig.lit, "the laser's own interlock needs no relay"
    assert b"OPEN,INTERLOCK,1," in rig.say(b"?\n")
    assert rig.say(b"AC0\n").startswith(b"R,")
    rig.wait(0.01)
    rig.box.set_fault("interlock_open", False)
    assert not rig.lit
    assert rig.arm().startswith(b"S,CLOSED")
    rig.box.set_fault("brown_out", True)
    rig.wait(0.01)
    assert not rig.lit
    assert rig.say(b"?\n") == b"", "held in reset"
    rig.box.set_fault("brown_out", False)
    assert b"OPEN,RESET,0,65535" in rig.say(b"?\n"), "everything is forgotten"
    rig.arm()
    rig.box.set_fault("firmware_hangs", True)
    assert rig.say(b"O\n") == b""
    rig.wait(0.119)
    assert rig.lit, "a hung program holds its coil"
    rig.wait(0.010)
    assert not rig.lit, "until the watchdog resets it"
    rig.wait(10.0)
    rig.box.set_fault("firmware_hangs", False)
    assert b"OPEN,RESET,0" in rig.say(b"?\n")


def test_a_pulled_cable_takes_the_supply_away() -> None:
    for fault in ("port_vanishes", "power_off"):
        rig = Rig()
        rig.arm()
        rig.box.set_fault(fault, True)
        rig.wait(0.006)
        assert not rig.lit


def test_relays_that_fail() -> None:
    rig = Rig()
    rig.arm()
    rig.box.set_fault("relay_welded", True)
    assert b"S,OPEN,COMMAND,0" in rig.say(b"O\n")
    rig.wait(0.06)
    assert rig.lit and rig.box.contact_closed
    assert b"S,FAULT,CONTACT,0," in rig.say(b"?\n") and rig.say(b"?\n").split(b"*")[0].endswith(b",0,1,1")
    assert rig.arm().startswith(b"R,FAULT")
    rig.box.set_fault("relay_welded", False)
    assert not rig.lit
    assert b"FAULT" in rig.say(b"?\n"), "until a reset"

    rig = Rig()
    rig.arm()
    rig.box.set_fault("relay_welded_unseen", True)
    rig.say(b"O\n")
    rig.wait(0.06)
    assert rig.say(b"?\n").split(b"*")[0].endswith(b",0,0,1"), "it says open"
    assert rig.lit, "and is not"

    rig = Rig()
    rig.box.set_fault("relay_dead", True)
    rig.arm()
    rig.wait(0.06)
    assert not rig.lit
    assert b"S,FAULT,CONTACT,1," in rig.say(b"?\n")


def test_silence_hears_nothing_and_link_faults_spoil_answers() -> None:
    rig = Rig()
    rig.arm()
    rig.box.set_fault("silent", True)
    assert rig.say(TOGGLES[2], 0.1) == b""
    rig.wait(0.5)
    assert not rig.lit
    rig.box.set_fault("silent", False)
    rig.box.set_fault("half_line", True)
    assert not rig.say(b"?\n").endswith(b"\n")
    assert all(len(words.split()) > 4 for words in BOX_FAULTS.values())


@contextlib.contextmanager
def served() -> Iterator[tuple[SimulationServer, StillWorld]]:
    """Serve a box, from a thread, at full speed: no lab time passes at all."""
    world = StillWorld()
    world.set_diode(1.0, 25.0)
    box = DeadmanBoxSimulator(world, np.random.default_rng(0))
    server = SimulationServer(world, {"deadman": box}, None)
    end = threading.Event()

    def serve() -> None:
        while not end.is_set():
            server.step(0.05)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server, world
    finally:
        end.set()
        thread.join()
        server.close()


@pytest.mark.parametrize("way", ["tcp", "pty"])
def test_a_plain_serial_client(way: str) -> None:
    with served() as (server, world):
        place = server.addresses()["instruments"]["deadman"]
        if place[way] is None:
            pytest.skip("pseudo-terminals are POSIX")
        url = f"socket://{place['tcp']}" if way == "tcp" else place["pty"]
        with serial.serial_for_url(url, baudrate=115200, timeout=5.0) as port:
            port.write(b"?\n")
            assert port.readline() == b"S,OPEN,RESET,0,65535,0,0,1*96\n"
            port.write(b"T00E6\nT01E1\nAC0\n")
            assert port.readline().startswith(b"S,CLOSED,RESET,0,")
            answer = b""
            while b"TIMEOUT" not in answer or b",0,0,1*" not in answer:
                port.write(b"?\n")
                answer = port.readline()
            assert answer.startswith(b"S,OPEN,TIMEOUT,1,")
            age_ms = int(answer.split(b",")[4])
            assert age_ms > 500
            assert not world.gate_closed


def test_a_knob_behind_the_box() -> None:
    world = World(WorldConfig(), 1)
    now = [5.0]
    laser = GatedLaserSimulator(world, np.random.default_rng(0), knob_current_a=1.0)
    laser._wall = lambda: now[0]
    session = laser.connection()

    def power() -> float:
        now[0] += 0.01
        laser.wall_tick(now[0])
        world.advance_to(world.time_s + 1.0)
        return world.laser_power_w()

    assert power() == 0.0
    assert world.truth()["laser"]["gate_closed"] is False
    session.feed(b"T00E6\nT01E1\nAC0\n")
    assert power() > 0.0
    assert power() == pytest.approx(0.65, rel=0.03)
    laser.set_fault("knob_turned", True)
    assert power() == pytest.approx(0.84, rel=0.03)
    laser.set_fault("supply_off", True)
    assert power() == 0.0
    laser.set_fault("supply_off", False)
    laser.set_fault("knob_turned", False)
    session.feed(b"O\n")
    assert power() == 0.0


def test_a_knob_behind_a_plain_relay() -> None:
    world = StillWorld()
    laser = RelayLaserSimulator(world, np.random.default_rng(0))
    session = laser.connection()

    def say(data: bytes) -> bytes:
        return b"".join(reply.data for reply in session.feed(data))

    assert say(b"RLY1?\r") == b"RLY10\r\n"
    assert say(b"RLY1") == b"" and say(b"1\rRLY1?\r") == b"RLY11\r\n", "no answer to the command, one to the question"
    assert world.current_a == 1.0
    assert say(b"nonsense\r\n\r") == b"" and say(b"RLY1?\r") == b"RLY11\r\n"
    laser.set_fault("silent", True)
    assert say(b"RLY10\r") == b"" and world.current_a == 1.0
    laser.set_fault("silent", False)
    session.feed(b"RLY")
    session.clear()
    laser.set_fault("relay_welded", True)
    assert say(b"RLY10\rRLY1?\r") == b"RLY11\r\n"
    laser.set_fault("relay_welded", False)
    assert world.current_a == 0.0
    say(b"RLY11\r")
    laser.set_fault("power_off", True)
    assert world.current_a == 0.0
