"""`nanolab analyze photothermal` on synthetic curves of known truth, on bad input, and on the measured data sets."""

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from nanolab.commands.analyze import (
    command,
    find_analyst,
    line_range,
    pairs,
    quantities,
    slope_and_offset,
    split_name,
)
from nanolab.commands.show import ladder_csv
from nanolab.errors import FileInvalidError, NanolabError, UsageError

REFERENCE = Path(os.environ.get("NANOLAB_REFERENCE_DATA", Path(__file__).parents[3] / "shared" / "data"))
CURVES = REFERENCE / "photothermal"

TAU_S, RISE_K, BLANK_K, HEAT_S = 120.0, 20.0, 0.6, 900.0
CAPACITY, POWER, ABSORBANCE = 4.18, 1.0, 1.0
# the balance written out by hand: hS (dT - blank) / (P (1 - 10^-A))
TRUTH_UNSCALED = CAPACITY / TAU_S * (RISE_K - BLANK_K) / (POWER * 0.9)
GIVEN = [
    "--heat-capacity-j-per-k", "4.18±0.01", "--power-w", "1±0.001", "--absorbance", "1±0.001", "--window", "1±0",
    "--blank-dt-k", "0.6±0.01",
]  # fmt: skip

app = typer.Typer()
app.command()(command)


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def result_of(*arguments: str | Path, exit_code: int = 0) -> dict[str, Any]:
    result = invoke(*arguments, "--json")
    if isinstance(result.exception, NanolabError):
        raise result.exception
    assert result.exit_code == exit_code, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def write_curve(
    path: Path, *, rise: float = RISE_K, seed: int = 1, base: float = 25.0, header: str = "time_s,T_C,laser_on"
) -> Path:
    time = np.arange(-60.0, 2 * HEAT_S, 2.0)
    up = rise * -np.expm1(-np.clip(time, 0.0, HEAT_S) / TAU_S)
    values = np.where(time < 0, 0.0, up) * np.exp(-np.clip(time - HEAT_S, 0.0, None) / TAU_S)
    values += base + np.random.default_rng(seed).normal(0.0, 0.02, time.size)
    on = ((time >= 0) & (time < HEAT_S)).astype(int)
    rows = [f"{t:g},{v:.4f},{o}" for t, v, o in zip(time + 60.0, values, on, strict=True)]
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def curve(tmp_path: Path) -> Path:
    return write_curve(tmp_path / "rods.csv")


def test_known_truth_is_found_and_the_contract_is_kept(curve: Path) -> None:
    document = result_of("photothermal", curve, *GIVEN, "--method", "roper_unscaled")
    assert (document["run"], document["prediction"], document["verdict"]) == (None, None, None)
    assert document["runs"] == []
    efficiency = document["result"]["efficiency"]
    assert set(efficiency) == {"value", "standard_uncertainty", "interval_95", "unit"}
    assert efficiency["value"] == pytest.approx(TRUTH_UNSCALED, rel=0.01)
    low, high = efficiency["interval_95"]
    assert low < TRUTH_UNSCALED < high
    assert document["result"]["one_node"]["time_constant"]["value"] == pytest.approx(TAU_S, rel=0.015)
    assert document["result"]["time_constant_cooling"]["value"] == pytest.approx(TAU_S, rel=0.01)
    for key in ("external_efficiency", "heat_capacity", "heat_loss", "two_node", "time_constant_heating"):
        assert document["result"][key] is not None
    assert "error" not in document


def test_table_and_progress_go_to_their_own_streams(curve: Path) -> None:
    result = invoke("photothermal", curve, *GIVEN)
    assert result.exit_code == 0
    assert "efficiency" in result.stdout
    assert "± " in result.stdout
    assert "analysing" not in result.stdout
    assert result.stderr == "analysing 1 file with the method of 'photothermal'\n"


def test_without_uncertainties_defaults_apply_with_a_caution(curve: Path) -> None:
    document = result_of(
        "photothermal", curve, "--heat-capacity-j-per-k", "4.18", "--power-w", "1", "--absorbance", "1"
    )
    codes = [caution["code"] for caution in document["cautions"]]
    assert {"uncertainty_assumed", "window_missing", "blank_missing"} <= set(codes)
    assert document["result"]["efficiency"]["standard_uncertainty"] > 0.03


