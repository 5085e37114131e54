"""Limits judged on every reading in the acquisition path: temperature, validity while emitting, budgets.

No safety function in the sense of a standard: the hardware interlock of the laser is.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nanolab.errors import LimitTripError

if TYPE_CHECKING:
    from nanolab.bench.config import LimitsConfig

Reading = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class RunLimits:
    """Limits of the bench for one run: power in W, temperature in degC, time on in s, energy in J."""

    max_power_w: float
    max_temperature_c: float
    max_time_on_s: float
    max_energy_j: float

    @classmethod
    def from_config(cls, limits: "LimitsConfig") -> "RunLimits":
        """Take the numbers from the [limits] table of a bench file."""
        return cls(
            limits.max_power.value, limits.max_temperature.value, limits.max_time_on.value, limits.max_energy.value
        )


@dataclass(frozen=True)
class Trip:
    """Why a run was stopped: the rule, the value that broke it, and the limit."""

    rule: str
    value: float
    limit: float
    text: str


@dataclass
class LimitJudge:
    """Judges each reading; raises LimitTripError at the first that breaks a limit.

    While the laser emits, one invalid temperature trips (nobody knows then how hot the sample is). Energy and time
    on are integrated from the laser's own read-back, over the lab time between readings.
    """

    limits: RunLimits
    temperature_key: str = "thermocouple_sample"
    energy_j: float = 0.0
    time_on_s: float = 0.0
    trip: Trip | None = None
    _last_time_s: float | None = field(default=None, repr=False)

    def __call__(self, reading: Reading) -> None:
        """Judge one reading of laser and thermometer."""
        emitting = bool(reading["laser_emitting"]["value"])
        power = float(reading["laser_power"]["value"]) if emitting else 0.0
        now = float(reading["laser_emitting"]["timestamp"])
        if emitting and self._last_time_s is not None:
            elapsed = now - self._last_time_s
            self.energy_j += power * elapsed
            self.time_on_s += elapsed
        self._last_time_s = now
        self._judge_temperature(float(reading[self.temperature_key]["value"]), emitting, reading)
        self._hold("max_time_on", self.time_on_s, self.limits.max_time_on_s, "the laser has been on for", "s")
        self._hold("max_energy", self.energy_j, self.limits.max_energy_j, "the energy delivered is", "J")

    def _judge_temperature(self, temperature_c: float, emitting: bool, reading: Reading) -> None:
        limit = self.limits.max_temperature_c
        if not math.isfinite(temperature_c):
            if emitting:
                reason = reading.get("thermocouple_reason", {}).get("value") or "no valid reading"
                self._stop(
                    Trip(
                        "invalid_temperature",
                        temperature_c,
                        limit,
                        f"the sample's temperature is unknown while the laser is on ({reason})",
                    )
                )
            return
        self._hold("max_temperature", temperature_c, limit, "the sample is at", "degC")

    def _hold(self, rule: str, value: float, limit: float, words: str, unit: str) -> None:
        if value > limit:
            self._stop(Trip(rule, value, limit, f"{words} {value:.4g} {unit}, over the limit of {limit:g} {unit}"))

    def _stop(self, trip: Trip) -> None:
        self.trip = trip
        raise LimitTripError(
            f"stopped by limit {trip.rule}: {trip.text}; the laser is turned off and the data are kept"
        )
