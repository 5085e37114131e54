"""From absorbance spectra to how much cargo is free: by its spectrum, or between two spectra of the same cuvette.

Both use `nanolab.analysis.photometry.fit_mixture` with a scatter term and an offset, so that a lamp that drifts and a
carrier that scatters do not count as cargo.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from nanolab.analysis.photometry import SCATTER_EXPONENTS, fit_mixture, monomer_fraction
from nanolab.models.chromophores import dimerised_per_mol_cm, monomer_per_mol_cm
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


def between(
    wavelength_nm: Array, absorbance: Array, sd: Array, first: Array, step: Array, exponent: float = 3.0
) -> tuple[Reading, float]:
    """Return how far a spectrum has come from `first` along `step`, the way to the last one; arrays (n,).

    A = c [first + y step + q (dimer - monomer)] + scatter + offset: y is linear in what has been released, because the
    dimers, which are not, have a spectrum of their own here. Also returns c, how much more concentrated the liquid is than
    at first (evaporation, dilution): y is taken relative to it. The carriers' scatter, which is in the first spectrum and
    not in the step's end, falls with the power ``exponent`` of the wavelength: see `scatter_exponent`.
    """
    used = in_window(wavelength_nm)
    nm = wavelength_nm[used]
    dimers = 1e-5 * (dimerised_per_mol_cm(nm) - monomer_per_mol_cm(nm))
    species = {"step": step[used], "first": first[used], "dimers": dimers}
    found = fit_mixture(nm, absorbance[used], species, sd=sd[used], exponent=exponent)
    size = found.concentrations["first"].value
    along = found.concentrations["step"]
    y = Quantity(along.value / size, "1", (along.standard_uncertainty or 0.0) / size)
    return _reading(y, found.residuals, found.scatter), size


@dataclass(frozen=True)
class Series:
    """Spectra (wavelength, absorbance, sd; arrays (n,)) of one cuvette, and what `between` reads them by: ``first`` and ``step`` (n,)."""

    spectra: Sequence[tuple[Array, Array, Array]]
    first: Array
    step: Array


def scatter_exponent(series: Sequence[Series]) -> float:
    """Return the one exponent between 2 and 4 with which `between` fits all spectra of all series of the same carriers best.

    A single spectrum hardly fixes it, nor does a series in which little is released: the noise of its first and last spectra is
    the same in all of them, and looks like another exponent.
    """

    def misfit(exponent: float) -> float:
        total = 0.0
        for one in series:
            for nm, values, sd in one.spectra:
                reading, _ = between(nm, values, sd, one.first, one.step, exponent)
                total += reading.residual_rms**2
        return total

    found = minimize_scalar(misfit, bounds=SCATTER_EXPONENTS, method="bounded", options={"xatol": 0.01})
    return float(min((found.x, *SCATTER_EXPONENTS), key=misfit))


def _reading(value: Quantity, residuals: Array, scatter: Quantity | None = None) -> Reading:
    finite = residuals[np.isfinite(residuals)]
    rms = float(np.sqrt(np.mean(finite**2)))
    size = 0.0 if scatter is None else scatter.value
    return Reading(value.value, value.standard_uncertainty or 0.0, rms, size, int(finite.size))
