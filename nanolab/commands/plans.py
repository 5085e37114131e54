"""`nanolab plans [NAME]`: what can be run, and every parameter of it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanolab.commands.output import AsJson, write_json, write_line, write_table

if TYPE_CHECKING:
    from nanolab.assay import Assay, Parameter


def command(
    name: Annotated[str | None, typer.Argument(help="A plan, to see its parameters.")] = None, as_json: AsJson = False
) -> None:
    """List the plans, or with NAME every parameter of one: type, unit, default, limits, meaning."""
    from nanolab.discovery import PLANS, entry_points_of, load

    if name is None:
        assays: list[Assay] = [load(PLANS, known) for known in entry_points_of(PLANS)]
        _list(assays, as_json)
    else:
        _show(load(PLANS, name), as_json)


def _list(assays: "list[Assay]", as_json: bool) -> None:
    if as_json:
        rows = [{"name": a.name, "summary": a.summary, "emits": a.emits, "needs": list(a.roles)} for a in assays]
        write_json({"plans": rows})
        return
    write_table(("plan", "laser", "what it does"), [(a.name, "on" if a.emits else "off", a.summary) for a in assays])
    write_line()
    write_line("nanolab plans NAME shows the parameters; nanolab run NAME --set PARAMETER=VALUE sets them.")


def _show(assay: "Assay", as_json: bool) -> None:
    parameters = assay.parameters()
    if as_json:
        write_json(
            {"name": assay.name, "summary": assay.summary, "parameters": [parameter_as_dict(p) for p in parameters]}
        )
        return
    write_line(f"{assay.name}: {assay.summary}")
    write_line(f"needs: {', '.join(assay.roles)}")
    write_table(("parameter", "type", "unit", "default", "limits", "meaning"), [parameter_row(p) for p in parameters])


def parameter_row(parameter: "Parameter") -> tuple[str, str, str, str, str, str]:
    """Return what a table says of a parameter: name, type, unit, default, limits, meaning."""
    return (
        parameter.name,
        parameter.kind,
        "" if parameter.unit == "1" else parameter.unit,
        "by rule" if parameter.default is None else str(parameter.default),
        limits_in_words(parameter),
        parameter.meaning,
    )


def limits_in_words(parameter: "Parameter") -> str:
    """Return what a parameter may be, short enough for a table: choices, or low…high."""
    if parameter.choices:
        return "|".join(parameter.choices)
    low, high = parameter.low, parameter.high
    if low is None and high is None:
        return ""
    return f"{'' if low is None else f'{low:g}'}…{'' if high is None else f'{high:g}'}"


def parameter_as_dict(parameter: "Parameter") -> dict[str, Any]:
    """Return a parameter in machine-readable form."""
    return {
        "name": parameter.name,
        "type": parameter.kind,
        "unit": parameter.unit,
        "default": parameter.default,
        "low": parameter.low,
        "high": parameter.high,
        "choices": list(parameter.choices),
        "meaning": parameter.meaning,
    }
