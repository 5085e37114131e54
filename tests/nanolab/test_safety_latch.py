"""The latch: survives a restart and a crash, keeps real and simulated apart, and is released by a person."""

import getpass
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanolab import cli
from nanolab.errors import JournalError, UsageError
from nanolab.safety.latch import FILE, Latch, Release, Unreadable
from nanolab.safety.trip import Trip

TRIP = Trip(
    "max_temperature", 61.0, 60.0, "degC", "the sample is at 61 degC", 12.0, 1.7e9, 0.001, 0.05, True, "OFF (off)", False
)  # fmt: skip
UNSEEN = Trip(
    "invalid_temperature", float("nan"), float("nan"), "degC", "unknown", 1.0, 1.7e9, 0.0, float("nan"), False, "?", True
)  # fmt: skip


def test_a_trip_is_there_after_a_restart_until_it_is_released(tmp_path: Path) -> None:
    Latch(tmp_path / "new", simulated=False).keep(TRIP)
    again = Latch(tmp_path / "new", simulated=False)
    assert again.held_by() == [TRIP]
    assert "max_temperature: the sample is at 61 degC" in (again.words() or "")
    release = again.release("the probe was outside", by="A. Person")
    assert again.words() is None
    assert again.records() == [TRIP, release]
    assert (release.reason, release.by) == ("the probe was outside", "A. Person")


def test_real_and_simulated_trips_hold_their_own_kind_only(tmp_path: Path) -> None:
    real, simulated = Latch(tmp_path, simulated=False), Latch(tmp_path, simulated=True)
    simulated.keep(UNSEEN)
    assert real.words() is None
    assert "invalid_temperature" in (simulated.words() or "")
    real.keep(TRIP)
    simulated.release("a rehearsal")
    assert simulated.words() is None
    assert real.held_by() == [TRIP]


def test_what_is_not_finite_comes_back(tmp_path: Path) -> None:
    latch = Latch(tmp_path, simulated=True)
    latch.keep(UNSEEN)
    (back,) = latch.held_by()
    assert repr(back) == repr(UNSEEN)
    json.loads(latch.path.read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b"3", b"{}", b'{"trip": {}}', b'{"trip": 1}', b'{"release": {"reason": "x"}}', b"\xff\xfe"]
)
def test_what_cannot_be_read_holds_both_kinds_and_can_be_released(tmp_path: Path, line: bytes) -> None:
    (tmp_path / FILE).write_bytes(line)
    for simulated in (False, True):
        latch = Latch(tmp_path, simulated)
        assert "cannot be read in line 1" in (latch.words() or "")
        latch.release("looked at")
        assert latch.words() is None


@settings(deadline=None)  # a file is written and synced each time
@given(st.binary(min_size=1, max_size=60))
def test_whatever_a_crash_left_does_not_swallow_the_next_trip(
    tmp_path_factory: pytest.TempPathFactory, left: bytes
) -> None:
    folder = tmp_path_factory.mktemp("latch")
    (folder / FILE).write_bytes(left)
    latch = Latch(folder, simulated=False)
    latch.keep(TRIP)
    assert latch.held_by()[-1] == TRIP


def test_a_file_that_cannot_be_opened_holds(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    latch = Latch(tmp_path, simulated=True)
    assert isinstance(latch.held_by()[0], Unreadable)
    with pytest.raises(JournalError, match="could not be written down"):
        latch.keep(TRIP)


def test_a_release_needs_a_reason_and_knows_who(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    latch = Latch(tmp_path, simulated=True)
    with pytest.raises(UsageError, match="--reason"):
        latch.release(" ")
    monkeypatch.setattr(getpass, "getuser", lambda: "mila")
    assert latch.release("seen").by == "mila"

    def nobody() -> str:
        raise KeyError("uid 1000")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert latch.release("seen").by == "unknown"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = cli.main(["reset-trip", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_lists_and_releases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--data", tmp_path)[:2] == (0, f"no trips in {tmp_path}\n")
    Latch(tmp_path, simulated=False).keep(TRIP)
    Latch(tmp_path, simulated=True).keep(UNSEEN)
    code, out, _ = run(capsys, "--data", tmp_path)
    assert code == 0
    assert "trip max_temperature: the sample is at 61 degC; off within 51 ms" in out
    assert "SIMULATED trip invalid_temperature: unknown; ?" in out
    assert "real emission is refused: the interlock has tripped" in out
    assert "SIMULATED emission is refused" in out
    code, out, _ = run(capsys, "--data", tmp_path, "--reason", "probe put back", "--by", "A. Person")
    assert code == 0
    assert out.count("released by A. Person: probe put back") == 2
    assert "refused" not in out
    code, _, err = run(capsys, "--data", tmp_path, "--reason", "again")
    assert code == 2
    assert "nothing is tripped" in err


def test_a_release_is_written_for_the_kind_that_is_held_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Latch(tmp_path, simulated=True).keep(UNSEEN)
    _, out, _ = run(capsys, "--data", tmp_path, "--reason", "a rehearsal", "--by", "A. Person")
    assert out.count("released by") == 1
    assert "SIMULATED released by A. Person: a rehearsal" in out


def test_the_command_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / FILE).write_text("half a li")
    Latch(tmp_path, simulated=False).keep(TRIP)
    _, out, _ = run(capsys, "--data", tmp_path, "--json")
    document = json.loads(out)
    assert [list(record) for record in document["records"]] == [["unreadable"], ["trip"]]
    assert document["records"][1]["trip"]["limit"] == 60.0
    assert "max_temperature" in document["held"]["real"]
    assert "cannot be read" in document["held"]["simulated"]
    _, out, _ = run(capsys, "--data", tmp_path)
    assert "line 1 cannot be read" in out
    _, out, _ = run(capsys, "--data", tmp_path, "--json", "--reason", "seen")
    document = json.loads(out)
    assert document["held"] == {"real": None, "simulated": None}
    assert [next(iter(record)) for record in document["records"]] == ["unreadable", "trip", "release", "release"]


def test_the_command_finds_the_folder_of_the_bench(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NANOLAB_BENCH", raising=False)
    Latch(Path("runs"), simulated=False).keep(TRIP)
    assert "max_temperature" in run(capsys)[1]
    assert Release("r", "b", 1.0, True).simulated
