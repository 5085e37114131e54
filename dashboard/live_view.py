"""What the live page shows of a run: panels, made anew from the columns at every look, under banner and tiles."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dashboard.banner import header_of, number_words, tiles
from dashboard.hours import in_hours, is_long
from dashboard.live_run import Array, LiveRun
from dashboard.look import Look
from dashboard.look_panels import readings, takes_looks
from nanolab.analysis.live_fit import LiveFit, fit_live
from nanolab.engine.stop_client import StopAnswer
from nanolab.journal.notes import Note, read_notes
from nanolab.page import Heat, Level, Panel, Trace
from nanolab.quantities import Quantity

FIT_POINTS = 1500
SATURATION_SHARE = 0.9
"""Share of full scale above which a spectrum is called near saturation."""


@dataclass(frozen=True)
class LiveView:
    """Header and panels for the canvas component, and the live fit for whoever wants its numbers."""

    header: dict[str, Any]
    panels: Sequence[Panel]
    fit: LiveFit | None = None


def live_view(
    run: LiveRun, status: str, now: float | None = None, asked: Mapping[str, StopAnswer] | None = None
) -> LiveView:
    """Return what the page shows now.

    `status` as of `LiveRun.status`, `now` wall time in s, `asked` what was answered to a STOP of this page.
    """
    with run.lock:
        look = Look(run, status, time.time() if now is None else now, asked or {})
        notes = read_notes(run.path)
        fit = None if takes_looks(run) else fit_of(look)
        shown = readings(look, _temperature(look, fit, notes), _residuals(look, fit))
        panels = [*shown, _spectrum(look), _spectrogram(look)]
        if is_long(look):
            panels = in_hours(panels)
        return LiveView({**header_of(look, notes), "tiles": tiles(look, fit)}, panels, fit)


def with_areas(panels: Sequence[Panel]) -> list[Panel]:
    """Return panels of which those without a place stand on the left."""
    return [panel if panel.area else replace(panel, area="left") for panel in panels]


def fit_of(look: Look) -> LiveFit | None:
    """Return the live fit of one time constant, through at most FIT_POINTS readings."""
    step = max(1, look.time.size // FIT_POINTS)
    return fit_live(look.time[::step], look.temperature[::step], look.power[::step])


def predicted_shift_s(prediction: Mapping[str, Any], spans: Sequence[tuple[float, float]]) -> float:
    """Return by how much the predicted curve is moved, so that its rise begins where the laser went on."""
    if not spans:
        return 0.0
    curve = prediction["curve"]
    rising = np.flatnonzero(np.diff(curve["temperature_c"]) > 1e-6)
    begin = float(curve["time_s"][rising[0]]) if rising.size else 0.0
    return spans[0][0] - begin


def _prediction(look: Look) -> list[Trace]:
    prediction = look.run.start.get("prediction")
    if not prediction or "temperature_c" not in prediction.get("curve", {}):
        return []
    curve = {name: np.asarray(values, dtype=float) for name, values in prediction["curve"].items()}
    when = curve["time_s"] + predicted_shift_s(prediction, look.spans)
    return [
        Trace("predicted before the run, 95 %", when, curve["temperature_c"], "predicted", "dashed",
              curve["lower_95"], curve["upper_95"])
    ]  # fmt: skip


def _marks(look: Look, notes: Sequence[Note]) -> list[tuple[float, str]]:
    """Notes on the axis of lab time: placed by the wall time of the readings around them."""
    if look.time.size < 2 or look.run.newest_wall_s is None:
        return []
    begun, ended = float(look.run.start.get("time", 0.0)), look.run.newest_wall_s
    if ended <= begun:
        return []
    rate = look.elapsed_s / (ended - begun)
    inside = [note for note in notes if begun <= note.time <= ended]
    return [(float(look.time[0]) + (note.time - begun) * rate, note.text[:24]) for note in inside]


def _temperature(look: Look, fit: LiveFit | None, notes: Sequence[Note]) -> Panel:
    predicted = _prediction(look)
    fitted = (
        [] if fit is None else [Trace("one time constant, fitted live", fit.time_s, fit.temperature_c, "model", "line")]
    )
    traces = [*predicted, *fitted, Trace("measured", look.time, look.temperature, "measured", "points")]
    words = ", ".join(filter(None, [f"{look.time.size} readings", departure_words(look, predicted)]))
    newest = number_words(float(look.temperature[-1]), 2) if look.time.size else "–"
    return Panel(
        "temperature", "Temperature of the sample", "t / s", "T / °C", traces, look.spans, _marks(look, notes),
        levels=_limit(look), area="left tall", link="lab time", words=words, alt=f"Temperature against time, now {newest} °C",
        newest=_newest(look, "primary"), stale_s=look.stale_s,
        empty="no readings yet; the prediction is drawn before the run",
    )  # fmt: skip


def departure_words(look: Look, predicted: Sequence[Trace]) -> str:
    """Say how far the newest reading is from what was predicted, in standard uncertainties of the prediction."""
    if not predicted or not look.time.size or not look.spans or not np.isfinite(look.temperature[-1]):
        return ""
    [band] = predicted
    if band.lower is None or band.upper is None or not band.x[0] <= look.time[-1] <= band.x[-1]:
        return ""
    now = float(look.time[-1])
    centre, low, high = (float(np.interp(now, band.x, curve)) for curve in (band.y, band.lower, band.upper))
    u = (high - low) / (2.0 * 1.96)
    if u <= 0:
        return ""
    z = (float(look.temperature[-1]) - centre) / u
    word = "agrees with" if abs(z) <= 2.0 else "DEPARTS FROM"
    sign = "" if abs(z) < 0.05 else "+" if z > 0 else "−"
    return f"now {sign}{abs(z):.1f} σ: {word} the prediction"


def _limit(look: Look) -> list[Level]:
    """The temperature above which the laser goes off, drawn where the curve comes near."""
    limits = look.run.start.get("bench", {}).get("limits") or {}
    found = limits.get("max_temperature") if isinstance(limits, Mapping) else None
    value = found.get("value") if isinstance(found, Mapping) else None
    return [Level(float(value), "limit: laser off above")] if isinstance(value, int | float) else []


def _newest(look: Look, stream: str) -> float | None:
    latest = look.run.latest.get(stream)
    return None if latest is None else latest[0]


def _residuals(look: Look, fit: LiveFit | None) -> Panel:
    common: dict[str, Any] = {
        "area": "left low", "link": "lab time", "spans": look.spans, "newest": _newest(look, "primary"), "stale_s": look.stale_s, "symmetric": True,
        "empty": "no fit yet: it begins when the laser has been on for a dozen readings",
    }  # fmt: skip
    if fit is None:
        return Panel("residuals", "Measured less live fit", "t / s", "residual / K", **common)
    left = look.temperature - fit.at(look.time)
    tau = Quantity(fit.time_constant_s, "s")
    return Panel(
        "residuals", "Measured less live fit", "t / s", "residual / K",
        [Trace("", look.time, left, "measured", "points")], levels=[Level(0.0, "", True)],
        words=f"τ = {tau.value:.0f} s, rms {1000 * fit.rms_k:.0f} mK", alt=f"Residuals, rms {fit.rms_k:.3f} K", **common,
    )  # fmt: skip


def _axis(look: Look, size: int) -> tuple[Array, str]:
    wavelengths = look.run.spectra.wavelengths
    if wavelengths is None or wavelengths.size != size:
        return np.arange(size, dtype=float), "pixel / 1"
    return wavelengths, "λ / nm"


def _spectrum(look: Look) -> Panel:
    spectra = look.run.spectra
    common: dict[str, Any] = {"area": "right", "newest": _newest(look, "spectra"), "stale_s": float("inf")}
    if spectra.counts is None:
        return Panel(
            "spectrum", "Newest spectrum", "λ / nm", "counts / 1", empty="no spectrum yet", **{**common, "stale_s": 1e9}
        )
    axis, name = _axis(look, spectra.counts.size)
    levels = []
    words = spectra.phase.replace("_", " ")
    if spectra.full_scale:
        levels = [Level(spectra.full_scale, "full scale", True)]
        share = float(np.nanmax(spectra.counts)) / spectra.full_scale
        words += f", peak {100 * share:.0f} % of full scale" + (
            " – NEAR SATURATION" if share > SATURATION_SHARE else ""
        )
    traces = [Trace("", axis, spectra.counts, "measured", "line")]
    return Panel("spectrum", "Newest spectrum", name, "counts / 1", traces, levels=levels, words=words,
                 alt=f"Newest spectrum, {words}", **{**common, "stale_s": 1e9})  # fmt: skip


def _spectrogram(look: Look) -> Panel:
    spectra = look.run.spectra
    common: dict[str, Any] = {"area": "right", "newest": _newest(look, "spectra"), "stale_s": 1e9}
    if len(spectra.rows) < 2:
        return Panel("spectrogram", "Spectra against time", "λ / nm", "t / s", empty="no two spectra yet", **common)
    size = spectra.rows[-1].size
    rows = np.array([row for row in spectra.rows if row.size == size])
    axis, name = _axis(look, spectra.counts.size if spectra.counts is not None else size)
    begin = look.run.lab_start if look.run.lab_start is not None else spectra.row_times[0]
    heat = Heat(rows, float(axis[0]), float(axis[-1]), spectra.row_times[0] - begin, spectra.row_times[-1] - begin)
    words = f"{len(rows)} spectra with light, {rows.min():.0f} to {rows.max():.0f} counts"
    return Panel("spectrogram", "Spectra against time", name, "t / s", heat=heat, words=words, alt=words, **common)
