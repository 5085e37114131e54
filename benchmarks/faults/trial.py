"""One trial: a bench that is served, a victim that runs on it, the strike, and what came of it."""

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.faults.kinds import Kind
from nanolab.bench.template import bench_template
from nanolab.errors import NanolabError
from nanolab.journal import find_runs, open_run
from nanolab.testing.guarded import ServedBench

LASERS = {
    "thorlabs_itc4005": "",
    "thorlabs_itc4001": 'max_power = "0.6 W"\nslope = "0.9 W/A"\nthreshold_current = "0.3 A"\ncurrent_limit = "1 A"\n',
    "cobolt_06_mld": 'max_power = "0.8 W"\ntransmission = "0.874±0.02"\ncalibration_date = 2026-03-01\n',
    "coherent_obis": 'max_power = "0.8 W"\ntransmission = "0.874±0.02"\ncalibration_date = 2026-03-01\n',
    "gated_laser": 'power = "0.5±0.02 W"\ncalibration_date = 2026-03-01\nrecalibrate_after = "9999 day"\n',
}
"""Their tables in the bench file."""

EMITS_WITHIN_S = 60.0
ENDS_WITHIN_S = 40.0
CONFIRMS_WITHIN_S = 6.0


@dataclass
class Outcome:
    """What came of a trial; times in s. ``off_s`` counts from the strike, or from the trip where a rule had to see it."""

    kind: str
    laser: str
    outcome: str
    phase_s: float
    off_s: float | None = None
    code: int | None = None
    confirmed: bool | None = None
    said_not_confirmed: bool = False
    rule: str = ""
    status: str = ""
    acknowledged: int = 0
    lost: int = 0
    opens: bool = True
    problems: list[str] = field(default_factory=list)


class Bench(ServedBench):
    """A simulated bench with this laser, in real time; `close` ends it."""

    def __init__(self, laser: str) -> None:
        words = [sys.executable, "-P", "-m", "nanolab", "sim", "serve", "--json", "--speed", "1"]
        for role, driver in (("laser", laser), ("thermocouple", "keysight_34970a"), ("powermeter", "thorlabs_pm100d"),
                             ("spectrometer", "ocean_flamex")):  # fmt: skip
            words += ["--instrument", f"{role}={driver}"]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.laser_driver = laser
        if self._process.stdout is None:
            raise RuntimeError("the pipe was asked for")
        super().__init__(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End it."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Nursery:
    """A process that forks victims (`benchmarks.faults.victim`)."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.faults.victim"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self._read()

    def _read(self) -> dict[str, Any]:
        if self._process.stdout is None:
            raise RuntimeError("the pipe was asked for")
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request and return the answer."""
        if self._process.stdin is None:
            raise RuntimeError("the pipe was asked for")
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End it."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait(20.0)


def bench_file(laser: str, folder: Path) -> Path:
    """Write the example bench with this laser."""
    text = bench_template()
    if LASERS[laser]:
        table = f'[laser]\ndriver = "{laser}"\naddress = "simulated"\nwavelength = "808 nm"\n{LASERS[laser]}\n'
        text = re.sub(r"\[laser\].*?(?=^\[thermocouple\])", table, text, flags=re.S | re.M)
    path = folder / "bench.toml"
    path.write_text(text, encoding="utf-8")
    return path


def run_trial(kind: Kind, bench: Bench, nursery: Nursery, rng: random.Random, mutate: str = "") -> Outcome:
    """Carry out one trial on a bench; whatever goes wrong in it is among its problems."""
    with tempfile.TemporaryDirectory(prefix="nanolab-faults-") as name:
        out = Path(name)
        before_heating = kind.how == "signal" and rng.random() < 0.15
        phase_s = rng.uniform(0.0, 4.0) if before_heating else rng.uniform(0.15, 6.0)
        outcome = Outcome(kind.name, bench.laser_driver, kind.outcome, -phase_s if before_heating else phase_s)
        words = ["run", "photothermal", "--bench", str(bench_file(bench.laser_driver, out)), "--data", str(out / "runs"),
                 "--sim", bench.control, "--blank", "none", "--set", "spectrum=none", "--set", "baseline_s=5",
                 "--set", f"heat_s={kind.heat_s:g}", "--set", "cool_s=5"]  # fmt: skip
        bench.ask("control", op="load", cuvette="sample")
        begun_s = time.monotonic()
        pid = nursery.ask(words=words, out=str(out), kind=kind.what, mutate=mutate)["pid"]
        try:
            _strike_and_watch(kind, bench, nursery, out, pid, outcome, begun_s, before_heating)
        except (OSError, ValueError, KeyError, NanolabError, AssertionError) as error:
            outcome.problems.append(f"{type(error).__name__}: {error}")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, signal.SIGKILL)
            _end_guardian(out)
        _look_at_folder(out, outcome)
        _judge(kind, outcome)
        if outcome.problems:
            output = out / "output.txt"
            outcome.problems.append(output.read_text(errors="replace")[-600:] if output.exists() else "no output")
        return outcome


