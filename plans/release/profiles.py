"""Release profiles from text tables: one or several in a file, as percent or as concentrations of samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Caution, Cautions
from nanolab.analysis.delimited import Row, TextTable
from nanolab.analysis.selection import column_index
from nanolab.analysis.tables import remarks_of
from nanolab.errors import FileInvalidError
from plans.release.columns import Column, choose, concentration_factor, only

Array = npt.NDArray[np.float64]

HIGHEST_PERCENT, LOWEST_PERCENT = 120.0, -20.0
"""Beyond these a number is no release: the dose, the unit or the column is wrong."""

KINDS = ("time", "release_sd", "release", "concentration", "unit")
FEWEST_POINTS = 2


@dataclass(frozen=True)
class Profile:
    """One profile, (n,) each: times in ``time_unit`` increasing, and release in percent or concentration in ug/mL.

    ``sd`` is the stated standard deviation of each value, or that of the mean of replicates; None where unknown.
    ``units`` is how many replicates a value is the mean of. ``line`` is the line in the file.
    """

    label: str
    time: Array
    values: Array
    is_percent: bool
    sd: Array | None
    sd_from: str | None
    units: int
    line: npt.NDArray[np.int64]
    time_unit: str
    notes: Sequence[Caution] = field(default_factory=tuple)


@dataclass(frozen=True)
class _Layout:
    table: TextTable
    time: Column
    values: Sequence[Column]
    is_percent: bool
    sd: Column | None
    unit: Column | None
    group: Sequence[int]
    time_unit: str
    group_stated: bool


def profiles_of(
    table: TextTable, rows: Sequence[Row], wanted: Mapping[str, str], group: str | None, time_unit: str | None
) -> list[Profile]:
    """Return the profiles of a table's rows in the order of the file.

    Parameters
    ----------
    wanted : mapping
        What `--map` says.
    group : str, optional
        Heading or number of the column that tells the profiles apart; None: columns of text do.
    time_unit : str, optional
        Unit of the times where the heading gives none: s, min, h or d.

    Raises
    ------
    FileInvalidError
        A missing column, text among numbers, a negative time, time that goes back, a release beyond belief.
    """
    cautions = Cautions(remarks_of(table))
    layout = _layout(table, rows, wanted, group, time_unit, cautions)
    profiles = []
    for key, members in _grouped(layout, rows).items():
        for column in layout.values:
            label = " ".join(key) or table.path.stem
            if len(layout.values) > 1:
                label = f"{label} {column.name}" if key else column.name
            profiles.append(_profile(layout, column, members, label, tuple(cautions)))
    return profiles


def _layout(
    table: TextTable, rows: Sequence[Row], wanted: Mapping[str, str], group: str | None, time_unit: str | None,
    cautions: Cautions,
) -> _Layout:  # fmt: skip
    chosen = choose(table, wanted, KINDS)
    time = only(table, chosen, "time", "time_h")
    percent = "release" in chosen
    values = chosen.get("release") or [only(table, chosen, "concentration", "release_percent")]
    sd = None
    if "release_sd" in chosen and len(values) == 1:
        sd = only(table, chosen, "release_sd", "release_sd")
    unit = chosen["unit"][0] if "unit" in chosen else None
    taken = {time.index, *(column.index for column in values)}
    taken |= {column.index for column in (sd, unit) if column is not None}
    groups = (
        [column_index(table, group, f"--set group={group}")] if group is not None else _text_columns(table, rows, taken)
    )
    if unit is not None and unit.index in groups:
        unit = None
    used = time.unit or time_unit
    if used is None:
        used = "h"
        cautions.add("unit_assumed", "the times carry no unit and are taken as hours; say --set time_unit=…")
    if used not in {"s", "min", "h", "d"}:
        raise FileInvalidError(f"{table.path}: column '{time.name}': '{used}' is no unit of time (s, min, h, d)")
    return _Layout(table, time, values, percent, sd, unit, groups, used, group is not None)


def _text_columns(table: TextTable, rows: Sequence[Row], taken: set[int]) -> list[int]:
    """Return the columns of text with more than one value: they tell profiles apart."""
    found = []
    for index in range(len(table.header or ())):
        texts = {row.fields[index] for row in rows if index < len(row.fields)}
        if index not in taken and len(texts) > 1 and any(table.number(text) is None for text in texts):
            found.append(index)
    return found


def _grouped(layout: _Layout, rows: Sequence[Row]) -> dict[tuple[str, ...], list[Row]]:
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        key = tuple(row.fields[index] if index < len(row.fields) else "" for index in layout.group)
        groups.setdefault(key, []).append(row)
    return groups


def numbers(table: TextTable, rows: Sequence[Row], column: Column) -> Array:
    """Return a column of numbers (n,), NaN where a field is empty; FileInvalidError names the line of a text."""
    found = []
    for row in rows:
        text = row.fields[column.index] if column.index < len(row.fields) else ""
        number = table.number(text)
        if number is None:
            raise FileInvalidError(f"{table.path}, line {row.line}: '{text}' in column '{column.name}' is not a number")
        found.append(number)
    return np.array(found)


def _profile(layout: _Layout, column: Column, rows: Sequence[Row], label: str, notes: Sequence[Caution]) -> Profile:
    table = layout.table
    time, values = numbers(table, rows, layout.time), numbers(table, rows, column)
    sd = None if layout.sd is None else numbers(table, rows, layout.sd)
    line = np.array([row.line for row in rows], dtype=np.int64)
    cautions = Cautions(list(notes))
    missing = ~(np.isfinite(time) & np.isfinite(values))
    if np.any(missing):
        where = ", ".join(str(n) for n in line[missing][:5])
        cautions.add(
            "missing_values", f"{label}: {np.count_nonzero(missing)} rows without a value were left out (line {where})"
        )
    good = ~missing
    time, values, line = time[good], values[good], line[good]
    sd = None if sd is None else sd[good]
    if np.any(time < 0):
        at = int(np.argmax(time < 0))
        raise FileInvalidError(
            f"{table.path}, line {line[at]}: the time is negative ({time[at]:g} {layout.time_unit}); count from the moment when "
            "carriers and medium met"
        )
    factor = _factor(layout, column, values, cautions)
    sd = None if sd is None else _stated_sd(table, sd * factor, line)
    profile = Profile(
        label, time, values * factor, layout.is_percent, sd, None if sd is None else "stated in the file", 1, line,
        layout.time_unit, tuple(cautions),
    )  # fmt: skip
    kept = [row for row, keep in zip(rows, good, strict=True) if keep]
    return merged(_in_order(layout, profile, kept))


def _factor(layout: _Layout, column: Column, values: Array, cautions: Cautions) -> float:
    """Return what turns the numbers into percent, or into ug/mL."""
    if not layout.is_percent:
        return concentration_factor(layout.table, column)
    if column.unit in {"%", None} and (column.unit or np.max(values, initial=0.0) > 1.2):
        return 1.0
    if column.unit is None:
        cautions.add("share_assumed", f"column '{column.name}' carries no unit and is taken as a share: 1 is all of it")
    elif column.unit != "1":
        raise FileInvalidError(f"{layout.table.path}: column '{column.name}': '{column.unit}' is no unit of a release")
    return 100.0


def _stated_sd(table: TextTable, sd: Array, line: npt.NDArray[np.int64]) -> Array:
    bad = np.flatnonzero(~(sd >= 0))
    if bad.size:
        raise FileInvalidError(f"{table.path}, line {line[bad[0]]}: a standard deviation is a number from zero on")
    return sd


def _in_order(layout: _Layout, profile: Profile, rows: Sequence[Row]) -> Profile:
    """Return the profile where time rises within each unit; where it goes back the rows may be several profiles.

    If the user said which column tells the profiles apart, a row is merely out of order: a caution.
    """
    time, path = profile.time, layout.table.path
    names = [""] * time.size
    if layout.unit is not None:
        names = [row.fields[layout.unit.index] for row in rows]
    last: dict[str, float] = {}
    for index, name in enumerate(names):
        if name in last and time[index] < last[name]:
            where = f"line {profile.line[index]}"
            if layout.group_stated:
                note = Caution(
                    "times_sorted", f"{profile.label}: {where} is out of order; the points were sorted by time"
                )
                return replace(profile, notes=(*profile.notes, note))
            raise FileInvalidError(
                f"{path}, {where}: time goes back from {last[name]:g} to {time[index]:g} {profile.time_unit}; if the "
                "file holds several profiles, say --set group=COLUMN"
            )
        last[name] = float(time[index])
    return profile


def merged(profile: Profile) -> Profile:
    """Return the profile with replicates at one time averaged; their scatter, pooled over the times, is its sd."""
    times, inverse, counts = np.unique(profile.time, return_inverse=True, return_counts=True)
    order = np.argsort(profile.time, kind="stable")
    if times.size == profile.time.size:
        sd = None if profile.sd is None else profile.sd[order]
        return replace(profile, time=times, values=profile.values[order], sd=sd, line=profile.line[order])
    means = np.bincount(inverse, profile.values) / counts
    squares = float(np.sum((profile.values - means[inverse]) ** 2))
    freedom = profile.time.size - times.size
    pooled = np.sqrt(squares / freedom)
    line = np.array([profile.line[inverse == index][0] for index in range(times.size)])
    units = int(counts.max())
    note = Caution("replicates_averaged", f"{profile.label}: up to {units} values at one time were averaged")
    sd = pooled / np.sqrt(counts) if pooled > 0 else None
    return replace(
        profile, time=times, values=means, sd=sd, units=units, line=line, notes=(*profile.notes, note),
        sd_from=None if sd is None else "scatter of replicates, pooled over the times",
    )  # fmt: skip


def check_percent(path: object, profile: Profile, cautions: Cautions) -> None:
    """Raise where a release in percent is beyond belief or says nothing; add a caution where it is merely odd.

    A caution is due from 100 % on, or from three uncertainties above it where those are known.
    """
    values, line = profile.values, profile.line
    for index, value in enumerate(values):
        if value > HIGHEST_PERCENT or value < LOWEST_PERCENT:
            raise FileInvalidError(
                f"{path}, line {line[index]}: a release of {value:.4g} % cannot be; check the dose, the unit and the column"
            )
    if values.size < FEWEST_POINTS:
        raise FileInvalidError(f"{path}: {profile.label} has {values.size} point; at least {FEWEST_POINTS} are needed")
    if np.ptp(values) == 0:
        raise FileInvalidError(
            f"{path}: all {values.size} points of {profile.label} are {values[0]:g} %; there is no release to describe"
        )
    allowed = 0.0 if profile.sd is None else 3.0 * profile.sd
    for code, beyond, words in (
        ("above_100", values > 100.0 + allowed, "above 100 %"),
        ("below_zero", values < -allowed, "below zero"),
    ):
        if np.any(beyond):
            worst = values[beyond][np.argmax(np.abs(values[beyond]))]
            text = f"{profile.label}: {np.count_nonzero(beyond)} values lie {words} (the furthest {worst:.4g} %)"
            cautions.add(code, f"{text}; dose, blank or volume may be off")
