"""What stands at the top of every page: banner, the way to stop and what was answered, tiles, notes."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dashboard.guardian_log import newest_report
from dashboard.live_run import LiveRun
from dashboard.look import PH, POWER, Look, time_left_s
from nanolab.analysis.live_fit import LiveFit
from nanolab.engine.stop_client import recorded_stop, stop_address
from nanolab.journal.notes import Note

TRIP_TEXT = "trip_text"
"""Field of the stream `operator`: what the interlock tripped on, in words."""


def header_of(look: Look, notes: Sequence[Note] = ()) -> dict[str, Any]:
    """Return the banner and the way to stop: what every page has at its top."""
    run = look.run
    return {
        "run": str(run.start.get("uid", run.path.name)),
        "now": look.now,
        "newest": run.newest_wall_s,
        "running": look.running,
        "banner": banner(look),
        "late": 2.5 * look.stale_s,
        "stop": _stop_of(run) if look.running else None,
        "stoppable": look.stoppable,
        "stopped": stopped(look),
        "tiles": [],
        "notes": log_words(look, notes),
    }


def log_words(look: Look, notes: Sequence[Note]) -> list[str]:
    """Return what people, interlock and guardian had to say of the run, each with its clock time, newest first."""
    said = [(note.time, f"{note.author + ': ' if note.author else ''}{note.text}") for note in notes]
    said += [(wall, f"interlock: {data[TRIP_TEXT]}") for wall, data in look.run.operator if data.get(TRIP_TEXT)]
    report = newest_report(look.run.path)
    if report is not None:
        said.append((report.time, report.words()))
    return [f"{time.strftime('%H:%M:%S', time.localtime(wall))}  {words}" for wall, words in sorted(said, reverse=True)]


def trip_words(look: Look) -> str:
    """Return what the interlock tripped on last; empty where it did not."""
    texts = [str(data[TRIP_TEXT]) for _, data in look.run.operator if data.get(TRIP_TEXT)]
    return texts[-1] if texts else ""


def _stop_of(run: LiveRun) -> dict[str, str] | None:
    """Return where the browser asks the run itself."""
    address = stop_address(run.path)
    return None if address is None else {"url": address.url, "key": address.key}


def stopped(look: Look) -> dict[str, Any]:
    """Return what the run (as its folder says, else as it answered) and its guardian said to a STOP; empty before one."""
    record = recorded_stop(look.run.path)
    answers = dict(look.asked) if record is None else {**look.asked, "run": record}
    return {name: answer.as_dict() for name, answer in answers.items()}


def seen_off(found: Mapping[str, Mapping[str, Any]]) -> bool | None:
    """Say whether a STOP was seen to turn the laser off; None where nobody has said anything.

    The guardian's word counts before the run's where it has one: it has a way to the laser of its own, and may have closed
    the run's.
    """
    for name in ("guardian", "run"):
        confirmed = found.get(name, {}).get("confirmed")
        if confirmed is not None:
            return bool(confirmed)
    return None


def banner(look: Look) -> dict[str, Any]:
    """Return state, words and facts: on or off from the laser's read-back, never from what was asked for."""
    run, status = look.run, look.status
    seen = seen_off(stopped(look))
    if status == "interrupted":
        state, words = _interrupted(look, seen)
    elif seen is False:
        state, words = "interrupted", "LASER OFF NOT CONFIRMED: turn it off at its key switch"
    elif not look.running:
        state, words = "none", _ended(look, seen)
    elif look.emitting is None:
        state, words = "none", _unread(look)
    elif look.emitting and not seen:
        state, words = "on", "LASER ON"
    else:
        state, words = "off", "LASER OFF"
    return {"state": state, "words": words, "facts": _facts(look), "simulated": bool(run.start.get("simulated"))}


def _unread(look: Look) -> str:
    """Words of a run whose readings tell nothing of a laser: it does not read one, or has not yet."""
    if "laser" not in look.run.start.get("bench", {}):
        return "NO LASER"
    return "LASER NOT READ IN THIS RUN" if look.time.size else "LASER NOT READ YET"


def _ended(look: Look, seen: bool | None) -> str:
    """Words of a run that has ended: how, and, where a STOP or the interlock ended it, that."""
    words = f"RUN {look.status.upper()}"
    if seen:
        return f"{words}, STOPPED FROM THE PAGE: LASER OFF"
    trip = trip_words(look)
    return f"{words}, TRIPPED: {trip}" if trip else words


