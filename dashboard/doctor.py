"""What `nanolab bench doctor` says, asked in a process of its own: no instrument is opened in the server of the pages."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WITHIN_S = 120.0
"""Wall time for the doctor: every silent instrument takes its deadline."""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class Examined:
    """When the doctor was asked (wall time in s), the table by column, and what to say if there is none."""

    asked: float
    cells: dict[str, list[str]]
    words: str


def examine(bench: Path | None, run: Run = subprocess.run) -> Examined:
    """Ask the doctor and wait. Never raises for what the doctor does."""
    asked = time.time()
    words = [sys.executable, "-P", "-m", "nanolab", "bench", "doctor", "--json"]
    if bench is not None:
        words += ["--bench", str(bench)]
    try:
        done = run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WITHIN_S, check=False)
        checks = json.loads(done.stdout)["checks"]
        return Examined(asked, cells_of(checks), "")
    except subprocess.TimeoutExpired:
        return Examined(asked, {}, f"the doctor did not answer within {WITHIN_S:.0f} s")
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Examined(asked, {}, f"the doctor's answer cannot be read ({error})")


def cells_of(checks: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the table by column: what was looked at, how it is, details, what to do where there is anything."""
    to_do = ["" if check["ok"] else str(check.get("remedy") or "") for check in checks]
    return {
        "what": [str(check["what"]) for check in checks],
        "state": ["✓ ok" if check["ok"] else "! FAIL" for check in checks],
        "detail": [str(check["detail"]).replace(" degC", " °C") for check in checks],
        **({"to do": to_do} if any(to_do) else {}),
    }
