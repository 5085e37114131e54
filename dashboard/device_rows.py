"""One row a device: state in words, newest reading, age, identity."""

import math
import time
from collections.abc import Mapping
from typing import Any

from dashboard.live_run import LiveRun

LATE_S = 10.0
HEADINGS = ("device", "state", "last answer", "age", "identity", "driver", "address")
READINGS = {"temperature": "°C", "target": "°C", "probe": "°C", "power": "W", "current": "A", "stirring": "rpm"}


def device_rows(run: LiveRun, status: str, now: float | None = None) -> dict[str, list[str]]:
    """Return the table of the devices by column, from what the run wrote; `now` wall time in s."""
    moment = time.time() if now is None else now
    bench = run.start.get("bench", {})
    roles = [role for role, found in bench.items() if isinstance(found, Mapping) and "driver" in found]
    cells: dict[str, list[str]] = {heading: [] for heading in HEADINGS}
    for role in roles:
        wall, data = newest_of(run, role)
        row = (
            role,
            state_words(role, data, wall, moment, status),
            answer_words(role, data),
            age_words(wall, moment),
            " ".join(str(value) for value in run.start.get("instruments", {}).get(role, {}).values()) or "–",
            str(bench[role].get("driver", "")),
            "SIMULATED" if role in run.start.get("simulated_devices", ()) else str(bench[role].get("address", "")),
        )
        for heading, cell in zip(HEADINGS, row, strict=True):
            cells[heading].append(cell)
    return cells


def newest_of(run: LiveRun, role: str) -> tuple[float | None, Mapping[str, Any]]:
    """Return wall time in s and readings of the newest event that holds any of a device's."""
    found: list[tuple[float, Mapping[str, Any]]] = []
    for wall, data in run.latest.values():
        own = {key: value for key, value in data.items() if key.startswith(f"{role}_")}
        if own:
            found.append((wall, own))
    return max(found, key=lambda item: item[0]) if found else (None, {})


def state_words(role: str, data: Mapping[str, Any], wall: float | None, now: float, status: str) -> str:
    """Say how a device is: by its own word first, then by its age."""
    if wall is None:
        return "not read yet"
    reasons = [str(value) for key, value in data.items() if key.endswith("_reason") and value]
    invalid = [key for key, value in data.items() if key.endswith("_valid") and not value]
    if invalid:
        return f"! INVALID: {', '.join(dict.fromkeys(reasons)) or ', '.join(invalid)}"
    if status == "interrupted":
        return "! unknown: the run was interrupted"
    if status == "running" and now - wall > LATE_S and role != "spectrometer":
        return "! LATE: no answer is recorded"
    return "✓ ok" if status == "running" else "✓ ok when last read"


def answer_words(role: str, data: Mapping[str, Any]) -> str:
    """Return the newest numbers of a device."""
    if role == "laser" and "laser_emitting" in data:
        power = data.get("laser_power", math.nan)
        return f"{'EMITTING' if data['laser_emitting'] else 'off'}, {power:.3f} W"
    if "spectrometer_counts" in data:
        return f"{len(data['spectrometer_counts'])} pixels, peak {max(data['spectrometer_counts']):.0f} counts"
    words = []
    for key, value in data.items():
        name = key.removeprefix(f"{role}_")
        if isinstance(value, float) and not key.endswith("_valid"):
            unit = "°C" if role == "thermocouple" else READINGS.get(name, "")
            small = unit == "W" and 0.0 < abs(value) < 1e-3
            words.append(f"{name} {1e3 * value:.2g} mW" if small else f"{name} {value:.4g} {unit}".rstrip())
    return ", ".join(words[:4]) or "–"


def age_words(wall: float | None, now: float) -> str:
    """Return an age in s, min or h."""
    if wall is None:
        return "–"
    age = max(0.0, now - wall)
    if age < 100.0:
        return f"{age:.1f} s"
    return f"{age / 60:.0f} min" if age < 7200.0 else f"{age / 3600:.1f} h"
