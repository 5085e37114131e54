"""The writer: what a run folder looks like, and that it stays good whatever the disk does."""

import errno
import json
import logging
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import pytest

from nanolab.errors import JournalError
from nanolab.journal import RunWriter, open_run
from nanolab.journal.files import AppendFile, Calls
from nanolab.journal.folder import create_folder, fit_name
from nanolab.journal.writer import ACKNOWLEDGE

NOON = time.mktime((2024, 11, 24, 12, 34, 56, 0, 0, -1))
COUNTS = {"source": "t", "dtype": "array", "shape": [40], "dtype_numpy": "<f8"}
NUMBER = {"source": "t", "dtype": "number", "shape": [], "units": "degC"}


def start(uid: str = "0123456789", **more: Any) -> dict[str, Any]:
    return {"uid": uid, "time": NOON, "plan_name": "photothermal", **more}


def descriptor(stream: str = "primary", run: str = "0123456789", uid: str = "", **keys: Any) -> dict[str, Any]:
    uid = uid or f"{stream}-of-{run}"
    return {"uid": uid, "run_start": run, "time": NOON, "name": stream, "data_keys": keys or {"t": NUMBER}}


def event(number: int, owner: str = "primary-of-0123456789", **data: Any) -> dict[str, Any]:
    data = data or {"t": 20.0 + number}
    base = {"uid": f"e{number}", "descriptor": owner, "time": NOON + number, "seq_num": number, "filled": {}}
    return {**base, "data": data, "timestamps": dict.fromkeys(data, float(number))}


def stop(run: str = "0123456789", exit_status: str = "success") -> dict[str, Any]:
    return {"uid": "stop", "run_start": run, "time": NOON + 99, "exit_status": exit_status, "reason": ""}


def numbers(path: Path | None) -> list[int]:
    """The seq_num of every event that can be read back."""
    assert path is not None
    return [doc["seq_num"] for name, doc in open_run(path).documents() if name == "event"]


class Disk:
    """A disk that can be told to fail: `room` bytes are left, syncs and truncations work or not."""

    def __init__(self) -> None:
        self.room: int | None = None
        self.longest = 1 << 30
        self.sync_error: OSError | None = None
        self.truncate_error: OSError | None = None
        self.syncs = 0
        self.log: list[str] = []
        self.calls = Calls(self.write, self.truncate, self.sync)

    def write(self, fd: int, data: memoryview) -> int:
        length = min(len(data), self.longest)
        if self.room is not None:
            if self.room == 0:
                self.log.append("full")
                raise OSError(errno.ENOSPC, "No space left on device")
            length = min(length, self.room)
            self.room -= length
        return os.write(fd, data[:length])

    def truncate(self, fd: int, length: int) -> None:
        self.log.append("truncate")
        if self.truncate_error is not None:
            raise self.truncate_error
        os.ftruncate(fd, length)

    def sync(self, fd: int) -> None:
        self.syncs += 1
        if self.sync_error is not None:
            raise self.sync_error
        os.fsync(fd)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def writer(tmp_path: Path, disk: Disk) -> Iterator[RunWriter]:
    """A writer with a run open, on a disk that can fail; its background thread never wakes by itself."""
    with RunWriter(
        tmp_path, calls=disk.calls, on_failure=lambda: disk.log.append("laser off"), sync_interval_s=3600.0
    ) as made:
        made("start", start())
        made("descriptor", descriptor(t=NUMBER, counts=COUNTS))
        disk.log.clear()
        yield made


