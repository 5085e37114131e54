"""The reader: whatever is left of a run is read, and what is not as written is named."""

import json
import math
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nanolab.errors import ExitCode, FileInvalidError, JournalError, UsageError
from nanolab.journal import (
    DamagedRunError,
    RunWriter,
    find_run,
    find_runs,
    mark_interrupted,
    open_run,
    replay,
    write_derived,
)
from nanolab.journal import derived as derived_module
from nanolab.journal import reader as reader_module
from nanolab.journal.columns import as_column
from nanolab.journal.records import format_line

NUMBER = {"source": "t", "dtype": "number", "shape": [], "units": "degC"}
COUNTS = {"source": "t", "dtype": "array", "shape": [40], "dtype_numpy": "<f8", "units": "counts"}
Docs = list[tuple[str, dict[str, Any]]]


def documents(uid: str = "run-1", events: int = 3, exit_status: str | None = "success") -> Docs:
    configuration = {"spectrometer": {"data": {"integration_time": 0.1}, "timestamps": {}, "data_keys": {}}}
    first = {"uid": uid, "time": 1e9, "plan_name": "demo", "sample": {"name": "rods"}, "simulated": True}
    docs: Docs = [
        ("start", {**first, "role": "blank"}),
        ("descriptor", _descriptor(uid, "primary", {"t": NUMBER, "ok": {**NUMBER, "units": None}})),
        (
            "descriptor",
            {**_descriptor(uid, "spectra", {"counts": COUNTS, "t": NUMBER}), "configuration": configuration},
        ),
    ]
    for number in range(events):
        reading = {"t": math.nan if number == 1 else 20.0 + number, "ok": number != 1}
        docs.append(("event", _event(number, "primary", reading)))
        docs.append(("event", _event(number, "spectra", {"counts": np.arange(40.0) + number, "t": 1.0})))
    if exit_status:
        docs.append(("stop", {"uid": "s", "run_start": uid, "time": 1e9 + 9, "exit_status": exit_status}))
    return docs


def _descriptor(uid: str, stream: str, keys: dict[str, Any]) -> dict[str, Any]:
    return {"uid": stream, "run_start": uid, "time": 1e9, "name": stream, "data_keys": keys}


def _event(number: int, stream: str, data: dict[str, Any]) -> dict[str, Any]:
    timestamps = dict.fromkeys(data, 100.0 + number)
    base = {"uid": f"{stream}{number}", "descriptor": stream, "time": 1e9 + number, "seq_num": number + 1}
    return {**base, "data": data, "timestamps": timestamps, "filled": {}}


def write(root: Path, docs: Docs) -> Path:
    with RunWriter(root, sync_interval_s=3600.0) as writer:
        for name, doc in docs:
            writer(name, doc)
    assert writer.path is not None
    return writer.path


def assert_same(left: Any, right: Any) -> None:
    np.testing.assert_equal(left, right)  # NaN equals NaN, arrays inside dicts


def test_a_run_is_replayed_as_it_was_emitted(tmp_path: Path) -> None:
    docs = documents()
    path = write(tmp_path, docs)
    assert_same(list(replay(path)), docs)
    assert_same(list(open_run(str(path)).documents()), docs)


def test_a_run_says_what_it_is(tmp_path: Path) -> None:
    run = open_run(write(tmp_path, documents()))
    assert (run.uid, run.plan, run.sample, run.simulated) == ("run-1", "demo", "rods", True)
    assert (run.status, run.tail_bytes, run.streams) == ("finished", 0, ["primary", "spectra"])
    assert run.stop is not None
    assert run.configuration("spectra") == {"integration_time": 0.1}
    assert run.configuration("primary") == {}
    assert run.units("primary") == {"time": "s", "t": "degC"}
    assert [descriptor["name"] for descriptor in run.descriptors("spectra")] == ["spectra"]
    with pytest.raises(FileInvalidError, match="no stream 'spectr'; did you mean 'spectra'"):
        run.table("spectr")


