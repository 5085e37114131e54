"""What a finished release run tells: its stored result, or, where there is none, the analysis made again from the folders."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanolab.analysis.cautions import Cautions
from nanolab.errors import FileInvalidError, NanolabError
from nanolab.quantities import Quantity
from nanolab.restore import setup_of
from plans.release.continuing import CONTINUED, chain
from plans.release.page_kinds import Kind
from plans.release.record import Course, course_of

if TYPE_CHECKING:
    from nanolab.assay import Setup
    from nanolab.journal.reader import Run


@dataclass(frozen=True)
class Told:
    """A sample's run with the runs it refers to by role, its result, and the figure.

    ``stored``: the numbers are those of result.json in the run folder. ``problems``: what was amiss, in sentences.
    """

    kind: Kind
    run: "Run"
    runs: Mapping[str, "Run"]
    result: Mapping[str, Any]
    verdict: Mapping[str, Any] | None
    cautions: tuple[str, ...]
    figure_svg: bytes | None
    stored: bool
    problems: tuple[str, ...] = ()

    @cached_property
    def setup(self) -> "Setup":
        """What the run was made from."""
        return setup_of(self.run)

    @property
    def prediction(self) -> Mapping[str, Any]:
        """What was predicted before the first reading."""
        found = self.run.start.get("prediction")
        return found if isinstance(found, Mapping) else {}

    def predicted(self, name: str) -> Quantity | None:
        """Return a quantity of the prediction; None where it says nothing of it."""
        return quantity(self.prediction.get(name))

    def measured(self, name: str) -> Quantity | None:
        """Return a quantity of the result; None where there is none."""
        return quantity(self.result.get(name))

    @cached_property
    def courses(self) -> Mapping[str, Course]:
        """Courses by role, of those runs that are drawn and can be read."""
        reference = self.runs.get("reference")
        found: dict[str, Course] = {}
        if reference is None:
            return found
        for role in ("sample", *(self.kind.controls if self.kind.where == "batch" else ())):
            if role in self.runs:
                try:
                    parts = chain(self.runs, role)
                    found[role] = course_of(parts, reference, Cautions())
                except (NanolabError, KeyError, ValueError):
                    continue  # the numbers stand without its pictures
        return found


def quantity(stored: Any) -> Quantity | None:
    """Return a stored quantity; None where it is none."""
    try:
        return Quantity.from_json(stored)
    except (ValueError, TypeError):
        return None


def told(kind: Kind, run_path: Path) -> Told:
    """Read a run. FileInvalidError where it is no sample's, AnalysisRefusesError where there is nothing to analyse."""
    from nanolab.journal.catalog import runs_after
    from nanolab.journal.reader import open_run

    run = open_run(run_path, salvage=True)
    role = str(run.start.get("role") or "run of another kind")
    if role != "sample":
        raise FileInvalidError(
            f"this is the {role} of a {kind.name}: its result lies with the sample's run; choose that"
        )
    problems: list[str] = []
    later = {role: other for role, other in runs_after(run, salvage=True).items() if role in kind.controls}
    runs = {**later, **_referred(run, problems), "sample": run}
    document = stored_result(run.path, kind)
    if document is None:
        return _again(kind, run, runs, problems)
    cautions = tuple(str(caution.get("text", "")) for caution in document.get("cautions") or ())
    return Told(
        kind, run, runs, document["result"], document.get("verdict"), cautions, _figure(run.path), True, tuple(problems)
    )


def stored_result(run_path: Path, kind: Kind) -> Mapping[str, Any] | None:
    """Return result.json; None where it is not there, cannot be read, or has nothing to draw."""
    try:
        document = json.loads((run_path / "result.json").read_bytes())
        result = document["result"]
        whole = isinstance(result, dict) and ("fillings" if kind.where == "batch" else "curves") in result
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return document if whole else None


def _figure(run_path: Path) -> bytes | None:
    try:
        return (run_path / "figure.svg").read_bytes()
    except OSError:
        return None


def _again(kind: Kind, run: "Run", runs: Mapping[str, "Run"], problems: list[str]) -> Told:
    """Analyse the runs again: beliefs and parameters are those of the start document."""
    from nanolab.assay import Assay
    from nanolab.discovery import PLANS, load
    from nanolab.engine.session import digest

    missing = [role for role in ("reference", *run.start.get("references", {})) if role not in runs]
    if missing:
        raise FileInvalidError(
            f"there is no result of this run in its folder, and to analyse it its {missing[0]} is needed, which is not in the "
            "data folder"
        )
    assay: Assay = load(PLANS, kind.name)
    setup = setup_of(run)
    forecast = assay.forecast(setup)
    report = assay.analyze(setup, runs, forecast, ladder=False)
    if report is None or report.result is None:
        raise FileInvalidError(f"the plan '{kind.name}' found no result in this run")
    verdict = report.verdict
    if digest(forecast.prediction) != run.start.get("prediction_sha256"):
        problems.append(
            "this version of nanolab predicts otherwise than the one that made the run: no verdict is given"
        )
        verdict = None
    cautions = tuple(str(caution.get("text", "")) for caution in report.cautions)
    return Told(kind, run, runs, report.result, verdict, cautions, report.figure_svg, False, tuple(problems))


def _referred(run: "Run", problems: list[str]) -> dict[str, "Run"]:
    """Runs that a run refers to, by role, from the same day's folder or the whole data folder."""
    from nanolab.journal.catalog import find_run
    from nanolab.journal.reader import open_run

    found = {}
    for role, uid in run.start.get("references", {}).items():
        for root in (run.path.parent, run.path.parent.parent):
            try:
                found[role] = open_run(find_run(root, uid).path, salvage=True)
                break
            except NanolabError:
                continue
        else:
            word = "the run that it continued" if role.startswith(CONTINUED) else f"its {role}"
            problems.append(f"{word} ({uid[:8]}) is not in the data folder: what it recorded is not drawn")
    return found
