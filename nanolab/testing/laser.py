"""What every laser keeps, whoever made it: no emission without permission, and off that is seen, in every way out."""

import math
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import bluesky.plan_stubs as bps
from bluesky import RunEngine
from bluesky.protocols import Checkable, Movable, Pausable, Stoppable
from bluesky.utils import Msg, RunEngineInterrupted

from nanolab.errors import DeviceError, NanolabError, OffNotConfirmedError
from nanolab.interfaces import Laser
from nanolab.testing.laser_safety import laser_safety, power_of
from nanolab.testing.rig import Check, Rig, RigMaker, common, connected, finished, must, read_once, refused

Plan = Generator[Msg, Any, Any]


def _allow(rig: Rig) -> None:
    rig.context.may_emit = lambda: None


def _powers(rig: Rig) -> tuple[float, ...]:
    """Return the only powers that the laser has, W; empty where it can be set to any within its limits."""
    return tuple(getattr(rig.device, "powers_w", ()))


def _turn_on(rig: Rig) -> float:
    """Stage, allow and emit half the largest power (or the largest of those it has); return it in W."""
    _allow(rig)
    rig.device.stage()
    power = power_of(rig)
    finished(rig.device.set(power))
    rig.advance(5.0)
    values = read_once(rig.device)
    must(values[f"{rig.device.name}_emitting"] == 1, "it was set to emit and reads that it does not")
    must(rig.emitting is None or rig.emitting(), "it reads that it emits, and no light comes out")
    return power


def _must_be_off(rig: Rig, after: str) -> None:
    must(rig.emitting is None or not rig.emitting(), f"light comes out after {after}")
    values = read_once(rig.device)
    name = rig.device.name
    must(values[f"{name}_emitting"] == 0, f"it reads that it emits after {after}")
    must(values[f"{name}_power"] == 0.0, f"its power is not 0 after {after}")


def check_is_a_laser(make: RigMaker) -> None:
    """Check this: it is movable, stoppable, pausable and checkable, has limits, and starts without emission."""
    with connected(make) as rig:
        device = rig.device
        must(isinstance(device, Laser), "it is no nanolab.interfaces.Laser")
        for protocol in (Movable, Stoppable, Pausable, Checkable):
            must(isinstance(device, protocol), f"it is not {protocol.__name__}")
        must(device.max_power_w > 0 and device.wavelength_nm > 0, "max_power_w and wavelength_nm are positive")
        must(tuple(device.limits) == (0.0, device.max_power_w), "limits are 0 and max_power_w")
        must(device.describe()[f"{device.name}_power"]["units"] == "W", "the power is not in W")
        _must_be_off(rig, "connecting")


def check_limits_are_kept(make: RigMaker) -> None:
    """Check this: powers outside the limits, NaN and infinity are refused by check_value and by set."""
    with connected(make) as rig:
        _allow(rig)
        device = rig.device
        for power in (1.0001 * device.max_power_w, -0.001, math.nan, math.inf, -math.inf):
            refused(partial(device.check_value, power), f"check_value({power})")
            refused(partial(device.set, power), f"set({power})")
        device.check_value(0.0)
        device.check_value(device.max_power_w)
        for power in _between(_powers(rig)):
            refused(partial(device.check_value, power), f"check_value({power}), which it does not have,")
            refused(partial(device.set, power), f"set({power}), which it does not have,")
        for power in _powers(rig):
            device.check_value(power)
        _must_be_off(rig, "refused powers")


def _between(powers: tuple[float, ...]) -> list[float]:
    """Return the middles between 0 and the powers that a laser has: powers that it must refuse."""
    return [0.5 * (low + high) for low, high in zip((0.0, *powers), powers, strict=False)]


def check_no_emission_without_permission(make: RigMaker) -> None:
    """Check this: set() is refused with the reason that may_emit gives."""
    with connected(make) as rig:
        rig.context.may_emit = lambda: "the guardian sleeps"
        try:
            finished(rig.device.set(power_of(rig)))
        except NanolabError as error:
            must("guardian sleeps" in str(error), "the refusal does not say why")
        else:
            raise AssertionError("it emitted without permission")
        _must_be_off(rig, "a missing permission")


def check_on_and_off(make: RigMaker) -> None:
    """Check this: set(P) emits and reads P; set(0) goes off, verified; off is never vetoed."""
    with connected(make) as rig:
        power = _turn_on(rig)
        values = read_once(rig.device)
        name = rig.device.name
        must(values[f"{name}_valid"] == 1, f"not valid while emitting: {values[f'{name}_reason']}")
        must(abs(values[f"{name}_power"] - power) < 1e-9 + 1e-6 * power, "it does not read the power that was set")
        if getattr(rig.device, "measures_current", True):
            must(values[f"{name}_current"] > 0.0, "no current flows")
        else:
            must(math.isnan(values[f"{name}_current"]), "it reads a current that it does not measure")
        rig.context.may_emit = lambda: "nothing is allowed any more"
        finished(rig.device.set(0.0))
        _must_be_off(rig, "set(0)")


def _ways_out() -> dict[str, Callable[[Any], Any]]:
    return {
        "off()": lambda laser: laser.off(),
        "stop()": lambda laser: laser.stop(),
        "stop(success=True)": lambda laser: laser.stop(success=True),
        "pause()": lambda laser: laser.pause(),
        "unstage()": lambda laser: laser.unstage(),
    }