@pytest.mark.parametrize(
    ("exit_status", "status"),
    [("success", "finished"), ("abort", "aborted"), ("fail", "failed"), ("new word", "failed")],
)
def test_the_stop_document_says_how_it_ended(tmp_path: Path, exit_status: str, status: str) -> None:
    assert open_run(write(tmp_path, documents(exit_status=exit_status))).status == status


def test_tables_are_columns(tmp_path: Path) -> None:
    run = open_run(write(tmp_path, documents()))
    table = run.table("primary")
    assert list(table) == ["time", "t", "ok"]
    np.testing.assert_array_equal(table["time"], [1e9, 1e9 + 1, 1e9 + 2])
    np.testing.assert_array_equal(table["t"], [20.0, math.nan, 22.0])
    assert table["ok"].dtype == np.bool_
    spectra = run.table("spectra")["counts"]
    assert spectra.dtype == np.float64
    np.testing.assert_array_equal(spectra, np.arange(40.0) + np.arange(3)[:, None])
    np.testing.assert_array_equal(run.timestamps("spectra")["counts"], [100.0, 101.0, 102.0])


def test_a_stream_without_events_has_empty_columns_of_the_right_kind(tmp_path: Path) -> None:
    docs = documents(events=0)
    docs[1][1]["data_keys"]["n"] = {"source": "t", "dtype": "integer", "shape": []}
    run = open_run(write(tmp_path, docs))
    assert run.table("spectra")["counts"].shape == (0, 40)
    assert run.table("primary")["n"].dtype == np.int64


def test_event_pages_and_changed_settings_are_columns_too(tmp_path: Path) -> None:
    docs = documents(events=1, exit_status=None)
    page = {"uid": ["a", "b"], "descriptor": "primary", "time": [1.0, 2.0], "seq_num": [2, 3]}
    values = {"t": [1, 2], "ok": [True, False]}
    docs.append(("event_page", {**page, "data": values, "timestamps": {"t": [5.0, 6.0], "ok": [5.0, 6.0]}}))
    again = {**_descriptor("run-1", "primary", {"t": NUMBER, "time": NUMBER}), "uid": "again"}
    docs.append(("descriptor", again))
    docs.append(("event", {**_event(3, "primary", {"t": 7.0, "time": 8.0}), "descriptor": "again"}))
    run = open_run(write(tmp_path, docs))
    assert_same(list(run.documents()), docs)
    table = run.table("primary")
    assert list(table) == ["time", "t", "ok", "data_time"]
    np.testing.assert_array_equal(table["t"], [20.0, 1.0, 2.0, 7.0])
    np.testing.assert_array_equal(table["ok"], [1.0, 1.0, 0.0, math.nan])
    np.testing.assert_array_equal(table["data_time"], [math.nan] * 3 + [8.0])
    np.testing.assert_array_equal(run.timestamps("primary")["t"][1:3], [5.0, 6.0])
    assert math.isnan(run.timestamps("primary")["ok"][3])


def test_columns_of_anything() -> None:
    assert as_column(["a", "bc"]).dtype.kind == "U"
    assert as_column([[1, 2], (3, 4)]).shape == (2, 2)
    assert as_column([1, 2]).dtype == np.int64
    oddities: list[list[Any]] = [[[1], [1, 2]], ["a", None], [1, "a"], [[{}], [{}]], [None, None]]
    for odd in oddities:
        column = as_column(odd)
        assert column.dtype == object
        assert list(column) == odd


def test_cut_at_every_byte_it_opens_and_keeps_every_whole_record(tmp_path: Path) -> None:
    docs = documents(exit_status=None)
    path = write(tmp_path, docs)
    content = (path / "docs.jsonl").read_bytes()
    copy = tmp_path / "copy"
    shutil.copytree(path, copy)
    with (copy / "docs.jsonl").open("r+b") as stream:
        for length in range(len(content), -1, -1):
            stream.truncate(length)
            whole = content[:length].count(b"\n")
            run = open_run(copy)
            assert run.status == "interrupted"
            assert run.end + run.tail_bytes == length
            names = []
            for (name, doc), (expected_name, expected) in zip(run.documents(), docs, strict=False):
                assert (name, doc["uid"]) == (expected_name, expected["uid"])
                names.append(name)
            assert len(names) == whole, f"cut at byte {length}"
            assert run.uid == ("run-1" if whole else "")
    assert find_runs(tmp_path)[0].status == "interrupted"


