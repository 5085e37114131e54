"""Rules that follow the sample over seconds: heating without rise, falling while heating, probes that disagree."""

import itertools
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from nanolab.safety.rules import Finding
from nanolab.safety.scene import Emission, Moment, Scene

FULL_POWER = 0.95
"""Share of this emission's highest power above which the power has not been lowered."""

MEAN_OVER_S = 10.0
"""Lab seconds over which a temperature is averaged before it is said to have fallen."""


@dataclass
class Hold:
    """How long a condition has held without a gap, lab s."""

    since_s: float | None = None

    def seconds(self, holds: bool, now_s: float) -> float:
        """Return the time since it began to hold; 0 where it does not."""
        if not holds:
            self.since_s = None
            return 0.0
        if self.since_s is None:
            self.since_s = now_s
        return now_s - self.since_s


@dataclass
class HeatingWithoutRise:
    """Where the sample is expected to heat, it rises by at least `least_k_per_j` for each joule: else beam, sample or probe are lost.

    Judged from `settle_s` after the emission began and `least_j` on; trips when the rise has been too small for `within_s`.
    Once the sample was seen to heat for as long, the rule rests until the next emission: a plateau is no fault.
    """

    least_k_per_j: float
    within_s: float
    settle_s: float = 10.0
    least_j: float = 10.0
    name: ClassVar[str] = "heating_without_rise"
    timed: ClassVar[bool] = False
    _cold: Hold = field(default_factory=Hold, repr=False)
    _warm: Hold = field(default_factory=Hold, repr=False)
    _emission: Emission | None = field(default=None, repr=False)
    _seen: bool = field(default=False, repr=False)

    def look(self, scene: Scene, now: Moment) -> Finding | None:
        """Compare the rise since the emission began with the energy since."""
        emission = scene.emission
        if emission is not self._emission:
            self._emission, self._seen = emission, False
            self._cold, self._warm = Hold(), Hold()
        if emission is None or emission.start_c is None or self._seen or not (scene.expects_heating and scene.heated):
            return None
        time_s, value_c = scene.heated[-1]
        energy_j = scene.emission_j(time_s)
        if energy_j < self.least_j or time_s - emission.since.lab_s < self.settle_s:
            return None
        rise_k = value_c - emission.start_c
        wanted_k = self.least_k_per_j * energy_j
        self._seen = self._warm.seconds(rise_k >= wanted_k, time_s) >= self.within_s
        if self._cold.seconds(rise_k < wanted_k, time_s) < self.within_s:
            return None
        text = (
            f"{energy_j:.3g} J have warmed the sample by only {rise_k:.2g} K (at least {wanted_k:.2g} K are expected): "
            "beam, sample or probe are not where they should be"
        )
        return Finding(self.name, rise_k / energy_j, self.least_k_per_j, "K/J", text)


@dataclass
class FallingWhileHeating:
    """While the power has not been lowered, the sample does not fall by `max_fall_k` and `max_share` of its rise in `within_s`.

    Both ends are means over ten seconds, so that plumes in an unstirred cuvette are no fall.
    """

    max_fall_k: float
    max_share: float
    within_s: float
    name: ClassVar[str] = "falling_while_heating"
    timed: ClassVar[bool] = False

    def look(self, scene: Scene, now: Moment) -> Finding | None:
        """Compare the last ten seconds with the ten that ended `within_s` before them."""
        emission = scene.emission
        if emission is None or emission.start_c is None or scene.power_w < FULL_POWER * emission.highest_w:
            return None
        span_s = self.within_s + MEAN_OVER_S
        if not scene.heated or scene.heated[-1][0] - scene.heated[0][0] < span_s:
            return None
        recent = _last(scene.heated, span_s)
        end_s = recent[0][0]
        now_c = _mean(recent, end_s - MEAN_OVER_S, end_s)
        then_c = _mean(recent, end_s - span_s, end_s - self.within_s)
        if now_c is None or then_c is None:
            return None
        limit_k = max(self.max_fall_k, self.max_share * (then_c - emission.start_c))
        fall_k = then_c - now_c
        if fall_k <= limit_k:
            return None
        text = (
            f"the sample has fallen by {fall_k:.2g} K in {self.within_s:g} s though the laser is on at {scene.power_w:.3g} W "
            f"(at most {limit_k:.2g} K): beam, sample or probe are not where they were"
        )
        return Finding(self.name, fall_k, limit_k, "K", text)


def _last(readings: deque[tuple[float, float]], span_s: float) -> list[tuple[float, float]]:
    """Return the readings of the last `span_s`, newest first."""
    oldest_s = readings[-1][0] - span_s
    return list(itertools.takewhile(lambda entry: entry[0] >= oldest_s, reversed(readings)))


def _mean(readings: Sequence[tuple[float, float]], first_s: float, last_s: float) -> float | None:
    inside = [value for time_s, value in readings if first_s <= time_s <= last_s]
    return math.fsum(inside) / len(inside) if inside else None


@dataclass
class DisagreeingProbes:
    """While the laser emits, two probes in the sample (channels that begin with ``sample``) differ by at most `max_k`.

    A difference counts after `within_s`: probes of unlike lag differ for a moment.
    """

    max_k: float
    within_s: float
    name: ClassVar[str] = "disagreeing_probes"
    timed: ClassVar[bool] = False
    _apart: Hold = field(default_factory=Hold, repr=False)

    def look(self, scene: Scene, now: Moment) -> Finding | None:
        """Compare the warmest with the coldest probe."""
        probes = [probe for probe in scene.probes if probe.known]
        if not scene.emitting or len(probes) < 2:
            self._apart = Hold()
            return None
        coldest, *_, warmest = sorted(probes, key=lambda probe: probe.value_c)
        apart_k = warmest.value_c - coldest.value_c
        held_s = self._apart.seconds(apart_k > self.max_k, warmest.lab_s)
        if apart_k <= self.max_k or held_s < self.within_s:
            return None
        text = (
            f"'{warmest.channel}' reads {apart_k:.3g} K more than '{coldest.channel}', more than {self.max_k:g} K: "
            "one of them is not in the sample"
        )
        return Finding(self.name, apart_k, self.max_k, "K", text)
