"""Extinction of gold particles: Mie spheres, Gans rods, and batches of rods as they are really made.

Cross-sections are in nm2 per particle and depend on vacuum wavelength; everything is numpy in, numpy out.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanolab.models.optical_constants import FloatArray, gold_permittivity

WATER_INDEX = 1.33
SPHERE_DAMPING = 1.0
ROD_DAMPING = 0.33
AVOGADRO = 6.02214076e23
GOLD_DENSITY_G_CM3 = 19.30


@dataclass(frozen=True)
class CrossSections:
    """What one particle takes out of a beam, nm2: absorbed and scattered, of the shape of the wavelengths."""

    absorption_nm2: FloatArray
    scattering_nm2: FloatArray

    @property
    def extinction_nm2(self) -> FloatArray:
        """Absorbed plus scattered, nm2."""
        return self.absorption_nm2 + self.scattering_nm2

    @property
    def albedo(self) -> FloatArray:
        """Scattered share of the extinction, 0 to 1."""
        return np.asarray(self.scattering_nm2 / self.extinction_nm2)

    @property
    def efficiency_bound(self) -> FloatArray:
        """Absorbed share of the extinction: no particle turns more of the extinguished light into heat."""
        return np.asarray(self.absorption_nm2 / self.extinction_nm2)


def sphere_cross_sections(
    wavelength_nm: npt.ArrayLike,
    diameter_nm: float,
    medium_index: float = WATER_INDEX,
    damping: float | None = SPHERE_DAMPING,
) -> CrossSections:
    """Return the cross-sections of a gold sphere (G. Mie 1908, 10.1002/andp.19083300302).

    Parameters
    ----------
    wavelength_nm : array_like
        Vacuum wavelength, 188 to 1937 nm.
    diameter_nm : float
        Diameter, above 0 (ValueError).
    medium_index : float
        Refractive index of the liquid.
    damping : float, optional
        Strength A of the surface damping with the radius as free path; None for bulk gold.
    """
    import miepython

    _check_positive(diameter_nm=diameter_nm, medium_index=medium_index)
    wavelength = np.asarray(wavelength_nm, dtype=np.float64)
    flat = np.atleast_1d(wavelength).ravel()
    path = None if damping is None else 0.5 * diameter_nm / damping
    # miepython writes an absorbing index as n - ik
    index = np.conj(np.sqrt(gold_permittivity(flat, path))) / medium_index
    size = np.pi * diameter_nm * medium_index / flat
    extinction, scattering, *_ = miepython.efficiencies_mx(index, size)
    area = 0.25 * np.pi * diameter_nm**2
    scattered = np.asarray(scattering, dtype=np.float64).reshape(wavelength.shape) * area
    total = np.asarray(extinction, dtype=np.float64).reshape(wavelength.shape) * area
    return CrossSections(total - scattered, scattered)


def depolarisation_factors(aspect_ratio: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the depolarisation factors (along, across) of a prolate spheroid; along + 2 across = 1.

    R. Gans, Ann. Phys. 342, 881 (1912), 10.1002/andp.19123420503. ValueError for an aspect ratio below 1.
    """
    ratio = np.asarray(aspect_ratio, dtype=np.float64)
    if not np.all(ratio >= 1.0):
        raise ValueError("the aspect ratio of a rod is at least 1 (length over diameter)")
    # near the sphere the closed form loses its digits; the series 1/3 - 2 e^2/15 - ... does not
    e2 = 1.0 - 1.0 / ratio**2
    e = np.sqrt(np.where(e2 > 1e-4, e2, 1.0 - 1e-9))
    closed = (1.0 - e**2) / e**2 * (np.arctanh(e) / e - 1.0)
    along = np.where(e2 > 1e-4, closed, 1.0 / 3.0 - 2.0 * e2 / 15.0 - 2.0 * e2**2 / 35.0)
    return np.asarray(along), np.asarray(0.5 * (1.0 - along))


def rod_cross_sections(
    wavelength_nm: npt.ArrayLike,
    length_nm: npt.ArrayLike,
    diameter_nm: npt.ArrayLike,
    medium_index: float = WATER_INDEX,
    damping: float | None = ROD_DAMPING,
) -> CrossSections:
    """Return the cross-sections of a randomly oriented gold rod, as a prolate spheroid in the dipole limit.

    C_abs = (k/3) sum Im alpha_j, C_sca = (k^4/18 pi) sum |alpha_j|^2, alpha_j = V (eps - eps_m)/(eps_m + L_j
    (eps - eps_m)): R. Gans 1912, 10.1002/andp.19123420503; C. F. Bohren and D. R. Huffman, Wiley 1998,
    10.1002/9783527618156, chapter 5.

    Parameters
    ----------
    wavelength_nm, length_nm, diameter_nm : array_like
        Vacuum wavelength and full axes, nm, broadcast against each other; length at least the diameter.
    medium_index : float
        Refractive index of the liquid.
    damping : float, optional
        Strength A of the surface damping with 4V/S as free path; None for bulk gold.
    """
    length = np.asarray(length_nm, dtype=np.float64)
    diameter = np.asarray(diameter_nm, dtype=np.float64)
    _check_positive(length_nm=length, diameter_nm=diameter, medium_index=medium_index)
    along, across = depolarisation_factors(length / diameter)
    wavelength = np.asarray(wavelength_nm, dtype=np.float64)
    path = None if damping is None else spheroid_free_path_nm(length, diameter) / damping
    difference = gold_permittivity(wavelength, path) - medium_index**2
    volume = np.pi / 6.0 * length * diameter**2
    k = 2.0 * np.pi * medium_index / wavelength
    factors = (along, across, across)
    polarisabilities = [volume * difference / (medium_index**2 + f * difference) for f in factors]
    absorption = k / 3.0 * sum(alpha.imag for alpha in polarisabilities)
    scattering = k**4 / (18.0 * np.pi) * sum(np.abs(alpha) ** 2 for alpha in polarisabilities)
    return CrossSections(np.asarray(absorption), np.asarray(scattering))


