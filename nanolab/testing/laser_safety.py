"""What every laser keeps towards interlock and guardian, whoever made it; part of `laser_contract`.

No safety function in the sense of a standard: the hardware interlock of the laser is.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nanolab.errors import LimitTripError, NanolabError, RefusedError
from nanolab.interfaces import OffReport, Reading
from nanolab.safety.guard_client import GuardClient
from nanolab.testing.rig import Check, Rig, RigMaker, connected, finished, must, read_once, refused

LEASE_S = 20.0
"""Wall time of the leases given here: a check is no acquisition loop."""


def power_of(rig: Rig) -> float:
    """Return a power that this laser has, W."""
    fixed = tuple(getattr(rig.device, "powers_w", ()))
    return float(fixed[-1]) if fixed else 0.5 * float(rig.device.max_power_w)


def _armed(rig: Rig, judge: Callable[[Reading], None] = lambda _reading: None) -> float:
    rig.context.may_emit = lambda: None
    rig.context.judge = judge
    rig.device.stage()
    return power_of(rig)


def check_emission_is_announced(make: RigMaker) -> None:
    """Check this: the laser says that it is about to emit before light comes, and that it was seen off afterwards."""
    with connected(make) as rig:
        name = rig.device.name
        told: list[tuple[int, bool, bool]] = []

        def judge(reading: Reading) -> None:
            if f"{name}_emitting" in reading:
                light = rig.emitting is not None and rig.emitting()
                told.append((int(reading[f"{name}_emitting"]["value"]), f"{name}_announced" in reading, light))

        power = _armed(rig, judge)
        told.clear()
        finished(rig.device.set(power))
        must(told and told[0][:2] == (1, True), "light came without `context.about_to_emit` before it")
        must(not told[0][2], "it was announced when light was there already")
        rig.advance(5.0)
        told.clear()
        read_once(rig.device)
        must(
            [entry[0] for entry in told] == [1],
            f"a reading of the emitting laser was not handed to `context.judge`: {told}",
        )
        told.clear()
        finished(rig.device.set(0.0))
        must(told and told[-1][0] == 0, "it went off without `context.went_off`")


def check_an_announcement_that_is_refused_keeps_it_dark(make: RigMaker) -> None:
    """Check this: where interlock or guardian say no at the last moment, no light comes and the set fails."""
    with connected(make) as rig:

        def judge(reading: Reading) -> None:
            if f"{rig.device.name}_announced" in reading:
                raise LimitTripError("stopped by limit max_power: too much")

        power = _armed(rig, judge)
        try:
            finished(rig.device.set(power))
        except NanolabError:
            pass
        else:
            raise AssertionError("it emitted although the announcement was refused")
        rig.advance(5.0)
        must(rig.emitting is None or not rig.emitting(), "light comes out although the announcement was refused")


def check_resume_asks_for_permission(make: RigMaker) -> None:
    """Check this: resume() is refused while there is no permission, and so is what follows it."""
    with connected(make) as rig:
        power = _armed(rig)
        rig.device.pause()
        rig.context.may_emit = lambda: "the interlock has tripped"
        refused(rig.device.resume, "resume() without permission")
        rig.context.may_emit = lambda: None
        refused(lambda: rig.device.set(power), "set() after a resume() that was refused")


def check_what_the_guardian_saw_is_believed(make: RigMaker) -> None:
    """Check this: after the guardian has turned the laser off and closed the way, off and readings are what it saw."""
    with connected(make) as rig:
        _armed(rig)
        rig.context.seen_off = lambda _within_s: OffReport(True, "OUTP? 0, by the guardian")
        must(rig.device.off() == OffReport(True, "OUTP? 0, by the guardian"), "off() is not what the guardian saw")
        finished(rig.device.set(0.0))
        must(read_once(rig.device)[f"{rig.device.name}_emitting"] == 0, "it does not read what the guardian saw")
        rig.context.seen_off = lambda _within_s: OffReport(False, "no answer", "Turn the key")
        must(not rig.device.off().confirmed, "off() is confirmed although the guardian did not see it")
        must(read_once(rig.device)[f"{rig.device.name}_valid"] == 0, "a laser that nobody sees reads as valid")
        rig.context.seen_off = lambda _within_s: None


def check_the_guardian_turns_it_off(make: RigMaker) -> None:
    """Check this: through its off recipe a guardian owns the line, the driver works through it, and off is off for good.

    Left out where the rig has no recipe, and on Windows, where the guardian does not run so far.
    """
    if os.name != "posix":
        return
    with make() as rig:
        if rig.recipe is None:
            return
        toggles = {"make": "nanolab.safety.deadman:Toggles"} if _has_box(rig.device) else None
        guard = GuardClient.start(replace(rig.recipe, address=rig.context.address), lease_s=LEASE_S, toggler=toggles)
        try:
            _guarded(rig, guard)
        finally:
            rig.device.disconnect()
            guard.close()


def _has_box(device: Any) -> bool:
    return getattr(device.settings, "gate", None) == "box"


def _guarded(rig: Rig, guard: GuardClient) -> None:
    name = rig.device.name
    rig.context.address = guard.relay_address

    def judge(reading: Reading) -> None:
        if f"{name}_announced" in reading:
            guard.emitting(True)

    rig.device.connect()
    power = _armed(rig, judge)
    finished(rig.device.set(power))
    rig.advance(5.0)
    must(read_once(rig.device)[f"{name}_emitting"] == 1, "it does not emit through the guardian")
    report = guard.off()
    must(report["confirmed"], f"the guardian did not see it off: {report['detail']}")
    must(rig.emitting is None or not rig.emitting(), "light comes out after the guardian has turned it off")
    rig.context.seen_off = lambda _within_s: OffReport(True, str(report["detail"]))
    rig.context.may_emit = guard.may_emit
    try:
        finished(rig.device.set(power))
    except RefusedError:
        pass
    else:
        raise AssertionError("it emitted after the guardian had turned it off")


laser_safety: tuple[Check, ...] = (
    check_emission_is_announced,
    check_an_announcement_that_is_refused_keeps_it_dark,
    check_resume_asks_for_permission,
    check_what_the_guardian_saw_is_believed,
    check_the_guardian_turns_it_off,
)
