"""`nanolab reset-trip`: list what the interlock has tripped on, and release it, with a reason that is kept."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanolab.commands.output import AsJson, BenchFile, DataFolder, write_json, write_line
from nanolab.errors import UsageError

if TYPE_CHECKING:
    from nanolab.safety.latch import Latch, Record


def command(
    reason: Annotated[
        str | None,
        typer.Option(help="What was wrong and what was done; releases the trips. Left out: they are listed."),
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who releases; default the login name.")] = None,
    data: DataFolder = None,
    bench: BenchFile = None,
    as_json: AsJson = False,
) -> None:
    """List the interlock's trips; with --reason, release those that hold emission back."""
    from nanolab.safety.latch import Latch

    latches = [Latch(_root(data, bench), simulated) for simulated in (False, True)]
    held = [entry for latch in latches for entry in latch.held_by()]
    if reason is not None and not held:
        raise UsageError(f"nanolab reset-trip: nothing is tripped in {latches[0].folder}")
    if reason is not None:
        for latch in latches:
            if latch.held_by():
                latch.release(reason, by)
    if as_json:
        write_json(_document(latches))
        return
    _show(latches)


def _root(data: Path | None, bench: Path | None) -> Path:
    if data is not None:
        return data
    from nanolab.bench.defaults import find_bench

    return find_bench(bench).bench.data


def _document(latches: "list[Latch]") -> dict[str, Any]:
    return {
        "latch": str(latches[0].path),
        "records": [_as_data(record) for record in latches[0].records()],
        "held": {"real": latches[0].words(), "simulated": latches[1].words()},
    }


def _as_data(record: "Record") -> dict[str, Any]:
    from nanolab.safety.trip import Trip

    kind = type(record).__name__.lower()
    return {kind: record.to_json() if isinstance(record, Trip) else vars(record)}


def _show(latches: "list[Latch]") -> None:
    records = latches[0].records()
    for record in records:
        write_line(_line(record))
    if not records:
        write_line(f"no trips in {latches[0].folder}")
    for latch, kind in zip(latches, ("real", "SIMULATED"), strict=True):
        words = latch.words()
        if words is not None:
            write_line(f"{kind} emission is refused: {words}")


def _line(record: "Record") -> str:
    from nanolab.safety.latch import Release
    from nanolab.safety.trip import Trip

    if isinstance(record, Trip):
        stamp = "SIMULATED " if record.simulated else ""
        off = f"off within {record.reaction_s * 1e3:.0f} ms" if record.off_confirmed else record.off_detail
        return f"{_when(record.time)}  {stamp}trip {record.rule}: {record.text}; {off}"
    if isinstance(record, Release):
        stamp = "SIMULATED " if record.simulated else ""
        return f"{_when(record.time)}  {stamp}released by {record.by}: {record.reason}"
    return f"line {record.line} cannot be read: {record.problem}"


def _when(time_s: float) -> str:
    import datetime

    return datetime.datetime.fromtimestamp(time_s).strftime("%Y-%m-%d %H:%M:%S")
