"""The scanner of a 34970A: when sweeps happen, what they read, and the memory they go to."""

import math
from collections import deque
from collections.abc import Mapping
from math import inf

import numpy as np

from sims.instruments.base import BenchWorld
from sims.instruments.keysight_channels import (
    NPLC_NOISE_K,
    OVERLOAD,
    SENSITIVITY_UV_PER_K,
    ChannelSetup,
    Reading,
    ReadingFormat,
)

MEMORY_SIZE = 50_000

_MICROVOLT_PER_K = SENSITIVITY_UV_PER_K["K"]


class Probes:
    """The thermocouples at the terminals, and the terminals' own temperature.

    `wiring` says which probe of the world is at which channel; other channels are open.
    """

    def __init__(self, world: BenchWorld, rng: np.random.Generator, wiring: Mapping[int, str], block_c: float) -> None:
        self._world = world
        self._wiring = dict(wiring)
        self._wander, phase = rng.spawn(2)
        self._phase = float(phase.uniform(0.0, 2.0 * math.pi))
        self._block_c = block_c
        self._floating: dict[int, float] = {}
        self._before_uv = 0.0
        self._held: float | None = None
        self.faults: set[str] = set()

    def block_c(self) -> float:
        """Return the temperature of the terminal block, degC: it drifts by 0.05 K over 10 minutes."""
        return self._block_c + 0.05 * math.sin(2.0 * math.pi * self._world.time_s / 1200.0 + self._phase)

    def read(self, channel: int, setup: ChannelSetup) -> float:
        """Return what the meter shows for a channel, in its unit; `OVERLOAD` for a couple found open."""
        probe = self._wiring.get(channel)
        if probe == "sample" and self.faults:
            return self._faulty(channel, setup)
        if probe is None:
            return self._open(channel, setup)
        celsius = self._world.read_temperature(probe, NPLC_NOISE_K[setup.nplc])
        return self._shown(celsius, setup)

    def _shown(self, celsius: float, setup: ChannelSetup) -> float:
        if setup.kind == "K" and setup.reference == "INT" and setup.temperature:
            return setup.in_unit(celsius)  # as below, without the rounding
        block_c = self.block_c()
        self._before_uv = _MICROVOLT_PER_K * (celsius - block_c)
        return setup.shown(self._before_uv, block_c)

    def _faulty(self, channel: int, setup: ChannelSetup) -> float:
        if "open_couple" in self.faults:
            return self._open(channel, setup)
        if "stuck_reading" in self.faults and self._held is not None:
            return self._shown(self._held, setup)
        celsius = self._world.read_temperature("sample", NPLC_NOISE_K[setup.nplc])
        if "reversed_couple" in self.faults:
            celsius = 2.0 * self.block_c() - celsius
        self._held = celsius
        return self._shown(celsius, setup)

    def _open(self, channel: int, setup: ChannelSetup) -> float:
        """Read an open input: found by the check; without it, the charge of the channel before, wandering."""
        if setup.check and setup.temperature:
            return OVERLOAD
        floating = self._floating.get(channel, 0.0) + 30.0 * float(self._wander.standard_normal())
        self._floating[channel] = floating
        return setup.shown(self._before_uv + floating, self.block_c())

    def let_go(self) -> None:
        """Forget the reading that `stuck_reading` repeats."""
        self._held = None