def test_cut_to_nothing_the_uid_is_still_known_from_the_writer(tmp_path: Path) -> None:
    with RunWriter(tmp_path) as writer:
        writer("start", documents()[0][1])
        copy = tmp_path / "copy"
        shutil.copytree(str(writer.path), copy)
    (copy / "docs.jsonl").write_bytes(b"")
    assert open_run(copy).uid == "run-1"
    for broken in (b"[]", b"{"):
        (copy / "writer.json").write_bytes(broken)
        run = open_run(copy)
        assert (run.uid, run.status, run.sample, run.streams) == ("", "interrupted", "", [])
    with pytest.raises(FileInvalidError, match="holds no readings at all"):
        run.table("primary")


def test_a_byte_changed_anywhere_before_the_end_is_named_and_what_stands_before_is_read(
    tmp_path: Path,
) -> None:
    docs = documents()
    path = write(tmp_path, docs)
    file = path / "docs.jsonl"
    content = file.read_bytes()
    for place in range(0, len(content), 7):
        line = content[:place].count(b"\n") + 1
        broken = bytearray(content)
        broken[place] ^= 1
        file.write_bytes(broken)
        seen = []
        with pytest.raises(JournalError, match=rf"docs\.jsonl, line {line}: "):
            for name, _ in open_run(path).documents():
                seen.append(name)
        assert len(seen) in (line - 1, 0)
        salvaged = list(open_run(path, salvage=True).documents())
        assert_same(salvaged, docs[: line - 1])
    file.write_bytes(content)


def test_a_file_that_shrinks_under_the_reader_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, documents())
    run = open_run(path)
    os.truncate(path / "docs.jsonl", run.end - 20)
    with pytest.raises(JournalError, match="it became shorter while it was read"):
        list(run.documents())


def test_the_error_of_a_bad_line_is_one_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, documents())
    lines = (path / "docs.jsonl").read_bytes().splitlines(keepends=True)
    (path / "docs.jsonl").write_bytes(b"".join(lines[:3] + lines[4:]))
    run = open_run(path)
    assert run.status == "finished"
    with pytest.raises(DamagedRunError, match="line 4: it holds record 5: lines are missing") as caught:
        run.table("primary")
    assert caught.value.exit_code is ExitCode.INVALID_FILE
    assert len(open_run(path, salvage=True).table("primary")["t"]) == 0


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda raw: raw.write_bytes(raw.read_bytes()[:-1]), "array 2: it is cut short"),
        (
            lambda raw: raw.write_bytes(raw.read_bytes()[:-8] + b"12345678"),
            "array 2: it has a wrong checksum",
        ),
        (lambda raw: raw.unlink(), "line 5: its array cannot be read"),
    ],
)
def test_a_damaged_array_is_named(tmp_path: Path, damage: Any, words: str) -> None:
    path = write(tmp_path, documents())
    damage(path / "spectra-counts.raw")
    run = open_run(path)
    with pytest.raises(DamagedRunError, match=words):
        list(run.documents())
    with pytest.raises(DamagedRunError, match=words):
        run.table("spectra")
    assert len(run.table("primary")["t"]) == 3, "another stream is not concerned"
    salvaged = open_run(path, salvage=True).table("spectra")["counts"]
    assert len(salvaged) == (0 if "cannot be read" in words else 2)


def test_a_last_line_that_is_read_before_its_number_is_known_is_named_rightly(tmp_path: Path) -> None:
    path = write(tmp_path, documents())
    file = path / "docs.jsonl"
    file.write_bytes(file.read_bytes()[:-3] + b"x}\n")
    with pytest.raises(DamagedRunError, match=r"line 10: its checksum is wrong\. The lines before it are good"):
        open_run(path)
    run = open_run(path, salvage=True)
    assert (run.status, run.stop) == ("interrupted", None)
    assert len(list(run.documents())) == 9
    file.write_bytes(b"x" + file.read_bytes()[1:])
    assert open_run(path, salvage=True).start == {}


