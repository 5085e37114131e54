"""`nanolab safety prooftest`: a guided check of the laser's hardware interlock, written down."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanolab.commands.output import AsJson, BenchFile, DataFolder, say, write_json, write_line
from nanolab.errors import ExitCode, RefusedError

if TYPE_CHECKING:
    from nanolab.bench.connect import Bench
    from nanolab.bench.prooftest import Hand, ProofTest

app = typer.Typer(rich_markup_mode=None, help="Check what protects people from the laser.")


@app.callback()
def _group() -> None:
    """Check what protects people from the laser."""


@app.command()
def prooftest(
    bench: BenchFile = None,
    data: DataFolder = None,
    by: Annotated[str | None, typer.Option(help="Who tests; default the login name.")] = None,
    within: Annotated[float, typer.Option(help="Seconds of wall time for the interlock to be opened.")] = 60.0,
    sim: Annotated[
        str | None, typer.Option(help="Control port HOST:PORT of a simulated bench that is serving.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Emit a little, open the hardware interlock by hand, see the emission drop; the result is kept with its date."""
    from nanolab.bench.connect import open_bench
    from nanolab.bench.defaults import find_bench
    from nanolab.bench.prooftest import keep

    config = find_bench(bench)
    if data is not None:
        config = config.model_copy(update={"bench": config.bench.model_copy(update={"data": data})})
    if config.laser is None or config.thermocouple is None:
        raise RefusedError("a proof test needs a laser and a thermocouple on the bench")
    if not config.laser.simulated and not sys.stdin.isatty():
        raise RefusedError("a proof test of a real laser needs a person at a terminal, and there is none")
    with open_bench(config, sim=sim) as opened:
        opened.arm()
        test = _prove(opened, by, within)
    path = keep(Path(config.bench.data), test)
    _tell(test, path, as_json)
    raise typer.Exit(int(_code(test)))


def _prove(bench: "Bench", by: str | None, within_s: float) -> "ProofTest":
    import asyncio
    import getpass

    from nanolab.bench.prooftest import prove

    hand: Hand = _Person() if bench.simulation is None else _Control(bench.simulation.simulation)
    return prove(
        bench,
        hand,
        by=by or getpass.getuser(),
        within_s=within_s,
        rest=lambda seconds: asyncio.run(bench.clock.sleep(seconds)),
        say=say,
    )


class _Person:
    """Asks a person; the drop itself shows that it was opened."""

    def open(self) -> None:
        """The line that asks for it has been shown."""

    def close(self) -> None:
        """Ask for it."""
        say("the laser was told to go off; close the interlock again")


class _Control:
    """Opens and closes the interlock of the simulated laser."""

    def __init__(self, simulation: Any) -> None:
        self._simulation = simulation

    def open(self) -> None:
        """Open it."""
        self._simulation.fault("laser", "interlock_open")

    def close(self) -> None:
        """Close it."""
        self._simulation.fault("laser", "interlock_open", on=False)


def _code(test: "ProofTest") -> ExitCode:
    if not test.off_confirmed:
        return ExitCode.OFF_NOT_CONFIRMED
    return ExitCode.OK if test.passed else ExitCode.STOPPED_BY_LIMIT


def _tell(test: "ProofTest", path: Path, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        write_json({"test": {**asdict(test), "passed": test.passed}, "log": str(path)})
        return
    stamp = "SIMULATED  " if test.simulated else ""
    drop = f"emission dropped {test.dropped_s:.1f} s after the request" if test.dropped else "EMISSION DID NOT DROP"
    refusal = (
        "emission was refused while it was open"
        if test.refused_while_open
        else "EMISSION WAS NOT REFUSED WHILE IT WAS OPEN"
    )
    write_line(f"{stamp}proof test of the interlock {'passed' if test.passed else 'FAILED'}: {drop}; {refusal}")
    if test.meter_before_w is not None and test.meter_after_w is not None:
        write_line(f"power meter: {test.meter_before_w:.3g} W before, {test.meter_after_w:.3g} W after")
    write_line(f"kept in {path}")
    if test.passed and not test.simulated:
        write_line(f"in the bench file: [laser_safety] interlock_tested = {test.time[:10]}")
    elif not test.passed:
        write_line("do not use the laser; tell whoever is responsible for laser safety")