def _strike_and_watch(
    kind: Kind,
    bench: Bench,
    nursery: Nursery,
    out: Path,
    pid: int,
    outcome: Outcome,
    begun_s: float,
    before_heating: bool,
) -> None:
    if before_heating:
        _wait_for(lambda: bool(list((out / "runs").glob("*/*/documents*"))) or _folder(out) is not None, EMITS_WITHIN_S)
    else:
        _wait_for(lambda: _is_on(bench, begun_s), EMITS_WITHIN_S)
    time.sleep(abs(outcome.phase_s))
    struck_s = _strike(kind, bench, out, pid)
    limit = time.monotonic() + kind.within_s
    while time.monotonic() < limit and _off_after(bench, begun_s, struck_s, kind) is None:
        time.sleep(0.02)
    if kind.outcome in {"goes on", "resumes"} or kind.codes:
        outcome.code = nursery.ask(pid=pid, within_s=ENDS_WITHIN_S)["code"]
        if outcome.code is None:
            outcome.problems.append("the run does not end")
    off_s = _off_after(bench, begun_s, struck_s, kind)
    limit = time.monotonic() + CONFIRMS_WITHIN_S
    while not (reports := guardian_reports(out)) and time.monotonic() < limit and kind.how != "guardian":
        time.sleep(0.02)
    outcome.rule = _rule(out)
    if off_s is not None:
        outcome.off_s = _since_trip(out, reports, off_s) if kind.outcome == "rule" else off_s - struck_s
    output = (out / "output.txt").read_text(errors="replace")
    outcome.confirmed = any(report["confirmed"] for report in reports) or "laser: OFF (" in output
    outcome.said_not_confirmed = "OFF NOT CONFIRMED" in output or any(not report["confirmed"] for report in reports)


def _wait_for(condition: Any, within_s: float) -> None:
    limit = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError("the laser did not come on")
        time.sleep(0.05)


def _folder(out: Path) -> Path | None:
    found = sorted(path.parent for path in (out / "runs").glob("*/*/guardian.jsonl"))
    return found[-1] if found else None


def _is_on(bench: Bench, begun_s: float) -> bool:
    changes = [change for change in bench.emissions() if change[1] > begun_s]
    return bool(changes) and changes[-1][0]


def _off_after(bench: Bench, begun_s: float, struck_s: float, kind: Kind) -> float | None:
    """Return when the laser went off after the strike, for good (a plan that is resumed: first); the strike where it was off."""
    changes = [change for change in bench.emissions() if change[1] > begun_s]
    before = [on for on, moment in changes if moment <= struck_s]
    after = [(on, moment) for on, moment in changes if moment > struck_s]
    if kind.outcome == "resumes":
        after = after[:1]
    if after:
        return None if after[-1][0] else after[-1][1]
    return None if before and before[-1] else struck_s


