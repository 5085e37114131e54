"""What a New Era pump remembers and does: its phases, its number format, its limits, its motor."""

import math
from dataclasses import dataclass, field
from math import inf

LAST_PHASE = 41
SMALLEST_DIAMETER_MM, LARGEST_DIAMETER_MM = 0.1, 50.0
LARGEST_IN_UL_MM = 14.0
"""Up to this diameter the default unit of volumes is microlitres (UNSURE where exactly)."""

SLOWEST_CM_PER_H, FASTEST_CM_PER_MIN = 0.004205, 5.1005
"""Speed of the carriage (UNSURE; they reproduce the published end points of the rates)."""

TO_ML_PER_MIN = {"UM": 1e-3, "MM": 1.0, "UH": 1e-3 / 60.0, "MH": 1.0 / 60.0}


class CommandError(Exception):
    """Why a command is not carried out: the text after the question mark."""


NOT_NOW, OUT_OF_RANGE, UNKNOWN, BAD_PACKET = "NA", "OOR", "", "COM"


def number(value: float) -> str:
    """Write a value as the pump does: four digits and a point, at most three of them after it.

    UNSURE for whole numbers of four digits; a public driver understands them with a point only.
    """
    for decimals in (3, 2, 1):
        if round(value, decimals) < 10.0 ** (4 - decimals):
            return f"{value:.{decimals}f}"
    return f"{value:.0f}."


def read_number(text: str) -> float:
    """Read digits with at most one point. CommandError: out of range beyond four digits or three decimals."""
    whole, _, decimals = text.partition(".")
    if not (whole + decimals).isdigit():
        raise CommandError(UNKNOWN)
    if len(whole + decimals) > 4 or len(decimals) > 3:
        raise CommandError(OUT_OF_RANGE)
    return float(text)


@dataclass
class Phase:
    """One phase of the pumping program; kept without power."""

    function: str = "STP"
    rate: float = 0.0
    unit: str = "MH"
    volume: float = 0.0
    direction: str = "INF"


@dataclass
class Memory:
    """What is kept without power."""

    address: int = 0
    diameter_mm: float = 26.59
    volume_unit: str = "ML"
    safe_s: int = 0
    switches: dict[str, str] = field(default_factory=lambda: {"LN": "0", "AL": "1", "PF": "0", "BUZ": "0", "LOC": "0"})
    phases: dict[int, Phase] = field(default_factory=lambda: {1: Phase("RAT", 500.0)})

    def phase(self, index: int) -> Phase:
        """Return a phase; those that nobody has set stop the program."""
        return self.phases.setdefault(index, Phase())

    @property
    def ml_per_mm(self) -> float:
        """Volume per millimetre of plunger, by the diameter that is set."""
        return 0.25 * math.pi * self.diameter_mm**2 * 1e-3

    @property
    def rate_limits_ml_per_min(self) -> tuple[float, float]:
        """Slowest and fastest rate with this diameter."""
        per_cm = 10.0 * self.ml_per_mm
        return SLOWEST_CM_PER_H * per_cm / 60.0, FASTEST_CM_PER_MIN * per_cm

    @property
    def ml_per_unit(self) -> float:
        """Millilitres in one unit of volume."""
        return 1e-3 if self.volume_unit == "UL" else 1.0


@dataclass
class Motor:
    """The motor and its counters; volumes in mL by the diameter that is set. ``state`` is the pump's own letter."""

    state: str = "S"
    phase: int = 1
    ml_per_s: float = 0.0
    """Signed: positive infuses."""
    left_ml: float = inf
    """Of the phase's volume."""
    infused_ml: float = 0.0
    withdrawn_ml: float = 0.0
    moved_at_s: float = 0.0

    @property
    def running(self) -> bool:
        """Whether the plunger moves."""
        return self.state in {"I", "W", "X"}

    def move_to(self, time_s: float) -> None:
        """Count what was pumped until now."""
        if self.running:
            moved = min(abs(self.ml_per_s) * (time_s - self.moved_at_s), self.left_ml)
            self.left_ml -= moved
            if self.ml_per_s > 0.0:
                self.infused_ml += moved
            else:
                self.withdrawn_ml += moved
        self.moved_at_s = time_s

    def seconds_left(self) -> float:
        """Return how long the phase still takes, s."""
        return self.left_ml / abs(self.ml_per_s) if self.running and self.ml_per_s else inf
