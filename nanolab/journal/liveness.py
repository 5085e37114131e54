"""Is the process that writes a run still there? Decided by its number *and* the moment it began.

A process number alone is used again sooner or later. Number and moment together name one process of one boot
of one machine. Seen from another machine (a network share) nothing can be said: then the answer is None.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PROC = Path("/proc")
_STILL_ACTIVE = 259
_QUERY_LIMITED_INFORMATION = 0x1000


def own_mark() -> dict[str, Any]:
    """Return what identifies this process: pid, the moment it began, host, boot, process namespace."""
    return {"pid": os.getpid(), "began": process_began(os.getpid()), **_machine()}


def is_alive(mark: Mapping[str, Any]) -> bool | None:
    """Say whether the process of `mark` (see `own_mark`) is there; None if that cannot be seen from here."""
    here = _machine()
    same_boot = bool(here["boot"]) and mark.get("boot") == here["boot"]
    if not same_boot and mark.get("host") != here["host"]:
        return None
    if mark.get("boot") != here["boot"]:
        return False  # this machine, started anew since
    if mark.get("namespace") != here["namespace"]:
        return None  # another container: its process numbers mean nothing here
    began = process_began(int(mark["pid"]))
    return began is not None and began == mark.get("began")


def _machine(proc: Path = _PROC) -> dict[str, str]:
    boot = proc / "sys/kernel/random/boot_id"
    namespace = proc / "self/ns/pid"
    return {
        "host": platform.node(),
        "boot": boot.read_text().strip() if boot.exists() else "",
        "namespace": str(namespace.readlink()) if namespace.is_symlink() else "",
    }


def process_began(pid: int) -> str | None:
    """Return a text for the moment the process began; None where there is no such process (any more)."""
    if sys.platform == "win32":
        import ctypes

        return began_on_windows(pid, ctypes.WinDLL("kernel32"))
    if (_PROC / "self/stat").exists():
        return began_by_proc(pid, _PROC)
    return began_by_ps(pid)


def began_by_proc(pid: int, proc: Path) -> str | None:
    """Read the start time, in ticks since boot, from ``/proc/<pid>/stat`` (proc_pid_stat(5), field 22)."""
    try:
        stat = (proc / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(b")")[2].split()
    # a killed child that its parent has not yet waited for writes nothing any more
    return None if fields[0] in b"ZX" else fields[19].decode("ascii")


def began_by_ps(pid: int) -> str | None:
    """Ask ``ps`` for state and start time, where there is no /proc (macOS)."""
    answer = subprocess.run(
        ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        timeout=10.0,
        env={**os.environ, "LC_ALL": "C"},
    )
    state, _, began = answer.stdout.strip().partition(" ")
    return None if not began or state.startswith("Z") else began.strip()


def began_on_windows(pid: int, kernel32: Any) -> str | None:
    """Ask Windows for the creation time (GetProcessTimes); `kernel32` is the loaded library."""
    import ctypes

    kernel32.OpenProcess.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel32.OpenProcess(_QUERY_LIMITED_INFORMATION, False, pid))
    if not handle:
        return None
    try:
        times = (ctypes.c_uint64 * 4)()
        pointers = [ctypes.byref(times, 8 * index) for index in range(4)]
        code = ctypes.c_uint32()
        known = kernel32.GetProcessTimes(handle, *pointers) and kernel32.GetExitCodeProcess(handle, ctypes.byref(code))
        return str(times[0]) if known and code.value == _STILL_ACTIVE else None
    finally:
        kernel32.CloseHandle(handle)
