"""The contract suites on the simulated instruments: drivers and simulators share no code, so that each checks the other."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from devices.keysight_34970a import Keysight34970A
from devices.thorlabs_itc4000 import ThorlabsITC4005
from devices.thorlabs_pm100d import ThorlabsPM100D
from nanolab.interfaces import DeviceContext
from nanolab.safety.recipes import recipe_for
from nanolab.simulation import Simulation
from nanolab.testing import Rig, laser_contract, powermeter_contract, thermometer_contract

LASER = {
    "wavelength": "808 nm",
    "max_power": "0.6 W",
    "current_limit": "0.9 A",
    "threshold_current": "0.2 A",
    "slope": "1.0 W/A",
}
DRIVERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "laser": (ThorlabsITC4005, LASER),
    "thermocouple": (Keysight34970A, {}),
    "powermeter": (ThorlabsPM100D, {"position": "pickoff", "wavelength": "808 nm"}),
}
SUITES = {"laser": laser_contract, "thermocouple": thermometer_contract, "powermeter": powermeter_contract}
CASES = [(role, check) for role, suite in SUITES.items() for check in suite]


@pytest.fixture(scope="module")
def bench() -> Iterator[tuple[Simulation, Simulation, dict[str, Any]]]:
    """Serve one simulated bench at full speed: its control client, its truth client, its instruments."""
    words = [sys.executable, "-m", "nanolab", "sim", "serve", "--speed", "max", "--json"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    control, truth = Simulation(ready["control"]), Simulation(ready["truth"])
    control.advance(1.0)
    yield control, truth, ready["instruments"]
    control.close()
    truth.close()
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


@pytest.mark.parametrize(("role", "check"), CASES, ids=[f"{role}-{check.__name__}" for role, check in CASES])
def test_the_driver_keeps_its_contract_on_the_simulated_instrument(
    bench: tuple[Simulation, Simulation, dict[str, Any]], role: str, check: Callable[..., None]
) -> None:
    control, truth, instruments = bench
    driver, settings = DRIVERS[role]
    known = frozenset(control.faults()["faults"][role])

    def emitting() -> bool:
        return bool(truth.call("truth")["truth"]["laser"]["emitting"])

    @contextlib.contextmanager
    def make() -> Iterator[Rig]:
        context = DeviceContext(
            role, "tcp://" + instruments[role]["tcp"], driver.Settings.model_validate(settings), True, control.time_s,
            wall_clock=False,
        )  # fmt: skip
        device = driver(context)
        switched: set[str] = set()

        def fault(name: str, on: bool) -> None:
            control.fault(role, name, on)
            (switched.add if on else switched.discard)(name)

        try:
            yield Rig(
                device, context, advance=control.advance, fault=fault, faults=known,
                emitting=emitting if role == "laser" else None,
                recipe=recipe_for(instruments[role]["driver"], context.address, settings) if role == "laser" else None,
            )  # fmt: skip
        finally:
            for name in list(switched):
                fault(name, False)
            device.disconnect()
            control.advance(1.0)

    check(make)