def test_quantities_without_their_inputs_are_null_and_exit_is_zero(curve: Path) -> None:
    document = result_of("photothermal", curve)
    assert document["result"]["efficiency"] is None
    assert document["result"]["heat_loss"] is None
    assert document["result"]["one_node"]["initial_slope"]["value"] == pytest.approx(RISE_K / TAU_S, rel=0.01)
    assert {"heat_capacity_missing", "power_missing", "absorbance_missing"} <= {c["code"] for c in document["cautions"]}


def test_all_inputs_given_and_no_number_is_exit_seven(tmp_path: Path) -> None:
    flat = write_curve(tmp_path / "flat.csv", rise=0.0)
    document = result_of("photothermal", flat, *GIVEN, exit_code=7)
    assert document["result"]["efficiency"] is None
    assert document["error"]["code"] == 7
    assert "no_rise" in {caution["code"] for caution in document["cautions"]}
    # without the inputs, nothing was promised
    assert result_of("photothermal", flat)["result"]["efficiency"] is None
    shown = invoke("photothermal", flat, *GIVEN)
    assert shown.exit_code == 7
    assert "cannot support: efficiency" in shown.stderr


def test_several_files_give_each_the_mean_and_the_spread(tmp_path: Path) -> None:
    rises = (19.0, 20.0, 21.0)
    files = [write_curve(tmp_path / f"batch{i}.csv", rise=rise, seed=i) for i, rise in enumerate(rises)]
    document = result_of("photothermal", *files, *GIVEN, "--method", "roper_unscaled")
    result = document["result"]
    assert [one["name"] for one in result["each"]] == ["batch0", "batch1", "batch2"]
    values = [one["efficiency"]["value"] for one in result["each"]]
    assert result["efficiency"]["value"] == pytest.approx(np.mean(values))
    assert result["spread_between"]["value"] == pytest.approx(np.std(values, ddof=1))
    assert result["spread_between"]["value"] == pytest.approx(CAPACITY / TAU_S / 0.9, rel=0.05)
    # the spread between preparations is part of the mean's uncertainty
    assert result["efficiency"]["standard_uncertainty"] > result["spread_between"]["value"] / np.sqrt(3)
    assert result["one_node"]["time_constant"]["value"] == pytest.approx(TAU_S, rel=0.015)
    shown = invoke("photothermal", *files, *GIVEN).stdout
    assert "batch1" in shown
    assert "spread" in shown


def test_one_bad_file_of_several_is_left_out_of_the_mean_and_said(tmp_path: Path) -> None:
    good = [write_curve(tmp_path / f"good{i}.csv", seed=i) for i in range(2)]
    flat = write_curve(tmp_path / "flat.csv", rise=0.0)
    document = result_of("photothermal", *good, flat, *GIVEN)
    assert document["result"]["each"][2]["efficiency"] is None
    assert document["result"]["efficiency"] is not None
    texts = [c["text"] for c in document["cautions"] if c["code"] == "left_out_of_mean"]
    assert texts == ["the mean is over 2 files, without flat"]
    assert any(c["text"].startswith("flat: ") for c in document["cautions"])
    nothing = result_of("photothermal", flat, write_curve(tmp_path / "flat2.csv", rise=0.0), *GIVEN, exit_code=7)
    assert nothing["result"]["efficiency"] is None
    assert invoke("photothermal", flat, flat, *GIVEN).stdout.count("not analysed") == 2


def test_blank_as_a_curve_agrees_with_its_rise(tmp_path: Path, curve: Path) -> None:
    blank = write_curve(tmp_path / "water.csv", rise=BLANK_K, seed=7)
    given = GIVEN[:-2]
    by_curve = result_of("photothermal", curve, *given, "--blank", blank, "--wavelength-nm", "808")
    by_rise = result_of("photothermal", curve, *GIVEN, "--wavelength-nm", "808")
    assert by_curve["result"]["blank_rise"]["value"] == pytest.approx(BLANK_K, abs=0.03)
    assert 1e-4 < by_curve["result"]["blank_rise"]["standard_uncertainty"] < 0.02
    assert by_curve["result"]["efficiency"]["value"] == pytest.approx(
        by_rise["result"]["efficiency"]["value"], rel=0.01
    )
    assert "blank_power_assumed" in {c["code"] for c in by_curve["cautions"]}
    stated = result_of("photothermal", curve, *given, "--blank", blank, "--blank-power-w", "1±0.001")
    assert "blank_power_assumed" not in {c["code"] for c in stated["cautions"]}


