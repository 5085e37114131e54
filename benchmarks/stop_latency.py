"""From the click on STOP to emission off, by the simulated laser's own log: python -m benchmarks.stop_latency [--times 10]."""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.browser import browser, pages

RUN = ("photothermal", "--blank", "none", "--set", "spectrum=none", "--set", "baseline_s=20", "--set", "heat_s=3000")


@contextlib.contextmanager
def _bench() -> Iterator[dict[str, str]]:
    words = [sys.executable, "-m", "nanolab", "sim", "serve", "--json", "--speed", "10"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdin is None or process.stdout is None:
        raise SystemExit("the simulated bench has no pipes")
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def emissions(truth: str) -> list[dict[str, Any]]:
    """Return when emission began and ended, in `time.monotonic` seconds of this machine."""
    host, _, port = truth.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30.0) as link, link.makefile("rw") as lines:
        lines.write('{"op": "emissions"}\n')
        lines.flush()
        found: list[dict[str, Any]] = json.loads(lines.readline())["emissions"]
    return found


def once(ready: dict[str, str]) -> dict[str, float]:
    """Run, press STOP while the laser is on, and return both times in ms: emission off, and confirmed on the page."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "runs"
        words = [sys.executable, "-m", "nanolab", "run", *RUN, "--sim", ready["control"], "--data", str(data)]
        run = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not list(data.glob("*/*/docs.jsonl")) and run.poll() is None:
                time.sleep(0.1)
            with pages(data) as (url, _), browser() as started:
                page = started.new_page(viewport={"width": 1920, "height": 1080})
                page.goto(url, timeout=120_000)
                page.get_by_text("LASER ON").wait_for(timeout=120_000)
                page.wait_for_timeout(2000)
                button = page.locator(".stop")
                place = button.bounding_box()
                if place is None:
                    raise SystemExit("there is no STOP on the page")
                x, y = place["x"] + 0.5 * place["width"], place["y"] + 0.5 * place["height"]
                page.mouse.move(x, y)
                clicked = time.monotonic()
                page.mouse.click(x, y)
                page.locator(".answer").filter(has_text="LASER OFF, read back").wait_for(timeout=30_000)
                confirmed = time.monotonic()
            off = [change["monotonic_s"] for change in emissions(ready["truth"]) if not change["emitting"]]
        finally:
            if run.poll() is None:
                run.terminate()
            run.wait(60)
    return {
        "off_ms": 1000 * (off[-1] - clicked) if off and off[-1] >= clicked else float("nan"),
        "confirmed_ms": 1000 * (confirmed - clicked),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    times = parser.parse_args().times
    with _bench() as ready:
        found = [once(ready) for _ in range(times)]
    for name in ("off_ms", "confirmed_ms"):
        values = [item[name] for item in found]
        print(
            f"{name}: median {np.median(values):.0f}, largest {np.max(values):.0f}, of {times}; load {os.getloadavg()[0]:.1f}"
        )


if __name__ == "__main__":
    main()
