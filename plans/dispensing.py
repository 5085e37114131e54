"""Dosing as part of a plan: start a dose, read until it is there, and stop the pump however the plan ends."""

from collections.abc import Generator, Sequence
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp

from nanolab.assay import Plan
from nanolab.engine.clock import Clock
from nanolab.errors import LimitTripError
from plans.stubs import Judge, Reading, readings_until

LATE_BY_S = 30.0
"""A dose that is so much later than its volume and rate say (and half of that again) is given up."""


def dispense(
    pump: Any,
    volume_ml: float,
    rate_ml_per_min: float,
    clock: Clock,
    *,
    devices: Sequence[Any] = (),
    cadence_s: float = 1.0,
    judge: Judge | None = None,
    stream: str = "dosing",
) -> Generator[Any, Any, float]:
    """Infuse `volume_ml` on top of what was infused before; return the volume that the pump counted, mL.

    Pump and `devices` are read into `stream` once per `cadence_s` of lab time meanwhile, more often where the pump's
    watchdog asks for it (a stream has the same devices at all times: name another one for other devices). LimitTripError where the pump stops short or reports trouble, or is far too late; RefusedError, DeviceError
    as the pump says.
    """
    yield from bps.trigger(pump, wait=True)
    before = float((yield from bps.rd(pump.dispensed)))
    return (
        yield from dispense_to(
            pump, before + volume_ml, rate_ml_per_min, clock,
            devices=devices, cadence_s=cadence_s, judge=judge, stream=stream,
        )
    ) - before  # fmt: skip


def dispense_to(
    pump: Any,
    total_ml: float,
    rate_ml_per_min: float,
    clock: Clock,
    *,
    devices: Sequence[Any] = (),
    cadence_s: float = 1.0,
    judge: Judge | None = None,
    stream: str = "dosing",
) -> Generator[Any, Any, float]:
    """Infuse until the pump has counted `total_ml` altogether, as `dispense` does; return that total, mL."""
    name = pump.name
    missing = total_ml - float((yield from bps.rd(pump.dispensed)))
    yield from bps.abs_set(pump, total_ml, rate_ml_per_min=rate_ml_per_min, wait=True)
    begun = clock.now()
    expected_s = 60.0 * missing / rate_ml_per_min
    total = 0.0

    def finished(reading: Reading) -> str | None:
        nonlocal total
        total = float(reading[f"{name}_dispensed"]["value"])
        if not reading[f"{name}_valid"]["value"]:
            raise LimitTripError(f"the pump at {total:.4g} of {total_ml:.4g} mL: {reading[f'{name}_reason']['value']}")
        if not reading[f"{name}_pumping"]["value"]:
            return "dosed"
        if clock.now() - begun > 1.5 * expected_s + LATE_BY_S:
            raise LimitTripError(
                f"the pump still runs at {total:.4g} of {total_ml:.4g} mL, long after it should be done"
            )
        return None

    every_s = min(cadence_s, pump.read_within_s)
    read = list(devices) if pump in devices else [pump, *devices]
    yield from readings_until(read, clock, every_s, finished, judge, stream)
    return total


def pump_guard(plan: Plan, pump: Any) -> Plan:
    """Wrap a plan so that the pump stops, however the plan ends."""

    def stop() -> Plan:
        yield from bps.stop(pump)

    guarded: Plan = bpp.finalize_wrapper(plan, stop)
    return guarded