def check_every_way_out_ends_emission(make: RigMaker) -> None:
    """Check this: off, stop, pause and unstage end emission, twice in a row as well; disconnect does too."""
    for name, leave in _ways_out().items():
        with connected(make) as rig:
            _turn_on(rig)
            leave(rig.device)
            _must_be_off(rig, name)
            leave(rig.device)
            _must_be_off(rig, f"{name} again")
    with make() as rig:
        rig.device.connect()
        _turn_on(rig)
        rig.device.disconnect()
        must(rig.emitting is None or not rig.emitting(), "light comes out after disconnect()")


def check_off_reports(make: RigMaker) -> None:
    """Check this: off() is confirmed when it was seen, on or off before; without a connection it does not raise."""
    with connected(make) as rig:
        _turn_on(rig)
        for _time in range(2):
            report = rig.device.off()
            must(report.confirmed and report.detail, "off was not confirmed on a healthy laser")
    with make() as rig:
        report = rig.device.off()
        must(not report.confirmed and report.by_hand, "a laser that was never connected cannot confirm off")


def check_pause_latches(make: RigMaker) -> None:
    """Check this: after pause() nothing emits until resume(), which emits nothing by itself."""
    with connected(make) as rig:
        power = _turn_on(rig)
        rig.device.pause()
        refused(lambda: rig.device.set(power), "set() while paused")
        _must_be_off(rig, "a refused set()")
        rig.device.resume()
        _must_be_off(rig, "resume()")
        finished(rig.device.set(power))
        rig.advance(5.0)
        must(read_once(rig.device)[f"{rig.device.name}_emitting"] == 1, "it does not emit after resume() and set()")


def check_interlock(make: RigMaker) -> None:
    """Check this: an open interlock ends emission, is named, and forbids set() and resume() until it is closed."""
    with connected(make) as rig:
        if not rig.can("interlock_open"):
            return
        power = _turn_on(rig)
        rig.set_fault("interlock_open", True)
        rig.advance(1.0)
        must(rig.emitting is None or not rig.emitting(), "light comes out with the interlock open")
        try:
            values = read_once(rig.device)
            said, emitting = values[f"{rig.device.name}_reason"], values[f"{rig.device.name}_emitting"]
        except DeviceError as error:
            said, emitting = str(error), 0
        must(emitting == 0 and said, "an interlock that opens goes unnoticed")
        rig.device.pause()
        refused(rig.device.resume, "resume() with the interlock open")
        rig.device.unstage()
        rig.device.stage()
        refused(lambda: rig.device.set(power), "set() with the interlock open")
        rig.set_fault("interlock_open", False)
        _must_be_off(rig, "closing the interlock")
        finished(rig.device.set(power))


def check_stuck_emission_is_not_confirmed(make: RigMaker) -> None:
    """Check this: a laser that ignores off is reported as not confirmed, with what to do by hand; set(0) fails."""
    with connected(make) as rig:
        if not rig.can("emission_stuck"):
            return
        _turn_on(rig)
        rig.set_fault("emission_stuck", True)
        report = rig.device.off()
        must(not report.confirmed, "off was confirmed while light comes out")
        must(report.by_hand, "nothing is said about what to do by hand")
        try:
            finished(rig.device.set(0.0))
        except OffNotConfirmedError:
            pass
        else:
            raise AssertionError("set(0) succeeded while light comes out")
        must(read_once(rig.device)[f"{rig.device.name}_emitting"] == 1, "it reads off while light comes out")
        rig.set_fault("emission_stuck", False)
        must(rig.device.off().confirmed, "off is not confirmed once the laser obeys again")


def check_plans_that_end_badly(make: RigMaker) -> None:
    """Check this: a plan that fails, moves a child, is paused or aborted in any RunEngine leaves the laser off."""
    engine = RunEngine({}, context_managers=[])
    engine.pause_msg = ""

    def fails(rig: Rig, power: float) -> Plan:
        yield from bps.mv(rig.device, power)
        raise RuntimeError("a plan that fails")

    def moves_children(rig: Rig, power: float) -> Plan:
        yield from bps.mv(rig.device, power)
        for name in rig.device.component_names:
            yield from bps.mv(getattr(rig.device, name), 1)

    for plan in (fails, moves_children):
        with connected(make) as rig:
            _allow(rig)
            rig.device.stage()
            try:
                engine(plan(rig, power_of(rig)))
            except Exception as error:  # noqa: BLE001 - that the plan fails is the point; how is looked at here
                must(isinstance(error, RuntimeError | NanolabError), f"{plan.__name__} ended with {error!r}")
            _must_be_off(rig, f"a plan that {plan.__name__.replace('_', ' ')}")
    for leave in ("abort", "halt"):
        with connected(make) as rig:
            _paused_plan(engine, rig, leave)


def _paused_plan(engine: RunEngine, rig: Rig, leave: str) -> None:
    _allow(rig)
    rig.device.stage()

    def pauses() -> Plan:
        yield from bps.checkpoint()
        yield from bps.mv(rig.device, power_of(rig))
        yield from bps.pause()

    try:
        engine(pauses())
    except RunEngineInterrupted:
        _must_be_off(rig, "a pause")
    else:
        raise AssertionError("the plan was not paused")
    getattr(engine, leave)()
    _must_be_off(rig, leave)


laser_contract: tuple[Check, ...] = (
    *common,
    check_is_a_laser,
    check_limits_are_kept,
    check_no_emission_without_permission,
    check_on_and_off,
    check_every_way_out_ends_emission,
    check_off_reports,
    check_pause_latches,
    check_interlock,
    check_stuck_emission_is_not_confirmed,
    check_plans_that_end_badly,
    *laser_safety,
)
"""Contract suite of lasers."""
