"""Which runs there are: quick, from the first and the last line of each."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nanolab.errors import FileInvalidError, UsageError
from nanolab.journal.folder import DOCUMENTS
from nanolab.journal.reader import Run, open_run

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_DAYS_AFTER = 3


@dataclass(frozen=True)
class RunInfo:
    """One row of a list of runs.

    ``time_s`` is the wall time of the start in s since 1970 (0 where unknown); ``role`` is sample, blank or
    reference where the plan says so. A run that cannot be read has status ``unreadable``; ``problem``
    says why.
    """

    uid: str
    path: Path
    plan: str
    role: str
    sample: str
    status: str
    time_s: float
    simulated: bool
    problem: str | None = None


def find_runs(data_root: Path | str) -> list[RunInfo]:
    """Return all runs under a data folder, or in one day's folder, oldest first; none without a folder."""
    found = [_look(folder) for folder in _folders(Path(data_root), depth=2)]
    return sorted(found, key=lambda info: (info.time_s, str(info.path)))


def find_run(data_root: Path | str, uid: str) -> RunInfo:
    """Return the one run whose uid begins with `uid`; UsageError where there is none, or more than one."""
    matches = [info for info in find_runs(data_root) if uid and info.uid.startswith(uid)]
    if not matches:
        raise UsageError(f"no run in {data_root} has a uid that begins with '{uid}'; list them with `nanolab runs`")
    if len(matches) > 1:
        listed = ", ".join(info.uid for info in matches[:5])
        raise UsageError(
            f"{len(matches)} runs in {data_root} have a uid that begins with '{uid}': {listed}; give more of it"
        )
    return matches[0]


def runs_after(run: Run, *, salvage: bool = False) -> dict[str, Run]:
    """Return runs of the same plan that refer to this one as their sample, by role, the latest of each: controls that came after it.

    They are looked for in the folder of its day and those of the next `_DAYS_AFTER` days that hold any. With `salvage` damaged ones too.
    """
    found = {}
    for info in (info for day in _days_from(run.path.parent) for info in find_runs(day)):
        if info.plan == run.plan and info.uid != run.uid and info.status != "unreadable":
            other = open_run(info.path, salvage=salvage)
            if other.start.get("references", {}).get("sample") == run.uid:
                found[info.role] = other
    return found


def _days_from(folder: Path) -> list[Path]:
    if not _DAY.fullmatch(folder.name):  # runs that were copied somewhere
        return [folder]
    days = [other for other in folder.parent.iterdir() if _DAY.fullmatch(other.name) and other.name >= folder.name]
    return sorted(days)[: 1 + _DAYS_AFTER]


def _folders(root: Path, depth: int) -> Iterator[Path]:
    if not root.is_dir():
        return
    for folder in root.iterdir():
        if folder.name.startswith(".") or not folder.is_dir():  # hidden: a run that was only being opened
            continue
        if (folder / DOCUMENTS).is_file():
            yield folder
        elif depth > 1:
            yield from _folders(folder, depth - 1)


def _look(folder: Path) -> RunInfo:
    try:
        return _row(open_run(folder))
    except (FileInvalidError, OSError) as error:
        return RunInfo("", folder, "", "", "", "unreadable", 0.0, False, str(error))


def _row(run: Run) -> RunInfo:
    return RunInfo(
        uid=run.uid,
        path=run.path,
        plan=run.plan,
        role=str(run.start.get("role", "")),
        sample=run.sample,
        status=run.status,
        time_s=float(run.start.get("time", 0.0)),
        simulated=run.simulated,
    )
