"""The release assays as Bluesky plans: a reference run of the medium, and a course of looks and deeds.

Streams: ``primary`` (temperatures, laser, pH at a cadence), ``spectra`` (dark and light at every look), ``marks`` (what was done
when), ``settling`` (holder on its way to the temperature), ``integration`` (search of the integration time), ``dosing``.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp

from nanolab.assay import Plan
from nanolab.errors import LimitTripError, RefusedError
from plans.dispensing import dispense, pump_guard
from plans.release.aliquots import REPLACED, SAMPLED
from plans.release.devices import Asked, Benchful, find_integration, look, note, rows_until
from plans.release.grid import EARLY_S
from plans.release.schedule import Step, in_order
from plans.stubs import emit, laser_guard, tick
from plans.thermostat import holder_guard, settle

STIRRING_RPM = 800.0
SOAK_S = 300.0
"""The liquid lags behind the block by about a minute: five of its time constants."""

_TRIMS = 2

ROOM_C = 22.0
"""About what a room has: three kelvin more or less are a fifth of a correction of a few tenths."""

_NEAREST_ROOM_K = 5.0

EARLY_CADENCE_S = 15.0
"""While the cuvette warms up its temperature is read more often."""

PH_TOLERANCE = 0.02
"""By the probe; its calibration comes on top."""

PH_WAIT_S = 20.0
"""After a dose: mixing and the electrode's own seconds."""

_FIRST_DOSE_ML = 0.0005
_RATE_ML_PER_MIN = 0.2
_SMALLEST_ML = 4e-5
_MOST_DOSES = 100
_LARGEST_STEP = 0.15
_LEAST_SLOPE_PER_ML = 0.5
_SAME_TIME_S = 0.01


@dataclass
class Kept:
    """What one run of an assay hands to the next: the integration time, and the temperatures of the sample's run."""

    integration: dict[str, float] = field(default_factory=dict)
    over_k: float = 0.0
    """How much warmer than the liquid the block must be."""
    rows: list[Mapping[str, float]] = field(default_factory=list)


def medium(bench: Benchful, kept: Kept, *, temperature_c: float, blanks: int = 1, md: Mapping[str, Any]) -> Plan:
    """Warm the medium, find the integration time, take its dark and light spectra: the reference of all looks.

    With `blanks` above one the medium is put in anew that many times: independent blanks for the limit of detection. The
    last one is the reference. A probe that tells no pH ends the run here, before hours are spent on controls.
    """

    def inner() -> Plan:
        if bench.cuvette is not None:
            yield from bps.mv(bench.cuvette, "medium")
        yield from _warm(bench, temperature_c)
        yield from _trim(bench, kept, temperature_c)
        if bench.ph is not None:
            yield from _read_ph(bench)
        yield from find_integration(bench, kept.integration)
        for _ in range(blanks - 1):
            yield from look(bench)
            if bench.cuvette is not None:
                yield from bps.mv(bench.cuvette, "medium")
        yield from look(bench)

    return (yield from _as_run(bench, inner, {"plan_name": "medium", "contents": "medium", **md}))


@dataclass(frozen=True)
class CoursePlan:
    """A course: what is in the cuvette, its steps, the cadence of temperatures in s, whether a laser is used.

    ``begun_s``: lab time at which the course began, of a run that this one continues; the cuvette then stays where it is, and
    ``done`` holds the marks (word, number) of what was done to it, ``sampled_s`` when its last aliquot was taken (s since it began).
    Without ``emits`` the laser is not touched; what it does is judged by the bench's interlock. ``keep`` stores the rows in `Kept`.
    """

    contents: str
    steps: Sequence[Step]
    temperature_c: float
    cadence_s: float
    begun_s: float | None = None
    done: frozenset[tuple[str, float]] = frozenset()
    sampled_s: float = -math.inf
    emits: bool = False
    keep: bool = False


