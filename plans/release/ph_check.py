"""The pH probe held against an indicator: medium with m-cresol purple in the cuvette, its spectrum and the probe in one liquid.

pH = pK + log10(b/a), b and a the two forms of the dye as `nanolab.analysis.optical_ph` finds them in the spectrum.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Cautions
from nanolab.analysis.optical_ph import OpticalPh, fit_ph, m_cresol_purple_pk
from nanolab.errors import AnalysisRefusesError
from nanolab.models.indicators import FORMS_U, TABLE_NM, m_cresol_purple_acid, m_cresol_purple_base
from nanolab.quantities import Quantity
from plans.release.outline import RoleCourse
from plans.release.record import Course, course_of
from plans.release.schedule import Step, even

if TYPE_CHECKING:
    from nanolab.bench.sample import SampleConfig
    from nanolab.journal.reader import Run

Array = npt.NDArray[np.float64]

ROLE = "indicator"
_FIRST_S, _LAST_S, _EVERY_S = 600.0, 780.0, 30.0
"""The fresh cuvette has come to its temperature by the first look; the probe is read between the looks."""

_READ_EVERY_S = 10.0

SEAWATER_U = 0.3
"""Standard uncertainty of seawater's pK in a medium that nobody named: at 25 degC the pK is 8.01 in seawater and 8.66 at
infinite dilution (Lai et al., Limnol. Oceanogr. Methods 14, 864 (2016))."""

MIDDLE_NM = 550.0
FARTHEST_FROM_PK = 1.2
"""Beyond it the weaker form makes less than 6 %, and what the forms are not known to begins to count as pH."""

FAINTEST = 10.0
"""Times what the fit leaves (rms): absorbance of the stronger form at least, or there is no dye."""

LARGEST_SIGMAS = 2.0

_TOLD_BY = {"probe": "probe", "indicator": "optical"}


def indicator_course(values: Mapping[str, Any]) -> RoleCourse:
    """Return the control: medium with indicator, warmed, looked at several times while the probe is read."""
    steps = [Step(at_s, "look") for at_s in even(_FIRST_S, _LAST_S, _EVERY_S)]
    return RoleCourse(ROLE, "indicator", steps, float(values["temperature_c"]), _READ_EVERY_S)


@dataclass(frozen=True)
class PhCheck:
    """What came of the check: pH by indicator and probe (None: not told), the fit, and what was taken as pK."""

    optical: Quantity | None
    probe: Quantity | None
    pk: Quantity
    fit: OpticalPh | None = None

    @property
    def difference(self) -> float | None:
        """Probe less indicator."""
        return None if self.optical is None or self.probe is None else self.probe.value - self.optical.value

    @property
    def sigmas(self) -> float | None:
        """The difference in its standard uncertainties."""
        if self.optical is None or self.probe is None:
            return None
        u = math.hypot(self.optical.standard_uncertainty or 0.0, self.probe.standard_uncertainty or 0.0)
        return (self.probe.value - self.optical.value) / u

    def to_json(self) -> dict[str, Any]:
        """Return the machine-readable form; ``wavelength_shift_nm`` is that at 550 nm."""
        fit = self.fit
        return {
            "optical": None if self.optical is None else self.optical.to_json(),
            "probe": None if self.probe is None else self.probe.to_json(),
            "difference": self.difference,
            "sigmas": self.sigmas,
            "indicator_pk": self.pk.to_json(),
            "wavelength_shift_nm": None if fit is None else fit.shift_nm + (fit.stretch - 1.0) * MIDDLE_NM,
            "wavelength_stretch": None if fit is None else fit.stretch,
            "residual_rms": None if fit is None else fit.residual_rms,
        }


def check_of(run: "Run", reference: "Run", sample: "SampleConfig", cautions: Cautions) -> dict[str, Any]:
    """Return the check as it is stored, from the control's run; empty, with a caution, where that cannot be read."""
    try:
        course = course_of([run], reference, cautions)
    except AnalysisRefusesError as refusal:
        # the rates rest on the probe with or without this control
        cautions.add("ph_not_checked", f"the probe was not checked: {refusal}")
        return {}
    return check_probe(course, sample, cautions).to_json()


