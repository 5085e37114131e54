"""What a column is, from its name and unit: `time_s`, `T (°C)`, `delta_T_C`, `Laser power / mW` ..."""

import re
from dataclasses import dataclass

from nanolab.errors import UsageError, nearest

_TIME = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
}
_TEMPERATURE = {
    **dict.fromkeys(("c", "degc", "celsius", "oc", "deg"), "degC"),
    **dict.fromkeys(("k", "kelvin"), "K"),
    **dict.fromkeys(("f", "degf", "fahrenheit"), "degF"),
}
_POWER = {
    **dict.fromkeys(("w", "watt", "watts"), 1.0),
    **dict.fromkeys(("mw", "milliwatt", "milliwatts"), 1e-3),
}

_NAMES = {
    "time": ("time", "times", "elapsed", "elapsedtime", "timeelapsed", "seconds", "minutes"),
    "temperature": (
        "temperature", "temp", "tsample", "tempsample", "sampletemperature", "temperaturesample", "tliquid",
        "thermocouplesample", "tsolution", "meantemperature",
    ),
    "delta_T": (
        "deltat", "dt", "deltatemperature", "deltatemp", "temperaturerise", "temprise", "temperaturechange",
        "temperaturedifference", "dtemperature",
    ),
    "laser_on": (
        "laseron", "laser", "on", "emission", "emitting", "laseremitting", "shutter", "light", "laserstate",
    ),
    "power": ("power", "laserpower", "p", "opticalpower", "incidentpower"),
    "ambient": (
        "ambient", "tambient", "tamb", "tenv", "troom", "tsurr", "ambienttemperature", "roomtemperature",
        "room", "environment", "thermocoupleambient", "tsurroundings", "tempambient",
    ),
    "duty": ("duty", "dutycycle", "pwm", "pwmduty"),
}  # fmt: skip
KINDS = tuple(_NAMES)


@dataclass(frozen=True)
class Column:
    """What a heading says: the kind of quantity, its unit as spelled here, and what is wrong with it.

    ``unit`` is ``s min h ms``-like text for times, ``degC``, ``K``, ``degF`` for temperatures; None where
    none is given.
    """

    kind: str | None
    unit: str | None
    problem: str | None = None


def understand(heading: str) -> Column:
    """Return what a heading such as ``T_C`` or ``Time (min)`` means; kind None for an unknown name."""
    plain = heading.strip().replace("Δ", "delta_").replace("∆", "delta_").replace("°", "deg").replace("º", "deg")
    name, unit = _name_and_unit(plain)
    if name in {"t", "T"}:
        if unit is not None and unit.lower() in _TIME:
            kind: str | None = "time"
        elif unit is not None:
            kind = "temperature"
        else:
            kind = "time" if name == "t" else "temperature"
    else:
        kind = _kind(re.sub(r"[^a-z0-9]", "", name.lower()))
    if kind is None or unit is None:
        return Column(kind, _implied_unit(name) if kind == "time" else None)
    known = _known_unit(kind, unit)
    if known is None:
        return Column(kind, unit, f"unit '{unit}' is no unit of {_what(kind)}")
    return Column(kind, known)


def parse_map_key(key: str) -> Column:
    """Read the left side of ``--map time_min=0``, unit or none; UsageError where it is no quantity."""
    column = understand(key)
    if column.kind is None:
        raise UsageError(f"--map {key}: no such quantity; {nearest(key, list(KINDS))}")
    if column.problem is not None:
        raise UsageError(f"--map {key}: {column.problem}")
    return column


def seconds_per(unit: str | None) -> float:
    """Return how many seconds one unit of time has (None: seconds)."""
    return 1.0 if unit is None else _TIME[unit]


def watts_per(unit: str | None) -> float:
    """Return how many watts one unit of power has (None: watts)."""
    return 1.0 if unit is None else _POWER[unit]


def _name_and_unit(plain: str) -> tuple[str, str | None]:
    bracket = re.match(r"^(.*?)[\s_]*[(\[]\s*([^)\]]*?)\s*[)\]]$", plain) or re.match(r"^(.+?)\s+/\s*(\S+)$", plain)
    if bracket:
        return bracket[1], bracket[2] or None
    tokens = [token for token in re.split(r"[\s_\-]+", plain) if token]
    if len(tokens) > 1:
        # "deg_C" is one unit
        if len(tokens) > 2 and tokens[-2].lower() == "deg":
            return "_".join(tokens[:-2]), tokens[-1]
        name, last = "_".join(tokens[:-1]), tokens[-1].lower()
        if last in _TIME or last in _TEMPERATURE or last in _POWER or last in {"pct", "percent", "%"}:
            return name, tokens[-1]
        # a known quantity with a word behind it that is no unit: say so rather than not to know the column
        if _kind(re.sub(r"[^a-z0-9]", "", plain.lower())) is None and name.lower() in {
            "time",
            "temperature",
            "temp",
        }:
            return name, tokens[-1]
    return plain.strip(), None


def _kind(name: str) -> str | None:
    return next((kind for kind, names in _NAMES.items() if name in names), None)


def _implied_unit(name: str) -> str | None:
    return {"seconds": "s", "minutes": "min"}.get(name.lower())


def _known_unit(kind: str, unit: str) -> str | None:
    plain = re.sub(r"[\s._]", "", unit.lower())
    if kind == "time":
        return plain if plain in _TIME else None
    if kind in {"temperature", "delta_T", "ambient"}:
        return _TEMPERATURE.get(plain)
    if kind == "power":
        return plain if plain in _POWER else None
    return plain  # on/off and duty have no unit that matters


def _what(kind: str) -> str:
    return {"time": "time", "power": "power", "delta_T": "a temperature difference"}.get(kind, "temperature")
