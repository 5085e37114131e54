"""What `nanolab analyze` makes of run folders that it cannot use, and how it tells the mean of several runs."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import synthetic_release
from benchmarks.synthetic_release import write_release
from nanolab import cli
from nanolab.commands.reanalyze import reanalyze
from nanolab.errors import AnalysisRefusesError, FileInvalidError, UsageError
from nanolab.journal import RunWriter, open_run
from nanolab.journal.catalog import find_runs, runs_after
from nanolab.quantities import Quantity
from nanolab.restore import setup_of


def folder_of(data: Path, **start: Any) -> Path:
    with RunWriter(data) as writer:
        writer("start", {"uid": "abcdef01-1", "time": 1.0, "plan_name": "photothermal", **start})
        writer("stop", {"uid": "s", "run_start": "abcdef01-1", "time": 2.0, "exit_status": "success"})
        assert writer.path is not None
        return Path(writer.path)


def test_a_run_of_another_kind_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, assay="photothermal", role="blank")
    with pytest.raises(UsageError, match="no sample's run of 'photothermal'"):
        reanalyze("photothermal", [folder])


def test_a_run_that_does_not_say_what_it_was_made_from(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, assay="photothermal", role="sample")
    with pytest.raises(FileInvalidError, match="does not say what the run was made from"):
        setup_of(open_run(folder))


def test_a_blank_that_is_gone_is_named(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path, assay="photothermal", role="sample", sample={"version": 1}, bench={"version": 1}, parameters={},
        references={"blank": "0123"},
    )  # fmt: skip
    with pytest.raises(FileInvalidError, match="its blank is not here any more"):
        reanalyze("photothermal", [folder])


@pytest.mark.parametrize("name", ["release", "release_ph"])
def test_a_release_without_its_reference_names_it_and_keeps_its_folder(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = write_release(tmp_path, name)
    shutil.rmtree(next(info.path for info in find_runs(sample.parent) if info.role == "reference"))
    assert cli.main(["analyze", name, str(sample)]) == 3
    [sentence] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("nanolab:")]
    assert "its reference is not here any more" in sentence
    assert open_run(sample).status == "finished"


def test_a_plan_without_an_analysis_of_files_analyses_its_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = write_release(tmp_path, "release_ph")
    assert cli.main(["analyze", "release", str(sample)]) == 2
    assert f"this is a run of 'release_ph': say `nanolab analyze release_ph {sample}`" in capsys.readouterr().err
    assert cli.main(["analyze", "release_ph", str(tmp_path / "other.csv")]) == 2
    assert "give the folder of one of its runs" in capsys.readouterr().err
    assert cli.main(["analyze", "release_ph", str(sample), "--power-w", "1"]) == 2
    assert "--power-w: a run of 'release_ph' is analysed as it was made" in capsys.readouterr().err
    assert cli.main(["analyze", "release_ph", str(sample), "--json"]) in {0, 7}
    document = json.loads(capsys.readouterr().out)
    assert document["run"]["plan"] == "release_ph"
    # there is cargo in this indicator's place: the check says that it tells nothing, and the rates are there all the same
    assert document["result"]["controls"]["optical_ph"]["optical"] is None
    assert "ph_not_checked" in [caution["code"] for caution in document["cautions"]]
    assert document["result"]["membrane_rate"]["value"] == pytest.approx(1.6, rel=0.05)


def test_spectra_that_are_all_saturated_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic_release, "LAMP", 100.0 * synthetic_release.LAMP)
    sample = write_release(tmp_path, stored=False)
    with pytest.raises(
        AnalysisRefusesError, match="no spectrum of the run can be read, all are saturated or dark"
    ) as told:
        reanalyze("release", [sample])
    assert int(told.value.exit_code) == 7
    assert "look at lamp, fibre and cuvette" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "stored", [{}, {"value": "x"}, {"value": 1.0, "unit": "W", "standard_uncertainty": 0.1, "interval_95": 3}]
)
def test_what_is_no_stored_quantity_is_refused(stored: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"no stored quantity|could not convert"):
        Quantity.from_json(stored)


def test_a_stored_quantity_comes_back_as_it_was() -> None:
    quantity = Quantity(0.7, "1", 0.04, (0.6, 0.81))
    assert Quantity.from_json(quantity.to_json()) == quantity
    assert Quantity.from_json(Quantity(1.0, "W").to_json()) == Quantity(1.0, "W")


def test_controls_that_came_after_the_sample_are_found_and_a_missing_one_is_said(tmp_path: Path) -> None:
    sample = write_release(tmp_path, "release_triggered", settings=("trigger=laser",))
    run = open_run(sample)
    assert runs_after(run) == {}
    before = {**run.start["references"], "sample": run.uid}
    for number, role in ((7, "same_temperature"), (8, "dark")):
        start = synthetic_release.start_of("release_triggered", role, before, number, ["trigger=laser"])
        synthetic_release.write_course(tmp_path, start, np.array([0.1, 0.2]), {})
    assert set(runs_after(run)) == {"same_temperature", "dark"}
    copied = tmp_path / "elsewhere" / sample.name
    shutil.copytree(sample, copied)
    assert runs_after(open_run(copied)) == {}
