"""What every shutter keeps: opened only with permission and a closed interlock, and closing that is seen, in every way out."""

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import bluesky.plan_stubs as bps
from bluesky import RunEngine
from bluesky.protocols import Checkable, Movable, Pausable, Stoppable
from bluesky.utils import Msg, RunEngineInterrupted

from nanolab.errors import NanolabError, OffNotConfirmedError
from nanolab.interfaces import Shutter
from nanolab.testing.rig import Check, Rig, RigMaker, common, connected, finished, must, read_once, refused

Plan = Generator[Msg, Any, Any]


def _open(rig: Rig) -> None:
    rig.context.may_emit = lambda: None
    rig.device.stage()
    finished(rig.device.set(1))
    values = read_once(rig.device)
    name = rig.device.name
    must(values[f"{name}_open"] == 1, "it was opened and reads closed")
    must(values[f"{name}_valid"] == 1, f"not valid while open: {values[f'{name}_reason']}")
    must(rig.emitting is None or rig.emitting(), "it reads open, and no light passes")


def _must_be_closed(rig: Rig, after: str) -> None:
    must(rig.emitting is None or not rig.emitting(), f"light passes after {after}")
    must(read_once(rig.device)[f"{rig.device.name}_open"] == 0, f"it reads open after {after}")


def check_is_a_shutter(make: RigMaker) -> None:
    """Check this: it is movable, stoppable, pausable and checkable, closed at the start, and takes 0 and 1 only."""
    with connected(make) as rig:
        device = rig.device
        must(isinstance(device, Shutter), "it is no nanolab.interfaces.Shutter")
        for protocol in (Movable, Stoppable, Pausable, Checkable):
            must(isinstance(device, protocol), f"it is not {protocol.__name__}")
        for wrong in (2, -1, 0.5, float("nan")):
            refused(partial(device.check_value, wrong), f"check_value({wrong})")
            refused(partial(device.set, wrong), f"set({wrong})")
        device.check_value(0)
        device.check_value(1)
        _must_be_closed(rig, "connecting")


def check_no_opening_without_permission(make: RigMaker) -> None:
    """Check this: opening is refused with the reason that may_emit gives; closing never is."""
    with connected(make) as rig:
        rig.context.may_emit = lambda: "the guardian sleeps"
        try:
            finished(rig.device.set(1))
        except NanolabError as error:
            must("guardian sleeps" in str(error), "the refusal does not say why")
        else:
            raise AssertionError("it opened without permission")
        finished(rig.device.set(0))
        _must_be_closed(rig, "a missing permission")


def check_open_and_close(make: RigMaker) -> None:
    """Check this: set(1) opens, again too; set(0) closes, again too, without permission."""
    with connected(make) as rig:
        _open(rig)
        finished(rig.device.set(1))
        must(read_once(rig.device)[f"{rig.device.name}_open"] == 1, "opening it twice closed it")
        rig.context.may_emit = lambda: "nothing is allowed any more"
        for _time in range(2):
            finished(rig.device.set(0))
            _must_be_closed(rig, "set(0)")


def _ways_out() -> dict[str, Callable[[Any], Any]]:
    return {
        "shut()": lambda shutter: shutter.shut(),
        "stop()": lambda shutter: shutter.stop(),
        "stop(success=True)": lambda shutter: shutter.stop(success=True),
        "pause()": lambda shutter: shutter.pause(),
        "unstage()": lambda shutter: shutter.unstage(),
    }


def check_every_way_out_closes(make: RigMaker) -> None:
    """Check this: shut, stop, pause and unstage close it, twice in a row as well; disconnect does too."""
    for name, leave in _ways_out().items():
        with connected(make) as rig:
            _open(rig)
            for _time in range(2):
                leave(rig.device)
                _must_be_closed(rig, name)
    with make() as rig:
        rig.device.connect()
        _open(rig)
        rig.device.disconnect()
        must(rig.emitting is None or not rig.emitting(), "light passes after disconnect()")


