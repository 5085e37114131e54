"""Every fault at the command line: a clear sentence, the right exit code, the laser off, the data kept."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nanolab.engine.stop_client import ask_run
from nanolab.journal.reader import open_run

QUICK = ("--blank", "none", "--set", "baseline_s=20", "--set", "heat_s=60", "--set", "cool_s=20")


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("thermocouple.open_couple@40", 6, "invalid_temperature"),
        ("thermocouple.silent@40", 4, "thermocouple: "),
        ("thermocouple.garbled_line@40", 4, "garbled reply"),
        ("thermocouple.half_line@40", 4, "no whole reply"),
        ("thermocouple.slow_reply@40", 4, "no whole reply"),
        ("thermocouple.port_vanishes@40", 4, "cannot be reached"),
        ("powermeter.silent@40", 4, "powermeter: "),
        ("laser.interlock_open@40", 6, "the interlock is open"),
        ("laser.key_off@40", 6, "the key is off"),
        ("laser.interlock_open", 5, "emission is refused: the interlock is open"),
        ("laser.emission_stuck@40", 8, "OFF NOT CONFIRMED"),
        ("laser.port_vanishes@40", 8, "OFF NOT CONFIRMED"),
        ("spectrometer.nack_spectrum", 4, "spectrometer: "),
        ("spectrometer.port_vanishes", 4, "spectrometer: "),
    ],
)
def test_a_fault_is_a_sentence_and_an_exit_code(
    nanolab: Callable[..., Any], tmp_path: Path, fault: str, code: int, words: str
) -> None:
    done = nanolab("run", "photothermal", "--json", *QUICK, "--fault", fault)
    assert done.code == code, done.err
    document = done.json
    assert words in document["error"]["message"]
    assert document["error"]["code"] == code
    if code != 8:
        assert "laser: OFF (" in done.err
    if document["run"] is not None:
        run = open_run(tmp_path / document["run"]["path"])
        assert run.status == "failed" or code == 8
        assert document["result"] is None


@pytest.mark.parametrize("fault", ["powermeter.over_range@40", "spectrometer.saturated_spectrum"])
def test_what_can_be_left_out_is_left_out_with_a_caution(nanolab: Callable[..., Any], fault: str) -> None:
    done = nanolab("run", "photothermal", "--json", *QUICK, "--fault", fault)
    codes = [caution["code"] for caution in done.json["cautions"]]
    wanted = {"invalid_power_readings"} if "powermeter" in fault else {"saturated", "spectrum_unusable"}
    assert wanted & set(codes), codes


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("thermocouple.open_cuple@3", 5, "did you mean 'open_couple'?"),
        ("thermocouple", 2, "ROLE.FAULT@SECONDS"),
        ("thermocouple.open_couple@soon", 2, "ROLE.FAULT@SECONDS"),
    ],
)
def test_a_mistyped_fault_names_the_nearest(nanolab: Callable[..., Any], fault: str, code: int, words: str) -> None:
    done = nanolab("run", "photothermal", *QUICK, "--fault", fault)
    assert done.code == code
    assert words in done.err


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_signal_ends_the_run_with_the_laser_off(
    serve: Callable[..., Any], tmp_path: Path, number: int, code: int
) -> None:
    server = serve("--speed", "20")
    words = [sys.executable, "-m", "nanolab", "run", "photothermal", "--json", "--sim", server.control,
             "--blank", "none", "--speed", "20", "--set", "baseline_s=20"]  # fmt: skip
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "heating" in line:
            break
    process.send_signal(number)
    out, err = process.communicate(timeout=200)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert "laser: OFF (" in err
    document = json.loads(out)
    assert document["run"]["status"] == "aborted"
    temperatures = open_run(tmp_path / document["run"]["path"]).table("primary")["thermocouple_sample"]
    assert len(temperatures) > 5


def test_a_stop_from_another_process_ends_the_run_with_the_laser_off(serve: Callable[..., Any], tmp_path: Path) -> None:
    server = serve("--speed", "20")
    data = tmp_path / "runs"
    words = [sys.executable, "-m", "nanolab", "run", "photothermal", "--json", "--sim", server.control, "--data", str(data),
             "--blank", "none", "--speed", "20", "--set", "baseline_s=20", "--set", "heat_s=3000"]  # fmt: skip
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "heating" in line:
            break
    (folder,) = (offered.parent for offered in data.glob("*/*/stop.json"))
    before = time.monotonic()
    answer = ask_run(folder, "the STOP of a test")
    answered = time.monotonic()
    assert answer.confirmed, answer.words
    out, err = process.communicate(timeout=200)
    assert process.returncode == 130, err
    assert "stopped by the STOP of a test: the laser was turned off first" in err
    document = json.loads(out)
    assert document["run"]["status"] == "aborted"
    assert open_run(folder).status == "aborted"
    emissions = _ask(server.ready["truth"], {"op": "emissions"})["emissions"]
    assert [change["emitting"] for change in emissions] == [True, False]
    assert before <= emissions[-1]["monotonic_s"] <= answered  # it was off when it was said to be


def test_the_shared_bench_can_be_watched_while_a_run_goes_on(
    serve: Callable[..., Any], nanolab: Callable[..., Any]
) -> None:
    server = serve("--speed", "max")
    done = nanolab("run", "photothermal", "--json", "--sim", server.control, *QUICK)
    assert done.code in {0, 7}, done.err
    from_truth = _ask(server.ready["truth"], {"op": "truth"})
    assert from_truth["ok"]
    assert from_truth["truth"]["laser"]["emitting"] is False
    assert from_truth["time_s"] >= 100.0


def _ask(place: str, request: dict[str, Any]) -> dict[str, Any]:
    import socket

    host, port = place.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection, connection.makefile("rwb") as stream:
        stream.write(json.dumps(request).encode() + b"\n")
        stream.flush()
        reply: dict[str, Any] = json.loads(stream.readline())
    return reply
