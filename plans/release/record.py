"""From run folders to courses: read-outs at their times, temperature and pH in between, what was done when."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nanolab.analysis.calibration import LOD_FACTOR, LOQ_FACTOR
from nanolab.analysis.cautions import Cautions
from nanolab.analysis.readout import Reading, free_cargo, in_window
from nanolab.analysis.spectra import AbsorbanceSpectrum, Detector, Exposure, absorbance
from nanolab.errors import AnalysisRefusesError
from nanolab.quantities import Quantity
from plans.release.aliquots import SAMPLED

if TYPE_CHECKING:
    from nanolab.bench.sample import SampleConfig
    from nanolab.journal.reader import Run

Array = npt.NDArray[np.float64]

FEWEST_FOR_NOISE = 5
NEIGHBOURS = 41
"""Pixels over which the noise is averaged: 14 nm."""

LARGEST_LOST_SHARE = 0.1
"""Share of the pixels in the window that a spectrum may lack (saturated, no light) and still be read."""

REFERENCE_MAX_AGE = {"reference_old", "dark_old"}
"""Ages that do not matter here: the fit has an offset of its own, and a dark is taken at every look."""


@dataclass(frozen=True)
class Look:
    """One look: time in s since the course began, decadic absorbance against the medium with its uncertainty, (n,)."""

    time_s: float
    wavelength_nm: Array
    absorbance: Array
    sd: Array


@dataclass(frozen=True)
class Course:
    """What a run (and those that it continues) recorded. Times in s since it began.

    ``time_s`` (m,) of the temperatures (degC) and the pH (NaN where there is none); ``marks`` (time, word, number);
    ``looks`` in order; ``gaps`` (from, to) between a run that broke off and the one that went on.
    """

    time_s: Array
    temperature_c: Array
    ph: Array
    marks: Sequence[tuple[float, str, float]]
    looks: Sequence[Look]
    gaps: Sequence[tuple[float, float]] = ()
    power_w: Array = field(default_factory=lambda: np.zeros(0))

    def when(self, word: str) -> list[tuple[float, float]]:
        """Return times and numbers of the marks of this word."""
        return [(time, value) for time, what, value in self.marks if what == word]


def course_of(runs: Sequence["Run"], reference: "Run", cautions: Cautions) -> Course:
    """Join the runs of one course, the oldest first. AnalysisRefusesError where no spectrum can be read."""
    start_s = begun_s(runs[0])
    tables = [run.table("primary") for run in runs if "primary" in run.streams]
    if not tables:
        raise AnalysisRefusesError(f"{runs[-1].path}: the run recorded no temperatures")
    time = np.concatenate([np.asarray(table["run_state_lab_time"], dtype=float) for table in tables]) - start_s
    looks = [look for run in runs for look in looks_of(run, reference, start_s, cautions)]
    if not looks:
        taken = any("spectra" in run.streams for run in runs)
        why = "all are saturated or dark where the cargo absorbs" if taken else "it took none"
        remedy = "look at lamp, fibre and cuvette, and measure again"
        raise AnalysisRefusesError(f"{runs[-1].path}: no spectrum of the run can be read, {why}; {remedy}")
    ends = [np.asarray(table["run_state_lab_time"], dtype=float) - start_s for table in tables]
    gaps = [(float(one[-1]), float(other[0])) for one, other in pairwise(ends)]
    role = str(runs[-1].start.get("role", "sample"))
    for start, end in gaps:
        hours = f"{start / 3600:.2f} to {end / 3600:.2f} h"
        cautions.add("gap", f"{role}: the run broke off and was continued; nothing was recorded from {hours}", role)
    return Course(
        time_s=time,
        temperature_c=np.concatenate([_temperature(run, table) for run, table in zip(runs, tables, strict=True)]),
        ph=np.concatenate([_ph(table) for table in tables]),
        marks=[mark for run in runs for mark in _marks(run, start_s)],
        looks=sorted(looks, key=lambda look: look.time_s),
        gaps=gaps,
        power_w=np.concatenate([_power(table) for table in tables]),
    )


def begun_s(run: "Run") -> float:
    """Return the lab time, s, at which the run's course began; AnalysisRefusesError where it had not."""
    marks = [] if "marks" not in run.streams else _marks(run, 0.0)
    found = [time for time, what, _ in marks if what == "begun"] or [
        value for _, what, value in marks if what == "continued"
    ]
    if not found:
        raise AnalysisRefusesError(f"{run.path}: the run ended before carriers and medium met")
    return found[0]


