"""From counts to absorbance, with an uncertainty for every pixel and a word where a pixel cannot be used.

A = -log10[(s - d)/(r - d)] with sample, reference and dark counts; each has shot and read noise, the dark is
shared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Caution

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

LN10 = float(np.log(10.0))
FULL_SCALE = 65535.0
SATURATED_SHARE = 0.98  # detectors bend before they clip
DARK_MAX_AGE_S = 3600.0
REFERENCE_MAX_AGE_S = 1800.0
LITTLE_LIGHT_SIGMAS = 5.0
PIXEL_SHARE_FOR_CAUTION = 0.02


@dataclass(frozen=True)
class Detector:
    """What is known of a detector.

    Parameters
    ----------
    electrons_per_count : float
        Conversion gain: shot noise of a single exposure is sqrt(signal / electrons_per_count) counts.
    read_noise_counts : float
        Standard deviation of a single dark exposure, counts.
    full_scale : float
        Counts at which the converter ends.
    nonlinearity : sequence of float
        Coefficients c_i of the maker's polynomial, lowest first: true = counts / sum c_i counts^i, after the
        dark is subtracted. Empty: linear.
    stray_light : float
        Share of all light that the instrument spreads evenly over its pixels; 0: not known, not corrected.
    """

    electrons_per_count: float = 1.0
    read_noise_counts: float = 20.0
    full_scale: float = FULL_SCALE
    nonlinearity: Sequence[float] = ()
    stray_light: float = 0.0

    @classmethod
    def of(cls, configuration: Mapping[str, Any], device: str = "spectrometer") -> "Detector":
        """Return what a run's configuration says of its spectrometer; what it does not say has its default."""
        polynomial = np.atleast_1d(np.asarray(configuration.get(f"{device}_nonlinearity", ()), dtype=float))
        return cls(
            full_scale=float(configuration.get(f"{device}_full_scale", FULL_SCALE)),
            nonlinearity=tuple(polynomial.tolist()),
            stray_light=float(configuration.get(f"{device}_stray_light", 0.0)),
        )

    def linear(self, counts: FloatArray) -> FloatArray:
        """Return dark-subtracted counts (n,) as a linear detector would give them."""
        if not self.nonlinearity:
            return counts
        return np.asarray(counts / np.polynomial.polynomial.polyval(counts, self.nonlinearity))

    def without_stray(self, light: FloatArray) -> FloatArray:
        """Take an even spread of the mean signal out of linear signals (n,): seen = (1 - s) light + s mean(light)."""
        if self.stray_light == 0.0:
            return light
        # the spread leaves the mean as it is
        return np.asarray((light - self.stray_light * float(np.mean(light))) / (1.0 - self.stray_light))

    def slope(self, counts: FloatArray) -> FloatArray:
        """Return d(linear)/d(counts), shape (n,): what the correction does to noise."""
        if not self.nonlinearity:
            return np.ones_like(counts)
        p = np.polynomial.polynomial.polyval(counts, self.nonlinearity)
        derivative = np.polynomial.polynomial.polyder(self.nonlinearity)
        return np.asarray((p - counts * np.polynomial.polynomial.polyval(counts, derivative)) / p**2)


@dataclass(frozen=True)
class Exposure:
    """Counts (n,) of one spectrum, the mean of ``averages`` exposures of ``integration_s`` seconds each.

    ``time_s`` is when it was taken; ``noise`` (n,) the standard deviation of the mean where it was measured
    by repetition, else None and the detector's own noise is used; ``peak`` (n,) the highest single exposure,
    if known.
    """

    counts: FloatArray
    integration_s: float
    averages: int = 1
    time_s: float | None = None
    noise: FloatArray | None = None
    peak: FloatArray | None = None

    @classmethod
    def from_repeats(cls, repeats: npt.ArrayLike, integration_s: float, time_s: float | None = None) -> "Exposure":
        """Average repeated spectra (m, n), m at least 5, and take their noise from their own scatter."""
        table = np.asarray(repeats, dtype=np.float64)
        if table.ndim != 2 or table.shape[0] < 5:
            raise ValueError("at least five repeated spectra are needed to estimate their noise")
        noise = table.std(axis=0, ddof=1) / np.sqrt(table.shape[0])
        return cls(table.mean(axis=0), integration_s, table.shape[0], time_s, noise, table.max(axis=0))

    def saturated(self, detector: Detector) -> BoolArray:
        """Return which pixels (n,) reached 98 % of full scale."""
        highest = self.counts if self.peak is None else self.peak
        return np.asarray(highest >= SATURATED_SHARE * detector.full_scale)

    def variance(self, signal: FloatArray, detector: Detector) -> FloatArray:
        """Return the variance (n,) of the counts: measured, or shot noise of the signal plus read noise."""
        if self.noise is not None:
            return np.asarray(self.noise**2)
        shot = np.maximum(signal, 0.0) / detector.electrons_per_count
        return np.asarray((shot + detector.read_noise_counts**2) / self.averages)


