"""How long a run of many events of four values takes to open in a browser: python -m benchmarks.live_opening.

Wall time from navigation to the frame after the one in which the whole curve was drawn, by the browser's own clock; each
time with an empty browser cache. Median of `--times` servers.

- `first`: the first browser session of a server that is up, and has had READ_S to read the run (as it does at its start);
- `again`: the next session of the same server;
- `unread`: the first session of a server on another, small run, where the big one has just become the newest: the page
  reads it while the browser waits;
- `small`: the first session of a server on a small run: what no reader can make shorter.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser

from benchmarks.browser import browser, pages
from benchmarks.synthetic import Recipe, numbers, write_run
from dashboard.live_run import LiveRun
from dashboard.live_view import live_view
from nanolab.journal import RunWriter

NAMES = ("thermocouple_sample", "laser_power", "laser_emitting", "run_state_lab_time")
READ_S = 4.0
SMALL = 660
"""Readings of the small run."""

# the component says on each canvas of how many points its curves are once it has drawn them; two frames later they are seen
WATCH = """(() => {
  const seen = (all) => { for (const { target } of all) if (+target.dataset.points >= WANTED && !window.painted)
    { window.painted = -1; requestAnimationFrame(() => requestAnimationFrame(() => { window.painted = performance.now(); })); } };
  const old = Element.prototype.attachShadow;
  Element.prototype.attachShadow = function (how) { const root = old.call(this, how);
    new MutationObserver(seen).observe(root, { subtree: true, attributes: true, attributeFilter: ['data-points'] }); return root; };
})()"""


def write_big(root: Path, events: int) -> Path:
    """Write a finished run of so many events of four values."""
    with RunWriter(root) as writer:
        writer("start", {"uid": "big", "time": time.time(), "plan_name": "monitor", "simulated": True})
        writer("descriptor", {"uid": "d", "run_start": "big", "time": time.time(), "name": "primary", "hints": {},
                              "data_keys": numbers(dict.fromkeys(NAMES, "")), "configuration": {}, "object_keys": {}})  # fmt: skip
        for index in range(events):
            values = (22.0 + np.sin(index / 1e4), 0.5, 1, 0.1 * index)
            data = dict(zip(NAMES, map(float, values), strict=True))
            writer("event", {"uid": f"{index:036d}", "descriptor": "d", "seq_num": index + 1, "time": time.time(),
                             "data": data, "timestamps": dict.fromkeys(NAMES, 0.1 * index), "filled": {}})  # fmt: skip
        return Path(str(writer.path))


def shown_s(started: Browser, url: str, points: int) -> float:
    """Open the page as somebody who was never there; return seconds from navigation until a curve of `points` is seen."""
    context = started.new_context(viewport={"width": 1920, "height": 1080})
    try:
        page = context.new_page()
        page.add_init_script(WATCH.replace("WANTED", str(points)))
        page.goto(url, timeout=120_000, wait_until="commit")
        page.wait_for_function("window.painted > 0", timeout=120_000, polling=20)
        return float(page.evaluate("window.painted")) / 1000.0
    finally:
        context.close()


def measure_reading(path: Path) -> dict[str, float]:
    """Measure how long the page's reader takes for a run, and one look at it, in this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    run = LiveRun(path)
    run.poll()
    read = {"read_wall_s": time.perf_counter() - wall, "read_cpu_s": time.process_time() - cpu}
    cpu = time.process_time()
    live_view(run, "finished")
    look = 1000 * (time.process_time() - cpu)
    run.close()
    return {**{name: round(value, 2) for name, value in read.items()}, "look_cpu_ms": round(look, 1)}


def measure_opening(events: int, times: int) -> dict[str, object]:
    """Measure reader and page for a run of so many events."""
    found: dict[str, list[float]] = {"first": [], "again": [], "unread": [], "small": []}
    with tempfile.TemporaryDirectory() as folder, browser() as started:
        big, small, late = Path(folder) / "big", Path(folder) / "small", Path(folder) / "late"
        path = write_big(big, events)
        reading = measure_reading(path)
        write_run(small, Recipe(begun_s=1.79e9))
        for _ in range(times):
            with pages(big) as (url, _server):
                time.sleep(READ_S)
                found["first"].append(shown_s(started, url, events))
                found["again"].append(shown_s(started, url, events))
            shutil.copytree(small, late)
            with pages(late) as (url, _server):
                time.sleep(READ_S)
                found["small"].append(shown_s(started, url, SMALL))
            with pages(late) as (url, _server):
                time.sleep(READ_S)
                path.parent.rename(late / path.parent.name)
                (late / path.parent.name / path.name / "README.txt").touch()
                found["unread"].append(shown_s(started, url, events))
            (late / path.parent.name).rename(path.parent)
            shutil.rmtree(late)
    shown = {f"{name}_s": round(statistics.median(each), 2) for name, each in found.items()}
    return {"events": events, **reading, **shown, "all": {name: np.round(each, 2).tolist() for name, each in found.items()}}  # fmt: skip


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=250_000)
    parser.add_argument("--times", type=int, default=3)
    asked = parser.parse_args()
    load = os.getloadavg() if hasattr(os, "getloadavg") else None
    print(json.dumps({"processors": os.cpu_count(), "load": load, **measure_opening(asked.events, asked.times)}))


if __name__ == "__main__":
    main()
