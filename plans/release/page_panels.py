"""The diagrams on the page of a release assay: released on top of the prediction, residuals, temperature, pH, spectra."""

from collections.abc import Sequence

import numpy as np

from nanolab.analysis.readout import in_window
from nanolab.page import Array, Level, Panel, Role, Trace
from plans.release.mass_balance import words as aliquot_words
from plans.release.page_told import Told
from plans.release.record import Course, Look

HOURS = "lab time"
"""Panels against hours are zoomed together."""

_CONTROL: Role = "after"
_SAMPLE: Role = "measured"


def panels(told: Told) -> list[Panel]:
    """Return the diagrams of a run."""
    if told.kind.where == "batch":
        return _batch(told)
    course = told.courses.get("sample")
    found = [_released(told, course), _residuals(told, course)]
    if course is not None:
        found += [
            *_ph(course),
            _temperature(told, course),
            *_against_temperature(told, course),
            *_spectra(course),
        ]
    return found


def _curves(told: Told) -> list[tuple[str, Array, Array, Array | None]]:
    """Label, hours, percent and fitted percent of each course; the sample's is the last."""
    found = []
    for one in told.result["curves"]:
        fitted = one.get("fitted")
        found.append((
            str(one["label"]), np.asarray(one["time_h"], dtype=float), np.asarray(one["percent"], dtype=float),
            None if fitted is None else np.asarray(fitted, dtype=float),
        ))  # fmt: skip
    return found


def _released(told: Told, course: Course | None) -> Panel:
    traces = []
    curve = told.prediction.get("curve")
    if curve:
        hours, percent, low, high = (
            np.asarray(curve[name], dtype=float) for name in ("time_h", "percent", "lower_95", "upper_95")
        )
        traces.append(Trace("predicted before the run, 95 %", hours, percent, "predicted", "dashed", low, high))
    curves = _curves(told)
    for index, (label, hours, _, fitted) in enumerate(curves):
        last = index == len(curves) - 1
        if fitted is not None:
            traces.append(Trace(f"{label}, fitted", hours, fitted, "model" if last else "third", "line"))
    for index, (label, hours, percent, _) in enumerate(curves):
        traces.append(Trace(label, hours, percent, _SAMPLE if index == len(curves) - 1 else _CONTROL, "points"))
    words = f"{curves[-1][1].size} looks; fitted: {told.kind.model}"
    taken = (told.result.get("mass_balance") or {}).get("samples") or []
    if taken:
        at = np.array([one["time_h"] for one in taken], dtype=float)
        # on the curve where each was withdrawn
        traces.append(
            Trace("aliquot withdrawn", at, np.interp(at, curves[-1][1], curves[-1][2]), "predicted", "points")
        )
        words += f"; {aliquot_words(told.result['mass_balance'])}"
    return Panel(
        "released", "Released on top of the prediction", "t / h", told.kind.ylabel, traces, _spans(course), _marks(course),
        area="left tall", link=HOURS, words=words,
    )  # fmt: skip


def _residuals(told: Told, course: Course | None) -> Panel:
    curves = _curves(told)
    traces = [
        Trace(label, hours, percent - fitted, _SAMPLE if index == len(curves) - 1 else _CONTROL, "points")
        for index, (label, hours, percent, fitted) in enumerate(curves)
        if fitted is not None
    ]
    rms = told.measured("residual_rms")
    return Panel(
        "residuals", "Measured less fit", "t / h", "residual / %", traces, _spans(course), levels=[Level(0.0, "", True)],
        area="left low", link=HOURS, symmetric=True, words="" if rms is None else f"rms {rms.value:.2g} %",
    )  # fmt: skip


def _spans(course: Course | None) -> list[tuple[float, float]]:
    """Hours from and to which the laser was on."""
    if course is None or course.power_w.size != course.time_s.size:
        return []
    on = course.power_w > 0.0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8))).reshape(-1, 2)
    last = course.time_s.size - 1
    return [(float(course.time_s[a]) / 3600.0, float(course.time_s[min(b, last)]) / 3600.0) for a, b in edges.tolist()]


