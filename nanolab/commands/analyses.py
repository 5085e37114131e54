"""`nanolab analyses [NAME]`: which files can be analysed, and every option and parameter of an analysis."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanolab.commands.output import AsJson, write_json, write_line, write_table
from nanolab.commands.plans import parameter_as_dict, parameter_row

if TYPE_CHECKING:
    from nanolab.analysis.file_options import FileAnalyst

HEADINGS = ("parameter", "type", "unit", "default", "limits", "meaning")


def command(
    name: Annotated[str | None, typer.Argument(help="An analysis, to see what it takes.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the analyses of files, or with NAME every option and parameter of one."""
    from nanolab.discovery import ANALYSES, entry_points_of, load

    if name is not None:
        _show(load(ANALYSES, name), as_json)
        return
    known: list[FileAnalyst] = [load(ANALYSES, one) for one in entry_points_of(ANALYSES)]
    if as_json:
        write_json({"analyses": [{"name": one.name, "summary": one.summary} for one in known]})
        return
    write_table(("analysis", "what it does"), [(one.name, one.summary) for one in known])
    write_line()
    write_line("nanolab analyses NAME shows what it takes; nanolab analyze NAME FILE... analyses.")


def _show(analyst: "FileAnalyst", as_json: bool) -> None:
    parameters = analyst.file_parameters()
    options = option_names(analyst)
    if as_json:
        document: dict[str, Any] = {"name": analyst.name, "summary": analyst.summary, "options": options}
        write_json(document | {"parameters": [parameter_as_dict(one) for one in parameters]})
        return
    write_line(f"{analyst.name}: {analyst.summary}")
    write_line(f"options: {' '.join(options)}")
    if parameters:
        write_table(HEADINGS, [parameter_row(one) for one in parameters])


def option_names(analyst: "FileAnalyst") -> list[str]:
    """Return the options of `nanolab analyze` that an analysis uses, as they are written."""
    import typer.main

    from nanolab.commands.analyze import command as analyze

    app = typer.Typer()
    app.command()(analyze)
    return [p.opts[0] for p in typer.main.get_command(app).params if p.name in analyst.file_options]
