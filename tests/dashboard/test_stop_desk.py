"""The desk that takes a STOP: both are asked side by side, neither waits for the other, nothing without the key."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.stop_desk import StopDesk
from nanolab.engine.stop_client import StopAnswer

RUN = StopAnswer(True, "OFF (run)", 0.1)
GUARDIAN = StopAnswer(True, "OFF (guardian)", 0.02)

Open = Callable[..., StopDesk]


@pytest.fixture
def opened() -> Iterator[Open]:
    desks: list[StopDesk] = []

    def start(
        run: Callable[[Path], StopAnswer] = lambda path: RUN,
        guardian: Callable[[Path], StopAnswer] = lambda path: GUARDIAN,
    ) -> StopDesk:
        desks.append(StopDesk(run, guardian))
        return desks[-1]

    yield start
    for desk in desks:
        desk.close()


def post(address: dict[str, str], **changed: str) -> dict[str, Any]:
    body = json.dumps({"key": address["key"], "run": address["run"], **changed}).encode()
    with urllib.request.urlopen(address["url"], data=body, timeout=10.0) as reply:
        found: dict[str, Any] = json.load(reply)
    return found


def test_the_browser_hears_of_the_guardian_while_a_run_hangs(opened: Open, tmp_path: Path) -> None:
    hangs, asked = threading.Event(), []

    def hung(path: Path) -> StopAnswer:
        asked.append(path)
        hangs.wait(30.0)
        return StopAnswer(False, "no answer", 15.0)

    desk = opened(run=hung)
    address = desk.address(tmp_path)
    assert address is not None
    assert post(address) == {"guardian": GUARDIAN.as_dict()}
    assert post(address) == {"guardian": GUARDIAN.as_dict()}
    assert desk.answers(tmp_path) == {"guardian": GUARDIAN}
    hangs.set()
    for thread in desk.ask(tmp_path):
        thread.join()
    assert desk.answers(tmp_path)["run"].words == "no answer"
    assert set(asked) == {tmp_path}
    assert len(asked) <= 2  # not again while it was being asked


def test_only_a_run_that_is_shown_is_stopped_and_only_with_the_key(opened: Open, tmp_path: Path) -> None:
    asked: list[Path] = []

    def told(path: Path) -> StopAnswer:
        asked.append(path)
        return RUN

    desk = opened(run=told)
    address = desk.address(tmp_path / "shown")
    assert address is not None
    for changed, code in (({"run": str(tmp_path / "other")}, 400), ({"key": "wrong"}, 403)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            post(address, **changed)
        assert refused.value.code == code
        refused.value.close()
    assert asked == []
    assert desk.answers(tmp_path / "shown") == {}


def test_without_a_port_the_other_ways_are_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_arguments: object) -> Any:
        raise OSError("no sockets left")

    monkeypatch.setattr("dashboard.stop_desk.KeyedServer", refuse)
    desk = StopDesk(lambda path: RUN, lambda path: GUARDIAN)
    assert desk.address(tmp_path) is None
    for thread in desk.ask(tmp_path):
        thread.join()
    assert desk.answers(tmp_path) == {"run": RUN, "guardian": GUARDIAN}
    desk.close()


def test_by_default_the_run_and_its_guardian_are_asked(tmp_path: Path) -> None:
    desk = StopDesk()
    for thread in desk.ask(tmp_path):
        thread.join()
    found = desk.answers(tmp_path)
    assert "offers no stop" in found["run"].words
    assert "no guardian" in found["guardian"].words
    desk.close()
