"""Kill a run with SIGKILL at random moments and see that nothing acknowledged is lost.

    python -m benchmarks.kills [--runs 50] [--seed 1] [--span-s 0.5] [-- COMMAND ... {data} ...]

Each run is one process. ``{data}`` in the command stands for the run's own data folder; without a command a
small script writes documents as fast as it can. The journal reports each stored document on the file
descriptor named by NANOLAB_ACK_FD; the kill comes at a random moment within `span-s` of the first report.
Afterwards every folder has to open, to say interrupted (or, if its stop document was stored, how it ended),
and to hold every document that was reported.

Exit code 0: nothing lost; 1: something lost; 2: a run ended before its kill (take a shorter span).

POSIX only: Windows hands down no file descriptors.
"""

import argparse
import contextlib
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nanolab.errors import NanolabError
from nanolab.journal import RunWriter, find_runs, open_run
from nanolab.journal.writer import ACKNOWLEDGE

FIRST_REPORT_S = 60.0
"""A process that has not stored its first document by then has failed to start."""


@dataclass
class Kill:
    """What one kill left: reported and readable documents by uid, the folders' statuses, complaints."""

    moment_s: float
    ended_before: bool = False
    acknowledged: dict[str, int] = field(default_factory=dict)
    readable: dict[str, int] = field(default_factory=dict)
    statuses: list[str] = field(default_factory=list)
    tail_bytes: int = 0
    problems: list[str] = field(default_factory=list)


def small_script(data: Path, seed: int = 0) -> None:
    """Write documents of two streams, one with an array, until killed, or until whoever started it is gone."""
    parent = os.getppid()
    rng = np.random.default_rng(seed)
    keys = {f"field_{index}": {"source": "script", "dtype": "number", "shape": []} for index in range(12)}
    array = {"counts": {"source": "script", "dtype": "array", "shape": [2136], "dtype_numpy": "<f8"}}
    with RunWriter(data, sync_interval_s=0.05) as writer:
        writer("start", {"uid": f"{seed:08x}-kill", "time": time.time(), "plan_name": "kills", "simulated": True})
        for stream, data_keys in (("primary", keys), ("spectra", {**keys, **array})):
            described = {"uid": stream, "run_start": writer.uid, "time": time.time(), "name": stream}
            writer("descriptor", {**described, "data_keys": data_keys})
        number = 0
        while os.getppid() == parent:  # nobody else would end it, and it would fill the disk
            number += 1
            stream = "spectra" if number % 5 == 0 else "primary"
            values: dict[str, object] = dict(zip(keys, rng.normal(size=12).tolist(), strict=True))
            if stream == "spectra":
                values["counts"] = rng.normal(size=2136)
            event = {"uid": f"event-{number}", "time": time.time(), "descriptor": stream, "seq_num": number}
            writer("event", {**event, "data": values, "timestamps": dict.fromkeys(values, 0.0), "filled": {}})


def kill_once(command: Sequence[str], data: Path, moment_s: float) -> Kill:
    """Start the command, kill it `moment_s` after its first report, and look at what it left in `data`."""
    kill = Kill(moment_s)
    data.mkdir(parents=True)
    read_fd, write_fd = os.pipe()
    words = [part.replace("{data}", str(data)) for part in command]
    with (data / "output.txt").open("wb") as output, os.fdopen(read_fd, "rb", buffering=0) as reports:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[write_fd],
                env={**os.environ, ACKNOWLEDGE: str(write_fd)},
                start_new_session=True,
            )
        finally:
            os.close(write_fd)
        received = _watch_and_kill(process, reports.fileno(), kill)
    for line in received.split(b"\n")[:-1]:
        uid, number = line.decode("ascii").rsplit(" ", 1)
        kill.acknowledged[uid] = int(number)
    _inspect(data, kill)
    return kill