def test_a_last_line_longer_than_one_block_is_found(tmp_path: Path) -> None:
    docs = documents(exit_status=None)
    docs.append(("event", _event(7, "primary", {"t": 1.0, "ok": "x" * 200_000})))
    docs.append(("stop", {"uid": "s", "run_start": "run-1", "reason": "y" * 300_000, "exit_status": "abort"}))
    run = open_run(write(tmp_path, docs))
    assert run.status == "aborted"
    assert_same(list(run.documents()), docs)


@pytest.mark.parametrize(
    ("name", "doc", "words"),
    [
        ("descriptor", {"uid": "d"}, "line 2: it describes no stream"),
        (
            "descriptor",
            {"uid": "d", "data_keys": {"a": {"nanolab_raw": {"file": "../x"}}}},
            "describes no stream",
        ),
        (
            "event",
            {"descriptor": "nobody", "time": 0.0, "data": {}, "timestamps": {}},
            "line 2: it is no event of",
        ),
    ],
)
def test_documents_that_make_no_sense_are_named(tmp_path: Path, name: str, doc: Any, words: str) -> None:
    lines = [format_line(1, "start", {"uid": "u", "time": 0.0}), format_line(2, name, doc)]
    (tmp_path / "docs.jsonl").write_bytes(b"".join(lines))
    with pytest.raises(DamagedRunError, match=words):
        assert open_run(tmp_path).streams


def test_what_is_no_run_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "notes.txt").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "docs.jsonl").write_text('{"name": "something else"}\n')
    (tmp_path / "headless").mkdir()
    (tmp_path / "headless" / "docs.jsonl").write_bytes(format_line(1, "event", {}))
    cases = {
        "missing": "there is no such folder",
        "empty": "the folder is empty: it holds no docs.jsonl",
        "foreign": "the folder is not a run of nanolab",
        "foreign/notes.txt": "this is a file; give the folder",
        "other": r"line 1: it is no record$",
        "headless": "line 1: it is the record of 'event', not of the start",
    }
    for name, words in cases.items():
        with pytest.raises(FileInvalidError, match=words) as caught:
            open_run(tmp_path / name)
        assert caught.value.exit_code is ExitCode.INVALID_FILE


def test_running_or_interrupted_is_decided_by_the_process_that_writes(tmp_path: Path) -> None:
    with RunWriter(tmp_path) as writer:
        for name, doc in documents(exit_status=None):
            writer(name, doc)
        run = open_run(str(writer.path))
        assert run.status == "running"
        mark = run.path / "writer.json"
        told = json.loads(mark.read_text())
        mark.write_text(json.dumps({**told, "began": "another moment"}))
        assert run.status == "interrupted", "the same process number, but of another process"
        # seen from another machine: only the age of the sign of life counts
        mark.write_text(json.dumps({**told, "host": "elsewhere", "boot": "another"}))
        assert run.status == "running"
        os.utime(mark, (time.time() - 700, time.time() - 700))
        assert run.status == "interrupted"
    assert open_run(run.path).status == "interrupted", "the writer has left: its sign of life is gone"


def test_a_run_that_ends_after_it_was_opened_is_not_called_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = documents()
    with RunWriter(tmp_path) as writer:
        for name, doc in docs[:-1]:
            writer(name, doc)
        run = open_run(str(writer.path))
        writer(*docs[-1])
        assert run.stop is None
        assert run.status == "finished"
        assert len(list(run.documents())) == len(docs) - 1, "it is read as it was when it was opened"
    # the sign of life is seen, and taken away before its age is asked for
    monkeypatch.setattr(reader_module, "is_alive", lambda _: None)
    monkeypatch.setattr(run, "_writer", lambda: {"pid": 1})
    assert run.status == "finished"


