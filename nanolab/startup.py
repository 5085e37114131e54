"""A bench ready to use: devices, plans and a RunEngine, for ``%run``, IPython, or any host that imports a start-up module.

>>> from nanolab.startup import *  # doctest: +SKIP
>>> RE(photothermal(laser, thermocouple, clock=clock))  # doctest: +SKIP

The bench file is ``NANOLAB_BENCH``, else ``bench.toml`` in the working directory, else the simulated bench.
A real laser is armed with ``bench.arm()``. Everything is closed, laser first, when the interpreter ends.
"""

import atexit
import contextlib
from typing import Any

from nanolab.bench.connect import open_bench
from nanolab.bench.defaults import find_bench
from nanolab.discovery import entry_points_of, load
from nanolab.engine.assembly import Engine
from nanolab.engine.session import bind_safeguard
from nanolab.journal.writer import RunWriter
from nanolab.safety.limits import RunLimits

_stack = contextlib.ExitStack()
bench = _stack.enter_context(open_bench(find_bench()))
# only now: pyvisa closes its sessions at exit too, and what is registered last runs first
atexit.register(_stack.close)
journal = _stack.enter_context(RunWriter(bench.data_root, on_failure=bench.emergency_off))
engine = Engine(bench.clock, journal, bench.emergency_off)
bind_safeguard(engine, journal, bench)
RE = engine.RE
clock = bench.clock
limits = RunLimits.from_config(bench.config.limits)
devices: dict[str, Any] = dict(bench.devices)
plans: dict[str, Any] = {name: load("nanolab.plans", name).plan for name in entry_points_of("nanolab.plans")}

globals().update(devices)
globals().update(plans)

__all__ = ["RE", "bench", "clock", "devices", "engine", "journal", "limits", "plans", *devices, *plans]
