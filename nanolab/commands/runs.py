"""`nanolab runs [list | show UID | export UID]`: what has been run, and its data for other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanolab.commands.output import AsJson, BenchFile, DataFolder, write_json, write_line, write_table
from nanolab.errors import UsageError, nearest

if TYPE_CHECKING:
    from nanolab.journal import RunInfo

ACTIONS = ["list", "show", "export"]


def command(
    action: Annotated[str, typer.Argument(help="list, show or export.")] = "list",
    uid: Annotated[str | None, typer.Argument(help="Uid of the run, or how it begins.")] = None,
    data: DataFolder = None,
    bench: BenchFile = None,
    to: Annotated[Path | None, typer.Option(help="export: folder for the files; default the run's own.")] = None,
    kind: Annotated[str, typer.Option("--format", help="export: csv or npz.")] = "csv",
    as_json: AsJson = False,
) -> None:
    """List the runs, show one, or export its data as columns."""
    if action not in ACTIONS:
        raise UsageError(f"nanolab runs {action}: there is no such action; {nearest(action, ACTIONS)}")
    root = _root(data, bench)
    if action == "list":
        if uid is not None:
            raise UsageError(f"nanolab runs list {uid}: 'list' takes no uid; did you mean 'show'?")
        _list(root, as_json)
        return
    if uid is None:
        raise UsageError(f"nanolab runs {action}: name a run by its uid, or how it begins (see `nanolab runs`)")
    if action == "show":
        _show(root, uid, as_json)
    else:
        _export(root, uid, to, kind, as_json)


def _root(data: Path | None, bench: Path | None) -> Path:
    if data is not None:
        if not data.is_dir():
            raise UsageError(f"--data {data}: there is no such folder")
        return data
    from nanolab.bench.defaults import find_bench

    return find_bench(bench).bench.data


def _list(root: Path, as_json: bool) -> None:
    from nanolab.journal import find_runs

    runs = find_runs(root)
    if as_json:
        write_json({"data": str(root), "runs": [_row(run) for run in runs]})
        return
    if not runs:
        write_line(f"no runs in {root}")
        return
    cells = []
    for run in runs:
        stamp = "SIMULATED" if run.simulated else ""
        cells.append(
            (
                run.uid[:8],
                _when(run.time_s),
                run.plan,
                run.role,
                run.sample,
                run.status,
                stamp,
                run.problem or str(run.path),
            )
        )
    write_table(("uid", "when", "plan", "role", "sample", "status", "", "folder"), cells)


def _show(root: Path, uid: str, as_json: bool) -> None:
    import json

    from nanolab.journal import find_run, open_run

    info = find_run(root, uid)
    run = open_run(info.path)
    streams = {name: len(run.table(name)["time"]) for name in run.streams}
    result_file = info.path / "result.json"
    result: dict[str, Any] | None = json.loads(result_file.read_text()) if result_file.is_file() else None
    if as_json:
        write_json({**_row(info), "streams": streams, "result": result})
        return
    stamp = "SIMULATED  " if info.simulated else ""
    write_line(f"{stamp}{info.plan} {info.uid}: {info.status}, {_when(info.time_s)}")
    write_line(f"folder  {info.path}")
    for name, count in streams.items():
        write_line(f"stream  {name}: {count} readings")
    if result is not None and isinstance(result.get("result"), dict):
        for name, quantity in result["result"].items():
            if isinstance(quantity, dict) and "value" in quantity:
                u = quantity["standard_uncertainty"]
                unit = "" if quantity["unit"] == "1" else f" {quantity['unit']}"
                write_line(f"result  {name}: {quantity['value']:.4g}" + (f" ± {u:.2g}" if u is not None else "") + unit)
        for caution in result.get("cautions", []):
            write_line(f"! {caution['text']}")


def _export(root: Path, uid: str, to: Path | None, kind: str, as_json: bool) -> None:
    from nanolab.journal import export_csv, export_npz, find_run, open_run

    if kind not in ("csv", "npz"):
        raise UsageError(f"--format {kind}: {nearest(kind, ['csv', 'npz'])}")
    run = open_run(find_run(root, uid).path)
    paths = export_csv(run, to) if kind == "csv" else [export_npz(run, to)]
    if as_json:
        write_json({"uid": run.uid, "files": [str(path) for path in paths]})
        return
    for path in paths:
        write_line(f"written: {path}")


def _row(info: "RunInfo") -> dict[str, Any]:
    return {
        "uid": info.uid,
        "path": str(info.path),
        "plan": info.plan,
        "role": info.role,
        "sample": info.sample,
        "status": info.status,
        "time": info.time_s,
        "simulated": info.simulated,
        "problem": info.problem,
    }


def _when(time_s: float) -> str:
    import datetime

    return datetime.datetime.fromtimestamp(time_s).strftime("%Y-%m-%d %H:%M:%S") if time_s else "?"