def check_shut_reports(make: RigMaker) -> None:
    """Check this: shut() is confirmed when it was seen, open or closed before; without a connection it does not raise."""
    with connected(make) as rig:
        _open(rig)
        for _time in range(2):
            report = rig.device.shut()
            must(report.confirmed and report.detail, "closing was not confirmed on a healthy shutter")
        refused(lambda: rig.device.set(1), "set(1) after shut()")
    with make() as rig:
        report = rig.device.shut()
        must(not report.confirmed and report.by_hand, "a shutter that was never connected cannot confirm")


def check_pause_latches(make: RigMaker) -> None:
    """Check this: after pause() nothing opens until resume(), which opens nothing by itself."""
    with connected(make) as rig:
        _open(rig)
        rig.device.pause()
        refused(lambda: rig.device.set(1), "set(1) while paused")
        _must_be_closed(rig, "a refused set()")
        rig.device.resume()
        _must_be_closed(rig, "resume()")
        finished(rig.device.set(1))


def check_interlock(make: RigMaker) -> None:
    """Check this: an open interlock is named, and forbids opening and resume() until it is closed."""
    with connected(make) as rig:
        if not rig.can("interlock_open"):
            return
        _open(rig)
        rig.set_fault("interlock_open", True)
        rig.advance(1.0)
        values = read_once(rig.device)
        must(values[f"{rig.device.name}_open"] == 0, "it reads open with the interlock open")
        must(values[f"{rig.device.name}_reason"], "an interlock that opens goes unnoticed")
        rig.device.pause()
        refused(rig.device.resume, "resume() with the interlock open")
        rig.device.unstage()
        rig.device.stage()
        refused(lambda: rig.device.set(1), "set(1) with the interlock open")
        finished(rig.device.set(0))
        rig.set_fault("interlock_open", False)
        _must_be_closed(rig, "closing the interlock")
        finished(rig.device.set(1))


def check_stuck_blade_is_not_confirmed(make: RigMaker) -> None:
    """Check this: a blade that stays open is reported as not confirmed, with what to do by hand; set(0) fails."""
    with connected(make) as rig:
        if not rig.can("blade_stuck"):
            return
        _open(rig)
        rig.set_fault("blade_stuck", True)
        report = rig.device.shut()
        must(not report.confirmed, "closing was confirmed while light passes")
        must(report.by_hand, "nothing is said about what to do by hand")
        try:
            finished(rig.device.set(0))
        except OffNotConfirmedError:
            pass
        else:
            raise AssertionError("set(0) succeeded while light passes")
        rig.set_fault("blade_stuck", False)
        must(rig.device.shut().confirmed, "closing is not confirmed once the blade moves again")


def check_plans_that_end_badly(make: RigMaker) -> None:
    """Check this: a plan that fails, or is paused and aborted, in any RunEngine leaves it closed."""
    engine = RunEngine({}, context_managers=[])
    engine.pause_msg = ""

    def fails(shutter: Any) -> Plan:
        yield from bps.mv(shutter, 1)
        raise RuntimeError("a plan that fails")

    def pauses(shutter: Any) -> Plan:
        yield from bps.checkpoint()
        yield from bps.mv(shutter, 1)
        yield from bps.pause()

    for plan in (fails, pauses):
        with connected(make) as rig:
            rig.context.may_emit = lambda: None
            rig.device.stage()
            try:
                engine(plan(rig.device))
            except (RuntimeError, RunEngineInterrupted):
                _must_be_closed(rig, f"a plan that {plan.__name__}")
            else:
                raise AssertionError(f"a plan that {plan.__name__} ended well")
            if plan is pauses:
                engine.abort()
                _must_be_closed(rig, "abort")


shutter_contract: tuple[Check, ...] = (
    *common,
    check_is_a_shutter,
    check_no_opening_without_permission,
    check_open_and_close,
    check_every_way_out_closes,
    check_shut_reports,
    check_pause_latches,
    check_interlock,
    check_stuck_blade_is_not_confirmed,
    check_plans_that_end_badly,
)
"""Contract suite of shutters."""
