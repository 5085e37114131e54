"""`nanolab run PLAN`: predict, check limits, run on the bench, analyse, report."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanolab.errors import (
    AnalysisRefusesError,
    ExitCode,
    FileInvalidError,
    NanolabError,
    OffNotConfirmedError,
    RefusedError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nanolab.assay import Assay, Forecast, Report, Setup
    from nanolab.bench.connect import Bench
    from nanolab.engine.session import Performance


def command(
    plan: Annotated[str, typer.Argument(help="Name of the plan (see `nanolab plans`).")],
    bench: Annotated[
        Path | None, typer.Option(help="Bench file; default bench.toml, else the simulated bench.")
    ] = None,
    sample: Annotated[Path | None, typer.Option(help="Sample file; default sample.toml, else an example.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder for run folders; default from the bench file.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE, a parameter of the plan; may be repeated.")
    ] = None,
    blank: Annotated[str, typer.Option(help="Solvent blank: a run's UID, 'run' to measure one, or 'none'.")] = "run",
    world: Annotated[Path | None, typer.Option(help="World file of the simulated bench.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the simulated bench.")] = None,
    speed: Annotated[str | None, typer.Option(help="Simulated bench: a factor of real time, or 'max'.")] = None,
    sim: Annotated[
        str | None, typer.Option(help="Control port HOST:PORT of a simulated bench that is serving.")
    ] = None,
    continued: Annotated[
        str | None,
        typer.Option("--continue", metavar="UID", help="Go on with a run that broke off, at its next time point."),
    ] = None,
    faults: Annotated[
        list[str] | None,
        typer.Option("--fault", help="Rehearse: ROLE.FAULT@SECONDS of lab time after the start; may be repeated."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print plan and forecast, check limits, stop.")] = False,
    ladder: Annotated[bool, typer.Option("--ladder", help="Also show the result under every convention.")] = False,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", help="Arm without typing; a real laser needs an approval in [laser_safety] all the same."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Run a plan on the bench, real or simulated, and report what it says."""
    from nanolab.commands.run_support import prepare

    assay, setup = prepare(
        plan, bench, sample, data, settings or [], blank, world=world, seed=seed, speed=speed, sim=sim,
        continued=continued,
    )  # fmt: skip
    forecast = assay.forecast(setup)
    check_limits(setup, forecast)
    if dry_run:
        _print_dry_run(assay, setup, forecast, as_json)
        return
    exit_code = _run(assay, setup, forecast, sim, ladder, as_json, [parse_fault(text) for text in faults or []], yes)
    raise typer.Exit(int(exit_code))


def check_limits(setup: "Setup", forecast: "Forecast") -> None:
    """Raise RefusedError where the forecast breaks a limit of the bench; every limit broken is named."""
    limits = setup.bench.limits
    pairs = [
        ("power", forecast.peak_power_w, limits.max_power.value, "W"),
        ("temperature", forecast.peak_temperature_c, limits.max_temperature.value, "degC"),
        ("time on", forecast.seconds_on, limits.max_time_on.value, "s"),
        ("energy", forecast.joules, limits.max_energy.value, "J"),
    ]
    broken = [
        f"{name} {value:.4g} {unit} is over the limit of {limit:g} {unit}"
        for name, value, limit, unit in pairs
        if value is not None and value > limit
    ]
    if broken:
        raise RefusedError(
            f"refused before the start: {'; '.join(broken)}. Lower power_w or the heating time, or change [limits]"
        )


def _run(
    assay: "Assay",
    setup: "Setup",
    forecast: "Forecast",
    sim: str | None,
    ladder: bool,
    as_json: bool,
    faults: "Sequence[ScriptedFault]" = (),
    yes: bool = False,
) -> ExitCode:
    from nanolab.bench.connect import open_bench
    from nanolab.engine.session import perform
    from nanolab.interfaces import OffReport
    from nanolab.safety.arming import refuse_unattended

    # an assay that can emit need not: heat instead of light, say; what was not foreseen stays without arming, and dark
    lit = assay.emits and forecast.seconds_on > 0.0 and setup.bench.laser is not None
    if lit and setup.bench.laser is not None and not setup.bench.laser.simulated:
        refuse_unattended(setup.bench.laser_safety, yes=yes)
    say(
        f"{'SIMULATED bench' if setup.simulated else 'bench'} '{setup.bench.bench.name}', plan {assay.name}, "
        f"about {forecast.minutes:.0f} lab minutes, data in {setup.data_root}"
    )
    performance: Performance | None = None
    try:
        with open_bench(setup.bench, sim=sim) as bench:
            _script(faults, bench)
            if lit:
                bench.arm(yes=yes)
            performance = perform(assay, setup, bench, forecast)
    except OffNotConfirmedError as error:
        if performance is None:
            raise
        performance.off = performance.off or OffReport(False, str(error))
    return _finish(assay, setup, forecast, performance, ladder, as_json)


@dataclass(frozen=True)
class ScriptedFault:
    """A fault of a simulated instrument that comes at a lab time, s after the start."""

    role: str
    fault: str
    after_s: float


