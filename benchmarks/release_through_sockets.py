"""The release campaign's worlds again, each as a whole `nanolab run` through sockets.

``python -m benchmarks.release_through_sockets [--worlds 20] [--kind acid]`` writes world.toml (the secret), bench.toml and sample.toml (the
beliefs, each off by a draw from its declared uncertainty) of every world into a folder of its own, runs the assay on the
simulated bench, and counts how often the intervals of its JSON hold the truth.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.release_cases import KINDS, SAMPLING, Case, draw_case
from benchmarks.through_sockets import TIME_OUT_S, text_of
from nanolab.bench.template import bench_template
from nanolab.quantities import Quantity
from sims.world.describe import describe_world

PLANS: Mapping[str, Sequence[str]] = {
    "passive": ("release",),
    "acid": ("release_ph", "--set", "check_ph=no"),
    "enzyme": ("release_enzyme",),
    "heat": ("release_triggered",),
    "light": ("release_triggered", "--set", "trigger=laser"),
    "sampled": ("release", *(word for name, value in SAMPLING.items() for word in ("--set", f"{name}={value}"))),
}
"""What is run for each kind."""


def write_files(case: Case, folder: Path) -> None:
    """Write world.toml (truth) and sample.toml (beliefs) of a case."""
    world = case.config
    if case.kind == "acid":
        # the simulated meter was calibrated with an electrode of 98.8 per cent and 1.5 mV: its error is put into the electrode
        off_mv = 61.5 * 0.03 * case.errors["ph"]
        world = world.replaced({"ph_electrode.slope": 0.988, "ph_electrode.zero_mv": 1.5 + off_mv})
    if case.kind == "light":
        world = world.replaced({"laser.slope_w_per_a": 0.90 * case.power_gain})
    (folder / "world.toml").write_text(describe_world(world), encoding="utf-8")
    # the bench of the template with all its further instruments
    bench = re.sub("^## ", "", bench_template(), flags=re.MULTILINE)
    bench = bench.replace("# stray_light = 0.0", f"stray_light = {case.stray_light:.4g}")
    (folder / "bench.toml").write_text(bench, encoding="utf-8")
    lines = [
        "version = 1",
        "[sample]",
        f'name = "world {case.seed}"',
        f"volume = {text_of(case.sample.sample.volume)}",
        "[release]",
    ]
    release, expected = case.sample.release, case.sample.expected_release
    names = (
        "concentration", "dose_ratio", "activation_energy", "enzyme", "addition", "beam_area", "insert", "evaporation",
    )  # fmt: skip
    lines += [f"{name} = {text_of(getattr(release, name))}" for name in names]
    lines += [
        f'thermometer_accuracy = "{release.thermometer_accuracy.value} K"',
        f'ph_accuracy = "{release.ph_accuracy.value}"',
    ]
    lines += [
        "[expected_release]",
        f"k_release = {text_of(expected.k_release)}",
    ]
    # a sample file holds no loss below nothing
    if expected.enzyme_loss.value > 0.0:
        lines.append(f"enzyme_loss = {text_of(expected.enzyme_loss)}")
    (folder / "sample.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def run_world(kind: str, seed: int) -> dict[str, Any]:
    """Run one world through sockets; return truth, quantity and whether it is covered, by name."""
    case = draw_case(kind, seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(case, folder)
        words = [sys.executable, "-m", "nanolab", "run", *PLANS[kind], "--json", "--world", "world.toml", "--seed", str(seed),
                 "--set", "blanks=1"]  # fmt: skip
        done = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, timeout=TIME_OUT_S, stdin=subprocess.DEVNULL, check=False
        )
    if done.returncode not in {0, 7}:
        raise RuntimeError(f"world {seed}: exit code {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    result = json.loads(done.stdout)["result"]
    found: dict[str, Any] = {}
    for key, truth in case.truth.items():
        stored = result[key]
        quantity = None if stored is None else Quantity.from_json(stored)
        low, high = (0.0, 0.0) if quantity is None or quantity.interval_95 is None else quantity.interval_95
        found[key] = {"truth": truth, "quantity": quantity, "covered": quantity is not None and low <= truth <= high}
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the worlds one after another and print a line each and the count by parameter."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="first world")
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--workers", type=int, default=1, help="runs at a time")
    options = parser.parse_args(arguments)
    for kind in options.kind or KINDS:
        counts: dict[str, list[bool]] = {}
        seeds = range(options.seed, options.seed + options.worlds)
        with ThreadPoolExecutor(options.workers) as pool:
            worlds = list(zip(seeds, pool.map(partial(run_world, kind), seeds), strict=True))
        for seed, found in worlds:
            for name, one in found.items():
                words = "not identified" if one["quantity"] is None else str(one["quantity"])
                print(
                    f"{kind} {seed:3} {name:24} truth {one['truth']:.4g}, {words}, {'in' if one['covered'] else 'OUT'}",
                    flush=True,
                )
                if one["quantity"] is not None:
                    counts.setdefault(name, []).append(bool(one["covered"]))
        for name, covered in counts.items():
            print(f"{kind}: {name} covered {sum(covered)} of {len(covered)}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
