"""Does a result agree with what was predicted before it? The difference over its own uncertainty."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

AGREES_BELOW = 2.0
DEPARTS_FROM = 3.0


@dataclass(frozen=True)
class Verdict:
    """Which quantity was compared, the difference in its own standard uncertainties, and the word for it."""

    quantity: str
    z: float
    word: str

    def to_json(self) -> dict[str, Any]:
        """Return the machine-readable form: quantity, z, word."""
        return {"quantity": self.quantity, "z": self.z, "word": self.word}


def word_for(z: float) -> str:
    """'agrees' below two standard uncertainties, 'departs' from three, 'in doubt' between."""
    if abs(z) >= DEPARTS_FROM:
        return "departs"
    return "agrees" if abs(z) < AGREES_BELOW else "in doubt"


def compare(quantity: str, measured: float, predicted: float, measured_draws: Array, predicted_draws: Array) -> Verdict:
    """Compare a measured with a predicted value.

    The draws (n,) of both are paired: inputs that both use were drawn once, so that the deviation of their
    difference carries the correlation. ValueError where the draws do not pair or do not vary.
    """
    if measured_draws.shape != predicted_draws.shape:
        raise ValueError(
            f"{quantity}: {measured_draws.size} draws against {predicted_draws.size}; predict and analyse with one number"
        )
    deviation = float(np.std(measured_draws - predicted_draws, ddof=1))
    if not np.isfinite(deviation) or deviation <= 0:
        raise ValueError(f"{quantity}: neither side has an uncertainty, so the difference has no scale")
    z = (measured - predicted) / deviation
    return Verdict(quantity, float(z), word_for(z))