def check_probe(course: Course, sample: "SampleConfig", cautions: Cautions) -> PhCheck:
    """Hold the probe against the indicator in the same liquid; what does not agree or cannot be told is a caution.

    ``course``: the run of the medium with indicator, looks against the medium without.
    """
    since = course.time_s >= course.looks[0].time_s - _EVERY_S
    pk = _pk(sample, float(np.mean(course.temperature_c[since])), cautions)
    probe = _probe(course.ph[since], sample.release.ph_accuracy.value)
    if probe is None:
        cautions.add("ph_not_checked", "the pH was not checked: the probe told none in the medium with indicator")
    nm, seen = course.looks[0].wavelength_nm, np.mean([look.absorbance for look in course.looks], axis=0)
    try:
        fit = _fitted(nm, seen, pk.value)
    except ValueError as refusal:
        cautions.add("ph_not_checked", f"the probe was not checked: the indicator tells no pH ({refusal})")
        return PhCheck(None, probe, pk)
    u = math.hypot(pk.standard_uncertainty or 0.0, FORMS_U, fit.ph.standard_uncertainty or 0.0)
    check = PhCheck(Quantity(fit.ph.value, "1", u), probe, pk, fit)
    if check.sigmas is not None and abs(check.sigmas) > LARGEST_SIGMAS:
        cautions.add(
            "ph_disagrees",
            f"{words(check.to_json())}: calibrate the probe anew with fresh buffers at the temperature of the assay, and see "
            "whether [release] indicator_pk is that of this medium; every pH of the run is the probe's",
        )
    return check


def _fitted(nm: Array, absorbance: Array, pk: float) -> OpticalPh:
    """Fit the spectrum (n,). ValueError where the pH is out of the indicator's range, or the dye is not seen."""
    forms = m_cresol_purple_acid(TABLE_NM), m_cresol_purple_base(TABLE_NM)
    fit = fit_ph(nm, absorbance, TABLE_NM, *forms, pk)
    if max(fit.acid, fit.base) < FAINTEST * fit.residual_rms:
        raise ValueError("its bands hardly stand out: was it added, and is it m-cresol purple?")
    if abs(fit.ph.value - pk) > FARTHEST_FROM_PK:
        reach = f"{FARTHEST_FROM_PK:g} either side of its pK {pk:.2f}"
        raise ValueError(f"pH {fit.ph.value:.1f} lies outside its range, {reach}")
    return fit


def _pk(sample: "SampleConfig", temperature_c: float, cautions: Cautions) -> Quantity:
    """Return the pK as stated, else seawater's at this temperature, which says little of a buffer."""
    stated = sample.release.indicator_pk
    if stated is not None:
        return stated
    cautions.add(
        "indicator_pk_missing",
        f"[release] indicator_pk is not stated: that of seawater was taken, ±{SEAWATER_U:g}, so that the check of the pH says little",
    )
    return Quantity(m_cresol_purple_pk(temperature_c), "1", SEAWATER_U)


def _probe(ph: Array, accuracy: float) -> Quantity | None:
    """Return the mean of the readings (n,), the probe's accuracy beside its scatter; None where it told nothing."""
    known = ph[np.isfinite(ph)]
    if known.size == 0:
        return None
    scatter = float(np.std(known, ddof=1)) / math.sqrt(known.size) if known.size > 1 else 0.0
    return Quantity(float(np.mean(known)), "1", math.hypot(accuracy, scatter))


def words(stored: Mapping[str, Any]) -> str:
    """Return the stored check in one line; empty where there is nothing to tell."""
    known = {name: Quantity.from_json(stored[key]) for name, key in _TOLD_BY.items() if stored.get(key) is not None}
    if len(known) < len(_TOLD_BY):
        return "".join(f"the medium has pH {one} by the {name} alone" for name, one in known.items())
    probe, optical = (known[name] for name in _TOLD_BY)
    difference, sigmas = float(stored["difference"]), abs(float(stored["sigmas"]))
    verb = "agree" if sigmas <= LARGEST_SIGMAS else "do not agree"
    return (
        f"in the medium the probe shows pH {probe}, the indicator {optical}: they {verb} (apart by {difference:+.3f}, "
        f"{sigmas:.1f} standard uncertainties; wavelengths shifted by {float(stored['wavelength_shift_nm']):+.2f} nm)"
    )
