"""STOP from another process: laser off and read back before the answer, the run aborted; the guardian asked for itself."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import pytest

from nanolab.assay import Plan
from nanolab.engine.assembly import Engine, FanOut
from nanolab.engine.clock import WallClock
from nanolab.engine.stop_client import StopAnswer, ask_guardian, ask_run, guardian_of, stop_address
from nanolab.engine.stop_request import STOP_ADDRESS, STOP_RECORD, StopListener
from nanolab.interfaces import OffReport
from nanolab.journal import RunWriter, open_run
from nanolab.safety.door import file_for

OFF = OffReport(True, "OUTP1? 0")
LASER = "tcp://127.0.0.1:5025"

Stop = Callable[[str], OffReport]


def bench(address: str | None = LASER) -> Any:
    """Return what `bind` looks at: where the laser is."""
    laser = None if address is None else SimpleNamespace(simulated=False, address=address)
    return SimpleNamespace(config=SimpleNamespace(laser=laser), simulation=None)


class OneEngine:
    """An engine that is stopped by a function."""

    def __init__(self, stop: Stop) -> None:
        self.fan_out = FanOut()
        self.stop = stop


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runtime").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder with a start document."""
    with RunWriter(tmp_path / "data") as writer:
        writer("start", {"uid": "u1", "time": time.time()})
        return Path(str(writer.path))


@pytest.fixture
def listening(folder: Path) -> Iterator[Callable[..., FanOut]]:
    """Listen with this answer to a stop, announced in the run folder."""
    opened: list[StopListener] = []

    def start(stop: Stop = lambda who: OFF, laser: str | None = LASER) -> FanOut:
        listener = StopListener(lambda: folder)
        opened.append(listener.__enter__())
        engine = OneEngine(stop)
        listener.bind(engine, bench(laser))
        engine.fan_out("start", {})
        return engine.fan_out

    yield start
    for listener in opened:
        listener.__exit__(None, None, None)


def test_the_answer_comes_after_the_laser_was_read_back(folder: Path, listening: Callable[..., FanOut]) -> None:
    asked: list[str] = []

    def stop(who: str) -> OffReport:
        asked.append(who)
        return OFF

    listening(stop)
    answer = ask_run(folder, "a test")
    assert (answer.confirmed, answer.words) == (True, "OFF (OUTP1? 0)")
    record = json.loads((folder / STOP_RECORD).read_text())
    assert (record["asked_by"], record["confirmed"], record["words"]) == ("a test", True, "OFF (OUTP1? 0)")
    assert ask_run(folder, "somebody else").words == answer.words
    assert asked == ["a test"]
    assert json.loads((folder / STOP_RECORD).read_text()) == record


def test_an_off_that_was_not_seen_is_not_called_one(folder: Path, listening: Callable[..., FanOut]) -> None:
    listening(lambda who: OffReport(False, "no answer", "Turn the key"))
    answer = ask_run(folder, "a test")
    assert answer.confirmed is False
    assert answer.words == "OFF NOT CONFIRMED: no answer. Turn the key"


def test_while_off_is_not_confirmed_every_stop_tries_again(folder: Path, listening: Callable[..., FanOut]) -> None:
    reports = [
        OffReport(False, "no answer", "Turn the key"),
        OffReport(True, "OUTP1? 0"),
        OffReport(False, "asked again"),
    ]
    listening(lambda who: reports.pop(0))
    assert [ask_run(folder, "a test").confirmed for _ in range(3)] == [False, True, True]
    assert len(reports) == 1
    assert json.loads((folder / STOP_RECORD).read_text())["confirmed"]


def test_the_address_is_there_while_the_run_goes_on_and_only_its_owner_reads_it(
    folder: Path, listening: Callable[..., FanOut]
) -> None:
    documents = listening()
    found = stop_address(folder)
    assert found is not None
    assert found.laser == LASER
    assert (folder / STOP_ADDRESS).stat().st_mode & 0o077 == 0
    documents("event", {})
    assert stop_address(folder) == found
    documents("stop", {})
    assert stop_address(folder) is None
    answer = ask_run(folder, "a test")
    assert answer.confirmed is None
    assert "offers no stop" in answer.words