def _strike(kind: Kind, bench: Bench, out: Path, pid: int) -> float:
    """Strike and return the moment of it."""
    if kind.how == "signal":
        struck_s = time.monotonic()
        for number, name in enumerate(kind.what.split(",")):
            if number:
                time.sleep(0.02 * (number % 3) + 0.005)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, getattr(signal, name))
        return struck_s
    if kind.how == "fault":
        role, _, fault = kind.what.partition(".")
        struck_s = time.monotonic()
        bench.ask("control", op="fault", instrument=role, fault=fault, on=True)
        return struck_s
    if kind.how == "guardian":
        struck_s = time.monotonic()
        os.kill(guardian_pid(out), getattr(signal, kind.what))
        return struck_s
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30.0)
        connection.connect(str(out / "strike"))
        return float(connection.makefile("r").readline())


def _lines(out: Path) -> Iterator[dict[str, Any]]:
    """Return what the guardian wrote, in the folder of the run or before there was one."""
    for path in [*sorted(out.glob("runs/*/*/guardian.jsonl")), out / "runs" / "guardian.jsonl"]:
        if path.is_file():
            for line in path.read_text().splitlines():
                with contextlib.suppress(ValueError):
                    yield json.loads(line)


def guardian_reports(out: Path) -> list[dict[str, Any]]:
    """Return the guardian's reports of going off, in order."""
    found = [entry for entry in _lines(out) if "report" in entry and entry["event"] != "refused"]
    return [entry["report"] for entry in sorted(found, key=lambda entry: entry["monotonic_s"])]


def guardian_pid(out: Path) -> int:
    """Return the process id of the guardian of this run."""
    return int(next(entry["pid"] for entry in _lines(out) if entry["event"] == "armed"))


def _end_guardian(out: Path) -> None:
    with contextlib.suppress(StopIteration, ProcessLookupError, OSError):
        pid = guardian_pid(out)
        if Path(f"/proc/{pid}/cmdline").read_bytes().count(b"nanolab.safety.guardian"):
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.2)
            os.kill(pid, signal.SIGKILL)


def _trips(out: Path) -> list[dict[str, Any]]:
    path = out / "runs" / "interlock.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line)["trip"] for line in path.read_text().splitlines() if '"trip"' in line]


def _rule(out: Path) -> str:
    trips = _trips(out)
    return str(trips[0]["rule"]) if trips else ""


def _since_trip(out: Path, reports: list[dict[str, Any]], off_s: float) -> float | None:
    """Return the time from the reading that broke a rule to off: to the command, and from when that was sent on."""
    trips, sent = _trips(out), [report["sent_monotonic_s"] for report in reports if report["sent_monotonic_s"]]
    if not trips or not sent:
        return None
    noticed_s = float(trips[0]["command_s"]) + float(reports[0]["reaction_ms"]) / 1e3
    return noticed_s + max(0.0, off_s - float(sent[0]))


def _look_at_folder(out: Path, outcome: Outcome) -> None:
    acknowledged: dict[str, int] = {}
    path = out / "acknowledged.txt"
    for line in path.read_text().splitlines() if path.is_file() else ():
        uid, _, number = line.rpartition(" ")
        if number.isdigit():
            acknowledged[uid] = int(number)
    outcome.acknowledged = sum(acknowledged.values())
    try:
        runs = {info.uid: open_run(info.path) for info in find_runs(out / "runs")} if (out / "runs").is_dir() else {}
    except NanolabError as error:
        outcome.opens = False
        outcome.problems.append(f"a folder does not open: {error}")
        return
    for uid, count in acknowledged.items():
        readable = sum(1 for _ in runs[uid].documents()) if uid in runs else 0
        outcome.lost += max(0, count - readable)
        outcome.status = runs[uid].status if uid in runs else "missing"


def _judge(kind: Kind, outcome: Outcome) -> None:
    """Add to the problems what should not have come."""
    from benchmarks.faults.expected import problems_of

    outcome.problems += problems_of(kind, outcome)
