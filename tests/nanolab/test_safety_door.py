"""How `nanolab laser off` finds a guardian: a file that only its user reads, a port, a token. And the guardian's log."""

import contextlib
import json
import os
import selectors
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nanolab.safety.door import (
    MOST_BYTES,
    Door,
    Published,
    all_published,
    ask,
    file_for,
    published,
    runtime_folder,
    same_address,
)
from nanolab.safety.guard_log import GuardLog

ADDRESS = "tcp://10.0.0.7:5025"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def selector() -> Iterator[selectors.BaseSelector]:
    with selectors.DefaultSelector() as made:
        yield made


@pytest.fixture
def opened(selector: selectors.BaseSelector) -> Iterator[Door]:
    def answer(wanted: str, reply: Callable[[dict[str, Any]], None]) -> None:
        reply({"asked": wanted})

    made = Door(selector, answer, device="laser", address=ADDRESS, by_hand="Turn the key.")
    yield made
    made.close()


def serve(selector: selectors.BaseSelector, count: int) -> None:
    for _ in range(count):
        for key, mask in selector.select(10.0):
            key.data(mask)


def exchange(selector: selectors.BaseSelector, door: Door, sent: bytes) -> bytes:
    """Send bytes to a door that this thread serves, and return what comes back."""
    with socket.create_connection(("127.0.0.1", door._own.port), timeout=10.0) as client:
        serve(selector, 1)
        client.sendall(sent)
        serve(selector, 1 + len(sent) // MOST_BYTES)
        return client.recv(4096)


def test_the_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert runtime_folder() == tmp_path / "nanolab"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/t")
    assert runtime_folder() == Path(f"/t/nanolab-{os.getuid()}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tcp://10.0.0.7:5025", "TCPIP0::10.0.0.7::5025::SOCKET"),
        ("tcp://localhost:5025", "socket://127.0.0.1:5025"),
        ("USB0::0x1313::0x804A::M1::INSTR", "usb0::0x1313::0x804a::m1::instr"),
        ("COM3", "com3"),
    ],
)
def test_one_laser_has_one_file_however_its_address_is_spelled(one: str, other: str) -> None:
    assert file_for(one) == file_for(other)
    assert file_for(one) != file_for("tcp://10.0.0.8:5025")


def test_links_to_a_port_are_the_port(tmp_path: Path) -> None:
    (tmp_path / "by-id").symlink_to(tmp_path / "ttyUSB0")
    assert same_address(str(tmp_path / "by-id")) == str(tmp_path / "ttyUSB0")


