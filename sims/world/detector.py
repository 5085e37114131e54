"""The fibre spectrometer: lamp light through the cuvette, turned into counts as a detector does."""

import math

import numpy as np

from sims.world.constants import Array
from sims.world.noise import CorrelatedNoise, generator
from sims.world.sections import Spectrometer

N_PIXELS = 2136
REFERENCE_INTEGRATION_S = 0.020
_FWHM_PER_SD = 2.0 * math.sqrt(2.0 * math.log(2.0))


def lamp_shape(wavelength_nm: Array) -> Array:
    """Return the lamp's light as the detector weighs it, 1 at its brightest; useful from 350 to 1000 nm.

    A halogen lamp seen by silicon behind a grating: a lopsided hump at 620 nm with a slight ripple.
    """
    width = np.where(wavelength_nm < 620.0, 130.0, 190.0)
    hump = np.exp(-0.5 * ((wavelength_nm - 620.0) / width) ** 2)
    shape = hump * (1.0 + 0.015 * np.sin(wavelength_nm / 17.0))
    return np.asarray(shape / np.max(shape), dtype=np.float64)


class Detector:
    """Counts per pixel, shape (2136,): dark, lamp, laser line, stray light, non-linearity, noise, clip."""

    def __init__(self, spectrometer: Spectrometer, seed: int) -> None:
        self._own = spectrometer
        pixel = np.arange(N_PIXELS, dtype=np.float64)
        c0, c1, c2, c3 = spectrometer.wavelength_coefficients
        self.wavelengths_nm: Array = c0 + pixel * (c1 + pixel * (c2 + pixel * c3))
        self._lamp_per_s = lamp_shape(self.wavelengths_nm) * spectrometer.lamp_peak_counts / REFERENCE_INTEGRATION_S
        self._pattern = spectrometer.dark_pattern_counts * generator(seed, "dark pattern").standard_normal(N_PIXELS)
        self._shot = generator(seed, "spectrum")
        self._lamp_drift = CorrelatedNoise(
            spectrometer.lamp_drift, spectrometer.lamp_drift_correlation_s, generator(seed, "lamp drift")
        )
        self._dark_drift = CorrelatedNoise(
            spectrometer.dark_drift_counts,
            spectrometer.dark_drift_correlation_s,
            generator(seed, "dark drift"),
        )

    def light(
        self,
        time_s: float,
        transmission: Array | None,
        laser_w: float,
        laser_nm: float,
        laser_width_nm: float,
    ) -> Array:
        """Return the ideal signal, counts/s per pixel; `transmission` per pixel is None with the lamp off."""
        signal = np.zeros(N_PIXELS)
        if transmission is not None:
            drift = 1.0 + self._lamp_drift.at(time_s) + self._own.lamp_drift_per_h * time_s / 3600.0
            signal += self._lamp_per_s * transmission * drift
        if laser_w > 0.0:
            sd = math.hypot(laser_width_nm, self._own.line_spread_nm) / _FWHM_PER_SD
            line = np.exp(-0.5 * ((self.wavelengths_nm - laser_nm) / sd) ** 2)
            signal += self._own.laser_counts_per_w_s * laser_w * line
        stray = self._own.stray_light
        return (1.0 - stray) * signal + stray * float(np.mean(signal))

    def expose(self, time_s: float, integration_s: float, signal_per_s: Array, averages: int) -> Array:
        """Return counts on the 16-bit scale: the mean of `averages` exposures, clipped at full scale.

        Shot and read noise are Gaussian (light levels are thousands of electrons). ValueError on a time that
        is not positive or fewer than one exposure.
        """
        if not integration_s > 0.0 or averages < 1:
            raise ValueError(f"exposure of {integration_s} s, {averages} averages: both must be positive")
        own = self._own
        light = signal_per_s * integration_s
        dark_current = own.dark_counts_per_s * integration_s
        variance = own.read_noise_counts**2 + (light + dark_current) / own.electrons_per_count
        light += np.sqrt(variance / averages) * self._shot.standard_normal(N_PIXELS)
        dark = own.dark_counts + dark_current + self._dark_drift.at(time_s) + self._pattern
        return np.clip(self._as_measured(light) + dark, 0.0, own.full_scale)

    def _as_measured(self, true_counts: Array) -> Array:
        # solves true = measured / poly(measured): a contraction for every detector worth having
        n0, n1, n2, n3 = self._own.nonlinearity
        measured = true_counts
        for _ in range(4):
            # beyond full scale it clips anyway: keep a steep polynomial from running away
            m = np.minimum(measured, self._own.full_scale)
            measured = true_counts * (n0 + m * (n1 + m * (n2 + m * n3)))
        return measured
