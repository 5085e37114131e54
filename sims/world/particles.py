"""Extinction and scattering of a batch of gold nanorods with some spheres in it."""

from dataclasses import dataclass
from functools import lru_cache

import miepython
import numpy as np
from scipy.interpolate import CubicSpline

from sims.world.constants import Array, gold_permittivity
from sims.world.sections import Particles

_GRID_NM = np.arange(260.0, 1201.0, 4.0)
_RATIOS = 41
_REACH_SD = 3.5


def gans_cross_sections(
    wavelength_nm: Array, aspect_ratio: Array, diameter_nm: float, medium_index: float
) -> tuple[Array, Array]:
    """Return absorption and scattering cross-sections of prolate gold spheroids, random orientation.

    Parameters
    ----------
    wavelength_nm : array, shape (n,)
        Vacuum wavelengths.
    aspect_ratio : array, shape (m,)
        Length over diameter, above 1.
    diameter_nm, medium_index : float
        Short axis, and the refractive index around.

    Returns
    -------
    absorption, scattering : arrays, shape (m, n)
        In nm2.

    Notes
    -----
    Gans, Ann. Phys. 342, 881 (1912), 10.1002/andp.19123420503; cross-sections after Bohren and Huffman.
    """
    ratio = np.asarray(aspect_ratio, dtype=np.float64)[:, np.newaxis]
    wavelength = np.asarray(wavelength_nm, dtype=np.float64)[np.newaxis, :]
    e = np.sqrt(1.0 - 1.0 / ratio**2)
    along = (1.0 - e**2) / e**2 * (np.log((1.0 + e) / (1.0 - e)) / (2.0 * e) - 1.0)
    volume = np.pi * ratio * diameter_nm**3 / 6.0
    surface = np.pi * diameter_nm**2 / 2.0 * (1.0 + ratio / e * np.arcsin(e))
    inside = gold_permittivity(wavelength, 4.0 * volume / surface, 0.33)
    outside = medium_index**2
    k = 2.0 * np.pi * medium_index / wavelength
    absorption = np.zeros(inside.shape)
    scattering = np.zeros(inside.shape)
    for factor, times in ((along, 1.0), ((1.0 - along) / 2.0, 2.0)):
        alpha = volume * (inside - outside) / (outside + factor * (inside - outside))
        absorption += times * k / 3.0 * alpha.imag
        scattering += times * k**4 / (18.0 * np.pi) * np.abs(alpha) ** 2
    return absorption, scattering


def mie_cross_sections(wavelength_nm: Array, diameter_nm: float, medium_index: float) -> tuple[Array, Array]:
    """Return absorption and scattering cross-sections of a gold sphere, nm2, shape (n,) (Mie theory)."""
    index = np.sqrt(gold_permittivity(wavelength_nm, diameter_nm / 2.0, 1.0))
    # miepython wants a negative imaginary part for an absorber
    extinct, scattered, _, _ = miepython.efficiencies(np.conj(index), diameter_nm, wavelength_nm, medium_index)
    area = np.pi * diameter_nm**2 / 4.0
    return np.asarray(area * (extinct - scattered)), np.asarray(area * scattered)


@dataclass(frozen=True)
class BatchSpectrum:
    """Extinction spectrum of a batch, to an arbitrary scale, and its albedo; wavelengths in nm."""

    _extinction: CubicSpline
    _albedo: CubicSpline

    def relative(self, wavelength_nm: Array | float, reference_nm: float) -> Array:
        """Return extinction relative to that at `reference_nm`, same shape as `wavelength_nm`."""
        return np.asarray(self._extinction(wavelength_nm) / self._extinction(reference_nm), dtype=np.float64)

    def albedo(self, wavelength_nm: float) -> float:
        """Return scattering over extinction at a wavelength."""
        return float(self._albedo(wavelength_nm))


@lru_cache(maxsize=32)
def batch_spectrum(particles: Particles) -> BatchSpectrum:
    """Compute the spectrum of a batch: Gaussian aspect ratios at one diameter, and spheres by gold volume."""
    sd = particles.aspect_ratio_sd
    offsets = np.linspace(-_REACH_SD, _REACH_SD, _RATIOS) if sd > 0.0 else np.zeros(1)
    ratios = particles.aspect_ratio + sd * offsets
    weights = np.exp(-0.5 * offsets**2)
    # a rod of ratio 1 is a sphere, where Gans' shape factor is 0/0
    weights, ratios = weights[ratios > 1.05], ratios[ratios > 1.05]
    absorbed, scattered = gans_cross_sections(_GRID_NM, ratios, particles.rod_diameter_nm, particles.medium_index)
    gold = np.pi / 6.0 * particles.rod_diameter_nm**3 * float(weights @ ratios)
    absorption, scattering = weights @ absorbed / gold, weights @ scattered / gold
    if particles.sphere_share > 0.0:
        d = particles.sphere_diameter_nm
        per_volume = particles.sphere_share / (np.pi * d**3 / 6.0)
        absorbed, scattered = mie_cross_sections(_GRID_NM, d, particles.medium_index)
        absorption, scattering = absorption + per_volume * absorbed, scattering + per_volume * scattered
    extinction = absorption + scattering
    return BatchSpectrum(CubicSpline(_GRID_NM, extinction), CubicSpline(_GRID_NM, scattering / extinction))
