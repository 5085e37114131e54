"""What stands in the report of a release run: figure, definition, methods, read-out, controls, exposure."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nanolab.page import AssayView, ModelRow
from nanolab.quantities import Quantity
from nanolab.report.chapter import Chapter, Entry, Figure
from plans.release.mass_balance import BALANCE, balance_words, words
from plans.release.page_told import Told
from plans.release.page_words import shown
from plans.release.ph_check import words as ph_words

IN_RELEASE = "sample.toml, [release]"
SURE = (
    "Uncertainties: chance by profile likelihood of the joint fit, widened by the memory of the residuals; inputs to first order "
    "(JCGM 100:2008, 5.1.3); ± is one standard uncertainty, intervals are 95 %. The prediction was made before the first reading, "
    "from the files alone, and stored in the start document."
)
SURE_BATCH = (
    "Uncertainties: scatter between the fillings, and the inputs of the sample file, to first order (JCGM 100:2008, 5.1.2); ± is "
    "one standard uncertainty, intervals are 95 %. What was expected was stored in the start document before the first reading."
)


def chapter(told: Told, view: AssayView, models: Sequence[ModelRow]) -> Chapter:
    """Return the chapter of a run; `view` is what its page shows, `models` what was compared."""
    figures = [] if told.figure_svg is None else [Figure(caption(told), told.figure_svg)]
    laser = told.kind.name == "release_triggered" and told.setup.values.get("trigger") == "laser"
    return Chapter(
        view=view,
        figures=figures,
        definition=told.kind.definition,
        methods=methods(told),
        entries=[*read_out(told), *controls(told), *exposure(told, laser), *balance(told), *compared(models)],
        laser_used=laser,
    )


def caption(told: Told) -> str:
    """Return what the figure shows."""
    if told.kind.where == "batch":
        return "Absorbance of every filling of standard, filtrate and dissolved batch against the medium."
    return (
        "Released against time, control and sample, on top of what was predicted before the run (band: 95 %), with the fitted model; "
        "below, measured less fitted, and the temperature of the liquid."
    )


def methods(told: Told) -> str:
    """Return the paragraph for the methods section, with the numbers of this run."""
    kind, sample = told.kind, told.setup.sample
    medium = sample.sample.solvent or "an unstated medium"
    volume = "an unstated volume" if sample.sample.volume is None else str(sample.sample.volume)
    simulated = " All instruments named as simulated in this report were simulated." if told.run.simulated else ""
    name, at = sample.sample.name, f"{_temperature(told)}{_ph_words(told)}"
    opening = {
        "membrane": f"{name} was filled into a dialysis insert in {volume} of {medium}, and the cargo beyond the membrane was read at "
        f"{at}.",
        "beam": f"{name} in {volume} of {medium} was read in the beam at {at}; a surfactant dissolved it at the end: 100 %.",
        "batch": f"Standard, filtrate and the dissolved batch of {name} were read at {at}, each filled in anew "
        f"{told.setup.values.get('fillings', 'several')} times.",
    }[kind.where]
    stirring = _stirring(told)
    stirred = "" if stirring is None else f"It was stirred at {stirring}."
    parts = [opening, stirred, _looks_words(told), _deeds(told), *_aliquot_words(told), _control_words(told)]
    parts += [f"Fitted: {kind.model}." if kind.where != "batch" else "", SURE_BATCH if kind.where == "batch" else SURE]
    return " ".join(part for part in parts if part) + simulated


def _temperature(told: Told) -> str:
    """The temperature of the liquid as recorded, else as asked for."""
    mean = told.measured("temperature")
    asked = told.setup.values.get("temperature_c")
    course = told.courses.get("sample")
    if told.kind.name == "release_triggered" and course is not None:
        return f"{course.temperature_c.min():.1f} to {course.temperature_c.max():.1f} °C"
    if mean is not None:
        scatter = "" if not mean.standard_uncertainty else f" (standard deviation {mean.standard_uncertainty:.2f} K)"
        return f"{mean.value:.2f} °C{scatter}"
    return "an unstated temperature" if asked is None else f"{asked:g} °C as set at the holder"


def _ph_words(told: Told) -> str:
    steps = (told.result.get("controls") or {}).get("ph") or []
    if not steps:
        return "" if told.kind.where == "batch" else " (pH not measured)"
    kept = ", ".join(f"{step['mean']:.2f}" for step in steps)
    return f", the pH brought by acid from the pump to {kept} (mean of each stage by the probe)"


def _stirring(told: Told) -> str | None:
    """The speed that the holder told during the run, in the middle."""
    if "primary" not in told.run.streams:
        return None
    values = np.asarray(told.run.table("primary").get("cuvette_holder_stirring", ()), dtype=float)
    known = values[np.isfinite(values)]
    return f"{np.median(known):.0f} rpm" if known.size else None


def _looks_words(told: Told) -> str:
    photometry: dict[str, Any] = told.result.get("photometry") or {}
    if not photometry:
        return ""
    kept = (
        f"{photometry['looks']} looks of a dark and a light spectrum ({photometry['averages']} exposures of "
        f"{1000 * photometry['integration_time_s']:.1f} ms each, against the medium) were taken; the assay light was on for "
        f"{photometry['assay_light_s']:.0f} s in all"
    )
    return f"{kept}."


def _deeds(told: Told) -> str:
    """What triggered the release."""
    values, table = told.setup.values, told.setup.sample.release
    if told.kind.name == "release_enzyme":
        return f"Enzyme ({shown(table.enzyme)} in the cuvette) was added after {float(values.get('lead_s', 0)) / 60:.3g} min."
    if told.kind.name != "release_triggered":
        return ""
    if values.get("trigger") == "laser":
        powers = ", ".join(f"{power:g}" for power in values.get("powers_w", ()))
        dose = told.measured("light_energy")
        energy = "" if dose is None else f", {dose.value:.0f} J in all"
        return f"The laser warmed it in pulses of {values.get('stair_s'):g} s at {powers} W{energy}, gated off at every look."
    stairs = ", ".join(f"{degrees:g}" for degrees in values.get("temperatures_c", ()))
    return f"The holder was stepped to {stairs} °C, {values.get('stair_s'):g} s each; no laser was used."


def _aliquot_words(told: Told) -> list[str]:
    stored = told.result.get("mass_balance")
    if not stored:
        return []
    handled = (
        "; the control was handled alike" if "removed_percent" in (told.result["controls"].get("free") or {}) else ""
    )
    return [f"{words(stored)}{handled}; the fit follows each of them. Mass balance: {balance_words(stored)}."]


def balance(told: Told) -> list[Entry]:
    """Return where the dose was at the end, of a run from which aliquots were taken; nothing of others."""
    stored, group = told.result.get("mass_balance"), "Mass balance"
    if not stored:
        return []
    each = [f"{Quantity.from_json(one['removed']).value:.2g} % at {one['time_h']:.3g} h" for one in stored["samples"]]
    return [
        Entry(group, "samples", words(stored)),
        Entry(group, "removed with each sample", "; ".join(each)),
        *(Entry(group, title, _words(stored[name])) for name, title in BALANCE.items()),
    ]


def _control_words(told: Told) -> str:
    used = [
        f"{words} (run {told.runs[role].uid[:8]})" for role, words in told.kind.controls.items() if role in told.runs
    ]
    label = "Read beside it" if told.kind.where == "batch" else "Controls"
    return f"{label}: {'; '.join(used)}." if used else "No control is in the data folder."


def read_out(told: Told) -> list[Entry]:
    """Return how the cargo was read, and from which amounts."""
    group, where = "Read-out", "blanks=3 or more"
    table, photometry = told.setup.sample.release, told.result.get("photometry") or {}
    medium = told.setup.sample.sample.solvent
    found = [
        Entry(group, "medium", medium or None, "sample.toml, [sample] solvent"),
        Entry(group, "temperature of the liquid", _temperature(told)),
        Entry(group, "stirring, as the holder told", _stirring(told), "a cuvette holder that stirs"),
        Entry(group, "looks", _text(photometry.get("looks")), "the spectrometer"),
        Entry(group, "limit of detection, 3.3 s of the blanks", _words(photometry.get("lod")), where),
        Entry(group, "limit of quantification, 10 s", _words(photometry.get("loq")), where),
        Entry(group, "blanks", _text(photometry.get("blanks")), where),
        Entry(group, "pH", _ph_entry(told), "a pH probe; sample.toml, [sample] solvent names the buffer"),
    ]
    if told.kind.where == "batch":
        return [
            *found,
            Entry(group, "standard", shown(table.standard)),
            Entry(group, "recovery of the filter", shown(table.filter_recovery)),
            Entry(group, "dilution of the filtrate over that of the batch", shown(table.dilution)),
            Entry(group, "particles", _quantity(table.particles), f"{IN_RELEASE} particles"),
        ]
    return [
        *found,
        Entry(group, "cargo in the cuvette", shown(table.concentration)),
        Entry(group, "dose of the carriers over that of free cargo", shown(table.dose_ratio)),
        Entry(group, "activation energy", shown(table.activation_energy)),
    ]


def _ph_entry(told: Told) -> str | None:
    steps = (told.result.get("controls") or {}).get("ph") or []
    words = [f"{step['wanted']:g} wanted, {step['first']:.2f} to {step['last']:.2f}" for step in steps]
    return "; ".join(words) or None


def controls(told: Told) -> list[Entry]:
    """Return each control: its run and what it showed."""
    shown: dict[str, Any] = told.result.get("controls") or {}
    words = {
        "indicator": ph_words(shown.get("optical_ph") or {}),
        "free": _numbers(shown.get("free"), {"equilibrium_percent": "ends at {:.1f} % of the nominal dose"}),
        "control": _numbers(shown.get("without_enzyme"), {"last_percent": "{:.1f} % released at the end"}),
        "dark": _numbers(shown.get("dark"), {"last_percent": "{:.1f} % released at the end"}),
        "no_carrier": _numbers(shown.get("no_carrier"), {"change_percent": "absorbance changed by {:+.1f} %"}),
        "same_temperature": _numbers(
            shown.get("same_temperature"), {"rms_percent": "off the fitted law by {:.1f} % (rms)"}
        ),
    }
    asked = {**told.run.start.get("references", {}), **{role: run.uid for role, run in told.runs.items()}}
    found = []
    for role, what in told.kind.controls.items():
        if role in asked:
            run = told.runs.get(role)
            said = [f"run {asked[role][:8]}{'' if run else ', not in the data folder'}", words.get(role)]
            found.append(Entry("Controls", what, "; ".join(filter(None, said))))
    return found or [Entry("Controls", "controls", None, "the runs of the assay beside the sample's")]


def _numbers(shown: Any, forms: dict[str, str]) -> str:
    if not isinstance(shown, dict):
        return ""
    return "; ".join(form.format(shown[name]) for name, form in forms.items() if name in shown)


def exposure(told: Told, laser: bool) -> list[Entry]:
    """Return how long it lasted and which light fell on it."""
    hours = told.result.get("profile", {}).get("time_h") or [float("nan")]
    photometry = told.result.get("photometry") or {}
    lit = photometry.get("assay_light_s")
    found = [Entry("Exposure", "assay light on", None if lit is None else f"{lit:.0f} s", "the spectrometer's lamp")]
    if told.kind.where != "batch":
        found.insert(0, Entry("Exposure", "length of the release", f"{float(np.max(hours)):.3g} h"))
    gaps = told.result.get("gaps_h") or []
    if gaps:
        words = "; ".join(f"{start:.2f} to {end:.2f} h" for start, end in gaps)
        found.append(Entry("Exposure", "not recorded, the run broke off", words))
    if laser:
        powers = ", ".join(f"{power:g}" for power in told.setup.values.get("powers_w", ()))
        found.append(Entry("Exposure", "powers of the laser, as set", f"{powers} W"))
        found.append(
            Entry("Exposure", "energy of the laser", _words(told.result.get("light_energy")), "the laser's read-back")
        )
    return found


def compared(models: Sequence[ModelRow]) -> list[Entry]:
    """Return the models that were held against each other."""
    return [
        Entry(
            "Models compared",
            row.name,
            row.words if row.value is None else f"weight {row.value.value:.3f}; {row.words}",
        )
        for row in models
    ]


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _quantity(value: Quantity | None) -> str | None:
    return None if value is None else shown(value)


def _words(stored: Any) -> str | None:
    return None if not isinstance(stored, dict) else shown(Quantity.from_json(stored))
