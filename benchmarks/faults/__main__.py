"""Run the fault campaign; see the package."""

import argparse
import json
import queue
import random
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.faults import expected
from benchmarks.faults.kinds import KINDS, Kind
from benchmarks.faults.quiet import quiet
from benchmarks.faults.table import markdown, read, summary
from benchmarks.faults.trial import LASERS, Bench, Nursery, Outcome, run_trial

Job = tuple[Kind, str, int]
MUTATIONS = ("guardian", "nan", "lease", "read-back")
ONE_LASER_ALONE = 0.02
"""Share of the trials that a kind gets which concerns one laser only: twenty of a thousand."""


def planned(trials: int, seed: int, only: Sequence[str] = ()) -> list[Job]:
    """Return the trials in order: every kind with every laser equally often; fewer than that: every kind at least once."""
    kinds = [kind for kind in KINDS if not only or any(word in kind.name for word in only)]
    rng = random.Random(seed)
    pairs = [(kind, laser) for kind in kinds for laser in LASERS if not kind.lasers or laser in kind.lasers]
    if trials < len(pairs):
        first = [(kind, rng.choice(kind.lasers or list(LASERS))) for kind in kinds]
        pairs = (first + rng.sample(pairs, max(0, trials - len(first))))[: max(trials, len(first))]
        jobs = [(kind, laser, 0) for kind, laser in pairs]
    else:
        each = round(trials / len(pairs))
        jobs = []
        for kind, laser in pairs:
            often = max(each, round(ONE_LASER_ALONE * trials)) if len(kind.lasers) == 1 else each
            jobs += [(kind, laser, number) for number in range(often)]
    rng.shuffle(jobs)
    # one laser after the other, as far as that goes: a bench is served for many trials
    return sorted(jobs, key=lambda job: (job[2] // 2, list(LASERS).index(job[1])))


class Worker(threading.Thread):
    """Takes trials from the queue; has a bench and a nursery of its own."""

    def __init__(
        self, jobs: "queue.SimpleQueue[Job]", done: "queue.SimpleQueue[Outcome]", seed: int, mutate: str
    ) -> None:
        super().__init__(name=f"faults-{seed}")
        self._jobs, self._done, self._rng, self._mutate = jobs, done, random.Random(seed), mutate
        self._bench: Bench | None = None

    def run(self) -> None:
        """Work until nothing is left."""
        nursery = Nursery()
        try:
            while True:
                try:
                    kind, laser, _ = self._jobs.get_nowait()
                except queue.Empty:
                    return
                self._done.put(self._one(kind, laser, nursery))
        finally:
            self._let_go()
            nursery.close()

    def _one(self, kind: Kind, laser: str, nursery: Nursery) -> Outcome:
        if self._bench is not None and self._bench.laser_driver != laser:
            self._let_go()
        bench = self._bench = self._bench or Bench(laser)
        outcome = run_trial(kind, bench, nursery, self._rng, self._mutate)
        if kind.replaces_bench or outcome.problems:
            self._let_go()
        elif kind.how == "fault":
            role, _, fault = kind.what.partition(".")
            bench.ask("control", op="fault", instrument=role, fault=fault, on=False)
        return outcome

    def _let_go(self) -> None:
        bench, self._bench = self._bench, None
        if bench is not None:
            bench.close()


def campaign(jobs: Sequence[Job], workers: int, seed: int, mutate: str) -> list[Outcome]:
    """Carry the trials out, several at a time; tell of each that went wrong as it comes."""
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    done: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    crew = [Worker(waiting, done, 1000 * seed + number, mutate) for number in range(workers)]
    for worker in crew:
        worker.start()
    outcomes: list[Outcome] = []
    begun = time.monotonic()
    while len(outcomes) < len(jobs) and (any(worker.is_alive() for worker in crew) or not done.empty()):
        try:
            outcome = done.get(timeout=1.0)
        except queue.Empty:
            continue
        outcomes.append(outcome)
        if outcome.problems:
            sys.stderr.write(f"\n{outcome.kind}, {outcome.laser}: {'; '.join(outcome.problems)}\n")
        bad = sum(bool(entry.problems) for entry in outcomes)
        left_s = (time.monotonic() - begun) / len(outcomes) * (len(jobs) - len(outcomes))
        sys.stderr.write(
            f"\r{len(outcomes)} of {len(jobs)} trials, {bad} not as they should be, {left_s / 60:.0f} min left "
        )
        sys.stderr.flush()
    for worker in crew:
        worker.join()
    sys.stderr.write("\n")
    return outcomes


def main() -> int:
    """Run what the command line says; 1 where any trial is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", default=[], metavar="WORDS", help="kinds whose name has these words")
    parser.add_argument("--mutate", choices=MUTATIONS, default="", help="leave a safeguard out: has to fail")
    parser.add_argument(
        "--slack", type=float, default=1.0, help="times may be so many times longer (a shared computer)"
    )
    parser.add_argument("--quiet-minutes", type=float, default=0.0, help="instead: heat with both cores busy, no trip")
    parser.add_argument(
        "--from",
        type=Path,
        nargs="+",
        dest="earlier",
        metavar="FILE",
        help="no trials: show those of earlier campaigns",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="every trial, as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="the table for docs/safety.md")
    options = parser.parse_args()
    if options.quiet_minutes:
        return quiet(options.quiet_minutes)
    expected.slack[0] = options.slack
    if options.earlier:
        outcomes = read(options.earlier)
        wanted = len(outcomes)
    else:
        jobs = planned(options.trials, options.seed, options.only)
        wanted = len(jobs)
        outcomes = campaign(jobs, options.workers, options.seed, options.mutate)
    if options.json:
        options.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1) + "\n")
    if options.markdown:
        options.markdown.write_text(markdown(outcomes))
    sys.stdout.write(summary(outcomes))
    return 0 if len(outcomes) == wanted and not any(outcome.problems for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
