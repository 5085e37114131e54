"""Release assays on the simulated world without sockets: the steps of a plan, carried out and read as its instruments do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nanolab.analysis.spectra import Detector, Exposure, absorbance
from plans.release.aliquots import REPLACED, SAMPLED
from plans.release.bench_plan import EARLY_CADENCE_S, block_for
from plans.release.grid import EARLY_S
from plans.release.record import Course, Look, smooth_noise
from plans.release.schedule import Step, in_order
from sims.world.bench import World
from sims.world.config import WorldConfig

Array = npt.NDArray[np.float64]

REPEATS, AVERAGES = 5, 4
"""Twenty exposures a spectrum, in five groups whose scatter gives the noise."""

INTEGRATION_S = 0.026
STIRRING_RPM = 800.0
CASE_C = 25.0
TRIMS = 2
CONTROL_S = 5.0
"""The block's heat is set anew this often: a coarse controller beside the one that the wire simulator has."""


@dataclass
class Rig:
    """One world with a thermostat, as a plan would have it."""

    config: WorldConfig
    seed: int
    target_c: float = 37.0
    electrode: bool = False
    world: World = field(init=False)
    stray_light: float = 0.0
    """What is believed of the spectrometer's."""
    power_gain: float = 1.0
    """Power on the sample over what the laser reads."""
    integral_w: float = 0.0
    over_k: float = 0.0
    """How much warmer than the liquid the block must be at `trimmed_c`."""
    trimmed_c: float = 37.0

    def __post_init__(self) -> None:
        self.world = World(self.config, self.seed)
        self.world.fit_peltier_holder()
        self.world.set_stirring(STIRRING_RPM)
        if self.electrode:
            self.world.fit_electrode()

    def advance(self, until_s: float) -> None:
        """Let lab time pass under control of the block's temperature."""
        while self.world.time_s < until_s - 1e-9:
            off = block_for(self.target_c, self.trimmed_c, self.over_k) - self.world.read_holder().block_c
            self.integral_w = float(np.clip(self.integral_w + 0.02 * off * CONTROL_S, -2.0, 3.0))
            self.world.set_holder_heat(float(np.clip(2.0 * off + self.integral_w, -12.0, 12.0)))
            # once calm, longer between two looks
            pace = CONTROL_S if abs(off) > 0.05 else 6.0 * CONTROL_S
            self.world.advance_to(min(self.world.time_s + pace, until_s))

    def aim(self, degrees: float) -> None:
        """Ask for another temperature; before a large step what has been summed up counts half."""
        if abs(degrees - self.target_c) > 0.5:
            self.integral_w *= 0.5
        self.target_c = degrees

    def shine(self, power_w: float) -> None:
        """Let the laser read this power from now on; 0: off."""
        current_a = self.world.diode_current_for(power_w * self.power_gain) if power_w > 0.0 else 0.0
        self.world.set_diode(current_a, CASE_C)

    def exposures(self) -> tuple[Exposure, Exposure]:
        """Return a light and a dark spectrum, the lamp on only for the light one."""
        found = []
        for lamp in (False, True):
            repeats = [self.world.read_counts(INTEGRATION_S, lamp, AVERAGES) for _ in range(REPEATS)]
            found.append(Exposure.from_repeats(repeats, INTEGRATION_S, self.world.time_s))
        return found[1], found[0]


def reference(rig: Rig) -> tuple[Exposure, Exposure]:
    """Warm the medium and take its spectra."""
    rig.world.load("medium")
    rig.advance(rig.world.time_s + 600.0)
    for _ in range(TRIMS):
        rig.over_k += rig.target_c - rig.world.read_holder().probe_c
        rig.advance(rig.world.time_s + 400.0)
    rig.trimmed_c = rig.target_c
    return rig.exposures()


def follow(
    rig: Rig, contents: str, steps: Sequence[Step], medium: tuple[Exposure, Exposure], cadence_s: float,
    acidify: Mapping[str, float] | None = None,
) -> Course:  # fmt: skip
    """Carry out a course and return its record."""
    world = rig.world
    world.load(contents)
    following = _Following(rig, medium, acidify, world.time_s)
    following.read()
    for step in in_order(steps):
        due_s = following.begun_s + step.at_s
        while world.time_s < due_s - 1e-9:
            early = world.time_s - following.begun_s < EARLY_S
            pace = min(cadence_s, EARLY_CADENCE_S) if early else cadence_s
            rig.advance(min(world.time_s + pace, due_s))
            following.read()
        following.do(step)
    return following.course()


