"""STOP from another process: laser off and read back before the answer, the run aborted, nothing without the key."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import pytest

from nanolab.assay import Plan
from nanolab.engine.assembly import Engine
from nanolab.engine.clock import WallClock
from nanolab.engine.stop_request import STOP_ADDRESS, STOP_RECORD, StopListener, ask_to_stop, stop_address
from nanolab.errors import NanolabError
from nanolab.interfaces import OffReport
from nanolab.journal import RunWriter, open_run

OFF = OffReport(True, "OUTP1? 0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder with a start document."""
    with RunWriter(tmp_path) as writer:
        writer("start", {"uid": "u1", "time": time.time()})
        return Path(str(writer.path))


@pytest.fixture
def listening(folder: Path) -> Iterator[Callable[..., StopListener]]:
    """Listen with this answer to a stop, announced in the run folder."""
    opened: list[StopListener] = []

    def start(stop: Callable[[str], OffReport] = lambda who: OFF) -> StopListener:
        listener = StopListener(stop, lambda: folder)
        opened.append(listener.__enter__())
        listener("start", {})
        return listener

    yield start
    for listener in opened:
        listener.__exit__(None, None, None)


def test_the_answer_comes_after_the_laser_was_read_back(folder: Path, listening: Callable[..., StopListener]) -> None:
    asked: list[str] = []

    def stop(who: str) -> OffReport:
        asked.append(who)
        return OFF

    listening(stop)
    answer = ask_to_stop(folder, "a test")
    assert (answer["confirmed"], answer["words"], answer["asked_by"]) == (True, "OFF (OUTP1? 0)", "a test")
    assert json.loads((folder / STOP_RECORD).read_text()) == answer
    assert ask_to_stop(folder, "somebody else") == answer
    assert asked == ["a test"]


def test_an_off_that_was_not_seen_is_not_called_one(folder: Path, listening: Callable[..., StopListener]) -> None:
    listening(lambda who: OffReport(False, "no answer", "Turn the key"))
    answer = ask_to_stop(folder, "a test")
    assert not answer["confirmed"]
    assert answer["words"].startswith("OFF NOT CONFIRMED")


@pytest.mark.parametrize(
    ("body", "code"), [(b'{"key": "wrong"}', 403), (b'{"key": 7}', 403), (b"rubbish", 400), (b"[]", 400), (b"{}", 400)]
)
def test_without_the_key_nothing_happens(
    listening: Callable[..., StopListener], folder: Path, body: bytes, code: int
) -> None:
    stopped: list[str] = []

    def stop(who: str) -> OffReport:
        stopped.append(who)
        return OFF

    listener = listening(stop)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(listener.url, data=body, timeout=10.0)
    assert refused.value.code == code
    refused.value.close()
    assert stopped == []


def test_the_address_is_there_while_the_run_goes_on_and_only_its_owner_reads_it(
    folder: Path, listening: Callable[..., StopListener]
) -> None:
    listener = listening()
    found = stop_address(folder)
    assert found is not None
    assert found["url"] == listener.url
    assert (folder / STOP_ADDRESS).stat().st_mode & 0o077 == 0
    listener("event", {})
    assert stop_address(folder) == found
    listener("stop", {})
    assert stop_address(folder) is None
    with pytest.raises(NanolabError, match="offers no stop"):
        ask_to_stop(folder, "a test")


def test_a_run_that_does_not_answer_is_said_to_be_unconfirmed(folder: Path) -> None:
    (folder / STOP_ADDRESS).write_text('{"url": "http://127.0.0.1:9/stop", "key": "k"}')
    with pytest.raises(NanolabError, match="OFF NOT CONFIRMED"):
        ask_to_stop(folder, "a test", deadline_s=5.0)
    (folder / STOP_ADDRESS).write_text('{"url": "http://10.0.0.1/stop", "key": "k"}')
    with pytest.raises(NanolabError, match="not on this machine"):
        ask_to_stop(folder, "a test")
    (folder / STOP_ADDRESS).write_text("rubbish")
    assert stop_address(folder) is None


def test_no_port_no_stop_but_the_run_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_listener: StopListener) -> Any:
        raise OSError("no sockets left")

    monkeypatch.setattr("nanolab.engine.stop_request._Server", refuse)
    with StopListener(lambda who: OFF, lambda: folder) as listener:
        listener("start", {})
        assert listener.url == ""
    assert stop_address(folder) is None


def test_a_stop_that_cannot_be_written_down_is_answered_all_the_same(
    folder: Path, listening: Callable[..., StopListener], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("nanolab.engine.stop_request.write_derived", refuse)
    listening()
    assert ask_to_stop(folder, "a test")["confirmed"]
    assert not (folder / STOP_RECORD).exists()


def test_before_the_first_run_there_is_nothing_to_write_down(
    listening: Callable[..., StopListener], folder: Path
) -> None:
    with StopListener(lambda who: OFF, lambda: None) as listener:
        listener("start", {})
        assert listener.answer("a test")["confirmed"]
    assert not (folder / STOP_RECORD).exists()


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

    with RunWriter(tmp_path) as writer:
        engine = Engine(WallClock(), writer, off, on_pause=lambda: order.append("paused"))
        with StopListener(engine.stop, lambda: writer.path) as listener:
            engine.fan_out.add(listener)
            begun = threading.Event()
            engine.fan_out.add(lambda name, doc: begun.set() if name == "start" else None)
            answers: list[dict[str, Any]] = []

            def press() -> None:
                begun.wait(30.0)
                answers.append(ask_to_stop(Path(str(writer.path)), "the STOP of the live page"))

            presser = threading.Thread(target=press)
            presser.start()
            outcome = engine.run(endless())
            presser.join()
            assert order[:2] == ["off", "paused"]
            assert outcome.stopped_by == "the STOP of the live page"
            assert outcome.error is None
            assert answers[0]["confirmed"]
            run = open_run(Path(str(writer.path)))
            assert run.status == "aborted"
            again = engine.run(endless())  # a series: the next run must not go on
            assert again.stopped_by is not None
