"""What the page of the photothermal assay shows of a finished run: made again from the run folder alone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nanolab.errors import FileInvalidError
from nanolab.gap import explanations, sigmas
from nanolab.page import AssayView, Level, ModelRow, Panel, ParameterRow, Trace
from nanolab.quantities import Quantity
from plans.photothermal.balance import analyze
from plans.photothermal.curve import HeatingCurve
from plans.photothermal.ladder import ladder
from plans.photothermal.prediction import Prediction
from plans.photothermal.record import curve_of
from plans.photothermal.report import predicted_start
from plans.photothermal.restored import Restored, restore, stored_result
from plans.photothermal.result import PhotothermalResult

if TYPE_CHECKING:
    from nanolab.report.chapter import Chapter

PREDICTED = {"efficiency": "efficiency", "time_constant_heating": "time_constant_heating"}
NAMES = {
    "efficiency": "η, efficiency / 1",
    "external_efficiency": "external efficiency / 1",
    "absorption_efficiency": "absorption efficiency / 1",
    "time_constant_heating": "τ, heating / s",
    "time_constant_cooling": "τ, cooling / s",
    "temperature_rise": "ΔT, steady / K",
    "blank_rise": "ΔT of the blank / K",
    "power": "P, as the meter read it / W",
    "heat_capacity": "C, effective / (J/K)",
    "heat_loss": "hS / (W/K)",
}
INPUTS = {
    "heat_capacity": "the effective heat capacity",
    "power_gain": "the calibration of the power meter",
    "power": "the incident power",
    "thermometer_gain": "the calibration of the thermometer",
    "window": "the transmission of the window",
    "absorbance": "the absorbance at the laser line",
    "curve": "the noise of the curve",
    "models": "the choice of the thermal model",
    "blank": "the blank's rise",
}


class PhotothermalPage:
    """View and comparison of models; the numbers of the whole window are those of result.json."""

    def view(self, run_path: Path, window: tuple[float, float] | None = None) -> AssayView:
        """Return panels, parameters, verdict, cautions; `window` in lab seconds from the first reading."""
        found = restore(run_path)
        whole = curve_of(found.run)
        limits = (float(whole.time_s[0]), float(whole.time_s[-1]))
        curve = whole if window is None else within(whole, window)
        result = analyze(curve, found.gathered.conditions, found.gathered.blank)
        stored = stored_result(run_path) if window is None else None
        z, word = _verdict(result, found.prediction, stored)
        texts = dict.fromkeys(c.text for c in (*found.gathered.cautions, *result.cautions))
        return AssayView(
            title=f"photothermal: {curve.name}",
            simulated=found.run.simulated,
            headline=_headline(result),
            verdict=None if z is None else (word, z),
            panels=_panels(whole, curve, result, found, window),
            parameters=parameters(result, found.prediction),
            cautions=list(texts),
            explanations=explanations(result.efficiency, found.prediction.efficiency, result.shares, INPUTS),
            limits=limits,
            window=window,
            stored=window is None and stored is not None,
            problems=found.problems,
        )

    def compare_models(self, run_path: Path) -> Sequence[ModelRow]:
        """Return the efficiency under every published convention."""
        found = restore(run_path)
        rungs = ladder(curve_of(found.run), found.gathered.conditions, found.gathered.blank)
        return [ModelRow(rung.convention, rung.efficiency, rung.difference, "efficiency / 1") for rung in rungs]

    def chapter(self, run_path: Path) -> "Chapter":
        """Return figures, definition, methods and the entries of the report."""
        from plans.photothermal.chapter import chapter

        return chapter(restore(run_path), self.view(run_path))


def within(curve: HeatingCurve, window: tuple[float, float]) -> HeatingCurve:
    """Return the part of a curve between two times in s. FileInvalidError where too little is left to analyse."""
    inside = (curve.time_s >= window[0]) & (curve.time_s <= window[1])
    if not inside.any() or not curve.laser_on[inside].any():
        raise FileInvalidError(
            f"from {window[0]:.0f} s to {window[1]:.0f} s the laser is never on: take a wider window"
        )

    def part(values: Any) -> Any:
        return None if values is None else values[inside]

    switches = curve.switches
    if switches is not None:
        first = float(curve.time_s[inside][0])
        kept = [(time, on) for time, on in switches if window[0] <= time <= window[1]]
        before = [on for time, on in switches if time < first]
        if before and before[-1]:
            kept.insert(0, (first, True))
        switches = tuple(kept)
    return replace(
        curve,
        time_s=curve.time_s[inside],
        temperature_c=curve.temperature_c[inside],
        laser_on=curve.laser_on[inside],
        valid=curve.valid[inside],
        ambient_c=part(curve.ambient_c),
        power_w=part(curve.power_w),
        switches=switches,
    )


def _verdict(
    result: PhotothermalResult, prediction: Prediction, stored: Mapping[str, Any] | None
) -> tuple[float | None, str]:
    from plans.photothermal.prediction import verdict

    if stored is not None:
        return float(stored["verdict"]["z"]), str(stored["verdict"]["word"])
    found = verdict(result, prediction)
    return (None, "") if found is None else (found.z, found.word)


def _headline(result: PhotothermalResult) -> str:
    if result.efficiency is None:
        return "no efficiency: see the cautions"
    low, high = result.efficiency.interval_95 or (float("nan"), float("nan"))
    return f"η = {result.efficiency}   (95 %: {low:.3f} … {high:.3f}, method {result.method})"


def parameters(result: PhotothermalResult, prediction: Prediction) -> list[ParameterRow]:
    """Return the quantities that the run gave beside those that were predicted."""
    rows = []
    for key, name in NAMES.items():
        measured: Quantity | None = getattr(result, key)
        predicted: Quantity | None = getattr(prediction, PREDICTED[key]) if key in PREDICTED else None
        if measured is not None or predicted is not None:
            rows.append(ParameterRow(name, measured, predicted, sigmas(measured, predicted)))
    return rows


def _panels(
    whole: HeatingCurve,
    curve: HeatingCurve,
    result: PhotothermalResult,
    found: Restored,
    window: tuple[float, float] | None,
) -> list[Panel]:
    estimate = result.estimate
    there = estimate.prepared.present  # a bin without readings has no fitted value either
    bins, fitted = estimate.prepared.bin_s[there], estimate.transfer.fit.fitted[there]
    on = whole.on_periods()
    prediction = found.prediction
    shift = (on[0][0] if on else 0.0) - predicted_start(prediction)
    marks = [] if window is None else [(window[0], "fit from"), (window[1], "fit to")]
    readings = np.where(whole.valid, whole.temperature_c, np.nan)
    traces = [
        Trace("predicted before the run, 95 %", prediction.time_s + shift, prediction.temperature_c, "predicted",
              "dashed", prediction.lower_95, prediction.upper_95),
        Trace("two modes, fitted", bins, fitted, "model", "line"),
        Trace("measured", whole.time_s, readings, "measured", "points"),
    ]  # fmt: skip
    residuals = np.where(curve.valid, curve.temperature_c, np.nan) - np.interp(curve.time_s, bins, fitted)
    panels = [
        Panel("curve", "Measured on top of the prediction", "t / s", "T / °C", traces, on, marks, area="left tall",
              link="lab time", words=f"{whole.time_s.size} readings"),
        Panel("curve-residuals", "Measured less fit", "t / s", "residual / K",
              [Trace("", curve.time_s, residuals, "measured", "points")], levels=[Level(0.0, "", True)],
              spans=on, area="left low", link="lab time", symmetric=True, words=f"autocorrelation {result.residual_autocorrelation:.2f}"),
    ]  # fmt: skip
    return panels + _spectra(found) + _cooling(whole, result)


def _spectra(found: Restored) -> list[Panel]:
    spectra = {} if found.gathered.absorbance is None else found.gathered.absorbance.spectra
    names = [name for name in spectra if name in {"before", "imported"}] + list(spectra)[-1:]
    roles: list[Any] = ["measured", "after"]
    traces = [
        Trace(name.replace("_", " "), spectra[name].wavelength_nm, spectra[name].absorbance, role, "line")
        for name, role in zip(dict.fromkeys(names), roles, strict=False)
    ]
    if not traces:
        return []
    line = found.gathered.conditions.wavelength_nm
    marks = [] if line is None else [(line, f"laser {line:g} nm")]
    return [Panel("absorbance", "Absorbance", "λ / nm", "A / 1", traces, marks=marks, area="right")]


def _cooling(curve: HeatingCurve, result: PhotothermalResult) -> list[Panel]:
    """Logarithm of the share of the rise that is left against time after laser-off: a line where one loss rules."""
    periods = curve.on_periods()
    base = result.estimate.base
    if not periods or base is None:
        return []
    off = periods[-1][1]
    after = (curve.time_s >= off) & curve.usable
    if np.count_nonzero(after) < 5:
        return []
    rise = curve.temperature_c[after] - base
    theta = rise / rise[0]
    shown = np.where(theta > 0.03, np.log(np.maximum(theta, 1e-9)), np.nan)
    time = curve.time_s[after] - off
    traces = [Trace("measured", time, shown, "measured", "points")]
    tau = result.time_constant_cooling
    if tau is not None:
        until = time[time < 3.5 * tau.value]
        traces.append(Trace(f"τ = {tau}", until, -until / tau.value, "model", "dashed"))
    return [Panel("cooling", "Cooling as a line", "t after laser off / s", "ln θ / 1", traces, area="right")]


PAGE = PhotothermalPage()
