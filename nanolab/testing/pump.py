"""What every dosing pump keeps: finite volumes within limits, a stop that is seen, and a watchdog that bites."""

import contextlib
import math
from collections.abc import Generator
from functools import partial
from typing import Any

import bluesky.plan_stubs as bps
from bluesky import RunEngine
from bluesky.protocols import Checkable, Movable, Pausable, Stoppable
from bluesky.utils import Msg

from nanolab.errors import NanolabError
from nanolab.interfaces import Pump
from nanolab.testing.rig import Check, Rig, RigMaker, common, connected, finished, must, read_once, refused

MOST_STEPS = 500


def _reading(rig: Rig, what: str) -> float:
    return float(read_once(rig.device)[f"{rig.device.name}_{what}"])


def _dose(rig: Rig) -> float:
    """Return a small volume in mL: a fiftieth of what may be dosed."""
    return 0.02 * float(rig.device.max_volume_ml)


def _rate(rig: Rig) -> float:
    """Return a rate in mL/min at which that volume takes twelve seconds, or what the pump can."""
    return min(5.0 * _dose(rig), float(rig.device.max_rate_ml_per_min))


def _until_done(rig: Rig) -> dict[str, Any]:
    """Poll as a plan does, often enough for the watchdog; return the last reading."""
    name = rig.device.name
    for _ in range(MOST_STEPS):
        values = read_once(rig.device)
        if values[f"{name}_pumping"] == 0:
            return values
        rig.advance(min(1.0, rig.device.read_within_s))
    raise AssertionError(f"still pumping after {MOST_STEPS} readings")


def check_is_a_pump(make: RigMaker) -> None:
    """Check this: it is movable, stoppable, pausable and checkable, has limits, and starts at rest with nothing dosed."""
    with connected(make) as rig:
        device = rig.device
        must(isinstance(device, Pump), "it is no nanolab.interfaces.Pump")
        for protocol in (Movable, Stoppable, Pausable, Checkable):
            must(isinstance(device, protocol), f"it is not {protocol.__name__}")
        values = read_once(device)
        must(values[f"{device.name}_pumping"] == 0, "it pumps without having been told to")
        must(values[f"{device.name}_dispensed"] == 0.0, "it begins with a volume that is not its own")
        must(values[f"{device.name}_status"], "it has no word for its state")
        must(device.describe()[f"{device.name}_dispensed"]["units"] == "mL", "the volume is not in mL")
        must(device.read_within_s > 0.0, "read_within_s is not positive")


def check_limits_are_refused(make: RigMaker) -> None:
    """Check this: what limits forbid is refused with a sentence, and nothing is pumped."""
    with connected(make) as rig:
        device, rate = rig.device, _rate(rig)
        too_much = 1.5 * device.max_volume_ml
        for total in (too_much, -1.0, math.nan, math.inf):
            refused(partial(device.set, total), f"a total of {total} mL")
            refused(partial(device.check_value, total), f"check_value({total})")
        for volume in (too_much, 0.0, math.nan):
            refused(partial(device.dispense, volume, rate), f"{volume} mL")
        for speed in (0.0, -1.0, 2.0 * device.max_rate_ml_per_min, math.nan):
            refused(partial(device.dispense, _dose(rig), speed), f"{speed} mL/min")
        rig.advance(2.0)
        values = read_once(device)
        must(values[f"{device.name}_pumping"] == 0, "it pumps after a refusal")
        must(values[f"{device.name}_dispensed"] == 0.0, "something was dosed after a refusal")


def check_a_dose_arrives(make: RigMaker) -> None:
    """Check this: a dose starts, ends by itself, and is counted within one per cent; a total is reached once only."""
    with connected(make) as rig:
        device, dose = rig.device, _dose(rig)
        finished(device.dispense(dose, _rate(rig)))
        must(_reading(rig, "pumping") == 1, "told to dose, and does not pump")
        values = _until_done(rig)
        must(values[f"{device.name}_valid"] == 1, f"after a dose: {values[f'{device.name}_reason']}")
        must(abs(values[f"{device.name}_dispensed"] - dose) < 0.01 * dose, "the dose was not counted as it was ordered")
        for _time in range(2):
            finished(device.set(2.0 * dose, rate_ml_per_min=_rate(rig)))
            values = _until_done(rig)
            total = values[f"{device.name}_dispensed"]
            must(abs(total - 2.0 * dose) < 0.02 * dose, f"a total of {2 * dose} mL was wanted, {total} mL are there")


