"""The live page, measured in a browser: age of the newest reading when painted, refreshes, zoom, memory; then `benchmarks.live_opening`.

    python -m benchmarks.live_page [--seconds 60] [--readings 10000] [--events 250000]

Readings come at 10 Hz, spectra of 2,048 pixels at 2 Hz with 200 rows in the spectrogram; the page refreshes at 2 Hz.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page

from benchmarks.browser import browser, growing, pages, resident_mb
from benchmarks.live_opening import measure_opening

WATCH = """e => { window.ages = []; new MutationObserver(() => window.ages.push(+e.dataset.paintAge))
    .observe(e, { attributes: true, attributeFilter: ['data-paints'] }); }"""


def watch(page: Page, seconds: float) -> list[float]:
    """Return the ages in s of the newest reading at each paint."""
    bench = page.locator(".bench").first
    bench.wait_for(timeout=120_000)
    page.wait_for_timeout(5000)  # the first seconds belong to opening
    bench.evaluate(WATCH)
    page.wait_for_timeout(1000.0 * seconds)
    found: list[float] = page.evaluate("window.ages")
    return found


def zoom_is_kept(page: Page) -> bool:
    """Zoom in, wait for several refreshes, and say whether the range is still the same."""
    canvas = page.get_by_role("img", name="Temperature against time")
    canvas.hover()
    for _ in range(5):
        page.mouse.wheel(0, -100)
    before = canvas.get_attribute("data-xr")
    page.wait_for_timeout(3500)
    return canvas.get_attribute("data-xr") == before


def measure_page(seconds: float, readings: int) -> dict[str, object]:
    """Measure one viewer of a growing run."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "runs"
        data.mkdir()
        with growing(data, readings, 10.0), pages(data) as (url, server), browser() as started:
            page = started.new_page(viewport={"width": 1920, "height": 1080})
            begin = time.monotonic()
            page.goto(url, timeout=120_000)
            page.locator(".bench").first.wait_for(timeout=120_000)
            opened = time.monotonic() - begin
            before = resident_mb(server)
            ages = watch(page, seconds)
            after = resident_mb(server)
            kept = zoom_is_kept(page)
    return {
        "readings_ready": readings,
        "refreshes": len(ages),
        "refreshes_per_s": round(len(ages) / seconds, 2),
        "age_median_ms": round(1000 * float(np.median(ages))) if ages else None,
        "age_p95_ms": round(1000 * float(np.percentile(ages, 95))) if ages else None,
        "opened_s": round(opened, 2),
        "server_mb": [round(before, 1), round(after, 1)],
        "zoom_kept": kept,
    }


def main() -> None:
    """Measure and print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--readings", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=250_000)
    asked = parser.parse_args()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    print(json.dumps({"processors": os.cpu_count(), "load_before": load}))
    print(json.dumps(measure_page(asked.seconds, asked.readings)), flush=True)
    print(json.dumps(measure_opening(asked.events, 3)), flush=True)


if __name__ == "__main__":
    main()
