"""`nanolab analyze ASSAY RUN...`: the analysis of finished runs again, from their folders alone.

Beliefs, bench and parameters are those of each run's start document. The prediction is computed again from them and must
be the one that was stored before the run, to the last digit of its hash: else the verdict is left out.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanolab.commands.show import show_report
from nanolab.errors import ExitCode, FileInvalidError, UsageError
from nanolab.restore import setup_of

if TYPE_CHECKING:
    from nanolab.assay import Assay, Report
    from nanolab.journal.reader import Run

COMBINED = ("efficiency", "external_efficiency", "absorption_efficiency", "heat_loss", "time_constant_cooling")
"""Quantities of which the mean over several runs is told."""


def reanalyze(
    assay: str, folders: Sequence[Path], *, ladder: bool = False, out: Path | None = None, as_json: bool = False
) -> ExitCode:
    """Analyse run folders again, show the result and keep it in `out`; returns the exit code.

    Of several runs (preparations): each result, the mean, and the spread between them.
    """
    from nanolab.commands.analyze import keep
    from nanolab.discovery import PLANS, load

    found: Assay = load(PLANS, assay)
    reports = []
    for folder in folders:
        sys.stderr.write(f"analysing the run in {folder} again\n")
        reports.append(_one(found, folder, ladder))
    document = reports[0][0] if len(reports) == 1 else _together([document for document, _ in reports])
    refused = sorted({name for _, report in reports for name in report.refused})
    if refused:
        message = f"the data cannot support: {', '.join(refused)}, though every input was given (see the cautions)"
        document["error"] = {"code": int(ExitCode.ANALYSIS_REFUSES), "message": message}
        sys.stderr.write(message + "\n")
    if out is not None:
        keep(out, document, reports[0][1])
    if as_json:
        sys.stdout.write(json.dumps(document, allow_nan=False) + "\n")
    else:
        for folder, (_, report) in zip(folders, reports, strict=True):
            sys.stdout.write(f"{folder}\n")
            show_report(report)
        if len(reports) > 1:
            _show_means(document["result"])
    return ExitCode.ANALYSIS_REFUSES if refused else ExitCode.OK


def _one(assay: "Assay", folder: Path, ladder: bool) -> tuple[dict[str, Any], "Report"]:
    """Return one run's result by the contract of `nanolab run`, and its report."""
    from nanolab.engine.session import digest
    from nanolab.journal.catalog import runs_after
    from nanolab.journal.reader import open_run

    run = open_run(folder)
    other = run.start.get("assay")
    if run.start.get("role") == "sample" and other and other != assay.name:
        raise UsageError(f"{folder}: this is a run of '{other}': say `nanolab analyze {other} {folder}`")
    if run.start.get("role") != "sample" or not other:
        raise UsageError(f"{folder}: this is no sample's run of '{assay.name}'; list them with `nanolab runs`")
    setup = setup_of(run)
    later = runs_after(run)
    runs = {"sample": run, **later}
    # a control that came later may have broken off and gone on: it refers to its first part
    for one in (run, *later.values()):
        runs |= {role: _referred(one, folder, role, uid) for role, uid in _references(one).items() if role not in runs}
    # the blank of this run is among the runs now, whoever measured it
    setup = replace(setup, blank="run" if "blank" in runs else "none")
    forecast = assay.forecast(setup)
    report = assay.analyze(setup, runs, forecast, ladder)
    if report is None:
        raise UsageError(f"the plan '{assay.name}' has no analysis")
    same = digest(forecast.prediction) == run.start.get("prediction_sha256")
    cautions = [dict(caution) for caution in report.cautions]
    if not same:
        words = "the prediction stored before the run cannot be computed again (another version?): no verdict is given"
        cautions.append({"code": "prediction_differs", "text": words})
    verdict = report.verdict if same else None
    document: dict[str, Any] = {
        "run": {
            "uid": run.uid, "status": run.status, "path": str(folder), "simulated": run.simulated, "plan": assay.name,
        },
        "runs": [{"role": role, "uid": other.uid, "path": str(other.path)} for role, other in runs.items()],
        "prediction": run.start.get("prediction"),
        "result": report.result,
        "verdict": verdict,
        "cautions": cautions,
    }  # fmt: skip
    if report.ladder is not None:
        document["ladder"] = [dict(row) for row in report.ladder]
    return document, replace(report, verdict=verdict, cautions=cautions)


def _references(run: "Run") -> dict[str, str]:
    return {role: uid for role, uid in run.start.get("references", {}).items() if role != "sample"}


def _referred(run: "Run", folder: Path, role: str, uid: str) -> "Run":
    from nanolab.journal.catalog import find_run
    from nanolab.journal.reader import open_run

    try:
        return open_run(find_run(folder.resolve().parent.parent, uid).path)
    except UsageError as error:
        raise FileInvalidError(f"{folder}: its {role} is not here any more: {error}") from error


def _together(documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return several runs as one document: mean and spread of each quantity, and every result.

    What the runs have in common (power meter, heat capacity) does not average out: the mean has the mean of
    the uncertainties, and the scatter between the runs over root n beside it.
    """
    from nanolab.quantities import Quantity

    result: dict[str, Any] = {
        "each": [{"uid": d["run"]["uid"], **(d["result"] or {})} for d in documents],
        "spreads": {},
    }
    for name in _combined(documents[0]["result"] or {}):
        stored = [item for d in documents if (item := (d["result"] or {}).get(name)) is not None]
        if len(stored) < len(documents):
            result[name] = None
            continue
        found = [Quantity.from_json(item) for item in stored]
        mean = sum(q.value for q in found) / len(found)
        between = (sum((q.value - mean) ** 2 for q in found) / (len(found) - 1)) ** 0.5
        shared = sum(q.standard_uncertainty or 0.0 for q in found) / len(found)
        u = (shared**2 + between**2 / len(found)) ** 0.5
        result[name] = Quantity(mean, found[0].unit, u).to_json()
        result["spreads"][name] = Quantity(between, found[0].unit).to_json()
    cautions = [
        {"code": caution["code"], "text": f"{d['run']['uid'][:8]}: {caution['text']}"}
        for d in documents
        for caution in d["cautions"]
    ]
    runs = [entry for d in documents for entry in d["runs"]]
    return {"run": None, "runs": runs, "prediction": None, "result": result, "verdict": None, "cautions": cautions}


def _combined(result: dict[str, Any]) -> Sequence[str]:
    """Return the quantities of which the mean is told: those of the photothermal assay, or all that a result holds."""
    if any(name in result for name in COMBINED):
        return COMBINED
    return [name for name, stored in result.items() if isinstance(stored, dict) and {"value", "unit"} <= stored.keys()]


def _show_means(result: dict[str, Any]) -> None:
    from nanolab.quantities import Quantity

    sys.stdout.write(f"mean of {len(result['each'])} runs\n")
    for name, spread in result["spreads"].items():
        mean, between = Quantity.from_json(result[name]), Quantity.from_json(spread)
        sys.stdout.write(
            f"  {name.replace('_', ' ')}: {mean}; spread between the runs {between.value:.2g} {between.unit}\n"
        )
