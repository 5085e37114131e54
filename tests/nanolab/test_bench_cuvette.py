"""The cuvette: a command on the simulated bench, a prompt on a real one, a refusal where nobody can answer."""

import io
import os
import sys
import threading
from collections.abc import Callable

import pytest
from bluesky.protocols import Movable, Readable, Stoppable

from nanolab.bench.cuvette import CuvetteChanger, Pipette, ask_at_terminal
from nanolab.errors import RefusedError, UsageError


class Person:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.prompts: list[str] = []
        self.enter = threading.Event()

    def __call__(self, prompt: str) -> Callable[[float], bool]:
        self.prompts.append(prompt)
        return self.enter.wait


def no_thread_waits() -> bool:
    waiting = [thread for thread in threading.enumerate() if thread.name.startswith("cuvette")]
    for thread in waiting:
        thread.join(5)
    return not any(thread.is_alive() for thread in waiting)


def test_it_is_what_a_plan_moves_and_reads() -> None:
    loaded: list[str] = []
    changer = CuvetteChanger(lambda: 12.0, load=loaded.append)
    assert isinstance(changer, Movable)
    assert isinstance(changer, Readable)
    assert isinstance(changer, Stoppable)
    changer.set("blank").wait(1)
    assert changer.read() == {"cuvette": {"value": "blank", "timestamp": 12.0}}
    assert changer.describe()["cuvette"]["dtype"] == "string"
    assert loaded == ["blank"]
    assert changer.simulated


def test_in_place_of_the_cuvette_the_head_of_the_meter() -> None:
    loaded: list[str] = []
    changer = CuvetteChanger(lambda: 0.0, load=loaded.append)
    changer.set("meter").wait(1)
    assert loaded == ["empty"]
    assert changer.read()["cuvette"]["value"] == "meter"


def test_the_pipette_adds_and_knows_what_there_is() -> None:
    added: list[str] = []
    pipette = Pipette(lambda: 5.0, load=added.append)
    pipette.set("enzyme")
    assert added == ["enzyme"]
    assert pipette.read() == {"addition": {"value": "enzyme", "timestamp": 5.0}}
    with pytest.raises(UsageError, match="no addition 'sample'"):
        pipette.set("sample")


def test_a_cuvette_that_there_is_not() -> None:
    with pytest.raises(UsageError, match="no cuvette 'blnk'; did you mean 'blank'"):
        CuvetteChanger(lambda: 0.0).set("blnk")


def test_a_person_is_asked_and_nothing_is_believed_before_the_answer() -> None:
    person = Person()
    changer = CuvetteChanger(lambda: 5.0, ask=person)
    status = changer.set("sample")
    assert person.prompts == ["Put the SAMPLE cuvette into the holder, then press Enter: "]
    assert not status.done
    assert changer.read()["cuvette"]["value"] == ""
    person.enter.set()
    status.wait(5)
    assert changer.read()["cuvette"]["value"] == "sample"
    assert changer.describe()["cuvette"]["source"] == "operator"
    assert (changer.read_configuration(), changer.describe_configuration()) == ({}, {})
    assert not changer.simulated


def test_the_wait_for_a_person_can_be_stopped() -> None:
    changer = CuvetteChanger(lambda: 0.0, ask=Person())
    status = changer.set("sample")
    changer.stop()
    with pytest.raises(RefusedError, match=r"sample.*not confirmed"):
        status.wait(5)
    assert no_thread_waits()


def test_a_terminal_that_goes_away_ends_the_wait() -> None:
    def ask(_prompt: str) -> Callable[[float], bool]:
        def gone(_seconds: float) -> bool:
            raise RefusedError("the terminal was closed")

        return gone

    status = CuvetteChanger(lambda: 0.0, ask=ask).set("blank")
    with pytest.raises(RefusedError, match="closed"):
        status.wait(5)


def test_without_a_terminal_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    with pytest.raises(RefusedError, match="no terminal") as caught:
        CuvetteChanger(lambda: 0.0, ask=ask_at_terminal).set("sample")
    assert int(caught.value.exit_code) == 5
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(RefusedError, match="no terminal"):
        ask_at_terminal("x")


@pytest.mark.skipif(sys.platform == "win32", reason="select() on a file needs POSIX")
def test_enter_at_the_terminal_is_the_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    near, far = os.pipe()
    with os.fdopen(near, "r") as terminal:
        monkeypatch.setattr(sys, "stdin", Terminal(terminal))
        answered = ask_at_terminal("Put the SAMPLE in: ")
        assert capsys.readouterr().err == "Put the SAMPLE in: "
        assert not answered(0.0)
        os.write(far, b"\n")
        assert answered(1.0)
        os.close(far)
        with pytest.raises(RefusedError, match="terminal was closed"):
            answered(1.0)


class Terminal:
    """A pipe that says it is a terminal."""

    closed = False

    def __init__(self, stream: io.TextIOBase) -> None:
        self._stream = stream

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def readline(self) -> str:
        return str(self._stream.readline())
