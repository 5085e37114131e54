"""For whoever writes a driver: contract suites by device kind, and servers for literal wire transcripts.

A contract suite is a tuple of check functions; each takes a *rig maker*, a function without arguments that returns a
context manager yielding a `Rig`: an unconnected device and what surrounds it. They need no test runner; with pytest::

    @pytest.mark.parametrize("check", laser_contract, ids=lambda check: check.__name__)
    def test_contract(check):
        check(make_rig)

A check that fails raises AssertionError with a sentence. A rig may leave out what it cannot do (faults, truth): the
checks then look at what is left.
"""

from nanolab.testing.byte_wire import ScriptedBytes
from nanolab.testing.deadman import Toggler
from nanolab.testing.laser import laser_contract
from nanolab.testing.ph_probe import ph_probe_contract
from nanolab.testing.powermeter import powermeter_contract
from nanolab.testing.pump import pump_contract
from nanolab.testing.rig import Check, Rig, RigMaker
from nanolab.testing.shutter import shutter_contract
from nanolab.testing.temperature_controller import temperature_controller_contract
from nanolab.testing.thermometer import thermometer_contract
from nanolab.testing.wire import CLOSE, LineServer, ScriptedServer

__all__ = [
    "CLOSE",
    "Check",
    "LineServer",
    "Rig",
    "RigMaker",
    "ScriptedBytes",
    "ScriptedServer",
    "Toggler",
    "laser_contract",
    "ph_probe_contract",
    "powermeter_contract",
    "pump_contract",
    "shutter_contract",
    "temperature_controller_contract",
    "thermometer_contract",
]