def _interrupted(look: Look, seen: bool | None) -> tuple[str, str]:
    """State and words of a run whose process is gone: what its guardian, or a STOP, saw of the laser."""
    said = newest_report(look.run.path)
    off = seen if seen is not None else (None if said is None else said.confirmed)
    if off:
        return "none", "INTERRUPTED: THE RUN IS GONE, LASER OFF as its guardian read back"
    if off is False:
        return "interrupted", "INTERRUPTED: LASER OFF NOT CONFIRMED, turn it off at its key switch"
    return "interrupted", "INTERRUPTED: laser state unknown, look at its display"


def _facts(look: Look) -> list[str]:
    start = look.run.start
    facts = []
    wavelength = _wavelength_nm(start)
    if wavelength is not None and look.emitting is not None:
        facts.append(f"{wavelength:g} nm")
    power = power_now(look)
    if look.emitting is not None and power is not None and np.isfinite(power):
        facts.append(f"{power:.2f} W")
    phase = str(look.run.value("run_state_phase", ""))
    cycles = len(start.get("powers_w", ()))
    if phase and cycles:
        facts.append(f"cycle {int(look.run.value('run_state_cycle', 0)) + 1} of {cycles}, {phase}")
    elif phase:
        facts.append(phase)
    left = time_left_s(look)
    if left is not None and look.running:
        facts.append(f"{clock_words(left)} left")
    if look.dose_j > 0:
        facts.append(f"dose {look.dose_j:.0f} J")
    names = [str(start.get("plan_name", "")), str(start.get("role", "")), sample_name(start)]
    facts.append(" ".join(dict.fromkeys(name for name in names if name)))
    return [fact for fact in facts if fact]


def power_now(look: Look) -> float | None:
    """Return the newest read-back of the power in W; None once it is older than the end of emission."""
    ended = not look.running or seen_off(stopped(look))
    return None if ended and look.emitting else float(look.run.value(POWER, float("nan")))


def sample_name(start: Mapping[str, Any]) -> str:
    """Return the sample's name from a start document."""
    sample = start.get("sample", {})
    return str(sample.get("name", "") if isinstance(sample, Mapping) else sample)


def _wavelength_nm(start: Mapping[str, Any]) -> float | None:
    found = (start.get("bench", {}).get("laser") or {}).get("wavelength")
    if isinstance(found, Mapping):
        found = found.get("value")
    return float(found) if isinstance(found, int | float) else None


def clock_words(seconds: float) -> str:
    """Return minutes and seconds, with hours where there are any."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60:02d}:{rest % 60:02d}"


def tiles(look: Look, fit: LiveFit | None) -> list[dict[str, str]]:
    """Return the numbers that are read from two metres: quantity / unit and value."""
    temperature = look.temperature
    newest = float(temperature[-1]) if temperature.size else float("nan")
    left = time_left_s(look) if look.running else None
    power = power_now(look)
    shown = [
        {"label": "T / °C", "value": number_words(newest, 1), "level": "" if np.isfinite(newest) or not temperature.size else "warn"},
        {"label": "ΔT / K", "value": number_words(newest - _base(look), 1)},
    ]  # fmt: skip
    acidity = look.run.column(PH)
    if acidity is not None and np.any(np.isfinite(acidity)):
        shown.append({"label": "pH", "value": number_words(float(acidity[-1]), 2)})
    if look.emitting is not None or not look.time.size:  # a run that reads no laser says nothing of it
        shown += [
            {"label": "P / W", "value": "–" if power is None else number_words(power, 2)},
            {"label": "dose / J", "value": number_words(look.dose_j, 0) if look.time.size else "–"},
        ]
    if look.running:
        unit = "h:min:s" if left is not None and round(left) >= 3600 else "min:s"
        shown.append({"label": f"time left / {unit}", "value": "–" if left is None else clock_words(left)})
    if fit is not None:
        shown.append({"label": "τ (live fit) / s", "value": f"{fit.time_constant_s:.0f}"})
    return shown


def _base(look: Look) -> float:
    """Mean temperature before the laser first went on, degC; NaN where it was on from the beginning."""
    lit = np.flatnonzero(look.power > 0)
    before = look.temperature[: lit[0]] if lit.size else look.temperature
    finite = before[np.isfinite(before)]
    return float(finite.mean()) if finite.size else float("nan")


def number_words(value: float, digits: int) -> str:
    """Return a number with so many digits; a dash where it is none."""
    return f"{value:.{digits}f}" if np.isfinite(value) else "–"
