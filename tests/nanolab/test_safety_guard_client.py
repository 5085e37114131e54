"""The run's side of the guardian: start, verification, loss, and calls from signal handlers and other threads."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nanolab.errors import RefusedError
from nanolab.safety import guard_client
from nanolab.safety.guard_client import GuardClient, Report
from nanolab.testing.guarded import FakeLaser, Wire, words_for

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the guardian needs POSIX so far")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def laser() -> Iterator[FakeLaser]:
    with FakeLaser() as fake:
        yield fake


class Told:
    """What `on_lost` was told."""

    def __init__(self) -> None:
        self.reports: queue.SimpleQueue[Report] = queue.SimpleQueue()

    def __call__(self, report: Report) -> None:
        self.reports.put(report)

    def get(self) -> Report:
        return self.reports.get(timeout=20.0)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def start(laser: FakeLaser, told: Told, tmp_path: Path) -> Iterator[Callable[..., GuardClient]]:
    made: list[GuardClient] = []

    def begin(*, recipe: dict[str, Any] | None = None, **options: Any) -> GuardClient:
        options = {"on_lost": told, "log": tmp_path / "guardian.jsonl", "insist_s": 0.5, **options}
        words = words_for(laser.address, **{"confirm_within_s": 0.3, **(recipe or {})})
        made.append(GuardClient.start(words, **options))
        return made[-1]

    yield begin
    laser.stuck = laser.silent = False
    for client in made:
        client.close()


def test_the_driver_finds_the_laser_behind_the_guardian(start: Callable[..., GuardClient], laser: FakeLaser) -> None:
    client = start()
    assert client.may_emit() is None
    assert client.relay_address != laser.address
    wire = Wire(client.relay_address)
    assert wire.ask("*IDN?") == "FAKE,LASER,1,1"
    client.emitting(True)
    wire.send("OUTP1 ON\n")
    assert wire.ask("OUTP1?") == "1"
    client.renew(5.0)
    client.emitting(False)
    wire.close()
    report = client.close()
    assert (report["confirmed"], report["why"]) == (True, "the run is over")
    assert not laser.on
    assert client.close() == report == client.off()
    with pytest.raises(RefusedError):
        client.emitting(True)
    client.emitting(False)


def test_a_laser_for_several_is_reached_directly(start: Callable[..., GuardClient], laser: FakeLaser) -> None:
    assert start(recipe={"several_clients": True}).relay_address == laser.address


def test_off_is_off_and_latches(start: Callable[..., GuardClient], laser: FakeLaser, told: Told) -> None:
    client = start()
    laser.on = True
    report = client.off()
    assert (report["confirmed"], report["why"], laser.on) == (True, "the run asked for it", False)
    assert client.report == report
    assert client.may_emit() == "the guardian has turned the laser off (the run asked for it); start anew"
    with pytest.raises(RefusedError, match="start a new one"):
        client.emitting(True)
    assert told.reports.empty(), "the run knows what it has asked for"
    assert client.off()["confirmed"]


def test_a_trip_is_told(start: Callable[..., GuardClient], laser: FakeLaser, told: Told) -> None:
    client = start(lease_s=0.1)
    client.emitting(True)
    laser.on = True
    report = told.get()
    assert (report["confirmed"], laser.on) == (True, False)
    assert "lease" in report["why"]
    assert "lease" in str(client.may_emit())
    os.kill(client._process.pid, signal.SIGKILL)
    assert "the guardian is" in client.off()["why"], "by the run itself"
    client.close()
    assert told.reports.empty(), "told once, whatever comes after it"


def test_what_is_told_may_ask_for_off_and_may_fail(
    start: Callable[..., GuardClient], laser: FakeLaser, caplog: pytest.LogCaptureFixture
) -> None:
    answers: queue.SimpleQueue[Report] = queue.SimpleQueue()
    holder: list[GuardClient] = []

    def on_lost(_report: Report) -> None:
        answers.put(holder[0].off())
        raise ValueError("a plot is broken")

    holder.append(start(lease_s=0.1, on_lost=on_lost))
    holder[0].emitting(True)
    assert answers.get(timeout=20.0)["confirmed"]
    assert holder[0].close()["confirmed"]
    assert "What was to be told" in caplog.text


@pytest.mark.parametrize(
    ("number", "why"), [(signal.SIGKILL, "the guardian is gone"), (signal.SIGSTOP, "the guardian does not answer")]
)
def test_a_lost_guardian_is_replaced_by_the_run_itself(
    start: Callable[..., GuardClient], laser: FakeLaser, told: Told, number: int, why: str
) -> None:
    with FakeLaser(on=True) as heater:
        client = start(make_safe=(words_for(heater.address, device="heater"),))
        laser.on = True
        os.kill(client._process.pid, number)
        report = told.get()
        assert (report["confirmed"], report["why"], laser.on) == (True, why, False)
        assert client._process.returncode is not None
        assert why in str(client.may_emit())
        with pytest.raises(RefusedError, match="does not answer"):
            client.emitting(True)
        laser.on = True
        again = client.off()
        assert (again["confirmed"], laser.on) == (True, False)
        client.close()
        assert not heater.on


def test_who_waits_when_the_guardian_is_lost_is_answered(
    start: Callable[..., GuardClient], laser: FakeLaser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard_client, "ANSWERED_WITHIN_S", 0.3)
    monkeypatch.setattr(guard_client, "ANSWERED_IDLE_S", 0.3)
    client = start()
    os.kill(client._process.pid, signal.SIGSTOP)
    laser.on = True
    assert client.off()["confirmed"]
    assert not laser.on
    assert client.close()["confirmed"]


def test_a_guardian_that_answers_slowly_allows_nothing(
    start: Callable[..., GuardClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = start()
    monkeypatch.setattr(client, "_silent_s", lambda: 0.7)
    assert client.may_emit() == "the guardian does not answer"
    monkeypatch.undo()
    assert client.may_emit() is None


def test_nobody_answers(start: Callable[..., GuardClient], monkeypatch: pytest.MonkeyPatch) -> None:
    client = start()
    monkeypatch.setattr(client, "_request", lambda _message, _patience: None)
    report = client.off()
    assert not report["confirmed"]
    assert report["by_hand"] == "Turn the key of the laser to off."
    assert "answered in time" in report["detail"]
    monkeypatch.undo()


def test_an_answer_that_does_not_come_is_not_waited_for_without_end(
    start: Callable[..., GuardClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = start()
    assert client._request({"do": "status"}, 10.0) is not None
    monkeypatch.setattr(client, "_send", lambda *_arguments: None)
    assert client._request({"do": "status"}, 0.01) is None
    assert client._slots == {}
    monkeypatch.undo()


def test_off_from_a_signal_handler_in_the_middle_of_another_call(
    start: Callable[..., GuardClient], laser: FakeLaser
) -> None:
    client = start()
    laser.on = True
    reports: list[Report] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: reports.append(client.off()))
    try:
        real = client._send

        def interrupted(message: dict[str, Any], number: int | None = None) -> None:
            if message["do"] == "emitting" and not reports:
                signal.raise_signal(signal.SIGUSR1)
            real(message, number)

        client._send = interrupted  # type: ignore[method-assign]  # the signal comes exactly here
        with pytest.raises(RefusedError, match="start a new one"):
            client.emitting(True)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert reports[0]["confirmed"]
    assert not laser.on


def test_many_threads_may_speak_at_once(start: Callable[..., GuardClient]) -> None:
    client = start()
    failed: list[BaseException] = []

    def speak() -> None:
        try:
            for _ in range(20):
                client.emitting(True)
                client.renew(5.0)
        except BaseException as error:  # noqa: BLE001 - told of below
            failed.append(error)

    threads = [threading.Thread(target=speak) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert client.may_emit() is None


# ---- the start


def test_a_laser_that_is_on_or_away_is_refused(start: Callable[..., GuardClient], laser: FakeLaser) -> None:
    laser.on = True
    with pytest.raises(RefusedError, match=r"cannot guard the laser: laser: did not read off at the start"):
        start()
    assert not laser.on
    laser.refuse()
    with pytest.raises(RefusedError, match=r"cannot guard the laser: .* cannot be opened"):
        start()


def test_problems_of_the_guardian_are_told(
    start: Callable[..., GuardClient], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    start(log=tmp_path)
    assert "the guardian's log" in caplog.text


def test_elsewhere_than_on_posix_it_is_refused(
    start: Callable[..., GuardClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard_client, "POSIX", False)
    with pytest.raises(RefusedError, match="Linux and macOS"):
        start()


def stand_in(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Have a small program started in place of the guardian."""
    real = subprocess.Popen

    def begin(words: list[str], **options: Any) -> "subprocess.Popen[bytes]":
        return real([sys.executable, "-c", program], **options)

    monkeypatch.setattr(subprocess, "Popen", begin)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("raise SystemExit('no module named nanolab')", "did not start: no module named nanolab"),
        ("pass", "the guardian did not start: "),
        ("import os; os.read(0, 65536)", "the guardian did not start: "),
        ('import os; os.write(0, b\'{"ready": true, "version": "0"}\\n\')', "is not the one that was meant"),
    ],
    ids=["dies", "says nothing", "ends", "another version"],
)
def test_a_guardian_that_is_none_is_refused(
    start: Callable[..., GuardClient], monkeypatch: pytest.MonkeyPatch, program: str, words: str
) -> None:
    stand_in(monkeypatch, program)
    with pytest.raises(RefusedError, match=words):
        start()


