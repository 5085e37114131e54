"""A computer that stays awake while a laser is armed: no suspend, no idle sleep, and where it can be had no lid and no restart.

Linux: a ``systemd-inhibit`` child holds logind's lock on sleep, idle, shutdown and the lid switch. macOS: a ``caffeinate`` child holds
off system and idle sleep. Windows: a power request of this process (PowerCreateRequest). The lock goes with this process,
however it ends: the child lives on a pipe of ours, the power request on our handle table.

Tried on Linux (with a stand-in for logind). The macOS and Windows ways were written from their documentation and have not
been tried on such a computer.
"""

import ctypes
import os
import select
import subprocess
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

WHO = "nanolab"
WHY = "a laser is armed"
HELD = "held"
GRANTED_WITHIN_S = 3.0
"""Wall time for the child to say that it has the lock."""

INHIBIT = (
    "systemd-inhibit", "--what=sleep:idle:shutdown:handle-lid-switch", f"--who={WHO}", f"--why={WHY}", "--mode=block",
)  # fmt: skip
CAFFEINATE = ("caffeinate", "-i", "-s")

_UNTIL_WE_END = ("sh", "-c", f"echo {HELD}; exec cat")
"""What the child runs under its lock: says that it has it, then reads our pipe to its end."""


class SleepInhibitor(Protocol):
    """A way to keep the computer awake."""

    covers: str
    """What it prevents, and what not, in words."""

    def acquire(self) -> str | None:
        """Take the lock; return None, or why it cannot be had."""

    def held(self) -> str | None:
        """Return None while the lock is held, else why not."""

    def release(self) -> None:
        """Give the lock back. Never raises."""


class ChildInhibitor:
    """Keeps a lock that lives as long as a child process: `command` runs what follows it under the lock."""

    def __init__(self, command: Sequence[str], covers: str, within_s: float = GRANTED_WITHIN_S) -> None:
        self.covers = covers
        self._command = (*command, *_UNTIL_WE_END)
        self._within_s = within_s
        self._child: subprocess.Popen[bytes] | None = None
        self._why_not = "it was not asked for"

    def acquire(self) -> str | None:
        """Start the child and wait until it says that it has the lock."""
        if self.held() is None:
            return None
        self.release()
        try:
            self._child = subprocess.Popen(  # its own session: Ctrl-C is ours to handle
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            self._why_not = f"{self._command[0]} cannot be started ({error.strerror})"
            return self._why_not
        stdout = self._child.stdout
        said = "" if stdout is None else self._first_words(stdout.fileno())
        if said.startswith(HELD):
            return None
        self.release()
        self._why_not = f"{self._command[0]} did not get the lock ({said or 'it said nothing'})"
        return self._why_not

    def held(self) -> str | None:
        """Look whether the child lives."""
        if self._child is None:
            return self._why_not
        if self._child.poll() is None:
            return None
        return f"{self._command[0]} has ended by itself"

    def release(self) -> None:
        """Close the pipe, which ends the child; kill it where it does not."""
        child, self._child = self._child, None
        self._why_not = "it was given back"
        if child is None or child.stdin is None or child.stdout is None:
            return
        child.stdin.close()
        try:
            child.wait(self._within_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()

    def _first_words(self, descriptor: int) -> str:
        ready, _, _ = select.select([descriptor], [], [], self._within_s)
        return os.read(descriptor, 400).decode(errors="replace").strip() if ready else ""


class _ReasonContext(ctypes.Structure):
    """REASON_CONTEXT of the Windows power interface, with a simple string."""

    _fields_ = (("version", ctypes.c_ulong), ("flags", ctypes.c_ulong), ("reason", ctypes.c_wchar_p))


class WindowsInhibitor:
    """Keeps a power request of this process: the system does not sleep by itself. `kernel32` is the system's library.

    What it cannot prevent is in ``covers``.
    """

    covers = (
        "sleep by itself only: set the lid to 'do nothing' in the power options and pause Windows Update, which may restart "
        "the computer (not tried on Windows by the authors)"
    )

    def __init__(self, kernel32: Any) -> None:
        self._kernel32 = kernel32
        # a handle is as wide as a pointer: without this ctypes would cut it to 32 bits
        kernel32.PowerCreateRequest.restype = ctypes.c_void_p
        self._handle: int | None = None

    def acquire(self) -> str | None:
        """Create the request and set it."""
        if self._handle is not None:
            return None
        simple_string, system_required, invalid = 1, 1, ctypes.c_void_p(-1).value
        context = _ReasonContext(0, simple_string, WHY)
        handle = self._kernel32.PowerCreateRequest(ctypes.byref(context))
        if handle is None or handle == invalid:
            return "Windows refuses a power request"
        if not self._kernel32.PowerSetRequest(ctypes.c_void_p(handle), system_required):
            self._kernel32.CloseHandle(ctypes.c_void_p(handle))
            return "Windows does not set the power request"
        self._handle = handle
        return None

    def held(self) -> str | None:
        """A request that was set stays until it is cleared."""
        return None if self._handle is not None else "it was not asked for, or was given back"

    def release(self) -> None:
        """Clear the request and close its handle."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._kernel32.PowerClearRequest(ctypes.c_void_p(handle), 1)
            self._kernel32.CloseHandle(ctypes.c_void_p(handle))


class NoInhibitor:
    """A computer on which sleep cannot be inhibited; `why` says so."""

    covers = "nothing"

    def __init__(self, why: str) -> None:
        self._why = why

    def acquire(self) -> str | None:
        """Say why not."""
        return self._why

    def held(self) -> str | None:
        """Say why not."""
        return self._why

    def release(self) -> None:
        """Nothing is held."""


def inhibitor_for(platform: str = sys.platform, load: Callable[[str], Any] | None = None) -> SleepInhibitor:
    """Return this platform's way to keep the computer awake; `load` opens a Windows library (ctypes' own where None)."""
    if platform == "win32":
        opens = load or getattr(ctypes, "WinDLL", None)
        return NoInhibitor("ctypes has no WinDLL here") if opens is None else WindowsInhibitor(opens("kernel32"))
    if platform == "darwin":
        return ChildInhibitor(
            CAFFEINATE,
            "sleep by itself; a lid that is closed on battery and an automatic update are not prevented (not tried on macOS "
            "by the authors)",
        )
    if platform.startswith("linux"):
        return ChildInhibitor(INHIBIT, "sleep, idle, shutdown and restart, closing the lid")
    return NoInhibitor(f"nothing is known of how to keep a computer of kind '{platform}' awake")


class Awake:
    """Keeps the computer awake within a block; where that cannot be had, `held` says why, and nothing is raised."""

    def __init__(self, inhibitor: SleepInhibitor | None = None) -> None:
        self._inhibitor = inhibitor_for() if inhibitor is None else inhibitor

    @property
    def covers(self) -> str:
        """What is prevented, in words."""
        return self._inhibitor.covers

    def held(self) -> str | None:
        """Return None while the computer is kept awake, else why it is not."""
        return self._inhibitor.held()

    def __enter__(self) -> Self:
        self._inhibitor.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._inhibitor.release()
