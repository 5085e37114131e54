"""Reference and test units from one file, wide or long, for the comparison of profiles."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Cautions
from nanolab.analysis.delimited import Row, TextTable
from nanolab.analysis.selection import column_index
from nanolab.errors import FileInvalidError, UsageError, nearest
from plans.release.columns import TIME_UNITS, Column, choose, only
from plans.release.profiles import HIGHEST_PERCENT, LOWEST_PERCENT, numbers

Array = npt.NDArray[np.float64]

_TIME_IN_HEADING = re.compile(r"^(?:t|time)?[\s._]*(\d+\.?\d*)[\s._]*([a-z]*)$", re.IGNORECASE)


@dataclass(frozen=True)
class Product:
    """Units of one product: percent released, (units, times)."""

    name: str
    units: Array


@dataclass(frozen=True)
class Products:
    """Reference and tests at the same times (n,) in ``time_unit``, which is empty where the file does not tell it."""

    times: Array
    time_unit: str
    reference: Product
    tests: Sequence[Product]


def products_of(
    table: TextTable, rows: Sequence[Row], wanted: Mapping[str, str], settings: Mapping[str, object], cautions: Cautions
) -> Products:
    """Read reference and tests; FileInvalidError or UsageError name the place where that cannot be done."""
    columns = _times_in_heading(table)
    if columns and not wanted:
        product = _product_column(table, rows, settings, {column.index for column, _ in columns})
        units = {name: _wide_units(table, members, columns) for name, members in _by(rows, product).items()}
        times = np.array([time for _, time in columns])
        if np.any(np.diff(times) <= 0):
            raise FileInvalidError(f"{table.path}: the times in the headings do not rise")
    else:
        times, units = _long_units(table, rows, wanted, settings, cautions)
    unit = str(settings["time_unit"] or _heading_unit(table, columns) or "")
    reference, tests = _names(table, list(units), settings)
    for name, block in units.items():
        _check(table, name, block)
    return Products(times, unit, Product(reference, units[reference]), [Product(name, units[name]) for name in tests])


def _times_in_heading(table: TextTable) -> list[tuple[Column, float]]:
    """Return the columns whose headings are times, such as ``t.30`` or ``15 min``; empty where fewer than two are."""
    found = []
    for index, name in enumerate(table.header or ()):
        match = _TIME_IN_HEADING.match(name)
        if match and (not match[2] or match[2].lower() in TIME_UNITS):
            found.append((Column(index, name, TIME_UNITS.get(match[2].lower())), float(match[1])))
    return found if len(found) > 1 else []


def _heading_unit(table: TextTable, columns: Sequence[tuple[Column, float]]) -> str | None:
    if columns:
        return columns[0][0].unit
    time = choose(table, {}, ("time",)).get("time", ())
    return time[0].unit if time else None


def _product_column(table: TextTable, rows: Sequence[Row], settings: Mapping[str, object], taken: set[int]) -> int:
    asked = settings["product"]
    if asked is not None:
        return column_index(table, str(asked), f"--set product={asked}")
    for index in range(len(table.header or ())):
        texts = {row.fields[index] for row in rows if index < len(row.fields)}
        if index not in taken and len(texts) > 1 and all(table.number(text) is None for text in texts):
            return index
    raise FileInvalidError(
        f"{table.path}: no column of text tells reference and test apart; say which with --set product=COLUMN"
    )


def _by(rows: Sequence[Row], index: int) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.fields[index] if index < len(row.fields) else "", []).append(row)
    return groups


def _wide_units(table: TextTable, rows: Sequence[Row], columns: Sequence[tuple[Column, float]]) -> Array:
    block = np.column_stack([numbers(table, rows, column) for column, _ in columns])
    missing = np.argwhere(~np.isfinite(block))
    if missing.size:
        row, column = missing[0]
        raise FileInvalidError(f"{table.path}, line {rows[row].line}: no value in column '{columns[column][0].name}'")
    return block


def _long_units(
    table: TextTable, rows: Sequence[Row], wanted: Mapping[str, str], settings: Mapping[str, object], cautions: Cautions
) -> tuple[Array, dict[str, Array]]:
    chosen = choose(table, wanted, ("time", "release", "unit"))
    time, release = only(table, chosen, "time", "time_min"), only(table, chosen, "release", "release_percent")
    unit = chosen["unit"][0] if "unit" in chosen else None
    taken = {column.index for column in (time, release, unit) if column is not None}
    groups = _by(rows, _product_column(table, rows, settings, taken))
    times = np.unique(numbers(table, rows, time))
    if not np.all(np.isfinite(times)):
        raise FileInvalidError(f"{table.path}: a row has no time in column '{time.name}'")
    blocks = {}
    for name, members in groups.items():
        units = _by(members, unit.index) if unit is not None else {"mean": members}
        blocks[name] = np.array([_unit(table, one, name, key, times, (time, release)) for key, one in units.items()])
    if unit is None:
        cautions.add("no_units", "no column tells the units apart: the values are taken as means, without an interval")
    factor = 100.0 if release.unit == "1" else 1.0
    return times, {name: factor * block for name, block in blocks.items()}


def _unit(
    table: TextTable, rows: Sequence[Row], product: str, unit: str, times: Array, columns: tuple[Column, Column]
) -> Array:
    when, values = (numbers(table, rows, column) for column in columns)
    order = np.argsort(when, kind="stable")
    if when.size != times.size or np.any(when[order] != times) or not np.all(np.isfinite(values)):
        raise FileInvalidError(
            f"{table.path}, line {rows[0].line}: unit '{unit}' of '{product}' has {np.count_nonzero(np.isfinite(values))} "
            f"values for {times.size} times; every unit needs one at each time, and a column for the unit"
        )
    return values[order]


def _names(table: TextTable, names: Sequence[str], settings: Mapping[str, object]) -> tuple[str, list[str]]:
    """Return the names of the reference and of the tests."""
    reference = settings["reference"]
    if reference is None:
        like = [name for name in names if name.lower().startswith("r")]
        if len(like) != 1:
            raise FileInvalidError(
                f"{table.path}: which of {', '.join(repr(name) for name in names[:6])} is the reference is not plain; "
                "say so with --set reference=NAME"
            )
        reference = like[0]
    test = settings["test"]
    for option, name in (("reference", reference), ("test", test)):
        if name is not None and name not in names:
            raise UsageError(f"--set {option}={name}: {table.path} has no such product; {nearest(str(name), [*names])}")
    tests = [str(test)] if test is not None else [name for name in names if name != reference]
    if not tests or reference in tests:
        raise UsageError(
            f"{table.path}: there is nothing beside '{reference}' to compare; see --set product and --set test"
        )
    return str(reference), tests


def _check(table: TextTable, name: str, units: Array) -> None:
    worst = units.flat[int(np.argmax(np.abs(units)))]
    if worst > HIGHEST_PERCENT or np.min(units) < LOWEST_PERCENT:
        raise FileInvalidError(
            f"{table.path}: '{name}' holds a release of {worst:.4g} %; check the unit and the columns"
        )
