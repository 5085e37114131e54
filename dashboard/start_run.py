"""Starting a run from the page: a process of its own on the simulated bench; on a real one the words to type."""

import contextlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from nanolab.discovery import PLANS, entry_points_of, load
from nanolab.errors import NanolabError, UsageError

if TYPE_CHECKING:
    from nanolab.assay import Assay

LOGS = ".dashboard"
"""Hidden folder in the data folder: what the runs started from the page said."""

SPEEDS = ("1", "10", "60", "max")


@dataclass(frozen=True)
class Offer:
    """What can be started: plans by name, and whether the page may start them (the whole bench is simulated)."""

    plans: "Mapping[str, Assay]"
    may_start: bool
    words: str


def offer(bench: Path | None) -> Offer:
    """Look at the bench file; nothing is opened. A bad bench file is said in words, and nothing can be started."""
    from nanolab.bench.defaults import find_bench

    try:
        config = find_bench(bench)
        plans = {name: load(PLANS, name) for name in entry_points_of(PLANS)}
    except NanolabError as error:
        return Offer({}, False, str(error))
    real = [role for role, device in config.devices.items() if not device.simulated]
    if real:
        words = (
            f"{', '.join(real)} of the bench '{config.bench.name}' is real: a real run is started at the command line"
        )
        return Offer(plans, False, words)
    return Offer(plans, True, f"bench '{config.bench.name}': every instrument is simulated")


def words_of(
    plan: str,
    values: Mapping[str, str],
    data: Path,
    bench: Path | None,
    speed: str | None,
    seed: int | None,
    blank: str,
) -> list[str]:
    """Return the words behind `nanolab`; values that were left empty keep the plan's own."""
    words = ["run", plan, "--data", str(data)]
    if bench is not None:
        words += ["--bench", str(bench)]
    for name, text in values.items():
        if text.strip():
            words += ["--set", f"{name}={text.strip()}"]
    if blank != "run":
        words += ["--blank", blank]
    if speed is not None:
        words += ["--speed", speed]
    if seed is not None:
        words += ["--seed", str(seed)]
    return words


def parameters_of(path: Path, plans: "Mapping[str, Assay]") -> tuple[str, dict[str, str]]:
    """Return plan and parameters of an old run as a person types them; empty text where the plan's own value was used.

    FileInvalidError where the folder is no run; UsageError where no such plan is installed.
    """
    from nanolab.journal.reader import open_run

    start = open_run(path, salvage=True).start
    plan = str(start.get("assay", start.get("plan_name", "")))
    if plan not in plans:
        raise UsageError(f"the plan '{plan}' is not installed here")
    stored = start.get("parameters", {})
    values = {}
    for parameter in plans[plan].parameters():
        value = stored.get(parameter.name, parameter.default)
        values[parameter.name] = "" if value == parameter.default else typed(value)
    return plan, values


def typed(value: object) -> str:
    """Return a stored parameter as text that `--set` reads back."""
    if value is None:
        return ""
    if isinstance(value, Mapping) and "value" in value:
        u = value.get("standard_uncertainty")
        unit = "" if value.get("unit") in {None, "1"} else f" {value['unit']}"
        return f"{value['value']:g}{'' if u is None else f'±{u:g}'}{unit}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(typed(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def command_line(words: Sequence[str]) -> str:
    """Return what a person types."""
    return shlex.join(["nanolab", *words])


@dataclass
class Started:
    """A run started from the page: its process and the file with what it says."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def words(self) -> str:
        """Say how it ended if it did not end well; empty while it goes on, and after a success or a stop."""
        code = self.process.poll()
        if code in {None, 0, 130}:
            return ""
        return f"The run started from this page ended with exit code {code}: {last_line(self.log)}"


def last_line(path: Path) -> str:
    """Return the last line that says something; a sentence where there is none."""
    with contextlib.suppress(OSError):
        lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
        if lines:
            return lines[-1].removeprefix("nanolab: ")
    return "it said nothing"


def start(words: Sequence[str], data: Path) -> Started:
    """Start a run that outlives this page: a session of its own, no pipe to us. OSError where that fails."""
    logs = data / LOGS
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    own_session: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        own_session = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    out: IO[bytes]
    with log.open("ab") as out:
        # -P: a file named plans.py or nanolab.py in the working directory must not be taken for ours
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "nanolab", *words],
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, **own_session,
        )  # fmt: skip
    return Started(process, log)
