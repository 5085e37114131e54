"""The heater's off recipe on the simulated holder, whose own driver switched the heater on."""

from collections.abc import Callable
from typing import Any

from devices.holder_off import quantum_northwest_tc1
from devices.quantum_northwest_tc1 import QuantumNorthwestTC1
from nanolab.interfaces import DeviceContext
from nanolab.safety.off import LaserLine, go_off, make_safe, probe
from nanolab.safety.recipe import OffRecipe


def test_a_heater_is_switched_off_and_seen_off_without_its_driver(serve: Callable[..., Any]) -> None:
    server = serve("--speed", "1", "--instrument", "cuvette_holder=qnw_tc1")
    address = "tcp://" + server.ready["instruments"]["cuvette_holder"]["tcp"]
    settings = QuantumNorthwestTC1.Settings.model_validate({})
    driver: Any = QuantumNorthwestTC1(DeviceContext("cuvette_holder", address, settings, True, lambda: 0.0))
    recipe = OffRecipe.from_json(quantum_northwest_tc1("cuvette_holder", address, {}).to_json())
    driver.connect()
    driver.stage()
    status = driver.set(45.0)
    driver.trigger().wait(10.0)
    line = LaserLine(recipe)
    line.open()
    assert not probe(line)[0].off, "it heats"
    assert go_off(line, "a test").confirmed
    line.close()
    assert make_safe([recipe], "a test")[0]["confirmed"], "off is off a second time"
    assert status is not None
    driver.disconnect()
