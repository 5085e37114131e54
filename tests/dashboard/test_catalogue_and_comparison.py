"""Finding, filtering, overlaying and comparing runs; the control chart."""

import csv
import datetime
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dashboard.catalogue import Filter, catalogue, chosen, main_result, rows, when_words
from dashboard.comparison import (
    aligned,
    control_limits,
    control_points,
    control_svg,
    control_words,
    csv_of_run,
    curves_of,
    overlay_csv,
    overlay_svg,
)
from nanolab.journal.folder import DOCUMENTS

MakeRun = Callable[..., Path]
DAY_S = 86400.0
BEGIN_S = 1_700_000_000.0


@pytest.fixture
def series(make_run: MakeRun, data: Path) -> Path:
    """Five runs on five days: four of the reference sample, one of another that was aborted."""
    for number, efficiency in enumerate((0.70, 0.71, 0.69, 0.72)):
        make_run(seed=number, begun_s=BEGIN_S + number * DAY_S, result=efficiency, spectra=2, cadence_s=10.0)
    make_run(seed=9, begun_s=BEGIN_S + 4 * DAY_S, sample="shells", exit_status="abort", spectra=0, cadence_s=10.0)
    return data


def test_the_list_and_its_filters(series: Path) -> None:
    runs = catalogue(series).runs
    assert [run.sample for run in chosen(runs, Filter())] == ["shells"] + ["gold nanorods 808"] * 4
    assert len(chosen(runs, Filter(text="NANORODS"))) == 4
    assert len(chosen(runs, Filter(text="gold shells"))) == 0
    assert [run.status for run in chosen(runs, Filter(statuses=["aborted"]))] == ["aborted"]
    assert len(chosen(runs, Filter(plans=["monitor"]))) == 0
    assert len(chosen(runs, Filter(roles=["sample"]))) == 5
    day = datetime.datetime.fromtimestamp(BEGIN_S + DAY_S).date()
    assert len(chosen(runs, Filter(days=(day, day)))) == 1
    cells = rows(chosen(runs, Filter()))
    assert cells["status"][0] == "aborted"
    assert cells["result"][1] == "efficiency 0.720 ± 0.045, agrees"
    assert set(cells["bench"]) == {"SIMULATED"}
    assert when_words(0.0) == "?"


def test_bad_folders_are_said(tmp_path: Path, data: Path, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "does not exist" in catalogue(tmp_path / "none").words
    path = make_run()
    (path / DOCUMENTS).write_bytes(b"rubbish\n")
    [run] = catalogue(data).runs
    assert run.status == "unreadable"
    assert rows([run])["remark"][0]

    def refuse(root: Path) -> None:
        raise PermissionError(13, "Permission denied", str(root))

    monkeypatch.setattr("dashboard.catalogue.find_runs", refuse)
    assert "Permission denied" in catalogue(data).words


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"result": {}}', '{"result": {"efficiency": null}}', '{"result": 3}']
)
def test_a_result_that_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    assert main_result(tmp_path) is None


def test_overlay_aligns_at_laser_on_and_keeps_every_reading(series: Path) -> None:
    runs = chosen(catalogue(series).runs, Filter(text="nanorods"))[:2]
    curves, words = curves_of(runs)
    assert words == []
    time, rise = aligned(curves[0], at_laser_on=True, as_rise=True)
    assert time[0] == -120.0
    assert abs(float(np.mean(rise[time < 0]))) < 1e-9
    assert float(rise.max()) == pytest.approx(15.0 * (1.0 - np.exp(-600.0 / 270.0)), abs=0.2)
    table = list(csv.reader(io.StringIO(overlay_csv(curves, True, False))))
    assert table[0] == ["run", "simulated", "time (s)", "temperature (degC)"]
    assert len(table) == 1 + 2 * curves[0].time_s.size
    svg = overlay_svg(curves, True, False, dark=True)
    assert svg == overlay_svg(curves, True, False, dark=True)
    for words_in in ("t from laser on / s", "T / °C", "SIMULATED", curves[1].label):
        assert words_in in svg.decode()


def test_what_cannot_be_overlaid_is_said(series: Path, make_run: MakeRun) -> None:
    runs = chosen(catalogue(series).runs, Filter())
    (runs[0].path / DOCUMENTS).write_bytes((runs[0].path / DOCUMENTS).read_bytes().splitlines(keepends=True)[0])
    (runs[1].path / DOCUMENTS).unlink()
    curves, words = curves_of(runs[:3])
    assert len(curves) == 1
    assert "recorded no temperature" in words[0]
    assert "not a run" in words[1]


def test_the_control_chart_names_what_is_outside(series: Path, make_run: MakeRun) -> None:
    runs = catalogue(series).runs
    points = control_points(runs, "gold nanorods 808", "photothermal")
    assert [point.result.value for point in points] == [0.70, 0.71, 0.69, 0.72]
    centre, deviation = control_limits(points) or (0.0, 0.0)
    assert centre == pytest.approx(0.705)
    assert deviation == pytest.approx(0.0129, abs=1e-4)
    assert "None is outside" in control_words(points)
    assert control_limits(points[:2]) is None
    assert "at least 3" in control_words(points[:2])
    many = points * 6
    worse = [*many, type(points[0])(BEGIN_S, "badbad00", type(points[0].result)("efficiency", 0.2, 0.04), True)]
    assert "badbad00" in control_words(worse)
    assert b"efficiency / 1" in control_svg(points, dark=False)


def test_readings_as_csv(series: Path) -> None:
    runs = catalogue(series).runs
    name, content = csv_of_run(runs[0].path)
    assert name.endswith("-csv.zip")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert sorted(archive.namelist()) == ["primary-simulated.csv", "spectra-simulated.csv"]
    name, content = csv_of_run(_only_primary(runs[-1].path))
    assert name.endswith("primary-simulated.csv")
    assert content.startswith(b"time (s),")


def _only_primary(path: Path) -> Path:
    """Leave start, first descriptor and nothing else: one stream."""
    lines = (path / DOCUMENTS).read_bytes().splitlines(keepends=True)
    (path / DOCUMENTS).write_bytes(b"".join(lines[:2]))
    return path


def test_a_result_keeps_its_unit_in_the_list_and_at_the_axis(tmp_path: Path) -> None:
    quantity = {"value": 41.0, "standard_uncertainty": 0.1, "interval_95": [40.8, 41.2], "unit": "degC"}
    document = {"result": {"transition_temperature": quantity, "rate": {**quantity, "unit": "1/h"}}, "verdict": {}}
    (tmp_path / "result.json").write_text(json.dumps(document))
    found = main_result(tmp_path)
    assert found is not None
    assert found.words == "transition temperature 41.00 ± 0.10 °C"
    assert found.axis == "transition temperature / °C"
    document["result"] = {"rate": {**quantity, "unit": "1/h"}}
    (tmp_path / "result.json").write_text(json.dumps(document))
    rate = main_result(tmp_path)
    assert rate is not None
    assert rate.axis == "rate / (1/h)"