class Scanner:
    """Trigger model and memory. ``next_s`` is the lab time of the next sweep, infinity where none is due.

    ``format`` is how the readings in the memory are written.
    The instrument's own time is credited where `credited` is true: a sweep is over when it begins.
    """

    def __init__(self, probes: Probes, setups: Mapping[int, ChannelSetup]) -> None:
        self._probes = probes
        self._setups = setups
        self.memory: deque[Reading] = deque()
        self.last: dict[int, Reading] = {}
        self.format = ReadingFormat()
        self.overflowed = False
        self.overloaded = False
        self.channels: list[int] = []
        self.scanning = False
        self.start_s = 0.0
        self.next_s = inf
        self._begin_s = inf
        self._sweeps = 0.0
        self._trigger_kept = False
        self.alarms: deque[Reading] = deque(maxlen=20)
        self.alarm_lines: set[int] = set()
        self.alarm_events = 0
        self.latching = True
        self.reset_trigger()

    def reset_trigger(self) -> None:
        """Set trigger source IMM, count 1."""
        self.source = "IMM"
        self.timer_s = 0.0
        self.count = 1.0

    def clear(self) -> None:
        """Empty the memory."""
        self.memory.clear()
        self.overflowed = False

    def sweep_s(self) -> float:
        """Return how long one sweep takes, s."""
        return sum(self._setups[channel].seconds() for channel in self.channels)

    @property
    def waits_for_trigger(self) -> bool:
        """Whether the scan stands still until a trigger comes."""
        return self.scanning and self.next_s == inf

    def initiate(self, now_s: float, credited: bool) -> None:
        """Start a scan; sweeps that are due at once are carried out."""
        self.clear()
        self.alarm_lines.clear()
        self.scanning = True
        self.start_s = now_s
        self._sweeps = 0.0
        self._trigger_kept = False
        self.next_s = inf
        if self.source in {"IMM", "TIM"}:
            self._begin(now_s, credited)
            self.run(now_s, credited)

    def trigger(self, now_s: float, credited: bool) -> None:
        """Take a trigger from the bus: one is kept while a sweep runs, more are ignored."""
        if self.waits_for_trigger:
            self._begin(now_s, credited)
            self.run(now_s, credited)
        elif self.scanning:
            self._trigger_kept = True

    def abort(self) -> None:
        """Stop; readings stay."""
        self.scanning = False
        self.next_s = inf

    def _begin(self, begin_s: float, credited: bool) -> None:
        self._begin_s = begin_s
        self.next_s = begin_s if credited else begin_s + self.sweep_s()

    def run(self, now_s: float, credited: bool) -> None:
        """Carry out the sweeps that are due by now."""
        while self.scanning and self.next_s <= now_s:
            self._sweep()
            self._sweeps += 1.0
            if self._sweeps >= self.count:
                self.abort()
            elif self.source in {"IMM", "TIM"}:
                interval = self.timer_s if self.source == "TIM" else 0.0
                self._begin(self._begin_s + max(interval, self.sweep_s()), credited)
            elif self._trigger_kept:
                self._trigger_kept = False
                self._begin(self._begin_s + self.sweep_s(), credited)
            else:
                self.next_s = inf

    def _sweep(self) -> None:
        at = self._begin_s
        for channel in self.channels:
            setup = self._setups[channel]
            at += setup.seconds()
            self.store(self.measure(channel, at))

    def measure(self, channel: int, time_s: float) -> Reading:
        """Return one reading of a channel, stamped with `time_s`, alarm and overload noted."""
        setup = self._setups[channel]
        value = self._probes.read(channel, setup)
        if abs(value) >= OVERLOAD:
            self.overloaded = True
        reading = Reading(value, setup.unit_text, time_s, channel, setup.alarm(value))
        if reading.alarm:
            self.alarms.append(reading)
            self.alarm_lines.add(setup.alarm_line)
            self.alarm_events |= 1 << (setup.alarm_line - 1)
        elif not self.latching:
            self.alarm_lines.discard(setup.alarm_line)
        return reading

    def clear_alarm_line(self, line: int) -> None:
        """Release one of the four alarm outputs."""
        self.alarm_lines.discard(line)

    def store(self, reading: Reading) -> None:
        """Keep a reading; the oldest gives way when the memory is full."""
        if len(self.memory) >= MEMORY_SIZE:
            self.memory.popleft()
            self.overflowed = True
        self.memory.append(reading)
        self.last[reading.channel] = reading