def test_duty_gives_the_power(tmp_path: Path) -> None:
    path = write_curve(tmp_path / "duty.txt", header="time_s,T_C,duty")
    path.write_text(path.read_text().replace(",1\n", ",60\n"))
    given = ["--heat-capacity-j-per-k", "4.18±0.1", "--absorbance", "1±0.01", "--window", "1±0"]
    document = result_of("photothermal", path, *given, "--watts-per-duty", "0.0070255,-0.066076")
    power = document["result"]["power"]
    assert power["value"] == pytest.approx(0.0070255 * 60 - 0.066076, rel=1e-6)
    assert power["standard_uncertainty"] == pytest.approx(0.04 * power["value"])
    by_hand = result_of("photothermal", path, *given, "--power-w", "0.355454±4 %")
    assert document["result"]["efficiency"]["value"] == pytest.approx(
        by_hand["result"]["efficiency"]["value"], rel=1e-3
    )
    assert document["result"]["efficiency"]["standard_uncertainty"] == pytest.approx(
        by_hand["result"]["efficiency"]["standard_uncertainty"], rel=0.1
    )


def test_laser_times_can_be_told_or_are_assumed_with_a_caution(tmp_path: Path, curve: Path) -> None:
    bare = tmp_path / "bare.csv"
    rows = [line.rsplit(",", 1)[0] for line in curve.read_text().splitlines()]
    bare.write_text("\n".join(rows) + "\n")
    told = result_of("photothermal", bare, "--laser-on-s", "60", "--laser-off-s", "960")
    assert told["result"]["one_node"]["time_constant"]["value"] == pytest.approx(TAU_S, rel=0.01)
    assert not {"laser_on_assumed", "laser_off_assumed"} & {c["code"] for c in told["cautions"]}
    assumed = result_of("photothermal", bare, "--laser-on-s", "60")
    assert "laser_off_assumed" in {c["code"] for c in assumed["cautions"]}
    assert assumed["result"]["time_constant_cooling"]["value"] == pytest.approx(TAU_S, rel=0.05)


def test_absorbance_from_a_spectrum(tmp_path: Path, curve: Path) -> None:
    wavelength = np.arange(700.0, 900.0, 0.5)
    spectrum = tmp_path / "rods_abs.csv"
    np.savetxt(spectrum, np.column_stack([wavelength, np.full(wavelength.size, 1.0)]), delimiter=",")
    given = [*GIVEN[:4], *GIVEN[6:]]
    document = result_of("photothermal", curve, *given, "--spectrum", spectrum, "--wavelength-nm", "808")
    direct = result_of("photothermal", curve, *GIVEN, "--wavelength-nm", "808")
    assert document["result"]["efficiency"]["value"] == pytest.approx(direct["result"]["efficiency"]["value"], rel=1e-3)
    with pytest.raises(UsageError, match="needs --wavelength-nm"):
        result_of("photothermal", curve, *given, "--spectrum", spectrum)
    with pytest.raises(UsageError, match="exclude each other"):
        result_of("photothermal", curve, *GIVEN, "--spectrum", spectrum)


def test_sample_file_gives_what_the_command_line_does_not(tmp_path: Path, curve: Path) -> None:
    sample = tmp_path / "sample.toml"
    sample.write_text(
        'version = 1\n[sample]\nname = "rods"\nabsorbance = "0.5±0.01"\nvolume = "1±0.01 mL"\n'
        'window_transmission = "0.96±0.005"\n[heat_capacity]\neffective = "4.18±0.05 J/K"\n'
        '[particle]\nkind = "gold nanorod"\nlength = "41 nm"\ndiameter = "10 nm"\n'
    )
    document = result_of("photothermal", curve, "--sample", sample, "--power-w", "1±0.01", "--wavelength-nm", "808")
    assert document["result"]["heat_capacity"]["value"] == pytest.approx(4.18)
    override = result_of("photothermal", curve, "--sample", sample, "--power-w", "1±0.01", "--absorbance", "1±0.01")
    ratio = document["result"]["efficiency"]["value"] / override["result"]["efficiency"]["value"]
    assert ratio == pytest.approx(0.9 / (1 - 10**-0.5), rel=0.03)


