"""Pieces that every assay's plan is made of: a guarded laser, paced and watched readings, rules of stability.

Plain Bluesky message generators: they run in any RunEngine, with any devices that keep `nanolab.interfaces`.
"""

import math
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
from bluesky.utils import Msg

from nanolab.assay import Plan
from nanolab.engine.clock import Clock

Reading = Mapping[str, Mapping[str, Any]]
Judge = Callable[[Reading], None]

WATCH_EVERY_WALL_S = 0.9
"""While the laser emits, a temperature is due every wall second: a reading takes a tenth of it or more."""

POLL_WALL_S = 0.05
"""How often a long exposure is asked whether it is done, wall s."""

LOOK_EVERY_S = 5.0
"""Rules of stability fit a line to their window; every five seconds is often enough."""


class RunState:
    """A readable that says where the plan is: phase, cycle, contents of the beam path, lab time in seconds."""

    name = "run_state"
    parent = None

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.phase = "start"
        self.cycle = 0

    def describe(self) -> dict[str, dict[str, Any]]:
        """Describe phase (string), cycle (integer) and lab time (s)."""
        source = "nanolab:run_state"
        return {
            "run_state_phase": {"source": source, "dtype": "string", "shape": []},
            "run_state_cycle": {"source": source, "dtype": "integer", "shape": []},
            "run_state_lab_time": {"source": source, "dtype": "number", "shape": [], "units": "s"},
        }

    def read(self) -> dict[str, dict[str, Any]]:
        """Return the state now, stamped with lab time."""
        now = self._clock.now()
        return {
            "run_state_phase": {"value": self.phase, "timestamp": now},
            "run_state_cycle": {"value": self.cycle, "timestamp": now},
            "run_state_lab_time": {"value": now, "timestamp": now},
        }

    def describe_configuration(self) -> dict[str, dict[str, Any]]:
        """Nothing is configured here."""
        return {}

    def read_configuration(self) -> dict[str, dict[str, Any]]:
        """Nothing is configured here."""
        return {}


