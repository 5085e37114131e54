"""The off recipes, carried out with nothing but a socket on simulated lasers that emit after their host has died."""

import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import serial

from nanolab.discovery import load
from nanolab.quantities import Quantity
from nanolab.safety.recipe import OffRecipe
from nanolab.simulation import Simulation

HEAD = {"wavelength": "808 nm", "max_power": "0.6 W", "transmission": "0.87"}
EMIT: dict[str, tuple[dict[str, Any], list[bytes]]] = {
    "cobolt_06_mld": (HEAD, [b"p 0.5\r", b"l1\r"]),
    "coherent_obis": (HEAD, [b"SOUR:POW:LEV:IMM:AMPL 0.5\r", b"SOUR:AM:STAT ON\r"]),
    "thorlabs_itc4001": ({"threshold_current": "0.287 A"}, [b"SOUR:CURR:LIM 1;:SOUR:CURR 0.9;:OUTP1 ON\n"]),
    "thorlabs_itc4005": ({"threshold_current": "0.287 A"}, [b"SOUR:CURR:LIM 2;:SOUR:CURR 0.9;:OUTP1 ON\n"]),
}
"""Settings, and what makes each laser emit."""


@dataclass
class Served:
    """A simulated laser that is serving."""

    driver: str
    control: Simulation
    truth: Simulation
    place: dict[str, Any]

    @property
    def emitting(self) -> bool:
        """Whether light comes out, in truth."""
        return bool(self.truth.call("truth")["truth"]["laser"]["emitting"])

    def emit(self, then: bytes = b"") -> None:
        """Make it emit from a connection that ends without a word, perhaps in the middle of a command."""
        host, port = self.place["tcp"].split(":")
        with socket.create_connection((host, int(port)), timeout=5) as dying:
            for line in EMIT[self.driver][1]:
                dying.sendall(line)
            limit = time.monotonic() + 10.0
            while not self.emitting:
                # which connection is read first is not said: the clock may have moved before the command came
                self.control.advance(1.0)
                assert time.monotonic() < limit, "it does not emit"
            dying.sendall(then)


@pytest.fixture(scope="module", params=sorted(EMIT))
def laser(request: pytest.FixtureRequest) -> Iterator[Served]:
    """Serve one simulated laser."""
    words = [sys.executable, "-m", "nanolab", "sim", "serve", "--speed", "max", "--json",
             "--instrument", f"laser={request.param}"]  # fmt: skip
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    control, truth = Simulation(ready["control"]), Simulation(ready["truth"])
    yield Served(request.param, control, truth, ready["instruments"]["laser"])
    control.close()
    truth.close()
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


def recipe_of(driver: str, address: str, settings: dict[str, Any]) -> OffRecipe:
    """Return the recipe as whoever turns the laser off receives it: read back from JSON."""
    recipe: OffRecipe = load("nanolab.off", driver)("laser", address, settings)
    return OffRecipe.from_json(recipe.to_json())


@dataclass
class Line:
    """A connection through which a recipe is carried out: everything off is sent before anything is read."""

    send: Callable[[bytes], object]
    receive: Callable[[], bytes]
    left: bytes = field(default=b"")

    def carry_out(self, recipe: OffRecipe) -> list[bool]:
        """Return what each read-back of a recipe says about off."""
        write = recipe.line.write.encode()
        assert recipe.flush.endswith(recipe.line.write)
        self.send(recipe.flush.encode())
        for step in recipe.steps:
            self.send(step.send.encode() + write)
        self.lines(recipe.flush_reply + sum(step.reply for step in recipe.steps), recipe)
        says = []
        for check in recipe.checks:
            self.send(check.ask.encode() + write)
            says.append(check.says_off(self.lines(check.lines, recipe)[check.reply]))
        return says

    def lines(self, count: int, recipe: OffRecipe) -> Sequence[str]:
        """Return so many lines."""
        end = recipe.line.read.encode()
        while self.left.count(end) < count:
            self.left += self.receive()
        *lines, self.left = self.left.split(end, count)
        return [line.decode() for line in lines]


def over_tcp(address: str, recipe: OffRecipe) -> list[bool]:
    host, port = address.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        line = Line(connection.sendall, lambda: connection.recv(4096))
        says = line.carry_out(recipe)
        assert not select.select([connection], [], [], 0.05)[0], "an answer that the recipe does not know of"
        return says


def test_the_recipe_turns_the_laser_off_and_sees_it(laser: Served) -> None:
    address = f"tcp://{laser.place['tcp']}"
    recipe = recipe_of(laser.driver, address, EMIT[laser.driver][0])
    assert recipe.address == address and not recipe.several_clients
    laser.emit()
    assert all(over_tcp(address, recipe))
    assert not laser.emitting
    assert all(over_tcp(address, recipe)), "off is off a second time"


