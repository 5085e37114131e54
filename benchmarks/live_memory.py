"""Memory of server and browser while the live page refreshes 10,000 times: python -m benchmarks.live_memory.

The page is refreshed faster than on the bench, so that this takes half an hour and not an hour and a half. Linux only:
proportional set sizes from /proc.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page

from benchmarks.browser import browser, growing, pages


def proportional_mb(pid: int) -> float:
    """Return the proportional set size of a process in MB; 0 where it has gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) / 1024.0 for line in lines if line.startswith("Pss:")), 0.0)


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
            total += proportional_mb(pid)
    return total


def paints(page: Page) -> int:
    """Return how often the page was painted."""
    return int(page.locator(".bench").first.get_attribute("data-paints") or 0)


def main() -> None:
    """Refresh, and print one JSON object at every tenth of the way; then by how much memory grew after the first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--refreshes", type=int, default=10_000)
    parser.add_argument("--refresh-s", type=float, default=0.15)
    parser.add_argument("--readings", type=int, default=10_000)
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "runs"
        data.mkdir()
        with (
            growing(data, asked.readings, 10.0),
            pages(data, "--refresh", str(asked.refresh_s)) as (url, server),
            browser() as started,
        ):
            page = started.new_page(viewport={"width": 1920, "height": 1080})
            page.goto(url, timeout=120_000)
            page.locator(".bench").first.wait_for(timeout=120_000)
            begin = time.monotonic()
            for tenth in range(1, 11):
                while paints(page) < tenth * asked.refreshes // 10:
                    page.wait_for_timeout(500)
                row = {
                    "refreshes": paints(page),
                    "minutes": round((time.monotonic() - begin) / 60.0, 1),
                    "browser_mb": round(browser_mb(), 1),
                    "server_mb": round(proportional_mb(server), 1),
                }
                rows.append(row)
                print(json.dumps(row), flush=True)
    growth = {name: round(rows[-1][name] - rows[0][name], 1) for name in ("browser_mb", "server_mb")}
    print(json.dumps({"grown_after_the_first_tenth": growth}))


if __name__ == "__main__":
    main()
