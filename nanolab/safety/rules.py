"""Rules of the interlock that need the newest readings only; each has a name, numbers with units, and words.

A rule looks at the scene after each temperature; a rule that is ``timed`` also when the laser is read and when the timer
looks. It answers with a finding, or None. What is unknown never lets a rule off: it is a rule of its own that trips on it.
"""

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

from nanolab.safety.scene import Moment, Scene


@dataclass(frozen=True)
class Finding:
    """A rule that is broken: its name, the value, the limit, their unit, and a sentence."""

    rule: str
    value: float
    limit: float
    unit: str
    text: str


class Rule(Protocol):
    """What the interlock asks of a rule."""

    name: ClassVar[str]
    timed: ClassVar[bool]

    def look(self, scene: Scene, now: Moment) -> Finding | None:
        """Return what is broken, or None."""


@dataclass(frozen=True)
class MaxTemperature:
    """No probe in the sample above `limit_c`, laser on or off."""

    limit_c: float
    name: ClassVar[str] = "max_temperature"
    timed: ClassVar[bool] = False

    def look(self, scene: Scene, now: Moment) -> Finding | None:
        """Compare every known probe with the limit."""
        for probe in scene.probes:
            if probe.known and probe.value_c > self.limit_c:
                text = f"the sample is at {probe.value_c:.4g} degC, over the limit of {self.limit_c:g} degC"
                return Finding(self.name, probe.value_c, self.limit_c, "degC", text)
        return None


@dataclass(frozen=True)
class InvalidTemperature:
    """While the laser emits, every probe in the sample must be known: neither NaN nor flagged invalid."""

    name: ClassVar[str] = "invalid_temperature"
    timed: ClassVar[bool] = False

    def look(self, scene: Scene, now: Moment) -> Finding | None:
        """Find a probe that is not known."""
        for probe in scene.probes:
            if scene.emitting and not probe.known and not math.isinf(probe.value_c):
                text = f"the temperature of '{probe.channel}' is unknown while the laser is on ({probe.reason})"
                return Finding(self.name, probe.value_c, math.nan, "degC", text)
        return None


@dataclass(frozen=True)
class InfiniteTemperature:
    """While the laser emits, no probe in the sample may read infinity (an overload that the driver let pass)."""

    name: ClassVar[str] = "infinite_temperature"
    timed: ClassVar[bool] = False

    def look(self, scene: Scene, now: Moment) -> Finding | None:
        """Find a probe that is infinite."""
        for probe in scene.probes:
            if scene.emitting and math.isinf(probe.value_c):
                text = f"the temperature of '{probe.channel}' reads {probe.value_c} while the laser is on"
                return Finding(self.name, probe.value_c, math.nan, "degC", text)
        return None


@dataclass(frozen=True)
class ReadError:
    """While the laser emits, thermometer and laser must answer."""

    name: ClassVar[str] = "read_error"
    timed: ClassVar[bool] = True

    def look(self, scene: Scene, now: Moment) -> Finding | None:
        """Find a reading that failed."""
        if not (scene.emitting and scene.error):
            return None
        return Finding(self.name, math.nan, math.nan, "1", f"a reading failed while the laser is on ({scene.error})")


@dataclass(frozen=True)
class StaleTemperature:
    """While the laser emits, the newest known temperature of the sample is at most `max_age_s` of wall time old."""

    max_age_s: float
    name: ClassVar[str] = "stale_temperature"
    timed: ClassVar[bool] = True

    def look(self, scene: Scene, now: Moment) -> Finding | None:
        """Compare the age of the newest temperature, counted from the beginning of the emission at the earliest."""
        if scene.emission is None:
            return None
        age_s = now.wall_s - max(scene.seen_wall_s, scene.emission.since.wall_s)
        if age_s <= self.max_age_s:
            return None
        text = f"the laser is on and the sample's temperature has not been read for {age_s:.3g} s (at most {self.max_age_s:g} s)"
        return Finding(self.name, age_s, self.max_age_s, "s", text)