def check_stop_stops(make: RigMaker) -> None:
    """Check this: after stop() nothing more is pumped, and the part that was dosed is counted."""
    with connected(make) as rig:
        device, dose = rig.device, _dose(rig)
        finished(device.dispense(dose, _rate(rig)))
        rig.advance(3.0)
        device.stop()
        values = read_once(device)
        part = values[f"{device.name}_dispensed"]
        must(values[f"{device.name}_pumping"] == 0, "it pumps after stop()")
        must(values[f"{device.name}_valid"] == 1, "an ordered stop is no fault")
        must(0.0 < part < dose, f"{part} mL of {dose} mL were counted")
        rig.advance(5.0)
        must(_reading(rig, "dispensed") == part, "the volume changes after stop()")


def check_pause_and_resume(make: RigMaker) -> None:
    """Check this: RunEngine's stop, pause and resume end in the total that was ordered, no more."""
    with connected(make) as rig:
        device, dose = rig.device, _dose(rig)
        finished(device.set(dose, rate_ml_per_min=_rate(rig)))
        rig.advance(3.0)
        device.stop(success=True)
        device.pause()
        part = _reading(rig, "dispensed")
        rig.advance(30.0)
        must(_reading(rig, "dispensed") == part, "it pumps while it is paused")
        device.resume()
        total = _until_done(rig)[f"{device.name}_dispensed"]
        must(abs(total - dose) < 0.01 * dose, f"{dose} mL were ordered, {total} mL are there after a pause")
        device.pause()
        device.resume()
        must(_reading(rig, "pumping") == 0, "it pumps after resume() though nothing was interrupted")


def check_every_way_out_stops(make: RigMaker) -> None:
    """Check this: a plan that fails, and disconnecting, stop the pump."""

    class PlanError(Exception):
        pass

    def plan(rig: Rig) -> Generator[Msg, Any, Any]:
        yield from bps.abs_set(rig.device, 4.0 * _dose(rig), wait=True, rate_ml_per_min=_rate(rig))
        raise PlanError

    with connected(make) as rig:
        engine = RunEngine(context_managers=[])
        with contextlib.suppress(PlanError):
            engine(plan(rig))
        must(_reading(rig, "pumping") == 0, "it pumps after a plan has failed")
        finished(rig.device.dispense(_dose(rig), _rate(rig)))
        rig.device.disconnect()
        rig.device.connect()
        must(_reading(rig, "pumping") == 0, "it pumps after it was disconnected")


def check_silence_stops(make: RigMaker) -> None:
    """Check this: where there is a watchdog, a pump that nobody reads stops, says so, and waits for a person."""
    with connected(make) as rig:
        device, dose = rig.device, _dose(rig)
        if not math.isfinite(device.read_within_s):
            return
        finished(device.dispense(dose, min(dose / device.read_within_s * 6.0, device.max_rate_ml_per_min)))
        rig.advance(6.0 * device.read_within_s)
        values = read_once(device)
        must(values[f"{device.name}_pumping"] == 0, "it pumps though nobody reads it")
        must(values[f"{device.name}_valid"] == 0, "it stopped by itself and calls its reading valid")
        must("watchdog" in values[f"{device.name}_reason"], "the reason does not name the watchdog")
        _must_wait_for_a_person(rig)


def check_stall_is_an_alarm(make: RigMaker) -> None:
    """Check this: a motor that stalls is told, and the pump refuses to run until a person has looked."""
    with connected(make) as rig:
        if not rig.can("stall"):
            return
        finished(rig.device.dispense(_dose(rig), _rate(rig)))
        rig.set_fault("stall", True)
        values = read_once(rig.device)
        must(values[f"{rig.device.name}_pumping"] == 0, "it pumps though its motor stalled")
        must("stall" in values[f"{rig.device.name}_reason"], "the reason does not say that it stalled")
        rig.set_fault("stall", False)
        _must_wait_for_a_person(rig)


def _must_wait_for_a_person(rig: Rig) -> None:
    device, dose = rig.device, 0.5 * _dose(rig)
    refused(lambda: device.dispense(dose, _rate(rig)), "running after an alarm")
    try:
        device.acknowledge(" ")
    except NanolabError:
        pass
    else:
        raise AssertionError("an alarm was acknowledged without a reason")
    device.acknowledge("contract check: looked at it")
    finished(device.dispense(dose, _rate(rig)))
    must(_until_done(rig)[f"{device.name}_valid"] == 1, "it does not run after the alarm was acknowledged")


pump_contract: tuple[Check, ...] = (
    *common,
    check_is_a_pump,
    check_limits_are_refused,
    check_a_dose_arrives,
    check_stop_stops,
    check_pause_and_resume,
    check_every_way_out_stops,
    check_silence_stops,
    check_stall_is_an_alarm,
)
"""Contract suite of dosing pumps."""
