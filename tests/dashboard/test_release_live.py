"""The live page of a release run: its looks first, pH, no claim about a laser that it does not read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import dashboard.frame as frame
from benchmarks.synthetic_release import absorbance, seen_umol_l, start_of, write_release
from dashboard.comparison import curves_of
from dashboard.live_run import LiveRun
from dashboard.live_view import live_view
from dashboard.looks import MOST_LOOKS, Looks
from dashboard.payload import pack
from dashboard.settings import DATA
from nanolab.journal import RunWriter
from nanolab.journal.catalog import find_runs
from nanolab.page import Panel

Follow = Callable[[Path], LiveRun]


def panels_of(run: LiveRun) -> dict[str, Panel]:
    view = live_view(run, "running", now=float(run.start["time"]) + 500.0)
    assert pack(view.header, view.panels)
    return {panel.key: panel for panel in view.panels}


def test_the_change_of_absorbance_comes_first_and_is_that_of_the_cargo(data: Path, follow: Follow) -> None:
    run = follow(write_release(data, "release_ph"))
    panels = panels_of(run)
    assert list(panels) == ["trend", "temperature", "ph", "change", "spectrum", "spectrogram"]
    [trend] = panels["trend"].traces
    last, first = (absorbance(seen_umol_l("sample", hours)) for hours in (24.0, 0.02))
    assert trend.y[-1] == pytest.approx(float(np.max(last - first)), abs=0.003)
    assert trend.y[0] == 0.0
    assert "where it changed most: +0.0" in panels["trend"].words
    assert {"label": "pH", "value": "5.50"} in live_view(run, "running").header["tiles"]
    [change] = panels["change"].traces
    assert change.x[np.nanargmax(change.y)] == pytest.approx(485.0, abs=10.0)
    assert panels["ph"].words == "now 5.50"
    assert panels["temperature"].area == "left low"
    [measured] = panels["temperature"].traces
    assert measured.y[-1] == pytest.approx(37.0)


def test_no_laser_is_spoken_of_that_is_not_read(data: Path, follow: Follow) -> None:
    run = follow(write_release(data))
    view = live_view(run, "running", now=float(run.start["time"]) + 500.0)
    assert (view.header["banner"]["state"], view.header["banner"]["words"]) == ("none", "LASER NOT READ IN THIS RUN")
    assert view.fit is None
    assert [tile["label"] for tile in view.header["tiles"]] == ["T / °C", "ΔT / K", "time left / min:s"]
    assert not any("nm" in fact for fact in view.header["banner"]["facts"])
    lit = follow(write_release(data, "release_triggered"))
    header = live_view(lit, "running", now=float(lit.start["time"]) + 500.0).header
    assert header["banner"]["words"] == "LASER OFF"
    assert panels_of(lit)["trend"].spans


def test_every_run_of_every_assay_is_drawn(data: Path, follow: Follow) -> None:
    for name in ("release_enzyme", "encapsulation"):
        write_release(data, name)
    for info in find_runs(data):
        run = follow(info.path)
        for status in ("running", "finished", "interrupted"):
            assert live_view(run, status).header["banner"]["words"]
    curves, words = curves_of(find_runs(data))
    assert (len(curves), words) == (7, [])


def test_before_the_first_look_the_panels_say_so(data: Path, follow: Follow) -> None:
    with RunWriter(data) as writer:
        writer("start", start_of("release", "sample", {}, 1, []))
        panels = panels_of(follow(Path(str(writer.path))))
    assert [panels[key].empty for key in ("trend", "change")] == ["no second look yet", "no look yet"]
    assert list(panels) == ["trend", "temperature", "change", "spectrum", "spectrogram"]


def test_before_the_second_look_nothing_has_changed() -> None:
    looks = Looks()
    assert looks.most_changed() is None
    looks.add(0.0, "light", np.ones(8))  # no dark spectrum yet: nothing to read it against
    looks.add(1.0, "dark", np.zeros(8))
    looks.add(2.0, "light_before", np.ones(8))
    assert not looks.rows
    looks.add(3.0, "light", np.ones(8))
    looks.add(4.0, "light", np.ones(9))  # another spectrometer's
    assert looks.most_changed() is None
    halved = np.where(np.arange(8) == 5, 0.5, 1.0)
    looks.add(5.0, "light", halved)
    assert looks.most_changed() == 5
    assert looks.rows[-1][5] == pytest.approx(np.log10(2.0))


def test_a_dark_pixel_has_to_change_more_than_a_bright_one() -> None:
    looks = Looks()
    looks.add(0.0, "dark", np.zeros(4))
    looks.add(0.0, "light", np.array([100.0, 1000.0, 400.0, 40.0]))
    looks.add(1.0, "light", np.array([100.0, 1000.0 * 10**-0.2, 400.0, 40.0 * 10**0.3]))
    assert looks.most_changed() == 1  # 0.3 · sqrt(40 / 250) is less than 0.2
    looks.add(2.0, "light", np.array([100.0, 1000.0 * 10**-0.2, 400.0, 40.0 * 10**0.6]))
    assert looks.most_changed() == 3


def test_a_run_of_many_hours_is_drawn_against_hours(data: Path, follow: Follow) -> None:
    run = follow(write_release(data, "release_triggered", expected_s=86400.0))
    panels = panels_of(run)
    assert {"trend-hours", "temperature-hours", "change", "spectrum", "spectrogram"} == set(panels)
    trend = panels["trend-hours"]
    assert (trend.x, trend.traces[0].x[-1]) == ("t / h", pytest.approx(24.0, abs=0.1))
    assert trend.spans[0][1] == pytest.approx(12.0, abs=0.3)
    heat = panels["spectrogram"].heat
    assert heat is not None
    assert (panels["spectrogram"].y, panels["spectrogram"].x) == ("t / h", "λ / nm")
    assert heat.y1 == pytest.approx(24.0, abs=0.1)
    header = live_view(run, "running", now=float(run.start["time"]) + 500.0).header
    assert header["tiles"][-1]["label"].startswith("time left / ")


def test_looks_are_bounded_and_pixels_without_light_say_nothing() -> None:
    looks = Looks()
    looks.add(0.0, "dark", np.zeros(4))
    for number in range(MOST_LOOKS + 10):
        looks.add(float(number), "light", np.array([1.0, 1.0, 0.001, 1.0 if number == 0 else -1.0]))
    assert len(looks.rows) == len(looks.times) == MOST_LOOKS
    assert np.isnan(looks.rows[-1]).tolist() == [False, False, True, True]


@pytest.mark.parametrize("name", ["release", "encapsulation"])
def test_the_assay_page_is_drawn_without_an_exception(data: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA, str(data))
    frame.store.clear()
    write_release(data, name)
    app = AppTest.from_string(
        f"from dashboard import assay_page\nassay_page.page({name!r})\n", default_timeout=110.0
    ).run()
    assert frame.store().jobs.wait_for_all(110.0)
    app.run()
    app.toggle[0].set_value(True).run()
    assert frame.store().jobs.wait_for_all(110.0)
    app.run()
    frame.store().close()
    frame.store.clear()
    assert [error.value for error in app.exception] == []
    assert app.subheader[0].value.startswith("SIMULATED  ")
    said = " ".join(str(item.value) for item in (*app.warning, *app.markdown))
    assert "Against the prediction made before the run: agrees" in said
    if name == "release":
        assert app.table[-1].value["AICc weight / 1"].tolist()[0] == "0.600"
        assert "95 % interval" not in app.table[-1].value
    else:
        assert "There is one model here" in app.info[0].value