def test_runs_are_listed_quickly_with_what_one_looks_for(tmp_path: Path) -> None:
    for number, exit_status in enumerate(["success", None, "abort"]):
        docs = documents(f"{number}abc", exit_status=exit_status)
        docs[0][1].update(time=1e9 - number * 1e5, sample="rods" if number else {})
        write(tmp_path, docs)
    (tmp_path / "2001-09-09" / ".opening-x").mkdir()
    (tmp_path / "2001-09-09" / "bad").mkdir()
    (tmp_path / "2001-09-09" / "bad" / "docs.jsonl").write_text("nonsense\n")
    (tmp_path / "2001-09-09" / "notes.txt").touch()
    (tmp_path / "deep" / "er" / "still").mkdir(parents=True)
    infos = find_runs(tmp_path)
    assert [info.status for info in infos] == ["unreadable", "aborted", "interrupted", "finished"]
    assert infos[0].problem is not None
    assert "line 1" in infos[0].problem
    last = infos[-1]
    assert (last.uid, last.plan, last.role, last.sample, last.time_s) == ("0abc", "demo", "blank", "", 1e9)
    assert (infos[1].sample, last.simulated, last.problem) == ("rods", True, None)
    assert find_runs(tmp_path / "nowhere") == []
    assert find_run(tmp_path, "1a").uid == "1abc"
    for prefix, words in (("9", "begins with '9'"), ("", "begins with ''")):
        with pytest.raises(UsageError, match=words):
            find_run(tmp_path, prefix)
    write(tmp_path, documents("1abd"))
    with pytest.raises(UsageError, match=r"2 runs .* begins with '1a': 1abc, 1abd"):
        find_run(tmp_path, "1a")


def test_listing_reads_the_ends_of_a_long_run_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, documents(events=2000))
    size = (path / "docs.jsonl").stat().st_size
    read = 0
    original = Path.open

    def counted(self: Path, *arguments: Any, **options: Any) -> Any:
        stream = original(self, *arguments, **options)
        take = stream.read

        class Counted:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None:
                stream.close()

            def __getattr__(self, name: str) -> Any:
                return getattr(stream, name)

            def read(self, length: int) -> bytes:
                nonlocal read
                read += length
                return bytes(take(length))

        return Counted()

    monkeypatch.setattr(Path, "open", counted)
    assert find_runs(tmp_path)[0].status == "finished"
    assert 0 < read <= 65536 < size / 5


def test_derived_files_are_files_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, documents())
    before = (path / "docs.jsonl").read_bytes()
    assert write_derived(path, "result.json", '{"t": "°C"}').read_bytes() == '{"t": "°C"}'.encode()
    assert write_derived(path, "figure.svg", b"<svg/>").read_bytes() == b"<svg/>"
    for name in (
        "docs.jsonl",
        "Docs.JSONL",
        "spectra-counts.raw",
        "writer.json",
        "../x",
        ".hidden",
        "",
        "a/b",
    ):
        with pytest.raises(ValueError, match=r"is no plain file name|belongs to the journal"):
            write_derived(path, name, b"")
    with pytest.raises(FileInvalidError):
        write_derived(tmp_path, "result.json", b"")
    assert (path / "docs.jsonl").read_bytes() == before

    def full(_: Path, __: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(derived_module, "write_whole", full)
    with pytest.raises(JournalError, match=r"figure\.svg: it could not be written: .*No space left"):
        write_derived(path, "figure.svg", b"new")
    assert (path / "figure.svg").read_bytes() == b"<svg/>"


def test_who_finds_an_interrupted_run_says_so_beside_it_and_once(tmp_path: Path) -> None:
    path = write(tmp_path, documents(exit_status=None))
    with (path / "docs.jsonl").open("ab") as stream:
        stream.write(b"half a li")
    before = (path / "docs.jsonl").read_bytes()
    found = mark_interrupted(path, "nanolab runs", guardian="off confirmed")
    assert found == path / "interrupted.json"
    told = json.loads(found.read_text())
    assert (told["found_by"], told["whole_documents"], told["tail_bytes"]) == ("nanolab runs", 9, 9)
    assert (told["uid"], told["guardian"]) == ("run-1", "off confirmed")
    assert mark_interrupted(path, "somebody else") is None
    assert mark_interrupted(write(tmp_path, documents("run-2")), "nanolab runs") is None
    assert (path / "docs.jsonl").read_bytes() == before
