"""`nanolab analyze ASSAY FILE...`: the analysis of a run, on files measured by anybody.

Each assay has parameters of its own behind `--set` and says which of the other options it uses; one that it does not
use is an error, so that nothing a user states is passed over in silence.

`command` is longer than other functions: typer wants one parameter for each option.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanolab.errors import ExitCode, FileInvalidError, UsageError

if TYPE_CHECKING:
    from nanolab.analysis.file_options import FileAnalyst, FileOptions
    from nanolab.assay import Report
    from nanolab.quantities import Quantity


ALWAYS = frozenset({"assay", "files", "settings", "out", "as_json"})
"""Parameters of the command that every analysis understands."""


def command(
    context: typer.Context,
    assay: Annotated[str, typer.Argument(help="Whose analysis (see `nanolab analyses`).")],
    files: Annotated[list[Path], typer.Argument(help="Curves, one preparation each.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE, a parameter of the analysis; `nanolab analyses ASSAY` lists them."),
    ] = None,
    rule: Annotated[
        str | None, typer.Option(metavar="fda|ema|all", help="Similarity: which points are compared.")
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", help="Columns by number (from 0) or heading: time=0,temperature=1,duty=2."),
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="COLUMN=VALUE, one of several curves in a file; may be repeated.")
    ] = None,
    lines: Annotated[str | None, typer.Option(help="FIRST:LAST, use only these lines of a file.")] = None,
    invalid_value: Annotated[
        list[float] | None,
        typer.Option(help="What the logger writes when it has no reading; may be repeated."),
    ] = None,
    power_w: Annotated[str | None, typer.Option(metavar="V±U", help="Incident power before the window.")] = None,
    watts_per_duty: Annotated[
        str | None, typer.Option(metavar="SLOPE,OFFSET", help="Power in W = SLOPE x duty + OFFSET.")
    ] = None,
    absorbance: Annotated[
        str | None, typer.Option(metavar="V±U", help="Decadic, at the laser line, over the path.")
    ] = None,
    spectrum: Annotated[
        str | None, typer.Option(metavar="FILE[::NAME]", help="Absorbance spectrum, read at --wavelength-nm.")
    ] = None,
    wavelength_nm: Annotated[float | None, typer.Option(help="Laser line.")] = None,
    path_cm: Annotated[str | None, typer.Option(metavar="V±U", help="Optical path; default 1 cm.")] = None,
    window: Annotated[
        str | None, typer.Option(metavar="V±U", help="Share of the power that enters the liquid.")
    ] = None,
    albedo: Annotated[str | None, typer.Option(metavar="V±U", help="Scattered share of the extinction.")] = None,
    heat_capacity_j_per_k: Annotated[
        str | None, typer.Option(metavar="V±U", help="Effective, as measured in situ.")
    ] = None,
    liquid_heat_capacity_j_per_k: Annotated[
        str | None, typer.Option(metavar="V±U", help="Mass times specific heat of the solution.")
    ] = None,
    wall_heat_capacity_j_per_k: Annotated[str | None, typer.Option(metavar="V±U", help="Of the wetted wall.")] = None,
    ambient_c: Annotated[
        str | None, typer.Option(metavar="V±U", help="Surroundings, where a curve has no baseline.")
    ] = None,
    thermometer_gain: Annotated[str | None, typer.Option(metavar="V±U", help="Shown over true.")] = None,
    power_gain: Annotated[str | None, typer.Option(metavar="V±U", help="Power meter: shown over true.")] = None,
    laser_on_s: Annotated[float | None, typer.Option(help="When the laser went on, on the files' time axis.")] = None,
    laser_off_s: Annotated[float | None, typer.Option(help="When the laser went off.")] = None,
    blank: Annotated[Path | None, typer.Option(help="Curve of the solvent blank.")] = None,
    blank_where: Annotated[list[str] | None, typer.Option(help="COLUMN=VALUE within the blank's file.")] = None,
    blank_dt_k: Annotated[
        str | None, typer.Option(metavar="V±U", help="Steady rise of the blank, for want of a curve.")
    ] = None,
    blank_power_w: Annotated[
        str | None, typer.Option(metavar="V±U", help="Power of the blank's run, if another.")
    ] = None,
    sample: Annotated[Path | None, typer.Option(help="Sample file; the options here override it.")] = None,
    method: Annotated[str | None, typer.Option(help="Method of the analysis.")] = None,
    ladder: Annotated[bool, typer.Option("--ladder", help="Also show the result under every convention.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the Monte Carlo propagation.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for result.json, ladder.csv and figure.svg.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Analyse files measured elsewhere as if they were a run of the assay.

    Every number takes VALUE±U; without U a stated default applies, with a caution. Units may be written:
    "0.5±0.02 W" and "500 mW ± 4 %" are both understood.
    """
    from nanolab.analysis.file_options import FileOptions, settings_of
    from nanolab.analysis.tables import ReadOptions

    if only_of_runs(assay, files):
        raise typer.Exit(
            int(analyze_runs(assay, files, given_options(context), ladder=ladder, out=out, as_json=as_json))
        )
    analyst = find_analyst(assay)
    check_used(analyst, given_options(context))
    if blank is not None and blank_dt_k is not None:
        raise UsageError("--blank and --blank-dt-k exclude each other: give the curve or its steady rise")
    if absorbance is not None and spectrum is not None:
        raise UsageError("--absorbance and --spectrum exclude each other: give the number or the spectrum")
    stated = {
        "power_w": power_w,
        "absorbance": absorbance,
        "window": window,
        "path_cm": path_cm,
        "ambient_c": ambient_c,
        "heat_capacity_j_per_k": heat_capacity_j_per_k,
        "liquid_heat_capacity_j_per_k": liquid_heat_capacity_j_per_k,
        "wall_heat_capacity_j_per_k": wall_heat_capacity_j_per_k,
        "albedo": albedo,
        "power_gain": power_gain,
        "thermometer_gain": thermometer_gain,
        "blank_dt_k": blank_dt_k,
        "blank_power_w": blank_power_w,
    }
    spectrum_file, spectrum_name = split_name(spectrum)
    read = ReadOptions(pairs("--map", columns), pairs("--where", where), tuple(invalid_value or ()), line_range(lines))
    options = FileOptions(
        files=files,
        read=read,
        quantities=quantities(stated),
        wavelength_nm=wavelength_nm,
        laser_on_s=laser_on_s,
        laser_off_s=laser_off_s,
        blank=blank,
        blank_where=pairs("--blank-where", blank_where),
        watts_per_duty=slope_and_offset(watts_per_duty),
        spectrum=spectrum_file,
        spectrum_name=spectrum_name,
        sample=sample,
        method=method,
        ladder=ladder,
        picture=out is not None,
        seed=seed,
        settings=settings_of(analyst, [*(settings or ()), *([] if rule is None else [f"rule={rule}"])]),
    )
    raise typer.Exit(int(run(analyst, options, out, as_json)))