def test_a_guardian_that_cannot_be_started_leaves_nothing_behind(
    start: Callable[..., GuardClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise PermissionError("no processes any more")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(PermissionError):
        start()


GREETS = """
import json, os, socket, sys, time
from nanolab.safety.guard_config import GuardConfig, digest
control = socket.socket(fileno=os.dup(0))
received = b""
while not received.endswith(b"\\n"):
    received += control.recv(65536)
config = GuardConfig.from_line(received)
greeting = {"ready": True, "version": config.version, "recipe_sha256": digest(config.recipe)}
control.sendall(json.dumps(greeting).encode() + b"\\n")
"""


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("control.sendall(b'junk\\n'); time.sleep(60)", "the guardian cannot be understood (JSONDecodeError"),
        (
            "control.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1); time.sleep(60)",
            "the guardian does not answer",
        ),
    ],
    ids=["talks nonsense", "never answers"],
)
def test_a_guardian_that_goes_wrong_is_replaced(
    start: Callable[..., GuardClient],
    laser: FakeLaser,
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
    more: str,
    why: str,
) -> None:
    laser.on = True
    monkeypatch.setattr(guard_client, "ANSWERED_IDLE_S", 3.0)
    stand_in(monkeypatch, GREETS + more)
    client = start()
    report = told.get()
    assert report["why"].startswith(why)
    assert report["confirmed"]
    assert not laser.on
    assert client.relay_address == laser.address


