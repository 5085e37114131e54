"""From absorbance spectra to how much cargo is free: by its spectrum, or between two spectra of the same cuvette.

Both use `nanolab.analysis.photometry.fit_mixture` with a scatter term and an offset, so that a lamp that drifts and a
carrier that scatters do not count as cargo.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanolab.analysis.photometry import DOXORUBICIN_DIMER_PER_M, fit_mixture, monomer_fraction
from nanolab.models.chromophores import DIMER_SHARE, dimerised_per_mol_cm, monomer_per_mol_cm
from nanolab.quantities import Quantity

Array = npt.NDArray[np.float64]

WINDOW_NM = (440.0, 680.0)
"""From where the lamp gives light to where the cargo has long ceased to absorb: there the baseline shows."""

_ROUNDS = 4


@dataclass(frozen=True)
class Reading:
    """One read-out: its value and standard uncertainty, the residual rms and scatter in absorbance, pixels used."""

    value: float
    standard_uncertainty: float
    residual_rms: float
    scatter: float
    pixels: int


def in_window(wavelength_nm: Array) -> npt.NDArray[np.bool_]:
    """Return which pixels (n,) are used."""
    low, high = WINDOW_NM
    return np.asarray((wavelength_nm >= low) & (wavelength_nm <= high))


def free_cargo(wavelength_nm: Array, absorbance: Array, sd: Array, path_cm: float = 1.0) -> Reading:
    """Return the free cargo in umol/L by its spectrum, monomer and dimer in balance; arrays (n,)."""
    used = in_window(wavelength_nm)
    nm, values, spread = wavelength_nm[used], absorbance[used], sd[used]
    monomer, dimerised = monomer_per_mol_cm(nm), dimerised_per_mol_cm(nm)
    share = 1.0
    for _ in range(_ROUNDS):
        species = {"cargo": share * monomer + (1.0 - share) * dimerised}
        # nothing scatters beyond a membrane; with a free exponent the baseline would take part of the cargo
        found = fit_mixture(nm, values, species, path_cm=path_cm, sd=spread, scatter=False)
        cargo = found.concentrations["cargo"]
        share = float(monomer_fraction(max(cargo.value, 0.0)))
    return _reading(Quantity(1e6 * cargo.value, "umol/L", 1e6 * (cargo.standard_uncertainty or 0.0)), found.residuals)


def between(wavelength_nm: Array, absorbance: Array, sd: Array, first: Array, step: Array) -> Reading:
    """Return how far a spectrum has come from `first` along `step`, the way to the last one; arrays (n,).

    The first spectrum's own amount is free (evaporation, dilution), and so are offset and scatter.
    """
    used = in_window(wavelength_nm)
    species = {"step": step[used], "first": first[used]}
    found = fit_mixture(wavelength_nm[used], absorbance[used], species, sd=sd[used], exponent=3.0)
    return _reading(found.concentrations["step"], found.residuals, found.scatter)


def _reading(value: Quantity, residuals: Array, scatter: Quantity | None = None) -> Reading:
    finite = residuals[np.isfinite(residuals)]
    rms = float(np.sqrt(np.mean(finite**2)))
    size = 0.0 if scatter is None else scatter.value
    return Reading(value.value, value.standard_uncertainty or 0.0, rms, size, int(finite.size))


def straightened(seen: npt.ArrayLike, total_umol_per_l: float, dimer_per_M: float = DOXORUBICIN_DIMER_PER_M) -> Array:
    """Turn a read-out between nothing free (0) and all free (1) into the share that is free.

    A cargo that dimerises absorbs less the more of it is free: what is seen goes as M + r D2, r = `DIMER_SHARE`. Shape as
    of `seen`; beyond the ends it goes on as a straight line.
    """
    share = np.linspace(0.0, 1.2, 241)
    total = 1e-6 * total_umol_per_l
    monomer = monomer_fraction(share * total, dimer_per_M)
    signal = share * (monomer + DIMER_SHARE * (1.0 - monomer))
    end = float(np.interp(1.0, share, signal))
    values = np.asarray(seen, dtype=np.float64)
    slope = float(signal[1] / share[1]) / end
    return np.where(values < 0.0, values / slope, np.interp(values, signal / end, share))
