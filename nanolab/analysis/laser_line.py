"""Absorbance where the laser really is, and where a plasmon resonance has its peak."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Caution
from nanolab.analysis.spectra import AbsorbanceSpectrum, Detector, Exposure
from nanolab.errors import AnalysisRefusesError
from nanolab.quantities import Quantity

FloatArray = npt.NDArray[np.float64]

LN10 = float(np.log(10.0))
LINE_THRESHOLD = 0.01  # of the peak: below, the pedestal of the detector would shift the mean
NOISE_THRESHOLD = 5.0
FEWEST_SIGMAS_OF_A_LINE = 20.0
MISSING_SHARE = 0.05
PEAK_FIT_NM = 30.0


@dataclass(frozen=True)
class LaserLine:
    """How the power of a laser is spread over wavelengths: (m,) each, weights per nm with unit integral.

    ``wavelength_uncertainty_nm`` is that of the line against the wavelengths of the absorbance; zero where
    both were measured with the same spectrometer.
    """

    wavelength_nm: FloatArray
    weight_per_nm: FloatArray
    wavelength_uncertainty_nm: float = 0.0
    cautions: Sequence[Caution] = ()

    @property
    def centre_nm(self) -> float:
        """Centre of mass, nm."""
        return float(np.trapezoid(self.weight_per_nm * self.wavelength_nm, self.wavelength_nm))


def gaussian_laser_line(centre_nm: float, fwhm_nm: float, wavelength_uncertainty_nm: float = 0.5) -> LaserLine:
    """Return a Gaussian line of stated centre and full width at half maximum, nm, both positive."""
    if not (centre_nm > 0 and fwhm_nm > 0):
        raise ValueError("the centre and the width of a laser line must be positive")
    sigma = fwhm_nm / np.sqrt(8.0 * np.log(2.0))
    wavelength = centre_nm + sigma * np.linspace(-4.0, 4.0, 161)
    weight = np.exp(-0.5 * ((wavelength - centre_nm) / sigma) ** 2)
    return LaserLine(wavelength, weight / np.trapezoid(weight, wavelength), wavelength_uncertainty_nm)


def measured_laser_line(wavelength_nm: npt.ArrayLike, light: Exposure, dark: Exposure, detector: Detector) -> LaserLine:
    """Return the line as the spectrometer saw it, dark subtracted, above 1 % of its peak and 5 noises.

    Parameters
    ----------
    wavelength_nm : (n,) array_like
        Wavelength of each pixel.
    light, dark : Exposure
        Counts with the laser on and off, at one integration time.
    detector : Detector
        Full scale and non-linearity.

    Raises
    ------
    AnalysisRefusesError
        No line stands out, or its top is saturated: then its shape is not known.
    """
    wavelength = np.asarray(wavelength_nm, dtype=np.float64)
    if light.counts.shape != wavelength.shape or dark.counts.shape != wavelength.shape:
        raise ValueError(f"laser and dark spectrum must have {wavelength.size} pixels, as the wavelengths have")
    signal = detector.linear(light.counts - dark.counts)
    top = int(np.argmax(signal))
    # the line is narrow: the median of all pixels is its pedestal, their scatter the noise
    pedestal = float(np.median(signal))
    noise = 1.4826 * float(np.median(np.abs(signal - pedestal)))
    height = float(signal[top]) - pedestal
    if height < FEWEST_SIGMAS_OF_A_LINE * max(noise, 1e-9):
        raise AnalysisRefusesError("the spectrum of the laser shows no line: take it at a longer integration time")
    if light.saturated(detector)[max(top - 1, 0) : top + 2].any():
        raise AnalysisRefusesError(
            f"the laser line at {wavelength[top]:.1f} nm is saturated: take it at a shorter integration time"
        )
    threshold = max(LINE_THRESHOLD * height, NOISE_THRESHOLD * noise)
    above = signal - pedestal >= threshold
    first, last = top, top
    while first > 0 and above[first - 1]:
        first -= 1
    while last < wavelength.size - 1 and above[last + 1]:
        last += 1
    # one pixel more on each side, at zero, closes the line
    first, last = max(first - 1, 0), min(last + 1, wavelength.size - 1)
    stretch = slice(first, last + 1)
    weight = np.where(above[stretch], signal[stretch] - pedestal, 0.0)
    cautions = []
    outside = above.copy()
    outside[stretch] = False
    if outside.any():
        share = float(np.sum((signal - pedestal)[outside]) / np.sum((signal - pedestal)[above]))
        text = f"{share:.1%} of the laser's light lies outside its main line at {wavelength[top]:.1f} nm"
        cautions.append(Caution("laser_side_light", text))
    area = float(np.trapezoid(weight, wavelength[stretch]))
    return LaserLine(wavelength[stretch], weight / area, 0.0, tuple(cautions))


def absorbance_at_laser(spectrum: AbsorbanceSpectrum, line: LaserLine) -> Quantity:
    """Return the decadic absorbance that the laser meets: -log10 of its transmitted share, with uncertainty.

    The line's weights are laid on the pixels of the spectrum (linear interpolation of the transmitted share),
    so that 1 - 10^-A is exactly the share of the laser's power that is extinguished. The uncertainty adds
    pixel noise, the common part, and the slope of the spectrum times the uncertainty of the line's
    wavelength.

    Raises
    ------
    AnalysisRefusesError
        The line lies outside the spectrum, or more than 5 % of it falls on pixels that hold no number.
    """
    wavelength = spectrum.wavelength_nm
    if line.wavelength_nm[0] < wavelength[0] or line.wavelength_nm[-1] > wavelength[-1]:
        raise AnalysisRefusesError(
            f"the laser line at {line.centre_nm:.1f} nm lies outside the spectrum "
            f"({wavelength[0]:.0f} to {wavelength[-1]:.0f} nm)"
        )
    weights = _pixel_weights(wavelength, line)
    usable = spectrum.usable
    missing = float(weights[~usable].sum())
    if missing > MISSING_SHARE:
        raise AnalysisRefusesError(
            f"no absorbance at the laser line ({line.centre_nm:.1f} nm): its pixels are saturated or dark"
        )
    share = np.where(usable, weights, 0.0) / (1.0 - missing)
    transmitted = np.where(usable, 10.0 ** -np.where(usable, spectrum.absorbance, 0.0), 0.0)
    total = float(share @ transmitted)
    value = -np.log10(total)
    pixel = np.where(usable, share * transmitted / total * np.nan_to_num(spectrum.standard_uncertainty), 0.0)
    slope = _local_slope(spectrum, line)
    uncertainty = np.sqrt(
        np.sum(pixel**2) + spectrum.common_uncertainty**2 + (slope * line.wavelength_uncertainty_nm) ** 2
    )
    return Quantity(float(value), "1", float(uncertainty))


def _pixel_weights(wavelength: FloatArray, line: LaserLine) -> FloatArray:
    """Lay the power of a line on pixels (n,), each sample of it shared between its two neighbours."""
    power = line.weight_per_nm * np.gradient(line.wavelength_nm)
    right = np.clip(np.searchsorted(wavelength, line.wavelength_nm, side="right"), 1, wavelength.size - 1)
    fraction = (line.wavelength_nm - wavelength[right - 1]) / (wavelength[right] - wavelength[right - 1])
    weights = np.zeros_like(wavelength)
    np.add.at(weights, right - 1, power * (1.0 - fraction))
    np.add.at(weights, right, power * fraction)
    return np.asarray(weights / weights.sum())


def _local_slope(spectrum: AbsorbanceSpectrum, line: LaserLine) -> float:
    near = spectrum.usable & (np.abs(spectrum.wavelength_nm - line.centre_nm) < 10.0)
    if np.count_nonzero(near) < 3:
        return 0.0
    return float(np.polyfit(spectrum.wavelength_nm[near] - line.centre_nm, spectrum.absorbance[near], 1)[0])


def lspr_peak(
    spectrum: AbsorbanceSpectrum, low_nm: float, high_nm: float, half_width_nm: float = PEAK_FIT_NM
) -> Quantity:
    """Return where a plasmon band peaks between two wavelengths, nm, by a local polynomial fit.

    A quartic is fitted to the pixels within `half_width_nm` of the smoothed maximum, twice, the second time
    around the first answer. The uncertainty joins the scatter of the residuals, raised for their correlation
    (saved spectra are mostly smoothed), with half the difference between quartic and quadratic.

    Raises
    ------
    AnalysisRefusesError
        Fewer than ten usable pixels, or no maximum inside the range.
    """
    inside = spectrum.usable & (spectrum.wavelength_nm >= low_nm) & (spectrum.wavelength_nm <= high_nm)
    if np.count_nonzero(inside) < 10:
        raise AnalysisRefusesError(f"too few usable pixels between {low_nm:g} and {high_nm:g} nm to find a peak")
    x, y = spectrum.wavelength_nm[inside], spectrum.absorbance[inside]
    peak = _roughly(x, y, half_width_nm, f"between {low_nm:g} and {high_nm:g} nm")
    for _ in range(2):
        near = np.abs(x - peak) <= half_width_nm
        peak, uncertainty = _polynomial_peak(x[near], y[near], peak, half_width_nm)
    return Quantity(peak, "nm", uncertainty)


def _roughly(x: FloatArray, y: FloatArray, half_width_nm: float, where: str) -> float:
    """Return the most prominent maximum of the smoothed spectrum: a band may sit on a slope."""
    from scipy.signal import find_peaks

    width = max(3, round(half_width_nm / 3.0 / float(np.median(np.diff(x)))) | 1)
    if y.size <= 2 * width:
        raise AnalysisRefusesError(f"the spectrum is too short to find a peak {where}")
    smooth = np.convolve(y, np.ones(width) / width, mode="valid")
    peaks, properties = find_peaks(smooth, prominence=0.0)
    if peaks.size == 0:
        raise AnalysisRefusesError(f"the spectrum has no maximum {where}")
    return float(x[width // 2 + peaks[int(np.argmax(properties["prominences"]))]])


def _polynomial_peak(x: FloatArray, y: FloatArray, around: float, scale: float) -> tuple[float, float]:
    t = (x - around) / scale
    if t.size < 8 or t.min() > -0.3 or t.max() < 0.3:
        raise AnalysisRefusesError(f"the spectrum has no maximum inside its range, near {around:.0f} nm")
    matrix = np.vander(t, 5, increasing=True)
    coefficients, *_ = np.linalg.lstsq(matrix, y, rcond=None)
    top = _highest(np.asarray(coefficients, dtype=np.float64))
    if top is None:
        raise AnalysisRefusesError(f"the spectrum has no maximum near {around:.0f} nm")
    residual = y - matrix @ coefficients
    left, right = residual[:-1], residual[1:]
    correlation = float(np.clip(left @ right / max(float(residual @ residual), 1e-300), 0.0, 0.98))
    variance = float(residual @ residual) / max(t.size - 5, 1) * (1.0 + correlation) / (1.0 - correlation)
    covariance = np.linalg.inv(matrix.T @ matrix) * variance
    powers = np.arange(5)
    gradient = np.where(powers > 0, powers * top ** np.maximum(powers - 1, 0), 0.0)
    curvature = float(np.sum(coefficients * powers * (powers - 1) * top ** np.maximum(powers - 2, 0)))
    noise = float(np.sqrt(gradient @ covariance @ gradient)) / abs(curvature)
    quadratic = np.linalg.lstsq(matrix[:, :3], y, rcond=None)[0]
    other = -0.5 * quadratic[1] / quadratic[2] if quadratic[2] < 0 else top
    return around + scale * top, scale * float(np.hypot(noise, 0.5 * (other - top)))


def _highest(coefficients: FloatArray) -> float | None:
    """Return the highest maximum of a polynomial (lowest power first) inside -1..1, or None."""
    polynomial = np.polynomial.Polynomial(coefficients)
    roots = polynomial.deriv().roots()
    real = roots.real[(np.abs(roots.imag) < 1e-9) & (np.abs(roots.real) < 1.0)]
    maxima = real[polynomial.deriv(2)(real) < 0]
    return float(maxima[np.argmax(polynomial(maxima))]) if maxima.size else None