class PhaseEnd:
    """A readable that notes how a phase of a plan ended: name, cycle, what ended it, its length in lab seconds."""

    name = "phase"
    parent = None

    def __init__(self, state: RunState, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._begun = clock.now()
        self.ended_by = ""

    def begin(self) -> None:
        """Start counting."""
        self._begun = self._clock.now()

    def describe(self) -> dict[str, dict[str, Any]]:
        """Describe name and reason (strings), cycle (integer), length (s), lab time (s)."""
        kinds = {"name": "string", "ended_by": "string", "cycle": "integer", "seconds": "number", "lab_time": "number"}
        units = {"seconds": {"units": "s"}, "lab_time": {"units": "s"}}
        return {
            f"phase_{key}": {"source": "nanolab:phase", "dtype": kind, "shape": [], **units.get(key, {})}
            for key, kind in kinds.items()
        }

    def read(self) -> dict[str, dict[str, Any]]:
        """Return the phase that has just ended."""
        now = self._clock.now()
        values = {
            "name": self._state.phase,
            "ended_by": self.ended_by,
            "cycle": self._state.cycle,
            "seconds": now - self._begun,
            "lab_time": now,
        }
        return {f"phase_{key}": {"value": value, "timestamp": now} for key, value in values.items()}

    def describe_configuration(self) -> dict[str, dict[str, Any]]:
        """Nothing is configured here."""
        return {}

    def read_configuration(self) -> dict[str, dict[str, Any]]:
        """Nothing is configured here."""
        return {}


class Lamp:
    """The spectrometer's lamp output as a movable: True is on."""

    name = "lamp"
    parent = None

    def __init__(self, spectrometer: Any) -> None:
        self._spectrometer = spectrometer

    def set(self, on: bool) -> Any:
        """Switch the lamp; the status is the spectrometer's."""
        return self._spectrometer.lamp(bool(on))


def laser_guard(plan: Plan, laser: Any) -> Plan:
    """Wrap a plan so that the laser goes off, verified, however the plan ends.

    The devices do the same when the RunEngine stops them; this is the plan's own share of it.
    """

    def off(*_error: Exception) -> Plan:
        yield from bps.abs_set(laser, 0.0, wait=True)

    guarded: Plan = bpp.finalize_wrapper(bpp.contingency_wrapper(plan, except_plan=off, auto_raise=True), off)
    return guarded


def emit(
    laser: Any, power_w: float, look_every_s: float = 0.5, thermometer: Any = None, judge: Judge | None = None
) -> Plan:
    """Set a laser's power in W and wait, on lab time, while its start is under way (a delay, a warm-up).

    The `thermometer` is read with it: who emits has to show a temperature every second.

    A laser that needs such a start has a reading ``<role>_starting``, which falls to 0 when light comes, when something
    keeps it from coming, or when the laser's own time for it is over: whoever reads the laser next judges which it was.
    """
    yield from bps.mv(laser, power_w)
    while power_w > 0.0 and hasattr(laser, "starting"):
        yield Msg("trigger", laser, group="emit")
        yield Msg("wait", None, group="emit")
        reading = yield Msg("read", laser)
        if thermometer is not None:
            yield from _look_at(thermometer, reading, judge)
        if not reading[f"{laser.name}_starting"]["value"]:
            return
        yield Msg("sleep", None, look_every_s)


def readings_until(
    devices: Sequence[Any],
    clock: Clock,
    cadence_s: float,
    finished: Callable[[Reading], str | None],
    judge: Judge | None = None,
    stream: str = "primary",
) -> Generator[Any, Any, str]:
    """Read the devices once per `cadence_s` of lab time until `finished` names a reason; return the reason.

    Paced on lab time from the first reading, so that slow instruments do not stretch the series. `judge`
    raises where a reading must end the run. While the laser among the devices emits, the thermometer is read at least every
    wall second between them (`watched_sleep`); these readings are judged and not saved.
    """
    start = clock.now()
    count = 0
    thermometer = thermometer_of(devices)
    while True:
        yield Msg("checkpoint")
        reading = yield from tick(devices, stream)
        if judge is not None:
            judge(reading)
        reason = finished(reading)
        if reason is not None:
            return reason
        count += 1
        due_s = start + count * cadence_s
        if thermometer is None or not emits(reading):
            yield Msg("sleep", None, max(0.0, due_s - clock.now()))
        else:
            yield from watched_sleep(thermometer, clock, due_s, reading, judge)


def thermometer_of(devices: Sequence[Any]) -> Any:
    """Return the thermometer among devices (the one with channels), or None."""
    return next((device for device in devices if hasattr(device, "channel_names")), None)


def emits(reading: Reading) -> bool:
    """Return whether the laser of a reading emits."""
    return bool(reading.get("laser_emitting", {}).get("value", 0))


def watched_sleep(
    thermometer: Any, clock: Clock, until_s: float, reading: Reading | None = None, judge: Judge | None = None
) -> Plan:
    """Sleep until lab time `until_s`, reading the thermometer at least every 0.9 s of wall time on the way.

    The readings are not saved as events. The driver hands them to the interlock; `judge`, where given, gets them beside the
    last whole `reading`. On a virtual clock at full speed no wall time passes, and there are none.
    """
    longest_s = WATCH_EVERY_WALL_S * clock.speed
    while (left_s := until_s - clock.now()) > longest_s:
        # equal slices: a last one of nothing would make the next event late
        yield Msg("sleep", None, left_s / math.ceil(left_s / longest_s))
        yield from _look_at(thermometer, reading, judge)
    yield Msg("sleep", None, max(0.0, left_s))


def _look_at(thermometer: Any, reading: Reading | None, judge: Judge | None) -> Plan:
    yield Msg("trigger", thermometer, group="watch")
    yield Msg("wait", None, group="watch")
    if judge is not None:
        judge({**(reading or {}), **(yield Msg("read", thermometer))})


def exposure(
    device: Any, thermometer: Any, clock: Clock, reading: Reading | None = None, judge: Judge | None = None
) -> Plan:
    """Trigger a slow device and wait for it, reading the thermometer at least every 0.9 s of wall time meanwhile.

    For exposures while the laser emits. At full speed exposures take no time, and there are no readings between.
    """
    status = yield Msg("trigger", device, group="exposure")
    poll_s = POLL_WALL_S * clock.speed
    last_s = clock.now()
    while math.isfinite(poll_s) and status is not None and not status.done:
        yield Msg("sleep", None, poll_s)
        if clock.now() - last_s >= (WATCH_EVERY_WALL_S - POLL_WALL_S) * clock.speed:
            yield from _look_at(thermometer, reading, judge)
            last_s = clock.now()
    # also what an engine without statuses (a dry run) is told; raises what went wrong
    yield Msg("wait", None, group="exposure")


def tick(devices: Sequence[Any], stream: str) -> Generator[Msg, Any, Reading]:
    """Trigger all devices together, read them, and save one event: what `bps.trigger_and_read` does.

    Written in messages, because every plan stub of bluesky formats the whole stack when it is called (for a warning about
    plans that nobody iterates): a fifth of a fast run's time.
    """
    triggered = [device for device in devices if hasattr(device, "trigger")]
    for device in triggered:
        yield Msg("trigger", device, group=stream)
    if triggered:
        yield Msg("wait", None, group=stream)
    return (yield from save_event(devices, stream))


def save_event(devices: Sequence[Any], stream: str) -> Generator[Msg, Any, Reading]:
    """Read the devices as they are, and save one event."""
    yield Msg("create", None, name=stream)
    reading: dict[str, Mapping[str, Any]] = {}
    try:
        for device in devices:
            reading.update((yield Msg("read", device)))
    except Exception:
        yield Msg("drop")
        raise
    yield Msg("save")
    return reading


@dataclass
class Trend:
    """Mean, slope and span of the newest `window_s` of readings, kept as running lists.

    Times in s, values in the unit of the reading; invalid readings (NaN) are left out.
    """

    window_s: float
    times: deque[float] = field(default_factory=deque)
    values: deque[float] = field(default_factory=deque)

    def add(self, time_s: float, value: float) -> None:
        """Take one reading."""
        if math.isfinite(value):
            self.times.append(time_s)
            self.values.append(value)
        while self.times and time_s - self.times[0] > self.window_s:
            self.times.popleft()
            self.values.popleft()

    @property
    def full(self) -> bool:
        """True once the readings span nine tenths of the window."""
        return len(self.times) > 3 and self.times[-1] - self.times[0] >= 0.9 * self.window_s

    def slope(self) -> float:
        """Least-squares slope per second; infinite while the window is not full."""
        if not self.full:
            return math.inf
        return float(np.polyfit(np.asarray(self.times) - self.times[0], np.asarray(self.values), 1)[0])

    def change(self) -> float:
        """Difference between the means of the newest and the oldest third; infinite while not full."""
        if not self.full:
            return math.inf
        values = np.asarray(self.values)
        third = max(1, len(values) // 3)
        return float(values[-third:].mean() - values[:third].mean())


def fixed_length(clock: Clock, seconds: float) -> Callable[[Reading], str | None]:
    """Return a rule that ends a phase after `seconds` of lab time."""
    start = clock.now()

    def finished(_reading: Reading) -> str | None:
        # half a millisecond of slack: the last tick of a paced series falls on the end itself
        return "fixed length" if clock.now() - start >= seconds - 5e-4 else None

    return finished


def steady(
    clock: Clock,
    key: str,
    *,
    slope_per_min: float,
    tolerance: float,
    window_s: float,
    dwell_s: float,
    time_out_s: float,
    at_least_s: float = 0.0,
) -> Callable[[Reading], str | None]:
    """Return a rule that ends a phase when a reading is steady, and says whether it was or the time ran out.

    Steady means: least-squares slope over `window_s` below `slope_per_min` (per minute) and change across the
    window below `tolerance`, both held for `dwell_s`.
    """
    start = clock.now()
    trend = Trend(window_s)
    held_since: float | None = None
    looked_at = -math.inf

    def finished(reading: Reading) -> str | None:
        nonlocal held_since, looked_at
        now = clock.now()
        trend.add(now, float(reading[key]["value"]))
        if now - looked_at < LOOK_EVERY_S:
            return None
        looked_at = now
        calm = abs(trend.slope()) * 60.0 < slope_per_min and abs(trend.change()) < tolerance
        held_since = (held_since if held_since is not None else now) if calm else None
        if held_since is not None and now - held_since >= dwell_s and now - start >= at_least_s:
            return "steady"
        return "time-out" if now - start >= time_out_s else None

    return finished
