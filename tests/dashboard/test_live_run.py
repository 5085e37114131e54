"""Runs read while they grow."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.synthetic import Recipe, cut_short, documents
from dashboard.live_run import LiveRun
from dashboard.tail import Tail
from nanolab.errors import JournalError
from nanolab.journal import Follower, RunWriter, open_run
from nanolab.journal.folder import DOCUMENTS

Follow = Callable[[Path], LiveRun]
MakeRun = Callable[..., Path]


def test_columns_are_those_of_the_journal(make_run: MakeRun, follow: Follow) -> None:
    path = make_run()
    run = follow(path)
    table = open_run(path).table("primary")
    np.testing.assert_array_equal(run.column("thermocouple_sample"), table["thermocouple_sample"])
    np.testing.assert_array_equal(run.times(), table["run_state_lab_time"])
    assert run.column("run_state_phase") is None
    assert run.value("laser_emitting") == 0
    assert run.value("no_such", 7) == 7
    assert run.start["plan_name"] == "photothermal"
    assert run.stop is not None
    assert run.status() == "finished"


def test_spectra_come_with_wavelengths_full_scale_and_rows(make_run: MakeRun, follow: Follow) -> None:
    spectra = follow(make_run(spectra=5)).spectra
    assert spectra.counts is not None
    assert spectra.counts.shape == (2048,)
    assert spectra.wavelengths is not None
    assert (spectra.wavelengths[0], spectra.wavelengths[-1]) == (340.0, 1020.0)
    assert spectra.full_scale == 65535.0
    assert len(spectra.rows) == len(spectra.row_times) == 4, "the first one is dark"
    assert spectra.rows[0].shape == (512,)


def test_a_growing_run_is_read_on_from_where_the_last_look_ended(data: Path, follow: Follow) -> None:
    docs = list(documents(Recipe(begun_s=time.time())))
    with RunWriter(data) as writer:
        for name, doc in docs[:50]:
            writer(name, doc)
        run = follow(Path(str(writer.path)))
        first = run.times().size
        assert run.status() == "running"
        assert not run.poll()
        for name, doc in docs[50:]:
            writer(name, doc)
        assert run.poll()
    assert 40 < first < 50
    assert run.times().size == 660
    assert run.documents == len(docs)


def test_the_fast_reader_yields_what_the_journals_own_reader_does(make_run: MakeRun) -> None:
    path = make_run(spectra=3)
    tail = Tail(path)
    with Follower(path) as follower:
        for (name, doc), (other_name, other) in zip(tail.read(), follower.poll(), strict=True):
            assert name == other_name
            assert doc.keys() == other.keys()
            np.testing.assert_equal(doc, other)
    assert list(tail.read()) == []
    tail.close()


def test_an_unfinished_last_line_waits_until_it_is_whole(make_run: MakeRun, follow: Follow) -> None:
    path = make_run()
    whole = (path / DOCUMENTS).read_bytes()
    cut_short(path, 20)
    run = follow(path)
    assert run.documents == 20
    assert run.status() == "interrupted"
    (path / DOCUMENTS).write_bytes(whole)
    run.poll()
    assert run.status() == "finished"


def test_a_line_longer_than_a_block_is_read(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, follow: Follow) -> None:
    monkeypatch.setattr("dashboard.tail._AT_ONCE", 64)
    assert follow(make_run()).times().size == 660


@pytest.mark.parametrize("flaw", ["checksum", "missing"])
def test_a_bad_line_is_named_after_all_before_it_were_read(make_run: MakeRun, follow: Follow, flaw: str) -> None:
    path = make_run()
    lines = (path / DOCUMENTS).read_bytes().splitlines(keepends=True)
    lines[30:31] = [] if flaw == "missing" else [lines[30].replace(b"22.", b"23.")]
    (path / DOCUMENTS).write_bytes(b"".join(lines))
    run = LiveRun(path)
    try:
        with pytest.raises(JournalError, match="line 31"):
            run.poll()
        assert run.documents == 30
    finally:
        run.close()


def test_what_is_no_number_or_missing_is_nan(data: Path, follow: Follow) -> None:
    docs = list(documents(Recipe(spectra=0)))[:8]
    for _, doc in docs[4:6]:
        doc["data"]["thermocouple_sample"] = None
    docs[6][1]["data"].pop("laser_power")
    docs[7][1]["data"]["thermocouple_sample"] = float("nan")
    with RunWriter(data) as writer:
        for name, doc in docs:
            writer(name, json.loads(json.dumps(doc)) if name == "event" and doc is not docs[7][1] else doc)
        run = follow(Path(str(writer.path)))
    temperature, power = run.column("thermocouple_sample"), run.column("laser_power")
    assert temperature is not None
    assert power is not None
    assert np.isnan(temperature).tolist() == [False, True, True, False, True]
    assert np.isnan(power).tolist() == [False, False, False, True, False]
