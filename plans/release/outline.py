"""What a release assay is made of: its courses by role, and what a sample file lets one expect of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nanolab.quantities import Quantity
from plans.release.schedule import Step


@dataclass(frozen=True)
class RoleCourse:
    """One run: its role, what is put into the cuvette, its steps, the temperature (degC) and cadence (s).

    ``emits``: the laser is used. ``replay``: the temperatures that the sample's run recorded are followed by the holder.
    """

    role: str
    contents: str
    steps: Sequence[Step]
    temperature_c: float
    cadence_s: float
    emits: bool = False
    replay: bool = False

    @property
    def seconds(self) -> float:
        """Length in lab seconds, dosing left out."""
        return max((step.at_s for step in self.steps), default=0.0)


@dataclass(frozen=True)
class Expected:
    """A prediction: quantities by name, the curve (h, %) with its 95 % band, which quantity the verdict is about."""

    quantities: Mapping[str, Quantity]
    curve: Mapping[str, Sequence[float]]
    key: str

    def to_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        return {**{name: q.to_json() for name, q in self.quantities.items()}, "curve": dict(self.curve)}
