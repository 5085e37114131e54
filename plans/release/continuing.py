"""Going on with a run that broke off: what it left, the runs that a course is made of, and how they refer to each other."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nanolab.errors import AnalysisRefusesError, UsageError
from plans.release.outline import RoleCourse

if TYPE_CHECKING:
    from nanolab.assay import Setup
    from nanolab.journal.reader import Run

CONTINUED = "continued_"
"""Begin of the role under which a run refers to the one that it goes on with."""

Rows = list[Mapping[str, float]]
"""Temperatures of a course as a plan keeps them: lab time and probe."""


@dataclass(frozen=True)
class Before:
    """What was done to a course before this run goes on with it (`CoursePlan`); nothing where it begins."""

    begun_s: float | None = None
    done: frozenset[tuple[str, float]] = frozenset()
    sampled_s: float = -math.inf


@dataclass(frozen=True)
class BrokenOff:
    """A run that broke off: its role, what was done before, and what the runs that go on must know.

    ``references`` of the runs to come, by role; ``integration_s`` of its spectra, None where it took none; ``over_k`` how much warmer than
    the liquid the block must be; ``sample_rows`` temperatures of the sample's run so far, empty where it has not begun.
    """

    role: str
    before: Before
    references: Mapping[str, str]
    integration_s: float | None
    over_k: float
    sample_rows: Rows = field(default_factory=list)


def chain(runs: Mapping[str, "Run"], role: str = "sample") -> list["Run"]:
    """Return the runs of a role's course, the oldest first."""
    return [*(runs[name] for name in _parts(runs, role)), runs[role]]


def broken_off(setup: "Setup", assay: str, courses: Sequence[RoleCourse]) -> BrokenOff:
    """Return what is known of the run to go on with. UsageError where it is no course of this assay, or had not begun."""
    from plans.release.record import begun_s, integration_s, marks_of, sampled_s

    old = setup.continued
    roles = [one.role for one in courses]
    role = "" if old is None else str(old.start.get("role"))
    if old is None or old.start.get("assay") != assay or role not in roles:
        raise UsageError(
            f"--continue: this is no course of '{assay}' ({', '.join(roles)}); list them with `nanolab runs`, or begin anew"
        )
    try:
        begun = begun_s(old)
    except AnalysisRefusesError as error:
        raise UsageError(f"--continue: {error}") from error
    older: Mapping[str, str] = old.start.get("references", {})
    parts = [*(_run(setup, older[name]) for name in _parts(older, role)), old]
    done = frozenset(mark for run in parts for mark in marks_of(run))
    last = max((sampled_s(run, begun) for run in parts), default=-math.inf)
    references = {**older, f"{_begin(role)}{len(parts)}": old.uid}
    whole = (
        parts
        if role == "sample"
        else [_run(setup, older[name]) for name in (*_parts(older, "sample"), "sample") if name in older]
    )
    return BrokenOff(
        role,
        Before(begun, done, last),
        references,
        integration_s(old),
        float(old.start.get("over_k", 0.0)),
        _rows(whole),
    )


def _begin(role: str) -> str:
    return CONTINUED if role == "sample" else f"{CONTINUED}{role}_"


def _parts(references: Mapping[str, object], role: str) -> list[str]:
    """Return the names of the runs that broke off in a role's course, the oldest first."""
    begin = _begin(role)
    found = [name for name in references if name.startswith(begin) and name.removeprefix(begin).isdigit()]
    return sorted(found, key=lambda name: int(name.removeprefix(begin)))


def _run(setup: "Setup", uid: str) -> "Run":
    from nanolab.journal.catalog import find_run
    from nanolab.journal.reader import open_run

    return open_run(find_run(setup.data_root, uid).path)


def _rows(runs: Sequence["Run"]) -> Rows:
    found: Rows = []
    for run in runs:
        if "primary" not in run.streams:
            continue
        table = run.table("primary")
        probe = np.asarray(table.get("cuvette_holder_probe", []), dtype=float).tolist()
        times = np.asarray(table["run_state_lab_time"], dtype=float).tolist()
        found += [
            {"run_state_lab_time": at, "cuvette_holder_probe": one} for at, one in zip(times, probe, strict=False)
        ]
    return found