def _watch_and_kill(process: "subprocess.Popen[bytes]", fd: int, kill: Kill) -> bytes:
    """Collect what is reported until the kill; afterwards what is still in the pipe."""
    received = b""
    deadline = time.monotonic() + FIRST_REPORT_S
    try:
        while (left := deadline - time.monotonic()) > 0 and process.poll() is None:
            # at the end of the pipe it is always readable: the pause keeps this from spinning
            if not select.select([fd], [], [], min(left, 0.1))[0]:
                continue
            block = os.read(fd, 65536)
            if block and not received:
                deadline = time.monotonic() + kill.moment_s
            received += block
            if not block:
                time.sleep(0.005)
        kill.ended_before = process.poll() is not None
    finally:
        # the process alone is killed, as `kill -9` would; what it had started ends by itself or right after
        process.kill()
        process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    while select.select([fd], [], [], 0.0)[0] and (block := os.read(fd, 65536)):
        received += block
    return received


def _inspect(data: Path, kill: Kill) -> None:
    """Open every folder and hold what is readable against what was reported."""
    infos = find_runs(data)
    if not kill.acknowledged:
        words = (data / "output.txt").read_text(errors="replace").strip().splitlines()
        kill.problems.append(f"no document was ever reported; the last words were: {words[-1:]}")
    for info in infos:
        kill.statuses.append(info.status)
        try:
            run = open_run(info.path)
            readable = sum(1 for _ in run.documents())
        except NanolabError as error:
            kill.problems.append(f"does not open: {error}")
            continue
        kill.readable[run.uid] = readable
        kill.tail_bytes += run.tail_bytes
        if run.stop is None and run.status != "interrupted":
            kill.problems.append(f"{info.path.name} says {run.status}, not interrupted")
    for uid, acknowledged in kill.acknowledged.items():
        readable = kill.readable.get(uid, 0)
        if readable < acknowledged:
            kill.problems.append(f"run {uid}: {acknowledged} reported, {readable} readable: lost")


def kills(command: Sequence[str], runs: int, seed: int, span_s: float, data: Path) -> Iterator[Kill]:
    """Yield the outcome of `runs` kills at moments drawn from the `span_s` seconds after a first report."""
    moments = random.Random(seed)
    for number in range(runs):
        yield kill_once(command, data / f"kill-{number:03d}", moments.uniform(0.0, span_s))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark, print its table, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--span-s", type=float, default=0.5, help="kills come within this time of the first report")
    parser.add_argument("--data", type=Path, help="keep the folders here; default: a temporary folder")
    parser.add_argument("--script", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("command", nargs="*", help="what to kill, after --; {data} is its data folder")
    options = parser.parse_args(arguments)
    if options.script is not None:
        small_script(options.script, options.seed)
        return 0
    command = options.command or [sys.executable, "-m", "benchmarks.kills", "--script", "{data}"]
    with contextlib.ExitStack() as stack:
        data = options.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nanolab-kills-")))
        outcomes = _report(kills(command, options.runs, options.seed, options.span_s, data))
    if any(kill.problems for kill in outcomes):
        return 1
    return 2 if any(kill.ended_before for kill in outcomes) else 0


def _report(outcomes: Iterator[Kill]) -> list[Kill]:
    print("kill  after s  folders  acknowledged  readable  tail bytes  status")
    done = []
    for number, kill in enumerate(outcomes, start=1):
        done.append(kill)
        status = ", ".join(kill.statuses) + (" (ended before the kill)" if kill.ended_before else "")
        counts = f"{sum(kill.acknowledged.values()):12d}  {sum(kill.readable.values()):8d}  {kill.tail_bytes:10d}"
        print(f"{number:4d}  {kill.moment_s:7.3f}  {len(kill.statuses):7d}  {counts}  {status}", flush=True)
        for problem in kill.problems:
            print(f"      {problem}", flush=True)
    lost = sum(max(0, n - kill.readable.get(uid, 0)) for kill in done for uid, n in kill.acknowledged.items())
    acknowledged = sum(sum(kill.acknowledged.values()) for kill in done)
    print(f"{len(done)} kills, {acknowledged} documents acknowledged, {lost} lost")
    return done


if __name__ == "__main__":
    sys.exit(main())
