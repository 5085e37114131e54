"""Panels of a run that takes looks: change of absorbance since the first one, pH."""

from dataclasses import replace
from typing import Any

import numpy as np

from dashboard.live_run import Array, LiveRun
from dashboard.look import PH, Look
from nanolab.page import Level, Panel, Trace


def takes_looks(run: LiveRun) -> bool:
    """Say whether the spectra of a run are what it measures: its start document says so."""
    return run.start.get("follows") == "spectra"


def readings(look: Look, temperature: Panel, residuals: Panel) -> list[Panel]:
    """Return the panels of readings: where looks are taken what they show comes first, and no heating is fitted."""
    if takes_looks(look.run):
        return [_trend(look), replace(temperature, area="left low"), *_ph(look), _change(look)]
    return [temperature, residuals, *_ph(look)]


def _coarse_axis(run: LiveRun, size: int) -> tuple[Array, str]:
    """Return the middle of each coarse pixel in nm; its number where the spectrometer did not say."""
    wavelengths = run.spectra.wavelengths
    if wavelengths is None or wavelengths.size < size:
        return np.arange(size, dtype=float), "pixel / 1"
    return np.interp((np.arange(size) + 0.5) / size, np.linspace(0.0, 1.0, wavelengths.size), wavelengths), "λ / nm"


def _change(look: Look) -> Panel:
    common: dict[str, Any] = {"area": "right", "newest": _newest(look), "stale_s": 1e9, "empty": "no look yet"}
    title, rows = "Change of absorbance, newest look", look.run.looks.rows
    if not rows:
        return Panel("change", title, "λ / nm", "ΔA / 1", **common)
    axis, name = _coarse_axis(look.run, rows[-1].size)
    words = f"{len(rows)} looks"
    return Panel("change", title, name, "ΔA / 1", [Trace("", axis, rows[-1], "measured", "line")],
                 levels=[Level(0.0, "", True)], words=words, alt=f"Change of absorbance, {words}", **common)  # fmt: skip


def _trend(look: Look) -> Panel:
    run, title = look.run, "Change of absorbance against time"
    at = run.looks.most_changed()
    common: dict[str, Any] = {
        "area": "left tall", "link": "lab time", "spans": look.spans, "newest": _newest(look), "stale_s": 1e9,
        "empty": "no second look yet",
    }  # fmt: skip
    if at is None:
        return Panel("trend", title, "t / s", "ΔA / 1", **common)
    axis, name = _coarse_axis(run, run.looks.rows[-1].size)
    begin = run.lab_start if run.lab_start is not None else run.looks.times[0]
    time = np.array(run.looks.times) - begin
    values = np.array([row[at] for row in run.looks.rows])
    where = f"{axis[at]:.0f} nm" if name == "λ / nm" else f"pixel {at}"
    words = f"at {where}, where it changed most: {values[-1]:+.3f}".replace("-", "−")
    return Panel("trend", title, "t / s", "ΔA / 1", [Trace("", time, values, "measured", "points")],
                 levels=[Level(0.0, "", True)], words=words, alt=words, **common)  # fmt: skip


def _ph(look: Look) -> list[Panel]:
    values = look.run.column(PH)
    if values is None or not np.any(np.isfinite(values)):
        return []
    newest = values[-1]
    words = f"now {newest:.2f}" if np.isfinite(newest) else "NOT READ"
    latest = look.run.latest.get("primary")
    return [
        Panel("ph", "pH by the probe", "t / s", "pH / 1", [Trace("", look.time, values, "measured", "points")],
              area="left low", link="lab time", words=words, alt=f"pH against time, {words}",
              newest=None if latest is None else latest[0], stale_s=look.stale_s)
    ]  # fmt: skip


def _newest(look: Look) -> float | None:
    latest = look.run.latest.get("spectra")
    return None if latest is None else latest[0]