def parse_fault(text: str) -> ScriptedFault:
    """Read ROLE.FAULT@SECONDS (no @: at once); UsageError where it is not of that form."""
    place, _, after = text.partition("@")
    role, dot, fault = place.partition(".")
    try:
        after_s = float(after) if after else 0.0
    except ValueError:
        after_s = -1.0
    if not (dot and role and fault and after_s >= 0):
        raise UsageError(f"--fault {text}: write ROLE.FAULT@SECONDS, for example thermocouple.open_couple@300")
    return ScriptedFault(role, fault, after_s)


def _script(faults: "Sequence[ScriptedFault]", bench: "Bench") -> None:
    if not faults:
        return
    if bench.simulation is None:
        raise UsageError("--fault belongs to a simulated bench, and no device of this one is simulated")
    start = bench.clock.now()
    for fault in faults:
        bench.simulation.simulation.fault(
            fault.role, fault.fault, at_s=start + fault.after_s if fault.after_s else None
        )


def _finish(
    assay: "Assay",
    setup: "Setup",
    forecast: "Forecast",
    performance: "Performance",
    ladder: bool,
    as_json: bool,
) -> ExitCode:
    from nanolab.commands.run_support import analyse_and_store, as_contract, print_report

    report: Report | None = None
    error: BaseException | None = performance.error
    if performance.complete:
        try:
            report = analyse_and_store(assay, setup, forecast, performance, ladder)
        except FileInvalidError as refusal:
            # nobody's file is wrong here: the run's own readings cannot be analysed
            error = AnalysisRefusesError(f"the data are saved, but they cannot be analysed: {refusal}")
        except NanolabError as refusal:
            error = refusal
    document = as_contract(assay, setup, forecast, performance, report)
    code = exit_code_of(performance, report, error)
    if code is not ExitCode.OK:
        document["error"] = {"code": int(code), "message": explain(performance, report, error)}
        say(document["error"]["message"])
    if as_json:
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        print_report(document, report)
    if performance.off is not None and setup.bench.laser is not None:
        say(f"laser: {performance.off.words()}")
    return code


def exit_code_of(performance: "Performance", report: "Report | None", error: BaseException | None) -> ExitCode:
    """Return the exit code: an unconfirmed off overrides all others, then signals, then the error, then the analysis."""
    import signal

    if performance.off is not None and not performance.off.confirmed:
        return ExitCode.OFF_NOT_CONFIRMED
    if performance.signal_number is not None:
        interrupted = performance.signal_number == signal.SIGINT
        return ExitCode.INTERRUPTED if interrupted else ExitCode.TERMINATED
    if performance.stopped_by is not None:
        return ExitCode.INTERRUPTED
    if isinstance(error, NanolabError):
        return error.exit_code
    if error is not None:
        return ExitCode.UNEXPECTED
    if report is not None and report.refused:
        return ExitCode.ANALYSIS_REFUSES
    return ExitCode.OK


def explain(performance: "Performance", report: "Report | None", error: BaseException | None) -> str:
    """Say in one sentence what kept the run from a plain success."""
    if performance.off is not None and not performance.off.confirmed:
        return performance.off.words()
    if performance.signal_number is not None:
        import signal

        name = signal.Signals(performance.signal_number).name
        return f"stopped by {name}: the laser was turned off first and read back off; the data are kept"
    if performance.stopped_by is not None:
        return (
            f"stopped by {performance.stopped_by}: the laser was turned off first and read back off; the data are kept"
        )
    if isinstance(error, NanolabError):
        return str(error)
    if error is not None:
        return f"unexpected {type(error).__name__}: {error}; the data are kept"
    names = ", ".join(report.refused) if report is not None else ""
    return f"the data are saved, but they cannot support: {names} (see the cautions)"


def _print_dry_run(assay: "Assay", setup: "Setup", forecast: "Forecast", as_json: bool) -> None:
    document: dict[str, Any] = {
        "plan": assay.name,
        "minutes": forecast.minutes,
        "energy_j": forecast.joules,
        "seconds_on": forecast.seconds_on,
        "peak_power_w": forecast.peak_power_w,
        "peak_temperature_c": forecast.peak_temperature_c,
        "steps": list(forecast.steps),
        "simulated": setup.simulated,
        "prediction": forecast.prediction,
    }
    if as_json:
        sys.stdout.write(json.dumps(document) + "\n")
        return
    lines = [f"plan {assay.name}: nothing is opened, no laser is touched"]
    lines += [f"  {number}. {step}" for number, step in enumerate(forecast.steps, 1)]
    lines.append(
        f"about {forecast.minutes:.0f} minutes, {forecast.joules:.0f} J in {forecast.seconds_on:.0f} s of laser"
    )
    if forecast.peak_temperature_c is not None:
        lines.append(f"predicted peak temperature {forecast.peak_temperature_c:.1f} °C; every limit is kept")
    sys.stdout.write("\n".join(lines) + "\n")


def say(text: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
