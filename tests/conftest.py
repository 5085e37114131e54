"""No thread, process or socket outlives its test."""

import gc
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

BLUESKY_THREADS = ("bluesky-run-engine",)
"""bluesky's own threads, by name: its event loop lives as long as the process."""

GRACE_S = 5.0
"""What was told to end may take this long; waited for only where something is still there."""


def _threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if not thread.name.startswith(BLUESKY_THREADS)}


def _children() -> set[int]:
    if not sys.platform.startswith("linux"):
        return set()
    found: set[int] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        try:
            found.update(int(pid) for pid in task.read_text().split())
        except OSError:  # the thread has just ended
            continue
    return found


def _sockets() -> set[str]:
    """Descriptors of network sockets; bluesky's event loop keeps a pair of its own, which is no network."""
    if not sys.platform.startswith("linux"):
        return set()
    network = {line.split()[9] for name in ("tcp", "tcp6", "udp") for line in _lines(Path("/proc/net") / name)}
    found: set[str] = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:  # the listing's own descriptor
            continue
        if target.startswith("socket:[") and target[8:-1] in network:
            found.add(target)
    return found


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()[1:] if path.exists() else []


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """Fail a test that leaves a thread, a child process or a socket open."""
    threads, children, sockets = _threads(), _children(), _sockets()
    yield
    deadline = time.monotonic() + GRACE_S
    while True:
        left = {
            "threads": sorted(thread.name for thread in _threads() - threads),
            "processes": sorted(_children() - children),
            "sockets": sorted(_sockets() - sockets),
        }
        if not any(left.values()):
            return
        if time.monotonic() > deadline:
            pytest.fail("left behind: " + ", ".join(f"{kind} {names}" for kind, names in left.items() if names))
        gc.collect()
        time.sleep(0.01)
