"""What the guardian wrote down of a run: read from its log in the run folder, nothing else is asked."""

import json
from dataclasses import dataclass
from pathlib import Path

GUARDIAN_LOG = "guardian.jsonl"
MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class GuardianReport:
    """One report of going off: wall time in s since 1970, whether the laser was read back off, why, and what was seen."""

    time: float
    confirmed: bool
    why: str
    detail: str
    reaction_ms: float | None = None

    def words(self) -> str:
        """Say it in one sentence."""
        state = "LASER OFF" if self.confirmed else "LASER OFF NOT CONFIRMED"
        after = "" if self.reaction_ms is None else f", told to go off after {self.reaction_ms:.0f} ms"
        return f"guardian: {state} ({self.detail.rstrip('.')}){after}; because {self.why}"


def newest_report(run_path: Path) -> GuardianReport | None:
    """Return the guardian's last report on this run; None where it left none. A line that is none is left out."""
    try:
        with (run_path / GUARDIAN_LOG).open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - MOST_BYTES))
            lines = stream.read().splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        found = _report(line)
        if found is not None:
            return found
    return None


def _report(line: bytes) -> GuardianReport | None:
    try:
        entry = json.loads(line)
        report, reaction = entry["report"], entry["report"].get("reaction_ms")
        return GuardianReport(
            float(entry["wall"]), bool(report["confirmed"]), str(report["why"]), str(report["detail"]),
            None if reaction is None else float(reaction),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
