"""Which columns and rows of a text table make the curve that was asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nanolab.analysis.columns import Column, parse_map_key, understand
from nanolab.analysis.delimited import Row, TextTable
from nanolab.errors import FileInvalidError, UsageError, nearest


def choose_columns(table: TextTable, wanted: Mapping[str, str]) -> dict[str, tuple[int, Column]]:
    """Return kind -> (index, meaning), by the map first and by heading for the rest.

    FileInvalidError where time or temperature is missing, ambiguous or in a wrong unit; UsageError where the
    map names what is not there.
    """
    chosen: dict[str, tuple[int, Column]] = {}
    for key, where in wanted.items():
        asked = parse_map_key(key)
        index = column_index(table, where, f"--map {key}={where}")
        heading = understand(table.header[index]) if table.header else Column(None, None)
        same = heading.kind == asked.kind and heading.problem is None
        unit = asked.unit or (heading.unit if same else None)
        chosen[str(asked.kind)] = (index, replace(asked, unit=unit))
    taken, told = {index for index, _ in chosen.values()}, set(chosen)
    problems = []
    for index, heading_text in enumerate(table.header or ()):
        column = understand(heading_text)
        if column.kind is None or index in taken or column.kind in told:
            continue
        if column.problem is not None:
            problems.append(f"column '{heading_text}': {column.problem}")
        elif column.kind in chosen:
            first = (table.header or ())[chosen[column.kind][0]]
            raise FileInvalidError(
                f"{table.path}: columns '{first}' and '{heading_text}' could both be the {column.kind}; "
                f"say which with --map {column.kind}=NAME"
            )
        else:
            chosen[column.kind] = (index, column)
    _check_complete(table, chosen, problems)
    return chosen


def _check_complete(table: TextTable, chosen: Mapping[str, object], problems: Sequence[str]) -> None:
    missing = [] if "time" in chosen else ["time (for example time_s)"]
    if "temperature" not in chosen and "delta_T" not in chosen:
        missing.append("temperature (for example T_C or delta_T_C)")
    if not missing:
        return
    if problems:
        raise FileInvalidError(f"{table.path}: {problems[0]}; name the unit in the heading or with --map")
    if table.header is None:
        count = len(table.rows[0].fields) if table.rows else 0
        raise FileInvalidError(
            f"{table.path}: the file has no headings for its {count} columns; "
            "say which is which, for example --map time=0,temperature=1"
        )
    raise FileInvalidError(
        f"{table.path}: no column for {' nor '.join(missing)}; its columns are "
        f"{', '.join(repr(name) for name in table.header)}: say which with --map"
    )


def column_index(table: TextTable, name: str, asked: str) -> int:
    """Return which column a heading or a number (from 0) means; UsageError, beginning with `asked`, otherwise."""
    headings = list(table.header or ())
    if name in headings:
        return headings.index(name)
    width = max((len(row.fields) for row in table.rows), default=0)
    if name.isdigit():
        if int(name) < width:
            return int(name)
        raise UsageError(f"{asked}: {table.path} has {width} columns, numbered from 0 to {width - 1}")
    if not headings:
        raise UsageError(f"{asked}: {table.path} has no headings; give the number of the column, from 0")
    raise UsageError(f"{asked}: {table.path} has no column '{name}'; {nearest(name, headings)}")


def select_rows(table: TextTable, where: Mapping[str, str], fewest: int = 2) -> list[Row]:
    """Return the rows whose columns have the values asked for; UsageError names the nearest known one.

    FileInvalidError where fewer than `fewest` rows are left.
    """
    rows = list(table.rows)
    for name, value in where.items():
        asked = f"--where {name}={value}"
        index = column_index(table, name, asked)
        texts = [row.fields[index] if index < len(row.fields) else "" for row in rows]
        number = table.number(value)
        same = [
            text == value or (number is not None and number == number and table.number(text) == number)
            for text in texts
        ]
        if not any(same):
            known = sorted(set(texts))
            raise UsageError(f"{asked}: {table.path} has no such value in '{name}'; {nearest(value, known[:50])}")
        rows = [row for row, keep in zip(rows, same, strict=True) if keep]
    if len(rows) < fewest:
        raise FileInvalidError(f"{table.path}: {len(rows)} row of data is no curve; at least two are needed")
    return rows


def several_curves(table: TextTable, where: Mapping[str, str]) -> str:
    """Return what to say where a column of text has more than one value: the file holds several curves."""
    for index, name in enumerate(table.header or ()):
        texts = list(dict.fromkeys(row.fields[index] for row in table.rows if index < len(row.fields)))
        if name not in where and 1 < len(texts) <= 50 and any(table.number(text) is None for text in texts):
            return f"it seems to hold several curves: choose one, for example --where {name}={texts[0]}"
    return ""
