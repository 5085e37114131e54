"""The contract suites of pump, cuvette holder and pH meter on the simulated instruments, over TCP at full speed."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from devices.atlas_ezo_ph import AtlasEzoPh
from devices.new_era_ne1000 import NewEraNE1000
from devices.quantum_northwest_tc1 import QuantumNorthwestTC1
from nanolab.interfaces import DeviceContext
from nanolab.simulation import Simulation
from nanolab.testing import Rig, ph_probe_contract, pump_contract, temperature_controller_contract

PUMP = {"syringe_diameter": "8.66 mm", "syringe_volume": "3 mL", "syringe_content": "2.4 mL", "deadline": "10 s"}
DRIVERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "pump": (NewEraNE1000, PUMP),
    "cuvette_holder": (QuantumNorthwestTC1, {"probe": True, "deadline": "10 s"}),
    "ph": (AtlasEzoPh, {"deadline": "10 s"}),
}
SUITES = {"pump": pump_contract, "cuvette_holder": temperature_controller_contract, "ph": ph_probe_contract}
CASES = [(role, check) for role, suite in SUITES.items() for check in suite]

Served = tuple[Simulation, dict[str, Any]]


@pytest.fixture(scope="module")
def bench() -> Iterator[Served]:
    words = [sys.executable, "-m", "nanolab", "sim", "serve", "--speed", "max", "--json"]
    for role, driver in (("pump", "new_era_ne1000"), ("cuvette_holder", "qnw_tc1"), ("ph", "atlas_ezo_ph")):
        words += ["--instrument", f"{role}={driver}"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    control = Simulation(ready["control"])
    control.advance(1.0)
    yield control, ready["instruments"]
    control.close()
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


@pytest.mark.parametrize(("role", "check"), CASES, ids=[f"{role}-{check.__name__}" for role, check in CASES])
def test_the_driver_keeps_its_contract_on_the_simulated_instrument(
    bench: Served, role: str, check: Callable[..., None]
) -> None:
    control, instruments = bench
    driver, settings = DRIVERS[role]
    known = frozenset(control.faults()["faults"][role])

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
            yield Rig(device, context, advance=control.advance, fault=fault, faults=known)
        finally:
            for name in list(switched):
                fault(name, False)
            device.disconnect()
            control.advance(1.0)

    check(make)


def test_what_a_rig_cannot_do_is_left_out(bench: Served) -> None:
    """The checks that need a fault or a watchdog pass over a rig without one."""
    control, instruments = bench
    needing = [
        (role, check)
        for role, check in CASES
        if check.__name__.endswith(("alarm", "silence_stops", "dry_probe_is_invalid", "compensation", "is_told"))
    ]
    for role, check in needing:
        driver, settings = DRIVERS[role]
        bare = {**settings, "watchdog": "0 s"} if role == "pump" else settings

        @contextlib.contextmanager
        def make(role: str = role, driver: Any = driver, bare: dict[str, Any] = bare) -> Iterator[Rig]:
            context = DeviceContext(
                role, "tcp://" + instruments[role]["tcp"], driver.Settings.model_validate(bare), True, control.time_s,
                wall_clock=False,
            )  # fmt: skip
            yield Rig(driver(context), context, advance=control.advance)

        check(make)