def test_a_run_folder_has_everything_in_its_place(tmp_path: Path) -> None:
    with RunWriter(tmp_path) as writer:
        assert (writer.path, writer.uid, writer.stored, writer.durable) == (None, None, 0, 0)
        writer("start", start())
        path = writer.path
        assert path == tmp_path / "2024-11-24" / "123456-photothermal-01234567"
        assert json.loads((path / "writer.json").read_text())["pid"] == os.getpid()
        writer("descriptor", descriptor(counts=COUNTS))
        arrays = np.arange(80.0).reshape(2, 40)
        for number, array in enumerate(arrays, start=1):
            writer("event", event(number, counts=array))
        writer("stop", stop())
        assert (writer.path, writer.uid, writer.stored, writer.durable) == (path, "0123456789", 5, 5)
    assert sorted(entry.name for entry in path.iterdir()) == [
        "README.txt",
        "docs.jsonl",
        "primary-counts.raw",
    ]
    # as the README says, without nanolab
    records = [json.loads(line) for line in (path / "docs.jsonl").read_text().splitlines(True) if line.endswith("\n")]
    assert [(record["n"], record["name"]) for record in records] == [
        (1, "start"),
        (2, "descriptor"),
        (3, "event"),
        (4, "event"),
        (5, "stop"),
    ]
    raw = records[1]["doc"]["data_keys"]["counts"]["nanolab_raw"]
    assert raw == {"file": "primary-counts.raw", "dtype": "<f8", "shape": [40]}
    assert [record["doc"]["data"]["counts"]["$raw"][0] for record in records[2:4]] == [0, 1]
    np.testing.assert_array_equal(np.fromfile(path / raw["file"], "<f8").reshape(-1, 40), arrays)
    assert "nanolab_raw" in (path / "README.txt").read_text()


def test_simulated_stands_in_the_name_of_the_folder(tmp_path: Path) -> None:
    with RunWriter(tmp_path) as writer:
        writer("start", start(simulated=True))
        assert writer.path is not None
        assert writer.path.name == "123456-photothermal-01234567-simulated"


def test_names_never_collide_and_runs_follow_one_another(tmp_path: Path) -> None:
    paths = []
    with RunWriter(tmp_path) as writer:
        for number in range(3):  # same second, same plan, same first eight characters
            uid = f"01234567-{number}"
            writer("start", start(uid))
            writer("descriptor", descriptor(run=uid))
            writer("event", event(number, f"primary-of-{uid}"))
            writer("stop", stop(uid))
            paths.append(writer.path)
    assert len(set(paths)) == 3
    assert [numbers(path) for path in paths] == [[0], [1], [2]]


def test_strange_names_become_names_that_every_system_takes(tmp_path: Path) -> None:
    assert fit_name("../a b:c") == "a_b_c"
    assert fit_name("...") == "unnamed"
    with RunWriter(tmp_path) as writer:
        writer("start", {"uid": "u/../1", "time": NOON})
        assert writer.path is not None
        assert writer.path.parent == tmp_path / "2024-11-24"
        assert writer.path.name == "123456-run-u_.._1"


def test_a_name_taken_by_another_process_in_the_same_moment_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def too_late(self: Path, target: Path) -> Path:
        if not target.name.endswith("-2"):
            target.mkdir()
            (target / "docs.jsonl").touch()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", too_late)
    path = create_folder(tmp_path, start(), b"line\n", Calls())
    assert path.name == "123456-photothermal-01234567-2"

    def no_right(self: Path, target: Path) -> Path:
        raise PermissionError("not allowed")

    monkeypatch.setattr(Path, "rename", no_right)
    with pytest.raises(PermissionError):
        create_folder(tmp_path, start("other"), b"line\n", Calls())
    monkeypatch.setattr(Path, "exists", lambda self: True)
    with pytest.raises(FileExistsError, match="runs of this second"):
        create_folder(tmp_path, start("third"), b"line\n", Calls())
    assert not list(tmp_path.glob("*/.opening*")), "what was begun is cleared away"


def test_a_start_that_cannot_be_stored_leaves_nothing_behind(tmp_path: Path, disk: Disk) -> None:
    with RunWriter(tmp_path, calls=disk.calls, on_failure=lambda: disk.log.append("laser off")) as writer:
        disk.room = 10
        with pytest.raises(JournalError, match=r"the start document was not stored: .*No space left"):
            writer("start", start())
        assert disk.log == ["full", "laser off"]
        assert not any(path.is_file() for path in tmp_path.rglob("*"))
        disk.room = None
        writer("start", start())
        writer("stop", stop())
        assert open_run(str(writer.path)).status == "finished"


def test_a_root_that_is_no_folder_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        RunWriter(tmp_path / "file") as writer,
        pytest.raises(JournalError, match=r"file: the start document was not stored"),
    ):
        writer("start", start())


