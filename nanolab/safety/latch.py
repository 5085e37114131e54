"""The latch: trips stay until a person releases them, across processes, in a small file of the data folder.

One line a record, appended and synced: ``{"trip": {...}}`` or ``{"release": {"reason", "by", "time", "simulated"}}``. A release lets go
of all trips before it. Trips of a simulated laser hold simulated emission only, those of a real laser real emission only. What
cannot be read holds both: nobody knows then what it was.
"""

import getpass
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanolab.errors import JournalError, UsageError
from nanolab.safety.trip import Trip

FILE = "interlock.jsonl"
RESET = 'release it with `nanolab reset-trip --reason "..."` when the cause is found'


@dataclass(frozen=True)
class Release:
    """Who let go of trips, when (s since 1970), why."""

    reason: str
    by: str
    time: float
    simulated: bool


@dataclass(frozen=True)
class Unreadable:
    """A record of the latch file that cannot be read, and its line number."""

    line: int
    problem: str


Record = Trip | Release | Unreadable


@dataclass
class Latch:
    """Trips of one data folder, as one kind of laser (simulated or real) is concerned."""

    folder: Path
    simulated: bool

    @property
    def path(self) -> Path:
        """The latch file."""
        return self.folder / FILE

    def records(self) -> list[Record]:
        """Return all that was written, oldest first; a file that cannot be opened is one unreadable record."""
        try:
            # bytes that are no text spoil their own line, not the file
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            return [Unreadable(0, str(error))]
        return [_record(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]

    def held_by(self) -> list[Trip | Unreadable]:
        """Return what holds emission back: trips of this kind of laser, and unreadable records, since the last release."""
        held: list[Trip | Unreadable] = []
        for record in self.records():
            if isinstance(record, Unreadable) or (isinstance(record, Trip) and record.simulated == self.simulated):
                held.append(record)
            elif isinstance(record, Release) and record.simulated == self.simulated:
                held.clear()
        return held

    def words(self) -> str | None:
        """Return why emission is held back, or None."""
        held = self.held_by()
        if not held:
            return None
        last = held[-1]
        if isinstance(last, Unreadable):
            return f"the latch {self.path} cannot be read in line {last.line} ({last.problem}); {RESET}"
        return f"the interlock has tripped ({last.rule}: {last.text}); {RESET}"

    def keep(self, trip: Trip) -> None:
        """Store a trip; JournalError where it cannot be stored."""
        self._append({"trip": trip.to_json()})

    def release(self, reason: str, by: str | None = None) -> Release:
        """Let go of every trip of this kind of laser; the reason is kept. UsageError without one."""
        if not reason.strip():
            raise UsageError('a trip is released with a reason: write --reason "what was wrong, and what was done"')
        release = Release(reason.strip(), by or _person(), time.time(), self.simulated)
        self._append({"release": vars(release)})
        return release

    def _append(self, record: Mapping[str, Any]) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as stream:
                # a line that a crash cut short must not swallow this one
                start = b"\n" if stream.tell() and not self._ends_with_newline() else b""
                stream.write(start + json.dumps(record, allow_nan=False).encode() + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise JournalError(f"{self.path}: the trip could not be written down: {error}") from error

    def _ends_with_newline(self) -> bool:
        with self.path.open("rb") as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read() == b"\n"


def _record(number: int, line: str) -> Record:
    try:
        data = json.loads(line)
        if "trip" in data:
            return Trip.from_json(data["trip"])
        given = data["release"]
        return Release(str(given["reason"]), str(given["by"]), float(given["time"]), bool(given["simulated"]))
    except (ValueError, TypeError, KeyError) as error:
        return Unreadable(number, f"{type(error).__name__}: {error}")


def _person() -> str:
    """Return the login name; a computer that knows none is no reason to keep a laser locked."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in this container
        return "unknown"
