"""Each off recipe, carried out with nothing but a plain socket, ends the light on the simulated bench and sees it off."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.metadata import entry_points
from typing import Any

import pytest

from devices.deadman_box import DeadmanBox
from devices.gated_laser import GatedLaser
from devices.thorlabs_sc10 import ThorlabsSC10
from nanolab.errors import UsageError
from nanolab.safety.recipe import LineRecipe, OffCheck, OffRecipe, OffStep
from nanolab.simulation import Simulation
from nanolab.testing import Toggler

KNOB: dict[str, Any] = {"wavelength": "808 nm", "power": "0.65±0.02 W", "calibration_date": "2026-01-10"}
RELAY: dict[str, Any] = {**KNOB, "gate": "relay", "relay": {}}
CASES: dict[str, tuple[str, str, dict[str, Any], bytes, bytes, str]] = {
    # simulator: driver, role, table of bench.toml, bytes that let light pass, half a command, what is true then
    "gated_laser": ("gated_laser", "laser", KNOB, b"AC0\n", b"AC", "emitting"),
    "deadman_box": ("deadman_box", "deadman", {"boot": "1 s"}, b"AC0\n", b"AC", "gate_closed"),
    "gated_laser_relay": ("gated_laser", "laser", RELAY, b"RLY11\r", b"RLY1", "emitting"),
    "thorlabs_sc10": ("thorlabs_sc10", "shutter", {}, b"ens\r", b"en", "shutter_open"),
}
SETTINGS = {"gated_laser": GatedLaser, "deadman_box": DeadmanBox, "thorlabs_sc10": ThorlabsSC10}


def recipe_of(driver: str, address: str, table: Any) -> OffRecipe:
    make: Callable[..., OffRecipe] = {point.name: point.load() for point in entry_points(group="nanolab.off")}[driver]
    # it travels as JSON
    return OffRecipe.from_json(make("it", address, table).to_json())


class PlainClient:
    """Carries a recipe out: flush, steps, drain, checks."""

    def __init__(self, recipe: OffRecipe, half_sent: bytes) -> None:
        self._recipe = recipe
        host, port = recipe.address.removeprefix("tcp://").split(":")
        self._socket = socket.create_connection((host, int(port)), 10.0)
        self._rest = b""
        self._socket.sendall(half_sent)

    def __enter__(self) -> "PlainClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def off(self) -> bool:
        recipe = self._recipe
        self._send(recipe.flush)
        for step in recipe.steps:
            if step.unless is None:
                self._send(step.send)
        self._lines(recipe.flush_reply + sum(step.reply for step in recipe.steps if step.unless is None))
        for step in recipe.steps:
            if step.unless is not None and not self._says_off(step.unless):
                self._send(step.send)
                self._lines(step.reply)
        # a contact or a blade takes a moment: asked again until the recipe's time is up
        limit = time.monotonic() + recipe.confirm_within_s
        while not (off := all(self._says_off(check) for check in recipe.checks)) and time.monotonic() < limit:
            pass
        return off

    def _says_off(self, check: OffCheck) -> bool:
        self._send(check.ask)
        return check.says_off(self._lines(check.lines)[check.reply])

    def _send(self, text: str) -> None:
        self._socket.sendall((text + self._recipe.line.write).encode("latin-1"))

    def _lines(self, count: int) -> list[str]:
        end = self._recipe.line.read.encode("latin-1")
        while self._rest.count(end) < count:
            data = self._socket.recv(4096)
            assert data, "the connection was closed"
            self._rest += data
        *lines, self._rest = self._rest.split(end, count)
        return [line.decode("latin-1") for line in lines]


@pytest.fixture
def serve_one(request: pytest.FixtureRequest) -> Iterator[tuple[dict[str, Any], Simulation, Simulation]]:
    role, simulator = CASES[request.param][1], request.param
    words = [sys.executable, "-m", "nanolab", "sim", "serve", "--speed", "1", "--json", "--instrument"]
    process = subprocess.Popen(
        [*words, f"{role}={simulator}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    control, truth = Simulation(ready["control"]), Simulation(ready["truth"])
    yield ready["instruments"][role], control, truth
    control.close()
    truth.close()
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


@pytest.mark.parametrize("serve_one", CASES, indirect=True)
def test_the_recipe_ends_the_light_and_sees_it(
    serve_one: tuple[dict[str, Any], Simulation, Simulation], request: pytest.FixtureRequest
) -> None:
    place, control, truth = serve_one
    driver, role, table, on, half_sent, lit = CASES[request.node.callspec.params["serve_one"]]
    address = f"tcp://{place['tcp']}"
    recipe = recipe_of(driver, address, table)

    def is_lit() -> bool:
        return bool(truth.call("truth")["truth"]["laser"][lit])

    host, port = place["tcp"].split(":")
    with ExitStack() as stack:
        toggler = stack.enter_context(Toggler(place["tcp"])) if on == b"AC0\n" else None
        run = stack.enter_context(socket.create_connection((host, int(port)), 5.0))

        def turn_on() -> None:
            if toggler is not None:
                # what is malformed ends the sequence of toggles, of which arming wants two
                toggler.go_on()
            run.sendall(on)
            limit = time.monotonic() + 10.0
            while not is_lit():
                assert time.monotonic() < limit, "it does not come on"
                if toggler is not None:
                    # toggles come over another connection: which is read first is not said
                    run.sendall(on)

        turn_on()
        # again when it is off already: a toggle must not be sent then
        for _time in range(2):
            with PlainClient(recipe, half_sent) as client:
                assert client.off()
            assert not is_lit()
        turn_on()
        stuck = "blade_stuck" if role == "shutter" else "relay_welded"
        control.fault(role, stuck)
        with PlainClient(recipe, half_sent) as client:
            assert not client.off(), "what stays on is not off"


@pytest.mark.parametrize("driver", SETTINGS)
def test_a_recipe_is_the_same_from_the_file_and_from_checked_settings(driver: str) -> None:
    tables: dict[str, list[dict[str, Any]]] = {
        "gated_laser": [KNOB, RELAY, {**RELAY, "relay": {"off": "\\xA0\\x01", "answered": True}}],
        "deadman_box": [{}, {"boot": "1500 ms"}, {"boot": "1.5 s"}],
        "thorlabs_sc10": [{}],
    }
    for table in tables[driver]:
        checked = SETTINGS[driver].Settings.model_validate(table)
        plain = recipe_of(driver, "COM3", table)
        assert plain == recipe_of(driver, "COM3", checked)
        assert not plain.several_clients, "a serial port is one program's"
    if driver == "gated_laser":
        assert plain.steps == (OffStep("\xa0\x01", reply=1),)
    if driver == "deadman_box":
        assert plain.confirm_within_s == 2.5, "the board boots when its port is opened"
        assert recipe_of(driver, "COM3", {"boot": "0.02 min"}).confirm_within_s == 31.0, "the longest that is taken"
        assert recipe_of(driver, "tcp://10.0.0.5:4001", {}).confirm_within_s == 1.0


def test_a_recipe_needs_no_driver() -> None:
    code = (
        "import sys, devices.gate_off as a, devices.thorlabs_sc10_off as b;"
        "a.gated_laser_recipe('x', 'COM3', {'boot': '2 s'}); b.recipe('x', 'COM3', {});"
        "print([name for name in ('ophyd', 'bluesky', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_a_condition_travels_and_needs_a_rule() -> None:
    check = OffCheck("ens?", equals=("0",))
    recipe = OffRecipe("s", "COM3", LineRecipe(), (OffStep("ens", unless=check),), (check,), "by hand")
    assert OffRecipe.from_json(recipe.to_json()) == recipe
    with pytest.raises(UsageError, match=r"the read-back 'ens\?' has no rule"):
        OffRecipe("s", "COM3", LineRecipe(), (OffStep("ens", unless=OffCheck("ens?")),), (check,), "by hand")
