"""`nanolab analyze similarity` and `nanolab analyze encapsulation`: tables of any shape, and what is wrong with them."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from nanolab.commands.analyze import command
from nanolab.errors import FileInvalidError, NanolabError, UsageError

REFERENCE = Path(os.environ.get("NANOLAB_REFERENCE_DATA", Path(__file__).parents[3] / "shared" / "data"))
RELEASE = REFERENCE / "assays" / "release"

needs_reference = pytest.mark.skipif(
    not RELEASE.is_dir(), reason="the measured data sets are not here: name their folder in NANOLAB_REFERENCE_DATA"
)

TIMES = [5.0, 15.0, 30.0, 45.0]
MEANS = {"R": [30.0, 60.0, 80.0, 95.0], "T": [24.0, 55.0, 86.0, 97.0]}
QUICK = ["--set", "draws=400"]

app = typer.Typer()
app.command()(command)


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def document_of(*arguments: str | Path, exit_code: int = 0) -> dict[str, Any]:
    result = invoke(*arguments, "--json")
    if isinstance(result.exception, NanolabError):
        raise result.exception
    assert result.exit_code == exit_code, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def codes(document: dict[str, Any]) -> set[str]:
    return {caution["code"] for caution in document["cautions"]}


def units(count: int, sd: float = 2.0) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    generator = np.random.default_rng(2)
    return {name: np.array(means) + generator.normal(0.0, sd, (count, 4)) for name, means in MEANS.items()}


def wide(path: Path, count: int = 12, sd: float = 2.0) -> Path:
    rows = ["product,tablet," + ",".join(f"t.{t:g}" for t in TIMES)]
    for name, block in units(count, sd).items():
        rows += [f"{name},{i + 1}," + ",".join(f"{v:.3f}" for v in row) for i, row in enumerate(block)]
    path.write_text("\n".join(rows) + "\n")
    return path


def long(path: Path, count: int = 12) -> Path:
    rows = ["product,tablet,time_min,release_percent"]
    for name, block in units(count).items():
        rows += [
            f"{name},{i + 1},{t:g},{v:.3f}" for i, row in enumerate(block) for t, v in zip(TIMES, row, strict=True)
        ]
    path.write_text("\n".join(rows) + "\n")
    return path


@needs_reference
@pytest.mark.reference_data
@pytest.mark.parametrize(("rule", "expected"), [("ema", 40.83405), ("fda", 40.83405), ("all", 42.11197)])
def test_the_published_comparison(rule: str, expected: float) -> None:
    document = document_of("similarity", RELEASE / "dissolution_tsong1996.csv", "--rule", rule, *QUICK)
    result = document["result"]
    assert set(result["f2"]) == {"value", "standard_uncertainty", "interval_95", "unit"}
    assert result["f2"]["value"] == pytest.approx(expected, abs=1e-5)
    if rule == "ema":
        assert result["f1"]["value"] == pytest.approx(18.19745, abs=1e-5)
    assert result["similar"] is False
    assert result["points_kept"] == (8 if rule == "all" else 7)
    assert "few_units" in codes(document)
    assert (document["run"], document["prediction"], document["verdict"]) == (None, None, None)


@needs_reference
@pytest.mark.reference_data
def test_several_tests_against_one_reference(tmp_path: Path) -> None:
    path = RELEASE / "dissolution_shah1998.csv"
    given = ["--set", "product=batch", "--set", "reference=b0", *QUICK]
    document = document_of("similarity", path, *given, "--out", tmp_path / "out")
    each = document["result"]["each"]
    assert [one["f2"]["value"] for one in each] == pytest.approx([57.468, 49.969, 51.190, 50.072, 45.233], abs=5.1e-4)
    assert [one["similar"] for one in each] == [True, False, True, True, False]
    assert document["result"]["f2"] is None
    assert "similarity_uncertain" in codes(document)
    figure = (tmp_path / "out" / "figure.svg").read_text(encoding="utf-8")
    assert "test b4, f2 50.1" in figure
    one = document_of("similarity", path, *given, "--set", "test=b4", "--rule", "all")
    assert one["result"]["f2"]["value"] == pytest.approx(50.0719, abs=5.1e-5)
    assert one["result"]["test"] == "b4"


def test_wide_and_long_tables_agree(tmp_path: Path) -> None:
    first = document_of("similarity", wide(tmp_path / "w.csv"), *QUICK)["result"]
    second = document_of("similarity", long(tmp_path / "l.csv"), *QUICK)["result"]
    assert first["f2"] == second["f2"]
    assert (first["time_unit"], second["time_unit"]) == (None, "min")
    assert first["points_kept"] == 3
    whys = {point["time"]: point["why"] for point in first["points"]}
    assert whys[30.0] == "kept: the first and only time at which a mean exceeds 85 %"
    assert whys[45.0].startswith("left out: comes after")
    assert first["bootstrap"]["f2"]["level"] == 0.9
    low, high = first["f2"]["interval_95"]
    assert low < first["bootstrap"]["f2"]["low"] < first["f2"]["value"] < first["bootstrap"]["f2"]["high"] < high
    seeds = [
        document_of("similarity", wide(tmp_path / "w.csv"), *QUICK, "--seed", s)["result"] for s in ("1", "2", "1")
    ]
    assert seeds[0]["f2"] == seeds[2]["f2"] != seeds[1]["f2"]
    plain = document_of("similarity", wide(tmp_path / "w.csv"), *QUICK, "--set", "bootstrap=percentile")
    assert plain["result"]["bootstrap"]["f1"]["method"] == "percentile"


def test_the_table_says_what_was_kept_and_why(tmp_path: Path) -> None:
    shown = invoke("similarity", long(tmp_path / "l.csv"), *QUICK, "--out", tmp_path / "out")
    assert shown.exit_code == 0
    assert "3 of 4: 5, 15, 30 min" in shown.stdout
    assert "left out: comes after" in shown.stdout
    assert "f2, bias-corrected" in shown.stdout
    assert "time / min" in (tmp_path / "out" / "figure.svg").read_text(encoding="utf-8")


def test_means_alone_give_factors_without_an_interval(tmp_path: Path) -> None:
    path = tmp_path / "means.csv"
    rows = [f"{name},{t:g},{v:g}" for name, means in MEANS.items() for t, v in zip(TIMES, means, strict=True)]
    path.write_text("\n".join(["product,time_min,release_percent", *rows]))
    document = document_of("similarity", path, "--rule", "all", "--out", tmp_path / "out")
    squares = np.mean((np.array(MEANS["R"]) - MEANS["T"]) ** 2)
    assert document["result"]["f2"]["value"] == pytest.approx(50 * np.log10(100 / np.sqrt(1 + squares)))
    assert document["result"]["f2"]["interval_95"] is None
    assert document["result"]["bootstrap"] == {}
    assert {"no_units", "few_units"} <= codes(document)
    shown = invoke("similarity", path)
    assert "bias-corrected" not in shown.stdout


def test_units_that_scatter_are_said(tmp_path: Path) -> None:
    document = document_of("similarity", wide(tmp_path / "w.csv", sd=11.0), "--rule", "all", *QUICK)
    assert "units_scatter" in codes(document)
    tight = document_of("similarity", wide(tmp_path / "w.csv", sd=1.0), *QUICK)
    assert codes(tight) == set()


def test_a_difference_smaller_than_its_scatter_has_no_bias_correction(tmp_path: Path) -> None:
    path = tmp_path / "same.csv"
    rows = ["product,tablet,t.5,t.15,t.30", "R,1,10,40,60", "R,2,40,70,80", "T,1,10,41,61", "T,2,40,69,79"]
    path.write_text("\n".join(rows))
    document = document_of("similarity", path, *QUICK)
    assert document["result"]["f2_bias_corrected"] is None
    assert "no_bias_correction" in codes(document)


def test_too_few_points_are_refused_with_exit_seven(tmp_path: Path) -> None:
    path = tmp_path / "fast.csv"
    path.write_text("product,tablet,t.5,t.15,t.30\nR,1,90,95,99\nR,2,91,95,99\nT,1,88,93,97\nT,2,87,94,98\n")
    document = document_of("similarity", path, *QUICK, "--out", tmp_path / "out", exit_code=7)
    assert document["result"]["f1"] is None
    assert document["result"]["f2"] is None
    assert "keeps 1 points; 3 are needed" in document["cautions"][0]["text"]
    assert "no f2" in (tmp_path / "out" / "figure.svg").read_text(encoding="utf-8")
    shown = invoke("similarity", path, *QUICK)
    assert shown.exit_code == 7
    assert "none (see below)" in shown.stdout


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("product,tablet,t.5,t.15\nR,1,10,x9\nR,2,10,20\nT,1,10,20\n", "line 2: 'x9' in column 't.15' is not a number"),
        ("product,tablet,t.5,t.15\nR,1,10,\nR,2,10,15\nT,1,10,20\nT,2,10,20\n", "line 2: no value in column 't.15'"),
        ("product,tablet,t.15,t.5\nR,1,10,20\nT,1,10,20\n", "the times in the headings do not rise"),
        ("product,tablet,t.5,t.15\nR,1,10,130\nT,1,10,20\n", "'R' holds a release of 130 %"),
        ("lot,tablet,t.5,t.15\n1,1,10,20\n2,1,10,20\n", "no column of text tells reference and test apart"),
        ("lot,tablet,t.5,t.15\nA,1,10,20\nB,1,10,20\n", "which of 'A', 'B' is the reference is not plain"),
        (
            "product,tablet,time_min,release_percent\nR,1,5,10\nR,1,15,20\nT,1,5,10\nT,1,20,30\n",
            "has 2 values for 3 times",
        ),
        ("product,colour,shade\nR,1,10\nT,1,20\n", "no column for the time"),
        ("product,tablet,time_min,release_percent\nR,1,,10\nR,1,15,20\nT,1,5,10\nT,1,15,30\n", "a row has no time"),
    ],
)
def test_bad_tables_are_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(FileInvalidError, match=sentence):
        document_of("similarity", path, *QUICK)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--rule", "usp"], "--set rule=usp: known: all, ema, fda"),
        (["--rule", "fda", "--set", "rule=ema"], "--set rule: given twice"),
        (["--set", "reference=Q"], "--set reference=Q: .* has no such product"),
        (["--set", "test=S"], "--set test=S: .* has no such product"),
        (["--set", "test=R"], "nothing beside 'R' to compare"),
        (["--set", "product=lot"], "--set product=lot: .* has no column 'lot'"),
        (["--power-w", "1"], "--power-w: the analysis 'similarity' does not use this option"),
    ],
)
def test_bad_options_are_usage_errors(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        document_of("similarity", wide(tmp_path / "w.csv"), *arguments)


def test_similarity_takes_one_file(tmp_path: Path) -> None:
    path = wide(tmp_path / "w.csv")
    with pytest.raises(UsageError, match="one file, not 2 files"):
        document_of("similarity", path, path)


PREPARATIONS = "name,total_ug_per_ml,free_ug_per_ml,particles_mg_per_ml\nA,100,20,1\nB,110,20,1\nC,90,20,1\n"
KNOWN = ["--set", "total_u_percent=3", "--set", "free_u_percent=5", "--set", "particles_u_percent=3"]


def test_encapsulation_of_several_preparations(tmp_path: Path) -> None:
    path = tmp_path / "ee.csv"
    path.write_text(PREPARATIONS)
    document = document_of("encapsulation", path, *KNOWN)
    result = document["result"]
    values = [100 * (1 - 20 / total) for total in (100, 110, 90)]
    assert [one["encapsulation_efficiency"]["value"] for one in result["each"]] == pytest.approx(values)
    assert result["encapsulation_efficiency"]["value"] == pytest.approx(np.mean(values))
    assert result["encapsulation_efficiency_spread"]["value"] == pytest.approx(np.std(values, ddof=1))
    assert result["each"][0]["loading_capacity"]["value"] == pytest.approx(8.0)
    assert result["each"][0]["encapsulation_efficiency"]["standard_uncertainty"] == pytest.approx(
        np.sqrt(1.0**2 + (0.2 * 3.0) ** 2)
    )
    assert codes(document) == set()
    shown = invoke("encapsulation", path, *KNOWN).stdout
    assert "encapsulation efficiency" in shown
    assert "spread" in shown


def test_encapsulation_of_one_preparation(tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("total_ug_per_ml,free_ug_per_ml\n100,20\n")
    document = document_of("encapsulation", path)
    assert document["result"]["encapsulation_efficiency"]["value"] == pytest.approx(80.0)
    assert document["result"]["encapsulation_efficiency"]["standard_uncertainty"] is None
    assert document["result"]["loading_capacity"] is None
    assert {"particles_missing", "uncertainty_missing"} <= codes(document)
    assert "each" not in document["result"]
    path.write_text(PREPARATIONS)
    assert document_of("encapsulation", path, "--where", "name=A", *KNOWN)["result"]["loading_capacity"]["value"] == (
        pytest.approx(8.0)
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("total_ug_per_ml,free_ug_per_ml\n0,20\n100,20\n", "line 2: the total must be positive"),
        ("total_ug_per_ml,free_ug_per_ml\n100,20\n100,\n90,10\n", "line 3: no value in column 'free_ug_per_ml'"),
        ("total,free_ug_per_ml\n100,10\n100,20\n", "column 'total' has no unit"),
        ("total_ug_per_ml,bound\n100,10\n100,20\n", "no column for the free"),
    ],
)
def test_bad_preparations_are_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(FileInvalidError, match=sentence):
        document_of("encapsulation", path)


def test_more_free_cargo_than_cargo_is_said(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("total_ug_per_ml,free_ug_per_ml\n100,105\n")
    assert "more_free_than_total" in codes(document_of("encapsulation", path))
