"""Absorption of both forms of m-cresol purple between 400 and 700 nm, for pH read from a spectrum.

Sums of bands through the endmembers of the carbspec project (github.com/oscarbranson/carbspec, commit 87522eb, MIT), the base
form 1 at its maximum, 578 nm. For the spectra of a seawater reference material that it publishes, bands and table give the same
pH within 2e-4. Preparations of the dye differ by more: see `FORMS_U`.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

TABLE_NM: Array = np.arange(400.0, 701.0)
"""Where the bands hold, nm."""

FORMS_U = 0.01
"""Standard uncertainty of a pH by the forms of the dye at hand: they are those of a preparation that may hold impurities."""

_ACID = ((0.0098, 395.65, 8.03), (0.4375, 435.31, 45.33), (0.0018, 578.85, 90.0))
_BASE = ((0.2098, 381.48, 18.08), (0.0301, 451.65, 76.67), (0.2418, 521.31, 41.63), (0.5858, 569.56, 32.40),
         (0.3563, 585.71, 18.80))  # fmt: skip
"""Height, middle and width, nm."""


def m_cresol_purple_acid(wavelength_nm: npt.ArrayLike) -> Array:
    """Return the absorption of the yellow form relative to the other's maximum, shape of `wavelength_nm`."""
    return _sum(wavelength_nm, _ACID)


def m_cresol_purple_base(wavelength_nm: npt.ArrayLike) -> Array:
    """Return the absorption of the purple form relative to its maximum, shape of `wavelength_nm`."""
    return _sum(wavelength_nm, _BASE)


def _sum(wavelength_nm: npt.ArrayLike, bands: tuple[tuple[float, float, float], ...]) -> Array:
    nm = np.asarray(wavelength_nm, dtype=np.float64)
    return np.asarray(np.sum([h * np.exp(-0.5 * ((nm - c) / sd) ** 2) for h, c, sd in bands], axis=0), dtype=np.float64)
