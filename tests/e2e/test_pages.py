"""Every page in a browser on finished runs: browse, compare, download, analyse; nothing seriously wrong for anybody."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from benchmarks.synthetic import Recipe, write_run
from dashboard.frame import panels_only
from dashboard.payload import pack
from tests.e2e.conftest import Open, Pages, serving, until

NAMES = ("live", "photothermal", "runs", "devices")
ADDRESSES = {"live": "", "photothermal": "photothermal", "runs": "runs", "devices": "devices"}
TITLES = {"photothermal": "Assay: photothermal", "runs": "Runs", "devices": "Devices"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished runs with results."""
    data = tmp_path_factory.mktemp("finished") / "runs"
    data.mkdir()
    for number, efficiency in enumerate((0.70, 0.72)):
        write_run(data, Recipe(seed=number, begun_s=1_790_000_000.0 + 3600.0 * number, result=efficiency))
    return data


@pytest.fixture(scope="module")
def pages(data: Path) -> Iterator[Pages]:
    """Serve them dark, as on the bench."""
    with serving(data) as served:
        yield served


@pytest.fixture(scope="module")
def light_pages(data: Path) -> Iterator[Pages]:
    """Serve them light."""
    with serving(data, "--light") as served:
        yield served


def opened(new_page: Open, pages: Pages, name: str) -> Page:
    page = new_page(f"{pages.url}/{ADDRESSES[name]}")
    if name in TITLES:
        expect(page.get_by_role("heading", name=TITLES[name], exact=True)).to_be_visible()
    return page


def tick(page: Page, row: int) -> None:
    """Tick a row of the list: it is a canvas, so by its place."""
    table = page.get_by_test_id("stDataFrame").first
    table.locator("canvas").first.click(position={"x": 17, "y": 35 + 35 * row + 17}, force=True)


