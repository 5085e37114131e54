"""The photothermal assay as a Bluesky plan: spectrum, baseline, heat and cool n times, spectrum.

Streams: ``primary`` (laser, temperatures, power at a fixed cadence), ``spectra`` (dark, light before, laser line, light
after each cycle), ``phases`` (what ended each), ``power`` (the meter in place of the cuvette, where that is its position).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp

from nanolab.assay import Plan
from nanolab.engine.clock import Clock, WallClock
from nanolab.errors import LimitTripError
from nanolab.safety.interlock import Interlock
from nanolab.safety.limits import InterlockSettings, RunLimits
from plans.stubs import (
    Judge,
    Lamp,
    PhaseEnd,
    Reading,
    RunState,
    emit,
    exposure,
    fixed_length,
    laser_guard,
    readings_until,
    save_event,
    steady,
    tick,
    watched_sleep,
)

EMISSION_EXPECTED_AFTER_S = 5.0
"""Soft start and read-back take about a second; after five the diode current must be there."""

POWER_CHECK_S = 15.0
"""With the meter in place of the cuvette: about five time constants of a thermopile head."""


@dataclass
class Benchful:
    """The devices that one run uses; those that a bench lacks are None."""

    laser: Any
    thermocouple: Any
    spectrometer: Any = None
    powermeter: Any = None
    cuvette: Any = None
    clock: Clock = field(default_factory=WallClock)

    def __post_init__(self) -> None:
        self.state = RunState(self.clock)
        self.phase_end = PhaseEnd(self.state, self.clock)

    @property
    def each_tick(self) -> list[Any]:
        """What is read at every tick."""
        devices = [self.laser, self.thermocouple, self.powermeter, self.state]
        return [device for device in devices if device is not None]

    @property
    def staged(self) -> list[Any]:
        """What is staged for the run."""
        devices = [self.laser, self.thermocouple, self.spectrometer, self.powermeter]
        return [device for device in devices if device is not None]


@dataclass(frozen=True)
class Rules:
    """When a phase ends by itself: slopes in K/min, tolerances in K, windows, dwells and time-outs in lab seconds."""

    baseline_slope: float = 0.05
    baseline_tolerance: float = 0.1
    baseline_window_s: float = 120.0
    baseline_time_out_s: float = 900.0
    steady_slope: float = 0.03
    steady_tolerance: float = 0.08
    steady_window_s: float = 180.0
    dwell_s: float = 30.0
    time_out_s: float = 3600.0


def photothermal(
    laser: Any,
    thermocouple: Any,
    spectrometer: Any = None,
    powermeter: Any = None,
    cuvette: Any = None,
    *,
    contents: str = "sample",
    power_w: float = 0.5,
    powers_w: Sequence[float] | None = None,
    cycles: int = 1,
    cadence_s: float = 1.0,
    baseline_s: float | None = None,
    heat_s: float | None = None,
    cool_s: float | None = None,
    spectrum: str = "measure",
    steady_slope: float = 0.03,
    steady_tolerance: float = 0.08,
    heat_timeout_s: float = 3600.0,
    limits: RunLimits | None = None,
    clock: Clock | None = None,
    md: Mapping[str, Any] | None = None,
) -> Plan:
    """Heat a cuvette with a laser and let it cool, reading temperature, laser and power at a fixed cadence.

    Parameters
    ----------
    contents : {'sample', 'blank', 'empty', 'reference'}
        The cuvette to put into the beam first (where a changer is given).
    power_w, powers_w : float, sequence of float
        Optical power at the sample plane in W; a series gives one cycle to each power.
    cycles : int
        Number of heatings at `power_w`.
    cadence_s : float
        Lab seconds between readings.
    baseline_s, heat_s, cool_s : float or None
        Fixed lengths in lab seconds in place of the rules.
    spectrum : {'measure', 'none'} or a file
        Whether spectra are taken; a file is imported by the analysis instead.
    steady_slope, steady_tolerance, heat_timeout_s : float
        Rule of the plateau: slope in K/min, change across the window in K, time-out in s.
    limits : RunLimits or None
        Judged on every reading by an interlock of the plan's own, for devices that hand their readings to none;
        LimitTripError ends the run with the laser off.
    """
    bench = Benchful(laser, thermocouple, spectrometer, powermeter, cuvette, clock or WallClock())
    rules = Rules(steady_slope=steady_slope, steady_tolerance=steady_tolerance, time_out_s=heat_timeout_s)
    powers = list(powers_w) if powers_w else [power_w] * cycles
    lengths = {"baseline": baseline_s, "heating": heat_s, "cooling": cool_s}
    take_spectra = bench.spectrometer is not None and spectrum == "measure"
    interlock = None
    if limits is not None:
        interlock = Interlock(InterlockSettings(limits), laser.off, lab_time=bench.clock.now)
    judge = None if interlock is None else interlock.judge
    metadata = {"plan_name": "photothermal", "contents": contents, "powers_w": powers, **(md or {})}

    def inner() -> Plan:
        if bench.powermeter is not None and bench.powermeter.position == "sample_plane":
            yield from _power_check(bench, powers[0], cadence_s, judge)
        if bench.cuvette is not None:
            yield from bps.mv(bench.cuvette, contents)
        if interlock is not None:
            # what the meter head got is not the sample's; a solvent blank warms too little to be seen at once
            interlock.begin(contents, expects_heating=contents == "sample")
        if take_spectra:
            yield from _spectra(bench, "light_before", dark=True)
        runner = _Phases(bench, rules, lengths, cadence_s, judge)
        yield from runner.run("baseline", 0.0)
        for index, power in enumerate(powers):
            bench.state.cycle = index
            yield from _one_cycle(runner, power, laser_line=take_spectra and index == 0)
            if take_spectra:
                yield from _spectra(bench, "light_after")

    @bpp.stage_decorator(bench.staged)  # type: ignore[untyped-decorator]  # bluesky's decorators are untyped
    @bpp.run_decorator(md=metadata)  # type: ignore[untyped-decorator]  # bluesky's decorators are untyped
    def whole() -> Plan:
        return (yield from laser_guard(inner(), laser))

    return (yield from whole())


@dataclass
class _Phases:
    """Runs baseline, heating and cooling by their rules or fixed lengths; the stream `phases` says what ended each."""

    bench: Benchful
    rules: Rules
    lengths: Mapping[str, float | None]
    cadence_s: float
    judge: Judge | None

    def run(self, phase: str, power_w: float) -> Plan:
        """Read at the cadence until the phase ends; the time to the next tick passes before returning."""
        bench = self.bench
        bench.state.phase = phase
        end = bench.phase_end
        end.begin()
        judge = _emission_judge(bench, power_w, self.judge)
        end.ended_by = yield from readings_until(bench.each_tick, bench.clock, self.cadence_s, self._rule(phase), judge)
        if power_w > 0.0:
            until_s = bench.clock.now() + self.cadence_s
            yield from watched_sleep(bench.thermocouple, bench.clock, until_s, judge=self.judge)
        else:
            yield from bps.sleep(self.cadence_s)
        yield from tick([end], "phases")

    def _rule(self, phase: str) -> Callable[[Reading], str | None]:
        length = self.lengths[phase]
        clock, rules = self.bench.clock, self.rules
        if length is not None:
            # the last tick belongs to the next phase
            return fixed_length(clock, length - self.cadence_s)
        if phase == "baseline":
            return steady(
                clock,
                "thermocouple_sample",
                slope_per_min=rules.baseline_slope,
                tolerance=rules.baseline_tolerance,
                window_s=rules.baseline_window_s,
                dwell_s=0.0,
                time_out_s=rules.baseline_time_out_s,
            )
        return steady(
            clock,
            "thermocouple_sample",
            slope_per_min=rules.steady_slope,
            tolerance=rules.steady_tolerance,
            window_s=rules.steady_window_s,
            dwell_s=rules.dwell_s,
            time_out_s=rules.time_out_s,
            at_least_s=2.0 * rules.steady_window_s,
        )


def _one_cycle(phases: _Phases, power_w: float, *, laser_line: bool) -> Plan:
    bench = phases.bench
    yield from emit(bench.laser, power_w, thermometer=bench.thermocouple, judge=phases.judge)
    yield from phases.run("heating", power_w)
    if laser_line:
        # of the warm laser: its line moves with the temperature of the diode
        yield from _laser_line(phases)
    yield from bps.mv(bench.laser, 0.0)
    yield from phases.run("cooling", 0.0)


def _emission_judge(bench: Benchful, power_w: float, judge: Judge | None) -> Judge:
    """Judge limits, and trip when emission is lost while it is wanted (interlock, key, diode)."""
    start = bench.clock.now()

    def look(reading: Reading) -> None:
        if judge is not None:
            judge(reading)
        wanted = power_w > 0 and bench.clock.now() - start > EMISSION_EXPECTED_AFTER_S
        if wanted and not reading["laser_emitting"]["value"]:
            reason = reading["laser_reason"]["value"] or "its read-back says off"
            raise LimitTripError(
                f"stopped by limit emission_lost: the laser stopped emitting by itself ({reason}); the data are kept"
            )

    return look


def _power_check(bench: Benchful, power_w: float, cadence_s: float, judge: Judge | None) -> Plan:
    """Measure the incident power with the meter head in place of the cuvette, before the run."""
    if bench.cuvette is not None:
        yield from bps.mv(bench.cuvette, "meter")
    bench.state.phase = "power"
    yield from emit(bench.laser, power_w, thermometer=bench.thermocouple, judge=judge)
    rule = fixed_length(bench.clock, POWER_CHECK_S)
    yield from readings_until(bench.each_tick, bench.clock, cadence_s, rule, judge, stream="power")
    yield from bps.mv(bench.laser, 0.0)


def _spectra(bench: Benchful, name: str, *, dark: bool = False) -> Plan:
    """Take a spectrum with the lamp on, after one with the lamp off where `dark`; the laser is off."""
    lamp = Lamp(bench.spectrometer)
    if dark:
        yield from _spectrum(bench, "dark")
    yield from bps.mv(lamp, True)
    yield from _spectrum(bench, name)
    yield from bps.mv(lamp, False)


def _spectrum(bench: Benchful, phase: str) -> Plan:
    before = bench.state.phase
    bench.state.phase = phase
    yield from bps.trigger_and_read([bench.spectrometer, bench.state], name="spectra")
    bench.state.phase = before


def _laser_line(phases: _Phases) -> Plan:
    """Take one spectrum while the laser emits: the temperature is watched as long as the exposure takes."""
    bench = phases.bench
    before = bench.state.phase
    bench.state.phase = "laser_line"
    yield from exposure(bench.spectrometer, bench.thermocouple, bench.clock, judge=phases.judge)
    yield from save_event([bench.spectrometer, bench.state], "spectra")
    bench.state.phase = before


def reference(
    spectrometer: Any, cuvette: Any = None, *, clock: Clock | None = None, md: Mapping[str, Any] | None = None
) -> Plan:
    """Take dark and light spectra of the reference cuvette; the laser is not touched."""
    bench = Benchful(None, None, spectrometer, None, cuvette, clock or WallClock())

    @bpp.stage_decorator([spectrometer])  # type: ignore[untyped-decorator]  # bluesky's decorators are untyped
    @bpp.run_decorator(  # type: ignore[untyped-decorator]  # bluesky's decorators are untyped
        md={"plan_name": "reference", "contents": "reference", **(md or {})}
    )
    def whole() -> Plan:
        if cuvette is not None:
            yield from bps.mv(cuvette, "reference")
        yield from _spectra(bench, "light_before", dark=True)

    return (yield from whole())