def test_a_bench_without_a_laser_can_be_stopped_too(folder: Path, listening: Callable[..., FanOut]) -> None:
    listening(laser=None)
    assert ask_run(folder, "a test").confirmed
    assert ask_guardian(folder).confirmed is None


def test_a_run_that_does_not_answer_is_said_to_be_unconfirmed(folder: Path) -> None:
    (folder / STOP_ADDRESS).write_text('{"url": "http://127.0.0.1:9/", "key": "k"}')
    answer = ask_run(folder, "a test", deadline_s=5.0)
    assert answer.confirmed is False
    assert "OFF NOT CONFIRMED" in answer.words
    assert "key switch" in answer.words
    (folder / STOP_ADDRESS).write_text('{"url": "http://10.0.0.1/", "key": "k"}')
    assert "not on this machine" in ask_run(folder, "a test").words
    for nothing in ("rubbish", "[]", '{"url": 1}'):
        (folder / STOP_ADDRESS).write_text(nothing)
        assert stop_address(folder) is None


def test_a_run_that_was_stopped_in_this_moment_has_left_its_answer(
    folder: Path, listening: Callable[..., FanOut]
) -> None:
    documents = listening()
    assert ask_run(folder, "a test").confirmed
    address = (folder / STOP_ADDRESS).read_text()
    documents("stop", {})
    late = ask_run(folder, "somebody who comes late")
    assert (late.confirmed, late.words) == (True, "OFF (OUTP1? 0)")
    # the file was read, and the run gone before it was asked
    (folder / STOP_ADDRESS).write_text(json.dumps({**json.loads(address), "url": "http://127.0.0.1:9/"}))
    assert ask_run(folder, "somebody who comes late", deadline_s=5.0).confirmed


def test_before_the_engine_is_there_nothing_can_be_stopped(folder: Path) -> None:
    with StopListener(lambda: folder) as listener, pytest.raises(ValueError, match="not begun"):
        listener.answer("a test")


def test_no_port_no_stop_but_the_run_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_arguments: object) -> Any:
        raise OSError("no sockets left")

    monkeypatch.setattr("nanolab.engine.stop_request.KeyedServer", refuse)
    with StopListener(lambda: folder) as listener:
        engine = OneEngine(lambda who: OFF)
        listener.bind(engine, bench())
        engine.fan_out("start", {})
        assert engine.fan_out.failures == []
    assert stop_address(folder) is None
    assert "no sockets left" in caplog.text