def course(bench: Benchful, kept: Kept, plan: CoursePlan, *, md: Mapping[str, Any]) -> Plan:
    """Follow a course. Steps whose time has passed (dosing takes minutes) are done at once, none is left out."""

    def inner() -> Plan:
        if kept.integration:
            yield from bps.mv(bench.spectrometer.integration_time, kept.integration["integration_s"])
        yield from _warm(bench, plan.temperature_c + kept.over_k, soak_s=0.0)
        if plan.begun_s is None:
            if bench.cuvette is not None:
                yield from bps.mv(bench.cuvette, plan.contents)
            yield from note(bench, "begun")
            begun_s = bench.clock.now()
        else:
            yield from note(bench, "continued", plan.begun_s)
            begun_s = plan.begun_s
        bench.state.phase = "course"
        rows = kept.rows if plan.keep else None
        for step in steps_ahead(plan, bench.clock.now() - begun_s):
            early_s = min(begun_s + EARLY_S, begun_s + step.at_s)
            yield from rows_until(bench, early_s, min(plan.cadence_s, EARLY_CADENCE_S), rows)
            yield from rows_until(bench, begun_s + step.at_s, plan.cadence_s, rows)
            yield from _do(bench, step, plan.temperature_c, kept.over_k)

    metadata = {"plan_name": md.get("assay", "course"), "contents": plan.contents, **md}
    if not plan.emits:
        return (yield from _as_run(bench, inner, metadata))
    return (yield from _as_run(bench, lambda: laser_guard(inner(), bench.laser), metadata))


def steps_ahead(plan: CoursePlan, since_s: float) -> list[Step]:
    """Return the steps to do: all, or, of a course that goes on, those ahead and what the past ones left.

    That is the latest temperature and power, and acid and additions that were due and not done. An aliquot belongs to its time
    point: one that was missed is not made up for, as a look is not, and one that was taken is not taken again.
    """
    steps = in_order(plan.steps)
    if plan.begun_s is None:
        return steps
    past = [step for step in steps if step.at_s < since_s]
    latest = {step.what: step for step in past if step.what in {"temperature", "power"}}
    marks = {
        (step.what if step.what == "ph" else step.word, step.value): step for step in past if step.what in {"ph", "add"}
    }
    due = [step for mark, step in marks.items() if mark not in plan.done]
    ahead = [step for step in steps if step.at_s >= since_s]
    # a step is done up to half a millisecond early
    taken = [step for step in ahead if step.what == "sample" and step.at_s <= plan.sampled_s + _SAME_TIME_S]
    return [*latest.values(), *due, *(step for step in ahead if step not in taken)]


def block_for(liquid_c: float, at_c: float, over_k: float) -> float:
    """Return the temperature of a block whose liquid is to have `liquid_c`, degC, where it must be `over_k` warmer for `at_c`.

    What the liquid loses grows with what it is above the room.
    """
    above = at_c - ROOM_C
    share = (liquid_c - ROOM_C) / above if abs(above) > _NEAREST_ROOM_K else 1.0
    return liquid_c + over_k * share


def _do(bench: Benchful, step: Step, at_c: float, over_k: float) -> Plan:
    if step.what == "look":
        yield from look(bench)
    elif step.what == "temperature":
        # stairs were checked before the start; a control that follows the laser's temperatures goes as far as the holder may
        block_c = min(block_for(step.value, at_c, over_k), bench.holder.limits[1])
        yield from bps.mv(bench.holder, block_c)
        yield from note(bench, "temperature", step.value)
    elif step.what == "power":
        yield from emit(bench.laser, step.value)
        bench.power_w = step.value
        yield from note(bench, "power", step.value)
    elif step.what == "ph":
        yield from acidify(bench, step.value)
    elif step.what == "sample":
        yield from _withdraw(bench, step)
    elif step.what == "load":
        yield from bps.mv(bench.cuvette, step.word)
    elif step.what == "add":
        yield from bps.mv(bench.addition, step.word)
        yield from note(bench, step.word)
    else:
        raise ValueError(f"a course has no step '{step.what}'")


def _withdraw(bench: Benchful, step: Step) -> Plan:
    """Take an aliquot and note it; it is noted only when it is done."""
    replace = step.word == REPLACED
    yield from bps.abs_set(bench.aliquot, step.value, replace=replace, wait=True)
    yield from note(bench, SAMPLED, step.value)
    if replace:
        yield from note(bench, REPLACED, step.value)


