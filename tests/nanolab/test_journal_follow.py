"""Following a growing run: everything once, in order, at the price of what is new; and the exports."""

import csv
import errno
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nanolab.errors import FileInvalidError, JournalError
from nanolab.journal import DamagedRunError, Follower, RunWriter, export_csv, export_npz, open_run
from nanolab.journal.encoding import RawReference

NUMBER = {"source": "t", "dtype": "number", "shape": [], "units": "degC"}
COUNTS = {"source": "t", "dtype": "array", "shape": [40], "units": "counts"}


def event(number: int, **data: Any) -> dict[str, Any]:
    data = data or {"t": 20.0 + number, "counts": np.arange(40.0) * number}
    base = {"uid": f"e{number}", "descriptor": "d", "time": float(number), "seq_num": number, "filled": {}}
    return {**base, "data": data, "timestamps": dict.fromkeys(data, 0.0)}


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[RunWriter]:
    with RunWriter(tmp_path, sync_interval_s=3600.0) as made:
        made("start", {"uid": "run-1", "time": 1e9, "plan_name": "demo", "simulated": True})
        keys = {"t": NUMBER, "counts": COUNTS}
        base = {"uid": "d", "run_start": "run-1", "time": 1e9}
        made("descriptor", {**base, "name": "primary", "data_keys": keys})
        yield made


def folder(writer: RunWriter) -> Path:
    assert writer.path is not None
    return writer.path


class CountingFile(io.FileIO):
    """A file that counts what is really read from it."""

    total = 0

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(-1 if size is None else size) or b""
        CountingFile.total += len(content)
        return content

    def readinto(self, buffer: Any, /) -> int:
        length = super().readinto(buffer) or 0
        CountingFile.total += length
        return length


