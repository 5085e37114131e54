"""Rows of the devices page, cells of tables, starting a run, the call of the server."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dashboard import doctor, launch, start_run
from dashboard.assay_page import verdict_words, words_of
from dashboard.device_rows import age_words, answer_words, device_rows, state_words
from dashboard.launch import arguments, free_port, open_when_ready
from dashboard.live_run import LiveRun
from dashboard.settings import Settings
from dashboard.store import Current, Store
from dashboard.tables import explanation_rows, model_rows, parameter_rows
from nanolab.discovery import PLANS, load
from nanolab.errors import NanolabError, UsageError
from nanolab.page import Explanation, ModelRow, ParameterRow
from nanolab.quantities import Quantity
from nanolab.report.cells import DASH, interval_words, sigma_words, value_words


def test_a_row_for_each_device(make_run: Callable[..., Path], follow: Callable[[Path], LiveRun]) -> None:
    run = follow(make_run())
    cells = device_rows(run, "finished", now=run.start["time"] + 1500.0)
    assert cells["device"] == ["laser", "thermocouple", "spectrometer", "powermeter"]
    assert cells["state"] == ["✓ ok when last read"] * 4
    assert cells["last answer"][0] == "off, 0.000 W"
    assert cells["last answer"][1].startswith("sample ")
    assert cells["last answer"][2].startswith("2048 pixels, peak ")
    assert cells["age"][0] == "3 min"
    assert cells["identity"][0] == "THORLABS ITC4005 M001 1.4"
    assert set(cells["address"]) == {"SIMULATED"}


def test_states_and_ages_in_words() -> None:
    assert state_words("laser", {"laser_emitting": 1}, 100.0, 101.0, "running") == "✓ ok"
    assert state_words("laser", {}, 100.0, 200.0, "running").startswith("! LATE")
    assert state_words("spectrometer", {}, 100.0, 200.0, "running") == "✓ ok"
    assert state_words("laser", {}, 100.0, 101.0, "interrupted").startswith("! unknown")
    invalid = {"thermocouple_sample_valid": 0, "thermocouple_reason": "open couple"}
    assert state_words("thermocouple", invalid, 1.0, 1.0, "running") == "! INVALID: open couple"
    assert state_words("meter", {"meter_valid": 0}, 1.0, 1.0, "running") == "! INVALID: meter_valid"
    assert [age_words(1.0, now) for now in (1.5, 301.0, 10_001.0)] == ["0.5 s", "5 min", "2.8 h"]
    assert answer_words("powermeter", {"powermeter_power": 0.01234}) == "power 0.01234 W"
    assert answer_words("laser", {"laser_emitting": 1, "laser_power": 0.5}) == "EMITTING, 0.500 W"
    assert answer_words("pump", {}) == DASH


def test_cells_have_the_digits_of_the_uncertainty() -> None:
    quantity = Quantity(0.7152, "1", 0.046)
    assert value_words(quantity) == "0.715 ± 0.046"
    assert interval_words(quantity) == "0.625 … 0.805"
    assert (value_words(None), interval_words(None), sigma_words(None), sigma_words(-0.47)) == (
        DASH,
        DASH,
        DASH,
        "−0.5 σ",
    )
    assert [sigma_words(z) for z in (-0.04, 0.04, 0.06)] == ["0.0 σ", "0.0 σ", "+0.1 σ"]
    assert interval_words(Quantity(18853.2, "L/mol/h", 1377.4)) == "16200 … 21600"
    table = parameter_rows([ParameterRow("η / 1", quantity, Quantity(0.75, "1", 0.06), -0.47)])
    assert table["predicted"] == ["0.750 ± 0.060"]
    assert explanation_rows([Explanation("c", 0.73, 0.9, "words")])["share of u²"] == ["73 %"]
    assert model_rows([ModelRow("Roper", None, "an input is missing", "efficiency / 1")])["efficiency / 1"] == [DASH]


def test_words_of_a_run_and_what_a_person_types() -> None:
    words = start_run.words_of(
        "photothermal", {"power_w": " 0.4 W ", "cycles": ""}, Path("/data"), Path("b.toml"), "max", 7, "none"
    )
    assert words == [
        "run", "photothermal", "--data", "/data", "--bench", "b.toml", "--set", "power_w=0.4 W", "--blank", "none",
        "--speed", "max", "--seed", "7",
    ]  # fmt: skip
    assert "'power_w=0.4 W'" in start_run.command_line(words)
    assert start_run.words_of("monitor", {}, Path("d"), None, None, None, "run") == ["run", "monitor", "--data", "d"]


def test_a_simulated_bench_may_be_started_from_the_page_and_a_real_one_may_not(tmp_path: Path) -> None:
    from nanolab.bench.template import bench_template

    assert start_run.offer(None).may_start
    bench = tmp_path / "bench.toml"
    text = bench_template().replace('address = "simulated"', 'address = "TCPIP::10.0.0.7::INSTR"', 1)
    bench.write_text(text.replace("speed = ", "# speed = "))
    offered = start_run.offer(bench)
    assert not offered.may_start
    assert "is real" in offered.words
    assert "photothermal" in offered.plans
    bench.write_text("rubbish")
    assert start_run.offer(bench).plans == {}


def test_a_run_is_started_as_a_process_of_its_own_with_its_words_in_a_hidden_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    plain = subprocess.Popen

    def popen(command: list[str], **words: Any) -> Any:
        seen.update(words, command=command)
        return plain([sys.executable, "-c", "print('done')"], stdin=words["stdin"], stdout=words["stdout"])

    monkeypatch.setattr("dashboard.start_run.subprocess.Popen", popen)
    started = start_run.start(["run", "monitor"], tmp_path)
    assert started.process.wait(30) == 0
    assert seen["command"][-2:] == ["run", "monitor"]
    assert seen["start_new_session"] is True
    assert started.log.parent == tmp_path / ".dashboard"
    assert start_run.last_line(started.log) == "done"
    assert started.words() == ""


def test_settings_travel_through_the_environment(tmp_path: Path) -> None:
    settings = Settings(tmp_path, tmp_path / "bench.toml")
    assert Settings.from_environment(settings.environment()) == settings
    assert Settings.from_environment({}) == Settings(Path("runs"))


def test_the_server_listens_here_only_and_tells_nobody(tmp_path: Path) -> None:
    words = arguments(8509, light=False)
    for option in (
        "--server.address=127.0.0.1", "--browser.gatherUsageStats=false", "--client.toolbarMode=minimal",
        "--server.port=8509", "--theme.base=dark",
    ):  # fmt: skip
        assert option in words
    assert "--theme.base=light" in arguments(8509, light=True)
    assert Path(words[1]).is_file()


def test_a_port_that_is_taken_is_a_sentence_and_the_browser_opens_when_the_server_answers() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"--port {port}: it is taken"):
            free_port(port)
        opened: list[str] = []
        assert open_when_ready(port, opened.append)
        assert opened == [f"http://127.0.0.1:{port}"]
    assert free_port(None) in range(launch.FIRST_PORT, launch.LAST_PORT + 1)
    assert free_port(port) == port
    assert not open_when_ready(port, opened.append, deadline_s=0.0)


def test_serve_hands_over_to_streamlit_and_has_read_the_run_before_anybody_looks(
    make_run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamlit.web import cli

    from dashboard import frame

    calls: list[list[str]] = []
    read = threading.Event()
    path = make_run()

    class Seen(Store):
        def current(self, root: Path) -> Current:
            found = super().current(root)
            read.set()
            return found

    def served(words: list[str], standalone_mode: bool) -> None:
        assert not standalone_mode
        assert read.wait(60.0), "nobody read the run while the server was up"
        calls.append(words)

    store = Seen()
    monkeypatch.setattr(frame, "store", lambda: store)
    monkeypatch.setattr(cli, "main", served)
    monkeypatch.setattr(launch, "open_when_ready", lambda port: True)
    monkeypatch.setenv("NANOLAB_DASHBOARD_DATA", "before")
    assert launch.serve(tmp_path / "runs", None, browser=True) == 0
    assert calls[0][0] == "run"
    assert Settings.from_environment().data == tmp_path / "runs"
    assert "read-on" not in {thread.name for thread in threading.enumerate()}
    followed = store.look_at(path).run
    assert followed is not None
    assert followed.documents > 600
    assert not followed.poll(), "what is left to read was read"
    store.close()


def test_reading_goes_on_after_a_look_that_failed(tmp_path: Path) -> None:
    ended = threading.Event()
    looks: list[Path] = []

    class Fails(Store):
        def current(self, root: Path) -> Current:
            looks.append(root)
            if len(looks) == 3:
                ended.set()
            raise RuntimeError("a fault of the page's own")

    store = Fails()
    launch.keep_read(store, tmp_path, ended, every_s=0.0)
    store.close()
    assert looks == [tmp_path] * 3


@pytest.mark.parametrize("name", ["streamlit", "orjson"])
def test_without_what_the_pages_need_one_sentence_says_so_and_nothing_before_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        NanolabError,
        match=rf"needs {name}, which is not installed: run `python -m pip".replace("streamlit", "Streamlit"),
    ):
        launch.serve(tmp_path, None, browser=False)
    assert capsys.readouterr().err == ""


def test_the_parameters_of_an_old_run_are_taken_over_as_typed(make_run: Callable[..., Path]) -> None:
    plans = {"photothermal": load(PLANS, "photothermal")}
    plan, values = start_run.parameters_of(make_run(), plans)
    assert plan == "photothermal"
    assert {name: text for name, text in values.items() if text} == {
        "baseline_s": "120", "heat_s": "600", "cool_s": "600",
    }  # fmt: skip
    parameters = {parameter.name: parameter for parameter in plans["photothermal"].parameters()}
    assert parameters["heat_s"].parse(values["heat_s"]) == 600.0
    with pytest.raises(UsageError, match="'photothermal' is not installed here"):
        start_run.parameters_of(make_run(seed=1), {})


def test_stored_values_are_written_so_that_they_are_read_again() -> None:
    stored = {"value": 0.5, "unit": "W", "standard_uncertainty": 0.01, "interval_95": None}
    assert start_run.typed(stored) == "0.5±0.01 W"
    assert start_run.typed({"value": 2.0, "unit": "1"}) == "2"
    assert start_run.typed([0.5, 0.25]) == "0.5, 0.25"
    assert [start_run.typed(value) for value in (None, 3, "none", 1e-05)] == ["", "3", "none", "1e-05"]


def answered(out: str) -> Callable[..., Any]:
    return lambda words, **_more: subprocess.CompletedProcess(words, 0, out, "")


def test_the_doctor_is_asked_in_a_process_of_his_own(tmp_path: Path) -> None:
    asked: list[list[str]] = []

    def run(words: list[str], **more: Any) -> Any:
        asked.append(words)
        assert more["timeout"] == doctor.WITHIN_S
        checks = [{"what": "disk", "ok": True, "detail": "fine", "remedy": ""},
                  {"what": "laser", "ok": False, "detail": "silent", "remedy": "switch it on"}]  # fmt: skip
        return answered(json.dumps({"ok": False, "checks": checks}))(words)

    found = doctor.examine(tmp_path / "bench.toml", run)
    assert asked[0][-4:] == ["doctor", "--json", "--bench", str(tmp_path / "bench.toml")]
    assert found.cells["state"] == ["✓ ok", "! FAIL"]
    assert found.cells["to do"] == ["", "switch it on"]
    assert found.words == ""


def test_a_doctor_who_does_not_answer_is_a_sentence() -> None:
    def silent(words: list[str], **more: Any) -> Any:
        raise subprocess.TimeoutExpired(words, more["timeout"])

    assert doctor.examine(None, silent).words == "the doctor did not answer within 120 s"
    for out in ("", "[]", '{"checks": [{}]}'):
        assert "cannot be read" in doctor.examine(None, answered(out)).words


def test_a_read_only_page_says_so_to_its_server(tmp_path: Path) -> None:
    variables = Settings(tmp_path, None, True).environment()
    assert Settings.from_environment(variables).read_only
    assert not Settings.from_environment(Settings(tmp_path).environment()).read_only


def test_models_with_weights_have_no_interval_and_a_small_weight_is_not_called_nothing() -> None:
    weights = [("biphasic", 0.9996), ("Weibull", 0.0004), ("zero order", 0.0)]
    rows = [ModelRow(name, Quantity(share, "1"), "", "AICc weight / 1") for name, share in weights]
    table = model_rows([*rows, ModelRow("Higuchi", None, "not fitted", "AICc weight / 1")])
    assert table["AICc weight / 1"] == ["1.000", "< 0.001", "< 0.001", "–"]
    assert "95 % interval" not in table


def test_an_assay_and_a_verdict_are_said_in_words() -> None:
    assert [words_of(name) for name in ("release_ph", "photothermal")] == ["release pH", "photothermal"]
    assert verdict_words("agrees", 0.04) == "agrees, 0.0 σ"
    assert verdict_words("departs", -3.21) == "departs, 3.2 σ below"


def test_a_small_power_is_in_milliwatts_and_a_holder_has_units() -> None:
    assert answer_words("powermeter", {"powermeter_power": 2.253e-05}) == "power 0.023 mW"
    assert answer_words("powermeter", {"powermeter_power": 0.0201}) == "power 0.0201 W"
    holder = {"cuvette_holder_target": 25.48, "cuvette_holder_stirring": 800.0}
    assert answer_words("cuvette_holder", holder) == "target 25.48 °C, stirring 800 rpm"
