"""What the live page says of a run, and that it never says more than the run folder does."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.synthetic import Recipe, cut_short, documents, photothermal_start
from dashboard.banner import clock_words
from dashboard.guardian_log import GUARDIAN_LOG
from dashboard.live_run import LiveRun
from dashboard.live_view import live_view, with_areas
from dashboard.look import Look, spans_of
from nanolab.engine.stop_client import StopAnswer
from nanolab.engine.stop_request import STOP_ADDRESS, STOP_RECORD
from nanolab.journal import RunWriter
from nanolab.journal.notes import add_note
from nanolab.page import Panel
from nanolab.safety.door import file_for

Follow = Callable[[Path], LiveRun]
MakeRun = Callable[..., Path]


def view_of(run: LiveRun, status: str = "running") -> dict[str, Any]:
    return live_view(run, status, now=float(run.start.get("time", 0.0)) + 500.0).header


def panels_of(run: LiveRun) -> dict[str, Panel]:
    return {panel.key: panel for panel in live_view(run, "running").panels}


@pytest.fixture
def heating(make_run: MakeRun, follow: Follow) -> LiveRun:
    """A run cut off while the laser is on: 304 readings, 486 s of heating."""
    path = make_run(exit_status=None)
    cut_short(path, 310)
    return follow(path)


def test_the_banner_follows_the_read_back(heating: LiveRun) -> None:
    banner = view_of(heating)["banner"]
    assert (banner["state"], banner["words"], banner["simulated"]) == ("on", "LASER ON", True)
    assert banner["facts"][:3] == ["808 nm", "0.50 W", "cycle 1 of 1, heating"]
    assert banner["facts"][3].endswith(" left")
    assert banner["facts"][4].startswith("dose ")


@pytest.mark.parametrize(
    ("status", "state", "words"),
    [
        ("interrupted", "interrupted", "INTERRUPTED"),
        ("aborted", "none", "RUN ABORTED"),
        ("failed", "none", "RUN FAILED"),
    ],
)
def test_a_run_that_is_over_is_called_so_whatever_was_read_last(
    heating: LiveRun, status: str, state: str, words: str
) -> None:
    banner = view_of(heating, status)["banner"]
    assert banner["state"] == state
    assert banner["words"].startswith(words)


def test_off_before_and_after_heating(make_run: MakeRun, follow: Follow) -> None:
    assert view_of(follow(make_run()))["banner"]["words"] == "LASER OFF"


def test_before_the_first_reading_the_prediction_is_drawn_and_nothing_is_claimed(data: Path, follow: Follow) -> None:
    with RunWriter(data) as writer:
        writer("start", photothermal_start(Recipe()))
        run = follow(Path(str(writer.path)))
        header = view_of(run)
        assert header["banner"]["words"] == "LASER NOT READ YET"
        assert [tile["value"] for tile in header["tiles"]] == ["–", "–", "–", "–", "22:00"]
        [predicted, measured] = panels_of(run)["temperature"].traces
        assert predicted.upper is not None
        assert predicted.x.size == 240
        assert measured.x.size == 0


def test_a_bench_without_laser_says_so(data: Path, follow: Follow) -> None:
    with RunWriter(data) as writer:
        writer("start", {"uid": "u", "time": time.time(), "plan_name": "monitor", "simulated": False})
        run = follow(Path(str(writer.path)))
        banner = view_of(run)["banner"]
    assert (banner["words"], banner["simulated"], banner["facts"]) == ("NO LASER", False, ["monitor"])


def test_tiles_are_read_from_two_metres(heating: LiveRun) -> None:
    tiles = {tile["label"]: tile["value"] for tile in view_of(heating)["tiles"]}
    assert list(tiles)[:5] == ["T / °C", "ΔT / K", "P / W", "dose / J", "time left / min:s"]
    assert tiles["P / W"] == "0.50"
    assert float(tiles["ΔT / K"]) == pytest.approx(float(tiles["T / °C"]) - 22.5, abs=0.1)
    seconds_on = 2.0 * (heating.times().size - 1) - 120.0
    assert float(tiles["dose / J"]) == pytest.approx(0.5 * seconds_on, abs=0.6)
    assert float(tiles["τ (live fit) / s"]) == pytest.approx(270.0, abs=8.0)


def test_the_prediction_begins_to_rise_where_the_laser_went_on(heating: LiveRun) -> None:
    panel = panels_of(heating)["temperature"]
    [(on, _)] = panel.spans
    predicted = panel.traces[0]
    assert on == 120.0
    assert predicted.y[predicted.x > on + 10.0][0] > predicted.y[0]
    assert predicted.y[predicted.x < on - 10.0] == pytest.approx(predicted.y[0])


def test_residuals_are_noise_and_carry_the_fit_in_words(heating: LiveRun) -> None:
    panel = panels_of(heating)["residuals"]
    [left] = panel.traces
    assert float(np.std(left.y)) == pytest.approx(0.02, rel=0.15)
    assert panel.symmetric
    assert "τ = 2" in panel.words


def test_the_spectrum_has_its_saturation_line_and_warns(make_run: MakeRun, follow: Follow) -> None:
    run = follow(make_run(spectra=3))
    panel = panels_of(run)["spectrum"]
    assert [level.label for level in panel.levels] == ["full scale"]
    assert "NEAR SATURATION" not in panel.words
    run.spectra.counts = np.full(2048, 65000.0)
    assert "NEAR SATURATION" in panels_of(run)["spectrum"].words
    heat = panels_of(run)["spectrogram"].heat
    assert heat is not None
    assert heat.values.shape == (2, 512), "the dark one makes no row"
    assert (heat.x0, heat.x1) == (340.0, 1020.0)


def test_without_wavelengths_pixels_are_counted(make_run: MakeRun, follow: Follow) -> None:
    run = follow(make_run(spectra=3))
    run.spectra.wavelengths = None
    assert panels_of(run)["spectrum"].x == "pixel / 1"


def test_every_axis_is_a_quantity_over_a_unit_and_every_panel_has_words_and_the_age_of_its_data(
    heating: LiveRun,
) -> None:
    for panel in live_view(heating, "running").panels:
        assert " / " in panel.x
        assert " / " in panel.y
        assert panel.alt or panel.title
        assert panel.newest is not None


def test_notes_are_listed_and_marked_in_the_diagram(heating: LiveRun) -> None:
    add_note(heating.path, "stirrer on", time_s=heating.start["time"] + 200.0)
    view = live_view(heating, "running")
    assert view.header["notes"][0].endswith("stirrer on")
    [(when, words)] = view.panels[0].marks
    assert words == "stirrer on"
    assert when == pytest.approx(200.0, abs=1.0)


def test_stop_is_offered_only_while_the_run_goes_on(heating: LiveRun) -> None:
    (heating.path / STOP_ADDRESS).write_text('{"url": "http://127.0.0.1:1/stop", "key": "k"}')
    assert view_of(heating)["stop"] == {"url": "http://127.0.0.1:1/stop", "key": "k"}
    assert view_of(heating, "finished")["stop"] is None


def test_a_confirmed_stop_turns_the_banner_before_the_next_reading(heating: LiveRun) -> None:
    answer = {"confirmed": True, "words": "OFF (read back)", "seconds": 0.05, "asked_by": "x", "time": 1.0}
    (heating.path / STOP_RECORD).write_text(json.dumps(answer))
    header = view_of(heating)
    assert header["banner"]["words"] == "LASER OFF"
    assert header["stopped"] == {"run": {"confirmed": True, "words": "OFF (read back)", "seconds": 0.05}}
    assert view_of(heating, "aborted")["banner"]["words"] == "RUN ABORTED, STOPPED FROM THE PAGE: LASER OFF"
    (heating.path / STOP_RECORD).write_text('{"confirmed": false, "words": "OFF NOT CONFIRMED", "seconds": 2}')
    assert view_of(heating)["banner"]["words"] == "LASER OFF NOT CONFIRMED: turn it off at its key switch"
    (heating.path / STOP_RECORD).write_text("[]")
    assert view_of(heating)["stopped"] == {}
    assert view_of(heating)["banner"]["words"] == "LASER ON"


@pytest.mark.parametrize(
    ("run", "guardian", "words"),
    [
        (None, True, "LASER OFF"),
        (False, True, "LASER OFF"),
        (True, False, "LASER OFF NOT CONFIRMED: turn it off at its key switch"),
        (True, None, "LASER OFF"),
        (None, None, "LASER ON"),
    ],
)
def test_the_guardians_word_counts_before_the_runs(
    heating: LiveRun, run: bool | None, guardian: bool | None, words: str
) -> None:
    asked = {"run": StopAnswer(run, "r"), "guardian": StopAnswer(guardian, "g")}
    header = live_view(heating, "running", asked=asked).header
    assert header["banner"]["words"] == words
    assert header["stopped"]["guardian"] == {"confirmed": guardian, "words": "g", "seconds": 0.0}


@pytest.mark.parametrize(
    ("confirmed", "words", "state"),
    [
        (None, "INTERRUPTED: laser state unknown, look at its display", "interrupted"),
        (True, "INTERRUPTED: THE RUN IS GONE, LASER OFF as its guardian read back", "none"),
        (False, "INTERRUPTED: LASER OFF NOT CONFIRMED, turn it off at its key switch", "interrupted"),
    ],
)
def test_of_a_killed_run_the_guardians_report_is_told(
    heating: LiveRun, confirmed: bool | None, words: str, state: str
) -> None:
    report = {"confirmed": confirmed, "why": "the run is gone", "detail": "OUTP1? 0", "reaction_ms": 3.2}
    lines = ["rubbish", json.dumps({"wall": 5.0, "event": "armed"})]
    lines += [] if confirmed is None else [json.dumps({"wall": 6.0, "event": "off", "report": report}), "{}"]
    (heating.path / GUARDIAN_LOG).write_text("\n".join(lines) + "\n")
    header = view_of(heating, "interrupted")
    assert (header["banner"]["words"], header["banner"]["state"]) == (words, state)
    said = [line for line in header["notes"] if "guardian" in line]
    assert len(said) == (0 if confirmed is None else 1)
    if said:
        assert "OUTP1? 0), told to go off after 3 ms; because the run is gone" in said[0]


def test_a_killed_run_can_be_stopped_while_its_guardian_is_there(
    heating: LiveRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    laser = "tcp://127.0.0.1:5025"
    (heating.path / STOP_ADDRESS).write_text(json.dumps({"url": "http://127.0.0.1:1/", "key": "k", "laser": laser}))
    assert not view_of(heating, "interrupted")["stoppable"]
    file = {"pid": 1, "port": 9, "token": "t", "device": "laser", "address": laser, "by_hand": "Turn the key."}
    file_for(laser).parent.mkdir()
    file_for(laser).write_text(json.dumps(file))
    assert view_of(heating, "interrupted")["stoppable"]
    assert not view_of(heating, "finished")["stoppable"]
    assert view_of(heating, "interrupted")["stop"] is None


def test_a_trip_is_told_with_its_rule(data: Path, follow: Follow) -> None:
    docs = list(documents(Recipe(spectra=0)))[:30]
    uid = docs[0][1]["uid"]
    trip = {"trip_text": "the temperature of 81.2 degC is over the limit of 80 degC"}
    described = {"uid": "o", "run_start": uid, "time": 1.0, "name": "operator", "data_keys": {}, "hints": {},
                 "configuration": {}, "object_keys": {}}  # fmt: skip
    said = {"uid": "e", "descriptor": "o", "seq_num": 1, "time": 2.0, "data": trip, "timestamps": {}, "filled": {}}
    with RunWriter(data) as writer:
        for name, doc in [*docs, ("descriptor", described), ("event", said)]:
            writer(name, doc)
        run = follow(Path(str(writer.path)))
        header = view_of(run, "failed")
    assert header["banner"]["words"].startswith("RUN FAILED, TRIPPED: the temperature of 81.2 degC")
    assert any("interlock: the temperature of 81.2" in line for line in header["notes"])


def test_the_limit_is_drawn_where_the_curve_comes_near(heating: LiveRun) -> None:
    [limit] = panels_of(heating)["temperature"].levels
    assert (limit.y, limit.always) == (80.0, False)
    heating.start["bench"] = {"limits": {"max_temperature": "hot"}}
    assert panels_of(heating)["temperature"].levels == []


def test_the_power_of_a_laser_that_was_turned_off_is_not_shown_as_if_it_were_on(heating: LiveRun) -> None:
    def shown(header: dict[str, Any]) -> tuple[str, bool]:
        tiles = {tile["label"]: tile["value"] for tile in header["tiles"]}
        return tiles["P / W"], any(fact.endswith(" W") for fact in header["banner"]["facts"])

    assert shown(view_of(heating)) == ("0.50", True)
    stopped = {"guardian": StopAnswer(True, "OFF")}
    assert shown(live_view(heating, "running", asked=stopped).header) == ("–", False)
    assert shown(view_of(heating, "aborted")) == ("–", False)
    tiles = {tile["label"]: tile["value"] for tile in view_of(heating, "aborted")["tiles"]}
    assert not any(label.startswith("time left") for label in tiles), "nothing is left of a run that is over"


def test_a_run_whose_folder_is_taken_away_still_has_its_view(heating: LiveRun) -> None:
    shutil.rmtree(heating.path)
    assert view_of(heating)["banner"]["words"] == "LASER ON"


def test_an_invalid_temperature_is_a_dash_and_a_warning(data: Path, follow: Follow) -> None:
    docs = list(documents(Recipe(spectra=0)))[:30]
    docs[-1][1]["data"]["thermocouple_sample"] = float("nan")
    with RunWriter(data) as writer:
        for name, doc in docs:
            writer(name, doc)
        run = follow(Path(str(writer.path)))
        [tile, *_] = view_of(run)["tiles"]
    assert tile == {"label": "T / °C", "value": "–", "level": "warn"}


def test_small_helpers() -> None:
    assert [clock_words(s) for s in (0.0, 65.4, 3725.0)] == ["00:00", "01:05", "1:02:05"]
    on = np.array([False, True, True, False, True])
    assert spans_of(np.arange(5.0), on) == [(1.0, 3.0), (4.0, 4.0)]
    assert [panel.area for panel in with_areas([Panel("a", "", "", ""), Panel("b", "", "", "", area="right")])] == [
        "left",
        "right",
    ]


def test_a_look_at_nothing(data: Path, follow: Follow) -> None:
    with RunWriter(data) as writer:
        writer("start", {"uid": "u", "time": time.time()})
        look = Look(follow(Path(str(writer.path))), "running", time.time())
    assert (look.elapsed_s, look.dose_j, look.emitting, look.running) == (0.0, 0.0, None, True)
