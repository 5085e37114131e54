"""No false trip: minutes of heating in real time with every core busy."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.faults.trial import Bench, bench_file

BURN = "while True: sum(range(100000))"


def quiet(minutes: float, laser: str = "thorlabs_itc4005") -> int:
    """Heat for so long while every core computes; 0 where nothing tripped and the run came to its planned end."""
    burners = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(os.cpu_count() or 1)]
    bench = Bench(laser)
    try:
        with tempfile.TemporaryDirectory(prefix="nanolab-quiet-") as name:
            out = Path(name)
            done = subprocess.run(
                [sys.executable, "-P", "-m", "nanolab", "run", "photothermal", "--bench", str(bench_file(laser, out)),
                 "--data", str(out / "runs"), "--sim", bench.control, "--blank", "none", "--set", "spectrum=none",
                 "--set", "baseline_s=20", "--set", f"heat_s={60 * minutes:g}", "--set", "cool_s=20"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            )  # fmt: skip
            tripped = (out / "runs" / "interlock.jsonl").is_file()
    finally:
        bench.close()
        for burner in burners:
            burner.kill()
            burner.wait()
    good = done.returncode in {0, 7} and not tripped
    words = (
        "no trip"
        if good
        else f"exit code {done.returncode}, {'a trip' if tripped else 'no trip'}: {done.stderr[-500:]}"
    )
    sys.stdout.write(f"{minutes:g} min of heating with {len(burners)} cores busy: {words}\n")
    return 0 if good else 1
