"""Absorption of doxorubicin between 430 and 700 nm: monomer and dimer, as bands that stand for its spectrum.

A stand-in, good to a few per cent in shape: no measured spectrum could be had. Scaled to a decadic 11 L/(mmol cm) of
the monomer at 480 nm. Assays that compare a sample with free cargo on the same bench need its shape only; concentrations
by themselves ask for a standard in the same medium.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

MONOMER_PER_MOL_CM = 1.1e4
"""Decadic molar absorption of the monomer at 480 nm, L/(mol cm); published values run from 10400 to 11500."""

DIMER_SHARE = 0.78
"""Absorption of a molecule in the dimer over that of a monomer, at their maxima (they lie 6 nm apart)."""

_BANDS = ((1.0, 475.5, 34.5), (0.43, 503.5, 17.0), (0.19, 536.0, 14.0), (0.34, 401.0, 45.0))
_DIMER_SHIFT_NM, _DIMER_WIDTH = -6.0, 1.09


def monomer_per_mol_cm(wavelength_nm: npt.ArrayLike) -> Array:
    """Return the decadic molar absorption of the monomer, L/(mol cm), shape of `wavelength_nm`."""
    return _scaled(np.asarray(wavelength_nm, dtype=np.float64))


def dimerised_per_mol_cm(wavelength_nm: npt.ArrayLike) -> Array:
    """Return the decadic molar absorption of a molecule in the dimer (half of the dimer's), L/(mol cm)."""
    wavelength = np.asarray(wavelength_nm, dtype=np.float64)
    return DIMER_SHARE * _scaled(wavelength, _DIMER_SHIFT_NM, _DIMER_WIDTH)


def _scaled(wavelength_nm: Array, shift_nm: float = 0.0, width: float = 1.0) -> Array:
    return np.asarray(MONOMER_PER_MOL_CM / _sum(np.array(480.0), 0.0, 1.0) * _sum(wavelength_nm, shift_nm, width))


def _sum(wavelength_nm: Array, shift_nm: float, width: float) -> Array:
    bands = [h * np.exp(-0.5 * ((wavelength_nm - c - shift_nm) / (sd * width)) ** 2) for h, c, sd in _BANDS]
    return np.asarray(np.sum(bands, axis=0), dtype=np.float64)