@dataclass(frozen=True)
class AbsorbanceSpectrum:
    """Decadic absorbance over a wavelength axis, (n,) each; NaN where a pixel cannot tell.

    ``standard_uncertainty`` is independent from pixel to pixel; ``common_uncertainty`` is one number shared
    by all (drift of the lamp between reference and sample).
    """

    wavelength_nm: FloatArray
    absorbance: FloatArray
    standard_uncertainty: FloatArray
    saturated: BoolArray
    dark_pixels: int = 0
    common_uncertainty: float = 0.0
    cautions: Sequence[Caution] = field(default_factory=tuple)

    @property
    def usable(self) -> BoolArray:
        """Return which pixels (n,) hold a number."""
        return np.isfinite(self.absorbance)


def absorbance(
    wavelength_nm: npt.ArrayLike,
    sample: Exposure,
    reference: Exposure,
    dark: Exposure,
    detector: Detector,
    *,
    reference_dark: Exposure | None = None,
    common_uncertainty: float = 0.0,
) -> AbsorbanceSpectrum:
    """Turn counts into absorbance.

    Parameters
    ----------
    wavelength_nm : (n,) array_like
        Wavelength of each pixel.
    sample, reference, dark : Exposure
        Counts behind the sample, behind the solvent, and with the lamp off at the sample's integration time.
    detector : Detector
        Noise, full scale, non-linearity and stray light; the stray light's own noise is negligible.
    reference_dark : Exposure, optional
        A dark of its own for the reference; needed where its integration time differs (signals are then
        compared per second).
    common_uncertainty : float
        Standard uncertainty of A shared by all pixels.

    Returns
    -------
    AbsorbanceSpectrum
        First-order propagation (JCGM 100:2008, 5.1.2 and 5.2.2): the shared dark correlates numerator and
        denominator. Saturated pixels, and those where no light is left, are NaN and counted.

    Raises
    ------
    ValueError
        Shapes differ, or a dark does not belong to its spectrum's integration time.
    """
    wavelength = np.asarray(wavelength_nm, dtype=np.float64)
    own_dark = dark if reference_dark is None else reference_dark
    _check_exposures(wavelength, sample, reference, dark, own_dark)
    s, r = sample.counts - dark.counts, reference.counts - own_dark.counts
    signal = detector.without_stray(detector.linear(s)) / sample.integration_s
    light = detector.without_stray(detector.linear(r)) / reference.integration_s
    saturated = sample.saturated(detector) | reference.saturated(detector)
    lit = (signal > 0) & (light > 0)
    good = lit & ~saturated
    gain_s = np.where(good, detector.slope(s) / sample.integration_s / np.where(lit, signal, 1.0), 0.0)
    gain_r = np.where(good, detector.slope(r) / reference.integration_s / np.where(lit, light, 1.0), 0.0)
    variance = gain_s**2 * sample.variance(s, detector) + gain_r**2 * reference.variance(r, detector)
    none = np.zeros_like(s)
    if reference_dark is None:
        variance += (gain_s - gain_r) ** 2 * dark.variance(none, detector)
    else:
        variance += gain_s**2 * dark.variance(none, detector) + gain_r**2 * own_dark.variance(none, detector)
    values = np.where(good, -np.log10(np.where(good, signal, 1.0) / np.where(good, light, 1.0)), np.nan)
    uncertainty = np.where(good, np.sqrt(variance) / LN10, np.nan)
    spectrum = AbsorbanceSpectrum(
        wavelength, values, uncertainty, saturated, int(np.count_nonzero(~lit)), common_uncertainty
    )
    weak = good & (gain_s**2 * (sample.variance(s, detector) + dark.variance(none, detector)) > LITTLE_LIGHT_SIGMAS**-2)
    return replace(spectrum, cautions=tuple(_cautions(spectrum, weak, sample, reference, dark, own_dark)))


def _check_exposures(wavelength: FloatArray, *exposures: Exposure) -> None:
    sample, reference, dark, own_dark = exposures
    if any(exposure.counts.shape != wavelength.shape for exposure in exposures):
        raise ValueError(f"sample, reference and dark must have {wavelength.size} pixels, as the wavelengths have")
    for light, its_dark, what in ((sample, dark, "sample"), (reference, own_dark, "reference")):
        if abs(light.integration_s - its_dark.integration_s) > 1e-6 * light.integration_s:
            raise ValueError(
                f"the dark was taken with {its_dark.integration_s:g} s, the {what} with "
                f"{light.integration_s:g} s: "
                "take a dark at the same integration time"
            )


