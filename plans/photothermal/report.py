"""From the finished runs to the report: result, verdict, cautions, rows, ladder, picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nanolab.analysis.cautions import Caution
from nanolab.assay import Report
from nanolab.errors import AnalysisRefusesError
from nanolab.quantities import Quantity
from plans.photothermal.absorbance import RunAbsorbance, absorbance_of, imported
from plans.photothermal.balance import analyze
from plans.photothermal.conditions import Blank, Conditions
from plans.photothermal.figure import Picture, draw
from plans.photothermal.ladder import ladder
from plans.photothermal.linearity import linearity_of
from plans.photothermal.prediction import Prediction, verdict
from plans.photothermal.record import curve_of, incident_power, live_absorbance
from plans.photothermal.result import PhotothermalResult

if TYPE_CHECKING:
    from nanolab.bench.sample import SampleConfig
    from nanolab.journal.reader import Run

VOLUME_TOLERANCE = 0.02
"""Relative difference of volumes up to which a blank stands for the sample."""


@dataclass
class Gathered:
    """Conditions as the runs complete them, and what was noticed on the way."""

    conditions: Conditions
    blank: Blank | None
    absorbance: RunAbsorbance | None
    power_source: str
    cautions: list[Caution] = field(default_factory=list)


def report(
    runs: Mapping[str, "Run"],
    believed: Conditions,
    sample: "SampleConfig",
    prediction: Prediction,
    *,
    spectrum_file: Path | None = None,
    with_ladder: bool = False,
) -> Report:
    """Analyse the runs of one sample by role ('sample', and 'blank', 'reference' where there are)."""
    run = runs["sample"]
    curve = curve_of(run)
    gathered = gather(runs, believed, sample, spectrum_file)
    result = analyze(curve, gathered.conditions, gathered.blank)
    judged = verdict(result, prediction)
    document = result.to_json()
    document["power_source"] = gathered.power_source
    document["absorbance"] = _absorbances(gathered)
    document["phases"] = _ended_by(run)
    document["linearity"] = linearity_of(curve)
    cautions = [caution.to_json() for caution in (*gathered.cautions, *result.cautions)]
    words = None if judged is None else judged.to_json()
    rungs = [rung.to_json() for rung in ladder(curve, gathered.conditions, gathered.blank)] if with_ladder else None
    rows = rows_of(result, prediction, words, gathered.power_source)
    return Report(
        result=document,
        verdict=words,
        cautions=cautions,
        rows=rows,
        ladder=rungs,
        figure_svg=draw(_picture(run, result, prediction, gathered, rows, words)),
        refused=result.refused,
    )


def gather(
    runs: Mapping[str, "Run"], believed: Conditions, sample: "SampleConfig", spectrum_file: Path | None
) -> Gathered:
    """Complete what is believed by what the runs of one sample say: power, absorbance, blank."""
    run, blank_run = runs["sample"], runs.get("blank")
    power, source = incident_power(run, blank_run)
    conditions = replace(believed, power=power)
    cautions = [*invalid_power_readings(run), *assumed_uncertainties(sample)]
    absorbance = _spectra_of(runs, conditions, spectrum_file, cautions)
    if absorbance is not None:
        stated = believed.absorbance
        first = absorbance.values[0]
        conditions = replace(conditions, absorbance=_mean_absorbance(absorbance), absorbances=tuple(absorbance.values))
        cautions.extend(absorbance.cautions)
        if stated is not None and _differ(first, stated):
            text = f"the spectrum says A = {first} at the laser line, sample.toml {stated}: the spectrum is taken"
            cautions.append(Caution("absorbance_differs", text))
    live = live_absorbance(run, blank_run)
    if live is not None and absorbance is None:
        conditions = replace(conditions, absorbance=live.value)
    elif live is not None and absorbance is not None and _differ(live.value, absorbance.values[0]):
        text = f"the meter behind the cuvette says A = {live.value}, the spectrum {absorbance.values[0]}"
        cautions.append(Caution("absorbance_differs", text))
    blank = None
    if blank_run is not None:
        blank_power, _ = incident_power(blank_run, blank_run)
        blank = Blank(curve=curve_of(blank_run), power=blank_power, mismatch=_mismatch(run, blank_run))
    return Gathered(conditions, blank, absorbance, source, cautions)


def assumed_uncertainties(sample: "SampleConfig") -> list[Caution]:
    """Say which values of the sample file were stated without an uncertainty, where any was."""
    if not sample.assumed:
        return []
    text = "stated without an uncertainty in the sample file, the default is assumed: " + ", ".join(sample.assumed)
    return [Caution("uncertainty_assumed", text)]


def invalid_power_readings(run: "Run") -> list[Caution]:
    """Say how many readings of the power meter were invalid, and why, where any was."""
    table = run.table("primary")
    if "powermeter_valid" not in table:
        return []
    invalid = np.asarray(table["powermeter_valid"], dtype=float) <= 0
    count = int(np.count_nonzero(invalid))
    if count == 0:
        return []
    reasons = dict.fromkeys(np.asarray(table["powermeter_reason"])[invalid].tolist())
    text = f"{count} of {invalid.size} readings of the power meter are invalid ({', '.join(map(str, reasons))}) and left out"
    return [Caution("invalid_power_readings", text)]


def _spectra_of(
    runs: Mapping[str, "Run"], conditions: Conditions, spectrum_file: Path | None, cautions: list[Caution]
) -> RunAbsorbance | None:
    wavelength = conditions.wavelength_nm
    if wavelength is None:
        return None
    try:
        if spectrum_file is not None:
            return imported(spectrum_file, wavelength)
        return absorbance_of(runs["sample"], runs.get("reference"), wavelength)
    except AnalysisRefusesError as error:
        cautions.append(Caution("spectrum_unusable", f"the spectra give no absorbance at the laser line: {error}"))
        return None


def _mean_absorbance(found: RunAbsorbance) -> Quantity:
    """Mean over the run of the absorbance at the laser line; half its change is part of its uncertainty."""
    first, last = found.values[0], found.values[-1]
    u = float(np.hypot(first.standard_uncertainty or 0.0, (first.value - last.value) / np.sqrt(12.0)))
    return Quantity(0.5 * (first.value + last.value), "1", u)


def _differ(one: Quantity, other: Quantity) -> bool:
    u = np.hypot(one.standard_uncertainty or 0.0, other.standard_uncertainty or 0.02 * other.value)
    return abs(one.value - other.value) > 4.0 * float(u)


def _mismatch(run: "Run", blank: "Run") -> str:
    """Name in what the blank's run differs from the sample's, empty if in nothing that matters."""
    own, other = run.start.get("blank_key", {}), blank.start.get("blank_key", {})
    differs = [name for name in ("cuvette", "holder", "stirring") if own.get(name) != other.get(name)]
    volumes = [key.get("volume_ml") for key in (own, other)]
    if None not in volumes and abs(volumes[0] - volumes[1]) > VOLUME_TOLERANCE * volumes[0]:
        differs.append("volume")
    lines = [item.start.get("bench", {}).get("laser", {}).get("wavelength") for item in (run, blank)]
    if lines[0] != lines[1]:
        differs.append("wavelength")
    return ", ".join(differs)


def _absorbances(gathered: Gathered) -> dict[str, Any] | None:
    if gathered.absorbance is None:
        value = gathered.conditions.absorbance
        return None if value is None else {"source": "sample file", "used": value.to_json()}
    names = list(gathered.absorbance.spectra)
    values = {name: value.to_json() for name, value in zip(names, gathered.absorbance.values, strict=True)}
    used = gathered.conditions.absorbance
    return {
        "source": "spectra, weighted by the laser's line",
        "line_centre_nm": gathered.absorbance.line.centre_nm,
        "used": None if used is None else used.to_json(),
        **values,
    }


def _ended_by(run: "Run") -> list[dict[str, Any]]:
    """Say how long each phase was and what ended it: steady, fixed length, or the time-out."""
    if "phases" not in run.streams:
        return []
    table = run.table("phases")
    columns = (table["phase_name"], table["phase_cycle"], table["phase_seconds"], table["phase_ended_by"])
    return [
        {"phase": str(name), "cycle": int(cycle), "seconds": float(seconds), "ended_by": str(reason)}
        for name, cycle, seconds, reason in zip(*columns, strict=True)
    ]


def rows_of(
    result: PhotothermalResult, prediction: Prediction | None, judged: Mapping[str, Any] | None, power_source: str
) -> Sequence[tuple[str, str]]:
    """Return the rows of the table that a person reads."""

    def text(quantity: Quantity | None) -> str:
        return "– (see the cautions)" if quantity is None else str(quantity)

    def between(quantity: Quantity | None) -> str:
        if quantity is None or quantity.interval_95 is None:
            return text(quantity)
        low, high = quantity.interval_95
        return f"{quantity}   (95 %: {low:.3f} … {high:.3f})"

    rows = [("efficiency (method: " + result.method + ")", between(result.efficiency))]
    if prediction is not None:
        rows.append(("  predicted before the run", between(prediction.efficiency)))
    if judged is not None:
        rows.append(("  verdict", f"{judged['word']} (z = {judged['z']:+.2f})"))
    rows.append(("external efficiency", between(result.external_efficiency)))
    if result.absorption_efficiency is not None:
        rows.append(("absorption efficiency", between(result.absorption_efficiency)))
    rows += [
        ("time constant, heating", text(result.time_constant_heating)),
        ("time constant, cooling", text(result.time_constant_cooling)),
    ]
    if prediction is not None:
        rows.append(("  predicted", text(prediction.time_constant_heating)))
    rows += [
        ("steady temperature rise", text(result.temperature_rise)),
        ("blank's rise at that power", text(result.blank_rise)),
        ("incident power", f"{text(result.power)}   ({power_source})"),
        (f"heat capacity ({result.heat_capacity_used})", text(result.heat_capacity)),
        ("heat loss hS", text(result.heat_loss)),
        ("residual autocorrelation", f"{result.residual_autocorrelation:.2f}"),
    ]
    largest = [f"{term} {100 * share:.0f} %" for term, share in list(result.shares.items())[:4]]
    if largest:
        rows.append(("largest terms of the budget", ", ".join(largest)))
    return rows


def _picture(
    run: "Run",
    result: PhotothermalResult,
    prediction: Prediction,
    gathered: Gathered,
    rows: Sequence[tuple[str, str]],
    judged: Mapping[str, Any] | None,
) -> Picture:
    curve = curve_of(run)
    found = result.estimate
    there = found.prepared.present  # a bin without readings has no fitted value either
    fitted = np.interp(curve.time_s, found.prepared.bin_s[there], found.transfer.fit.fitted[there])
    starts = [time for time, on in curve.switch_times() if on]
    shift = (starts[0] if starts else 0.0) - predicted_start(prediction)
    spectra = {} if gathered.absorbance is None else gathered.absorbance.spectra
    chosen = [name for name in spectra if name in {"before", "imported"}] + list(spectra)[-1:]
    return Picture(
        title=f"photothermal: {curve.name}",
        subtitle=f"{rows[0][0]}: {rows[0][1]}"
        + ("" if judged is None else f"; {judged['word']} (z = {judged['z']:.2f})"),
        time_s=curve.time_s,
        temperature_c=np.where(curve.valid, curve.temperature_c, np.nan),
        laser_on=curve.laser_on,
        fit_c=fitted,
        prediction=prediction.to_json(),
        prediction_shift_s=shift,
        absorbance={name: (spectra[name].wavelength_nm, spectra[name].absorbance) for name in dict.fromkeys(chosen)},
        laser_nm=gathered.conditions.wavelength_nm,
        simulated=run.simulated,
    )


def predicted_start(prediction: Prediction) -> float:
    """Time at which the predicted curve begins to rise (its own baseline may differ from the run's)."""
    rising = np.flatnonzero(np.diff(prediction.temperature_c) > 1e-6)
    return float(prediction.time_s[rising[0]]) if rising.size else 0.0
