"""Pictures of the pages: python -m benchmarks.screenshots [--to FOLDER] [--pages live ...] [--themes dark light].

The picture in README and docs: python -m benchmarks.screenshots --to docs/pictures --pages live --themes dark. Pictures of
every page of your own runs, whole: python -m benchmarks.screenshots --data runs.

Without --data the data are synthetic and say SIMULATED; the pages are the real ones in a real browser.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from playwright.sync_api import Browser, Page

from benchmarks.browser import browser, growing, pages
from benchmarks.synthetic import RISE_K, Recipe, write_run
from nanolab.discovery import PAGES, entry_points_of
from nanolab.journal.catalog import find_runs
from nanolab.journal.notes import add_note

SIZE = {"live": (1920, 1080), "photothermal": (1600, 2300), "runs": (1600, 2500), "devices": (1600, 720)}
TALL = 2200
"""Height of a picture that is to show a whole page."""
RESULTS = (0.70, 0.72, 0.71, 0.69, 0.715)
LARGEST_BYTES = 350_000


def prepare(page: Page, name: str, running: bool) -> None:
    """Wait until a page shows what it is about; tick, ask and open what it has."""
    page.locator(".bench").first.wait_for(timeout=120_000)
    if name == "runs":
        page.get_by_test_id("stDataFrame").wait_for(timeout=120_000)
        canvas = page.get_by_test_id("stDataFrame").locator("canvas").first
        page.wait_for_timeout(1500)
        for row in (1, 2):  # the first one is the run that is going on
            canvas.click(position={"x": 17, "y": 35 + 35 * row + 17}, force=True)  # a scroller lies on it
            page.wait_for_timeout(1500)
        page.mouse.move(5, 5)  # the list shows its tools under the mouse
        page.get_by_role("heading", name="Overlay").wait_for(timeout=120_000)
    elif name == "devices":
        page.get_by_role("cell", name="spectrometer", exact=True).first.wait_for(timeout=120_000)
        if not running:
            page.get_by_role("button", name="Ask nanolab bench doctor").click()
            page.get_by_role("cell", name="bench file", exact=True).wait_for(timeout=120_000)
    elif name != "live":
        page.get_by_role("heading", name="Parameters").wait_for(timeout=180_000)
        page.get_by_text("Compare models and conventions").click()
        alone = page.get_by_text("there is one model here")
        page.get_by_text("what makes the difference").or_(alone).first.wait_for(timeout=120_000)
    page.wait_for_timeout(4000)


def take(
    started: Browser, url: str, theme: str, folder: Path, sizes: Mapping[str, tuple[int, int]], running: bool
) -> None:
    """Take one picture of each page."""
    for name, (width, height) in sizes.items():
        page = started.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce")
        page.goto(f"{url}/{'' if name == 'live' else name}", timeout=120_000)
        prepare(page, name, running)
        target = folder / f"{name}-{theme}.png"
        page.screenshot(path=target)
        page.close()
        print(f"{target}: {target.stat().st_size / 1000:.0f} kB")
        if running and target.stat().st_size > LARGEST_BYTES:
            raise SystemExit(f"{target} is larger than {LARGEST_BYTES / 1000:.0f} kB")


@contextmanager
def synthetic() -> Iterator[Path]:
    """Yield a data folder with finished runs and one that goes on."""
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "runs"
        data.mkdir()
        for number, efficiency in enumerate(RESULTS):
            begun = time.time() - 86400.0 * (len(RESULTS) - number)
            write_run(data, Recipe(seed=number, begun_s=begun, result=efficiency, rise_k=RISE_K * efficiency / 0.70))
        with growing(data, 600, 1.0, spectra=60, done=0.4) as run:
            add_note(run, "stirrer 400 rpm", time_s=time.time() - 420.0)
            yield data


def sizes_of(data: Path | None, names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return width and height of each picture; of runs of one's own, all assays that have one, as a whole."""
    if data is None:
        return {name: SIZE[name] for name in names or SIZE}
    plans = {info.plan for info in find_runs(data)}
    whole = ["live", *(name for name in entry_points_of(PAGES) if name in plans), "runs", "devices"]
    return {name: SIZE["live"] if name == "live" else (1600, TALL) for name in names or whole}


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=Path("pictures"))
    parser.add_argument("--pages", nargs="*", default=[], help="default: all that there are")
    parser.add_argument("--themes", nargs="*", default=["dark", "light"], choices=["dark", "light"])
    parser.add_argument("--data", type=Path, help="a data folder of your own")
    asked = parser.parse_args()
    asked.to.mkdir(parents=True, exist_ok=True)
    sizes = sizes_of(asked.data, asked.pages)
    with synthetic() if asked.data is None else nullcontext(asked.data) as data, browser() as started:
        for theme in asked.themes:
            with pages(data, *(["--light"] if theme == "light" else [])) as (url, _):
                take(started, url, theme, asked.to, sizes, running=asked.data is None)


if __name__ == "__main__":
    main()