def test_ladder_and_folder(tmp_path: Path, curve: Path) -> None:
    out = tmp_path / "deep" / "out"
    given = [*GIVEN, "--liquid-heat-capacity-j-per-k", "4.18±0.02"]
    result = invoke("photothermal", curve, *given, "--ladder", "--out", out)
    assert result.exit_code == 0
    assert "solution mass" in result.stdout
    assert {path.name for path in out.iterdir()} == {"result.json", "ladder.csv", "figure.svg"}
    kept = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert len(kept["ladder"]) >= 6
    rows = list(csv.DictReader(io.StringIO((out / "ladder.csv").read_text(encoding="utf-8"))))
    unscaled = next(row for row in rows if row["convention"].startswith("Roper, unscaled"))
    assert float(unscaled["efficiency"]) == pytest.approx(TRUTH_UNSCALED, rel=0.01)
    assert (out / "figure.svg").read_bytes().startswith(b"<?xml")
    with pytest.raises(FileInvalidError, match="cannot be written"):
        result_of("photothermal", curve, "--out", curve / "inside")


def test_ladder_of_several_files_says_whose_it_is(tmp_path: Path) -> None:
    files = [write_curve(tmp_path / f"r{i}.csv", seed=i) for i in range(2)]
    document = result_of("photothermal", *files, *GIVEN, "--ladder")
    assert [c["text"] for c in document["cautions"] if c["code"] == "ladder_of_one"] == ["the ladder is that of r0"]


