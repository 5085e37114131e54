"""From the click on STOP to emission off, by the truth of the simulated bench: python -m benchmarks.stop_latency [--times 5]."""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.browser import browser, pages

RUN = ("photothermal", "--blank", "none", "--set", "spectrum=none", "--set", "baseline_s=20", "--set", "heat_s=3000")


class Truth(threading.Thread):
    """Asks the truth port again and again, and notes when the laser was last seen emitting and first seen off."""

    def __init__(self, address: str) -> None:
        super().__init__(name="truth")
        self.address = address
        self.off_at: float | None = None
        self.ended = threading.Event()

    def run(self) -> None:
        """Look until told to end."""
        host, _, port = self.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30.0) as link, link.makefile("rw") as lines:
            while not self.ended.is_set():
                lines.write('{"op": "truth"}\n')
                lines.flush()
                emitting = json.loads(lines.readline())["truth"]["laser"]["emitting"]
                if emitting:
                    self.off_at = None
                elif self.off_at is None:
                    self.off_at = time.monotonic()
                time.sleep(0.002)


@contextlib.contextmanager
def _bench() -> Iterator[dict[str, str]]:
    words = [sys.executable, "-m", "nanolab", "sim", "serve", "--json", "--speed", "10", "--truth"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdin is None or process.stdout is None:
        raise SystemExit("the simulated bench has no pipes")
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def once(ready: dict[str, str]) -> dict[str, float]:
    """Run, press STOP while the laser is on, and return both times in ms: emission off, and confirmed on the page."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "runs"
        words = [sys.executable, "-m", "nanolab", "run", *RUN, "--sim", ready["control"], "--data", str(data)]
        run = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        truth = Truth(ready["truth"])
        truth.start()
        try:
            while not list(data.glob("*/*/docs.jsonl")) and run.poll() is None:
                time.sleep(0.1)
            with pages(data) as (url, _), browser() as started:
                page = started.new_page(viewport={"width": 1920, "height": 1080})
                page.goto(url, timeout=120_000)
                page.get_by_text("LASER ON").wait_for(timeout=120_000)
                page.wait_for_timeout(2000)
                clicked = time.monotonic()
                page.locator(".stop").click()
                page.locator(".answer").filter(has_text="STOP carried out").wait_for(timeout=30_000)
                confirmed = time.monotonic()
            off = truth.off_at
        finally:
            truth.ended.set()
            truth.join()
            if run.poll() is None:
                run.terminate()
            run.wait(60)
    return {
        "off_ms": float("nan") if off is None else 1000 * (off - clicked),
        "confirmed_ms": 1000 * (confirmed - clicked),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
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
