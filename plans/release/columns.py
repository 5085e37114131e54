"""What the columns of a table of release, or of encapsulation, are: by heading, or told with `--map`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nanolab.analysis.delimited import TextTable
from nanolab.analysis.selection import column_index
from nanolab.errors import FileInvalidError, UsageError, nearest
from nanolab.quantities import convert

TIME_UNITS: Mapping[str, str] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
}
HOURS_PER: Mapping[str, float] = {"s": 1.0 / 3600.0, "min": 1.0 / 60.0, "h": 1.0, "d": 24.0}

_SHARE_UNITS = {**dict.fromkeys(("%", "percent", "pct"), "%"), **dict.fromkeys(("1", "fraction"), "1")}
_NAMES: Mapping[str, str] = {
    "time": r"t|times?|elapsed(time)?|time(elapsed|in)|seconds|minutes|hours|days",
    "release_sd": r".*(sd|std|stdev|stddev|uncertainty|standarddeviation)",
    "release": r".*(releas|dissol).*|f\d*|percent|cumulative|q",
    "concentration": r"c|conc|.*concentration|drugconc",
    "unit": r"units?|tablet|vessel|replicate|rep|well|run",
    "total": r".*total.*",
    "free": r".*(free|unencapsulated|unbound|supernatant|filtrate).*",
    "particles": r".*(particle|carrier|nanoparticle|solids?).*",
}
"""Kind of a column to what its name, in small letters without signs, looks like; the first that fits counts."""


@dataclass(frozen=True)
class Heading:
    """What a heading says: kind of quantity (None: unknown) and unit (None: none given)."""

    kind: str | None
    unit: str | None


@dataclass(frozen=True)
class Column:
    """A column that was chosen: its index, its heading or number as text, and its unit."""

    index: int
    name: str
    unit: str | None


def understand(heading: str, kinds: Sequence[str]) -> Heading:
    """Read a heading such as ``time_h``, ``Release (%)`` or ``free_ug_per_ml``; only these kinds are looked for."""
    name, unit = _split(heading.strip())
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    kind = next((kind for kind in _NAMES if kind in kinds and re.fullmatch(_NAMES[kind], plain)), None)
    if kind == "time" and unit is None:
        unit = TIME_UNITS.get(plain)
    return Heading(kind, unit)


def _split(heading: str) -> tuple[str, str | None]:
    bracket = re.match(r"^(.*?)[\s_]*[(\[]\s*([^)\]]*?)\s*[)\]]$", heading) or re.match(r"^(.+?)\s+/\s*(\S+)$", heading)
    if bracket:
        return bracket[1], _unit(bracket[2]) or bracket[2] or None
    tokens = [token for token in re.split(r"[\s_]+", heading) if token]
    for count in (3, 2, 1):
        if len(tokens) > count:
            unit = _unit(" ".join(tokens[-count:]))
            if unit is not None:
                return "_".join(tokens[:-count]), unit
    return heading, None


def _unit(text: str) -> str | None:
    """Return a unit of time, of share, or of amount per volume in our spelling; None for any other text."""
    plain = text.strip().replace("µ", "u").replace("μ", "u")
    low = plain.lower()
    if low in TIME_UNITS or low in _SHARE_UNITS:
        return TIME_UNITS.get(low) or _SHARE_UNITS[low]
    amount = re.fullmatch(r"(ng|ug|mg|g)(?:\s+per\s+|/)(nl|ul|ml|l)", low)
    return f"{amount[1]}/{amount[2][:-1]}L" if amount else None


def choose(table: TextTable, wanted: Mapping[str, str], kinds: Sequence[str]) -> dict[str, list[Column]]:
    """Return kind -> columns: as told by the map, the others by their headings.

    UsageError where the map names what is not there or no such kind.
    """
    chosen: dict[str, list[Column]] = {}
    for key, where in wanted.items():
        asked = understand(key, kinds)
        if asked.kind is None:
            raise UsageError(f"--map {key}={where}: no such quantity; {nearest(key, list(kinds))}")
        index = column_index(table, where, f"--map {key}={where}")
        name = table.header[index] if table.header else f"number {index}"
        chosen.setdefault(asked.kind, []).append(Column(index, name, asked.unit or understand(name, kinds).unit))
    told, taken = set(chosen), {column.index for columns in chosen.values() for column in columns}
    for index, name in enumerate(table.header or ()):
        heading = understand(name, kinds)
        if heading.kind is not None and heading.kind not in told and index not in taken:
            chosen.setdefault(heading.kind, []).append(Column(index, name, heading.unit))
    return chosen


def only(table: TextTable, chosen: Mapping[str, Sequence[Column]], kind: str, example: str) -> Column:
    """Return the one column of a kind; FileInvalidError where there is none or more than one."""
    columns = chosen.get(kind, ())
    if len(columns) == 1:
        return columns[0]
    if columns:
        names = " and ".join(f"'{column.name}'" for column in columns[:2])
        raise FileInvalidError(
            f"{table.path}: columns {names} could both be the {kind}; say which with --map {kind}=NAME"
        )
    if table.header is None:
        raise FileInvalidError(f"{table.path}: the file has no headings; say which column is which with --map {kind}=0")
    names = ", ".join(f"'{name}'" for name in table.header)
    raise FileInvalidError(
        f"{table.path}: no column for the {kind} (for example {example}); its columns are {names}: say which with --map"
    )


def concentration_factor(table: TextTable, column: Column) -> float:
    """Return what turns a column's numbers into ug/mL; FileInvalidError where its unit is missing or another."""
    if column.unit is None:
        raise FileInvalidError(
            f"{table.path}: column '{column.name}' has no unit; name it, for example {column.name}_ug_per_ml"
        )
    try:
        return convert(1.0, column.unit, "ug/mL")
    except ValueError as error:
        raise FileInvalidError(f"{table.path}: column '{column.name}': {error}") from error
