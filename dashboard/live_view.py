"""What the live page says of a run: banner, tiles, panels; made anew from the columns at every look."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dashboard.live_run import Array, LiveRun
from nanolab.analysis.live_fit import LiveFit, fit_live
from nanolab.engine.stop_request import STOP_RECORD, stop_address
from nanolab.journal.notes import Note, read_notes
from nanolab.page import Heat, Level, Panel, Trace
from nanolab.quantities import Quantity

FIT_POINTS = 1500
SATURATION_SHARE = 0.9
"""Share of full scale above which a spectrum is called near saturation."""

TEMPERATURE = "thermocouple_sample"
EMITTING = "laser_emitting"
POWER = "laser_power"


@dataclass(frozen=True)
class LiveView:
    """Header and panels for the canvas component, and the live fit for whoever wants its numbers."""

    header: dict[str, Any]
    panels: Sequence[Panel]
    fit: LiveFit | None = None


@dataclass
class Look:
    """One look at a run: what several parts of the page need, worked out once."""

    run: LiveRun
    status: str
    now: float
    time: Array = field(init=False)
    temperature: Array = field(init=False)
    power: Array = field(init=False)
    spans: list[tuple[float, float]] = field(init=False)

    def __post_init__(self) -> None:
        self.time = self.run.times()
        nothing = np.full(self.time.size, np.nan)
        temperature, power, emitting = (self.run.column(name) for name in (TEMPERATURE, POWER, EMITTING))
        self.temperature = nothing if temperature is None else temperature
        # read back as emitting: what was set does not count
        self.power = np.zeros(self.time.size) if power is None or emitting is None else power * (emitting > 0)
        self.spans = spans_of(self.time, self.power > 0)

    @property
    def running(self) -> bool:
        """True while a process writes the run."""
        return self.status == "running"

    @property
    def elapsed_s(self) -> float:
        """Lab seconds since the first reading."""
        return float(self.time[-1] - self.time[0]) if self.time.size else 0.0

    @property
    def dose_j(self) -> float:
        """Energy so far in J: each reading's power until the next reading."""
        return float(np.sum(self.power[:-1] * np.diff(self.time))) if self.time.size > 1 else 0.0

    @property
    def emitting(self) -> bool | None:
        """Whether the newest read-back says that the laser emits; None where it says nothing."""
        value = self.run.value(EMITTING)
        return None if value is None else bool(value)


def spans_of(time: Array, on: "np.ndarray[Any, np.dtype[np.bool_]]") -> list[tuple[float, float]]:
    """Return (from, to) in s of each stretch in which the laser was on, to the first reading with it off."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8)))
    last = time.size - 1
    return [(float(time[a]), float(time[min(b, last)])) for a, b in edges.reshape(-1, 2).tolist()]


def live_view(run: LiveRun, status: str, now: float | None = None) -> LiveView:
    """Return what the page shows now. `status` as of `LiveRun.status`; `now` wall time in s."""
    with run.lock:
        look = Look(run, status, time.time() if now is None else now)
        notes = read_notes(run.path)
        fit = fit_of(look)
        panels = [_temperature(look, fit, notes), _residuals(look, fit), _spectrum(look), _spectrogram(look)]
        return LiveView({**header_of(look, notes), "tiles": tiles(look, fit)}, panels, fit)


def header_of(look: Look, notes: Sequence[Note] = ()) -> dict[str, Any]:
    """Return the banner and the way to stop: what every page has at its top."""
    run = look.run
    return {
        "run": str(run.start.get("uid", run.path.name)),
        "now": look.now,
        "newest": run.newest_wall_s,
        "running": look.running,
        "banner": banner(look),
        "stop": stop_address(run.path) if look.running else None,
        "stopped": _stopped(run),
        "tiles": [],
        "notes": [f"{time.strftime('%H:%M:%S', time.localtime(note.time))}  {note.text}" for note in reversed(notes)],
    }


def _stopped(run: LiveRun) -> dict[str, Any] | None:
    import json

    try:
        found = json.loads((run.path / STOP_RECORD).read_bytes())
        return {key: found[key] for key in ("confirmed", "words", "seconds")}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def banner(look: Look) -> dict[str, Any]:
    """Return state, words and facts: on or off from the laser's read-back, never from what was asked for."""
    run, status = look.run, look.status
    if status == "interrupted":
        state, words = "interrupted", "INTERRUPTED: laser state unknown, look at its display"
    elif not look.running:
        state, words = "none", f"RUN {status.upper()}"
        stopped = _stopped(run)
        if stopped is not None and stopped["confirmed"]:
            words += ", LASER OFF"
    elif look.emitting is None:
        state, words = "none", "LASER NOT READ YET" if "laser" in run.start.get("bench", {}) else "NO LASER"
    elif look.emitting and not _stop_confirmed(run):
        state, words = "on", "LASER ON"
    else:
        state, words = "off", "LASER OFF"
    return {"state": state, "words": words, "facts": _facts(look), "simulated": bool(run.start.get("simulated"))}


def _stop_confirmed(run: LiveRun) -> bool:
    """Whether a stop was seen to turn the laser off after the newest reading."""
    stopped = _stopped(run)
    return stopped is not None and bool(stopped["confirmed"])