def integration_s(run: "Run") -> float | None:
    """Return the integration time of the run's spectra, s; None where it took none."""
    if "spectra" not in run.streams:
        return None
    return float(run.configuration("spectra")["spectrometer_integration_time"])


def _marks(run: "Run", start_s: float) -> list[tuple[float, str, float]]:
    if "marks" not in run.streams:
        return []
    table = run.table("marks")
    rows = zip(table["mark_lab_time"].tolist(), table["mark_what"].tolist(), table["mark_value"].tolist(), strict=True)
    return [(float(time) - start_s, str(what), float(value)) for time, what, value in rows]


def marks_of(run: "Run") -> list[tuple[str, float]]:
    """Return word and number of every mark of a run."""
    return [(what, value) for _, what, value in _marks(run, 0.0)]


def sampled_s(run: "Run", begun: float) -> float:
    """Return when the last aliquot was taken in a run, s since lab time `begun`; minus infinity where none was."""
    return max((time for time, what, _ in _marks(run, begun) if what == SAMPLED), default=-math.inf)


def _temperature(run: "Run", table: Mapping[str, Any]) -> Array:
    """Return the temperature of the liquid: the holder's probe in it, else the thermocouple's sample channel."""
    for key in ("cuvette_holder_probe", "thermocouple_sample"):
        values = np.asarray(table.get(key, np.nan), dtype=float)
        if np.any(np.isfinite(values)):
            known = np.isfinite(values)
            return np.asarray(np.interp(np.arange(values.size), np.flatnonzero(known), values[known]))
    raise AnalysisRefusesError(
        f"{run.path}: no probe in the liquid told its temperature (probe of the holder, thermocouple)"
    )


def _ph(table: Mapping[str, Any]) -> Array:
    size = len(table["run_state_lab_time"])
    return np.asarray(table.get("ph_value", np.full(size, np.nan)), dtype=float)


def _power(table: Mapping[str, Any]) -> Array:
    size = len(table["run_state_lab_time"])
    return np.asarray(table.get("laser_power", np.zeros(size)), dtype=float)


def looks_of(run: "Run", reference: "Run", start_s: float, cautions: Cautions) -> list[Look]:
    """Return the looks of a run against the medium's; one that is saturated or dark is left out with a caution."""
    if "spectra" not in run.streams:
        return []
    medium, own = _exposures(reference), _exposures(run)
    wavelength = np.asarray(run.configuration("spectra")["spectrometer_wavelengths"], dtype=float)
    detector = Detector.of(run.configuration("spectra"))
    if not any(phase == "light" for phase, _ in medium):
        raise AnalysisRefusesError(f"{reference.path}: the run of the medium took no spectrum: there is no reference")
    light, dark_of_light = _pairs(medium)[-1]
    found, lost = [], 0
    for exposure, dark in _pairs(own):
        spectrum = absorbance(wavelength, exposure, light, dark, detector, reference_dark=dark_of_light)
        if _lost_share(spectrum) > LARGEST_LOST_SHARE:
            lost += 1
            continue
        values, sd = spectrum.absorbance, smooth_noise(spectrum.standard_uncertainty)
        found.append(Look((exposure.time_s or 0.0) - start_s, wavelength, values, sd))
        for caution in spectrum.cautions:
            if caution.code not in {*REFERENCE_MAX_AGE, "too_little_light"}:
                cautions.add(caution.code, caution.text)
    if lost:
        role = str(run.start.get("role", "run"))
        text = f"{role}: {lost} of {lost + len(found)} spectra are saturated or dark where the cargo absorbs, and were left out"
        cautions.add("spectra_left_out", text, f"spectra of {role}")
    return found