def spheroid_free_path_nm(length_nm: npt.ArrayLike, diameter_nm: npt.ArrayLike) -> FloatArray:
    """Return the mean chord 4V/S of a prolate spheroid, nm (Coronado and Schatz 2003, 10.1063/1.1587686)."""
    length, diameter = np.broadcast_arrays(np.asarray(length_nm, float), np.asarray(diameter_nm, float))
    a, b = 0.5 * length, 0.5 * diameter
    e = np.sqrt(np.maximum(1.0 - (b / a) ** 2, 0.0))
    # arcsin(e)/e tends to 1 for a sphere
    bow = np.where(e > 1e-6, np.arcsin(e) / np.where(e > 1e-6, e, 1.0), 1.0)
    surface = 2.0 * np.pi * b**2 + 2.0 * np.pi * a * b * bow
    return np.asarray(4.0 * (4.0 / 3.0 * np.pi * a * b**2) / surface)


def rod_batch_extinction_per_nm(
    wavelength_nm: npt.ArrayLike,
    aspect_ratio_mean: float,
    aspect_ratio_sd: float,
    sphere_volume_ratio: float = 0.0,
    diameter_nm: float = 10.0,
    sphere_diameter_nm: float = 40.0,
    medium_index: float = WATER_INDEX,
) -> FloatArray:
    """Return the extinction of a real batch per volume of rods, nm2/nm3, shape of `wavelength_nm`.

    A Gaussian of aspect ratios (cut at 1 and at 5 sd) weighted by volume, plus spheres as a ratio of volumes:
    a monodisperse Gans line is 50 nm wide where real batches show 150 nm.
    """
    _check_positive(aspect_ratio_mean=aspect_ratio_mean, aspect_ratio_sd=aspect_ratio_sd, diameter_nm=diameter_nm)
    wavelength = np.asarray(wavelength_nm, dtype=np.float64)
    low = max(1.0, aspect_ratio_mean - 5.0 * aspect_ratio_sd)
    ratios = np.linspace(low, aspect_ratio_mean + 5.0 * aspect_ratio_sd, 81)
    weights = np.exp(-0.5 * ((ratios - aspect_ratio_mean) / aspect_ratio_sd) ** 2)
    weights /= weights.sum()
    lengths = ratios * diameter_nm
    one = rod_cross_sections(wavelength[..., np.newaxis], lengths, diameter_nm, medium_index).extinction_nm2
    rods = (one / (np.pi / 6.0 * lengths * diameter_nm**2)) @ weights
    if sphere_volume_ratio == 0.0:
        return np.asarray(rods)
    sphere = sphere_cross_sections(wavelength, sphere_diameter_nm, medium_index).extinction_nm2
    return np.asarray(rods + sphere_volume_ratio * sphere / (np.pi / 6.0 * sphere_diameter_nm**3))


def molar_absorptivity(extinction_nm2: npt.ArrayLike) -> FloatArray:
    """Return the decadic molar absorptivity of particles, 1/(M cm), from their cross-section in nm2."""
    return np.asarray(np.asarray(extinction_nm2) * (1e-14 * AVOGADRO / (1e3 * np.log(10.0))))


def mass_absorptivity(extinction_per_nm: npt.ArrayLike) -> FloatArray:
    """Return decadic absorbance per (ug/mL cm) of gold, from extinction per volume of gold, nm2/nm3."""
    # nm2/nm3 = 1e7/cm; a ug/mL of gold is 1e-6/19.30 of the volume
    return np.asarray(np.asarray(extinction_per_nm) * (1e7 * 1e-6 / (GOLD_DENSITY_G_CM3 * np.log(10.0))))


def lspr_nm(wavelength_nm: npt.ArrayLike, extinction: npt.ArrayLike) -> float:
    """Return where a noiseless spectrum is highest, nm, by a parabola through its top three points.

    ValueError where the highest point is the first or the last: there is no peak inside.
    """
    wavelength, height = np.asarray(wavelength_nm, dtype=np.float64), np.asarray(extinction, dtype=np.float64)
    top = int(np.argmax(height))
    if top in {0, height.size - 1}:
        raise ValueError("the spectrum has no maximum inside its range")
    x, y = wavelength[top - 1 : top + 2] - wavelength[top], height[top - 1 : top + 2]
    curvature, slope, _ = np.polyfit(x, y, 2)
    return float(wavelength[top] - 0.5 * slope / curvature)


def _check_positive(**values: npt.ArrayLike) -> None:
    for name, value in values.items():
        if not np.all(np.asarray(value) > 0):
            raise ValueError(f"{name} must be positive")
