"""The pages as Streamlit runs them, without a browser: sentences where a folder is bad, never an exception box."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import dashboard.frame as frame
from benchmarks.synthetic import cut_short
from dashboard.assay_page import report_of
from dashboard.doctor import Examined
from dashboard.settings import DATA, READ_ONLY
from nanolab.journal.liveness import own_mark

MakeRun = Callable[..., Path]
PAGES = ("live_page", "runs_page", "devices_page")


def script(module: str) -> str:
    return f"from dashboard import {module}\n{module}.page()\n"


@pytest.fixture(autouse=True)
def own_store(data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Point the pages at the data folder, and let go of its files afterwards."""
    monkeypatch.setenv(DATA, str(data))
    frame.store.clear()
    yield
    frame.store().close()
    frame.store.clear()


def run_page(module: str) -> AppTest:
    app = AppTest.from_string(script(module), default_timeout=60.0).run()
    assert [error.value for error in app.exception] == []
    return app


def words(app: AppTest) -> str:
    return " ".join(str(item.value) for kind in (app.info, app.warning, app.markdown, app.header) for item in kind)


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_data_folder(page: str) -> None:
    run_page(page)


@pytest.mark.parametrize("page", PAGES)
def test_a_data_folder_that_is_a_file(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv(DATA, str(tmp_path / "file"))
    run_page(page)


@pytest.mark.parametrize("page", PAGES)
def test_half_written_and_foreign_folders(page: str, make_run: MakeRun, data: Path) -> None:
    cut_short(make_run(exit_status=None), 30)
    (data / "2026-01-01" / "nonsense").mkdir(parents=True)
    (data / "2026-01-01" / "nonsense" / "docs.jsonl").write_text("rubbish\n")
    run_page(page)


def test_a_note_goes_into_the_run_folder(make_run: MakeRun) -> None:
    path = make_run()
    app = run_page("live_page")
    app.text_input[0].input("bubble at the wall")
    app.button[0].click().run()
    assert "bubble at the wall" in (path / "notes.jsonl").read_text()
    app.button[0].click().run()
    assert "the note is empty" in words(app)


def test_a_note_without_a_run_is_refused_in_words() -> None:
    app = run_page("live_page")
    app.text_input[0].input("x")
    app.button[0].click().run()
    assert "There is no run" in words(app)


def test_the_runs_page_lists_filters_and_charts(make_run: MakeRun) -> None:
    for number in range(3):
        make_run(seed=number, begun_s=1_790_000_000.0 + number, result=0.7 + 0.01 * number, cadence_s=10.0)
    app = run_page("runs_page")
    assert "3 of 3 runs" in words(app)
    assert "mean 0.710" in words(app)
    app.text_input[0].input("nothing of the kind").run()
    assert "0 of 3 runs" in words(app)


def test_the_devices_page_has_a_row_for_each(make_run: MakeRun) -> None:
    make_run()
    [table] = run_page("devices_page").table
    assert table.value["device"].tolist() == ["laser", "thermocouple", "spectrometer", "powermeter"]


def test_the_assay_page_shows_the_result_and_refuses_in_words(make_run: MakeRun, data: Path) -> None:
    path = make_run(result=0.7)
    text = "from dashboard import assay_page\nassay_page.page('photothermal')\n"
    app = AppTest.from_string(text, default_timeout=110.0).run()
    assert frame.store().jobs.wait_for_all(110.0)
    app.run()
    assert [error.value for error in app.exception] == []
    assert "SIMULATED  η = " in app.subheader[0].value
    assert "Against the prediction made before the run" in words(app)
    assert app.table[0].value["quantity / unit"].tolist()[0] == "η, efficiency / 1"
    cut_short(path, 20)
    (path / "result.json").unlink()
    app.run()
    assert frame.store().jobs.wait_for_all(110.0)
    app.run()
    assert [error.value for error in app.exception] == []
    assert "There is no analysis of this run" in words(app)


def test_starting_a_run_shows_the_words_to_type_and_starts_it(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[list[str]] = []

    def start(line: list[str], _data: Path) -> None:
        begun.append(line)
        raise OSError("no room on the disk")

    monkeypatch.setattr("dashboard.live_page.start", start)
    app = run_page("live_page")
    app.toggle[0].set_value(True).run()
    assert [error.value for error in app.exception] == []
    assert f"nanolab run photothermal --data {data}" in app.code[0].value
    next(button for button in app.button if button.label == "Start on the simulated bench").click().run()
    assert begun[0][:2] == ["run", "photothermal"]
    assert "could not be started: no room on the disk" in words(app)


def test_old_parameters_stand_in_the_form_and_in_the_words_to_type(make_run: MakeRun) -> None:
    path = make_run()
    app = AppTest.from_string(script("live_page"), default_timeout=60.0)
    app.session_state[frame.REUSE] = path
    app.run()
    assert [error.value for error in app.exception] == []
    assert f"Parameters taken over from {path.name}" in words(app)
    assert "--set heat_s=600" in app.code[0].value
    app.run()
    assert "--set heat_s=600" in app.code[0].value


def test_parameters_of_a_folder_that_is_gone_are_refused_in_words(data: Path) -> None:
    app = AppTest.from_string(script("live_page"), default_timeout=60.0)
    app.session_state[frame.REUSE] = data / "gone"
    app.run()
    assert [error.value for error in app.exception] == []
    assert "cannot be taken over" in words(app)


def test_who_only_watches_is_offered_nothing_but_stop(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run()
    monkeypatch.setenv(READ_ONLY, "1")
    app = run_page("live_page")
    assert (len(app.button), len(app.text_input), len(app.toggle)) == (0, 0, 0)
    assert "Read-only" in words(app)
    assert "Read-only" in words(run_page("devices_page"))


def test_the_doctor_is_not_offered_while_a_run_goes_on_and_shown_afterwards(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_run(exit_status=None)
    examined = Examined(0.0, {"what": ["disk"], "state": ["✓ ok"], "detail": ["fine"], "to do": [""]}, "")
    monkeypatch.setattr("dashboard.devices_page.examine", lambda bench: examined)
    (path / "writer.json").write_text(json.dumps({"uid": "u", **own_mark()}))
    assert "A run is going on" in words(run_page("devices_page"))
    (path / "writer.json").unlink()
    app = run_page("devices_page")
    app.button[0].click().run()
    assert [error.value for error in app.exception] == []
    assert app.table[1].value["what"].tolist() == ["disk"]


def test_a_report_that_cannot_be_made_is_a_page_with_a_sentence(data: Path, make_run: MakeRun) -> None:
    assert b"There is no report of this run" in report_of(data / "none")
    assert b"What a referee asks for" in report_of(make_run(cadence_s=10.0))


def test_ticked_runs_are_overlaid_compared_and_offered(make_run: MakeRun, data: Path) -> None:
    for number in range(2):
        make_run(seed=number, begun_s=1_790_000_000.0 + number, result=0.7 + 0.1 * number, cadence_s=10.0)
    text = f"""
from pathlib import Path
from dashboard.catalogue import catalogue
from dashboard.runs_page import compare
compare(catalogue(Path({str(data)!r})).runs)
"""
    app = AppTest.from_string(text, default_timeout=60.0).run()
    assert [error.value for error in app.exception] == []
    assert [item.value for item in app.subheader] == ["Overlay", "Results side by side", "Download, or do it again"]
    [table] = app.table
    assert table.value["against the first"].tolist() == ["–", "+1.6 σ"]
    assert [button.label for button in app.button] == ["Use its parameters"] * 2


def test_models_are_compared_and_a_window_is_fitted_when_asked_for(make_run: MakeRun) -> None:
    make_run(cadence_s=5.0)

    def settled(app: AppTest) -> AppTest:
        assert frame.store().jobs.wait_for_all(110.0)
        app.run()
        assert [error.value for error in app.exception] == []
        return app

    text = "from dashboard import assay_page\nassay_page.page('photothermal')\n"
    app = settled(AppTest.from_string(text, default_timeout=110.0).run())
    settled(app.toggle[0].set_value(True).run())
    assert app.table[2].value["model or convention"].tolist()[-1] == "balance (default)"
    settled(app.slider[0].set_value((60.0, 1000.0)).run())
    assert "made for looking" in app.subheader[0].value


def test_a_page_of_an_assay_that_is_not_there_is_a_sentence() -> None:
    text = "from dashboard import assay_page\nassay_page.page('nonesuch')\n"
    app = AppTest.from_string(text, default_timeout=60.0).run()
    assert [error.value for error in app.exception] == []
    assert "nonesuch" in words(app)