def given_options(context: typer.Context) -> dict[str, str]:
    """Return the options that a call gave: name of the command's parameter to how it is written."""
    given = {}
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE" and parameter.name not in ALWAYS:
            given[str(parameter.name)] = parameter.opts[0]
    return given


def check_used(analyst: "FileAnalyst", given: Mapping[str, str]) -> None:
    """Raise UsageError for the first option that the analysis does not use, naming what it does use."""
    for name, written in given.items():
        if name not in analyst.file_options:
            raise UsageError(
                f"{written}: the analysis '{analyst.name}' does not use this option; "
                f"`nanolab analyses {analyst.name}` lists what it uses"
            )


def run(analyst: "FileAnalyst", options: "FileOptions", out: Path | None, as_json: bool) -> ExitCode:
    """Analyse, show and keep; returns the exit code."""
    if any((path / "docs.jsonl").is_file() for path in options.files):
        from nanolab.commands.reanalyze import reanalyze

        return reanalyze(analyst.name, options.files, ladder=options.ladder, out=out, as_json=as_json)
    count = len(options.files)
    sys.stderr.write(f"analysing {count} file{'' if count == 1 else 's'} with the method of '{analyst.name}'\n")
    report = analyst.analyze_files(options)
    document = contract(report)
    refusal = None
    if report.refused:
        names = ", ".join(report.refused)
        refusal = f"the data cannot support: {names}, though every input was given (see the cautions)"
        document["error"] = {"code": int(ExitCode.ANALYSIS_REFUSES), "message": refusal}
    if out is not None:
        keep(out, document, report)
    if as_json:
        sys.stdout.write(json.dumps(document, allow_nan=False) + "\n")
    else:
        from nanolab.commands.show import show_report

        show_report(report)
    if report.refused:
        names = ", ".join(report.refused)
        sys.stderr.write(f"the data cannot support: {names}, though every input was given (see the cautions)\n")
        return ExitCode.ANALYSIS_REFUSES
    return ExitCode.OK


def only_of_runs(name: str, paths: Sequence[Path]) -> bool:
    """Whether run folders are meant for a plan that has no analysis of files beside its own."""
    from nanolab.discovery import ANALYSES, PLANS, entry_points_of

    plan = name in entry_points_of(PLANS) and name not in entry_points_of(ANALYSES)
    return plan and any((path / "docs.jsonl").is_file() for path in paths)


