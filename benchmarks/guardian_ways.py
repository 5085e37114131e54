"""How fast the guardian turns the laser off, and what it costs to speak through it.

    python -m benchmarks.guardian_ways [--trials 30] [--way owns-visa] ...

The laser is the simulated ITC4005 of a served bench in real time; a run of its own process emits through a guardian and is
then killed (SIGKILL) or stopped (SIGSTOP). When emission ended is the simulator's own stamp; all processes of a machine
share `time.monotonic()`. Ways: the guardian owns the port through pyvisa (``owns-visa``, as on USB) or on a plain socket
(``owns-socket``), or holds a second connection (``beside``).

POSIX only. All times in ms: median / worst.
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nanolab.safety.guard_client import GuardClient
from nanolab.safety.recipe import OffRecipe
from nanolab.testing.guarded import WORDS, FakeLaser, ServedBench, Wire, served_bench, words_for

WAYS = ("owns-visa", "owns-socket", "beside")
EXCHANGES = 1000


def recipe_of(way: str, address: str) -> OffRecipe:
    """Return the off recipe by which the guardian reaches the laser in one of the ways."""
    visa = {"line": WORDS.line} if way == "owns-visa" else {}
    return words_for(address, several_clients=way == "beside", **visa)


def be_a_run(recipe: str, log: str) -> None:
    """Emit through a guardian until killed."""
    guard = GuardClient.start(OffRecipe.from_json(recipe), log=Path(log))
    wire = Wire(guard.relay_address)
    guard.emitting(True)
    wire.send("SOUR:CURR 1.0\nOUTP1 ON\n")
    while float(wire.ask("MEAS:CURR?")) < 0.2:
        guard.renew(1.3)
    sys.stdout.write("emits\n")
    sys.stdout.flush()
    parent = os.getppid()
    while os.getppid() == parent:  # nobody else would end it
        guard.renew(1.3)
        with contextlib.suppress(ConnectionError):
            wire.ask("MEAS:CURR?")
        time.sleep(0.02)


def trial(bench: ServedBench, way: str, number: int, log: Path) -> tuple[float, float]:
    """Kill or stop one run; return ms from the signal to the end of emission, and to the guardian's confirmation."""
    words = [sys.executable, "-m", "benchmarks.guardian_ways", "--run", recipe_of(way, bench.laser).to_json(), str(log)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        if process.stdout is None or process.stdout.readline() != b"emits\n":
            raise RuntimeError("the run did not begin to emit")
        since = time.monotonic()
        process.send_signal(number)
        report = wait_for_report(log)
        process.kill()
    emitting, ended = bench.emissions()[-1]
    if emitting or not report["report"]["confirmed"]:
        raise RuntimeError(f"the laser was not turned off: {report}")
    wait_for(log, "end")
    return 1e3 * (ended - since), 1e3 * (report["monotonic_s"] - since)


def wait_for(log: Path, event: str) -> dict[str, Any]:
    """Return the first entry of this kind in a guardian's log; RuntimeError after 20 s."""
    limit = time.monotonic() + 20.0
    while time.monotonic() < limit:
        lines = log.read_text().splitlines() if log.exists() else []
        for line in lines:
            entry: dict[str, Any] = json.loads(line)
            if entry["event"] == event:
                return entry
        time.sleep(0.01)
    raise RuntimeError(f"the guardian's log has no '{event}'")


def wait_for_report(log: Path) -> dict[str, Any]:
    """Return the log's entry of having gone off."""
    return wait_for(log, "off")


def relay_cost(bench: ServedBench, way: str) -> list[float]:
    """Return ms of single exchanges with the laser: through the guardian, or directly beside it."""
    client = GuardClient.start(recipe_of(way, bench.laser))
    wire = Wire(client.relay_address)
    costs = []
    for _ in range(EXCHANGES):
        began = time.perf_counter()
        wire.ask("OUTP1?")
        costs.append(1e3 * (time.perf_counter() - began))
    wire.close()
    client.close()
    return costs


def held_up(way: str, trials: int) -> list[float]:
    """Return ms from asking for off to its arrival at the laser, in the middle of an exchange that gets no answer."""
    delays = []
    for _ in range(trials):
        with FakeLaser() as laser:
            client = GuardClient.start(recipe_of(way, laser.address))
            wire = Wire(client.relay_address)
            wire.send("OUTP1 ON\nFETCH?\n")
            while laser.received[-1:] != ["FETCH?"]:
                time.sleep(0.001)
            since = time.monotonic()
            client.off()
            delays.append(1e3 * (laser.changes[-1][1] - since))
            wire.close()
            client.close()
    return delays


def told(name: str, values: Sequence[float]) -> None:
    """Print median and worst."""
    print(f"  {name:<44} {statistics.median(values):9.3f} / {max(values):9.3f}   (n = {len(values)})", flush=True)


def measure(way: str, trials: int) -> None:
    """Measure one way and print it."""
    print(way)
    told("off asked for during an unanswered exchange", held_up(way, trials))
    with served_bench() as bench, tempfile.TemporaryDirectory() as folder:
        told("one exchange", relay_cost(bench, way))
        for name, number in (("kill -9", signal.SIGKILL), ("SIGSTOP", signal.SIGSTOP)):
            results = [trial(bench, way, number, Path(folder) / f"{name}-{index}.jsonl") for index in range(trials)]
            told(f"{name} to off", [off for off, _ in results])
            told(f"{name} to confirmed", [confirmed for _, confirmed in results])


@contextlib.contextmanager
def own_runtime_folder() -> Iterator[None]:
    """Leave no guardian's file where others look for it."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description="How fast the guardian turns the laser off.")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--way", choices=WAYS, action="append", help="may be repeated; default: all")
    parser.add_argument("--run", nargs=2, metavar=("RECIPE", "LOG"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.run is not None:
        be_a_run(*options.run)
        return 0
    with own_runtime_folder():
        for way in options.way or WAYS:
            measure(way, options.trials)
    return 0


if __name__ == "__main__":
    sys.exit(main())
