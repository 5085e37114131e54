"""What the interlock remembers: the newest readings, the last minutes of the sample, the emission, the budgets."""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

from nanolab.safety.dose import ThermalDose
from nanolab.safety.limits import RunLimits
from nanolab.safety.readings import ChannelReading, LaserReading

SAMPLE = "sample"
WINDOW_S = 180.0
"""Lab seconds of the sample's temperature that are kept."""

POWER_STEP = 0.02
"""Relative change of the power that counts as a new setting; less is the laser's own drift."""


@dataclass(frozen=True)
class Moment:
    """Now: lab time in s and monotonic wall time in s."""

    lab_s: float
    wall_s: float


@dataclass
class Emission:
    """One stretch of emission: when it began (lab, wall; s), how warm the sample was, J since, highest power in W."""

    since: Moment
    start_c: float | None
    energy_j: float = 0.0
    highest_w: float = 0.0


@dataclass
class Budget:
    """What one sample has received: energy in J, time with the laser on in lab s, thermal dose."""

    energy_j: float = 0.0
    time_on_s: float = 0.0
    dose: ThermalDose = field(default_factory=ThermalDose)


@dataclass
class Scene:
    """Everything that the rules look at.

    ``history`` holds (lab time s, degC) of the sample, known values only, ``heated`` those of this emission; ``power_steps``
    (lab time s, W) are those of this emission.
    ``error`` is the sentence of the last reading where it failed.
    """

    limits: RunLimits
    expects_heating: bool = False
    channels: dict[str, ChannelReading] = field(default_factory=dict)
    history: deque[tuple[float, float]] = field(default_factory=deque)
    heated: deque[tuple[float, float]] = field(default_factory=deque)
    power_steps: list[tuple[float, float]] = field(default_factory=list)
    laser: LaserReading | None = None
    emission: Emission | None = None
    budget: Budget = field(default_factory=Budget)
    error: str = ""
    seen_wall_s: float = -math.inf
    """When the newest known temperature of the sample arrived, wall time."""

    def take_laser(self, new: LaserReading) -> None:
        """Take what the laser does; the time since it was last heard of counts with what it did meanwhile."""
        before = self.laser
        if before is not None:
            # a laser that does not announce itself has been on since it was last seen off
            source = before if before.emitting else new
            if source.emitting and not (source is new and new.announced):
                self._spend(self._power(source), new.lab_s - before.lab_s)
        self.laser = new
        if not new.emitting:
            self.emission = None
            return
        power = self._power(new)
        if self.emission is None:
            self.emission = Emission(Moment(new.lab_s, new.wall_s), self._temperature_before(new.lab_s))
            self.power_steps = [(new.lab_s, power)]
            self.heated.clear()
        elif abs(power - self.power_steps[-1][1]) > POWER_STEP * max(power, self.power_steps[-1][1]):
            self.power_steps.append((new.lab_s, power))
        self.emission.highest_w = max(self.emission.highest_w, power)

    def take_temperatures(self, channels: Iterable[ChannelReading]) -> None:
        """Take a thermometer's reading; what is unknown changes nothing that was known."""
        self.error = ""
        for reading in channels:
            self.channels[reading.channel] = reading
            if reading.channel == SAMPLE and reading.known:
                self._take_sample(reading)

    def new_sample(self, expects_heating: bool, budget: Budget) -> None:
        """Forget the temperatures of the cuvette before; go on with this sample's own budget."""
        self.expects_heating = expects_heating
        self.budget = budget
        self.history.clear()
        self.heated.clear()

    @property
    def emitting(self) -> bool:
        """True from just before light may come out until the laser was seen off."""
        return self.emission is not None

    @property
    def probes(self) -> list[ChannelReading]:
        """Newest readings of every probe in the sample: channels whose names begin with ``sample``."""
        return [reading for name, reading in self.channels.items() if name.startswith(SAMPLE)]

    @property
    def power_w(self) -> float:
        """Power now in W; 0 while off, the highest permitted one where it is unknown."""
        return self.power_steps[-1][1] if self.emission is not None else 0.0

    def energy_j(self, lab_s: float) -> float:
        """Energy that the sample has received up to this lab time."""
        return self.budget.energy_j + self.power_w * self._since_heard(lab_s)

    def time_on_s(self, lab_s: float) -> float:
        """Time with the laser on up to this lab time, lab s."""
        return self.budget.time_on_s + self._since_heard(lab_s)

    def emission_j(self, lab_s: float) -> float:
        """Energy of this emission up to this lab time."""
        return 0.0 if self.emission is None else self.emission.energy_j + self.power_w * self._since_heard(lab_s)

    def _take_sample(self, reading: ChannelReading) -> None:
        self.seen_wall_s = reading.wall_s
        if self.history and reading.lab_s <= self.history[-1][0]:
            return  # told twice
        kept = [self.history] if self.emission is None else [self.history, self.heated]
        for readings in kept:
            readings.append((reading.lab_s, reading.value_c))
            while reading.lab_s - readings[0][0] > WINDOW_S:
                readings.popleft()
        self.budget.dose.add(reading.lab_s, reading.value_c)
        if self.emission is not None and self.emission.start_c is None:
            self.emission.start_c = reading.value_c

    def _spend(self, power_w: float, seconds: float) -> None:
        elapsed = max(0.0, seconds)
        self.budget.energy_j += power_w * elapsed
        self.budget.time_on_s += elapsed
        if self.emission is not None:
            self.emission.energy_j += power_w * elapsed

    def _power(self, laser: LaserReading) -> float:
        """Return the power to reckon with: an unknown one is the highest that is permitted."""
        return laser.power_w if math.isfinite(laser.power_w) else self.limits.max_power_w

    def _since_heard(self, lab_s: float) -> float:
        if self.emission is None or self.laser is None:
            return 0.0
        return max(0.0, lab_s - self.laser.lab_s)

    def _temperature_before(self, lab_s: float) -> float | None:
        recent = [value for time_s, value in self.history if lab_s - time_s <= 30.0][-5:]
        return median(recent) if recent else None
