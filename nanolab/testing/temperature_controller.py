"""What every temperature-controlled cuvette holder keeps: limits, targets that arrive, off that is seen."""

import math
from functools import partial
from typing import Any

from bluesky.protocols import Checkable, Movable, Pausable, Stoppable

from nanolab.errors import NanolabError
from nanolab.interfaces import TemperatureController
from nanolab.testing.rig import Check, Rig, RigMaker, common, connected, finished, must, read_once, refused

ARRIVES_WITHIN_S = 1800.0
STEP_S = 10.0
NEAR_K = 0.3


def _values(rig: Rig) -> dict[str, Any]:
    return {name.removeprefix(f"{rig.device.name}_"): value for name, value in read_once(rig.device).items()}


def _goal(rig: Rig) -> float:
    """Return a target some kelvin above where the block is, within the limits."""
    return float(min(_values(rig)["temperature"] + 6.0, rig.device.limits[1]))


def check_is_a_temperature_controller(make: RigMaker) -> None:
    """Check this: it is movable, stoppable, pausable and checkable; connecting does not heat."""
    with connected(make) as rig:
        device = rig.device
        must(isinstance(device, TemperatureController), "it is no nanolab.interfaces.TemperatureController")
        for protocol in (Movable, Stoppable, Pausable, Checkable):
            must(isinstance(device, protocol), f"it is not {protocol.__name__}")
        values = _values(rig)
        must(values["valid"] == 1, f"not valid: {values['reason']}")
        must(values["controlling"] == 0, "it controls without having been told to")
        must(-40.0 < values["temperature"] < 120.0, f"{values['temperature']} degC is not plausible")
        must(device.describe()[f"{device.name}_temperature"]["units"] == "degC", "the temperature is not in degC")


def check_limits_are_refused(make: RigMaker) -> None:
    """Check this: targets, ramps and speeds outside the limits are refused, and control stays off."""
    with connected(make) as rig:
        device = rig.device
        low, high = device.limits
        must(low < high, "the limits are no range")
        for target in (low - 1.0, high + 1.0, math.nan, math.inf):
            refused(partial(device.set, target), f"{target} degC")
            refused(partial(device.check_value, target), f"check_value({target})")
        refused(lambda: device.set(0.5 * (low + high), ramp_k_per_min=-1.0), "a negative ramp")
        refused(lambda: device.stir(1e6), "a million rpm")
        must(_values(rig)["controlling"] == 0, "it controls after a refusal")


def check_a_target_arrives(make: RigMaker) -> None:
    """Check this: `set` is done when read back, and the block comes to the target and is stable there."""
    with connected(make) as rig:
        goal = _goal(rig)
        finished(rig.device.set(goal))
        values = _values(rig)
        must(values["controlling"] == 1 and abs(values["target"] - goal) < 0.01, "the target does not read back")
        for _ in range(int(ARRIVES_WITHIN_S / STEP_S)):
            rig.advance(STEP_S)
            values = _values(rig)
            if values["stable"]:
                break
        must(values["stable"] == 1, f"not stable after {ARRIVES_WITHIN_S:g} s")
        must(abs(values["temperature"] - goal) < NEAR_K, f"{values['temperature']} degC, {goal} degC was set")
        must(values["valid"] == 1, f"not valid: {values['reason']}")


def check_a_ramp_is_slower(make: RigMaker) -> None:
    """Check this: with a ramp the block is about where the rate says."""
    with connected(make) as rig:
        start = _values(rig)["temperature"]
        goal = _goal(rig)
        finished(rig.device.set(goal, ramp_k_per_min=1.0))
        rig.advance(120.0)
        moved = _values(rig)["temperature"] - start
        must(1.0 < moved < 3.0, f"2 K were to come in two minutes, {moved:.2f} K came")


def check_stirring(make: RigMaker) -> None:
    """Check this: the stirrer reads back its speed, and 0 once it rests."""
    with connected(make) as rig:
        finished(rig.device.stir(800))
        must(abs(_values(rig)["stirring"] - 800) < 20, "the speed does not read back")
        finished(rig.device.stir(0))
        must(_values(rig)["stirring"] == 0, "it stirs though it was told not to")


def check_off_is_seen(make: RigMaker) -> None:
    """Check this: off() reports what was seen, and disconnecting switches off too."""
    with connected(make) as rig:
        finished(rig.device.set(_goal(rig)))
        report = rig.device.off()
        must(report.confirmed, f"off was not confirmed: {report.detail}")
        values = _values(rig)
        must(values["controlling"] == 0 and values["stirring"] == 0, "it controls or stirs after off()")
        must(values["valid"] == 1, "an ordered off is no fault")
        finished(rig.device.set(_goal(rig)))
        rig.device.disconnect()
        rig.device.connect()
        must(_values(rig)["controlling"] == 0, "it controls after it was disconnected")


def check_stop_does_not_go_on(make: RigMaker) -> None:
    """Check this: after a stop on the way the block does not go on to the target; after a pause, `resume` goes on."""
    with connected(make) as rig:
        start = _values(rig)["temperature"]
        goal = _goal(rig)
        finished(rig.device.set(goal))
        rig.advance(15.0)
        rig.device.stop(success=True)
        rig.device.pause()
        rig.advance(300.0)
        must(abs(_values(rig)["temperature"] - goal) > 0.3 * abs(goal - start), "it went on to the target after a stop")
        rig.device.resume()
        values = _values(rig)
        must(values["controlling"] == 1 and abs(values["target"] - goal) < 0.01, "resume() did not go on to the target")


def check_lost_coolant_is_told(make: RigMaker) -> None:
    """Check this: a controller that switches itself off is not taken for one that controls."""
    with connected(make) as rig:
        if not rig.can("no_coolant"):
            return
        finished(rig.device.set(_goal(rig)))
        rig.set_fault("no_coolant", True)
        values = _values(rig)
        must(values["controlling"] == 0 and values["valid"] == 0, "lost coolant is not seen")
        must("coolant" in values["reason"], "the reason does not name the coolant")
        try:
            finished(rig.device.set(_goal(rig)))
        except NanolabError:
            return
        raise AssertionError("a target was taken though control stays off")


temperature_controller_contract: tuple[Check, ...] = (
    *common,
    check_is_a_temperature_controller,
    check_limits_are_refused,
    check_a_target_arrives,
    check_a_ramp_is_slower,
    check_stirring,
    check_off_is_seen,
    check_stop_does_not_go_on,
    check_lost_coolant_is_told,
)
"""Contract suite of temperature-controlled cuvette holders."""
