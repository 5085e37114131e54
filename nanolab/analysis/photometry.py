"""Concentrations from absorbance spectra: several species, the scatter of a carrier and a baseline at once.

A(lambda) = path x sum_i epsilon_i(lambda) c_i + b0 + b1 (lambda/500 nm)^-m, m between 2 (large particles) and 4
(Rayleigh). All coefficients are linear but m, which is found between its limits. Residuals of neighbouring pixels
agree where the model is not perfect; the covariance is widened by that memory, (1 + r)/(1 - r).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from nanolab.analysis.curve_fits import residual_memory
from nanolab.quantities import Quantity

Array = npt.NDArray[np.float64]

SCATTER_REFERENCE_NM = 500.0
SCATTER_EXPONENTS = (2.0, 4.0)

DOXORUBICIN_DIMER_PER_M = 1.3e4
"""Association constant of doxorubicin in water, per molar (J. Pharm. Sci. 62, 1973, 10.1002/jps.2600730615)."""


@dataclass(frozen=True)
class Mixture:
    """Result of `fit_mixture`.

    ``concentrations`` by species in mol/L; ``scatter`` and ``offset`` in decadic absorbance, None where not fitted;
    ``exponent`` m of the scatter; ``fitted`` and ``residuals`` (n,) in absorbance; ``covariance`` (k, k) of all
    coefficients, species first; ``condition`` of the scaled columns: above a few hundred, species look alike.
    """

    concentrations: Mapping[str, Quantity]
    scatter: Quantity | None
    offset: Quantity | None
    exponent: float | None
    fitted: Array
    residuals: Array
    covariance: Array
    memory: float
    condition: float


def fit_mixture(
    wavelength_nm: npt.ArrayLike,
    absorbance: npt.ArrayLike,
    species: Mapping[str, npt.ArrayLike],
    *,
    path_cm: float = 1.0,
    sd: npt.ArrayLike = 1.0,
    offset: bool = True,
    scatter: bool = True,
    exponent: float | None = None,
) -> Mixture:
    """Fit a spectrum.

    Parameters
    ----------
    wavelength_nm, absorbance : (n,)
        Pixels with NaN are left out.
    species : mapping of str to (n,)
        Decadic molar absorption of each species at these wavelengths, per molar and centimetre.
    path_cm : float
        Optical path.
    sd : float or (n,)
        Standard deviation of the absorbance; the scale is taken from the residuals.
    offset, scatter : bool
        Whether to fit a constant and a scatter term.
    exponent : float, optional
        Exponent m of the scatter; None: found between 2 and 4.

    Raises
    ------
    ValueError
        No species, fewer usable pixels than coefficients, or a path that is not positive.
    """
    wavelength, values = np.asarray(wavelength_nm, dtype=np.float64), np.asarray(absorbance, dtype=np.float64)
    spread = np.broadcast_to(np.asarray(sd, dtype=np.float64), values.shape)
    if path_cm <= 0:
        raise ValueError(f"the path must be positive, not {path_cm:g} cm")
    columns = [path_cm * np.asarray(epsilon, dtype=np.float64) for epsilon in species.values()]
    if offset:
        columns.append(np.ones_like(values))
    good = np.isfinite(values) & np.isfinite(spread) & (spread > 0) & np.all(np.isfinite(columns), axis=0)
    if not species or np.count_nonzero(good) <= len(columns) + 2 * scatter:
        raise ValueError(f"{np.count_nonzero(good)} usable pixels cannot carry {len(species)} species and a baseline")

    def matrix(m: float) -> Array:
        extra = [(wavelength / SCATTER_REFERENCE_NM) ** -m] if scatter else []
        return np.column_stack([*columns, *extra])

    def cost(m: float) -> float:
        return float(np.sum(_solve(matrix(m)[good], values[good], spread[good])[1] ** 2))

    free = scatter and exponent is None
    if free:
        found = minimize_scalar(cost, bounds=SCATTER_EXPONENTS, method="bounded", options={"xatol": 1e-4})
        m = float(min((found.x, *SCATTER_EXPONENTS), key=cost))
    else:
        m = SCATTER_EXPONENTS[1] if exponent is None else exponent
    return _mixture(list(species), matrix(m), values, spread, good, m if scatter else None, offset, free)


def _solve(columns: Array, values: Array, spread: Array) -> tuple[Array, Array]:
    scale = np.linalg.norm(columns, axis=0)
    scale[scale == 0] = 1.0
    best = np.linalg.lstsq(columns / scale / spread[:, None], values / spread, rcond=None)[0] / scale
    return best, (values - columns @ best) / spread


def _mixture(
    names: list[str], columns: Array, values: Array, spread: Array, good: npt.NDArray[np.bool_],
    exponent: float | None, offset: bool, free: bool,
) -> Mixture:  # fmt: skip
    best, left = _solve(columns[good], values[good], spread[good])
    memory = residual_memory(left)
    freedom = max(left.size - best.size - int(free), 1)
    weighted = columns[good] / spread[good][:, None]
    if free and exponent is not None and best[-1] != 0.0:
        # the slope along the exponent takes its share of the uncertainty
        slope = -best[-1] * columns[good][:, -1] * _log_slope(columns[good][:, -1], exponent)
        weighted = np.column_stack([weighted, slope / spread[good]])
    size = np.linalg.norm(weighted, axis=0)
    size[size == 0] = 1.0
    inverse = np.linalg.pinv(weighted / size)
    widened = float(np.sum(left**2)) / freedom * (1.0 + memory) / (1.0 - memory)
    covariance = (widened * inverse @ inverse.T / np.outer(size, size))[: best.size, : best.size]
    u = np.sqrt(np.diag(covariance))
    concentrations = {name: Quantity(float(best[i]), "mol/L", float(u[i])) for i, name in enumerate(names)}
    at_offset = len(names)
    fitted = columns @ best
    return Mixture(
        concentrations=concentrations,
        scatter=None if exponent is None else Quantity(float(best[-1]), "1", float(u[-1])),
        offset=Quantity(float(best[at_offset]), "1", float(u[at_offset])) if offset else None,
        exponent=exponent,
        fitted=fitted,
        residuals=np.where(good, values - fitted, np.nan),
        covariance=covariance,
        memory=memory,
        condition=float(np.linalg.cond(weighted / size)),
    )


def _log_slope(scatter_column: Array, exponent: float) -> Array:
    """Return ln(lambda/500 nm) from (lambda/500 nm)^-m."""
    return np.asarray(-np.log(scatter_column) / exponent)


def monomer_fraction(total_molar: npt.ArrayLike, dimer_per_M: float = DOXORUBICIN_DIMER_PER_M) -> Array:
    """Share of a dye that is monomer: C = M + 2 K M^2; C in mol/L, K per molar."""
    reach = 8.0 * dimer_per_M * np.asarray(total_molar, dtype=np.float64)
    # (sqrt(1 + x) - 1)/(x/2) without the loss of digits at small x
    return np.asarray(2.0 / (1.0 + np.sqrt(1.0 + reach)))


def total_from_absorbance(
    absorbance: npt.ArrayLike,
    epsilon_monomer: float,
    epsilon_dimer: float,
    path_cm: float = 1.0,
    dimer_per_M: float = DOXORUBICIN_DIMER_PER_M,
) -> Array:
    """Total concentration in mol/L of a dye that dimerises, from decadic absorbance at one wavelength.

    A / path = epsilon_monomer M + epsilon_dimer K M^2 with the dimer's absorption per molecule of dimer, per molar
    and centimetre. ValueError where an absorption coefficient or the path is not positive.
    """
    if epsilon_monomer <= 0 or epsilon_dimer < 0 or path_cm <= 0:
        raise ValueError("absorption coefficients and path must be positive")
    reach = np.asarray(absorbance, dtype=np.float64) / path_cm
    quadratic = epsilon_dimer * dimer_per_M
    monomer = 2.0 * reach / (epsilon_monomer + np.sqrt(epsilon_monomer**2 + 4.0 * quadratic * reach))
    return np.asarray(monomer + 2.0 * dimer_per_M * monomer**2)
