"""What stands in the report of a photothermal run: figures, definition, methods, absorbance, blank, exposure."""

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from nanolab.quantities import Quantity
from nanolab.report.chapter import Chapter, Entry, Figure
from plans.photothermal.curve import HeatingCurve
from plans.photothermal.figure import LASER, MEASURED, MODEL, STYLE, spans, thinning
from plans.photothermal.record import curve_of
from plans.photothermal.report import Gathered, report

if TYPE_CHECKING:
    from nanolab.page import AssayView
    from plans.photothermal.restored import Restored

DEFINITION = (
    "η = hS (ΔT − κ ΔT_blank P/P_blank) / (P T_opt f_t μ_n/(μ_n + μ_w)) with hS = C_eff/τ: the heat that the particles give "
    "off, over the light that they extinguish in the liquid (absorbed and scattered alike). ΔT is the steady rise, τ the "
    "apparent time constant of cooling, C_eff the heat capacity that pairs with it, κ the share of the blank's solvent heat "
    "that is left beside particles, P the incident power in W before the window, T_opt the share of it that the window lets "
    "into the liquid, f_t = 1 − exp(−(μ_n + μ_w) L), μ_n = A ln 10/L with the decadic absorbance A of the particles at the "
    "laser line, μ_w the solvent's absorption. The external efficiency refers to P alone; the absorption efficiency to the "
    "light that the particles absorb, and needs the scattered share (albedo)."
)


def chapter(found: "Restored", view: "AssayView") -> Chapter:
    """Return the chapter of a run that was restored; `view` is what its page shows."""
    setup, gathered = found.setup, found.gathered
    made = report(found.runs, found.believed, setup.sample, found.prediction, spectrum_file=found.spectrum_file)
    figures = [] if made.figure_svg is None else [Figure(_caption(gathered), made.figure_svg)]
    blank = found.runs.get("blank")
    if blank is not None:
        words = f"Blank: {setup.sample.sample.solvent} in the same cell, run {blank.uid[:8]}. Laser on shaded."
        figures.append(Figure(words, blank_svg(curve_of(blank), blank.simulated)))
    result = made.result or {}
    return Chapter(
        view=view,
        figures=figures,
        definition=DEFINITION,
        methods=methods(found, result),
        entries=entries(found, result),
        power=incident(found),
    )


def _caption(gathered: Gathered) -> str:
    spectra = "" if gathered.absorbance is None else " Right: absorbance before and after, laser line marked."
    return (
        "Temperature of the sample on top of what was predicted before the run (band: 95 %), with the fitted model; below, "
        f"measured less fitted. Laser on shaded.{spectra}"
    )


def entries(found: "Restored", result: dict[str, Any]) -> list[Entry]:
    """Return absorbance before and after, the blank, and what the sample was exposed to."""
    absorbance: dict[str, Any] = result.get("absorbance") or {}
    names = [name for name in absorbance if name not in {"source", "line_centre_nm", "used"}]
    before = absorbance.get("before") or absorbance.get("imported") or absorbance.get("used")
    after = absorbance[names[-1]] if names and names[-1] not in {"before", "imported"} else None
    source = f" ({absorbance['source']})" if "source" in absorbance else ""
    blank = found.runs.get("blank")
    rise = result.get("blank_rise")
    curve = curve_of(found.run)
    seconds, joules = exposure(curve, found)
    group = "Absorbance and blank"
    return [
        Entry(group, "absorbance at the laser line, before", _words(before, source), "sample.toml, [sample] absorbance"),
        Entry(group, "absorbance at the laser line, after", _words(after, source), "a spectrometer, --set spectrum=measure"),
        Entry(group, "blank", None if blank is None else f"run {blank.uid[:8]}", "nanolab run without --blank none"),
        Entry(group, "rise of the blank at that power", _words(rise), "nanolab run without --blank none"),
        Entry("Exposure", "cycles of heating", str(len(curve.on_periods()))),
        Entry("Exposure", "laser on", f"{seconds:.0f} s"),
        Entry("Exposure", "energy on the sample", None if joules is None else f"{joules:.0f} J", "a power meter"),
        Entry("Exposure", "method of the efficiency", str(result.get("method", "none"))),
    ]  # fmt: skip


def _words(quantity: Any, source: str = "") -> str | None:
    return None if not isinstance(quantity, dict) else f"{Quantity.from_json(quantity)}{source}"


def incident(found: "Restored") -> Quantity | None:
    """Return the power at the sample in W as it is believed to be: the reading over the gain of the meter, with both their u."""
    read, gain = found.gathered.conditions.power, found.setup.sample.beliefs.power_gain
    if read is None:
        return None
    value = read.value / gain.value
    relative = float(
        np.hypot((read.standard_uncertainty or 0.0) / read.value, (gain.standard_uncertainty or 0.0) / gain.value)
    )
    return Quantity(value, "W", value * relative)


def exposure(curve: HeatingCurve, found: "Restored") -> tuple[float, float | None]:
    """Return seconds with the laser on and joules on the sample (None where the power is not known)."""
    seconds = float(sum(end - start for start, end in curve.on_periods()))
    power = incident(found)
    return seconds, None if power is None else seconds * power.value


def methods(found: "Restored", result: dict[str, Any]) -> str:
    """Return the paragraph for the methods section, with the numbers of this run."""
    sample, run = found.setup.sample, found.run
    curve = curve_of(run)
    cadence = float(np.median(np.diff(curve.time_s))) if curve.time_s.size > 1 else float("nan")
    volume = "an unstated volume" if sample.sample.volume is None else str(sample.sample.volume)
    cycles = len(curve.on_periods())
    wavelength = found.gathered.conditions.wavelength_nm
    line = "" if wavelength is None else f" at {wavelength:g} nm"
    power = incident(found)
    level = "an unstated power" if power is None else f"{power}"
    blank = "subtracted as measured in a blank" if "blank" in found.runs else "not measured"
    simulated = " All instruments named as simulated in this report were simulated." if run.simulated else ""
    return (
        f"{volume} of {sample.sample.name} in {sample.sample.solvent} was irradiated{line} with {level} "
        f"({result.get('power_source', 'source not known')}) in {cycles} cycle{'s' if cycles != 1 else ''} of heating and "
        f"cooling, temperature read every {cadence:.2g} s. The efficiency was found by the method '{result.get('method')}' from "
        f"the transfer of heat fitted to the whole curve, with the heat capacity from '{result.get('heat_capacity_used')}'; the "
        f"rise of solvent and container was {blank}. Uncertainties were propagated by Monte Carlo (JCGM 101:2008); ± is one "
        f"standard uncertainty, intervals are 95 %. The prediction was made before the first reading, from the files "
        f"alone, and stored in the start document.{simulated}"
    )


def blank_svg(curve: HeatingCurve, simulated: bool) -> bytes:
    """Return the blank's curve as SVG; the same input gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(11.0, 3.0), layout="constrained")
        axes = canvas.add_subplot()
        minutes = curve.time_s / 60.0
        for start, end in spans(curve.laser_on):
            axes.axvspan(minutes[start], minutes[end], color=LASER, alpha=0.12, linewidth=0)
        readings = np.where(curve.valid, curve.temperature_c, np.nan)
        step = thinning(minutes.size)
        axes.plot(minutes[::step], readings[::step], ".", color=MEASURED, markersize=2.0)
        axes.set_xlabel("lab time / min")
        axes.set_ylabel("blank, temperature / °C")
        if simulated:
            axes.set_title("SIMULATED", loc="right", color=MODEL, fontweight="bold", fontsize=10)
        buffer = io.BytesIO()
        canvas.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