def test_a_guardian_that_ends_without_having_seen_the_laser_off_is_replaced(
    start: Callable[..., GuardClient], laser: FakeLaser, monkeypatch: pytest.MonkeyPatch
) -> None:
    quits = "\nfor line in control.makefile('rb'):\n    if b'quit' in line: break"
    stand_in(monkeypatch, GREETS + quits)
    client = start()
    laser.on = True
    report = client.close()
    assert (report["confirmed"], report["why"]) == (True, "the guardian is gone")
    assert not laser.on


def test_a_connection_that_resets_is_the_end(start: Callable[..., GuardClient]) -> None:
    client = start()

    class Reset:
        def recv(self, _size: int) -> bytes:
            raise ConnectionResetError

    control = client._control
    client._control = Reset()  # type: ignore[assignment]  # as after a reset
    heard = client._listen()
    client._control = control
    assert heard is False


def test_an_answer_without_a_report_changes_nothing(start: Callable[..., GuardClient]) -> None:
    client = start()
    status = client._request({"do": "status"}, 10.0)
    assert status is not None
    assert (status["ok"], status["emitting"], status["report"]) == (True, False, None)
    assert client.may_emit() is None


def test_a_guardian_that_cannot_be_killed_in_time_is_left(
    start: Callable[..., GuardClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = start()
    with monkeypatch.context() as context:

        def never(_timeout: float) -> int:
            raise subprocess.TimeoutExpired("guardian", 0.0)

        context.setattr(client._process, "wait", never)
        context.setattr(client._process, "kill", lambda: None)
        client._kill()
    assert client.may_emit() is None


def test_the_log_says_what_happened(start: Callable[..., GuardClient], tmp_path: Path) -> None:
    client = start()
    client.emitting(True)
    client.close()
    events = [json.loads(line)["event"] for line in (tmp_path / "guardian.jsonl").read_text().splitlines()]
    assert events == ["armed", "emitting", "off", "end"]
    with pytest.raises(ConnectionRefusedError):
        Wire(client.relay_address)


def test_the_run_says_where_the_log_goes_on(start: Callable[..., GuardClient], tmp_path: Path) -> None:
    client = start()
    client.log_to(tmp_path / "run" / "guardian.jsonl")
    assert client.off()["confirmed"]
    events = [json.loads(line)["event"] for line in (tmp_path / "run" / "guardian.jsonl").read_text().splitlines()]
    assert events[-1] == "off"
