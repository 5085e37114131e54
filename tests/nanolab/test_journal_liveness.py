"""Is the writer still there: by process number and the moment it began, on every system."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nanolab.journal import liveness
from nanolab.journal.liveness import (
    began_by_proc,
    began_by_ps,
    began_on_windows,
    is_alive,
    own_mark,
    process_began,
)

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


def test_this_process_is_alive_and_another_of_the_same_number_is_not() -> None:
    mark = own_mark()
    assert is_alive(mark) is True
    assert is_alive({**mark, "began": "some other time"}) is False
    assert is_alive({**mark, "pid": -1}) is False


def test_a_machine_started_anew_has_no_old_writers_and_of_another_nothing_is_known() -> None:
    mark = own_mark()
    assert is_alive({**mark, "boot": "an earlier one"}) is False
    assert is_alive({**mark, "boot": "an earlier one", "host": "elsewhere"}) is None
    assert is_alive({**mark, "namespace": "pid:[1]"}) is None
    assert is_alive({}) is None


@linux
def test_a_renamed_host_of_the_same_boot_is_the_same_machine() -> None:
    assert is_alive({**own_mark(), "host": "renamed"}) is True


@linux
def test_a_killed_child_is_dead_before_and_after_it_is_waited_for(child: "subprocess.Popen[bytes]") -> None:
    mark = {**own_mark(), "pid": child.pid, "began": process_began(child.pid)}
    assert is_alive(mark) is True
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, not yet waited for
    assert is_alive(mark) is False
    child.wait()
    assert is_alive(mark) is False


def test_the_start_time_is_found_behind_a_name_with_spaces_and_brackets(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    rest = " ".join(str(field) for field in range(4, 53))
    (tmp_path / "7" / "stat").write_text(f"7 (a ) b (c) S {rest}\n")
    assert began_by_proc(7, tmp_path) == "22"
    (tmp_path / "7" / "stat").write_text(f"7 (a) Z {rest}\n")
    assert began_by_proc(7, tmp_path) is None
    assert began_by_proc(8, tmp_path) is None


def test_without_proc_ps_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers = {"1": "Ss   Sun Nov 24 03:26:00 2024\n", "2": "Z+ Sun Nov 24 03:26:00 2024\n", "3": ""}

    def run(words: list[str], **_: Any) -> Any:
        return subprocess.CompletedProcess(words, 0, stdout=answers[words[-1]])

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(liveness, "_PROC", tmp_path)
    assert process_began(1) == "Sun Nov 24 03:26:00 2024"
    assert began_by_ps(2) is None
    assert began_by_ps(3) is None
    assert liveness._machine(tmp_path)["boot"] == ""
    assert liveness._machine(tmp_path)["namespace"] == ""


class Function:
    """A function of a loaded library: callable, and its result type can be set."""

    def __init__(self, answer: Any) -> None:
        self.restype: Any = None
        self._answer = answer

    def __call__(self, *arguments: Any) -> Any:
        return self._answer(*arguments)


class Kernel32:
    """Windows' library as far as it is asked here; process 5 runs, 6 has ended, 7 is not ours to ask."""

    def __init__(self) -> None:
        self.open: list[int] = []
        self.OpenProcess = Function(self._open)

    def _open(self, _access: int, _inherit: bool, pid: int) -> int:
        if pid not in (5, 6, 7):
            return 0
        self.open.append(pid)
        return pid

    def GetProcessTimes(self, handle: ctypes.c_void_p, created: Any, *_: Any) -> int:
        ctypes.cast(created, ctypes.POINTER(ctypes.c_uint64))[0] = 133_700_000_000_000_000
        return int(handle.value != 7)

    def GetExitCodeProcess(self, handle: ctypes.c_void_p, code: Any) -> int:
        ctypes.cast(code, ctypes.POINTER(ctypes.c_uint32))[0] = 259 if handle.value == 5 else 0
        return 1

    def CloseHandle(self, handle: ctypes.c_void_p) -> None:
        self.open.remove(handle.value or 0)


def test_on_windows_the_creation_time_is_asked_of_the_system() -> None:
    kernel32 = Kernel32()
    assert began_on_windows(5, kernel32) == "133700000000000000"
    assert [began_on_windows(pid, kernel32) for pid in (6, 7, 8)] == [None, None, None]
    assert kernel32.open == [], "every handle is given back"


def test_windows_is_chosen_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "WinDLL", lambda name: Kernel32(), raising=False)
    assert process_began(5) == "133700000000000000"