def smooth_noise(sd: Array) -> Array:
    """Return the noise of each pixel (n,) as the root mean square of it and its neighbours: a few exposures know it badly."""
    known = np.isfinite(sd)
    squares, count = (
        np.convolve(x, np.ones(NEIGHBOURS), "same") for x in (np.where(known, sd**2, 0.0), known.astype(float))
    )
    return np.where(known, np.sqrt(squares / np.maximum(count, 1.0)), np.nan)


def _lost_share(spectrum: AbsorbanceSpectrum) -> float:
    used = in_window(spectrum.wavelength_nm)
    return float(np.mean(~spectrum.usable[used]))


def _exposures(run: "Run") -> list[tuple[str, Exposure]]:
    table, configuration = run.table("spectra"), run.configuration("spectra")
    seconds = float(configuration["spectrometer_integration_time"])
    averages = int(configuration.get("spectrometer_averages", 1))
    noises: Any = [None] * len(table["run_state_phase"])
    if averages >= FEWEST_FOR_NOISE and "spectrometer_noise" in table:
        noises = np.asarray(table["spectrometer_noise"], dtype=float)
    rows = zip(table["run_state_phase"].tolist(), np.asarray(table["spectrometer_counts"], dtype=float),
               table["run_state_lab_time"].tolist(), noises, strict=True)  # fmt: skip
    return [
        (str(phase), Exposure(counts, seconds, averages, float(time), noise)) for phase, counts, time, noise in rows
    ]


def _pairs(exposures: Sequence[tuple[str, Exposure]]) -> list[tuple[Exposure, Exposure]]:
    """Pair each light spectrum with the dark one before it."""
    pairs, dark = [], None
    for phase, exposure in exposures:
        if phase == "dark":
            dark = exposure
        elif phase == "light" and dark is not None:
            pairs.append((exposure, dark))
    return pairs


def seen_free(course: Course, path_cm: float) -> list[Reading]:
    """Return the free cargo of every look, umol/L."""
    return [free_cargo(look.wavelength_nm, look.absorbance, look.sd, path_cm) for look in course.looks]


def photometry_of(reference: "Run", course: Course) -> dict[str, Any]:
    """Return how the spectra were taken: integration time s, searches, residual of a fit, time of the assay light s."""
    configuration = reference.configuration("spectra")
    seconds = float(configuration["spectrometer_integration_time"])
    searched = [value for _, what, value in _marks(reference, 0.0) if what == "integration time"]
    averages = int(configuration.get("spectrometer_averages", 1))
    return {
        "integration_time_s": seconds,
        "integration_times_tried_s": searched,
        "averages": averages,
        "assay_light_s": seconds * averages * len(course.looks),
        "looks": len(course.looks),
    }


def limits_of(reference: "Run", sample: "SampleConfig", cautions: Cautions) -> dict[str, Any]:
    """Return LOD and LOQ of the free cargo, umol/L, from the blanks of the medium's run."""
    blanks = looks_of(reference, reference, 0.0, Cautions())[:-1]
    path_cm = sample.sample.path_length.value
    found = [free_cargo(look.wavelength_nm, look.absorbance, look.sd, path_cm).value for look in blanks]
    return detection(found, "umol/L", cautions)


def detection(blanks: Sequence[float], unit: str, cautions: Cautions) -> dict[str, Any]:
    """Return LOD and LOQ from independent blanks: 3.3 and 10 standard deviations; null below three blanks."""
    values = np.asarray(blanks, dtype=float)
    if values.size < 3:
        cautions.add("blanks_missing", "fewer than three independent blanks were taken: there is no limit of detection")
        return {"lod": None, "loq": None, "blanks": int(values.size)}
    s = float(np.std(values, ddof=1))
    return {
        "lod": Quantity(LOD_FACTOR * s, unit).to_json(),
        "loq": Quantity(LOQ_FACTOR * s, unit).to_json(),
        "blanks": int(values.size),
    }
