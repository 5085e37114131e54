"""Keeping the computer awake: with a stand-in for logind on POSIX, with a stand-in for kernel32 anywhere."""

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from nanolab.safety.sleep import (
    CAFFEINATE,
    INHIBIT,
    Awake,
    ChildInhibitor,
    NoInhibitor,
    WindowsInhibitor,
    inhibitor_for,
)

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="the child waits on POSIX pipes")

GRANTS = '#!/bin/sh\necho "$@" > "$0.called"\nwhile [ "${1#-}" != "$1" ]; do shift; done\nexec "$@"\n'
REFUSES = "#!/bin/sh\necho 'Failed to inhibit: Access denied' >&2\nexit 1\n"
SAYS_NOTHING = "#!/bin/sh\nexec cat\n"
DOES_NOT_END = "#!/bin/sh\ntrap '' TERM\necho held\nexec sleep 600\n"


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(script)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return path


@posix_only
@pytest.mark.parametrize(("platform", "command"), [("linux", INHIBIT), ("darwin", CAFFEINATE)])
def test_the_lock_is_held_within_the_block_and_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, command: tuple[str, ...]
) -> None:
    script = stand_in(tmp_path, monkeypatch, command[0], GRANTS)
    awake = Awake(inhibitor_for(platform))
    assert awake.held() == "it was not asked for"
    assert "sleep" in awake.covers
    with awake:
        assert awake.held() is None
        with awake:  # asked for twice is asked for once
            assert awake.held() is None
    assert awake.held() == "it was given back"
    called = Path(f"{script}.called").read_text().split()
    assert called[: len(command) - 1] == " ".join(command[1:]).split()[: len(command) - 1]


def test_what_logind_is_asked_for() -> None:
    assert INHIBIT == (
        "systemd-inhibit",
        "--what=sleep:idle:shutdown:handle-lid-switch",
        "--who=nanolab",
        "--why=a laser is armed",
        "--mode=block",
    )


@posix_only
@pytest.mark.parametrize(
    ("script", "words"),
    [(REFUSES, "did not get the lock (Failed to inhibit: Access denied)"), (SAYS_NOTHING, "(it said nothing)")],
)
def test_a_lock_that_is_refused_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    stand_in(tmp_path, monkeypatch, "systemd-inhibit", script)
    inhibitor = ChildInhibitor(INHIBIT, "", within_s=0.2 if script is SAYS_NOTHING else 10.0)
    with Awake(inhibitor) as awake:
        assert words in (awake.held() or "")


def test_a_computer_without_the_command_says_so() -> None:
    inhibitor = ChildInhibitor(("there-is-no-such-command",), "")
    assert "cannot be started" in (inhibitor.acquire() or "")
    assert "cannot be started" in (inhibitor.held() or "")


@posix_only
def test_a_child_that_ends_by_itself_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "systemd-inhibit", GRANTS)
    inhibitor = ChildInhibitor(INHIBIT, "")
    assert inhibitor.acquire() is None
    child: Any = inhibitor._child
    child.kill()
    child.wait()
    assert inhibitor.held() == "systemd-inhibit has ended by itself"
    assert inhibitor.acquire() is None  # and taken anew
    inhibitor.release()


@posix_only
def test_a_child_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "systemd-inhibit", DOES_NOT_END)
    inhibitor = ChildInhibitor(INHIBIT, "", within_s=1.0)
    assert inhibitor.acquire() is None
    inhibitor._within_s = 0.01
    inhibitor.release()
    assert inhibitor.held() == "it was given back"


class Call:
    """A function of a Windows library: notes its calls, answers what a test says."""

    def __init__(self, answer: int) -> None:
        self.answer = answer
        self.calls = 0
        self.restype: Any = None

    def __call__(self, *_arguments: Any) -> int:
        self.calls += 1
        return self.answer


class Kernel32:
    def __init__(self, handle: int = 4242, sets: int = 1) -> None:
        self.PowerCreateRequest, self.PowerSetRequest = Call(handle), Call(sets)
        self.PowerClearRequest, self.CloseHandle = Call(1), Call(1)


def test_windows_holds_a_power_request() -> None:
    kernel32 = Kernel32()
    inhibitor = inhibitor_for("win32", load=lambda name: kernel32 if name == "kernel32" else None)
    assert isinstance(inhibitor, WindowsInhibitor)
    assert kernel32.PowerCreateRequest.restype is ctypes.c_void_p
    with Awake(inhibitor) as awake:
        assert awake.held() is None
        assert inhibitor.acquire() is None
    assert "given back" in (awake.held() or "")
    assert "set the lid" in awake.covers
    inhibitor.release()
    counts = [kernel32.PowerCreateRequest.calls, kernel32.PowerSetRequest.calls]
    assert [*counts, kernel32.PowerClearRequest.calls, kernel32.CloseHandle.calls] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("handle", "sets", "closed", "words"),
    [(ctypes.c_void_p(-1).value or 0, 1, 0, "refuses"), (4242, 0, 1, "does not set")],
)
def test_windows_may_refuse(handle: int, sets: int, closed: int, words: str) -> None:
    kernel32 = Kernel32(handle, sets)
    inhibitor = WindowsInhibitor(kernel32)
    assert words in (inhibitor.acquire() or "")
    assert inhibitor.held() is not None
    assert kernel32.CloseHandle.calls == closed


def test_where_it_cannot_be_had_it_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ctypes, "WinDLL", raising=False)
    for inhibitor in (inhibitor_for("win32"), inhibitor_for("plan9")):
        assert isinstance(inhibitor, NoInhibitor)
        with Awake(inhibitor) as awake:
            assert awake.held()
            assert awake.covers == "nothing"
    assert Awake().held() is not None