def test_each_poll_gives_what_is_new_at_the_price_of_what_is_new(
    writer: RunWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Follower(folder(writer)) as follower:
        monkeypatch.setattr(CountingFile, "total", 0)
        monkeypatch.setattr(Path, "open", lambda self, *_, **__: CountingFile(self, "rb"))
        for number in range(100):
            writer("event", event(number))
        assert [name for name, _ in follower.poll()] == ["start", "descriptor"] + ["event"] * 100
        file = folder(writer) / "docs.jsonl"
        assert follower.offset == file.stat().st_size
        assert follower.bytes_read == follower.offset + 100 * 320
        for number in range(100, 103):
            before, size = follower.bytes_read, file.stat().st_size
            writer("event", event(number))
            ((name, doc),) = follower.poll()
            assert (name, doc["seq_num"]) == ("event", number)
            np.testing.assert_array_equal(doc["data"]["counts"], np.arange(40.0) * number)
            assert follower.bytes_read - before == file.stat().st_size - size + 320
        before = follower.bytes_read
        assert follower.poll() == []
        assert follower.bytes_read == before, "nothing new costs nothing"
        assert not follower.finished
        writer("stop", {"uid": "s", "run_start": "run-1", "time": 0.0, "exit_status": "success"})
        assert [name for name, _ in follower.poll()] == ["stop"]
        assert follower.finished
        assert CountingFile.total == follower.bytes_read


def test_half_a_line_is_left_until_it_is_whole_or_cut_off(writer: RunWriter) -> None:
    with Follower(folder(writer), arrays=False) as follower:
        assert len(follower.poll()) == 2
        writer("event", event(1))
        file = folder(writer) / "docs.jsonl"
        whole = file.read_bytes()
        os.truncate(file, len(whole) - 10)
        assert follower.poll() == []
        offset, cost = follower.offset, follower.bytes_read
        assert follower.poll() == []
        assert follower.bytes_read == cost, "nothing has changed: nothing is read again"
        file.write_bytes(whole)
        ((_, doc),) = follower.poll()
        assert isinstance(doc["data"]["counts"], RawReference)
        assert follower.offset > offset
        with file.open("ab") as stream:
            stream.write(b"half a line")
        assert follower.poll() == []
        os.truncate(file, len(whole))  # as a writer does whose disk is full
        assert follower.poll() == []
        assert follower.offset == len(whole)


def test_a_bad_line_is_named_after_the_good_ones_and_again(writer: RunWriter) -> None:
    for number in range(3):
        writer("event", event(number))
    file = folder(writer) / "docs.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:3], b"x" + lines[3][1:], lines[4]]))
    with Follower(folder(writer)) as follower:
        assert len(follower.poll()) == 3
        for _ in range(2):
            with pytest.raises(DamagedRunError, match=r"docs\.jsonl, line 4: it is no record"):
                follower.poll()


def test_an_array_that_is_not_there_is_named_each_time(writer: RunWriter) -> None:
    with Follower(folder(writer)) as follower:
        follower.poll()
        writer("event", event(1))
        raw = folder(writer) / "primary-counts.raw"
        content = raw.read_bytes()
        os.truncate(raw, 100)
        for _ in range(2):
            with pytest.raises(DamagedRunError, match="array 0: it is cut short"):
                follower.poll()
        raw.write_bytes(content)
        assert len(follower.poll()) == 1


def test_only_runs_can_be_followed(tmp_path: Path) -> None:
    with pytest.raises(FileInvalidError, match="no such folder"):
        Follower(tmp_path / "nothing")


def test_columns_are_exported_with_units_and_all_their_digits(writer: RunWriter, tmp_path: Path) -> None:
    readings = [0.1 + 0.2, float("nan"), 1e-300]
    for number, reading in enumerate(readings):
        writer("event", event(number, t=reading, counts=np.arange(40.0) + number))
    writer("descriptor", {"uid": "o", "run_start": "run-1", "time": 1e9, "name": "operator", "data_keys": {
        "note": {"source": "t", "dtype": "string", "shape": []}, "odd": {**NUMBER, "units": ""},
    }})  # fmt: skip
    for note in ("a, b", "°"):
        noted = {**event(1, note=note, odd=[1] if note == "°" else {"x": float("inf")}), "descriptor": "o"}
        writer("event", noted)
    writer("event", {**event(1, note="only"), "descriptor": "o"})
    run = open_run(folder(writer))
    paths = export_csv(run, tmp_path / "out")
    assert [path.name for path in paths] == ["primary-simulated.csv", "operator-simulated.csv"]
    rows = list(csv.reader(paths[0].read_text().splitlines()))
    assert rows[0][:4] == ["time (s)", "t (degC)", "counts[0] (counts)", "counts[1] (counts)"]
    assert len(rows[0]) == 42
    np.testing.assert_array_equal([float(row[1]) for row in rows[1:]], readings)
    np.testing.assert_array_equal([float(row[3]) for row in rows[1:]], [1.0, 2.0, 3.0])
    rows = list(csv.reader(paths[1].read_text(encoding="utf-8").splitlines()))
    assert rows[0] == ["time (s)", "note", "odd"]
    assert rows[1][1:] == ["a, b", '{"x": {"$float": "inf"}}']
    assert [row[1:] for row in rows[2:]] == [["°", "[1]"], ["only", ""]]
    path = export_npz(run)
    assert path == run.path / "columns-simulated.npz"
    with np.load(path) as columns:
        np.testing.assert_array_equal(columns["primary.t"], readings)
        assert columns["primary.counts"].shape == (3, 40)
        assert columns["operator.odd"].tolist() == ['{"x": {"$float": "inf"}}', "[1]", ""]


def test_real_runs_are_exported_without_the_stamp_and_by_default_beside_the_data(tmp_path: Path) -> None:
    with RunWriter(tmp_path) as writer:
        writer("start", {"uid": "run-1", "time": 1e9})
        keys = {"image": {"source": "t", "dtype": "array", "shape": [2, 3], "dtype_numpy": "<u2"}}
        described = {"uid": "d", "run_start": "run-1", "time": 1e9, "name": "a/b", "data_keys": keys}
        writer("descriptor", described)
        writer("event", event(0, image=np.arange(6, dtype="<u2").reshape(2, 3)))
        run = open_run(folder(writer))
    (path,) = export_csv(run)
    assert path == run.path / "a_b.csv"
    assert path.read_text().splitlines() == [
        "time (s),image[0],image[1],image[2],image[3],image[4],image[5]",
        "0.0,0,1,2,3,4,5",
    ]
    assert export_npz(run, tmp_path).name == "columns.npz"


def test_an_export_that_cannot_be_written_is_told(writer: RunWriter, tmp_path: Path) -> None:
    writer("event", event(1))
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match=rf"primary-simulated\.csv: it could not be written.*{errno.EEXIST}|File"):
        export_csv(open_run(folder(writer)), tmp_path / "file")