def test_the_recipe_does_not_take_stuck_emission_for_off(laser: Served) -> None:
    address = f"tcp://{laser.place['tcp']}"
    recipe = recipe_of(laser.driver, address, EMIT[laser.driver][0])
    laser.emit()
    laser.control.fault("laser", "emission_stuck", True)
    assert not all(over_tcp(address, recipe))
    assert laser.emitting
    laser.control.fault("laser", "emission_stuck", False)
    assert all(over_tcp(address, recipe))
    assert not laser.emitting


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_a_command_that_was_half_sent_is_not_carried_out(laser: Served) -> None:
    path = laser.place["pty"]
    if path is None:
        assert laser.driver.startswith("thorlabs"), "only the Thorlabs controllers are on no serial line"
        return
    half = {"cobolt_06_mld": b"p 0.9", "coherent_obis": b"SOUR:POW:LEV:IMM:AMPL 0.9"}[laser.driver]
    recipe = recipe_of(laser.driver, path, EMIT[laser.driver][0])
    assert (recipe.line.kind, recipe.line.baudrate, recipe.line.write) == ("serial", 115200, "\r")
    with serial.Serial(path, timeout=5) as port:
        for line in EMIT[laser.driver][1]:
            port.write(line)
            assert port.readline() == b"OK\r\n"  # nothing is owed when the host dies
        laser.control.advance(6.0)
        port.write(half)
        port.flush()
    with serial.Serial(path, timeout=5) as port:
        assert all(Line(port.write, lambda: port.read(1)).carry_out(recipe))
        assert not laser.emitting
        port.write({"cobolt_06_mld": b"p?\r", "coherent_obis": b"SOUR:POW:LEV:IMM:AMPL?\r"}[laser.driver])
        assert port.readline() == b"0.50000\r\n"


def test_recipes_need_neither_ophyd_nor_bluesky_nor_numpy() -> None:
    code = (
        "import sys, devices.off_recipes as r\n"
        "r.cobolt_06_mld('laser', '/dev/ttyUSB0', {}); r.coherent_obis('laser', 'COM3', {'channel': 2})\n"
        "r.thorlabs_itc4001('laser', 'USB0::1', {}); r.thorlabs_itc4005('laser', 'USB0::1', {'threshold_current': 0.3})\n"
        "print(sorted({'ophyd', 'bluesky', 'numpy', 'pint', 'serial', 'pyvisa'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_what_the_bench_file_says_goes_into_the_recipe() -> None:
    checked = {"dark_power": Quantity(0.002, "W"), "pause": {"value": 0.2, "unit": "s"}, "dark_current": "30 mA",
               "autostart": "sequence"}  # fmt: skip
    cobolt = recipe_of("cobolt_06_mld", "/dev/ttyUSB0", checked)
    assert cobolt.line.pause_s == 0.2
    assert [(check.ask, check.below, check.equals) for check in cobolt.checks] == [
        ("l?", None, ("0",)), ("gom?", None, ("0", "5", "6")), ("pa?", 0.002, ()), ("i?", 30.0, ()),
    ]  # fmt: skip
    assert recipe_of("cobolt_06_mld", "COM3", {}).line.pause_s == 0.1
    obis = recipe_of("coherent_obis", "COM3", {"channel": 2})
    assert obis.steps[0].send == "SOUR2:AM:STAT OFF"
    assert [check.ask for check in obis.checks] == [
        "SOUR2:AM:STAT?", "SYST2:STAT?", "SOUR2:POW:LEV?", "SOUR2:POW:CURR?",
    ]  # fmt: skip
    assert recipe_of("thorlabs_itc4001", "USB0::0x1313::0x804A::M1::INSTR", {}).line.kind == "visa"
    assert recipe_of("thorlabs_itc4001", "USB0::1", {"threshold_current": "0.2 A"}).checks[-1].below == 0.01
    assert recipe_of("thorlabs_itc4005", "USB0::1", {"threshold_current": "20 mA"}).checks[-1].below == 0.01


@pytest.mark.parametrize(
    ("status", "off"),
    [("00000004", True), ("84000004", True), ("00000400", True), ("00000006", False), ("00000014", False),
     ("00000002", False), ("0000000A", False), ("00000104", True), ("OFF", False), ("4", False)],
)  # fmt: skip
def test_emission_and_delay_are_read_from_the_status_word_of_the_obis(status: str, off: bool) -> None:
    check = recipe_of("coherent_obis", "COM3", {}).checks[1]
    assert check.says_off(status) is off
