"""What the page of a release assay shows of a finished run, and what stands in its report: one page for each of the five."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanolab.analysis.model_selection import rank
from nanolab.errors import AnalysisRefusesError, FileInvalidError
from nanolab.gap import explanations, sigmas
from nanolab.page import AssayView, ModelRow, ParameterRow
from nanolab.quantities import Quantity
from nanolab.report.cells import interval_words
from plans.release import page_kinds
from plans.release.acid import TITLES as ACID_MODELS
from plans.release.heat_findings import LIGHT_MODELS
from plans.release.mass_balance import BALANCE
from plans.release.page_kinds import Kind
from plans.release.page_panels import panels
from plans.release.page_told import Told, quantity, told
from plans.release.page_words import shown, unit_words
from plans.release.ph_check import words

if TYPE_CHECKING:
    from nanolab.report.chapter import Chapter

WEIGHT = "AICc weight / 1"
MODEL_TITLES = {
    **ACID_MODELS,
    **LIGHT_MODELS,
    "michaelis_menten": "integrated Michaelis-Menten",
    "first_order": "first order",
}


class ReleasePage:
    """The page of one release assay; the numbers are those of result.json where it is there."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def view(self, run_path: Path, window: tuple[float, float] | None = None) -> AssayView:
        """Return panels, parameters, verdict, cautions. FileInvalidError for a `window`: the whole course is fitted."""
        if window is not None:
            raise FileInvalidError("a release is fitted over its whole course: it has no window to choose")
        return view_of(told(self.kind, run_path))

    def compare_models(self, run_path: Path) -> Sequence[ModelRow]:
        """Return the models that were held against each other. AnalysisRefusesError where there is only one."""
        rows = model_rows(told(self.kind, run_path))
        if not rows:
            raise AnalysisRefusesError(f"there is one model here and no other to hold it against: {self.kind.model}")
        return rows

    def chapter(self, run_path: Path) -> "Chapter":
        """Return figure, definition, methods and the entries of the report."""
        from plans.release.page_chapter import chapter

        found = told(self.kind, run_path)
        return chapter(found, view_of(found), model_rows(found))


def view_of(found: Told) -> AssayView:
    """Return what a page shows of a run."""
    kind, verdict = found.kind, found.verdict
    key = kind.key
    shares: Mapping[str, float] = found.result.get("budget", {}).get(key, {})
    return AssayView(
        title=f"{kind.name}: {found.run.sample}",
        simulated=found.run.simulated,
        headline=headline(found),
        verdict=None if verdict is None else (str(verdict["word"]), float(verdict["z"])),
        panels=panels(found),
        parameters=parameters(found),
        cautions=list(dict.fromkeys(found.cautions)),
        explanations=explanations(found.measured(key), found.predicted(key), shares, page_kinds.INPUTS),
        models=model_rows(found),
        stored=found.stored,
        problems=found.problems,
        notes=ph_notes(found),
    )


def ph_notes(found: Told) -> list[str]:
    """Return how the pH probe stood against the indicator, in a line; empty where it was not checked."""
    check: Mapping[str, Any] | None = (found.result.get("controls") or {}).get("optical_ph")
    line = "" if check is None else words(check)
    return [line[0].upper() + line[1:] + "."] if line else []


def headline(found: Told) -> str:
    """Return the result in one line."""
    title, measured = found.kind.titles[found.kind.key], found.measured(found.kind.key)
    if measured is None:
        return f"{title} not identified: see the cautions"
    interval = interval_words(measured)
    return f"{title} = {shown(measured)}   (95 %: {interval}; {found.kind.model})"


def parameters(found: Told) -> list[ParameterRow]:
    """Return the quantities of the result beside those that were predicted."""
    rows = []
    for name in (*found.kind.names, *found.kind.derived):
        measured, predicted = found.measured(name), found.predicted(name)
        known = measured or predicted
        if known is None:
            continue
        title = found.kind.titles.get(name, name.replace("_", " "))
        rows.append(ParameterRow(f"{title} / {unit_words(known)}", measured, predicted, sigmas(measured, predicted)))
    return rows + _balance(found) + _as_recorded(found)


def _balance(found: Told) -> list[ParameterRow]:
    """Where the dose was at the end, of a run from which aliquots were taken."""
    stored: Mapping[str, Any] = found.result.get("mass_balance") or {}
    return [ParameterRow(f"{title} / %", quantity(stored[name])) for name, title in BALANCE.items() if name in stored]


def _as_recorded(found: Told) -> list[ParameterRow]:
    """Temperature of the liquid with its scatter (no uncertainty: it moved), and the residuals."""
    rows = []
    liquid, rms = found.measured("temperature"), found.measured("residual_rms")
    if liquid is not None:
        rows.append(ParameterRow("temperature of the liquid, mean / °C", _plain(liquid.value, "degC", 4)))
        if liquid.standard_uncertainty:
            rows.append(
                ParameterRow("temperature of the liquid, scatter / K", _plain(liquid.standard_uncertainty, "K"))
            )
    if rms is not None:
        rows.append(ParameterRow("residuals, rms / %", _plain(rms.value, "%")))
    return rows


def _plain(value: float, unit: str, digits: int = 2) -> Quantity:
    return Quantity(float(f"{value:.{digits}g}"), unit)


def model_rows(found: Told) -> list[ModelRow]:
    """Return the models that were held against each other, best first, with their weights; empty where there is one only."""
    laws: Mapping[str, Any] | None = found.result.get("models")
    if laws is not None:
        together = [str(name) for name in laws.get("cannot_be_told_apart", ())]
        return [
            _row(
                str(one["title"]),
                one.get("aicc_difference"),
                one.get("weight"),
                one["name"] in together,
                _law_words(one),
            )
            for one in laws["models"]
        ]
    compared: Mapping[str, Any] | None = (found.result.get("controls") or {}).get("models")
    if compared is None:
        return []
    ranking = rank({str(name): float(value) for name, value in compared["aicc_differences"].items()})
    several = ranking.together if len(ranking.together) > 1 else ()
    return [
        _row(MODEL_TITLES.get(name, name), ranking.differences[name], ranking.weights[name], name in several, "")
        for name in ranking.order
    ]


def _row(title: str, difference: float | None, weight: float | None, together: bool, more: str) -> ModelRow:
    if difference is None or weight is None:
        return ModelRow(title, None, more or "not fitted", WEIGHT)
    words = "best by AICc" if difference == 0.0 else f"AICc {difference:.1f} higher"
    if together:
        words += "; cannot be told apart from the best" if difference > 0.0 else "; cannot be told apart from others"
    return ModelRow(title, Quantity(round(weight, 3), "1"), "; ".join(filter(None, [words, more])), WEIGHT)


def _law_words(one: Mapping[str, Any]) -> str:
    """Return the parameters of a law, or why it was not ranked."""
    if not one.get("ranked", True):
        return str(one.get("why") or "")
    parts = []
    for parameter in one.get("parameters", ()):
        stored = parameter.get("quantity")
        if stored is not None:
            parts.append(f"{parameter['name']} {Quantity.from_json(stored)}")
    return ", ".join(parts)


RELEASE = ReleasePage(page_kinds.RELEASE)
ACID = ReleasePage(page_kinds.ACID)
ENZYME = ReleasePage(page_kinds.ENZYME)
HEAT = ReleasePage(page_kinds.HEAT)
BATCH = ReleasePage(page_kinds.BATCH)