@dataclass
class _Following:
    """What a course has recorded so far."""

    rig: Rig
    medium: tuple[Exposure, Exposure]
    meter: Mapping[str, float] | None
    begun_s: float
    power_w: float = 0.0
    rows: list[tuple[float, float, float]] = field(default_factory=list)
    marks: list[tuple[float, str, float]] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)

    @property
    def since_s(self) -> float:
        return self.rig.world.time_s - self.begun_s

    def read(self) -> None:
        self.rows.append((self.since_s, self.rig.world.read_holder().probe_c, _ph(self.rig, self.meter)))

    def do(self, step: Step) -> None:
        rig = self.rig
        if step.what == "look":
            self._look()
        elif step.what == "temperature":
            rig.aim(step.value)
        elif step.what == "power":
            self.power_w = step.value
            rig.shine(step.value)
            self.marks.append((self.since_s, "power", step.value))
        elif step.what == "add":
            rig.world.add(step.word)
            self.marks.append((self.since_s, step.word, 0.0))
        elif step.what == "sample":
            self.marks += withdrawn(rig.world, step, self.begun_s)
        elif step.what == "ph":
            dosed_ml = dose_to(rig, step.value, self.meter or {}, self.read)
            # a look at this very moment came before the dose
            self.marks += [(self.since_s, "dosed", dosed_ml), (self.since_s, "ph", step.value)]

    def _look(self) -> None:
        """Gate the laser off while it reads, as the plan does; a spectrum takes no lab time here."""
        rig, world = self.rig, self.rig.world
        rig.shine(0.0)
        light, dark = rig.exposures()
        rig.shine(self.power_w)
        detector = Detector(nonlinearity=world.nonlinearity_coefficients, stray_light=rig.stray_light)
        seen = absorbance(world.wavelengths_nm, light, self.medium[0], dark, detector, reference_dark=self.medium[1])
        sd = smooth_noise(seen.standard_uncertainty)
        self.looks.append(Look(self.since_s, world.wavelengths_nm, seen.absorbance, sd))

    def course(self) -> Course:
        time, degrees, ph = (np.array(column) for column in zip(*self.rows, strict=True))
        return Course(time, degrees, ph, self.marks, self.looks, (), np.zeros(time.size))


def withdrawn(world: World, step: Step, begun_s: float) -> list[tuple[float, str, float]]:
    """Take an aliquot and return its marks."""
    replace = step.word == REPLACED
    world.withdraw(step.value, replace)
    words = (SAMPLED, REPLACED) if replace else (SAMPLED,)
    return [(world.time_s - begun_s, word, step.value) for word in words]


def _ph(rig: Rig, meter: Mapping[str, float] | None) -> float:
    """Return the pH that a meter of this offset and slope shows; NaN without one."""
    millivolts = rig.world.read_electrode_mv() if meter is not None else None
    if meter is None or millivolts is None:
        return float("nan")
    kelvin = rig.target_c + 273.15
    return 7.0 - (millivolts - meter["zero_mv"]) / (meter["slope"] * 0.198416 * kelvin)


def dose_to(rig: Rig, target: float, meter: Mapping[str, float], read: Callable[[], None]) -> float:
    """Dose acid in small steps until the meter shows the target, reading in between; return the volume in mL."""
    world, start = rig.world, rig.world.truth()["dosing"]["dosed_ml"]
    area_mm2 = 0.25 * np.pi * rig.config.dosing.syringe_diameter_mm**2
    mm_per_ml = 1e3 / area_mm2
    dose_ml, ph = 0.0005, _ph(rig, meter)
    for _ in range(200):
        if ph - target < 0.02:
            break
        world.set_plunger(dose_ml * mm_per_ml / 2.0)
        world.advance_to(world.time_s + 2.0)
        world.set_plunger(0.0)
        for _ in range(2):
            rig.advance(world.time_s + 10.0)
            read()
        before, ph = ph, _ph(rig, meter)
        slope = max((before - ph) / dose_ml, 0.5)
        dose_ml = min(max(min(0.5 * (ph - target), 0.15) / slope, 4e-5), 4.0 * dose_ml)
    return float(world.truth()["dosing"]["dosed_ml"] - start)