def test_the_file_is_for_its_user_alone_and_goes_with_the_guardian(
    selector: selectors.BaseSelector, opened: Door
) -> None:
    found = published(opened.path)
    assert found is not None
    assert (found.device, found.address, found.by_hand, found.pid) == ("laser", ADDRESS, "Turn the key.", os.getpid())
    assert stat.S_IMODE(opened.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(opened.path.parent.stat().st_mode) == 0o700
    assert all_published() == [found]
    opened._drop(socket.socket())  # nothing of ours
    second = Door(selector, lambda *_: None, device="laser", address=ADDRESS, by_hand="")
    opened_file = published(opened.path)
    opened.close()
    assert opened_file == published(second.path), "a file that has become another's is left"
    second.close()
    assert not second.path.exists()
    opened._listener = socket.create_server(("127.0.0.1", 0))
    selector.register(opened._listener, selectors.EVENT_READ)


def test_who_has_the_token_is_answered(selector: selectors.BaseSelector, opened: Door) -> None:
    thread = threading.Thread(target=serve, args=(selector, 2))
    thread.start()
    assert ask(opened._own, "off", 10.0) == {"asked": "off"}
    thread.join()


@pytest.mark.parametrize(
    "sent",
    [b'{"token": "guessed", "do": "off"}\n', b"junk\n", b"[]\n", b"x" * 5000],
    ids=["guess", "junk", "list", "long"],
)
def test_who_has_not_is_hung_up_on(selector: selectors.BaseSelector, opened: Door, sent: bytes) -> None:
    with contextlib.suppress(ConnectionResetError):
        assert exchange(selector, opened, sent) == b""
    assert opened._clients == {}


def test_clients_that_come_in_pieces_or_go_again(selector: selectors.BaseSelector, opened: Door) -> None:
    message = json.dumps({"token": opened._own.token, "do": "status"}).encode() + b"\n"
    with socket.create_connection(("127.0.0.1", opened._own.port), timeout=10.0) as client:
        serve(selector, 1)
        client.sendall(message[:10])
        serve(selector, 1)
        client.sendall(message[10:])
        serve(selector, 1)
        assert json.loads(client.recv(4096)) == {"asked": "status"}
    client = socket.create_connection(("127.0.0.1", opened._own.port), timeout=10.0)
    serve(selector, 1)
    opened._accept(0)  # nobody there any more
    client.close()
    serve(selector, 1)
    waiting = socket.create_connection(("127.0.0.1", opened._own.port), timeout=10.0)
    serve(selector, 1)
    [ours] = opened._clients
    ours.close()
    opened._read(ours)
    assert opened._clients == {}
    waiting.close()
    left = socket.create_connection(("127.0.0.1", opened._own.port), timeout=10.0)
    serve(selector, 1)
    left.close()


def test_an_answer_for_somebody_who_has_gone_is_dropped(selector: selectors.BaseSelector) -> None:
    answers: list[Callable[[dict[str, Any]], None]] = []
    made = Door(selector, lambda _wanted, answer: answers.append(answer), device="l", address=ADDRESS, by_hand="")
    with socket.create_connection(("127.0.0.1", made._own.port), timeout=10.0) as client:
        serve(selector, 1)
        client.sendall(json.dumps({"token": made._own.token, "do": "off"}).encode() + b"\n")
        serve(selector, 1)
        [ours] = made._clients
        ours.close()
        answers[0]({"late": True})
    made.close()


def test_a_folder_of_somebody_else_is_not_used(
    selector: selectors.BaseSelector, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: real + 1)
    made = Door(selector, lambda *_: None, device="laser", address=ADDRESS, by_hand="")
    assert "cannot be written (the folder belongs to somebody else)" in made.problem
    assert not made.path.exists()
    made.close()
    made.path.write_text("{}")
    assert published(made.path) is None, "and a file of somebody else is not believed"


def test_where_there_are_no_user_numbers(selector: selectors.BaseSelector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "getuid")
    made = Door(selector, lambda *_: None, device="laser", address=ADDRESS, by_hand="")
    assert published(made.path) == made._own
    made.close()


def test_a_file_that_cannot_be_taken_away_is_left(
    selector: selectors.BaseSelector, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Door(selector, lambda *_: None, device="laser", address=ADDRESS, by_hand="")

    def refuse(_path: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "unlink", refuse)
    made.close()
    assert made.path.exists()


@pytest.mark.parametrize("text", ["junk", "{}", '{"pid": "x"}', "[]"])
def test_files_that_are_none_are_passed_over(text: str) -> None:
    path = file_for(ADDRESS)
    path.parent.mkdir()
    path.write_text(text)
    assert published(path) is None
    assert all_published() == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [(b"", "does not answer"), (b"junk\n", "does not answer"), (b"[1]\n", "makes no sense")],
)
def test_a_guardian_that_makes_no_sense(answer: bytes, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def reply() -> None:
            client, _ = listener.accept()
            client.recv(4096)
            client.sendall(answer)
            client.close()

        thread = threading.Thread(target=reply)
        thread.start()
        found = Published(17, listener.getsockname()[1], "t", "laser", ADDRESS, "")
        with pytest.raises(ConnectionError, match=rf"the guardian \(process 17\) .*{words}"):
            ask(found, "off", 10.0)
        thread.join()


# ---- the log


def test_the_log_is_appended_to_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "run" / "guardian.jsonl"
    for number in (1, 2):
        log = GuardLog(str(path))
        log.note("armed", number=number)
        assert json.loads(path.read_text().splitlines()[-1])["number"] == number
        log.close()
        log.close()
        log.note("closed")
        assert log.problem == ""
    first, second = map(json.loads, path.read_text().splitlines())
    assert set(first) == {"wall", "monotonic_s", "event", "number"}
    assert second["monotonic_s"] > first["monotonic_s"]


def test_a_log_that_cannot_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = GuardLog(str(tmp_path))
    assert "cannot be written (Is a directory)" in log.problem
    log.note("armed")
    log.close()
    log = GuardLog(str(tmp_path / "log"))
    with monkeypatch.context() as context:
        context.setattr(os, "write", lambda _descriptor, data: len(data) - 1)
        log.note("armed")
    assert "cut short" in log.problem
    with monkeypatch.context() as context:

        def full(_descriptor: int, _data: bytes) -> int:
            raise OSError(28, "No space left on device")

        context.setattr(os, "write", full)
        log.note("armed")
    assert log.problem == "the guardian's log cannot be written (No space left on device)"
    log.close()
    GuardLog(None).note("nowhere")


def test_a_log_goes_on_in_the_folder_of_the_run_and_begins_there_with_how_it_was_armed(tmp_path: Path) -> None:
    log = GuardLog(str(tmp_path / "first"))
    log.note("armed", pid=7)
    log.note("emitting", on=True)
    assert log.follow(str(tmp_path / "run" / "guardian.jsonl"))
    log.note("emitting", on=False)
    assert not log.follow(str(tmp_path))
    assert "cannot be written" in log.problem
    log.note("off")
    log.close()
    first, second = (tmp_path / "first", tmp_path / "run" / "guardian.jsonl")
    assert [json.loads(line)["event"] for line in first.read_text().splitlines()] == ["armed", "emitting"]
    assert [json.loads(line)["event"] for line in second.read_text().splitlines()] == ["armed", "emitting", "off"]
