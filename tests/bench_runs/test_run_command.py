"""`nanolab run photothermal` on the simulated bench: contract, limits, refusals, repeatability."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nanolab.journal.reader import open_run

SHORT = ("--set", "baseline_s=120", "--set", "heat_s=900", "--set", "cool_s=900")
QUANTITY = {"value", "standard_uncertainty", "interval_95", "unit"}


@pytest.mark.slow
def test_the_whole_assay_finds_the_world_s_efficiency(
    nanolab_process: Callable[..., Any], nanolab: Callable[..., Any], tmp_path: Path
) -> None:
    done = nanolab_process("run", "photothermal", "--json", "--ladder")
    assert done.code == 0, done.err
    document = done.json
    assert set(document) >= {"run", "runs", "prediction", "result", "verdict", "cautions"}
    assert document["run"]["status"] == "finished"
    assert document["run"]["simulated"] is True
    assert [entry["role"] for entry in document["runs"]] == ["blank", "reference", "sample"]
    efficiency = document["result"]["efficiency"]
    assert set(efficiency) == QUANTITY
    low, high = efficiency["interval_95"]
    # the example world's truth, which neither plan nor analysis can read
    assert low < 0.72 < high
    assert efficiency["standard_uncertainty"] < 0.1
    assert document["cautions"] == []
    assert document["verdict"]["word"] == "agrees"
    for name in ("external_efficiency", "time_constant_heating", "time_constant_cooling", "heat_capacity", "heat_loss"):
        assert set(document["result"][name]) == QUANTITY, name
    assert set(document["result"]["one_node"]) >= {"initial_slope", "time_constant", "rms"}
    assert set(document["result"]["two_node"]) >= {"initial_slope", "eigen_times", "loss_rate", "rms"}
    folder = tmp_path / document["run"]["path"]
    assert {"docs.jsonl", "result.json", "prediction.json", "figure.svg", "README.txt"} <= {
        p.name for p in folder.iterdir()
    }
    assert "simulated" in folder.name
    assert b"SIMULATED" in (folder / "figure.svg").read_bytes()
    names = [row["convention"] for row in document["ladder"]]
    assert len(names) == len(set(names)) > 5
    start = open_run(folder).start
    assert start["prediction"] == document["prediction"]
    assert start["references"]["blank"] == document["runs"][0]["uid"]
    # the measured absorbance at the laser line: 0.90 in the world
    assert document["result"]["absorbance"]["before"]["value"] == pytest.approx(0.90, abs=0.02)
    _analysed_again(nanolab, document)
    _reported(nanolab, document, folder)


def _reported(nanolab: Callable[..., Any], document: dict[str, Any], folder: Path) -> None:
    """The report holds the result of the run, its blank, its absorbances, and the irradiance once the spot is entered."""
    details = folder.parent / "details.toml"
    details.write_text('[beam]\nspot_diameter = "5.0±0.1 mm"\nspot_definition = "1/e2"\n')
    told = nanolab("report", document["run"]["uid"], "--details", details, "--json").json
    assert told["problem"] == ""
    html = (folder / "report.html").read_text()
    assert len(html) < 1_000_000
    efficiency = document["result"]["efficiency"]
    assert f"η = {efficiency['value']:.3f} ± {efficiency['standard_uncertainty']:.3f}" in html
    assert "Made again for this report" not in html
    assert f"Verdict: <strong>agrees: {abs(document['verdict']['z']):.1f} σ" in html
    assert f"Blank: water in the same cell, run {document['runs'][0]['uid'][:8]}" in html
    assert html.count("data:image/svg+xml;base64,") == 2
    missing = {entry["name"] for entry in told["missing"]}
    assert "line width, FWHM" in missing
    for name in ("irradiance", "absorbance at the laser line, before", "absorbance at the laser line, after", "blank",
                 "rise of the blank at that power", "energy on the sample", "power at the sample P"):  # fmt: skip
        assert name not in missing
    # 0.5 W in a spot of 5 mm at 1/e²: 2.5 W/cm² over the circle; the meter's 3 % and the spot's 4 % go into it
    power, gain_u = document["result"]["power"]["value"], 0.03
    mean = power / (3.14159 / 4 * 0.5**2)
    u = mean * (gain_u**2 + 0.04**2) ** 0.5
    assert f"{mean:.2f} ± {u:.2f} W/cm² (P over the circle of that diameter)" in html


def _analysed_again(nanolab: Callable[..., Any], document: dict[str, Any]) -> None:
    """From the folder alone the same numbers come out; of two runs the mean and the spread; a blank is no sample."""
    sample, blank = document["run"]["path"], document["runs"][0]["path"]
    again = nanolab("analyze", "photothermal", sample, "--json").json
    assert again["result"]["efficiency"] == document["result"]["efficiency"]
    assert again["verdict"] == document["verdict"]
    assert again["prediction"] == document["prediction"]
    assert again["cautions"] == []
    both = nanolab("analyze", "photothermal", sample, sample, "--json").json
    assert both["result"]["efficiency"]["value"] == pytest.approx(again["result"]["efficiency"]["value"])
    assert both["result"]["spreads"]["efficiency"]["value"] == pytest.approx(0.0, abs=1e-12)
    assert [entry["uid"] for entry in both["result"]["each"]] == [document["run"]["uid"]] * 2
    refused = nanolab("analyze", "photothermal", blank)
    assert refused.code == 2
    assert "no sample's run" in refused.err


@pytest.mark.slow
def test_the_same_seed_gives_identical_readings(nanolab: Callable[..., Any], tmp_path: Path) -> None:
    def readings(seed: int) -> dict[str, bytes]:
        done = nanolab("run", "photothermal", "--json", "--seed", seed, "--blank", "none",
                       "--set", "baseline_s=60", "--set", "heat_s=120", "--set", "cool_s=60")  # fmt: skip
        run = open_run(tmp_path / done.json["run"]["path"])
        found: dict[str, bytes] = {}
        for stream in ("primary", "spectra"):
            for key, values in run.table(stream).items():
                if key not in {"time", "seq_num", "uid"}:
                    found[f"{stream} {key}"] = np.asarray(values).tobytes()
            for key, values in run.timestamps(stream).items():
                if key == "time":  # of the documents: wall time
                    continue
                found[f"{stream} {key} at"] = np.asarray(values).tobytes()
        return found

    first, second, other = readings(7), readings(7), readings(8)
    assert first == second
    assert first["primary thermocouple_sample"] != other["primary thermocouple_sample"]


def test_dry_run_opens_nothing_and_says_what_would_happen(nanolab: Callable[..., Any], tmp_path: Path) -> None:
    done = nanolab("run", "photothermal", "--dry-run", "--json", "--set", "heat_s=600", "--set", "power_w=0.4")
    assert done.code == 0
    assert done.json["energy_j"] == pytest.approx(240.0)
    assert done.json["peak_temperature_c"] == pytest.approx(22.0 + 11.0, abs=3.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--set", "power_w=1.9", "--set", "heat_s=9000"], 5, "energy"),
        (["--set", "power_w=9"], 5, "power 9 W is over the limit"),
        (["--set", "powr_w=1"], 2, "did you mean 'power_w'?"),
        (["--set", "power_w=1 m"], 2, "unit 'm' does not fit"),
        (["--set", "cycles=1.5"], 2, "whole number"),
        (["--set", "cycles"], 2, "write NAME=VALUE"),
        (["--bench", "nowhere.toml"], 3, "nowhere.toml"),
        (["--sample", "nowhere.toml"], 3, "nowhere.toml"),
        (["--world", "nowhere.toml"], 3, "nowhere.toml"),
        (["--blank", "abcdef"], 2, "no run in"),
        (["--speed", "fast"], 2, "fast"),
        (["--sim", "127.0.0.1:1"], 4, "127.0.0.1:1"),
    ],
)
def test_likely_mistakes_are_one_sentence(
    nanolab: Callable[..., Any], arguments: list[str], code: int, words: str
) -> None:
    done = nanolab("run", "photothermal", "--json", *arguments)
    assert done.code == code, done.err
    assert words in done.err
    assert done.json["error"]["code"] == code


def test_an_unknown_plan_names_the_nearest(nanolab: Callable[..., Any]) -> None:
    done = nanolab("run", "photothermic")
    assert done.code == 2
    assert "did you mean 'photothermal'?" in done.err


def test_real_emission_is_refused(nanolab: Callable[..., Any], tmp_path: Path) -> None:
    assert nanolab("bench", "init").code == 0
    text = (tmp_path / "bench.toml").read_text()
    lines = 'driver = "thorlabs_itc4005"\naddress = '
    real = text.replace(f'{lines}"simulated"', f'{lines}"tcp://127.0.0.1:9"')
    assert real != text
    (tmp_path / "bench.toml").write_text(real)
    done = nanolab("run", "photothermal")
    assert done.code == 5
    assert "real emission is refused" in done.err


@pytest.mark.slow
def test_a_secret_world_is_found_and_the_prediction_departs(nanolab: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "world.toml").write_text("[photothermal]\nefficiency = 0.35\n")
    done = nanolab("run", "photothermal", "--json", "--world", "world.toml", "--blank", "none", *SHORT)
    document = done.json
    # without a blank the solvent's heat counts as the particles': a little high, and said so
    assert document["result"]["efficiency"]["value"] == pytest.approx(0.36, abs=0.05)
    assert "blank_missing" in [caution["code"] for caution in document["cautions"]]
    assert document["verdict"]["word"] == "departs"
    assert document["verdict"]["z"] < -3


@pytest.mark.slow
def test_a_later_run_uses_an_earlier_blank_by_uid(nanolab: Callable[..., Any], tmp_path: Path) -> None:
    # too short for a good number, long enough for the bookkeeping
    quick = ("--set", "baseline_s=60", "--set", "heat_s=200", "--set", "cool_s=200")
    first = nanolab("run", "photothermal", "--json", *quick)
    blank = first.json["runs"][0]["uid"]
    second = nanolab("run", "photothermal", "--json", "--seed", "5", "--blank", blank[:8], *quick)
    assert second.code == 0, second.err
    assert [entry["role"] for entry in second.json["runs"]] == ["reference", "sample"]
    assert open_run(tmp_path / second.json["run"]["path"]).start["references"]["blank"] == blank
    assert "blank_missing" not in [caution["code"] for caution in second.json["cautions"]]


def test_monitor_and_spectrum_leave_the_laser_alone(nanolab: Callable[..., Any], tmp_path: Path) -> None:
    done = nanolab("run", "monitor", "--json", "--set", "duration_s=30", "--set", "spectrum_every_s=10")
    assert done.code == 0, done.err
    run = open_run(tmp_path / done.json["run"]["path"])
    assert run.table("primary")["thermocouple_sample"].shape == (30,)
    assert run.table("spectra")["spectrometer_counts"].shape == (3, 2136)
    done = nanolab("run", "spectrum", "--json", "--set", "repeats=2")
    assert done.code == 0, done.err
    spectra = open_run(tmp_path / done.json["run"]["path"]).table("spectra")
    dark, light = spectra["spectrometer_counts"][0], spectra["spectrometer_counts"][-1]
    assert light.max() > 10 * dark.max()
    assert json.loads(done.out)["result"] is None


def test_a_heating_of_seconds_is_refused_in_a_sentence_and_not_a_crash(nanolab: Callable[..., Any]) -> None:
    lengths = ("--set", "baseline_s=10", "--set", "heat_s=12", "--set", "cool_s=10")
    done = nanolab("run", "photothermal", "--json", "--blank", "none", "--set", "spectrum=none", *lengths)
    assert done.code in {0, 7}, done.err
    few = nanolab(
        "run", "photothermal", "--json", "--blank", "none", "--set", "spectrum=none", *lengths, "--set", "cadence_s=5"
    )
    assert few.code == 7
    assert "cannot be analysed" in few.err and "valid readings" in few.err
