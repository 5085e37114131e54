"""Memory of server and browser while the live page refreshes 10,000 times: python -m benchmarks.live_memory.

The page is refreshed faster than on the bench, so that this takes less than an hour and not an hour and a half. Linux
only: sizes from /proc. Every 100 refreshes the browser's memory is read as it is (raw), then the browser is made to
collect its garbage (`HeapProfiler.collectGarbage`) and its memory is read again (collected): between two collections of
its own choice a browser lets some 40 MB of garbage lie, which is neither growth nor its absence. The server is read as it
is.

What counts is memory that only the process itself holds (anonymous and shared memory, proportional): the programme
files that it maps cannot grow with refreshes, and their share changes with every other browser on the computer.

The judgement: the median of the last 500 refreshes less that of the first 500 after the first tenth, and the same of
the highest 500 on the way. `grown` is what the first of them says; below LIMIT_MB for browser and server is a pass.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from playwright.sync_api import CDPSession, Page

from benchmarks.browser import browser, growing, pages

STEP, WINDOW = 100, 500
"""Refreshes between two samples, and over which a median is taken."""
SETTLE_MS = 300
LIMIT_MB = 30.0
OWN = ("Pss_Anon:", "Pss_Shmem:", "SwapPss:")
JUDGED = ("browser_raw_mb", "browser_collected_mb", "server_mb")

Row = dict[str, float]


def own_mb(pid: int) -> float:
    """Return the memory that a process holds itself, in MB, without the files it maps; 0 where it has gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(float(line.split()[1]) for line in lines if line.startswith(OWN)) / 1024.0


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def browser_mb() -> float:
    """Return the memory of the browser that this process has started, all its processes together."""
    total = 0.0
    for pid in descendants(os.getpid()):
        try:
            name = Path(f"/proc/{pid}/comm").read_text()
        except OSError:
            continue
        if name.startswith(("chrom", "headless")):
            total += own_mb(pid)
    return total


def paints(page: Page) -> int:
    """Return how often the page was painted."""
    return int(page.locator(".bench").first.get_attribute("data-paints") or 0)


def sample(page: Page, tools: CDPSession, server: int, begun: float) -> Row:
    """Read all memory, before and after a collection of garbage; the page's own counts say what a growth is made of."""
    row: Row = {"refreshes": paints(page), "minutes": round((time.monotonic() - begun) / 60.0, 1)}
    row["browser_raw_mb"] = round(browser_mb(), 1)
    tools.send("HeapProfiler.collectGarbage")
    page.wait_for_timeout(SETTLE_MS)
    row["browser_collected_mb"] = round(browser_mb(), 1)
    row["server_mb"] = round(own_mb(server), 1)
    counts = {each["name"]: each["value"] for each in tools.send("Performance.getMetrics")["metrics"]}
    row["heap_mb"] = round(counts["JSHeapUsedSize"] / 2**20, 1)
    return {**row, "nodes": counts["Nodes"], "listeners": counts["JSEventListeners"]}


def judge(rows: Sequence[Row], refreshes: int) -> dict[str, Mapping[str, float] | bool]:
    """Return by how many MB the medians over WINDOW refreshes grew after the first tenth, and whether that passes."""
    found: dict[str, Mapping[str, float] | bool] = {}
    first = refreshes / 10
    for name in JUDGED:
        medians = []
        low = first
        while low < refreshes:
            inside = [row[name] for row in rows if low < row["refreshes"] <= low + WINDOW]
            medians += [statistics.median(inside)] if inside else []
            low += WINDOW
        grown = {"from": medians[0], "to": medians[-1], "grown": medians[-1] - medians[0]}
        found[name] = {key: round(mb, 1) for key, mb in {**grown, "highest": max(medians) - medians[0]}.items()}
    judged = [found[name] for name in ("browser_collected_mb", "server_mb")]
    found["passes"] = all(isinstance(each, Mapping) and each["grown"] < LIMIT_MB for each in judged)
    return found


def measure(refreshes: int, refresh_s: float, readings: int) -> list[Row]:
    """Follow a growing run for so many refreshes; return a row each STEP of them, and print a row each tenth."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "runs"
        data.mkdir()
        with (
            growing(data, readings, 10.0),
            pages(data, "--refresh", str(refresh_s)) as (url, server),
            browser() as started,
        ):
            page = started.new_page(viewport={"width": 1920, "height": 1080})
            page.goto(url, timeout=120_000)
            page.locator(".bench").first.wait_for(timeout=120_000)
            tools = page.context.new_cdp_session(page)
            tools.send("Performance.enable")
            begun = time.monotonic()
            for wanted in range(STEP, refreshes + 1, STEP):
                while paints(page) < wanted:
                    page.wait_for_timeout(500)
                rows.append(sample(page, tools, server, begun))
                if wanted % max(STEP, refreshes // 10) == 0:
                    print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    """Refresh, print one JSON object at every tenth of the way, then the judgement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--refreshes", type=int, default=10_000)
    parser.add_argument("--refresh-s", type=float, default=0.2)
    parser.add_argument("--readings", type=int, default=10_000)
    parser.add_argument("--rows", type=Path, help="a file for every sample, one JSON object a line")
    asked = parser.parse_args()
    rows = measure(asked.refreshes, asked.refresh_s, asked.readings)
    if asked.rows is not None:
        asked.rows.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(json.dumps({"limit_mb": LIMIT_MB, **judge(rows, asked.refreshes)}))


if __name__ == "__main__":
    main()
