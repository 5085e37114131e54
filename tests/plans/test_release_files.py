"""`nanolab analyze release` on known truth, on bad input, and on the measured profiles."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import typer
from typer.testing import CliRunner, Result

from nanolab.commands.analyze import command
from nanolab.errors import FileInvalidError, NanolabError, UsageError
from nanolab.models.release import first_order, weibull
from nanolab.models.release_triggers import membrane_limited

Array = npt.NDArray[np.float64]

REFERENCE = Path(os.environ.get("NANOLAB_REFERENCE_DATA", Path(__file__).parents[3] / "shared" / "data"))
RELEASE = REFERENCE / "assays" / "release"

needs_reference = pytest.mark.skipif(
    not RELEASE.is_dir(), reason="the measured data sets are not here: name their folder in NANOLAB_REFERENCE_DATA"
)

TIMES = np.array([0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 18.0, 24.0, 36.0, 48.0])
FEW = ["--set", "models=first_order,first_order_complete,weibull,higuchi,korsmeyer_peppas"]

app = typer.Typer()
app.command()(command)


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["release", *(str(argument) for argument in arguments)])


def document_of(*arguments: str | Path, exit_code: int = 0) -> dict[str, Any]:
    result = invoke(*arguments, "--json")
    if isinstance(result.exception, NanolabError):
        raise result.exception
    assert result.exit_code == exit_code, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def codes(document: dict[str, Any]) -> set[str]:
    return {caution["code"] for caution in document["cautions"]}


def texts(document: dict[str, Any]) -> str:
    return "\n".join(caution["text"] for caution in document["cautions"])


def model(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in document["result"]["models"] if one["name"] == name)
    return found


def parameter(document: dict[str, Any], name: str, of: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in model(document, name)["parameters"] if one["name"] == of)
    return found


def write(path: Path, columns: dict[str, Sequence[object] | Array]) -> Path:
    rows = [",".join(str(value) for value in row) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join([",".join(columns), *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    noise = np.random.default_rng(3).normal(0.0, 0.4, TIMES.size)
    return write(
        tmp_path / "particles.csv",
        {"time_h": TIMES, "release_percent": np.round(first_order(TIMES, 72.0, 0.15) + noise, 3)},
    )


def test_known_truth_is_found_and_the_contract_is_kept(profile: Path) -> None:
    document = document_of(profile, *FEW)
    assert (document["run"], document["prediction"], document["verdict"], document["runs"]) == (None, None, None, [])
    result = document["result"]
    assert result["models"][0]["name"] == "first_order"
    assert (result["profile"], result["points"], result["time_unit"]) == ("particles", 12, "h")
    for name, truth in (("Fmax", 72.0), ("k", 0.15)):
        one = parameter(document, "first_order", name)
        assert one["identified"]
        assert one["why"] is None
        assert set(one["quantity"]) == {"value", "standard_uncertainty", "interval_95", "unit"}
        low, high = one["quantity"]["interval_95"]
        assert low < truth < high
        assert one["quantity"]["value"] == pytest.approx(truth, rel=0.05)
    assert parameter(document, "first_order", "k")["quantity"]["unit"] == "1/h"
    found = model(document, "first_order")
    assert found["ranked"]
    assert found["aicc_difference"] == 0.0
    assert {"aic", "aicc", "aic_ddsolver", "msc", "r2", "r2_adjusted_kinetds"} <= set(found["criteria"])
    assert sum(one["weight"] for one in result["models"] if one["ranked"]) == pytest.approx(1.0)
    assert "error" not in document


def test_the_power_law_is_fitted_to_early_points_and_not_ranked(profile: Path) -> None:
    document = document_of(profile, *FEW)
    early = model(document, "korsmeyer_peppas")
    assert not early["ranked"]
    assert early["weight"] is None
    assert early["why"] == "not ranked: fitted to the 7 of 12 points up to 60 %"
    assert early["criteria"]["points"] == 7
    assert early["best_fit"]["n"] > 0.5


def test_what_the_data_cannot_tell_apart_is_said(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0.0, 0.5, 6)
    t = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    short = write(tmp_path / "short.csv", {"time_h": t, "release_percent": first_order(t, 100.0, 0.03) + noise})
    document = document_of(short, "--set", "models=first_order,first_order_complete,reciprocal_complete,higuchi")
    result = document["result"]
    assert result["preferred"] is None
    assert {"first_order_complete", "reciprocal_complete"} <= set(result["cannot_be_told_apart"])
    assert "cannot be told apart" in result["statement"]
    assert "not_told_apart" in codes(document)
    # far from its plateau the data do not know it
    plateau = parameter(document, "first_order", "Fmax")
    assert plateau["quantity"] is None
    assert not plateau["identified"]
    assert plateau["why"].startswith("the data only say that Fmax is above")


def test_table_folder_and_figure(profile: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shown = invoke(profile, *FEW, "--out", out)
    assert shown.exit_code == 0
    assert shown.stderr.startswith("analysing 1 file with the method of 'release'\n")
    assert "AICc +0.0" in shown.stdout
    assert "not ranked: fitted" in shown.stdout
    figure = (out / "figure.svg").read_text(encoding="utf-8")
    for words in ("released / %", "residual / %", "time / h", "first order, weight"):
        assert words in figure
    invoke(profile, *FEW, "--out", tmp_path / "again")
    assert (tmp_path / "again" / "figure.svg").read_text(encoding="utf-8") == figure
    assert json.loads((out / "result.json").read_text(encoding="utf-8"))["result"]["points"] == 12


def test_several_profiles_in_one_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(4)
    rows = [
        (name, t, float(first_order(t, 80.0, k)) + noise.normal(0.0, 0.3))
        for name, k in (("cold", 0.05), ("warm", 0.5))
        for t in TIMES
    ]
    table = write(
        tmp_path / "both.csv",
        {
            "batch": [r[0] for r in rows],
            "time_h": [r[1] for r in rows],
            "release_percent": [round(r[2], 2) for r in rows],
        },
    )
    document = document_of(table, *FEW, "--out", tmp_path / "out")
    result = document["result"]
    assert [one["profile"] for one in result["each"]] == ["cold", "warm"]
    rates = [
        next(
            p["quantity"]["value"]
            for m in one["models"]
            if m["name"] == "first_order"
            for p in m["parameters"]
            if p["name"] == "k"
        )
        for one in result["each"]
    ]
    assert rates == pytest.approx([0.05, 0.5], rel=0.05)
    assert sum(result["preferred"].values()) == 2
    assert "2 profiles" in (tmp_path / "out" / "figure.svg").read_text(encoding="utf-8")
    assert document_of(table, *FEW, "--where", "batch=warm")["result"]["profile"] == "both"
    # the same with a number in the column that tells them apart, which must be named
    numbered = write(
        tmp_path / "numbered.csv",
        {
            "batch": [r[0] == "warm" for r in rows],
            "time_h": [r[1] for r in rows],
            "release_percent": [r[2] for r in rows],
        },
    )
    numbered.write_text(numbered.read_text().replace("True", "2").replace("False", "1"))
    with pytest.raises(FileInvalidError, match=r"line 14: time goes back from 48 to 0.5 h; .* say --set group=COLUMN"):
        document_of(numbered, *FEW)
    assert len(document_of(numbered, *FEW, "--set", "group=batch")["result"]["each"]) == 2
    lines = numbered.read_text().splitlines()
    numbered.write_text("\n".join([*lines[:3], lines[5], lines[4], lines[3], *lines[6:]]))
    sorted_ = document_of(numbered, *FEW, "--set", "group=batch")
    assert "line 5 is out of order; the points were sorted by time" in texts(sorted_)
    numbered.write_text("\n".join([lines[0], "# vessel refilled", *lines[1:]]))
    assert "1 lines hold text and were passed over" in texts(document_of(numbered, *FEW, "--set", "group=batch"))


def test_profiles_side_by_side_and_in_several_files(tmp_path: Path) -> None:
    wide = write(
        tmp_path / "wide.csv", {"time_h": TIMES, "F1": first_order(TIMES, 80, 0.1), "F2": first_order(TIMES, 80, 0.3)}
    )
    each = document_of(wide, *FEW)["result"]["each"]
    assert [one["profile"] for one in each] == ["F1", "F2"]
    other = write(tmp_path / "other.csv", {"time_h": TIMES, "F1": first_order(TIMES, 60, 0.1)})
    names = [one["profile"] for one in document_of(wide, other, *FEW)["result"]["each"]]
    assert names == ["wide F1", "wide F2", "other"]
    many = write(
        tmp_path / "many.csv", {"time_h": TIMES, **{f"F{i}": first_order(TIMES, 80, 0.1 * i) for i in range(1, 8)}}
    )
    shown = invoke(many, "--set", "models=first_order,higuchi", "--out", tmp_path / "out")
    assert shown.stdout.count("first order is preferred") == 7
    assert "1 of them not drawn" in (tmp_path / "out" / "figure.svg").read_text(encoding="utf-8")


def test_replicates_are_averaged_and_weigh(tmp_path: Path) -> None:
    generator = np.random.default_rng(6)
    rows = [(v, t, float(first_order(t, 80.0, 0.2)) + generator.normal(0, 2.0)) for v in "abc" for t in TIMES]
    table = write(
        tmp_path / "vessels.csv",
        {"vessel": [r[0] for r in rows], "time_h": [r[1] for r in rows], "release_percent": [r[2] for r in rows]},
    )
    document = document_of(table, *FEW)
    assert document["result"]["points"] == 12
    assert document["result"]["weights"] == "scatter of replicates, pooled over the times"
    assert "replicates_averaged" in codes(document)
    low, high = parameter(document, "first_order", "k")["quantity"]["interval_95"]
    assert low < 0.2 < high


def test_stated_standard_deviations_weigh_and_are_kept_from_extremes(tmp_path: Path) -> None:
    sd = np.full(TIMES.size, 1.0)
    sd[4] = 0.001
    values = first_order(TIMES, 80.0, 0.2)
    values[4] += 1.0
    table = write(tmp_path / "sd.csv", {"time_h": TIMES, "release_percent": values, "release_sd": sd})
    document = document_of(table, *FEW)
    assert document["result"]["weights"] == "stated in the file"
    assert "weights_limited" in codes(document)
    assert parameter(document, "first_order", "Fmax")["quantity"]["value"] == pytest.approx(80.0, rel=0.01)
    equal = document_of(table, *FEW, "--set", "weights=equal")
    assert equal["result"]["weights"] == "equal"
    ruled = document_of(table, *FEW, "--set", "weights=rule")
    assert ruled["result"]["weights"] == "the larger of 0.5 % and 3 % of the release"
    table.write_text(table.read_text().replace(",0.001", ",-1"))
    with pytest.raises(FileInvalidError, match="line 6: a standard deviation is a number from zero on"):
        document_of(table, *FEW)


def test_shares_hours_and_missing_values_are_understood(tmp_path: Path) -> None:
    minutes = write(
        tmp_path / "m.csv",
        {"Time (min)": TIMES * 60, "fraction released (fraction)": first_order(TIMES, 80, 0.2) / 100},
    )
    document = document_of(minutes, *FEW)
    assert document["result"]["time_unit"] == "min"
    assert model(document, "first_order")["best_fit"] == pytest.approx({"Fmax": 80.0, "k": 0.2 / 60}, rel=1e-3)
    bare = write(tmp_path / "b.csv", {"time": TIMES, "released": first_order(TIMES, 80, 0.2) / 100})
    bare.write_text(bare.read_text() + "60,\n72,0.8\n")
    document = document_of(bare, *FEW)
    assert {"unit_assumed", "missing_values"} <= codes(document)
    assert "taken as a share" in texts(document)
    assert document_of(bare, *FEW, "--set", "time_unit=d")["result"]["time_unit"] == "d"
    headless = tmp_path / "h.txt"
    headless.write_text("\n".join(f"{t} {v:.3f}" for t, v in zip(TIMES, first_order(TIMES, 80, 0.2), strict=True)))
    mapped = document_of(headless, *FEW, "--map", "time_h=0,release_percent=1")
    assert model(mapped, "first_order")["best_fit"]["Fmax"] == pytest.approx(80.0, rel=1e-3)


def test_points_at_time_zero_are_dropped_or_kept(tmp_path: Path) -> None:
    t = np.concatenate([[0.0], TIMES])
    table = write(tmp_path / "zero.csv", {"time_h": t, "release_percent": first_order(t, 80, 0.2)})
    assert document_of(table, *FEW)["result"]["points"] == 12
    assert document_of(table, *FEW, "--set", "origin=keep")["result"]["points"] == 13
    values = first_order(t, 80, 0.2)
    values[0] = 6.0
    offset = write(tmp_path / "offset.csv", {"time_h": t, "release_percent": values})
    assert "6 % at time zero" in texts(document_of(offset, *FEW))


def test_a_lag_is_found_when_it_is_asked_for(tmp_path: Path) -> None:
    table = write(tmp_path / "lag.csv", {"time_h": TIMES, "release_percent": first_order(TIMES, 80, 0.3, t_lag=1.2)})
    document = document_of(table, "--set", "models=first_order", "--set", "lag=yes")
    assert document["result"]["models"][0]["name"] == "first_order_lag"
    assert model(document, "first_order_lag")["best_fit"]["t_lag"] == pytest.approx(1.2, abs=0.02)


SAMPLED = ["--set", "volume_ml=50±0.5", "--set", "sample_ml=1", "--set", "dose_ug=500±10"]


def test_concentrations_are_corrected_for_sampling_and_balanced(tmp_path: Path) -> None:
    table = write(tmp_path / "c.csv", {"time_h": [1, 2, 4, 8, 12], "concentration_mg_per_L": [2, 4, 5.5, 6.5, 7]})
    small = ["--set", "models=first_order", *SAMPLED]
    document = document_of(table, *small, "--set", "remaining_ug=130±5", "--out", tmp_path / "out")
    kept = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))["result"]
    assert kept["mass_balance"]["value"] == pytest.approx(73.6 + 26.0, abs=0.05)
    assert kept["mass_balance"]["unit"] == "%"
    assert "mass_balance" not in codes(document)
    assert "common_scale" in codes(document)
    lost = document_of(table, *small, "--set", "remaining_ug=20±5")
    assert "cargo was lost, or the dose is off" in texts(lost)
    # the last point of each convention, worked by hand
    for extra, last in (
        ([], 73.6),
        (["--set", "replaced=no"], 68.0),
        (["--set", "carrier_withdrawn=yes"], 70.0 / 0.98**4),
        (["--set", "carrier_withdrawn=yes", "--set", "replaced=no"], 70.0),
    ):
        shown = document_of(table, *small, *extra, "--set", "remaining_ug=0.0")
        assert shown["result"]["mass_balance"]["value"] == pytest.approx(last, abs=0.05)
    bare = document_of(table, "--set", "models=first_order", "--set", "volume_ml=50", "--set", "dose_ug=500")
    assert "sampling_not_corrected" in codes(bare)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["--set", "volume_ml=50"], "--set dose_ug=…: concentrations need it"),
        (["--set", "dose_ug=500"], "--set volume_ml=…: concentrations need it"),
        (
            ["--set", "volume_ml=2", "--set", "dose_ug=500", "--set", "sample_ml=3"],
            "cannot be taken from a volume of 2",
        ),
    ],
)
def test_concentrations_need_their_volumes(tmp_path: Path, settings: list[str], sentence: str) -> None:
    table = write(tmp_path / "c.csv", {"time_h": [1, 2, 4], "concentration_ug_per_ml": [2, 4, 5]})
    with pytest.raises(UsageError, match=sentence):
        document_of(table, *settings)


def test_units_of_concentrations(tmp_path: Path, profile: Path) -> None:
    for heading, sentence in (("concentration", "has no unit"), ("concentration_h", "'h' does not fit")):
        table = write(tmp_path / "c.csv", {"time_h": [1, 2, 4], heading: [2, 4, 5]})
        with pytest.raises(FileInvalidError, match=sentence):
            document_of(table, *SAMPLED)
    with pytest.raises(UsageError, match="the file gives percent of the dose already"):
        document_of(profile, *SAMPLED)


def test_a_slow_membrane_is_said(tmp_path: Path) -> None:
    table = write(tmp_path / "bag.csv", {"time_h": TIMES, "release_percent": membrane_limited(TIMES, 85.0, 0.4, 0.9)})
    document = document_of(table, "--set", "models=first_order", "--set", "membrane_per_h=0.9")
    assert document["result"]["preferred"] == "membrane_limited"
    assert model(document, "membrane_limited")["best_fit"]["k"] == pytest.approx(0.4, rel=1e-3)
    assert "the profile shows the bag as much as the carrier" in texts(document)
    fast = document_of(table, "--set", "models=first_order", "--set", "membrane_per_h=90")
    assert "membrane_limits" not in codes(fast)


def test_sparse_bursts_and_correlated_residuals_are_said(tmp_path: Path) -> None:
    t = np.array([0.5, 1.0, 4.0, 8.0, 16.0, 24.0, 48.0, 72.0, 96.0])
    burst = 30.0 * -np.expm1(-3.0 * t) + 60.0 * -np.expm1(-0.02 * t)
    table = write(tmp_path / "burst.csv", {"time_h": t, "release_percent": burst + 0.1 * np.cos(40 * t)})
    document = document_of(table, "--set", "models=biphasic,higuchi")
    assert "burst_sparse" in codes(document)
    dense = np.linspace(0.5, 48.0, 60)
    bent = write(tmp_path / "bent.csv", {"time_h": dense, "release_percent": weibull(dense, 80, 10, 2.0)})
    poor = document_of(bent, "--set", "models=first_order,higuchi")
    assert "residuals_correlated" in codes(poor)
    assert "does not follow the points" in str(parameter(poor, "first_order", "k")["why"])


def test_intervals_of_contenders_only(profile: Path) -> None:
    document = document_of(profile, *FEW, "--set", "intervals=contenders")
    assert parameter(document, "higuchi", "kH")["why"] == "not worked out: the law has next to no support"
    assert parameter(document, "first_order", "k")["identified"]


def test_too_few_points_to_rank_are_refused_with_exit_seven(tmp_path: Path) -> None:
    table = write(tmp_path / "few.csv", {"time_h": [1, 2, 4], "release_percent": [10, 22, 35]})
    document = document_of(table, exit_code=7)
    assert document["result"]["models"] is None
    assert document["error"]["code"] == 7
    assert "too_few_points" in codes(document)
    assert model({"result": {"models": document["result"]["unranked"]}}, "biphasic")["why"].startswith("not fitted: ")
    shown = invoke(table, "--out", tmp_path / "out")
    assert shown.exit_code == 7
    assert "cannot support: models" in shown.stderr
    assert (tmp_path / "out" / "figure.svg").exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the file is empty"),
        ("time_h,release_percent\n", "no line holds numbers in two columns"),
        ("time_h,release_percent\n1,10\n", "1 row of data is no curve; at least two are needed"),
        ("time_h,release_percent\n-1,10\n2,20\n", "line 2: the time is negative \\(-1 h\\)"),
        ("time_h,release_percent\n1,10\n2,131\n", "line 3: a release of 131 % cannot be; check the dose"),
        ("time_h,release_percent\n1,10\n2,-40\n", "line 3: a release of -40 % cannot be"),
        ("time_h,release_percent\n1,10\n2,abc\n3,20\n", "line 3: 'abc' in column 'release_percent' is not a number"),
        ("time_h,release_percent\n1,50\n2,50\n3,50\n", "all 3 points of bad are 50 %; there is no release"),
        ("time_h,release_percent\n1,50\n2,\n3,\n", "bad has 1 point; at least 2 are needed"),
        ("time_h,colour\n1,50\n2,60\n", "no column for the concentration .*its columns are 'time_h', 'colour'"),
        ("hour,release_percent\n1,50\n2,60\n", "no column for the time \\(for example time_h\\)"),
        ("1,50\n2,60\n", "the file has no headings"),
        ("time_h,t_min,release_percent\n1,60,50\n2,120,60\n", "columns 'time_h' and 't_min' could both be the time"),
        ("time_%,release_percent\n1,50\n2,60\n", "'%' is no unit of time"),
        ("time_h,release_h\n1,50\n2,60\n", "'h' is no unit of a release"),
    ],
)
def test_bad_files_are_one_sentence_that_names_the_place(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(FileInvalidError, match=sentence) as caught:
        document_of(path)
    assert int(caught.value.exit_code) == 3
    assert str(path) in str(caught.value)


def test_odd_but_possible_values_are_cautions(tmp_path: Path) -> None:
    t = [1, 2, 3, 4, 5, 6]
    over = write(tmp_path / "over.csv", {"time_h": t, "release_percent": [-1.0, 40, 70, 90, 104, 103]})
    document = document_of(over, *FEW)
    assert {"above_100", "below_zero"} <= codes(document)
    assert "2 values lie above 100 % (the furthest 104 %)" in texts(document)
    # within three uncertainties nothing is odd
    known = write(tmp_path / "known.csv", {"time_h": t, "release_percent": [-1.0, 40, 70, 90, 104, 103], "sd": [2] * 6})
    assert not {"above_100", "below_zero"} & codes(document_of(known, *FEW))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--set", "models=weibul"], "--set models=weibul: no such release law; did you mean 'weibull'"),
        (["--set", "volume=5"], "the analysis 'release' has no such parameter; did you mean 'volume_ml'"),
        (["--set", "lag"], "--set lag: write NAME=VALUE"),
        (["--set", "lag=yes", "--set", "lag=no"], "--set lag: given twice"),
        (["--set", "dose_ug=-1"], "must be at least"),
        (["--set", "group=lot"], "--set group=lot: .* has no column 'lot'"),
        (["--map", "tiem=0"], "--map tiem=0: no such quantity; did you mean 'time'"),
        (["--power-w", "1"], "--power-w: the analysis 'release' does not use this option"),
        (["--rule", "fda"], "--rule: the analysis 'release' does not use this option"),
        (["--invalid-value", "-1"], "--invalid-value: the analysis 'release' does not use this option"),
    ],
)
def test_bad_options_are_usage_errors(profile: Path, arguments: list[str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        document_of(profile, *arguments)
    assert int(caught.value.exit_code) == 2


@needs_reference
@pytest.mark.reference_data
def test_a_published_profile_under_all_laws() -> None:
    document = document_of(RELEASE / "liposome_ivr_profiles.csv", "--where", "ivr_id=59")
    assert len(document["result"]["models"]) == 17
    assert parameter(document, "korsmeyer_peppas", "n")["quantity"]["value"] == pytest.approx(0.99, abs=0.03)
    assert "kappa is KM over the starting substrate" in texts(document)
    td, b = (parameter(document, "weibull_complete", name)["quantity"]["value"] for name in ("td", "b"))
    assert (td, b) == pytest.approx((10.35, 1.43), rel=0.1)


@needs_reference
@pytest.mark.reference_data
@pytest.mark.parametrize("profile", ["184", "185"], ids=["41 degC", "42 degC"])
def test_thermosensitive_profiles_through_the_command(profile: str) -> None:
    laws = "models=biphasic,first_order,first_order_complete,weibull_complete"
    path = RELEASE / "liposome_ivr_profiles.csv"
    document = document_of(path, "--where", f"ivr_id={profile}", "--set", laws, "--set", "weights=equal")
    assert document["result"]["preferred"] == "biphasic"


@needs_reference
@pytest.mark.reference_data
@pytest.mark.slow
def test_every_measured_file_is_read() -> None:
    small = ["--set", "models=first_order,higuchi", "--set", "intervals=contenders"]
    for name in (
        "bsa_chitosan_pcl_microspheres.csv",
        "bevacizumab_chitosan_pcl_microspheres.csv",
        "rkinetds_test_data.tsv",
    ):
        assert document_of(RELEASE / name, *small)["result"]["models"]
    whole = document_of(RELEASE / "liposome_ivr_profiles.csv", "--set", "group=ivr_id", *small)
    assert len(whole["result"]["each"]) == 209
    assert sum(whole["result"]["preferred"].values()) == 209
    wells = document_of(
        RELEASE / "ants_dequench_liposome_release.csv", "--where", "well=A01", "--map", "release_percent=release_percent",
        *small,
    )  # fmt: skip
    assert wells["result"]["time_unit"] == "s"