def analyze_runs(
    name: str, folders: Sequence[Path], given: Mapping[str, str], *, ladder: bool, out: Path | None, as_json: bool
) -> ExitCode:
    """Analyse run folders of a plan again; UsageError for an option that speaks of files."""
    from nanolab.commands.reanalyze import reanalyze

    strange = [written for option, written in given.items() if option != "ladder"]
    if strange:
        raise UsageError(f"{strange[0]}: a run of '{name}' is analysed as it was made, this option is for files")
    return reanalyze(name, folders, ladder=ladder, out=out, as_json=as_json)


def find_analyst(name: str) -> "FileAnalyst":
    """Return the analysis of that name; UsageError otherwise."""
    from nanolab.discovery import ANALYSES, PLANS, entry_points_of, load

    if name in entry_points_of(PLANS) and name not in entry_points_of(ANALYSES):
        raise UsageError(f"the plan '{name}' has no analysis of files; give the folder of one of its runs")
    analyst: FileAnalyst = load(ANALYSES, name)
    return analyst


def contract(report: "Report") -> dict[str, Any]:
    """Return the machine-readable form: that of a run, with what only a run has at null."""
    document: dict[str, Any] = {
        "run": None,
        "runs": [],
        "prediction": None,
        "result": report.result,
        "verdict": None,
        "cautions": [dict(caution) for caution in report.cautions],
    }
    if report.ladder is not None:
        document["ladder"] = [dict(row) for row in report.ladder]
    return document


def keep(folder: Path, document: Mapping[str, Any], report: "Report") -> None:
    """Write result, ladder and picture into a folder; FileInvalidError where that cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "result.json").write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        if report.ladder is not None:
            from nanolab.commands.show import ladder_csv

            (folder / "ladder.csv").write_text(ladder_csv(report.ladder), encoding="utf-8")
        if report.figure_svg is not None:
            (folder / "figure.svg").write_bytes(report.figure_svg)
    except OSError as error:
        raise FileInvalidError(f"--out {folder}: cannot be written ({error.strerror})") from error
    sys.stderr.write(f"kept in {folder}\n")


def pairs(option: str, texts: Sequence[str] | None) -> dict[str, str]:
    """Read ``a=1,b=2`` and repetitions of it; UsageError for a text that is no pair or a name given twice."""
    found: dict[str, str] = {}
    # a heading may hold a comma; only --map lists several pairs in one text
    parts = [part for text in texts or () for part in (text.split(",") if option == "--map" else [text])]
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise UsageError(f"{option} {part}: write NAME=VALUE")
        if name.strip() in found:
            raise UsageError(f"{option}: '{name.strip()}' is given twice")
        found[name.strip()] = value.strip()
    return found


def quantities(stated: Mapping[str, str | None]) -> dict[str, "Quantity"]:
    """Read what was stated, each in its unit and range; UsageError names the option that does not fit."""
    from nanolab.analysis.file_options import QUANTITIES
    from nanolab.quantities import quantity_reader

    found = {}
    for name, text in stated.items():
        if text is None:
            continue
        unit, low, high = QUANTITIES[name]
        try:
            found[name] = quantity_reader(unit, low=low, high=high, exclusive_low=low == 0.0 and name != "albedo")(text)
        except ValueError as error:
            raise UsageError(f"--{name.replace('_', '-')}: {error}") from error
    return found


def line_range(text: str | None) -> tuple[int, int | None] | None:
    """Read ``FIRST:LAST``, either end open; UsageError otherwise."""
    if text is None:
        return None
    first, colon, last = text.partition(":")
    try:
        range_ = (int(first) if first else 1, int(last) if last else None)
    except ValueError as error:
        raise UsageError(f"--lines {text}: write FIRST:LAST, for example 624:") from error
    if not colon or range_[0] < 1 or (range_[1] is not None and range_[1] <= range_[0]):
        raise UsageError(f"--lines {text}: write FIRST:LAST, for example 624:")
    return range_


def slope_and_offset(text: str | None) -> tuple[float, float] | None:
    """Read ``SLOPE,OFFSET`` in watts; UsageError otherwise."""
    if text is None:
        return None
    try:
        slope, offset = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"--watts-per-duty {text}: write SLOPE,OFFSET in watts, for example 0.00703,-0.0661"
        ) from error
    if slope <= 0:
        raise UsageError(f"--watts-per-duty {text}: the slope must be positive")
    return slope, offset


def split_name(text: str | None) -> tuple[Path | None, str | None]:
    """Read ``FILE`` or ``FILE::NAME``."""
    if text is None:
        return None, None
    file, _, name = text.partition("::")
    return Path(file), name or None
