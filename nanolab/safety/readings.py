"""What the interlock takes from a reading of a thermometer or a laser: the names of `nanolab.interfaces`, as they come.

A driver hands over its reading as Bluesky reads it. A reading that failed holds one key only, ``<name>_error``, with
the driver's sentence; a laser that is about to emit says so with ``<name>_announced`` (see `DeviceContext`).
"""

import math
from dataclasses import dataclass
from typing import Any

from nanolab.interfaces import Reading

NO_REASON = "no valid reading"


@dataclass(frozen=True)
class ChannelReading:
    """One temperature: degC, whether it is valid, why not, lab time of the reading and wall time of its arrival in s."""

    channel: str
    value_c: float
    valid: bool
    reason: str
    lab_s: float
    wall_s: float

    @property
    def known(self) -> bool:
        """True where the value is a temperature: valid and finite."""
        return self.valid and math.isfinite(self.value_c)


@dataclass(frozen=True)
class LaserReading:
    """What the laser does: emitting or not, its power in W (NaN: unknown), lab time and wall time of arrival in s.

    ``announced``: it does not emit yet, but is about to.
    """

    emitting: bool
    power_w: float
    lab_s: float
    wall_s: float
    announced: bool = False


def channels_in(reading: Reading, name: str, wall_s: float) -> list[ChannelReading]:
    """Return the temperatures of a thermometer's reading: whatever has a flag of its own, and ``sample``."""
    reason = str(reading.get(f"{name}_reason", {}).get("value") or NO_REASON)
    found = []
    for key, entry in reading.items():
        flag = reading.get(f"{key}_valid")
        if not key.startswith(f"{name}_") or (flag is None and key != f"{name}_sample"):
            continue
        value = _number(entry["value"])
        valid = math.isfinite(value) if flag is None else bool(flag["value"])
        lab_s = float(entry["timestamp"])
        found.append(ChannelReading(key.removeprefix(f"{name}_"), value, valid, reason, lab_s, wall_s))
    return found


def laser_in(reading: Reading, name: str, wall_s: float) -> LaserReading | None:
    """Return what a reading says about the laser; None where it says nothing.

    A laser whose start is under way (``<name>_starting``) counts as one that emits: light may come before the next reading.
    """
    emitting = reading.get(f"{name}_emitting")
    if emitting is None:
        return None
    power = _number(reading.get(f"{name}_power", {}).get("value"))
    announced = f"{name}_announced" in reading
    starting = reading.get(f"{name}_starting", {}).get("value", 0)
    on = _is_on(emitting["value"]) or _is_on(starting)
    return LaserReading(on, power, float(emitting["timestamp"]), wall_s, announced)


def error_in(reading: Reading, name: str) -> str:
    """Return the sentence of a reading that failed; empty where it did not."""
    return str(reading.get(f"{name}_error", {}).get("value", ""))


def _number(value: Any) -> float:
    """Return a value as a float; what is no number is unknown, which is NaN."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _is_on(value: Any) -> bool:
    """Return whether a laser says that it emits; only a plain zero says that it does not."""
    return _number(value) != 0.0
