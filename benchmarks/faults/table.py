"""The campaign's figures: one row a kind, and all together."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.faults.expected import problems_of
from benchmarks.faults.kinds import KINDS
from benchmarks.faults.trial import Outcome

_HEAD = (
    "struck with",
    "trials",
    "off",
    "median",
    "99 %",
    "worst",
    "confirmed",
    "said not",
    "folder opens",
    "lost",
    "as it should be",
)


def read(paths: Sequence[Path]) -> list[Outcome]:
    """Read the trials of campaigns, judged anew by what is expected now; what went wrong in the trial itself stays."""
    kinds = {kind.name: kind for kind in KINDS}
    found = []
    for path in paths:
        for entry in json.loads(path.read_text()):
            outcome = Outcome(**entry)
            own = [
                words
                for words in outcome.problems
                if re.match(r"\w+Error: |the run does not end|a folder does not", words)
            ]
            outcome.problems = own + problems_of(kinds[outcome.kind], outcome)
            found.append(outcome)
    return found


def rows(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """Return a row for each kind: times to off in ms."""
    table = []
    for kind in KINDS:
        of_kind = [outcome for outcome in outcomes if outcome.kind == kind.name]
        if of_kind:
            label = kind.name + (" (planned end)" if kind.outcome == "goes on" else "")
            table.append(_row(label, of_kind, kind.outcome != "goes on"))
    return table


def _row(label: str, outcomes: Sequence[Outcome], timed: bool) -> tuple[str, ...]:
    off = [1e3 * outcome.off_s for outcome in outcomes if outcome.off_s is not None]
    times = (
        [f"{value:.0f}" for value in (np.median(off), np.percentile(off, 99), max(off))] if off and timed else ["–"] * 3
    )
    return (
        label, str(len(outcomes)), str(len(off)), *times,
        str(sum(bool(outcome.confirmed) for outcome in outcomes)),
        str(sum(outcome.said_not_confirmed for outcome in outcomes)),
        str(sum(outcome.opens for outcome in outcomes)), str(sum(outcome.lost for outcome in outcomes)),
        str(sum(not outcome.problems for outcome in outcomes)),
    )  # fmt: skip


def totals(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what is said of all trials together, a line each."""
    lines = []
    for name, words in (
        ("prompt", "signal, exception, death whose end is heard"), ("rule", "trip of a rule (from the reading that broke it)"),
        ("late", "stopped, hung, huge or forked process, disk full, guardian lost"),
    ):  # fmt: skip
        off = [1e3 * entry.off_s for entry in outcomes if entry.outcome == name and entry.off_s is not None]
        if off:
            lines.append(
                f"{words}: {len(off)} trials, off after {np.median(off):.0f} ms (median), {np.percentile(off, 99):.0f} ms "
                f"(99 %), {max(off):.0f} ms (worst)"
            )
    by_laser = {
        laser: sum(entry.laser == laser for entry in outcomes) for laser in dict.fromkeys(o.laser for o in outcomes)
    }
    lines.append("trials a laser: " + ", ".join(f"{laser} {count}" for laser, count in sorted(by_laser.items())))
    documents, lost = sum(entry.acknowledged for entry in outcomes), sum(entry.lost for entry in outcomes)
    lines.append(
        f"documents acknowledged: {documents}, lost: {lost}; folders that do not open: {sum(not entry.opens for entry in outcomes)}"
    )
    good = sum(not entry.problems for entry in outcomes)
    lines.append(f"as it should be: {good} of {len(outcomes)}")
    return lines


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Return the table for docs/safety.md."""
    head = [f"| {' | '.join(_HEAD)} |", "|" + "---|" * len(_HEAD)]
    body = [f"| {' | '.join(row)} |" for row in rows(outcomes)]
    return "\n".join([*head, *body, "", *(f"- {line}" for line in totals(outcomes)), ""])


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return the table for the terminal."""
    table = [_HEAD, *rows(outcomes)]
    widths = [max(len(row[column]) for row in table) for column in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    return "\n".join([*lines, "", *totals(outcomes), ""])
