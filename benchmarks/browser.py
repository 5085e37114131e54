"""A browser, a server of the pages and a run that grows at a given rate: what the page's measurements share."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from benchmarks.synthetic import Recipe, descriptors, event, photothermal_start, reading, spectrum
from nanolab.journal import RunWriter

BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser; SystemExit where there is none."""
    named = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if named is None:
        raise SystemExit("there is no browser: run `apt-get install chromium-headless-shell`, or name one in CHROMIUM")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=named, args=list(FLAGS))
        yield started
        started.close()


@contextlib.contextmanager
def pages(data: Path, *words: str) -> Iterator[tuple[str, int]]:
    """Serve the pages of a data folder; yield address and process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "nanolab", "dashboard", "--data", str(data), "--port", str(port), "--no-browser"]
    process = subprocess.Popen([*command, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(900):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/_stcore/health", timeout=2.0):
                break
            time.sleep(0.1)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def growing(data: Path, ready: int, rate_hz: float, spectra: int = 200, done: float = 2.0 / 3.0) -> Iterator[Path]:
    """Write a run that has `ready` readings and `spectra` spectra, and goes on at `rate_hz` with two spectra a second.

    `done` is the share of the run that the readings there are reach.
    """
    recipe = Recipe(begun_s=time.time() - ready / rate_hz)
    start, noise = photothermal_start(recipe), np.random.default_rng(0)
    ended = threading.Event()
    with RunWriter(data) as writer:
        writer("start", start)
        for name, doc in descriptors(start):
            writer(name, doc)

        def write(index: int, wall: float) -> None:
            lab = index * done * 1320.0 / max(ready, 600)
            writer(*event(start, "primary", index + 1, wall, reading(lab, recipe, noise)))
            if index % max(1, ready // max(1, spectra)) == 0 or (
                index > ready and index % max(1, int(rate_hz / 2)) == 0
            ):
                writer(*event(start, "spectra", index + 1, wall, spectrum(lab, "light_after", noise)))

        for index in range(ready):
            write(index, start["time"] + index / rate_hz)

        def go_on() -> None:
            index, begin = ready, time.time()
            while not ended.wait(max(0.0, begin + (index - ready) / rate_hz - time.time())):
                write(index, time.time())
                index += 1

        thread = threading.Thread(target=go_on, name="readings")
        thread.start()
        try:
            yield Path(str(writer.path))
        finally:
            ended.set()
            thread.join()


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB (Linux; NaN elsewhere)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(float(line.split()[1]) / 1024.0 for line in lines if line.startswith("VmRSS"))
