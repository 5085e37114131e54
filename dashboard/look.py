"""One look at a run: what several parts of the page need, worked out once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dashboard.live_run import Array, LiveRun
from nanolab.engine.stop_client import StopAnswer, guardian_of

TEMPERATURE = "thermocouple_sample"
HOLDER_PROBE = "cuvette_holder_probe"
"""The probe in the liquid where no thermocouple is."""
PH = "ph_value"
EMITTING = "laser_emitting"
POWER = "laser_power"


@dataclass
class Look:
    """One look at a run: what several parts of the page need, worked out once."""

    run: LiveRun
    status: str
    now: float
    asked: Mapping[str, StopAnswer] = field(default_factory=dict)
    time: Array = field(init=False)
    temperature: Array = field(init=False)
    power: Array = field(init=False)
    spans: list[tuple[float, float]] = field(init=False)

    def __post_init__(self) -> None:
        self.time = self.run.times()
        nothing = np.full(self.time.size, np.nan)
        temperature, probe, power, emitting = (
            self.run.column(name) for name in (TEMPERATURE, HOLDER_PROBE, POWER, EMITTING)
        )
        if temperature is None or (probe is not None and not np.any(np.isfinite(temperature))):
            temperature = probe
        self.temperature = nothing if temperature is None else temperature
        # read back as emitting: what was set does not count
        self.power = np.zeros(self.time.size) if power is None or emitting is None else power * (emitting > 0)
        self.spans = spans_of(self.time, self.power > 0)

    @property
    def running(self) -> bool:
        """True while a process writes the run."""
        return self.status == "running"

    @property
    def stoppable(self) -> bool:
        """True while there is somebody to ask: the run, or, where it was killed, its guardian."""
        return self.running or (self.status == "interrupted" and guardian_of(self.run.path) is not None)

    @property
    def elapsed_s(self) -> float:
        """Lab seconds since the first reading."""
        return float(self.time[-1] - self.time[0]) if self.time.size else 0.0

    @property
    def stale_s(self) -> float:
        """Age above which data are called late: 2 s, or three of the intervals at which they come."""
        wall = self.now - float(self.run.start.get("time", self.now))
        return max(2.0, 3.0 * wall / max(1, self.time.size)) if self.time.size > 3 else 10.0

    @property
    def dose_j(self) -> float:
        """Energy so far in J: each reading's power until the next reading."""
        return float(np.sum(self.power[:-1] * np.diff(self.time))) if self.time.size > 1 else 0.0

    @property
    def emitting(self) -> bool | None:
        """Whether the newest read-back says that the laser emits; None where it says nothing."""
        value = self.run.value(EMITTING)
        return None if value is None else bool(value)


def spans_of(time: Array, on: "np.ndarray[Any, np.dtype[np.bool_]]") -> list[tuple[float, float]]:
    """Return (from, to) in s of each stretch in which the laser was on, to the first reading with it off."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8)))
    last = time.size - 1
    return [(float(time[a]), float(time[min(b, last)])) for a, b in edges.reshape(-1, 2).tolist()]


def time_left_s(look: Look) -> float | None:
    """Return lab seconds until the expected end, not below zero; None where no length is expected."""
    start = look.run.start
    expected = start.get("expected_s")
    if expected is None and start.get("prediction"):
        times = start["prediction"].get("curve", {}).get("time_s", ())
        expected = times[-1] if len(times) else None
    return None if expected is None else max(0.0, float(expected) - look.elapsed_s)
