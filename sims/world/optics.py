"""Where the light goes in the cuvette: windows, particles and solvent share it, never independently."""

import math
from typing import NamedTuple

import numpy as np

from sims.world.config import WorldConfig
from sims.world.constants import water_absorption_per_cm
from sims.world.particles import batch_spectrum

# five points of a Gaussian line at equal shares of its area (at the 10, 30, 50, 70 and 90 % quantiles)
_LINE_POINTS = np.array([-1.2815515655, -0.5244005127, 0.0, 0.5244005127, 1.2815515655])
_FWHM_PER_SD = 2.0 * math.sqrt(2.0 * math.log(2.0))


class LightShares(NamedTuple):
    """Shares of the incident power, between 0 and 1; the windows' reflections make up the rest."""

    particles: float
    """Extinguished by the particles (not all of it becomes heat)."""
    solvent: float
    """Absorbed by the solvent: all of it heat."""
    wall: float
    """Absorbed by the two windows: heat in the wall."""
    behind: float
    """Passes the back window."""


class LaserLineOptics:
    """Shares of the laser light in each cuvette at the laser's present line.

    With mu_n = A ln 10/L and mu_w in 1/cm, the liquid takes f = 1 - exp(-(mu_n + mu_w) L) of what enters, and
    particles and solvent divide it as mu_n to mu_w.
    """

    def __init__(self, config: WorldConfig) -> None:
        self._spectrum = batch_spectrum(config.particles)
        self._nominal_nm = config.laser.wavelength_nm
        self._line_nm = self._nominal_nm + _LINE_POINTS * config.laser.line_width_nm / _FWHM_PER_SD
        self._nominal_sum = float(np.sum(self._spectrum.relative(self._line_nm, self._nominal_nm)))
        self._path_cm = config.photothermal.path_length_mm / 10.0
        self._solvent_scale = config.photothermal.solvent_absorption_scale
        self._window = config.cuvette.window_transmission
        self._empty_window = config.cuvette.empty_window_transmission
        self._absorbed = config.cuvette.window_absorption
        self.relative_absorbance = 1.0
        self.solvent_per_cm = 0.0
        self._solvent_optical_depth = 0.0
        self.tune(self._nominal_nm, 0.0)

    def tune(self, wavelength_nm: float, spectrum_shift_nm: float) -> None:
        """Follow the laser's line and the particles' spectrum, which has moved by `spectrum_shift_nm`."""
        line = self._line_nm + (wavelength_nm - self._nominal_nm) - spectrum_shift_nm
        # the shift of the spectrum moves its shape; the loss at the nominal line is what the world file says
        nominal = self._nominal_sum
        if spectrum_shift_nm != 0.0:
            shifted = self._line_nm - spectrum_shift_nm
            nominal = float(np.sum(self._spectrum.relative(shifted, self._nominal_nm)))
        self.relative_absorbance = float(np.sum(self._spectrum.relative(line, self._nominal_nm))) / nominal
        water = float(water_absorption_per_cm(wavelength_nm))
        self.solvent_per_cm = self._solvent_scale * water
        self._solvent_optical_depth = self.solvent_per_cm * self._path_cm

    def shares(self, absorbance: float, filled: bool) -> LightShares:
        """Return where the light goes; `absorbance` is the particles' own, decadic, at the laser's line."""
        if not filled:
            through = self._empty_window
            return LightShares(0.0, 0.0, self._absorbed * (1.0 + through), through * through)
        window = self._window
        particles = absorbance * 2.302585092994046
        solvent = self._solvent_optical_depth
        depth = particles + solvent
        if depth == 0.0:
            return LightShares(0.0, 0.0, self._absorbed * (1.0 + window), window * window)
        passed = math.exp(-depth)
        taken = window * (1.0 - passed) / depth
        return LightShares(
            taken * particles,
            taken * solvent,
            self._absorbed * (1.0 + window * passed),
            window * window * passed,
        )
