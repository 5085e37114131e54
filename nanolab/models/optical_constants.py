"""Refractive indices of gold and water, from the tables that miepython ships.

Gold: P. B. Johnson and R. W. Christy, Phys. Rev. B 6, 4370 (1972), 10.1103/PhysRevB.6.4370. Water: D. J.
Segelstein, M.S. thesis, University of Missouri-Kansas City (1981). Between the points of gold, n and k are
cubic splines over wavelength: linear interpolation costs 4 % of the extinction of a 50 nm sphere.
"""

from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

HBAR_EV_S = 6.582119569e-16
GOLD_PLASMA_EV = 9.03
GOLD_DAMPING_EV = 0.071
GOLD_FERMI_VELOCITY_M_S = 1.40e6
_HC_EV_NM = 1239.841984


def gold_index(wavelength_nm: npt.ArrayLike) -> ComplexArray:
    """Return the refractive index n + ik of bulk gold.

    Parameters
    ----------
    wavelength_nm : array_like
        Vacuum wavelength, 188 to 1937 nm (ValueError outside: the table ends there).

    Returns
    -------
    complex array of the same shape
        Johnson and Christy 1972, 10.1103/PhysRevB.6.4370, cubic spline of n and k.
    """
    n, k, low, high = _gold_splines()
    wavelength = _checked(wavelength_nm, low, high, "gold")
    return np.asarray(n(wavelength) + 1j * k(wavelength), dtype=np.complex128)


def gold_permittivity(wavelength_nm: npt.ArrayLike, mean_free_path_nm: npt.ArrayLike | None = None) -> ComplexArray:
    """Return the permittivity of gold, with surface damping where a mean free path is given.

    eps = eps_bulk + wp^2/(w^2 + i w g0) - wp^2/(w^2 + i w (g0 + hbar vF/L)): the free-electron part of the
    bulk value is exchanged for one with collisions at the surface (U. Kreibig and M. Vollmer, Optical
    Properties of Metal Clusters, Springer 1995, 10.1007/978-3-662-09109-8).

    Parameters
    ----------
    wavelength_nm : array_like
        Vacuum wavelength, nm.
    mean_free_path_nm : array_like, optional
        Effective free path L/A of an electron between surfaces, nm, broadcast against the wavelengths; None:
        bulk gold.
    """
    bulk: ComplexArray = gold_index(wavelength_nm) ** 2
    if mean_free_path_nm is None:
        return bulk
    path = np.asarray(mean_free_path_nm, dtype=np.float64)
    if np.any(path <= 0):
        raise ValueError("the mean free path must be positive")
    energy = _HC_EV_NM / np.asarray(wavelength_nm, dtype=np.float64)
    damping = GOLD_DAMPING_EV + HBAR_EV_S * GOLD_FERMI_VELOCITY_M_S * 1e9 / path
    free_bulk = GOLD_PLASMA_EV**2 / (energy**2 + 1j * energy * GOLD_DAMPING_EV)
    free_damped = GOLD_PLASMA_EV**2 / (energy**2 + 1j * energy * damping)
    return np.asarray(bulk + free_bulk - free_damped, dtype=np.complex128)


def water_index(wavelength_nm: npt.ArrayLike) -> ComplexArray:
    """Return the refractive index n + ik of water near 20 degC (Segelstein 1981), wavelengths in nm.

    Linear between the points, which lie 5 to 10 nm apart in the near infrared: there it agrees with the newer
    measurement of R. Roettgers et al., Opt. Express 22, 25093 (2014), 10.1364/OE.22.025093, to 0.6 % at the
    usual laser lines (a spline: to 1 %). Below 500 nm this older table absorbs several times more than purest
    water. ValueError outside 200 to 20000 nm.
    """
    wavelength = _checked(wavelength_nm, 200.0, 20000.0, "water")
    table = _water_table()
    n = np.interp(wavelength, table[:, 0], table[:, 1])
    k = np.interp(wavelength, table[:, 0], table[:, 2])
    return np.asarray(n + 1j * k, dtype=np.complex128)


def _checked(wavelength_nm: npt.ArrayLike, low: float, high: float, what: str) -> FloatArray:
    wavelength = np.asarray(wavelength_nm, dtype=np.float64)
    if not np.all((wavelength >= low) & (wavelength <= high)):  # NaN fails this too
        raise ValueError(f"the optical constants of {what} are known from {low:.0f} to {high:.0f} nm only")
    return wavelength


def _shipped(name: str) -> list[str]:
    return files("miepython").joinpath("data", name).read_text(encoding="latin-1").splitlines()


@cache
def _gold_splines() -> tuple[Any, Any, float, float]:
    from scipy.interpolate import CubicSpline

    blocks: list[list[tuple[float, float]]] = []
    for line in _shipped("Johnson.txt"):
        if line.startswith("wl"):
            blocks.append([])
        elif line.strip():
            first, second = line.split()[:2]
            blocks[-1].append((1e3 * float(first), float(second)))
    n, k = (np.array(block, dtype=np.float64) for block in blocks)
    return CubicSpline(n[:, 0], n[:, 1]), CubicSpline(k[:, 0], k[:, 1]), float(n[0, 0]), float(n[-1, 0])


@cache
def _water_table() -> FloatArray:
    rows = []
    for line in _shipped("segelstein81_index.txt"):
        try:
            wavelength, n, k = (float(part) for part in line.split())
        except ValueError:  # the heading of the table
            continue
        rows.append((1e3 * wavelength, n, k))
    return np.array(rows, dtype=np.float64)
