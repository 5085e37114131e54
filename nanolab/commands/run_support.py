"""What `nanolab run` does around the runs: read the files, analyse, store, and show."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanolab.assay import Assay, Forecast, Report, Setup, parse_settings
from nanolab.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from nanolab.engine.session import Performance
    from nanolab.journal.reader import Run


def prepare(
    plan: str,
    bench: Path | None,
    sample: Path | None,
    data: Path | None,
    settings: Sequence[str],
    blank: str,
    *,
    world: Path | None,
    seed: int | None,
    speed: str | None,
    sim: str | None,
    continued: str | None = None,
) -> tuple[Assay, Setup]:
    """Check everything that the call names, before anything is opened.

    UsageError for an unknown plan or parameter, FileInvalidError for a bad file, RefusedError where the bench
    lacks a device that the plan needs.
    """
    from nanolab.bench.config import with_simulation
    from nanolab.bench.defaults import find_bench, find_sample
    from nanolab.discovery import PLANS, load
    from nanolab.journal.catalog import find_run

    assay: Assay = load(PLANS, plan)
    values = parse_settings(assay, settings)
    bench_config = with_simulation(find_bench(bench, assay.roles), world=world, seed=seed, speed=speed)
    if sim is None and not bench_config.simulated_roles and (world or seed is not None or speed):
        raise UsageError(
            "--world, --seed and --speed belong to a simulated bench, and no device of this one is simulated"
        )
    if data is not None:
        bench_config = bench_config.model_copy(update={"bench": bench_config.bench.model_copy(update={"data": data})})
    missing = [role for role in assay.roles if role not in bench_config.devices]
    if missing:
        raise RefusedError(f"the plan '{assay.name}' needs {', '.join(missing)}, and the bench has none")
    data_root = data or Path(bench_config.bench.data)
    setup = Setup(
        bench=bench_config,
        sample=find_sample(sample),
        values=values,
        blank=blank,
        data_root=data_root,
        simulated=bool(bench_config.simulated_roles),
        continued=None if continued is None else _broken_off(assay, data_root, continued),
    )
    if blank not in {"run", "none"}:
        find_run(setup.data_root, blank)  # UsageError where there is no such run: before anything is opened
    return assay, setup


def _broken_off(assay: Assay, data_root: Path, uid: str) -> "Run":
    """Return the run to go on with; UsageError where there is none, it ended well, or the plan cannot go on."""
    from nanolab.journal.catalog import find_run
    from nanolab.journal.reader import open_run

    if not getattr(assay, "continues", False):
        raise UsageError(f"--continue: the plan '{assay.name}' begins anew each time; it cannot go on with a run")
    run = open_run(find_run(data_root, uid).path)
    if run.status in {"finished", "running"}:
        raise UsageError(f"--continue {uid}: that run is {run.status}; only one that broke off can go on")
    return run


def analyse_and_store(
    assay: Assay, setup: Setup, forecast: Forecast, performance: "Performance", ladder: bool
) -> Report | None:
    """Analyse the finished runs and keep result, prediction and picture in the sample's run folder."""
    from nanolab.commands.show import ladder_csv
    from nanolab.journal.derived import write_derived
    from nanolab.journal.reader import open_run

    runs = {run.role: open_run(run.path) for run in performance.runs}
    runs = {**_referred(setup, runs), **runs}
    report = assay.analyze(setup, runs, forecast, ladder)
    if report is None:
        return None
    folder = next((run.path for run in performance.runs if run.role == "sample"), performance.runs[-1].path)
    document = as_contract(assay, setup, forecast, performance, report)
    write_derived(folder, "prediction.json", json.dumps(forecast.prediction, indent=1))
    write_derived(folder, "result.json", json.dumps(document, indent=1))
    if report.ladder is not None:
        write_derived(folder, "ladder.csv", ladder_csv(report.ladder))
    if report.figure_svg is not None:
        write_derived(folder, "figure.svg", report.figure_svg)
    return report


def _referred(setup: Setup, runs: "Mapping[str, Run]") -> "dict[str, Run]":
    """Return the runs that a continued one refers to, by role: its controls, and the one that broke off."""
    if setup.continued is None or "sample" not in runs:
        return {}
    from nanolab.journal.catalog import find_run
    from nanolab.journal.reader import open_run

    references: Mapping[str, str] = runs["sample"].start.get("references", {})
    return {role: open_run(find_run(setup.data_root, uid).path) for role, uid in references.items() if role != "sample"}


def as_contract(
    assay: Assay, setup: Setup, forecast: Forecast, performance: "Performance", report: Report | None
) -> dict[str, Any]:
    """Return the machine-readable result; what was not reached is null."""
    from nanolab.journal.reader import open_run

    runs = [{"role": run.role, "uid": run.uid, "path": str(run.path)} for run in performance.runs]
    own = next((run for run in reversed(performance.runs) if run.role == "sample"), None)
    last = own or (performance.runs[-1] if performance.runs else None)
    summary = None
    if last is not None:
        summary = {
            "uid": last.uid,
            "status": open_run(last.path).status,
            "path": str(last.path),
            "simulated": setup.simulated,
            "plan": assay.name,
        }
    document: dict[str, Any] = {
        "run": summary,
        "runs": runs,
        "prediction": forecast.prediction,
        "result": report.result if report is not None else None,
        "verdict": report.verdict if report is not None else None,
        "cautions": [dict(caution) for caution in report.cautions] if report is not None else [],
    }
    if report is not None and report.ladder is not None:
        document["ladder"] = [dict(row) for row in report.ladder]
    return document


def print_report(document: Mapping[str, Any], report: Report | None) -> None:
    """Show the result as tables on standard output."""
    from nanolab.commands.show import console, show_report

    out = console()
    run = document["run"]
    if run is not None:
        stamp = "SIMULATED  " if run["simulated"] else ""
        out.print(f"{stamp}{run['plan']} {run['uid'][:8]}: {run['status']}")
    if report is not None:
        show_report(report)
    for entry in document["runs"]:
        out.print(f"{entry['role']:<10} {entry['path']}", markup=False, soft_wrap=True)