@dataclass(frozen=True)
class ImplausibleRate:
    """While the laser emits, the sample changes by no more than `max_k_per_s` (over a second of lab time or more)."""

    max_k_per_s: float
    over_s: float = 1.0
    name: ClassVar[str] = "implausible_rate"
    timed: ClassVar[bool] = False

    def look(self, scene: Scene, now: Moment) -> Finding | None:
        """Compare the newest reading with the one a second before it: noise between two quick readings is no rate."""
        if not (scene.emitting and scene.heated):
            return None
        time_s, value_c = scene.heated[-1]
        for before_s, before_c in reversed(scene.heated):
            if time_s - before_s >= self.over_s - 1e-6:
                rate = (value_c - before_c) / (time_s - before_s)
                if abs(rate) <= self.max_k_per_s:
                    return None
                text = f"the sample's temperature changes by {rate:.3g} K/s, more than {self.max_k_per_s:g} K/s is not believed"
                return Finding(self.name, rate, self.max_k_per_s, "K/s", text)
        return None


@dataclass(frozen=True)
class FrozenTemperature:
    """While the laser emits, the sample's reading must not stay exactly the same: a converter that hangs repeats itself.

    Every thermometer of ours shows its noise; one with coarse steps needs this rule off, or longer.
    """

    within_s: float
    name: ClassVar[str] = "frozen_temperature"
    timed: ClassVar[bool] = False

    LEAST_READINGS: ClassVar[int] = 8

    def look(self, scene: Scene, now: Moment) -> Finding | None:
        """Count how long the newest value has been the only one."""
        if not scene.emitting or not scene.heated:
            return None
        newest_s, value_c = scene.heated[-1]
        same = [
            time_s for time_s, _ in itertools.takewhile(lambda reading: reading[1] == value_c, reversed(scene.heated))
        ]
        if len(same) < self.LEAST_READINGS or newest_s - same[-1] < self.within_s:
            return None
        seconds = newest_s - same[-1]
        text = f"the sample has read exactly {value_c:.6g} degC for {seconds:.3g} s with the laser on: its thermometer hangs"
        return Finding(self.name, seconds, self.within_s, "s", text)


@dataclass(frozen=True)
class MaxPower:
    """The laser's own power stays within the limit; two per cent are its noise."""

    limit_w: float
    name: ClassVar[str] = "max_power"
    timed: ClassVar[bool] = True

    def look(self, scene: Scene, now: Moment) -> Finding | None:
        """Compare the power that the laser reads back, or is about to emit."""
        power_w = scene.power_w
        if power_w <= 1.02 * self.limit_w:
            return None
        text = f"the laser is at {power_w:.4g} W, over the limit of {self.limit_w:g} W"
        return Finding(self.name, power_w, self.limit_w, "W", text)


@dataclass(frozen=True)
class MaxEnergy:
    """Budget of energy of one sample, J."""

    limit_j: float
    name: ClassVar[str] = "max_energy"
    timed: ClassVar[bool] = True

    def look(self, scene: Scene, now: Moment) -> Finding | None:
        """Compare what the sample has received."""
        energy_j = scene.energy_j(now.lab_s)
        if not scene.emitting or energy_j <= self.limit_j:
            return None
        text = f"the energy delivered is {energy_j:.4g} J, over the limit of {self.limit_j:g} J"
        return Finding(self.name, energy_j, self.limit_j, "J", text)


@dataclass(frozen=True)
class MaxTimeOn:
    """Budget of time with the laser on of one sample, lab s."""

    limit_s: float
    name: ClassVar[str] = "max_time_on"
    timed: ClassVar[bool] = True

    def look(self, scene: Scene, now: Moment) -> Finding | None:
        """Compare how long it has been on."""
        time_on_s = scene.time_on_s(now.lab_s)
        if not scene.emitting or time_on_s <= self.limit_s:
            return None
        text = f"the laser has been on for {time_on_s:.4g} s, over the limit of {self.limit_s:g} s"
        return Finding(self.name, time_on_s, self.limit_s, "s", text)


@dataclass(frozen=True)
class MaxThermalDose:
    """Budget of thermal dose of one sample, CEM43 in min."""

    limit_min: float
    name: ClassVar[str] = "max_thermal_dose"
    timed: ClassVar[bool] = True

    def look(self, scene: Scene, now: Moment) -> Finding | None:
        """Compare the dose up to the newest reading."""
        minutes = scene.budget.dose.minutes
        if not scene.emitting or minutes <= self.limit_min:
            return None
        text = f"the thermal dose is {minutes:.4g} min (CEM43), over the limit of {self.limit_min:g} min"
        return Finding(self.name, minutes, self.limit_min, "min", text)
