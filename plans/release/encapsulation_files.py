"""`nanolab analyze encapsulation`: efficiency and loading of each preparation in a table, their mean and spread."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nanolab.analysis.cautions import Cautions
from nanolab.analysis.delimited import Row, TextTable, read_table
from nanolab.analysis.encapsulation import encapsulation_efficiency, loading_capacity
from nanolab.analysis.file_options import FileOptions
from nanolab.analysis.selection import select_rows
from nanolab.analysis.tables import remarks_of
from nanolab.assay import Report
from nanolab.errors import FileInvalidError
from nanolab.quantities import Quantity
from plans.release.columns import Column, choose, concentration_factor, only
from plans.release.profiles import numbers

KINDS = ("total", "free", "particles")
WORDS = {"encapsulation_efficiency": "encapsulation efficiency", "loading_capacity": "loading capacity"}


def analyze_encapsulation(options: FileOptions) -> Report:
    """Analyse the files of one call of `nanolab analyze encapsulation`.

    Columns ``total``, ``free`` and, for the loading, ``particles`` with their cargo, each a mass per volume of the
    same dispersion. FileInvalidError where one is missing, has no unit, or a row cannot be.
    """
    cautions = Cautions()
    each: list[dict[str, Any]] = []
    for path in options.files:
        table = read_table(path, options.read.lines)
        for note in remarks_of(table):
            cautions.add(note.code, note.text)
        rows = select_rows(table, options.read.where, fewest=1)
        each += _preparations(table, rows, options, cautions)
    result: dict[str, Any] = {"each": each} if len(each) > 1 else {}
    for name in WORDS:
        mean, spread = _mean([one[name] for one in each])
        result[name] = None if mean is None else mean.to_json()
        result[f"{name}_spread"] = None if spread is None else spread.to_json()
    json_each = [{key: _json(value) for key, value in one.items()} for one in each]
    if len(each) > 1:
        result["each"] = json_each
    return Report(
        result=result,
        verdict=None,
        cautions=[caution.to_json() for caution in cautions],
        rows=_rows(each, result),
    )


def _json(value: object) -> object:
    return value.to_json() if isinstance(value, Quantity) else value


def _preparations(
    table: TextTable, rows: Sequence[Row], options: FileOptions, cautions: Cautions
) -> list[dict[str, Any]]:
    chosen = choose(table, options.read.columns, KINDS)
    columns = {kind: only(table, chosen, kind, f"{kind}_ug_per_ml") for kind in ("total", "free")}
    if "particles" in chosen:
        columns["particles"] = only(table, chosen, "particles", "particles_ug_per_ml")
    else:
        cautions.add("particles_missing", "no column tells the mass of the particles: there is no loading capacity")
    values = {
        kind: _quantities(table, rows, column, kind, options.settings, cautions) for kind, column in columns.items()
    }
    label = next((i for i in range(len(table.header or ())) if _is_text(table, rows, i)), None)
    found = []
    for index, row in enumerate(rows):
        name = f"line {row.line}" if label is None else row.fields[label]
        try:
            one: dict[str, Any] = {
                "name": name,
                "encapsulation_efficiency": encapsulation_efficiency(values["total"][index], values["free"][index]),
                "loading_capacity": None,
            }
            if "particles" in values:
                three = (values[kind][index] for kind in KINDS)
                one["loading_capacity"] = loading_capacity(*three)
        except ValueError as error:
            raise FileInvalidError(f"{table.path}, line {row.line}: {error}") from error
        if one["encapsulation_efficiency"].value < 0:
            cautions.add("more_free_than_total", f"{name}: there is more free cargo than cargo: a calibration is off")
        found.append(one)
    return found


def _is_text(table: TextTable, rows: Sequence[Row], index: int) -> bool:
    return all(index < len(row.fields) and table.number(row.fields[index]) is None for row in rows)


def _quantities(
    table: TextTable, rows: Sequence[Row], column: Column, kind: str, settings: Mapping[str, Any], cautions: Cautions
) -> list[Quantity]:
    factor = concentration_factor(table, column)
    relative = settings[f"{kind}_u_percent"]
    if relative is None:
        cautions.add(
            "uncertainty_missing", f"the uncertainty of '{column.name}' was not stated (--set {kind}_u_percent=…)"
        )
    found = []
    for value, row in zip(numbers(table, rows, column), rows, strict=True):
        if not np.isfinite(value):
            raise FileInvalidError(f"{table.path}, line {row.line}: no value in column '{column.name}'")
        u = None if relative is None else abs(value) * factor * relative / 100.0
        found.append(Quantity(float(value * factor), "ug/mL", u))
    return found


def _mean(values: Sequence[Quantity | None]) -> tuple[Quantity | None, Quantity | None]:
    """Return mean and spread between preparations; the readings' own uncertainty is shared by all of them."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not known:
        return None, None
    if len(known) == 1:
        return known[0], None
    array = np.array([value.value for value in known])
    spread = float(array.std(ddof=1))
    shared = float(np.mean([value.standard_uncertainty or 0.0 for value in known]))
    return Quantity(float(array.mean()), "%", float(np.hypot(shared, spread / np.sqrt(array.size)))), Quantity(
        spread, "%"
    )


def _rows(each: Sequence[Mapping[str, Any]], result: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for name, words in WORDS.items():
        mean, spread = result[name], result[f"{name}_spread"]
        if mean is None:
            continue
        text = str(Quantity(mean["value"], mean["unit"], mean["standard_uncertainty"]))
        rows.append((words, text if spread is None else f"{text}, spread {spread['value']:.2g} %"))
        if len(each) > 1:
            rows += [(f"  {one['name']}", str(one[name])) for one in each]
    return rows
