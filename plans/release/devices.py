"""What a release assay's plans share: the devices of a run, marks of what was done when, looks at the cargo."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import bluesky.plan_stubs as bps
import numpy as np

from nanolab.assay import Plan
from nanolab.engine.clock import Clock, WallClock
from nanolab.errors import DeviceError, LimitTripError
from plans.stubs import Lamp, Reading, RunState, emit, readings_until, save_event, tick

FULLEST = 0.8
"""Share of full scale that the brightest pixel is brought to."""

_MOST_LOOKS = 6

SATURATED_LOOKS = 3
MOST_SATURATED = 0.1
"""Share of the pixels from which a spectrum counts as saturated."""


class Mark:
    """A readable that notes what was done to the sample: a word, a number, lab time in s."""

    name = "mark"
    parent = None

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.what = ""
        self.value = 0.0

    def describe(self) -> dict[str, dict[str, Any]]:
        """Describe word (string), number, and lab time (s)."""
        kinds = {"what": "string", "value": "number", "lab_time": "number"}
        return {
            f"mark_{key}": {"source": "nanolab:mark", "dtype": kind, "shape": [], **({"units": "s"} if key == "lab_time" else {})}
            for key, kind in kinds.items()
        }  # fmt: skip

    def read(self) -> dict[str, dict[str, Any]]:
        """Return the latest mark."""
        now = self._clock.now()
        values = {"what": self.what, "value": float(self.value), "lab_time": now}
        return {f"mark_{key}": {"value": value, "timestamp": now} for key, value in values.items()}

    def describe_configuration(self) -> dict[str, dict[str, Any]]:
        """Nothing is configured here."""
        return {}

    def read_configuration(self) -> dict[str, dict[str, Any]]:
        """Nothing is configured here."""
        return {}


class Asked:
    """A request to an instrument as a movable: setting it makes the call and waits for its status."""

    parent = None

    def __init__(self, name: str, call: Callable[[float], Any]) -> None:
        self.name = name
        self._call = call

    def set(self, value: float) -> Any:
        """Make the request."""
        return self._call(value)


@dataclass
class Benchful:
    """The devices that the runs of a release assay use; those that a bench lacks are None."""

    spectrometer: Any
    holder: Any
    thermocouple: Any = None
    laser: Any = None
    pump: Any = None
    ph: Any = None
    cuvette: Any = None
    addition: Any = None
    aliquot: Any = None
    clock: Clock = field(default_factory=WallClock)

    def __post_init__(self) -> None:
        self.state = RunState(self.clock)
        self.mark = Mark(self.clock)
        self.power_w = 0.0
        self.saturated = 0

    def count_saturated(self, reading: Reading) -> None:
        """Count a light spectrum that is saturated, or begin anew where it is not. LimitTripError at the third in a row."""
        name = self.spectrometer.name
        # dark ones are not counted, and a dry run reads nothing
        if self.state.phase != "light" or f"{name}_saturated" not in reading:
            return
        pixels, size = int(reading[f"{name}_saturated"]["value"]), np.size(reading[f"{name}_counts"]["value"])
        self.saturated = self.saturated + 1 if pixels > MOST_SATURATED * size else 0
        if self.saturated >= SATURATED_LOOKS:
            raise LimitTripError(
                f"{SATURATED_LOOKS} spectra in a row are saturated in {pixels} of {size} pixels: something shines into the cuvette, or "
                "the lamp has grown brighter; see to it, then go on with --continue and the uid of this run (the data are kept)"
            )

    @property
    def each_tick(self) -> list[Any]:
        """What is read at every tick."""
        devices = [self.holder, self.thermocouple, self.laser, self.ph, self.state]
        return [device for device in devices if device is not None]

    @property
    def staged(self) -> list[Any]:
        """What is staged for the run."""
        devices = [self.spectrometer, self.holder, self.thermocouple, self.laser, self.pump, self.ph]
        return [device for device in devices if device is not None]


def note(bench: Benchful, what: str, value: float = 0.0) -> Plan:
    """Write down what was done just now."""
    bench.mark.what, bench.mark.value = what, value
    yield from save_event([bench.mark], "marks")


def look(bench: Benchful) -> Plan:
    """Take a dark and a light spectrum: the laser is gated off, and the assay light is on only while it reads.

    LimitTripError at the third look in a row that is saturated: hours of them would be lost, and the lamp can be seen to now. (A lamp
    that gives nothing is the spectrometer's own error.)
    """
    power_w = bench.power_w
    if power_w > 0.0:
        yield from bps.mv(bench.laser, 0.0)
        yield from note(bench, "power", 0.0)
    lamp = Lamp(bench.spectrometer)
    for phase, on in (("dark", False), ("light", True)):
        yield from bps.mv(lamp, on)
        bench.state.phase = phase
        reading = yield from tick([bench.spectrometer, bench.state], "spectra")
        bench.count_saturated(reading)
    yield from bps.mv(lamp, False)
    bench.state.phase = "course"
    if power_w > 0.0:
        yield from emit(bench.laser, power_w)
        yield from note(bench, "power", power_w)


def find_integration(bench: Benchful, kept: dict[str, float]) -> Plan:
    """Find the integration time that brings the brightest pixel to 80 % of full scale; every look is recorded.

    The time goes into `kept` under ``integration_s``. DeviceError where no light comes, or too much at the shortest time.
    """
    spectrometer = bench.spectrometer
    lamp = Lamp(spectrometer)
    yield from bps.mv(lamp, True)
    seconds = float((yield from bps.rd(spectrometer.integration_time)))
    shortest, longest = spectrometer.integration_limits_s
    for _ in range(_MOST_LOOKS):
        reading = yield from tick([spectrometer], "integration")
        full = float((yield from bps.rd(spectrometer.full_scale)))
        peak = 0.5 * full if reading is None else float(np.max(reading[f"{spectrometer.name}_counts"]["value"]))
        yield from note(bench, "integration time", seconds)
        if abs(peak / full - FULLEST) < 0.05:
            break
        # a clipped peak says only that it is too bright
        wanted = seconds * (0.3 if peak > 0.97 * full else FULLEST * full / max(peak, 1.0))
        seconds = float(np.clip(wanted, max(shortest, 1e-5), min(longest, 2.0)))
        yield from bps.mv(spectrometer.integration_time, seconds)
    else:
        yield from bps.mv(lamp, False)
        raise DeviceError(
            spectrometer.name,
            f"no integration time brings the lamp to {100 * FULLEST:.0f} % of full scale (last {seconds:.3g} s)",
            remedy="Look at lamp, fibre and cuvette.",
        )
    yield from bps.mv(lamp, False)
    kept["integration_s"] = seconds


def rows_until(
    bench: Benchful, until_s: float, cadence_s: float, rows: list[Mapping[str, float]] | None = None
) -> Plan:
    """Read temperatures (and laser, pH) at a cadence until lab time `until_s`; keep them in `rows` where given."""
    left = until_s - bench.clock.now()
    if left <= 0.0:
        return

    name = bench.holder.name

    def finished(reading: Reading) -> str | None:
        if reading and not (reading[f"{name}_valid"]["value"] and reading[f"{name}_controlling"]["value"]):
            reason = reading[f"{name}_reason"]["value"] or "its control is off"
            raise LimitTripError(f"{name} no longer keeps its temperature ({reason}); the data are kept")
        if rows is not None:
            rows.append(
                {key: float(one["value"]) for key, one in reading.items() if isinstance(one["value"], int | float)}
            )
        return "due" if bench.clock.now() >= until_s - 5e-4 else None

    # equal slices: the last reading falls on the end itself
    slices = max(1, int(np.ceil(left / cadence_s - 1e-9)))
    yield from readings_until(bench.each_tick, bench.clock, left / slices, finished)
