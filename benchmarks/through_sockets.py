"""The coverage campaign's worlds again, each as a whole `nanolab run` through sockets.

``python -m benchmarks.through_sockets [--worlds 20]`` writes world.toml (the secret), bench.toml and sample.toml (the beliefs, each off by
a draw from its declared uncertainty) of every world into a folder of its own, runs the photothermal assay on the
simulated bench, and counts how often the interval of its JSON holds the truth.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.coverage import Case, beliefs_of, draw_case
from nanolab.bench.template import bench_template
from nanolab.quantities import Quantity
from sims.world.describe import describe_world

TIME_OUT_S = 600.0


def text_of(quantity: Quantity | None) -> str:
    """Write a quantity as a bench or sample file takes it."""
    if quantity is None:
        raise ValueError("this belief is missing")
    unit = "" if quantity.unit == "1" else f" {quantity.unit}"
    return f'"{quantity.value:.9g}±{quantity.standard_uncertainty:.6g}{unit}"'


def write_files(case: Case, folder: Path, divide_by: float) -> None:
    """Write world.toml (truth), bench.toml and sample.toml (beliefs) of a case."""
    conditions, beliefs = beliefs_of(case, divide_by)
    (folder / "world.toml").write_text(describe_world(case.config), encoding="utf-8")
    (folder / "bench.toml").write_text(bench_template(), encoding="utf-8")
    volume = case.config.cuvette.volume_ml
    (folder / "sample.toml").write_text(
        f"""version = 1
[sample]
name = "world {case.seed}"
volume = "{volume:.6g}±{0.01 * volume:.3g} mL"
absorbance = {text_of(conditions.absorbance)}
window_transmission = {text_of(conditions.window)}
path_length = "10.00±0.001 mm"
[heat_capacity]
effective = {text_of(conditions.heat_capacity)}
[beliefs]
power_gain = {text_of(conditions.power_gain)}
thermometer_gain = {text_of(conditions.thermometer_gain)}
[expected]
efficiency = {text_of(beliefs.efficiency)}
heat_loss = {text_of(beliefs.heat_loss)}
""",
        encoding="utf-8",
    )


def run_world(seed: int, divide_by: float = 1.0) -> dict[str, Any]:
    """Run one world through sockets and return truth, value, interval, verdict and cautions."""
    case = draw_case(seed, divide_by)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(case, folder, divide_by)
        settings = {"power_w": case.power_w, "baseline_s": case.baseline_s, "heat_s": case.heat_s, "cool_s": case.cool_s,
                    "cycles": case.cycles}  # fmt: skip
        words = [
            sys.executable,
            "-m",
            "nanolab",
            "run",
            "photothermal",
            "--json",
            "--world",
            "world.toml",
            "--seed",
            str(seed),
        ]
        words += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        done = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, timeout=TIME_OUT_S, stdin=subprocess.DEVNULL, check=False
        )
    if done.returncode != 0:
        raise RuntimeError(f"world {seed}: exit code {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    document = json.loads(done.stdout)
    efficiency = document["result"]["efficiency"]
    return {
        "seed": seed,
        "truth": case.config.photothermal.efficiency,
        "value": efficiency["value"],
        "u": efficiency["standard_uncertainty"],
        "low": efficiency["interval_95"][0],
        "high": efficiency["interval_95"][1],
        "verdict_z": document["verdict"]["z"],
        "cautions": [caution["code"] for caution in document["cautions"]],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the worlds and print a line each and the summary; exit code 1 where less than 17 of 20 are covered."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="first world")
    parser.add_argument("--divide-by", type=float, default=1.0, help="know every input this much better")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    seeds = range(options.seed, options.seed + options.worlds)
    rows = []
    with ThreadPoolExecutor(options.workers) as pool:
        for row in pool.map(partial(run_world, divide_by=options.divide_by), seeds):
            rows.append(row)
            inside = "in" if row["low"] <= row["truth"] <= row["high"] else "OUT"
            print(f"world {row['seed']:3}  truth {row['truth']:.3f}  found {row['value']:.3f} ± {row['u']:.3f}  {inside:3} "
                  f"verdict z {row['verdict_z']:+.2f}  {' '.join(row['cautions'])}", flush=True)  # fmt: skip
    z = np.array([(row["value"] - row["truth"]) / row["u"] for row in rows])
    judged = np.array([row["verdict_z"] for row in rows])
    covered = sum(row["low"] <= row["truth"] <= row["high"] for row in rows)
    print(f"covered {covered} of {len(rows)}; mean z {z.mean():+.2f}, sd {z.std(ddof=1):.2f}; verdict z: mean "
          f"{judged.mean():+.2f}, sd {judged.std(ddof=1):.2f}; with a caution {sum(bool(r['cautions']) for r in rows)}")  # fmt: skip
    return 0 if covered >= 0.85 * len(rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
