"""The photothermal page: the stored result again from the run folder alone, windows, models, what explains the gap."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.synthetic import PRIMARY, Recipe, cut_short, write_run
from nanolab.discovery import PAGES, load
from nanolab.errors import FileInvalidError
from nanolab.gap import sigmas
from nanolab.journal.folder import DOCUMENTS
from nanolab.journal.reader import open_run
from nanolab.page import AssayPage, AssayView
from nanolab.quantities import Quantity
from nanolab.restore import setup_of
from plans.photothermal.page import within
from plans.photothermal.record import curve_of

assert PRIMARY


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished synthetic run."""
    return write_run(tmp_path_factory.mktemp("runs"), Recipe(begun_s=1_790_000_000.0))


@pytest.fixture(scope="module")
def page() -> AssayPage:
    """The page as the dashboard finds it."""
    found: AssayPage = load(PAGES, "photothermal")
    assert isinstance(found, AssayPage)
    return found


@pytest.fixture(scope="module")
def view(page: AssayPage, run: Path) -> AssayView:
    """The view of the whole run."""
    return page.view(run)


def test_measured_model_band_and_residuals_are_drawn(view: AssayView) -> None:
    panels = {panel.key: panel for panel in view.panels}
    assert {"curve", "curve-residuals", "cooling"} <= panels.keys()
    predicted, fitted, measured = panels["curve"].traces
    assert predicted.upper is not None
    assert (measured.style, fitted.style, predicted.style) == ("points", "line", "dashed")
    assert panels["curve"].spans == [(120.0, 720.0)] or panels["curve"].spans == ((120.0, 720.0),)
    [residual] = panels["curve-residuals"].traces
    assert float(np.nanstd(residual.y)) == pytest.approx(0.02, rel=0.2)
    assert all(" / " in panel.x and " / " in panel.y for panel in view.panels)
    assert view.simulated
    assert not view.stored


def test_parameters_stand_beside_what_was_predicted(view: AssayView) -> None:
    rows = {row.name: row for row in view.parameters}
    tau = rows["τ, heating / s"]
    assert tau.measured is not None
    assert tau.measured.value == pytest.approx(270.0, rel=0.01)
    assert tau.predicted is not None
    assert tau.z == pytest.approx(sigmas(tau.measured, tau.predicted))
    assert rows["hS / (W/K)"].predicted is None
    assert view.verdict is not None


def test_what_would_explain_the_gap_is_said_in_sigmas_of_each_input(view: AssayView) -> None:
    first = view.explanations[0]
    assert first.term == "heat_capacity"
    assert first.sigmas is not None
    rows = {row.name: row for row in view.parameters}
    eta = rows["η, efficiency / 1"]
    assert eta.measured is not None
    assert eta.predicted is not None
    assert eta.measured.standard_uncertainty is not None
    gap = abs(eta.measured.value - eta.predicted.value)
    assert first.sigmas == pytest.approx(gap / (eta.measured.standard_uncertainty * first.share**0.5))
    assert [row.share for row in view.explanations] == sorted((row.share for row in view.explanations), reverse=True)


def test_a_window_is_fitted_alone_and_called_what_it_is(page: AssayPage, run: Path, view: AssayView) -> None:
    part = page.view(run, (60.0, 1100.0))
    assert part.window == (60.0, 1100.0)
    assert part.limits == view.limits
    assert not part.stored
    assert [mark[1] for mark in part.panels[0].marks] == ["fit from", "fit to"]
    residual = part.panels[1].traces[0]
    assert residual.x[0] >= 60.0
    assert residual.x[-1] <= 1100.0
    with pytest.raises(FileInvalidError, match="never on"):
        page.view(run, (0.0, 60.0))


def test_a_window_that_begins_in_the_heating_begins_with_the_laser_on(run: Path) -> None:
    curve = within(curve_of(open_run(run)), (300.0, 1000.0))
    assert curve.switches is not None
    assert curve.switches[0] == (300.0, True)
    assert curve.switches[1][1] is False


def test_models_are_compared(page: AssayPage, run: Path) -> None:
    rows = page.compare_models(run)
    assert rows[-1].name == "balance (default)"
    assert rows[-1].value is not None
    assert all(row.words for row in rows)


def test_the_stored_verdict_is_the_one_that_is_shown(page: AssayPage, tmp_path: Path) -> None:
    run = write_run(tmp_path, Recipe(begun_s=1_790_000_000.0))
    stored = {"verdict": {"quantity": "efficiency", "z": -1.25, "word": "agrees"}}
    (run / "result.json").write_text(json.dumps(stored))
    shown = page.view(run)
    assert shown.verdict == ("agrees", -1.25)
    assert shown.stored


def test_what_cannot_be_analysed_is_a_sentence(page: AssayPage, tmp_path: Path) -> None:
    run = write_run(tmp_path, Recipe(begun_s=1_790_000_000.0, spectra=0))
    first, rest = (run / DOCUMENTS).read_bytes().split(b"\n", 1)
    assert rest
    cut_short(run, 20)
    with pytest.raises(FileInvalidError):
        page.view(run)
    (run / DOCUMENTS).write_bytes(first[: len(first) // 2])
    with pytest.raises(FileInvalidError, match="without particles"):
        page.view(run)


def test_a_reference_that_is_gone_and_a_start_that_lacks_what_is_needed(run: Path) -> None:
    opened = open_run(run)
    assert setup_of(opened).blank == "none"
    opened.start.pop("bench")
    with pytest.raises(FileInvalidError, match="does not say"):
        setup_of(opened)


def test_sigmas() -> None:
    assert sigmas(Quantity(1.0, "1", 0.3), Quantity(0.5, "1", 0.4)) == pytest.approx(1.0)
    assert sigmas(None, Quantity(0.5, "1", 0.4)) is None
    assert sigmas(Quantity(1.0, "1"), Quantity(0.5, "1")) is None