def _marks(course: Course | None) -> list[tuple[float, str]]:
    """What was done to the cuvette, and where a run broke off and went on."""
    if course is None:
        return []
    done = [(time, what) for time, what, _ in course.marks if what in {"enzyme", "surfactant"}]
    done += [(time, f"pH {value:g}") for time, value in course.when("ph")]
    done += [(start, "broke off") for start, _ in course.gaps]
    return [(time / 3600.0, words) for time, words in done]


def _temperature(told: Told, course: Course) -> Panel:
    traces = [Trace("", course.time_s / 3600.0, course.temperature_c, "measured", "line")]
    mean = told.measured("temperature")
    words = "" if mean is None else f"mean {mean.value:.2f} °C"
    return Panel("liquid", "Temperature of the liquid", "t / h", "T / °C", traces, _spans(course),
                 area="left low", link=HOURS, words=words)  # fmt: skip


def _ph(course: Course) -> list[Panel]:
    if not np.any(np.isfinite(course.ph)):
        return []
    traces = [Trace("", course.time_s / 3600.0, course.ph, "measured", "line")]
    return [Panel("ph", "pH by the probe", "t / h", "pH / 1", traces, marks=_marks(course), area="right", link=HOURS)]


def _against_temperature(told: Told, course: Course) -> list[Panel]:
    """Released against the temperature at each look, where heat is the trigger."""
    if told.kind.name != "release_triggered":
        return []
    _, hours, percent, fitted = _curves(told)[-1]
    at = np.interp(hours, course.time_s / 3600.0, course.temperature_c)
    order = np.argsort(at)
    traces = [Trace("measured", at[order], percent[order], "measured", "points")]
    if fitted is not None:
        traces.append(Trace("fitted", at[order], fitted[order], "model", "points"))
    middle = told.measured("transition_temperature")
    marks = [] if middle is None else [(middle.value, "transition")]
    return [Panel("against-temperature", "Released against temperature", "T / °C", told.kind.ylabel, traces, marks=marks,
                  area="right")]  # fmt: skip


def _spectra(course: Course) -> list[Panel]:
    looks = course.looks
    chosen: list[tuple[str, Look, Role]] = [("first look", looks[0], "measured")]
    surfactant = course.when("surfactant")
    before = [look for look in looks if not surfactant or look.time_s < surfactant[0][0]]
    if len(before) > 1:
        chosen.append((f"after {before[-1].time_s / 3600.0:.3g} h", before[-1], "after"))
    if surfactant and looks[-1].time_s > surfactant[0][0]:
        chosen.append(("dissolved", looks[-1], "third"))
    traces = [_spectrum(label, look, role) for label, look, role in chosen]
    words = f"{len(looks)} looks against the medium"
    return [
        Panel("absorbance", "Absorbance where the cargo absorbs", "λ / nm", "A / 1", traces, area="right", words=words)
    ]


def _spectrum(label: str, look: Look, role: Role) -> Trace:
    used = in_window(look.wavelength_nm)
    return Trace(label, look.wavelength_nm[used], look.absorbance[used], role, "line")


def _batch(told: Told) -> list[Panel]:
    """Return the spectra of all fillings, and the cargo read in each."""
    names = {"sample": "dissolved batch", **told.kind.controls}
    roles: Sequence[Role] = ("measured", "after", "third")
    spectra, read = [], []
    for (role, label), colour in zip(names.items(), roles, strict=True):
        course = told.courses.get(role)
        for number, look in enumerate([] if course is None else course.looks):
            spectra.append(_spectrum(label if number == 0 else "", look, colour))
        values = np.asarray(told.result["fillings"].get(role, ()), dtype=float)
        # a point of nothing at either end keeps the others off the frame
        filling = np.concatenate([[0.5], np.arange(1.0, values.size + 1.0), [values.size + 0.5]])
        read.append(Trace(label, filling, np.concatenate([[np.nan], values, [np.nan]]), colour, "points"))
    return [
        Panel("absorbance", "Absorbance of every filling", "λ / nm", "A / 1", spectra, area="left tall",
              empty="the spectra are not in the data folder"),
        Panel("fillings", "Cargo in each filling", "filling / 1", "c by the stand-in spectrum / (µmol/L)", read, area="right"),
    ]  # fmt: skip
