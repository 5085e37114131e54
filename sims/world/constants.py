"""Optical constants of gold and water, from the tables that miepython ships."""

from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

Array = npt.NDArray[np.float64]

# size damping of gold: plasma frequency and collision rate in eV, and hbar times the Fermi velocity in eV nm
_PLASMA_EV = 9.03
_COLLISION_EV = 0.071
_HBAR_FERMI_EV_NM = 6.582119569e-16 * 1.40e15
_EV_NM = 1239.841984


@cache
def _gold() -> tuple[CubicSpline, CubicSpline]:
    text = (files("miepython") / "data" / "Johnson.txt").read_text(encoding="utf-8")
    first, second = text.split("wl\tk")
    n = np.array([line.split() for line in first.splitlines()[1:] if line.strip()], dtype=np.float64)
    k = np.array([line.split() for line in second.splitlines() if line.strip()], dtype=np.float64)
    return CubicSpline(1000.0 * n[:, 0], n[:, 1]), CubicSpline(1000.0 * k[:, 0], k[:, 1])


def gold_permittivity(wavelength_nm: Array, path_nm: Array | float, strength: float) -> npt.NDArray[np.complex128]:
    """Return the permittivity of gold with the damping of electrons at the surface of a small particle.

    Parameters
    ----------
    wavelength_nm : array
        Vacuum wavelengths between 188 and 1937 nm.
    path_nm : array or float
        Mean free path given by the particle (radius of a sphere; 4 V/S of a rod), nm.
    strength : float
        The constant A of the damping (1 for spheres, 0.33 for rods).

    Notes
    -----
    Bulk: Johnson and Christy, Phys. Rev. B 6, 4370 (1972), 10.1103/PhysRevB.6.4370, cubic spline of n and k.
    Damping: Kreibig's exchange of the Drude term; plasma frequency 9.03 eV, rate 0.071 eV, Fermi velocity
    1.40e6 m/s.
    """
    n, k = _gold()
    bulk = (n(wavelength_nm) + 1j * k(wavelength_nm)) ** 2
    w = _EV_NM / wavelength_nm
    rate = _COLLISION_EV + strength * _HBAR_FERMI_EV_NM / path_nm
    damped = bulk + _PLASMA_EV**2 / (w**2 + 1j * w * _COLLISION_EV) - _PLASMA_EV**2 / (w**2 + 1j * w * rate)
    return np.asarray(damped, dtype=np.complex128)


@cache
def _water() -> tuple[Array, Array]:
    text = (files("miepython") / "data" / "segelstein81_index.txt").read_text(encoding="utf-8")
    rows = [line.split() for line in text.splitlines()[4:] if line.strip()]
    table = np.array(rows, dtype=np.float64)
    return 1000.0 * table[:, 0], np.log(table[:, 2])


def water_absorption_per_cm(wavelength_nm: Array | float) -> Array:
    """Return the absorption coefficient of water, 4 pi k/lambda in 1/cm (natural), at 25 degC.

    Segelstein (1981), as shipped with miepython; the logarithm of k is interpolated linearly.
    """
    nm = np.asarray(wavelength_nm, dtype=np.float64)
    wavelengths, log_k = _water()
    return np.asarray(4.0 * np.pi * np.exp(np.interp(nm, wavelengths, log_k)) / (nm * 1e-7), dtype=np.float64)