@pytest.mark.parametrize("room", [0, 1, 100, 320, 321, 500])
def test_full_disk_cuts_back_to_the_last_good_end(writer: RunWriter, disk: Disk, room: int) -> None:
    array = np.arange(40.0)
    writer("event", event(1, t=1.0, counts=array))
    disk.room = room  # an array takes 320 bytes: the disk fills in the array, between, or in the line
    with pytest.raises(JournalError, match=r"the event document was not stored: .*No space left.*is kept"):
        writer("event", event(2, t=2.0, counts=array))
    assert disk.log[:2] == ["full", "laser off"], "the laser goes off before anything else is done"
    assert disk.log[2:] == ["truncate"] * (1 if room < 320 else 2)
    assert writer.path is not None
    assert open_run(writer.path).tail_bytes == 0
    assert numbers(writer.path) == [1]
    assert (writer.path / "primary-counts.raw").stat().st_size == 320
    disk.room = None  # there is room again: the stop document, and anything else, can be stored
    writer("event", event(3, t=3.0, counts=2 * array))
    disk.room = 330  # and full once more: cut back to where it is good now
    with pytest.raises(JournalError, match="No space left"):
        writer("event", event(4, t=4.0, counts=array))
    disk.room = None
    assert (writer.path / "primary-counts.raw").stat().st_size == 640
    writer("stop", stop(exit_status="fail"))
    run = open_run(writer.path)
    assert run.status == "failed"
    assert numbers(writer.path) == [1, 3]
    np.testing.assert_array_equal(run.table("primary")["counts"], [array, 2 * array])


def test_short_writes_are_finished(writer: RunWriter, disk: Disk) -> None:
    disk.longest = 7
    writer("event", event(1, t=1.0, counts=np.arange(40.0)))
    assert numbers(writer.path) == [1]


def test_a_disk_that_takes_nothing_and_says_nothing_is_not_asked_for_ever(writer: RunWriter, disk: Disk) -> None:
    disk.longest = 0
    with pytest.raises(JournalError, match="the system took 0 of"):
        writer("event", event(1))


def test_if_cutting_back_fails_too_the_run_is_over(writer: RunWriter, disk: Disk) -> None:
    writer("event", event(1))
    disk.room = 20
    disk.truncate_error = OSError(errno.EIO, "Input/output error")
    with pytest.raises(JournalError, match=r"No space left.*docs.jsonl could not be cut back.*Input/output"):
        writer("event", event(2))
    disk.room = disk.truncate_error = None
    for name, doc in (("event", event(3)), ("stop", stop())):
        with pytest.raises(JournalError, match="an earlier failure ended this run's journal"):
            writer(name, doc)
    with pytest.raises(JournalError, match="an earlier failure"):
        writer.pause()
    syncs = disk.syncs
    writer.close()
    assert disk.syncs == syncs, "a broken run is not synced again"
    assert writer.path is not None
    run = open_run(writer.path)
    assert (run.status, run.tail_bytes) == ("interrupted", 20)
    assert numbers(writer.path) == [1]


def test_a_failing_hook_does_not_hide_what_happened(tmp_path: Path) -> None:
    def hook() -> None:
        raise RuntimeError("no answer from the laser")

    with RunWriter(tmp_path, on_failure=hook) as writer:
        writer("start", start())
        with pytest.raises(JournalError, match=r"'x' is a builtins.set.*failed too: no answer from the laser"):
            writer("descriptor", {**descriptor(), "x": {1}})


