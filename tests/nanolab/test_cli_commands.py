"""Each command does what it says, and answers the likeliest mistakes of a newcomer with one sentence."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nanolab.bench.config import load_bench
from nanolab.bench.sample import load_sample
from nanolab.bench.template import Resources, bench_template
from nanolab.cli import main
from nanolab.commands.output import write_table
from nanolab.journal import RunWriter

Outcome = tuple[int, str, str]
Call = Callable[..., Outcome]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NANOLAB_BENCH", raising=False)
    monkeypatch.setattr("nanolab.bench.template.look_for_resources", lambda: Resources(["COM3 (USB)"], [], ["no VISA"]))

    def run(*words: str) -> Outcome:
        code = main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def as_json(outcome: Outcome) -> dict[str, Any]:
    code, out, err = outcome
    assert code == 0, err
    document: dict[str, Any] = json.loads(out)
    return document


def mistake(outcome: Outcome, code: int, sentence: str) -> None:
    got, out, err = outcome
    assert got == code, err
    assert out == ""
    assert sentence in err
    assert "Traceback" not in err
    assert err.count("\n") == 1


# --- bench init -------------------------------------------------------------------------------------------------


def test_bench_init_writes_two_files_that_load(call: Call) -> None:
    code, out, _ = call("bench", "init", "left table")
    assert code == 0
    assert load_bench(Path("left table/bench.toml")).simulated_roles
    assert load_sample(Path("left table/sample.toml")).sample.name
    assert "COM3 (USB)" in Path("left table/bench.toml").read_text(encoding="utf-8")
    for words in (
        "written: left table/bench.toml",
        "found serial port: COM3 (USB)",
        "found no VISA resource",
        "no VISA",
    ):
        assert words in out


def test_bench_init_as_json(call: Call) -> None:
    document = as_json(call("bench", "init", "--json"))
    assert document == {
        "files": ["bench.toml", "sample.toml"],
        "serial_ports": ["COM3 (USB)"],
        "visa": [],
        "notes": ["no VISA"],
    }


def test_bench_init_newcomers_mistakes(call: Call, tmp_path: Path) -> None:
    call("bench", "init")
    before = Path("bench.toml").read_bytes()
    mistake(call("bench", "init"), 5, "bench.toml and sample.toml: already there, and not overwritten")
    assert Path("bench.toml").read_bytes() == before
    mistake(call("bench", "init", "bench.toml"), 2, "name the folder")
    Path("file").write_text("")
    mistake(call("bench", "init", "file/under"), 5, "cannot be written there")


# --- bench doctor -----------------------------------------------------------------------------------------------


def test_bench_doctor_newcomers_mistakes(call: Call) -> None:
    code, out, _ = call("bench", "doctor", "--bench", "nowhere.toml")
    assert code == 3
    assert "nowhere.toml: there is no such file" in " ".join(out.split())
    Path("bench.toml").write_text(
        bench_template().replace('"thorlabs_itc4005"', '"thorlabs_itc4006"'), encoding="utf-8"
    )
    code, out, _ = call("bench", "doctor", "--json")
    assert code == 3
    (bad,) = [check for check in json.loads(out)["checks"] if not check["ok"]]
    assert "there is no driver 'thorlabs_itc4006'; did you mean 'thorlabs_itc4005'?" in bad["detail"]
    Path("bench.toml").write_text(
        'version = 1\n[powermeter]\ndriver = "thorlabs_pm100d"\naddress = "tcp://127.0.0.1:1"\n'
        'position = "pickoff"\nwavelength = "808 nm"\n',
        encoding="utf-8",
    )
    code, out, _ = call("bench", "doctor")
    assert code == 4
    row = next(line for line in out.splitlines() if line.startswith("powermeter"))
    assert "FAIL" in row
    assert "To do:" in " ".join(out.split())


# --- plans ------------------------------------------------------------------------------------------------------


def test_plans_lists_them_and_every_parameter_of_one(call: Call) -> None:
    _, out, _ = call("plans")
    assert "photothermal" in out
    assert "spectrum" in out
    plans = {plan["name"]: plan for plan in as_json(call("plans", "--json"))["plans"]}
    assert plans["photothermal"]["emits"] is True
    assert plans["spectrum"]["needs"] == ["spectrometer"]
    _, out, _ = call("plans", "photothermal")
    power = next(line for line in out.splitlines() if line.startswith("power_w "))
    assert "W" in power.split()
    parameters = {p["name"]: p for p in as_json(call("plans", "photothermal", "--json"))["parameters"]}
    assert {"baseline_s", "heat_s", "cool_s", "cycles", "cadence_s", "power_w", "powers_w"} <= set(parameters)
    assert parameters["heat_s"]["unit"] == "s"
    assert parameters["heat_s"]["default"] is None
    assert all(p["meaning"] for p in parameters.values())


def test_plans_newcomers_mistakes(call: Call) -> None:
    mistake(call("plans", "fotothermal"), 2, "did you mean 'photothermal'")
    mistake(call("plans", "photothermal", "power_w"), 2, "unexpected extra argument")
    mistake(call("plan"), 2, "Did you mean 'plans'")


def test_choices_of_a_parameter_are_shown() -> None:
    from nanolab.assay import Parameter
    from nanolab.commands.plans import limits_in_words

    assert limits_in_words(Parameter("m", "choice", "a", "", choices=("a", "b"))) == "a|b"
    assert limits_in_words(Parameter("m", "number", 1.0, "", low=0.5)) == "0.5…"
    assert limits_in_words(Parameter("m", "number", 1.0, "")) == ""


# --- devices ----------------------------------------------------------------------------------------------------


def test_devices_lists_the_bench_and_the_drivers(call: Call) -> None:
    document = as_json(call("devices", "--json"))
    laser = next(device for device in document["devices"] if device["role"] == "laser")
    assert (laser["driver"], laser["address"], laser["simulated"]) == ("thorlabs_itc4005", "simulated", True)
    assert {"thorlabs_itc4001", "ocean_flamex"} <= {driver["driver"] for driver in document["drivers"]}
    code, out, _ = call("devices")
    assert code == 0
    assert "thorlabs_pm100d" in out


def test_devices_newcomers_mistakes(call: Call) -> None:
    mistake(call("devices", "--bench", "bench.tml"), 3, "there is no such file; `nanolab bench init`")
    Path("bench.toml").write_text("version = 1\n[lazer]\n", encoding="utf-8")
    mistake(call("devices"), 3, "bench.toml:2: [lazer]: unknown table; did you mean 'laser'?")
    mistake(call("devices", "laser"), 2, "unexpected extra argument")


def test_a_driver_that_cannot_be_loaded_is_listed_all_the_same(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    from nanolab import discovery

    known = {
        **discovery.entry_points_of("nanolab.devices"),
        "acme": EntryPoint("acme", "no_such:Driver", "nanolab.devices"),
    }
    find = discovery.entry_points_of
    monkeypatch.setattr(
        discovery, "entry_points_of", lambda group: known if group == "nanolab.devices" else find(group)
    )
    drivers = {d["driver"]: d for d in as_json(call("devices", "--json"))["drivers"]}
    assert "cannot be loaded" in drivers["acme"]["about"]
    assert drivers["acme"]["simulator"] is False


# --- runs -------------------------------------------------------------------------------------------------------


@pytest.fixture
def a_run(tmp_path: Path) -> Iterator[str]:
    """One finished run in ./runs, and its uid."""
    import event_model

    bundle = event_model.compose_run(
        metadata={
            "plan_name": "photothermal",
            "role": "sample",
            "simulated": True,
            "sample": {"sample": {"name": "GNR 7"}},
        }
    )
    key = {"dtype": "number", "shape": [], "source": "simulated:1", "units": "degC"}
    descriptor = bundle.compose_descriptor(name="primary", data_keys={"thermocouple_sample": key})
    with RunWriter(tmp_path / "runs") as journal:
        journal("start", bundle.start_doc)
        journal("descriptor", descriptor.descriptor_doc)
        for value in (22.5, 23.25):
            event = descriptor.compose_event(
                data={"thermocouple_sample": value}, timestamps={"thermocouple_sample": 1.0}
            )
            journal("event", event)
        journal("stop", bundle.compose_stop())
        assert journal.path is not None
        folder = Path(journal.path)
    quantity = {"value": 0.7234, "standard_uncertainty": 0.031, "interval_95": [0.66, 0.78], "unit": "1"}
    loss = {"value": 0.02, "standard_uncertainty": None, "interval_95": None, "unit": "W/K"}
    result = {
        "result": {"efficiency": quantity, "heat_loss": loss, "method": "transfer"},
        "cautions": [{"code": "x", "text": "beware"}],
    }
    (folder / "result.json").write_text(json.dumps(result))
    yield str(bundle.start_doc["uid"])


def test_runs_are_listed_shown_and_exported(call: Call, a_run: str) -> None:
    _, out, _ = call("runs")
    assert a_run[:8] in out
    assert "SIMULATED" in out
    (row,) = as_json(call("runs", "list", "--json"))["runs"]
    assert (row["uid"], row["status"], row["sample"], row["role"]) == (a_run, "finished", "GNR 7", "sample")
    shown = as_json(call("runs", "show", a_run[:6], "--json"))
    assert shown["streams"] == {"primary": 2}
    assert shown["result"]["result"]["efficiency"]["value"] == 0.7234
    _, out, _ = call("runs", "show", a_run)
    assert "result  efficiency: 0.7234 ± 0.031\n" in out
    assert "result  heat_loss: 0.02 W/K\n" in out
    assert "! beware" in out
    files = as_json(call("runs", "export", a_run, "--to", "columns", "--json"))["files"]
    text = Path(files[0]).read_text(encoding="utf-8")
    assert "thermocouple_sample (degC)" in text
    assert "23.25" in text
    code, out, _ = call("runs", "export", a_run, "--format", "npz")
    assert code == 0
    assert out.startswith("written: ")


def test_no_runs_yet(call: Call) -> None:
    assert call("runs") == (0, "no runs in runs\n", "")
    assert as_json(call("runs", "--json"))["runs"] == []


def test_runs_newcomers_mistakes(call: Call, a_run: str) -> None:
    mistake(call("runs", "shwo", a_run), 2, "there is no such action; did you mean 'show'?")
    mistake(call("runs", "show"), 2, "name a run by its uid")
    mistake(call("runs", "show", "zzzz"), 2, "no run in runs has a uid that begins with 'zzzz'")
    mistake(call("runs", "list", a_run), 2, "did you mean 'show'?")
    mistake(call("runs", "--data", "nowhere"), 2, "--data nowhere: there is no such folder")
    mistake(call("runs", "export", a_run, "--format", "xlsx"), 2, "--format xlsx: known: csv, npz")
    assert call("runs", "--data", "runs")[0] == 0


# --- sim --------------------------------------------------------------------------------------------------------


def test_sim_world_prints_a_world_file_that_is_one(call: Call) -> None:
    _, out, _ = call("sim", "world")
    world = tomllib.loads(out)
    assert 0.0 < world["photothermal"]["efficiency"] <= 1.0
    assert as_json(call("sim", "world", "--json"))["world"] == world
    Path("world.toml").write_text("[photothermal]\nefficiency = 0.4\n")
    assert (
        as_json(call("sim", "world", "--world", "world.toml", "--json"))["world"]["photothermal"]["efficiency"] == 0.4
    )


def test_sim_world_newcomers_mistakes(call: Call) -> None:
    mistake(call("sim", "world", "--world", "nowhere.toml"), 3, "nowhere.toml")
    Path("world.toml").write_text("[photothermal]\neficiency = 0.4\n")
    mistake(call("sim", "world", "--world", "world.toml"), 3, "did you mean 'efficiency'?")
    Path("world.toml").write_text('[photothermal]\nefficiency = "high"\n')
    mistake(call("sim", "world", "--world", "world.toml"), 3, "efficiency")


def test_sim_serve_newcomers_mistakes(call: Call) -> None:
    mistake(
        call("sim", "serve", "--speed", "fast"), 2, "--speed: speed 'fast' is neither a positive number nor \"max\""
    )
    mistake(call("sim", "serve", "--instrument", "thorlabs_itc4001"), 2, "write ROLE=DRIVER")
    mistake(call("sim", "serve", "--instrument", "lazer=thorlabs_itc4001"), 2, "did you mean 'laser'?")
    mistake(call("sim", "serve", "--instrument", "laser=thorlabs_itc4002"), 2, "did you mean 'thorlabs_itc400")
    mistake(call("sim", "serve", "--seed", "-1"), 2, "seed must not be negative")
    mistake(call("sim", "serve", "--meter-position", "pick_off"), 2, "did you mean 'pickoff'?")


def test_sim_serve_says_where_it_is_and_ends_with_its_input() -> None:
    command = [sys.executable, "-m", "nanolab", "sim", "serve", "--json", "--speed", "60", "--instrument"]
    with subprocess.Popen(
        [*command, "powermeter=thorlabs_pm100d"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        ready = json.loads(server.stdout.readline())
        assert ready["instruments"]["powermeter"]["driver"] == "thorlabs_pm100d"
        assert ready["truth"] is not None
        server.stdin.close()
        assert server.wait(10) == 0


# --- shell ------------------------------------------------------------------------------------------------------


def test_the_shell_is_ipython_with_everything_ready(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    started: dict[str, Any] = {}
    ipython, startup = ModuleType("IPython"), ModuleType("nanolab.startup")
    ipython.start_ipython = lambda **options: started.update(options)  # type: ignore[attr-defined]  # a stand-in
    startup.__all__ = ["RE", "laser"]  # type: ignore[attr-defined]  # a stand-in
    startup.RE, startup.laser = "engine", "a laser"  # type: ignore[attr-defined]  # a stand-in
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "nanolab.startup", startup)
    monkeypatch.setattr("nanolab.startup", startup, raising=False)
    monkeypatch.setenv("NANOLAB_BENCH", "to be put back")
    code, out, err = call("shell", "--bench", "bench.toml")
    assert (code, out) == (0, "")
    assert started["user_ns"] == {"RE": "engine", "laser": "a laser"}
    assert "ready: RE, laser" in err


def test_the_shell_without_ipython_says_what_to_install(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", None)
    mistake(call("shell"), 1, "pip install 'nanolab[shell]'")


# --- tables -----------------------------------------------------------------------------------------------------


def test_a_long_last_column_is_wrapped_under_itself(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    write_table(("what", "detail"), [("laser", "word " * 15), ("x", "")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "what   detail"
    assert lines[1].startswith("laser  word")
    assert lines[2].startswith("       word")
    assert all(len(line) <= 60 for line in lines)
    assert lines[-1] == "x"
