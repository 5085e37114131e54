"""A simulated run on the bench screen: it grows, STOP turns the laser off, kills are seen for what they are."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from nanolab.journal import open_run
from tests.e2e.conftest import Bench, Open, Pages, newest, running, serving, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9 and Debian's browser are of POSIX")

HEAT = ("photothermal", "--blank", "none", "--set", "spectrum=none", "--set", "baseline_s=40", "--set", "heat_s=3000")


def points(page: Page) -> int:
    return int(page.get_by_role("img", name="Temperature against time").get_attribute("data-points") or 0)


def laser_on(page: Page) -> None:
    expect(page.locator(".banner strong")).to_have_text("LASER ON")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """One server for the tests that leave it alive; each of them writes a run of its own into its folder."""
    with serving(tmp_path_factory.mktemp("live") / "runs") as served:
        yield served


def test_the_curve_grows_and_stop_turns_the_laser_off(bench: Bench, pages: Pages, new_page: Open) -> None:
    with running(pages.data, bench, *HEAT) as run:
        page = new_page(pages.url)
        laser_on(page)
        expect(page.locator(".banner em")).to_have_text("SIMULATED")
        assert bench.emitting
        before = points(page)
        until(lambda: points(page) > before + 20, "the curve does not grow")

        page.get_by_role("button", name="STOP").click()

        expect(page.locator(".answer")).to_contain_text("LASER OFF, read back")
        assert not bench.emitting
        expect(page.locator(".banner strong")).to_have_text("RUN ABORTED, STOPPED FROM THE PAGE: LASER OFF")
        assert run.wait(120) == 130
        folder = newest(pages.data)
        assert '"asked_by": "the STOP of the live page"' in (folder / "stop_request.json").read_text()
        assert not (folder / "stop.json").exists()


def test_escape_on_another_page_stops_too_and_a_note_goes_into_the_run_folder(
    bench: Bench, pages: Pages, new_page: Open
) -> None:
    with running(pages.data, bench, *HEAT) as run:
        page = new_page(pages.url)
        laser_on(page)
        note = page.get_by_label("Note (goes into the run folder")
        note.fill("bubble at the wall")
        page.get_by_role("button", name="Add note").click()
        expect(page.locator(".notes li")).to_contain_text(["bubble at the wall"])
        assert (newest(pages.data) / "notes.jsonl").read_text().count("bubble at the wall") == 1

        page.get_by_role("link", name="Devices").click()
        expect(page.get_by_role("heading", name="Devices")).to_be_visible()
        laser_on(page)
        page.keyboard.press("Escape")

        expect(page.locator(".answer")).to_contain_text("LASER OFF, read back")
        assert not bench.emitting
        assert run.wait(120) == 130


def test_a_run_is_started_from_the_page_and_stopped_there(new_page: Open, tmp_path: Path) -> None:
    data = tmp_path / "runs"
    data.mkdir()
    with serving(data) as pages:
        page = new_page(pages.url)
        expect(page.get_by_text("There is no run in").first).to_be_visible()
        page.get_by_text("Start a run", exact=True).click()
        for label, text in (("baseline_s / s", "20"), ("heat_s / s", "3000"), ("spectrum", "none"), ("Blank:", "none")):
            box = page.get_by_role("textbox", name=label)
            box.fill(text)
            box.press("Enter")
        expect(page.get_by_test_id("stCode")).to_contain_text("--set spectrum=none --blank none", timeout=20_000)
        page.get_by_role("button", name="Start on the simulated bench").click()
        laser_on(page)
        page.get_by_role("button", name="STOP").click()
        expect(page.locator(".answer")).to_contain_text("LASER OFF, read back")
        expect(page.locator(".banner strong")).to_have_text("RUN ABORTED, STOPPED FROM THE PAGE: LASER OFF")
        [folder] = data.glob("2*/*-simulated")
        until(lambda: not (folder / "writer.json").exists(), "the run does not end")
    assert open_run(folder).status == "aborted"


def test_the_run_outlives_the_page_and_a_killed_run_is_called_interrupted(
    bench: Bench, new_page: Open, tmp_path: Path
) -> None:
    data = tmp_path / "runs"
    with running(data, bench, *HEAT) as run:
        with serving(data) as pages:
            laser_on(new_page(pages.url))
            os.kill(pages.process.pid, signal.SIGKILL)
            pages.process.wait(30)
        [folder] = data.glob("*/*-simulated")
        size = (folder / "docs.jsonl").stat().st_size
        until(lambda: (folder / "docs.jsonl").stat().st_size > size, "the run ended with the page")
        # whether or not a guardian keeps its log there: the page has left nothing
        names = {path.name for path in folder.iterdir()} - {"guardian.jsonl"}
        assert names == {"README.txt", "docs.jsonl", "stop.json", "writer.json"}

        with serving(data) as pages:
            page = new_page(pages.url)
            laser_on(page)
            os.kill(run.pid, signal.SIGKILL)
            expect(page.locator(".banner strong")).to_contain_text("INTERRUPTED")
            if not (folder / "guardian.jsonl").exists():  # nobody guards this run: what a guardian would have written
                expect(page.locator(".banner strong")).to_contain_text("laser state unknown")
                report = {"confirmed": True, "why": "the run is gone", "detail": "OUTP1? 0", "reaction_ms": 2.0}
                (folder / "guardian.jsonl").write_text(json.dumps({"wall": time.time(), "report": report}) + "\n")
            expect(page.locator(".banner strong")).to_contain_text("LASER OFF as its guardian read back")
            expect(page.locator(".notes li")).to_contain_text(["guardian: LASER OFF (OUTP1? 0"])
            expect(page.get_by_role("button", name="STOP")).to_be_disabled()


@pytest.mark.parametrize("by", ["click", "Escape"])
def test_a_page_that_lost_its_server_says_so_and_stops_all_the_same(
    bench: Bench, new_page: Open, tmp_path: Path, by: str
) -> None:
    data = tmp_path / "runs"
    with running(data, bench, *HEAT) as run, serving(data) as pages:
        page = new_page(pages.url)
        laser_on(page)
        os.kill(pages.process.pid, signal.SIGKILL)
        expect(page.locator(".banner strong")).to_contain_text("STATE UNKNOWN")
        # the worst case: Streamlit has laid a dialog of its own over the page, which is not shown
        expect(page.get_by_test_id("stDialog")).to_be_attached()
        if by == "click":  # the browser's own way to the run does not need the server
            page.get_by_role("button", name="STOP").click()
        else:
            page.keyboard.press("Escape")
        expect(page.locator(".answer")).to_contain_text("LASER OFF, read back")
        assert not bench.emitting
        assert run.wait(120) == 130
