"""How fast lab time passes at `--speed max`, beside a bare RunEngine in the same process.

`python -m benchmarks.speed [--seconds 600] [--rounds 5] [--profile]` runs the photothermal plan on the simulated bench (laser,
thermocouples and power meter read once per lab second over sockets; journal, limits, validity and error-queue
checks on) in turn with a bare `count` of three soft signals, and prints lab seconds per wall second of both and
their ratio, pair by pair.
"""

import argparse
import cProfile
import pstats
import statistics
import sys
import tempfile
import time
from pathlib import Path

import bluesky.plans as bp
from bluesky import RunEngine
from ophyd import Signal

from nanolab.bench.config import BenchConfig
from nanolab.bench.connect import open_bench
from nanolab.bench.defaults import simulated_bench
from nanolab.engine.assembly import Engine
from nanolab.journal.writer import RunWriter
from plans.photothermal.plan import photothermal


def bare_rate(engine: RunEngine, events: int) -> float:
    """Events per second of `count` on three soft signals, nothing subscribed."""
    signals = [Signal(name=f"soft{index}", value=1.0) for index in range(3)]
    start = time.perf_counter()
    engine(bp.count(signals, num=events))
    return events / (time.perf_counter() - start)


def bench_without_spectrometer() -> BenchConfig:
    """Return the example bench with what is read every second only."""
    return simulated_bench().model_copy(update={"spectrometer": None})


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="lab seconds a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="say where the time of the engine's thread goes")
    parser.add_argument("--goal", type=float, default=0.4, help="least median ratio; below it the exit code is 1")
    options = parser.parse_args()
    bare = RunEngine({}, context_managers=[])
    ratios = []
    profiler = cProfile.Profile()
    with (
        tempfile.TemporaryDirectory() as folder,
        open_bench(bench_without_spectrometer()) as bench,
        RunWriter(Path(folder), on_failure=bench.emergency_off) as journal,
    ):
        engine = Engine(bench.clock, journal, bench.emergency_off)
        for number in range(options.rounds + 1):
            bare_events = bare_rate(bare, options.seconds)
            if options.profile and number == options.rounds:
                engine.RE.loop.call_soon_threadsafe(profiler.enable)
            third = options.seconds / 3
            plan = photothermal(
                **{role: bench.devices[role] for role in ("laser", "thermocouple", "powermeter")},
                baseline_s=third,
                heat_s=third,
                cool_s=third,
                clock=bench.clock,
            )
            start = time.perf_counter()
            outcome = engine.run(plan)
            rate = options.seconds / (time.perf_counter() - start)
            if outcome.error is not None:
                raise outcome.error
            if number == 0:
                continue  # the first round warms caches and links
            ratios.append(rate / bare_events)
            print(f"round {number}: {rate:6.1f} lab s/s, bare {bare_events:6.1f} events/s, ratio {ratios[-1]:.3f}")
        if options.profile:
            engine.RE.loop.call_soon_threadsafe(profiler.disable)
            time.sleep(0.1)
            pstats.Stats(profiler, stream=sys.stdout).sort_stats("tottime").print_stats(25)
    median = statistics.median(ratios)
    print(f"median ratio {median:.3f} (least {min(ratios):.3f}, greatest {max(ratios):.3f}); goal {options.goal:g}")
    return 0 if median >= options.goal else 1


if __name__ == "__main__":
    sys.exit(main())
