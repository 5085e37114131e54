"""Pictures of the pages: python -m benchmarks.screenshots [--to FOLDER] [--pages live ...] [--themes dark light].

The picture in README and docs: python -m benchmarks.screenshots --to docs/pictures --pages live --themes dark.

The data are synthetic and say SIMULATED; the pages are the real ones in a real browser.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser, Page

from benchmarks.browser import browser, growing, pages
from benchmarks.synthetic import RISE_K, Recipe, write_run
from nanolab.journal.notes import add_note

SIZE = {"live": (1920, 1080), "photothermal": (1600, 1900), "runs": (1600, 1500), "devices": (1600, 720)}
RESULTS = (0.70, 0.72, 0.71, 0.69, 0.715)
LARGEST_BYTES = 300_000


def prepare(page: Page, name: str) -> None:
    """Wait until a page shows what it is about."""
    page.locator(".bench").first.wait_for(timeout=120_000)
    if name == "photothermal":
        page.get_by_role("cell", name="η, efficiency / 1").wait_for(timeout=180_000)
    if name == "runs":
        page.get_by_test_id("stDataFrame").wait_for(timeout=120_000)
        canvas = page.get_by_test_id("stDataFrame").locator("canvas").first
        page.wait_for_timeout(1500)
        for row in (1, 2):  # the first one is the run that is going on
            canvas.click(position={"x": 17, "y": 35 + 35 * row + 17}, force=True)  # a scroller lies on it
            page.wait_for_timeout(1500)
        page.get_by_role("heading", name="Results side by side").wait_for(timeout=120_000)
    if name == "devices":
        page.get_by_role("cell", name="thermocouple", exact=True).wait_for(timeout=120_000)
    page.wait_for_timeout(4000)


def take(started: Browser, url: str, theme: str, folder: Path, names: Sequence[str]) -> None:
    """Take one picture of each page."""
    for name in names:
        width, height = SIZE[name]
        page = started.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce")
        page.goto(f"{url}/{'' if name == 'live' else name}", timeout=120_000)
        prepare(page, name)
        target = folder / f"{name}-{theme}.png"
        page.screenshot(path=target)
        page.close()
        print(f"{target}: {target.stat().st_size / 1000:.0f} kB")
        if target.stat().st_size > LARGEST_BYTES:
            raise SystemExit(f"{target} is larger than {LARGEST_BYTES / 1000:.0f} kB")


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=Path("pictures"))
    parser.add_argument("--pages", nargs="*", default=list(SIZE), choices=list(SIZE))
    parser.add_argument("--themes", nargs="*", default=["dark", "light"])
    asked = parser.parse_args()
    asked.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "runs"
        data.mkdir()
        for number, efficiency in enumerate(RESULTS):
            begun = time.time() - 86400.0 * (len(RESULTS) - number)
            write_run(data, Recipe(seed=number, begun_s=begun, result=efficiency, rise_k=RISE_K * efficiency / 0.70))
        with growing(data, 600, 1.0, spectra=60, done=0.4) as run, browser() as started:
            add_note(run, "stirrer 400 rpm", time_s=time.time() - 420.0)
            for theme in asked.themes:
                with pages(data, *(["--light"] if theme == "light" else [])) as (url, _):
                    take(started, url, theme, asked.to, asked.pages)


if __name__ == "__main__":
    main()
