"""The list of runs with what a list shows of them: filtered, and with the result where there is one."""

import datetime
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dashboard.folders import look_at_folder, unreadable
from nanolab.journal.catalog import RunInfo, find_runs

RESULT = "result.json"


@dataclass(frozen=True)
class Catalogue:
    """Runs, oldest first; and what to say of the folder, if anything."""

    runs: Sequence[RunInfo]
    words: str = ""


def catalogue(root: Path) -> Catalogue:
    """Return all runs under a data folder. A folder without rights, or none, is said in words."""
    words = look_at_folder(root)
    if words:
        return Catalogue([], words)
    try:
        return Catalogue(find_runs(root))
    except OSError as error:
        return Catalogue([], unreadable(Path(error.filename or root), error))


@dataclass(frozen=True)
class Filter:
    """What is wanted: words in sample, uid or folder; plans, statuses, roles (none: all); first and last day."""

    text: str = ""
    plans: Sequence[str] = ()
    statuses: Sequence[str] = ()
    roles: Sequence[str] = ()
    days: tuple[datetime.date, datetime.date] | None = None

    def takes(self, run: RunInfo) -> bool:
        """Say whether a run is wanted."""
        words = f"{run.sample} {run.uid} {run.path.name}".casefold()
        day = datetime.datetime.fromtimestamp(run.time_s).date()
        return (
            all(word in words for word in self.text.casefold().split())
            and (not self.plans or run.plan in self.plans)
            and (not self.statuses or run.status in self.statuses)
            and (not self.roles or run.role in self.roles)
            and (self.days is None or not run.time_s or self.days[0] <= day <= self.days[1])
        )


def chosen(runs: Iterable[RunInfo], wanted: Filter) -> list[RunInfo]:
    """Return the wanted runs, newest first."""
    return sorted((run for run in runs if wanted.takes(run)), key=lambda run: run.time_s, reverse=True)


def when_words(time_s: float) -> str:
    """Return local date and time of a start; a question mark where it is not known."""
    return datetime.datetime.fromtimestamp(time_s).strftime("%Y-%m-%d %H:%M") if time_s else "?"


def rows(runs: Sequence[RunInfo]) -> dict[str, list[Any]]:
    """Return the list of runs by column."""
    results = [main_result(run.path) for run in runs]
    remarks = [run.problem or "" for run in runs]
    return {
        "when": [when_words(run.time_s) for run in runs],
        "assay": [run.plan for run in runs],
        "sample": [run.sample for run in runs],
        "role": [run.role for run in runs],
        "status": [run.status for run in runs],
        "result": ["" if result is None else result.words for result in results],
        "bench": ["SIMULATED" if run.simulated else "real" for run in runs],
        "uid": [run.uid[:8] for run in runs],
        **({"remark": remarks} if any(remarks) else {}),
    }


@dataclass(frozen=True)
class MainResult:
    """The quantity that a run is about: name, value, standard uncertainty, and the verdict's word and z."""

    name: str
    value: float
    u: float
    word: str = ""
    z: float | None = None
    cautions: int = field(default=0)
    unit: str = "1"

    @property
    def words(self) -> str:
        """Say it in a cell."""
        from nanolab.quantities import Quantity

        shown = str(Quantity(self.value, self.unit, self.u)).replace("degC", "°C")
        return f"{self.title} {shown}" + (f", {self.word}" if self.word else "")

    @property
    def title(self) -> str:
        """Name of the quantity in words."""
        return self.name.replace("_", " ")

    @property
    def axis(self) -> str:
        """Quantity / unit, as it stands at an axis."""
        unit = self.unit.replace("degC", "°C")
        return f"{self.title} / {f'({unit})' if '/' in unit or ' ' in unit else unit}"


def main_result(path: Path) -> MainResult | None:
    """Return the quantity of the verdict, or the first one with an uncertainty; None where there is no result."""
    try:
        document = json.loads((path / RESULT).read_bytes())
        verdict = document.get("verdict") or {}
        quantities = {
            name: found
            for name, found in document["result"].items()
            if isinstance(found, dict) and found.get("standard_uncertainty") is not None and "value" in found
        }
        wanted = str(verdict.get("quantity", ""))
        name = wanted if wanted in quantities else next(iter(quantities))
        value, u = float(quantities[name]["value"]), float(quantities[name]["standard_uncertainty"])
        z = verdict.get("z") if wanted == name else None
        word = str(verdict.get("word", "")) if z is not None else ""
        unit = str(quantities[name].get("unit", "1"))
        return MainResult(name, value, u, word, z, len(document.get("cautions", [])), unit)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return None