def _cautions(
    spectrum: AbsorbanceSpectrum,
    weak: BoolArray,
    sample: Exposure,
    reference: Exposure,
    dark: Exposure,
    own_dark: Exposure,
) -> list[Caution]:
    found = []
    for what, exposures, limit in (
        ("dark", (dark, own_dark), DARK_MAX_AGE_S),
        ("reference", (reference,), REFERENCE_MAX_AGE_S),
    ):
        ages = [_age_s(exposure, sample) for exposure in exposures]
        age = max((a for a in ages if a is not None), default=None)
        if age is not None and age > limit:
            minutes = f"{age / 60:.0f} min away from the sample (limit {limit / 60:.0f} min)"
            text = f"the {what} spectrum was taken {minutes}"
            found.append(Caution(f"{what}_old", text))
    count = int(np.count_nonzero(spectrum.saturated))
    if count:
        span = _span(spectrum.wavelength_nm[spectrum.saturated])
        found.append(Caution("saturated", f"{count} pixels are saturated ({span}) and were left out"))
    poor = int(np.count_nonzero(weak)) + spectrum.dark_pixels
    if poor > PIXEL_SHARE_FOR_CAUTION * spectrum.wavelength_nm.size:
        text = f"too little light in {poor} of {spectrum.wavelength_nm.size} pixels"
        if spectrum.dark_pixels:
            text += f", in {spectrum.dark_pixels} of them none: those were left out"
        found.append(Caution("too_little_light", text))
    return found


def _age_s(exposure: Exposure, sample: Exposure) -> float | None:
    if exposure.time_s is None or sample.time_s is None:
        return None
    return abs(sample.time_s - exposure.time_s)


def _span(wavelength_nm: FloatArray) -> str:
    return f"{wavelength_nm.min():.0f} to {wavelength_nm.max():.0f} nm"


def point_noise(values: npt.ArrayLike) -> float:
    """Estimate the standard deviation of independent noise on a smooth curve (n,).

    From second differences (J. Rice, Ann. Statist. 12, 1215 (1984), 10.1214/aos/1176346788) by their median
    absolute deviation, so that steps and spikes do not count; too small where a file was smoothed before it
    was saved.
    """
    smooth = np.asarray(values, dtype=np.float64)
    differences = np.diff(smooth[np.isfinite(smooth)], n=2)
    if differences.size < 5:
        raise ValueError("at least seven points are needed to estimate noise")
    return float(1.4826 * np.median(np.abs(differences - np.median(differences))) / np.sqrt(6.0))


def imported_absorbance(
    wavelength_nm: npt.ArrayLike, values: npt.ArrayLike, common_uncertainty: float = 0.01, boxcar: int = 0
) -> AbsorbanceSpectrum:
    """Give a spectrum from a file (n,) the point noise that it shows, and a stated common uncertainty.

    ``boxcar`` is the smoothing half-width that the file names: the noise is then correlated over 2 boxcar + 1
    pixels and is raised so that a mean over a line keeps its uncertainty.
    """
    wavelength, absorbances = np.asarray(wavelength_nm, float), np.asarray(values, float)
    # a running mean of m leaves second differences of sqrt(6) sigma/m, and a sigma/sqrt(m) that m pixels
    # share
    noise = point_noise(absorbances) * (2 * boxcar + 1 if boxcar else 1.0)
    flat = np.where(np.isfinite(absorbances), noise, np.nan)
    return AbsorbanceSpectrum(
        wavelength, absorbances, flat, np.zeros(wavelength.shape, dtype=np.bool_), 0, common_uncertainty
    )


def photon_transfer(signal: npt.ArrayLike, variance: npt.ArrayLike) -> Detector:
    """Return gain and read noise from mean signals and variances of single exposures, (m,) each.

    A straight line variance = read^2 + signal/gain, weighted for the relative scatter of a variance (J. R.
    Janesick, Photon Transfer, SPIE 2007, 10.1117/3.725073). ValueError where the variance does not rise with
    the signal.
    """
    mean, spread = np.asarray(signal, float), np.asarray(variance, float)
    slope, offset = np.polyfit(mean, spread, 1)
    for _ in range(3):
        # weights from the line, not from the points: low draws of a variance would pull it down
        line = offset + slope * mean
        slope, offset = np.polyfit(mean, spread, 1, w=1.0 / np.maximum(line, 1e-3 * float(np.max(np.abs(line)))))
    if slope <= 0:
        raise ValueError("the noise does not rise with the signal: no photon transfer curve")
    return Detector(1.0 / float(slope), float(np.sqrt(max(offset, 0.0))))
