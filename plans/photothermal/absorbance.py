"""Absorbance of a run's sample at the laser line: before, and after each cycle, from the spectra that were taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Caution
from nanolab.analysis.laser_line import LaserLine, absorbance_at_laser, gaussian_laser_line, measured_laser_line
from nanolab.analysis.spectra import AbsorbanceSpectrum, Detector, Exposure, absorbance, imported_absorbance
from nanolab.analysis.spectrum_files import read_absorbance
from nanolab.errors import AnalysisRefusesError
from nanolab.quantities import Quantity
from plans.photothermal.record import phases

if TYPE_CHECKING:
    from nanolab.journal.reader import Run

Array = npt.NDArray[np.float64]

PHOTOMETRIC_UNCERTAINTY = 0.004
"""Standard uncertainty of A shared by all pixels: lamp drift and cuvette matching between reference and sample."""

FEWEST_FOR_NOISE = 5
"""Exposures averaged from which on the scatter of each pixel is taken from the data."""

LINE_WIDTH_NM = 2.0
"""Full width at half maximum of a diode laser's line where its own spectrum was not taken."""


@dataclass(frozen=True)
class RunAbsorbance:
    """Absorbance at the laser line before and after each cycle, the spectra behind it, and what to be careful of.

    ``values`` the absorbances in order of time, the first before the laser; ``spectra`` by name.
    """

    values: Sequence[Quantity]
    spectra: Mapping[str, AbsorbanceSpectrum]
    line: LaserLine
    cautions: Sequence[Caution]


def absorbance_of(run: "Run", reference: "Run | None", wavelength_nm: float) -> RunAbsorbance | None:
    """Return what the spectra of a run say; None where it took none or there is no reference.

    AnalysisRefusesError where the spectra cannot tell the absorbance at the laser line.
    """
    if reference is None:
        return None
    own, other = phases(run), phases(reference)
    if "light_before" not in own or "light_before" not in other or "dark" not in own or "dark" not in other:
        return None
    configuration = run.configuration("spectra")
    wavelengths = np.asarray(configuration["spectrometer_wavelengths"], dtype=float)
    exposure_s = float(configuration["spectrometer_integration_time"])
    averages = int(configuration.get("spectrometer_averages", 1))
    detector = Detector.of(configuration)
    # the reference may have been taken with other settings: it brings its own
    other_configuration = reference.configuration("spectra")
    other_exposure_s = float(other_configuration["spectrometer_integration_time"])
    other_averages = int(other_configuration.get("spectrometer_averages", 1))
    light = _exposures(other, "light_before", other_exposure_s, other_averages)[0]
    light_dark = _exposures(other, "dark", other_exposure_s, other_averages)[0]
    dark = _exposures(own, "dark", exposure_s, averages)[0]
    spectra: dict[str, AbsorbanceSpectrum] = {}
    samples = [("before", _exposures(own, "light_before", exposure_s, averages)[0])]
    if "light_after" in own:
        after = _exposures(own, "light_after", exposure_s, averages)
        samples += [(f"after cycle {index + 1}", exposure) for index, exposure in enumerate(after)]
    for name, exposure in samples:
        spectra[name] = absorbance(
            wavelengths, exposure, light, dark, detector,
            reference_dark=light_dark, common_uncertainty=PHOTOMETRIC_UNCERTAINTY,
        )  # fmt: skip
    line = _laser_line(own, wavelengths, exposure_s, averages, dark, detector, wavelength_nm)
    values = [absorbance_at_laser(spectrum, line) for spectrum in spectra.values()]
    found = [*spectra["before"].cautions, *line.cautions]
    relevant = [caution for caution in found if caution.code != "too_little_light"]
    return RunAbsorbance(values, spectra, line, relevant)


def imported(path: Path, wavelength_nm: float) -> RunAbsorbance:
    """Return the absorbance that a spectrum file states at the laser line."""
    file = read_absorbance(path)
    spectrum = imported_absorbance(file.wavelength_nm, file.values)
    line = gaussian_laser_line(wavelength_nm, LINE_WIDTH_NM)
    return RunAbsorbance([absorbance_at_laser(spectrum, line)], {"imported": spectrum}, line, spectrum.cautions)


def _exposures(
    found: Mapping[str, Mapping[str, Array]], phase: str, exposure_s: float, averages: int
) -> list[Exposure]:
    """Return the exposures of a phase; their noise is the measured one where enough were averaged to know it."""
    rows = found[phase]
    noises = rows["noise"] if averages >= FEWEST_FOR_NOISE and "noise" in rows else [None] * len(rows["time"])
    return [
        Exposure(counts, exposure_s, averages, float(time), noise)
        for counts, time, noise in zip(rows["counts"], rows["time"], noises, strict=True)
    ]


def _laser_line(
    own: Mapping[str, Mapping[str, Array]],
    wavelengths: Array,
    exposure_s: float,
    averages: int,
    dark: Exposure,
    detector: Detector,
    wavelength_nm: float,
) -> LaserLine:
    """Measured line of the laser where its spectrum was taken and shows it, else a Gaussian at the nominal line."""
    if "laser_line" in own:
        light = _exposures(own, "laser_line", exposure_s, averages)[0]
        try:
            return measured_laser_line(wavelengths, light, dark, detector)
        except AnalysisRefusesError:
            # too little scattered light to see the line: the stated one serves
            pass
    return gaussian_laser_line(wavelength_nm, LINE_WIDTH_NM)
