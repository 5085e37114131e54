"""A light Bluesky status: finished once by whoever comes first, without a thread of its own."""

from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Any


class Status:
    """What `set` and `trigger` return; keeps `bluesky.protocols.Status`.

    ophyd's own status starts a thread each time, which is too costly for readings many times a second. This one
    uses raw locks only: a signal handler may interrupt any of its methods and use another status at once.
    """

    def __init__(self) -> None:
        self._claim = Lock()
        self._gate = Lock()
        self._gate.acquire()
        self._done = False
        self._exception: BaseException | None = None
        self._result: Any = None
        self._callbacks: deque[Callable[[Any], None]] = deque()

    @property
    def done(self) -> bool:
        """True once finished, well or badly."""
        return self._done

    @property
    def success(self) -> bool:
        """True once finished without an error."""
        return self._done and self._exception is None

    def add_callback(self, callback: Callable[[Any], None]) -> None:
        """Call `callback(status)` when finished; at once where it already is."""
        self._callbacks.append(callback)
        if self._done:
            self._call_back()

    def exception(self, timeout: float | None = 0.0) -> BaseException | None:
        """Return what went wrong, or None; TimeoutError where not finished within `timeout` s (None: no limit)."""
        if not self._done:
            self._await(timeout)
        return self._exception

    def wait(self, timeout: float | None = None) -> None:
        """Wait until finished; raises what went wrong, or TimeoutError after `timeout` seconds (None: no limit)."""
        error = self.exception(timeout)
        if error is not None:
            raise error

    def result(self, timeout: float | None = None) -> Any:
        """Wait until finished and return what the work returned; raises as `wait` does."""
        self.wait(timeout)
        return self._result

    def finish(self, error: BaseException | None = None, result: Any = None) -> bool:
        """Finish; only the first call counts. Returns whether this was it."""
        if not self._claim.acquire(blocking=False):
            return False
        self._exception = error
        self._result = result
        self._done = True
        self._gate.release()
        self._call_back()
        return True

    def _await(self, timeout: float | None) -> None:
        if not self._gate.acquire(timeout=-1 if timeout is None else timeout):
            raise TimeoutError(f"not finished within {timeout} s")
        self._gate.release()

    def _call_back(self) -> None:
        # both the finisher and a late `add_callback` may get here: each callback is taken out exactly once
        while True:
            try:
                callback = self._callbacks.popleft()
            except IndexError:
                return
            callback(self)
