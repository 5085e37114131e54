"""Where the numbers of a report come from: files with their hashes, versions, instruments, and what was noted."""

import datetime
import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanolab import __version__
from nanolab.engine.session import digest
from nanolab.journal.notes import read_notes

if TYPE_CHECKING:
    from nanolab.journal.reader import Run

PACKAGES = ("numpy", "scipy", "lmfit", "bluesky")
OWN = ("report.html", "report.pdf", "writer.json", "stop.json")
"""Files that are left out: the report itself, and what comes and goes while a run goes on."""


@dataclass(frozen=True)
class HashedFile:
    """One file of a run folder: name, bytes, SHA-256."""

    name: str
    size: int
    sha256: str


def hashed_files(run_path: Path) -> list[HashedFile]:
    """Return the files of a run folder in order of name."""
    found = []
    for path in sorted(run_path.iterdir(), key=lambda path: path.name):
        if path.is_file() and path.name not in OWN and not path.name.startswith("."):
            found.append(HashedFile(path.name, path.stat().st_size, _sha256(path)))
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def versions(run: "Run") -> list[tuple[str, str]]:
    """Return the version that measured, and those that made the report."""
    found = [
        ("nanolab that measured", str(run.start.get("nanolab_version", "not known"))),
        ("nanolab that made this report", __version__),
        ("Python", platform.python_version()),
    ]
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:  # a package of its own that was taken out: the report can do without
            continue
    return found


def instruments(run: "Run") -> list[tuple[str, str]]:
    """Return role and identity of each instrument, and whether it was simulated."""
    simulated = set(run.start.get("simulated_devices", ()))
    found = []
    for role, identity in sorted(run.start.get("instruments", {}).items()):
        words = ", ".join(f"{key} {value}" for key, value in identity.items() if value)
        found.append((role, words + (" – SIMULATED" if role in simulated else "")))
    return found


def prediction_words(run: "Run") -> str:
    """Say whether the prediction is the one that was stored before the first reading."""
    stored = run.start.get("prediction_sha256")
    if stored is None:
        return "No prediction was stored before the run."
    whole = digest(run.start.get("prediction")) == stored
    state = "unchanged since" if whole else "NOT what was stored: its hash differs"
    return f"Prediction stored in the start document before the first reading, SHA-256 {stored}; {state}."


def notes_and_events(run: "Run") -> list[tuple[str, str]]:
    """Return what people noted, what tripped, what guardian and STOP did: UTC time and words, oldest first."""
    said = [(note.time, f"{note.author + ': ' if note.author else ''}{note.text}") for note in read_notes(run.path)]
    said += _trips(run)
    said += [(time, f"guardian: {words}") for time, words in _guardian(run.path)]
    stop = _json(run.path / "stop_request.json")
    if "asked_by" in stop and "time" in stop:
        said.append((float(stop["time"]), f"{stop['asked_by']}: {stop.get('words', '')}"))
    return [(utc(time), words) for time, words in sorted(said)]


def _trips(run: "Run") -> list[tuple[float, str]]:
    if "operator" not in run.streams:
        return []
    table = run.table("operator")
    if "trip_text" not in table:
        return []
    return [
        (float(time), f"interlock: {text}")
        for time, text in zip(table["time"], table["trip_text"], strict=True)
        if text
    ]


def _guardian(run_path: Path) -> list[tuple[float, str]]:
    found = []
    try:
        lines = (run_path / "guardian.jsonl").read_bytes().splitlines()
    except OSError:
        return []
    for line in lines:
        try:
            entry = json.loads(line)
            report = entry["report"]
            state = "laser off, read back" if report["confirmed"] else "LASER OFF NOT CONFIRMED"
            found.append((float(entry["wall"]), f"{state} ({report['detail']}); because {report['why']}"))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _json(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def utc(time_s: float) -> str:
    """Return a wall time as UTC to the second: the same text wherever the report is made."""
    moment = datetime.datetime.fromtimestamp(time_s, tz=datetime.UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
