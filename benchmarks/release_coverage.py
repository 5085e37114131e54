"""Do the intervals of the release assays keep their promise? Worlds with secret rates, analysed as a user would.

Run it with ``python -m benchmarks.release_coverage`` (200 worlds of each trigger; ``--short`` for 10; ``--kind passive`` for one).
Every world differs in carrier, membrane, room, evaporation, lamp and noise; what the analysis believes (``[release]`` of
sample.toml) is off by a draw from its declared uncertainty. The worlds are those that the simulated bench serves, moved
without sockets by `benchmarks.release_world`.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.release_cases import KINDS, Case, draw_case
from nanolab.analysis.cautions import Cautions

if TYPE_CHECKING:
    from plans.release.bench_report import Findings


@dataclass(frozen=True)
class Outcome:
    """What came of one parameter in one world; ``value`` None where the data did not fix it."""

    seed: int
    kind: str
    name: str
    truth: float
    value: float | None
    standard_uncertainty: float
    low: float
    high: float
    why: str
    seconds: float

    @property
    def covered(self) -> bool:
        """Whether the interval holds the truth."""
        return self.value is not None and self.low <= self.truth <= self.high


def run_world(seed: int, kind: str, short: bool = False) -> list[Outcome]:
    """Draw, measure and analyse one world."""
    begun = time.perf_counter()
    case = draw_case(kind, seed, short=short)
    findings = case.analyse(case, Cautions())
    seconds = time.perf_counter() - begun
    return [_outcome(case, findings, name, truth, seconds) for name, truth in case.truth.items()]


def _outcome(case: Case, findings: "Findings", name: str, truth: float, seconds: float) -> Outcome:
    one = findings.joint.found[name]
    quantity = one.quantity
    if quantity is None or quantity.interval_95 is None or quantity.standard_uncertainty is None:
        return Outcome(case.seed, case.kind, name, truth, None, 0.0, 0.0, 0.0, str(one.why), seconds)
    low, high = quantity.interval_95
    return Outcome(
        case.seed, case.kind, name, truth, quantity.value, quantity.standard_uncertainty, low, high, "", seconds
    )


def run_many(seeds: Sequence[int], kind: str, workers: int, short: bool = False) -> list[Outcome]:
    """Run worlds of one kind."""
    job: Callable[[int], list[Outcome]] = partial(run_world, kind=kind, short=short)
    if workers <= 1:
        return _counted(map(job, seeds), kind, len(seeds))
    with ProcessPoolExecutor(workers) as pool:
        return _counted(pool.map(job, seeds), kind, len(seeds))


def _counted(worlds: Iterable[list[Outcome]], kind: str, total: int) -> list[Outcome]:
    """Gather outcomes and say every twentieth world, on standard error, how far it is and what is covered by then."""
    everything: list[Outcome] = []
    for number, found in enumerate(worlds, start=1):
        everything += found
        if number % 20 == 0 or number == total:
            rows = {name: row["coverage"] for name, row in summary(everything).items()}
            sys.stderr.write(f"{kind}: {number} of {total} worlds, covered {rows}\n")
            sys.stderr.flush()
    return everything


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Coverage, z and width by parameter; worlds that did not fix it are counted, not covered or uncovered."""
    tables: dict[str, Any] = {}
    for name in dict.fromkeys(one.name for one in outcomes):
        mine = [one for one in outcomes if one.name == name]
        known = [one for one in mine if one.value is not None]
        z = np.array([((one.value or 0.0) - one.truth) / one.standard_uncertainty for one in known])
        widths = np.array([0.5 * (one.high - one.low) / abs(one.value or 1.0) for one in known])
        tables[name] = {
            "worlds": len(mine),
            "not identified": dict(Counter(one.why[:60] for one in mine if one.value is None)),
            "coverage": float(np.mean([one.covered for one in known])) if known else None,
            "mean_z": float(z.mean()) if known else None,
            "sd_z": float(z.std(ddof=1)) if len(known) > 1 else None,
            "median_relative_half_width": float(np.median(widths)) if known else None,
            "median_seconds": float(np.median([one.seconds for one in mine])),
        }
    return tables


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign and print its tables; `--json` prints every world too."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--short", action="store_true", help="10 worlds, shorter runs")
    parser.add_argument("--seed", type=int, default=1, help="first world")
    parser.add_argument("--kind", choices=KINDS, action="append", help="one trigger (may be repeated); all by rule")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    worlds = 10 if options.short else options.worlds
    seeds = range(options.seed, options.seed + worlds)
    tables: dict[str, Mapping[str, Any]] = {}
    everything: list[Outcome] = []
    for kind in options.kind or KINDS:
        found = run_many(seeds, kind, options.workers, options.short)
        everything += found
        tables[kind] = summary(found)
        if not options.json:
            _print(kind, tables[kind])
    if options.json:
        sys.stdout.write(json.dumps({"summary": tables, "worlds": [asdict(one) for one in everything]}) + "\n")
    return 0


def _print(kind: str, table: Mapping[str, Mapping[str, Any]]) -> None:
    for name, row in table.items():
        if row["coverage"] is None:
            print(f"{kind:9} {name:24} never identified: {row['not identified']}")
            continue
        print(
            f"{kind:9} {name:24} covered {100 * row['coverage']:5.1f} % of {row['worlds'] - sum(row['not identified'].values())}, "
            f"z {row['mean_z']:+.2f} ± {row['sd_z'] or 0.0:.2f}, half width {100 * row['median_relative_half_width']:.1f} %, "
            f"not identified {row['not identified']}, {row['median_seconds']:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    raise SystemExit(main())