def test_the_same_call_gives_the_same_bytes(curve: Path) -> None:
    first = invoke("photothermal", curve, *GIVEN, "--json", "--seed", "3").stdout
    assert invoke("photothermal", curve, *GIVEN, "--json", "--seed", "3").stdout == first


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--power-w", "1 K"], "--power-w: unit 'K' does not fit: 'W' is wanted"),
        (["--power-w", "-1"], "--power-w: .* must be above 0 W"),
        (["--window", "1.2"], "--window: .* at most 1"),
        (["--albedo", "1"], "--albedo: .* at most 0.999"),
        (["--heat-capacity-j-per-k", "four"], "--heat-capacity-j-per-k: 'four' is no quantity"),
        (["--method", "rooper"], "--method rooper: not known; did you mean 'roper'"),
        (["--map", "tiem=0"], "no such quantity; did you mean 'time'"),
        (["--map", "time"], "--map time: write NAME=VALUE"),
        (["--where", "rod=bare"], "no column 'rod'"),
        (["--lines", "9:3"], "--lines 9:3: write FIRST:LAST"),
        (["--watts-per-duty", "0.01,0"], "has no duty column"),
        (["--wavelength-nm", "0.808"], "between 200 and 2500 nm"),
        (["--laser-on-s", "60", "--laser-off-s", "50"], "cannot go off before it went on"),
        (["--laser-off-s", "1"], "cannot go off before"),
        (["--laser-on-s", "5000"], "holds the time from 0 to 1858 s only"),
        (["--blank", "a.csv", "--blank-dt-k", "1"], "exclude each other"),
    ],
)
def test_bad_options_are_usage_errors(curve: Path, arguments: Sequence[str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        result_of("photothermal", curve, *arguments)
    assert int(caught.value.exit_code) == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the file is empty"),
        ("time_s,T_C,laser_on\n0,20,1\n1,abc,1\n", "line 3: 'abc' in column 'T_C'"),
        ("time_s,T_C,laser_on\n0,20,1\n2,21,1\n1,21,1\n", "line 4: time goes back"),
        ("time_s,T_C,laser_on\n0,20,1\n1,21,1\n2,22,1\n", "only 3 valid readings"),
        ("time_s,T_C,laser_on\n" + "".join(f"{i},20,0\n" for i in range(30)), "the laser is never on"),
    ],
)
def test_bad_files_are_file_errors(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(FileInvalidError, match=sentence) as caught:
        result_of("photothermal", path)
    assert int(caught.value.exit_code) == 3


def test_other_plans_have_no_analysis_of_files() -> None:
    with pytest.raises(UsageError, match="'monitor' has no analysis of files"):
        find_analyst("monitor")
    with pytest.raises(UsageError, match="did you mean 'photothermal'"):
        find_analyst("fotothermal")


def test_the_small_readers() -> None:
    assert pairs("--map", ["time=0, T_C=1", "duty=2"]) == {"time": "0", "T_C": "1", "duty": "2"}
    assert pairs("--where", ["name=a,b"]) == {"name": "a,b"}
    with pytest.raises(UsageError, match="given twice"):
        pairs("--map", ["time=0,time=1"])
    assert line_range("624:") == (624, None)
    assert line_range(":10") == (1, 10)
    assert line_range(None) is None
    for bad in ("5", "a:b", "0:3"):
        with pytest.raises(UsageError, match="FIRST:LAST"):
            line_range(bad)
    assert slope_and_offset("0.5,-1") == (0.5, -1.0)
    for bad in ("0.5", "a,b", "-1,0"):
        with pytest.raises(UsageError, match="--watts-per-duty"):
            slope_and_offset(bad)
    assert split_name("a.csv::Sample A") == (Path("a.csv"), "Sample A")
    assert split_name("a.csv") == (Path("a.csv"), None)
    found = quantities({"power_w": "500 mW ± 4 %", "absorbance": None, "ambient_c": "25±0.2 degC"})
    assert found["power_w"].value == pytest.approx(0.5)
    assert found["power_w"].standard_uncertainty == pytest.approx(0.02)
    assert set(found) == {"power_w", "ambient_c"}
    empty = {"convention": "a", "efficiency": None, "difference": "b, c"}
    assert ladder_csv([empty]).splitlines()[1] == 'a,,,,,"b, c"'


needs_reference = pytest.mark.skipif(
    not CURVES.is_dir(), reason="the measured data sets are not here: name their folder in NANOLAB_REFERENCE_DATA"
)


@needs_reference
@pytest.mark.reference_data
@pytest.mark.parametrize(
    ("arguments", "slope", "tau", "rms", "two_node_rms"),
    [
        (["vikas2023_gnr10x38_808nm_20ugml.csv", "--laser-off-s", "900"], 0.0456, 381.0, 0.36, 0.11),
        (
            ["sanchez2014_gnr10x41_808nm_2W.csv", "--where", "nanoparticle=B-GNR", "--laser-off-s", "1799"],
            0.0874, 228.0, 0.78, 0.17,
        ),
        (
            ["sanchez2014_gnr10x41_808nm_2W.csv", "--where", "nanoparticle=PEG-GNR", "--laser-off-s", "1799"],
            0.1148, 220.0, 1.64, 0.66,
        ),
    ],
)  # fmt: skip
def test_published_nanorod_curves(
    arguments: list[str], slope: float, tau: float, rms: float, two_node_rms: float
) -> None:
    file, *options = arguments
    result = result_of("photothermal", CURVES / "gnr_digitised" / file, *options)["result"]
    assert result["one_node"]["initial_slope"]["value"] == pytest.approx(slope, rel=0.005)
    assert result["one_node"]["time_constant"]["value"] == pytest.approx(tau, rel=0.005)
    assert round(result["one_node"]["rms"]["value"], 2) == rms
    assert result["two_node"]["rms"]["value"] <= 1.1 * two_node_rms


LOGS = ["--map", "time=0,T_C=1,duty=2", "--watts-per-duty", "0.0070255,-0.066076", "--invalid-value", "-8.43"]
LOG_INPUTS = ["--heat-capacity-j-per-k", "0.0418±0.002", "--absorbance", "0.5±0.02", "--window", "1±0"]


@needs_reference
@pytest.mark.reference_data
@pytest.mark.parametrize(
    ("name", "signs"),
    [
        ("water_1_20", {"no_rise", "begins_hot", "baseline_drift"}),
        ("red_0.75_20", {"restart_left_out", "begins_hot", "baseline_drift"}),
        ("red_0.75_60", {"boiling"}),
    ],
)
def test_odd_thermocouple_logs_are_told(name: str, signs: set[str]) -> None:
    arguments = ["photothermal", str(CURVES / "cqd_laser_steps" / f"{name}.txt"), *LOGS, *LOG_INPUTS, "--json"]
    result = invoke(*arguments)
    document = json.loads(result.stdout)
    assert signs <= {caution["code"] for caution in document["cautions"]}
    assert result.exit_code == (7 if document["result"]["efficiency"] is None else 0)


@needs_reference
@pytest.mark.reference_data
def test_no_thermocouple_log_gives_a_number_that_means_nothing() -> None:
    for path in sorted((CURVES / "cqd_laser_steps").glob("*.txt")):
        result = invoke("photothermal", path, *LOGS, *LOG_INPUTS, "--json")
        assert result.exit_code in (0, 7), path.name
        document = json.loads(result.stdout)["result"]
        for name in ("temperature_rise", "time_constant_cooling", "heat_loss"):
            quantity = document[name]
            assert quantity is None or 0 < quantity["standard_uncertainty"] <= quantity["value"], (path.name, name)
        efficiency = document["efficiency"]
        assert efficiency is None or efficiency["standard_uncertainty"] <= 0.5