def test_an_interrupt_in_the_middle_of_a_line_leaves_whole_lines(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []
    with RunWriter(tmp_path, calls=disk.calls, on_failure=lambda: seen.append("laser off")) as writer:
        writer("start", start())
        writer("descriptor", descriptor())
        disk.longest = 5
        original, count = disk.write, 0

        def interrupted(fd: int, data: memoryview) -> int:
            nonlocal count
            count += 1
            if count == 3:
                raise KeyboardInterrupt
            return original(fd, data)

        object.__setattr__(disk.calls, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            writer("event", event(1))
        assert seen == ["laser off"]
        writer("event", event(2))
        count, disk.truncate_error = 0, OSError("no")
        with caplog.at_level(logging.ERROR), pytest.raises(KeyboardInterrupt):
            writer("event", event(3))
        assert "could not be cut back" in caplog.text
    assert numbers(writer.path) == [2]


def test_while_one_thread_turns_the_laser_off_another_cannot_append_behind_the_half_line(
    tmp_path: Path, disk: Disk
) -> None:
    complaints: list[str] = []
    hooked = threading.Event()

    def hook() -> None:
        if hooked.is_set():
            return
        hooked.set()
        # a monitored signal speaks up while the laser goes off: it must neither block nor be written
        other = threading.Thread(target=append_another)
        other.start()
        other.join(10.0)
        assert not other.is_alive()

    def append_another() -> None:
        try:
            writer("event", event(2))
        except JournalError as error:
            complaints.append(str(error))

    with RunWriter(tmp_path, calls=disk.calls, on_failure=hook) as writer:
        writer("start", start())
        writer("descriptor", descriptor())
        disk.room = 30
        with pytest.raises(JournalError, match="No space left"):
            writer("event", event(1))
        disk.room = None
        writer("event", event(3))
        writer("stop", stop())
    assert len(complaints) == 1
    assert "not yet cut off" in complaints[0]
    assert numbers(writer.path) == [3]


def test_stored_and_durable_are_counted_apart(writer: RunWriter, disk: Disk) -> None:
    assert (writer.stored, writer.durable) == (2, 2)
    writer("event", event(1))
    assert (writer.stored, writer.durable) == (3, 2)
    syncs = disk.syncs
    writer.pause()
    assert disk.syncs > syncs
    assert (writer.stored, writer.durable) == (3, 3)
    writer("event", event(2))
    writer("stop", stop())
    assert (writer.stored, writer.durable) == (5, 5)
    writer.pause()  # nothing is open: nothing to do


class Pace:
    """Lets the background thread go round when told to."""

    def __init__(self) -> None:
        self.turns: Queue[bool] = Queue()
        self.rounds: Queue[None] = Queue()
        self.intervals: list[float] = []

    def __call__(self, ending: threading.Event, interval: float) -> bool:
        self.rounds.put(None)
        self.intervals.append(interval)
        while not ending.is_set():
            try:
                return self.turns.get(timeout=0.01)
            except Exception:  # noqa: BLE001 - nothing to do yet
                continue
        return True

    def go_round(self) -> None:
        self.turns.put(False)
        self.rounds.get(timeout=10.0)


def paced(tmp_path: Path, disk: Disk) -> tuple[RunWriter, Pace]:
    pace = Pace()
    writer = RunWriter(tmp_path, calls=disk.calls, on_failure=lambda: disk.log.append("laser off"), wait=pace)
    writer("start", start())
    writer("descriptor", descriptor(counts=COUNTS, t=NUMBER))
    pace.rounds.get(timeout=10.0)
    return writer, pace


def test_the_background_thread_makes_durable_and_shows_that_it_is_there(tmp_path: Path, disk: Disk) -> None:
    writer, pace = paced(tmp_path, disk)
    with writer:
        writer("event", event(1))
        assert writer.durable == 2
        pace.go_round()
        assert writer.durable == 3
        syncs = disk.syncs
        assert writer.path is not None
        os.utime(writer.path / "writer.json", (0, 0))
        pace.go_round()
        assert disk.syncs == syncs, "nothing new: nothing to sync"
        assert (writer.path / "writer.json").stat().st_mtime > 0
        assert set(pace.intervals) == {1.0}
    assert not any(thread.name == "nanolab-journal-sync" for thread in threading.enumerate())


def test_a_failed_sync_in_the_background_is_raised_by_the_next_document_and_never_tried_again(
    tmp_path: Path, disk: Disk
) -> None:
    writer, pace = paced(tmp_path, disk)
    with writer:
        writer("event", event(1))
        disk.sync_error = OSError(errno.EIO, "Input/output error")
        pace.turns.put(False)
        pace.turns.put(False)
        pace.rounds.get(timeout=10.0)
        syncs = disk.syncs
        disk.sync_error = None
        for number in (2, 3):
            with pytest.raises(JournalError, match=r"sync failed: .*Input/output error"):
                writer("event", event(number))
        assert disk.log == ["laser off", "laser off"]
        assert (writer.stored, writer.durable, disk.syncs) == (3, 2, syncs)
    assert disk.syncs == syncs
    assert numbers(writer.path) == [1]


@pytest.mark.parametrize("name", ["start", "descriptor", "stop"])
def test_a_failed_sync_at_once_is_raised_at_once(tmp_path: Path, disk: Disk, name: str) -> None:
    docs = {"start": start(), "descriptor": descriptor(), "stop": stop()}
    with RunWriter(tmp_path, calls=disk.calls, on_failure=lambda: disk.log.append("laser off")) as writer:
        for earlier in ("start", "descriptor", "stop"):
            if earlier == name:
                break
            writer(earlier, docs[earlier])
        disk.sync_error = OSError(errno.EIO, "Input/output error")
        with pytest.raises(JournalError, match=f"the {name} document was not stored: .*Input/output"):
            writer(name, docs[name])
        assert disk.log == ["laser off"]


def test_a_failed_sync_at_pause_or_close_is_raised(tmp_path: Path, disk: Disk) -> None:
    for action in (RunWriter.pause, RunWriter.close):
        writer = RunWriter(tmp_path, calls=disk.calls, on_failure=lambda: disk.log.append("laser off"))
        writer("start", start(f"of {action.__name__}"))
        disk.sync_error, disk.log = OSError(errno.EIO, "Input/output error"), []
        with pytest.raises(JournalError, match=r"of_pause|of_close"):
            action(writer)
        assert disk.log == ["laser off"]
        disk.sync_error = None
        writer.close()


@pytest.mark.parametrize("action", [RunWriter.pause, RunWriter.close])
def test_an_interrupt_while_syncing_stays_an_interrupt_and_the_laser_goes_off(
    tmp_path: Path, disk: Disk, action: Callable[[RunWriter], None]
) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    writer = RunWriter(tmp_path, calls=disk.calls, on_failure=lambda: disk.log.append("laser off"))
    writer("start", start())
    object.__setattr__(disk.calls, "sync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        action(writer)
    assert disk.log == ["laser off"]
    object.__setattr__(disk.calls, "sync", disk.sync)
    writer.close()


def test_a_run_left_without_stop_is_closed_by_the_next_start(tmp_path: Path) -> None:
    with RunWriter(tmp_path) as writer:
        writer("start", start("first"))
        first = writer.path
        assert open_run(str(first)).status == "running"
        writer("start", start("second"))
        assert open_run(str(first)).status == "interrupted"
        with pytest.raises(JournalError, match="belongs to run first, but second is open"):
            writer("stop", stop("first"))
        writer("stop", stop("second"))
        with pytest.raises(JournalError, match="the event document came with no run open"):
            writer("event", event(1))


def test_an_event_of_an_unknown_stream_is_refused(writer: RunWriter) -> None:
    with pytest.raises(JournalError, match="refers to descriptor nobody"):
        writer("event", event(1, "nobody"))


def test_a_sign_of_life_that_cannot_be_taken_away_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    writer = RunWriter(tmp_path)
    writer("start", start())
    assert writer.path is not None
    (writer.path / "writer.json").unlink()
    with caplog.at_level(logging.WARNING):
        writer.close()
    assert "writer.json stays although nobody writes here any more" in caplog.text


def test_arrays_that_are_not_as_announced_are_kept_in_the_line(writer: RunWriter) -> None:
    odd: list[Any] = [
        np.arange(40, dtype="<i4"),
        np.arange(41.0),
        list(np.arange(40.0)),
        np.arange(40, dtype=">f8"),
        np.nan,
    ]
    for number, value in enumerate(odd):
        writer("event", event(number, t=1.0, counts=value))
    writer("event", event(9, t=1.0))
    assert writer.path is not None
    assert (writer.path / "primary-counts.raw").stat().st_size == 0
    back = [doc["data"] for name, doc in open_run(writer.path).documents() if name == "event"]
    for value, data in zip(odd, back, strict=False):
        np.testing.assert_array_equal(data["counts"], value)
        assert type(data["counts"]) is type(value)
        assert getattr(data["counts"], "dtype", None) == getattr(value, "dtype", None)
    assert "counts" not in back[-1]


def test_every_array_goes_to_a_file_that_fits_it(writer: RunWriter) -> None:
    def describe(uid: str, stream: str, length: int) -> None:
        layout = {**COUNTS, "shape": [length], "dtype_numpy": "<u2"}
        writer("descriptor", {**descriptor(stream, uid=uid), "data_keys": {"counts": layout}})

    for uid, stream, length in (
        ("a", "spectra", 40),
        ("b", "spectra", 40),
        ("c", "spectra", 64),
        ("d", "Spectra", 40),
    ):
        describe(uid, stream, length)
        array = np.arange(length, dtype="<u2")
        writer("event", event(1, uid, counts=array[::-1]))  # not contiguous
    assert writer.path is not None
    sizes = {path.name: path.stat().st_size for path in writer.path.glob("*pectra*.raw")}
    # described anew but alike: the same file; another shape, or a name that Windows takes for it: its own
    assert sizes == {"spectra-counts.raw": 160, "spectra-counts-2.raw": 128, "Spectra-counts-3.raw": 80}
    events = [doc["data"]["counts"] for name, doc in open_run(writer.path).documents() if name == "event"]
    assert [len(array) for array in events] == [40, 40, 64, 40]
    assert all(array[0] == len(array) - 1 and array[-1] == 0 for array in events)


def test_the_documents_handed_in_are_left_as_they_are(writer: RunWriter) -> None:
    doc = event(1, t=1.0, counts=np.arange(40.0))
    before = doc["data"]["counts"]
    writer("event", doc)
    assert doc["data"]["counts"] is before
    described = descriptor("spectra", uid="s", counts=dict(COUNTS))
    writer("descriptor", described)
    assert described["data_keys"]["counts"] == COUNTS


def test_each_stored_document_is_reported_after_it_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read_fd, write_fd = os.pipe()
    monkeypatch.setenv(ACKNOWLEDGE, str(write_fd))
    with RunWriter(tmp_path) as writer:
        writer("start", start())
        writer("descriptor", descriptor())
        assert os.read(read_fd, 1000) == b"0123456789 1\n0123456789 2\n"
        os.close(read_fd)
        with caplog.at_level(logging.WARNING):
            writer("event", event(1))
            writer("event", event(2))
        assert caplog.text.count("Nobody listens") == 1
    os.close(write_fd)
    assert numbers(writer.path) == [1, 2]


def test_a_file_appended_to_is_what_was_written(tmp_path: Path) -> None:
    file = AppendFile(tmp_path / "f", Calls())
    file.append(b"abc")
    file.commit()
    file.append(b"def")
    file.roll_back()
    file.append(memoryview(b"gh"))
    file.commit()
    file.sync()
    assert file.records == 2
    file.close()
    assert (tmp_path / "f").read_bytes() == b"abcgh"


FULL = """
import sys, time, numpy as np
from nanolab.errors import JournalError
from nanolab.journal import RunWriter
seen = []
writer = RunWriter(sys.argv[1], on_failure=lambda: seen.append("laser off"))
writer("start", {"uid": "full", "time": time.time()})
key = {"source": "t", "dtype": "array", "shape": [500], "dtype_numpy": "<f8"}
writer("descriptor", {"uid": "d", "run_start": "full", "name": "primary", "data_keys": {"a": key}})
stored = 0
try:
    while True:
        data = {"a": np.full(500, float(stored)), "b": "x" * 300}
        writer("event", {"uid": "e", "descriptor": "d", "time": 0.0, "seq_num": stored, "data": data,
                         "timestamps": {"a": 0.0, "b": 0.0}, "filled": {}})
        stored += 1
except JournalError as error:
    print(stored, seen, "No space left" in str(error))
writer.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a tmpfs of its own")
def test_a_really_full_disk(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mount.returncode != 0:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        answer = subprocess.run(
            [sys.executable, "-c", FULL, str(small)], capture_output=True, text=True, check=True, timeout=60
        )
        stored, rest = answer.stdout.split(" ", 1)
        assert rest.strip() == "['laser off'] True"
        (folder,) = small.glob("*/*-full")
        run = open_run(folder)
        column = run.table("primary")["a"]
        assert int(stored) > 100
        np.testing.assert_array_equal(column[:, 0], np.arange(int(stored)))
        assert (run.status, run.tail_bytes) == ("interrupted", 0)
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_uids_of_the_engine_fit() -> None:
    assert fit_name(str(uuid.uuid4()), 8).isalnum()


def test_a_write_that_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nanolab.journal import files

    target = tmp_path / "result.json"
    files.write_whole(target, b"first")

    def fails(self: Path, other: Path) -> Path:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fails)
        with pytest.raises(OSError, match="Input/output"):
            files.write_whole(target, b"second")
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    assert target.read_bytes() == b"first"
    called: list[Callable[..., object]] = []
    monkeypatch.setattr(os, "name", "nt")
    monkeypatch.setattr(os, "open", lambda *_: called.append(os.open))
    files.sync_folder(tmp_path)  # Windows opens no folders
    assert not called
