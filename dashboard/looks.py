"""Dark and light spectra of a run that takes looks: how the absorbance has changed since its first look. Bounded in memory."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dashboard.decimate import fewer_pixels

Array = npt.NDArray[np.float64]

MOST_LOOKS = 400
LOOK_PIXELS = 256
FULL_WEIGHT = 0.25
LEAST_LIGHT = 0.03
"""Share of the brightest pixel below which a pixel of the first look says nothing."""


@dataclass
class Looks:
    """Change of decadic absorbance since the first look: rows of coarse pixels, and lab times in s, the newest last.

    A light spectrum is read less the dark one before it; A changes by -log10 of its ratio to that of the first look.
    """

    rows: "deque[Array]" = field(default_factory=lambda: deque(maxlen=MOST_LOOKS))
    times: "deque[float]" = field(default_factory=lambda: deque(maxlen=MOST_LOOKS))
    _dark: Array | None = None
    _first: Array | None = None

    def add(self, lab_s: float, phase: str, counts: Array) -> None:
        """Take one spectrum (n_pixels,); only the phases dark and light count."""
        if phase == "dark":
            self._dark = counts
        if phase != "light" or self._dark is None or self._dark.shape != counts.shape:
            return
        light = fewer_pixels(counts - self._dark, LOOK_PIXELS)
        if self._first is None:
            self._first = np.where(light > LEAST_LIGHT * np.max(light), light, np.nan)
        if light.shape != self._first.shape:
            return
        ratio = np.where(light > 0.0, light, np.nan) / self._first
        self.rows.append(-np.log10(ratio))
        self.times.append(lab_s)

    def most_changed(self) -> int | None:
        """Return the coarse pixel whose absorbance differs most from that of the first look; None before the second.

        Pixels that get less than FULL_WEIGHT of the brightest one's light count less, as they are noisier (shot noise).
        """
        if len(self.rows) < 2 or self._first is None or not np.any(np.isfinite(self.rows[-1])):
            return None
        weight = np.sqrt(np.minimum(1.0, self._first / (FULL_WEIGHT * np.nanmax(self._first))))
        return int(np.nanargmax(weight * np.abs(self.rows[-1])))
