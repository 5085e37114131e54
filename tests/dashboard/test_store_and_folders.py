"""Half-written, foreign, empty and forbidden folders: always a sentence."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.synthetic import cut_short
from dashboard.folders import look_at_folder, newest_run
from dashboard.jobs import MOST_KEPT, Jobs
from dashboard.start_run import Started, last_line
from dashboard.store import MOST_OPEN, Store
from nanolab.journal.folder import DOCUMENTS

MakeRun = Callable[..., Path]


@pytest.fixture
def store() -> Iterator[Store]:
    """A store, closed afterwards."""
    made = Store()
    yield made
    made.close()


def test_no_folder_no_run_a_file(tmp_path: Path, store: Store) -> None:
    assert "does not exist yet" in store.current(tmp_path / "none").words
    assert "no run in" in store.current(tmp_path).words
    (tmp_path / "file").write_text("x")
    assert "is a file" in store.current(tmp_path / "file").words


def test_foreign_folders_are_passed_over(data: Path, store: Store) -> None:
    (data / "holiday" / "pictures").mkdir(parents=True)
    (data / ".dashboard").mkdir()
    (data / "notes.txt").write_text("x")
    assert store.current(data).run is None


def test_the_run_that_is_being_written_comes_before_a_newer_one(make_run: MakeRun, data: Path) -> None:
    old, new = make_run(seed=1), make_run(seed=2)
    os.utime(old / "README.txt", (1.0, 1.0))
    assert newest_run(data).path == new
    (old / "writer.json").write_text("{}")
    assert newest_run(data).path == old


def test_a_half_written_folder_is_shown_up_to_its_last_whole_line(make_run: MakeRun, data: Path, store: Store) -> None:
    cut_short(make_run(), 40)
    found = store.current(data)
    assert found.run is not None
    assert (found.status, found.run.documents, found.words) == ("interrupted", 40, "")


def test_a_damaged_line_is_said_and_what_stands_before_it_is_shown(make_run: MakeRun, data: Path, store: Store) -> None:
    path = make_run()
    lines = (path / DOCUMENTS).read_bytes().splitlines(keepends=True)
    lines[25] = b"rubbish\n"
    (path / DOCUMENTS).write_bytes(b"".join(lines))
    found = store.current(data)
    assert found.run is not None
    assert "line 26" in found.words
    assert found.words.endswith("What stands before it is shown.")
    assert found.run.times().size > 0


@pytest.mark.skipif(sys.platform == "win32", reason="rights work otherwise there")
def test_folders_without_rights_are_a_sentence(
    data: Path, make_run: MakeRun, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_run()

    def refuse(*_arguments: object, **_words: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("dashboard.store.LiveRun", refuse)
    assert "cannot be read (Permission denied)" in store.current(data).words
    # the administrator, as who tests run in a container, may read everything: so the system call refuses
    monkeypatch.setattr("dashboard.folders.os.scandir", refuse)
    assert "cannot be read (Permission denied)" in look_at_folder(data)
    monkeypatch.undo()
    monkeypatch.setattr(Path, "iterdir", refuse)
    assert "cannot be read" in newest_run(data).words


def test_a_folder_that_vanishes_is_a_sentence(make_run: MakeRun, store: Store, tmp_path: Path) -> None:
    path = make_run()
    assert store.look_at(path).status == "finished"
    path.rename(tmp_path / "moved")
    assert store.look_at(path).run is None
    assert store.look_at(path).words


def test_only_a_few_runs_are_kept_open(make_run: MakeRun, store: Store) -> None:
    paths = [make_run(seed=seed, spectra=0, cadence_s=60.0) for seed in range(MOST_OPEN + 2)]
    first = store.look_at(paths[0]).run
    for path in paths[1:]:
        store.look_at(path)
    assert store.look_at(paths[-1]).run is store.look_at(paths[-1]).run
    assert store.look_at(paths[0]).run is not first


def test_a_run_started_here_that_ended_badly_is_told_until_forgotten(tmp_path: Path, store: Store) -> None:
    log = tmp_path / "log"
    log.write_text("nanolab: refused before the start: power 9 W is over the limit\n\n")
    codes = {5: True, 0: False, 130: False}
    for code in codes:
        process = subprocess.Popen([sys.executable, "-c", f"raise SystemExit({code})"])
        process.wait(30)
        store.started.append(Started(process, log))
    assert store.problems() == [
        "The run started from this page ended with exit code 5: refused before the start: power 9 W is over the limit"
    ]
    store.forget()
    assert store.problems() == []
    assert last_line(tmp_path / "none") == "it said nothing"


def test_time_of_a_run_without_a_readme(make_run: MakeRun, data: Path) -> None:
    path = make_run()
    (path / "README.txt").unlink()
    assert newest_run(data).path == path
    assert time.time() - (path / DOCUMENTS).stat().st_mtime < 3600.0


def test_jobs_are_shared_kept_for_a_while_and_their_errors_are_values() -> None:
    jobs = Jobs()
    calls: list[int] = []
    first = jobs.get("a", lambda: calls.append(1))
    assert jobs.get("a", lambda: calls.append(2)) is first
    assert first.wait(30.0)
    assert calls == [1]
    failed = jobs.get("b", lambda: [][0])
    assert failed.wait(30.0)
    assert isinstance(failed.error, IndexError)
    for number in range(MOST_KEPT):
        jobs.get(number, lambda: None)
    assert jobs.wait_for_all(30.0)
    assert jobs.get("a", lambda: None) is not first
    assert jobs.wait_for_all(30.0)