def _facts(look: Look) -> list[str]:
    start = look.run.start
    facts = []
    wavelength = _wavelength_nm(start)
    if wavelength is not None:
        facts.append(f"{wavelength:g} nm")
    if look.emitting is not None:
        facts.append(f"{float(look.run.value(POWER, 0.0)):.2f} W")
    phase = str(look.run.value("run_state_phase", ""))
    cycles = len(start.get("powers_w", ()))
    if phase and cycles:
        facts.append(f"cycle {int(look.run.value('run_state_cycle', 0)) + 1} of {cycles}, {phase}")
    elif phase:
        facts.append(phase)
    left = time_left_s(look)
    if left is not None and look.running:
        facts.append(f"{clock_words(left)} left")
    if look.dose_j > 0:
        facts.append(f"dose {look.dose_j:.0f} J")
    names = [str(start.get("plan_name", "")), str(start.get("role", "")), sample_name(start)]
    facts.append(" ".join(dict.fromkeys(name for name in names if name)))
    return [fact for fact in facts if fact]


def sample_name(start: Mapping[str, Any]) -> str:
    """Return the sample's name from a start document."""
    sample = start.get("sample", {})
    return str(sample.get("name", "") if isinstance(sample, Mapping) else sample)


def _wavelength_nm(start: Mapping[str, Any]) -> float | None:
    found = (start.get("bench", {}).get("laser") or {}).get("wavelength")
    if isinstance(found, Mapping):
        found = found.get("value")
    return float(found) if isinstance(found, int | float) else None


def time_left_s(look: Look) -> float | None:
    """Return lab seconds until the expected end, not below zero; None where no length is expected."""
    start = look.run.start
    expected = start.get("expected_s")
    if expected is None and start.get("prediction"):
        expected = start["prediction"]["curve"]["time_s"][-1]
    return None if expected is None else max(0.0, float(expected) - look.elapsed_s)


def clock_words(seconds: float) -> str:
    """Return minutes and seconds, with hours where there are any."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60:02d}:{rest % 60:02d}"


def tiles(look: Look, fit: LiveFit | None) -> list[dict[str, str]]:
    """Return the numbers that are read from two metres: quantity / unit and value."""
    temperature = look.temperature
    newest = float(temperature[-1]) if temperature.size else float("nan")
    left = time_left_s(look)
    shown = [
        {"label": "T / °C", "value": _number(newest, 1), "level": "" if np.isfinite(newest) or not temperature.size else "warn"},
        {"label": "ΔT / K", "value": _number(newest - _base(look), 1)},
        {"label": "P / W", "value": _number(float(look.run.value(POWER, float("nan"))), 2)},
        {"label": "dose / J", "value": _number(look.dose_j, 0) if look.time.size else "–"},
        {"label": "time left / min:s", "value": "–" if left is None else clock_words(left)},
    ]  # fmt: skip
    if fit is not None:
        shown.append({"label": "τ (live fit) / s", "value": f"{fit.time_constant_s:.0f}"})
    return shown


def _base(look: Look) -> float:
    """Mean temperature before the laser first went on, degC; NaN where it was on from the beginning."""
    lit = np.flatnonzero(look.power > 0)
    before = look.temperature[: lit[0]] if lit.size else look.temperature
    finite = before[np.isfinite(before)]
    return float(finite.mean()) if finite.size else float("nan")


def with_areas(panels: Sequence[Panel]) -> list[Panel]:
    """Return panels of which those without a place stand on the left."""
    return [panel if panel.area else replace(panel, area="left") for panel in panels]


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "–"


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
    if not prediction or "curve" not in prediction:
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


def _stale_s(look: Look) -> float:
    """Age above which data are called late: 2 s, or three of the intervals at which they come."""
    wall = look.now - float(look.run.start.get("time", look.now))
    return max(2.0, 3.0 * wall / max(1, look.time.size)) if look.time.size > 3 else 10.0


def _temperature(look: Look, fit: LiveFit | None, notes: Sequence[Note]) -> Panel:
    traces = [*_prediction(look), Trace("measured", look.time, look.temperature, "measured", "points")]
    if fit is not None:
        traces.append(Trace("one time constant, fitted live", fit.time_s, fit.temperature_c, "model", "line"))
    newest = _number(float(look.temperature[-1]), 2) if look.time.size else "–"
    return Panel(
        "temperature", "Temperature of the sample", "t / s", "T / °C", traces, look.spans, _marks(look, notes),
        area="left tall", words=f"{look.time.size} readings", alt=f"Temperature against time, now {newest} °C",
        newest=_newest(look, "primary"), stale_s=_stale_s(look),
        empty="no readings yet; the prediction is drawn before the run",
    )  # fmt: skip


def _newest(look: Look, stream: str) -> float | None:
    latest = look.run.latest.get(stream)
    return None if latest is None else latest[0]


def _residuals(look: Look, fit: LiveFit | None) -> Panel:
    common: dict[str, Any] = {
        "area": "left low", "newest": _newest(look, "primary"), "stale_s": _stale_s(look), "symmetric": True,
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
    words = f"{len(rows)} spectra, {rows.min():.0f} to {rows.max():.0f} counts"
    return Panel("spectrogram", "Spectra against time", name, "t / s", heat=heat, words=words, alt=words, **common)
