"""The laser contract suite on the simulated Cobolt and OBIS, over TCP at full speed."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from devices.cobolt_06 import Cobolt06MLD
from devices.coherent_obis import CoherentOBIS
from nanolab.interfaces import DeviceContext
from nanolab.safety.recipes import recipe_for
from nanolab.simulation import Simulation
from nanolab.testing import Rig, laser_contract

HEAD = {"wavelength": "808 nm", "max_power": "0.6 W", "transmission": "0.87"}
DRIVERS: dict[str, Any] = {"cobolt_06_mld": Cobolt06MLD, "coherent_obis": CoherentOBIS}


@dataclass
class Served:
    """A simulated laser that is serving."""

    driver: str
    control: Simulation
    truth: Simulation
    places: dict[str, Any]

    @property
    def emitting(self) -> bool:
        """Whether light comes out, in truth."""
        return bool(self.truth.call("truth")["truth"]["laser"]["emitting"])


@pytest.fixture(scope="module", params=sorted(DRIVERS))
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    """Serve one simulated laser."""
    words = [sys.executable, "-m", "nanolab", "sim", "serve", "--speed", "max", "--json",
             "--instrument", f"laser={request.param}"]  # fmt: skip
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    control, truth = Simulation(ready["control"]), Simulation(ready["truth"])
    control.advance(1.0)
    yield Served(request.param, control, truth, ready["instruments"]["laser"])
    control.close()
    truth.close()
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


@pytest.mark.parametrize("check", laser_contract, ids=lambda check: check.__name__)
def test_the_driver_keeps_its_contract(served: Served, check: Callable[..., None]) -> None:
    driver = DRIVERS[served.driver]
    control = served.control
    known = frozenset(control.faults()["faults"]["laser"])

    @contextlib.contextmanager
    def make() -> Iterator[Rig]:
        settings = driver.Settings.model_validate(HEAD)
        context = DeviceContext(
            "laser", "tcp://" + served.places["tcp"], settings, True, control.time_s, wall_clock=False
        )
        device = driver(context)
        switched: set[str] = set()

        def fault(name: str, on: bool) -> None:
            control.fault("laser", name, on)
            (switched.add if on else switched.discard)(name)

        try:
            recipe = recipe_for(served.driver, context.address, HEAD)
            yield Rig(device, context, control.advance, fault, known, lambda: served.emitting, recipe)
        finally:
            for name in list(switched):
                fault(name, False)
            device.disconnect()
            control.advance(1.0)

    check(make)