def test_a_stop_that_cannot_be_written_down_is_answered_all_the_same(
    folder: Path, listening: Callable[..., FanOut], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("nanolab.engine.stop_request.write_derived", refuse)
    listening()
    assert ask_run(folder, "a test").confirmed
    assert not (folder / STOP_RECORD).exists()
    assert "disk full" in caplog.text


def test_before_the_first_run_there_is_nothing_to_write_down(folder: Path) -> None:
    with StopListener(lambda: None) as listener:
        engine = OneEngine(lambda who: OFF)
        listener.bind(engine, bench())
        engine.fan_out("start", {})
        assert listener.answer("a test")["confirmed"]
    assert not (folder / STOP_RECORD).exists()


# ---- the guardian


class FakeGuardian:
    """Serves one answer at a guardian's door."""

    def __init__(self, reply: bytes) -> None:
        import socket

        self._listener = socket.create_server(("127.0.0.1", 0))
        self._reply = reply
        self.asked = b""
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        leave_file(int(self._listener.getsockname()[1]))

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with client:
            self.asked = client.recv(4096)
            client.sendall(self._reply)

    def close(self) -> None:
        self._thread.join()
        self._listener.close()


def leave_file(port: int) -> None:
    """Leave the file of a guardian that listens at this port."""
    path = file_for(LASER)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = {"pid": 1, "port": port, "token": "t", "device": "laser", "address": LASER, "by_hand": "Turn the key."}
    path.write_text(json.dumps(file))


def told(folder: Path, reply: dict[str, Any]) -> tuple[StopAnswer, dict[str, Any]]:
    guardian = FakeGuardian(json.dumps(reply).encode() + b"\n")
    try:
        answer = ask_guardian(folder)
    finally:
        guardian.close()
    return answer, json.loads(guardian.asked)


@pytest.mark.parametrize(
    ("report", "confirmed", "words"),
    [
        ({"confirmed": True, "detail": "l? 0."}, True, "OFF (l? 0)"),
        ({"confirmed": False, "detail": "no answer"}, False, "OFF NOT CONFIRMED: no answer. Turn the key."),
        (
            {"confirmed": False, "detail": "no answer", "by_hand": "OFF NOT CONFIRMED. Pull the plug."},
            False,
            "OFF NOT CONFIRMED: no answer. Pull the plug.",
        ),
    ],
)
def test_the_guardian_is_asked_through_its_door(
    folder: Path, listening: Callable[..., FanOut], report: dict[str, Any], confirmed: bool, words: str
) -> None:
    listening()
    answer, asked = told(folder, {"ok": True, "report": report})
    assert (answer.confirmed, answer.words) == (confirmed, words)
    assert asked == {"token": "t", "do": "off"}


def test_a_guardian_that_makes_no_sense_is_not_called_a_confirmation(
    folder: Path, listening: Callable[..., FanOut]
) -> None:
    listening()
    for reply in ({"ok": True}, {"report": 7}, {"report": {"confirmed": True}}):
        answer, _ = told(folder, reply)
        assert answer.confirmed is False
        assert answer.words.startswith("OFF NOT CONFIRMED")
        assert answer.words.endswith("Turn the key.")


def test_where_there_is_no_guardian_nobody_speaks_for_one(folder: Path, listening: Callable[..., FanOut]) -> None:
    listening()
    assert guardian_of(folder) is None
    assert ask_guardian(folder) == StopAnswer(None, "no guardian guards this laser")
    leave_file(9)
    assert guardian_of(folder) is not None
    killed = ask_guardian(folder)
    assert killed.confirmed is None
    assert "killed" in killed.words
    assert killed.as_dict() == {"confirmed": None, "words": killed.words, "seconds": 0.0}


# ---- the engine


def endless() -> Plan:
    """Run until stopped."""

    @bpp.run_decorator(md={"plan_name": "endless"})  # type: ignore[untyped-decorator]  # bluesky's decorators are untyped
    def whole() -> Plan:
        while True:
            yield from bps.checkpoint()
            yield from bps.sleep(0.01)

    return (yield from whole())


def test_the_engine_turns_the_laser_off_first_then_aborts_and_begins_no_other_run(tmp_path: Path) -> None:
    order: list[str] = []

    def off() -> OffReport:
        order.append("off")
        return OFF

    with RunWriter(tmp_path / "data", on_failure=off) as writer, StopListener(lambda: writer.path) as listener:
        engine = Engine(WallClock(), writer, off, on_pause=lambda: order.append("paused"))
        listener.bind(engine, bench())
        begun = threading.Event()
        engine.fan_out.add(lambda name, doc: begun.set() if name == "start" else None)
        answers: list[StopAnswer] = []

        def press() -> None:
            begun.wait(30.0)
            answers.append(ask_run(Path(str(writer.path)), "the STOP of the live page"))

        presser = threading.Thread(target=press)
        presser.start()
        outcome = engine.run(endless())
        presser.join()
        assert order[:2] == ["off", "paused"]
        assert outcome.stopped_by == "the STOP of the live page"
        assert outcome.error is None
        assert answers[0].confirmed
        run = open_run(Path(str(writer.path)))
        assert run.status == "aborted"
        assert json.loads((run.path / STOP_RECORD).read_text())["asked_by"] == "the STOP of the live page"
        assert stop_address(run.path) is None
        again = engine.run(endless())  # a series: the next run must not go on
        assert again.stopped_by is not None
