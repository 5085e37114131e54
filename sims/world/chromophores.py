"""How the cargo absorbs: monomer, dimer, and what is still in its carrier.

Sums of Gaussian bands that look like doxorubicin's (480 nm with a shoulder at 500 and a foot at 535; the dimer
weaker and bluer, cargo in a carrier weaker, redder and broader). Scaled to the monomer's absorption at 480 nm.
"""

import math

import numpy as np

from sims.world.constants import Array

_BANDS = ((1.00, 476.0, 34.0), (0.42, 503.0, 17.0), (0.20, 536.0, 14.0), (0.35, 400.0, 45.0))
_DIMER = (-7.0, 1.10)
_BOUND = (0.66, 12.0, 1.18)
_SCALE_NM = 480.0


def _bands(wavelength_nm: Array | float, shift_nm: float, width: float) -> Array:
    total = np.zeros_like(np.asarray(wavelength_nm, dtype=np.float64))
    for height, centre, sd in _BANDS:
        total = total + height * np.exp(-0.5 * ((wavelength_nm - centre - shift_nm) / (sd * width)) ** 2)
    return np.asarray(total, dtype=np.float64)


class Chromophore:
    """Absorption per molecule in L/(umol cm) on one wavelength axis (n,)."""

    def __init__(
        self, wavelength_nm: Array, absorption_per_mmol_cm: float, dimer_per_mol: float, dimer_absorption: float
    ) -> None:
        scale = 1e-3 * absorption_per_mmol_cm / float(_bands(_SCALE_NM, 0.0, 1.0))
        self.monomer: Array = scale * _bands(wavelength_nm, 0.0, 1.0)
        self.dimerised: Array = scale * dimer_absorption * _bands(wavelength_nm, *_DIMER)
        self.bound: Array = scale * _BOUND[0] * _bands(wavelength_nm, *_BOUND[1:])
        self._dimer_per_umol = 1e-6 * dimer_per_mol

    def free(self, umol_per_l: float) -> Array:
        """Return the decadic absorption per cm of free cargo at this concentration: monomer and dimer in balance."""
        reach = 8.0 * self._dimer_per_umol * umol_per_l
        monomer = 2.0 * umol_per_l / (1.0 + math.sqrt(1.0 + reach))
        return np.asarray(monomer * self.monomer + (umol_per_l - monomer) * self.dimerised)
