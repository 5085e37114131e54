"""Anybody's heating and cooling curves, read from text files into one plain form.

Columns are found by name and unit, or told by index or name; readings that cannot be true are marked, never
dropped; what stood between the data is reported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Caution
from nanolab.analysis.columns import Column, seconds_per, watts_per
from nanolab.analysis.delimited import Row, TextTable, read_table
from nanolab.analysis.selection import choose_columns, select_rows, several_curves
from nanolab.errors import FileInvalidError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

ABSOLUTE_ZERO_C = -273.15
_SHARED_AT_MOST = 4
_ON = {"on", "true", "yes", "1"}
_OFF = {"off", "false", "no", "0"}


@dataclass(frozen=True)
class CurveTable:
    """One curve of temperature against time, shape (n,) each.

    At least one of ``temperature_c`` (degC) and ``delta_k`` (K above the surroundings) is there; NaN where
    ``valid`` is False. ``laser_on`` is None where the file does not say. ``extra`` holds further columns:
    ``power_w`` (W), ``ambient_c`` (degC), ``duty`` and any other number, by heading. ``line`` is the line in
    the file.
    """

    path: Path
    label: str
    time_s: FloatArray
    temperature_c: FloatArray | None
    delta_k: FloatArray | None
    laser_on: BoolArray | None
    valid: BoolArray
    line: npt.NDArray[np.int64]
    extra: Mapping[str, FloatArray] = field(default_factory=dict)
    notes: Sequence[Caution] = ()


@dataclass(frozen=True)
class ReadOptions:
    """How to read a file.

    Parameters
    ----------
    columns : mapping
        Quantity, with or without unit, to column: an index from 0 or a heading (``{"time": "0", "T_K": "Probe
        1"}``).
    where : mapping
        Heading or index of a column to the value that its rows must have.
    invalid_values : sequence of float
        Readings, in the unit of the file, which this logger writes when it has none.
    lines : (first, last), optional
        Use only these lines of the file, numbered from 1.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    invalid_values: Sequence[float] = ()
    lines: tuple[int, int | None] | None = None


def read_curve(path: Path, options: ReadOptions | None = None) -> CurveTable:
    """Read one curve.

    Raises
    ------
    FileInvalidError
        Nothing to read, a missing column, text in a number column, time that goes back, fewer than two rows:
        the message names the file and the line or column.
    UsageError
        ``columns`` or ``where`` name what the file does not have; the nearest name is given.
    """
    options = options or ReadOptions()
    table = read_table(path, options.lines)
    chosen = choose_columns(table, options.columns)
    rows = select_rows(table, options.where)
    values = {kind: _numbers(table, rows, at, kind) for kind, (at, _) in chosen.items()}
    notes = remarks_of(table)
    time_s = values["time"] * seconds_per(chosen["time"][1].unit)
    rows, keep = _complete_time(table, rows, time_s, notes)
    values = {kind: column[keep] for kind, column in values.items()}
    line = np.array([row.line for row in rows], dtype=np.int64)
    _check_time(table, time_s[keep], line, options.where)
    curve = _curve(table, chosen, values, time_s[keep], line, options, notes)
    return _merge_shared_stamps(curve)


def _curve(
    table: TextTable,
    chosen: Mapping[str, tuple[int, Column]],
    values: Mapping[str, FloatArray],
    time_s: FloatArray,
    line: npt.NDArray[np.int64],
    options: ReadOptions,
    notes: list[Caution],
) -> CurveTable:
    valid = np.ones(time_s.size, dtype=np.bool_)
    for kind in ("temperature", "delta_T"):
        if kind in values:
            valid &= _believable(values[kind], options.invalid_values)
    temperature = delta = None
    if "temperature" in values:
        temperature = _degrees(table, values["temperature"], chosen["temperature"][1], valid, notes)
        valid &= temperature >= ABSOLUTE_ZERO_C
        temperature = np.where(valid, temperature, np.nan)
    if "delta_T" in values:
        scale = 5.0 / 9.0 if chosen["delta_T"][1].unit == "degF" else 1.0
        delta = np.where(valid, values["delta_T"] * scale, np.nan)
    _count_invalid(table, valid, line, options.invalid_values, notes)
    extra: dict[str, FloatArray] = {}
    if "power" in values:
        extra["power_w"] = values["power"] * watts_per(chosen["power"][1].unit)
    if "ambient" in values:
        ambient = values["ambient"]
        true = _believable(ambient, options.invalid_values)
        extra["ambient_c"] = _degrees(table, np.where(true, ambient, np.nan), chosen["ambient"][1], true, [])
    if "duty" in values:
        extra["duty"] = values["duty"]
    laser_on = _laser(table, values, extra, line, notes)
    label = table.path.stem + "".join(f" {name}={value}" for name, value in options.where.items())
    return CurveTable(table.path, label, time_s, temperature, delta, laser_on, valid, line, extra, tuple(notes))


def _numbers(table: TextTable, rows: Sequence[Row], index: int, kind: str) -> FloatArray:
    name = table.header[index] if table.header else f"number {index}"
    numbers = np.full(len(rows), np.nan)
    for i, row in enumerate(rows):
        if index >= len(row.fields):
            if row is rows[-1]:
                continue  # a log cut off in mid-line: told by _complete_time or as an invalid reading
            raise FileInvalidError(f"{table.path}, line {row.line}: the line ends before column '{name}'")
        text = row.fields[index]
        number = table.number(text)
        if number is None and kind == "laser_on" and text.lower() in _ON | _OFF:
            number = float(text.lower() in _ON)
        if number is None:
            raise FileInvalidError(f"{table.path}, line {row.line}: '{text}' in column '{name}' is not a number")
        numbers[i] = number
    return numbers


def _complete_time(
    table: TextTable, rows: Sequence[Row], time_s: FloatArray, notes: list[Caution]
) -> tuple[list[Row], BoolArray]:
    keep = np.isfinite(time_s)
    bad = np.flatnonzero(~keep)
    if bad.size == 1 and bad[0] == time_s.size - 1:
        notes.append(Caution("line_incomplete", f"line {rows[-1].line} is cut off and was left out"))
    elif bad.size:
        raise FileInvalidError(f"{table.path}, line {rows[bad[0]].line}: there is no time")
    return [row for row, kept in zip(rows, keep, strict=True) if kept], keep


def _check_time(table: TextTable, time_s: FloatArray, line: npt.NDArray[np.int64], where: Mapping[str, str]) -> None:
    if time_s.size < 2 or np.ptp(time_s) == 0:
        raise FileInvalidError(f"{table.path}: {len(set(time_s))} moment in time is no curve; at least two are needed")
    steps = np.diff(time_s)
    several = several_curves(table, where)
    back = np.flatnonzero(steps < 0)
    if back.size:
        at = int(back[0]) + 1
        raise FileInvalidError(
            f"{table.path}, line {line[at]}: time goes back from {time_s[at - 1]:g} s to {time_s[at]:g} s; "
            + (several or f"read one part of the file with --lines {line[at]}:")
        )
    longest = max(np.diff(np.flatnonzero(np.r_[True, steps > 0, True])))
    # a logger that stamps whole seconds repeats a stamp two or three times; more of them are several probes
    if longest > (1 if several else _SHARED_AT_MOST):
        at = int(np.flatnonzero(steps == 0)[0]) + 1
        raise FileInvalidError(
            f"{table.path}, line {line[at]}: {longest} readings have the same time; "
            + (several or "choose one series with --where COLUMN=VALUE")
        )


def _believable(values: FloatArray, invalid_values: Sequence[float]) -> BoolArray:
    good: BoolArray = np.isfinite(values)
    for declared in invalid_values:
        good &= ~np.isclose(values, declared, rtol=1e-9, atol=1e-9)
    return good


def _degrees(
    table: TextTable, values: FloatArray, column: Column, valid: BoolArray, notes: list[Caution]
) -> FloatArray:
    if column.unit == "K":
        return values + ABSOLUTE_ZERO_C
    if column.unit == "degF":
        return (values - 32.0) / 1.8
    if column.unit is None and np.any(valid):
        if np.median(values[valid]) > 200.0:
            raise FileInvalidError(
                f"{table.path}: the temperatures lie around {np.median(values[valid]):.0f} and have no unit; "
                "if they are kelvin, say --map temperature_K=COLUMN"
            )
        notes.append(Caution("unit_assumed", "the temperatures carry no unit and are taken as degC"))
    return values


def _count_invalid(
    table: TextTable,
    valid: BoolArray,
    line: npt.NDArray[np.int64],
    invalid_values: Sequence[float],
    notes: list[Caution],
) -> None:
    bad = np.flatnonzero(~valid)
    if bad.size == valid.size:
        raise FileInvalidError(f"{table.path}: none of the {valid.size} readings is valid")
    if bad.size:
        where = ", ".join(str(n) for n in line[bad[:5]]) + (", ..." if bad.size > 5 else "")
        text = f"{bad.size} of {valid.size} readings are invalid and were not used (line {where})"
        notes.append(Caution("invalid_readings", text))
    elif invalid_values:
        declared = ", ".join(f"{value:g}" for value in invalid_values)
        notes.append(Caution("invalid_value_absent", f"no reading has the value declared invalid ({declared})"))


def _laser(
    table: TextTable,
    values: Mapping[str, FloatArray],
    extra: Mapping[str, FloatArray],
    line: npt.NDArray[np.int64],
    notes: list[Caution],
) -> BoolArray | None:
    """Return when the laser was on, by its own column or else by duty or power."""
    if "laser_on" in values:
        state = values["laser_on"]
        odd = np.flatnonzero(~np.isin(state, (0.0, 1.0)))
        if odd.size:
            raise FileInvalidError(
                f"{table.path}, line {line[odd[0]]}: the laser is on (1) or off (0), not {state[odd[0]]:g}"
            )
        return state > 0.5
    for name, words in (
        ("duty", "the duty is above zero"),
        ("power_w", "the power is above half of its highest"),
    ):
        if name in extra:
            level = extra[name]
            top = float(np.nanmax(level)) if np.any(np.isfinite(level)) else 0.0
            threshold = 0.0 if name == "duty" else 0.5 * max(top, 0.0)
            notes.append(Caution("laser_from_" + name, f"the laser is taken as on where {words}"))
            return np.nan_to_num(level) > threshold
    return None


def remarks_of(table: TextTable) -> list[Caution]:
    """Return a caution that names the lines of a table which are neither heading nor data, if there are any."""
    if not table.remarks:
        return []
    shown = "; ".join(f"{n}: '{text[:60]}'" for n, text in table.remarks[:3])
    more = f" and {len(table.remarks) - 3} more" if len(table.remarks) > 3 else ""
    return [Caution("text_lines", f"{len(table.remarks)} lines hold text and were passed over (line {shown}{more})")]


def _merge_shared_stamps(curve: CurveTable) -> CurveTable:
    """Average readings that share a time stamp: the stamp is coarser than the readings."""
    starts = np.flatnonzero(np.r_[True, np.diff(curve.time_s) > 0])
    if starts.size == curve.time_s.size:
        return curve
    counts = np.diff(np.r_[starts, curve.time_s.size])
    valid_count = np.add.reduceat(curve.valid.astype(float), starts)

    def mean(values: FloatArray | None) -> FloatArray | None:
        if values is None:
            return None
        total = np.add.reduceat(np.where(curve.valid, values, 0.0), starts)
        return np.where(valid_count > 0, total / np.maximum(valid_count, 1.0), np.nan)

    note = Caution("time_shared", f"{int(counts[counts > 1].sum())} readings share a time stamp and were averaged")
    return replace(
        curve,
        time_s=curve.time_s[starts],
        temperature_c=mean(curve.temperature_c),
        delta_k=mean(curve.delta_k),
        laser_on=None if curve.laser_on is None else curve.laser_on[starts],
        valid=valid_count > 0,
        line=curve.line[starts],
        extra={name: values[starts] for name, values in curve.extra.items()},
        notes=(*curve.notes, note),
    )
