"""How the pH indicator in the cuvette absorbs: both forms of m-cresol purple, in balance at the true pH.

Bands in the wavenumber, so that the simulated dye and what an analysis takes for it differ as two preparations of one dye
do: by a per cent in size and shape, which moves the pH by up to 0.02.
"""

import math

import numpy as np

from sims.world.constants import Array
from sims.world.release_sections import Indicator

_REFERENCE_C = 25.0
_BASE_PER_MMOL_CM = 38.0
"""Decadic absorption of the base form near 578 nm, L/(mmol cm)."""

_ACID = ((0.229, 21.79, 1.58), (0.321, 24.24, 2.05))
_BASE = ((0.598, 17.085, 0.608), (0.478, 18.01, 0.955), (0.243, 19.64, 1.64), (0.85, 30.0, 2.65))
"""Height against the base form at its highest, middle and width in 1000 per cm."""


def _bands(wavelength_nm: Array, bands: tuple[tuple[float, float, float], ...]) -> Array:
    wavenumber = 1e4 / wavelength_nm
    total = np.zeros_like(wavenumber)
    for height, middle, width in bands:
        total += height * np.exp(-0.5 * ((wavenumber - middle) / width) ** 2)
    return total


class Dye:
    """Absorption of the indicator on one wavelength axis (n,), nm."""

    def __init__(self, wavelength_nm: Array, own: Indicator) -> None:
        self._own = own
        self._acid = 1e-3 * _BASE_PER_MMOL_CM * _bands(wavelength_nm, _ACID)
        self._base = 1e-3 * _BASE_PER_MMOL_CM * _bands(wavelength_nm, _BASE)

    def per_cm(self, ph: float, temperature_c: float, umol_per_l: float) -> Array:
        """Return the decadic absorption per cm, (n,)."""
        pk = self._own.pk + self._own.pk_per_k * (temperature_c - _REFERENCE_C)
        share = 1.0 / (1.0 + math.pow(10.0, pk - ph))
        return np.asarray(umol_per_l * (share * self._base + (1.0 - share) * self._acid))
