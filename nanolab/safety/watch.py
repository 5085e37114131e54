"""The timer: looks at the interlock on wall time, whatever the plan does, for as long as it runs."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

EVERY_S = 0.25


class Looks(Protocol):
    """What the timer asks of an interlock."""

    def look(self) -> None:
        """Look once; must not raise."""


class Watch:
    """A thread that calls `look` every `every_s` of wall time between `start` and `stop`; a context manager.

    `wait` waits for an event at most so many seconds and says whether it came; a test paces the thread here.
    """

    def __init__(
        self, interlock: Looks, every_s: float = EVERY_S, wait: Callable[[threading.Event, float], bool] = threading.Event.wait
    ) -> None:  # fmt: skip
        self._interlock = interlock
        self._every_s = every_s
        self._wait = wait
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """True while the timer looks."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin to look; nothing where it does already."""
        if self._thread is None:
            self._ending.clear()
            self._thread = threading.Thread(target=self._keep_looking, name="nanolab-interlock-watch", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ending.set()
            thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _keep_looking(self) -> None:
        while not self._wait(self._ending, self._every_s):
            self._interlock.look()