def acidify(bench: Benchful, target_ph: float) -> Plan:
    """Dose acid until the probe shows `target_ph` within 0.02: each dose from the slope that the last one had.

    A dose aims at a part of the way and at 0.15 at most, since a buffer gives way suddenly beyond its pKa. LimitTripError
    where the probe reads nothing, or too many doses do not bring it there.
    """
    dose_ml = _FIRST_DOSE_ML
    ph = yield from _read_ph(bench)
    total_ml = 0.0
    for _ in range(_MOST_DOSES):
        missing = ph - target_ph
        if missing <= PH_TOLERANCE:
            yield from note(bench, "ph", target_ph)
            return
        # a tiny dose slowly: the pump's seconds are no longer a part of it
        rate = min(_RATE_ML_PER_MIN, 60.0 * dose_ml)
        try:
            given = yield from dispense(bench.pump, dose_ml, rate, bench.clock, devices=bench.each_tick)
        except (LimitTripError, RefusedError) as trip:
            raise LimitTripError(
                f"{trip} (pH {ph:.2f}, on the way to {target_ph:g}); refill or free the syringe, then go on with --continue and "
                "the uid of this run: the data are kept"
            ) from trip
        total_ml += given
        yield from note(bench, "dosed", given)
        before, ph = ph, (yield from _read_ph(bench))
        dose_ml = next_dose_ml(ph - target_ph, (before - ph) / max(given, 1e-6), dose_ml)
    raise LimitTripError(
        f"the pH is {ph:.2f} after {_MOST_DOSES} doses ({total_ml:.3g} mL), {target_ph:g} is wanted: look at acid, tube and probe"
    )


def next_dose_ml(missing_ph: float, slope_per_ml: float, last_ml: float) -> float:
    """Return the next dose, mL, in whole nanolitres: a pump has four digits, and refuses what they do not say."""
    aim = min((0.8 if missing_ph < 0.1 else 0.5) * missing_ph, _LARGEST_STEP)
    dose_ml = min(max(aim / max(slope_per_ml, _LEAST_SLOPE_PER_ML), _SMALLEST_ML), 4.0 * last_ml)
    return round(dose_ml, 6)


def _read_ph(bench: Benchful) -> Plan:
    """Let it mix, and return the mean of three readings of the pH."""
    yield from rows_until(bench, bench.clock.now() + PH_WAIT_S, 10.0)
    found = []
    for _ in range(3):
        yield from bps.trigger(bench.ph, wait=True)
        value = yield from bps.rd(bench.ph.value)
        # a dry run reads nothing
        found.append(7.0 if value is None else float(value))
        yield from bps.sleep(2.0)
    mean = sum(found) / len(found)
    if not math.isfinite(mean):
        reason = yield from bps.rd(bench.ph.reason)
        raise LimitTripError(f"the pH cannot be read ({reason}); see to the probe: the data are kept")
    return mean


def _warm(bench: Benchful, temperature_c: float, soak_s: float = SOAK_S) -> Plan:
    """Stir, bring the holder to its temperature, and tell the pH meter."""
    yield from bps.mv(Asked("stirrer", bench.holder.stir), STIRRING_RPM)
    yield from settle(bench.holder, temperature_c, bench.clock, soak_s=soak_s, tolerance_k=0.3)
    if bench.ph is not None:
        yield from bps.mv(Asked("compensation", bench.ph.compensate), temperature_c)


def _trim(bench: Benchful, kept: Kept, temperature_c: float) -> Plan:
    """Raise the block by what the liquid lacks, and let it soak: a cuvette loses heat to the air."""
    for _ in range(_TRIMS):
        reading = yield from tick([bench.holder], "settling")
        probe = math.nan if reading is None else float(reading[f"{bench.holder.name}_probe"]["value"])
        if not math.isfinite(probe):
            return
        kept.over_k += temperature_c - probe
        yield from _warm(bench, temperature_c + kept.over_k)


def _as_run(bench: Benchful, inner: Callable[[], Plan], metadata: Mapping[str, Any]) -> Plan:
    @bpp.stage_decorator(bench.staged)  # type: ignore[untyped-decorator]  # bluesky's decorators are untyped
    # "follows" tells the live page that the spectra are what is measured
    @bpp.run_decorator(md={"follows": "spectra", **metadata})  # type: ignore[untyped-decorator]  # bluesky's decorators are untyped
    def whole() -> Plan:
        guarded = inner() if bench.pump is None else pump_guard(inner(), bench.pump)
        return (yield from holder_guard(guarded, bench.holder))

    return (yield from whole())