def test_two_runs_are_compared_and_a_csv_is_downloaded(new_page: Open, pages: Pages, tmp_path: Path) -> None:
    page = opened(new_page, pages, "live")
    page.get_by_role("link", name="Runs").click()
    expect(page.get_by_text("2 of 2 runs.")).to_be_visible()
    tick(page, 0)
    expect(page.get_by_role("heading", name="Overlay")).to_be_visible()
    tick(page, 1)
    expect(page.get_by_role("heading", name="Results side by side")).to_be_visible()
    expect(page.get_by_role("cell", name="efficiency 0.720 ± 0.045, agrees")).to_be_visible()
    expect(page.get_by_role("cell", name="−0.3 σ", exact=True).first).to_be_visible()

    with page.expect_download() as overlay:
        page.get_by_role("button", name="Overlay (CSV)").click()
    overlay.value.save_as(tmp_path / "overlay.csv")
    lines = (tmp_path / "overlay.csv").read_text().splitlines()
    assert lines[0] == "run,simulated,time (s),temperature (degC)"
    assert len(lines) == 1 + 2 * 660

    with page.expect_download() as readings:
        page.get_by_role("button", name="Readings (CSV)").first.click()
    readings.value.save_as(tmp_path / "readings.zip")
    with zipfile.ZipFile(tmp_path / "readings.zip") as archive:
        assert "primary-simulated.csv" in archive.namelist()

    with page.expect_download() as report:
        page.get_by_role("button", name="Report (HTML)").first.click()
    report.value.save_as(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "items were not entered" in text
    assert "data:image/svg+xml;base64," in text


def test_an_old_runs_parameters_are_taken_over(new_page: Open, pages: Pages) -> None:
    page = opened(new_page, pages, "runs")
    expect(page.get_by_text("2 of 2 runs.")).to_be_visible()
    tick(page, 0)
    page.get_by_role("button", name="Use its parameters").click()
    expect(page.get_by_text("Parameters taken over from")).to_be_visible()
    expect(page.get_by_test_id("stCode")).to_contain_text("--set heat_s=600")


def test_the_doctor_is_asked_from_the_page_and_the_banner_goes_on_meanwhile(new_page: Open, pages: Pages) -> None:
    page = opened(new_page, pages, "devices")
    page.get_by_role("button", name="Ask nanolab bench doctor").click()
    paints = int(page.locator(".bench").first.get_attribute("data-paints") or 0)
    until(
        lambda: int(page.locator(".bench").first.get_attribute("data-paints") or 0) > paints + 1,
        "the banner stands still",
    )
    expect(page.get_by_role("cell", name="bench file", exact=True)).to_be_visible()


def test_a_filter_leaves_out_what_is_not_wanted(new_page: Open, pages: Pages) -> None:
    page = opened(new_page, pages, "runs")
    box = page.get_by_label("Sample, UID or folder contains")
    box.fill("no such sample")
    box.press("Enter")
    expect(page.get_by_text("0 of 2 runs.")).to_be_visible()


def test_the_assay_page_has_verdict_parameters_explanations_and_models(new_page: Open, pages: Pages) -> None:
    page = opened(new_page, pages, "photothermal")
    expect(page.get_by_role("heading", name="SIMULATED η = ")).to_be_visible()
    expect(page.get_by_text("Against the prediction made before the run:")).to_be_visible()
    expect(page.get_by_role("cell", name="η, efficiency / 1")).to_be_visible()
    expect(page.get_by_role("heading", name="What would explain the gap")).to_be_visible()
    expect(page.get_by_role("img", name="Measured on top of the prediction")).to_be_visible()
    page.get_by_text("Compare models and conventions").click()
    expect(page.get_by_role("cell", name="balance (default)")).to_be_visible()


def test_a_zoom_stays_when_new_data_come(new_page: Open, pages: Pages) -> None:
    page = opened(new_page, pages, "live")
    canvas = page.get_by_role("img", name="Temperature against time")
    whole = canvas.get_attribute("data-xr")
    canvas.hover()
    for _ in range(4):
        page.mouse.wheel(0, -100)
    zoomed = canvas.get_attribute("data-xr")
    assert zoomed != whole
    paints = int(page.locator(".bench").first.get_attribute("data-paints") or 0)
    until(lambda: int(page.locator(".bench").first.get_attribute("data-paints") or 0) >= paints + 4, "no refresh")
    assert canvas.get_attribute("data-xr") == zoomed
    page.get_by_role("link", name="Devices").click()
    expect(page.get_by_role("heading", name="Devices")).to_be_visible()
    page.get_by_role("link", name="Live").click()
    expect(canvas).to_have_attribute("data-xr", zoomed or "")
    canvas.dblclick()
    assert canvas.get_attribute("data-xr") == whole


OVERTAKEN = """async (bytes) => {
  const address = performance.getEntriesByType('resource').map((each) => each.name).find((name) => name.includes('nanolab.bench') && name.endsWith('index.js'));
  const show = (await import(address)).default, host = document.body.appendChild(document.createElement('div'));
  const parentElement = host.attachShadow({ mode: 'open' }), data = new Uint8Array(bytes), others = { setStateValue() {}, setTriggerValue() {} };
  const first = show({ data, parentElement, ...others }), made = parentElement.querySelector('.bench');
  performance.mark('running');
  const second = show({ data, parentElement, ...others }), kept = performance.getEntriesByName('running').length;
  first();  // as Streamlit does where the next payload came before this one was shown
  const after = [...parentElement.querySelectorAll('.bench')], paints = made.dataset.paints;
  host.remove();
  second();
  return { kept, same: after.length === 1 && after[0] === made, paints, left: parentElement.querySelectorAll('.bench').length };
}"""


def test_a_payload_that_overtakes_another_is_drawn_on_what_stands_there_and_no_run_is_kept_in_the_timeline(
    new_page: Open, pages: Pages
) -> None:
    page = opened(new_page, pages, "live")
    expect(page.get_by_role("img", name="Temperature against time")).to_be_visible()
    found = page.evaluate(OVERTAKEN, list(pack(panels_only(), [])))
    assert found == {"kept": 0, "same": True, "paints": "2", "left": 0}


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_serious_for_who_reads_by_ear_or_keyboard(
    new_page: Open, pages: Pages, light_pages: Pages, name: str, theme: str
) -> None:
    page = opened(new_page, pages if theme == "dark" else light_pages, name)
    if name == "photothermal":
        expect(page.get_by_role("cell", name="η, efficiency / 1")).to_be_visible()
    found = Axe().run(page).response["violations"]
    serious = [
        {"id": item["id"], "where": [node["html"][:160] for node in item["nodes"]]}
        for item in found
        if item["impact"] in {"serious", "critical"}
    ]
    assert serious == [], json.dumps(serious, indent=1)


def test_the_run_is_started_from_the_page_on_the_simulated_bench_or_typed(new_page: Open, pages: Pages) -> None:
    page = opened(new_page, pages, "live")
    page.get_by_text("Start a run", exact=True).click()
    expect(page.get_by_text("every instrument is simulated")).to_be_visible()
    expect(page.get_by_test_id("stCode")).to_contain_text("nanolab run photothermal --data")
    expect(page.get_by_role("button", name="Start on the simulated bench")).to_be_enabled()
