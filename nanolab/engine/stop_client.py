"""STOP from another process, the asker's side: the run and the laser's guardian, each asked for itself.

Either is enough for the laser to go off, and neither waits for the other. Nothing here opens an instrument.
"""

import json
import time
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nanolab.engine.stop_request import STOP_ADDRESS, STOP_RECORD
from nanolab.safety.door import Published, ask, file_for, published

RUN_WITHIN_S = 15.0
"""Wall time that a run has to answer: the laser is told and read back, each exchange with a deadline of its own."""

GUARDIAN_WITHIN_S = 4.0
"""Wall time that a guardian has: it goes off at once and has a second or two to see it."""

BY_HAND = "Turn the laser off at its key switch"


@dataclass(frozen=True)
class StopAnswer:
    """What one of the two said: ``confirmed`` only where the laser was read back off; None where there is nobody to ask.

    ``words`` is a sentence, ``seconds`` the wall time from asking to the answer.
    """

    confirmed: bool | None
    words: str
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)


@dataclass(frozen=True)
class StopAddress:
    """Where a run is asked to stop, and where its laser is (None where it has none)."""

    url: str
    key: str
    laser: str | None


def stop_address(run_path: Path) -> StopAddress | None:
    """Return where a run can be stopped; None where it offers no stop (it has ended, or never did)."""
    try:
        found = json.loads((run_path / STOP_ADDRESS).read_bytes())
        laser = found.get("laser")
        return StopAddress(str(found["url"]), str(found["key"]), None if laser is None else str(laser))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def guardian_of(run_path: Path) -> Published | None:
    """Return the guardian that has left its file for the laser of this run; it may have been killed since."""
    address = stop_address(run_path)
    return None if address is None or address.laser is None else published(file_for(address.laser))


def recorded_stop(run_path: Path) -> StopAnswer | None:
    """Return what the run has written down of a stop; None where it was not stopped."""
    try:
        found = json.loads((run_path / STOP_RECORD).read_bytes())
        return StopAnswer(bool(found["confirmed"]), str(found["words"]), float(found["seconds"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def ask_run(run_path: Path, who: str, deadline_s: float = RUN_WITHIN_S) -> StopAnswer:
    """Ask the run to turn the laser off, read it back and end. Never raises.

    A run that somebody else has stopped in this moment has left its answer: that one counts.
    """
    answer = _asked(run_path, who, deadline_s)
    return answer if answer.confirmed else recorded_stop(run_path) or answer


def _asked(run_path: Path, who: str, deadline_s: float) -> StopAnswer:
    address = stop_address(run_path)
    if address is None:
        return StopAnswer(None, f"{run_path}: the run offers no stop (it has ended, or was killed)")
    if not address.url.startswith("http://127.0.0.1:"):
        return StopAnswer(False, f"{run_path / STOP_ADDRESS}: its address is not on this machine. {BY_HAND}")
    body = json.dumps({"key": address.key, "who": who}).encode("ascii")
    begin = time.monotonic()
    try:
        with urllib.request.urlopen(address.url, data=body, timeout=deadline_s) as reply:
            said = json.load(reply)
        return StopAnswer(bool(said["confirmed"]), str(said["words"]), time.monotonic() - begin)
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"{run_path}: the run did not answer the stop ({error}); OFF NOT CONFIRMED. {BY_HAND}"
        return StopAnswer(False, why, time.monotonic() - begin)


def ask_guardian(run_path: Path, deadline_s: float = GUARDIAN_WITHIN_S) -> StopAnswer:
    """Ask the guardian of this run's laser to go off at once and to see it off. Never raises."""
    guardian = guardian_of(run_path)
    if guardian is None:
        return StopAnswer(None, "no guardian guards this laser")
    begin = time.monotonic()
    try:
        report = ask(guardian, "off", deadline_s)["report"]
        confirmed, detail = bool(report["confirmed"]), str(report["detail"]).rstrip(".")
        by_hand = str(report.get("by_hand") or guardian.by_hand).removeprefix("OFF NOT CONFIRMED.").strip()
    except (ConnectionError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error.__cause__, ConnectionRefusedError):
            return StopAnswer(None, "no guardian guards this laser (one that was killed has left its file)")
        confirmed, detail, by_hand = False, str(error) or "its answer makes no sense", guardian.by_hand
    words = f"OFF ({detail})" if confirmed else f"OFF NOT CONFIRMED: {detail}. {by_hand}"
    return StopAnswer(confirmed, words, time.monotonic() - begin)
