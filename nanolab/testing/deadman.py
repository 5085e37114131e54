"""A stand-in for the guardian's toggles, so that a driver behind a dead-man box can be tested."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

from nanolab.safety.deadman import next_counter, toggle_frame

EVERY_S = 0.08


class Toggler:
    """Toggles through a connection of its own, from a thread, until it is left; a context manager.

    It toggles more often than a guardian, so that a busy machine does not trip the box. Not for use with a laser: a thread goes on toggling while the program's real work hangs.

    Parameters
    ----------
    address : str
        ``host:port`` of a simulated box.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), 5.0)
        self._end = threading.Event()
        self._silent = threading.Event()
        self._two_sent = threading.Event()
        self._to_send = 2
        self._thread = threading.Thread(target=self._toggle, name="nanolab-toggler", daemon=True)

    def pause(self) -> None:
        """Send no more toggles until `go_on`."""
        self._silent.set()

    def go_on(self) -> None:
        """Toggle again (or on), and return when the box has been sent the two more toggles that arming needs."""
        self._two_sent.clear()
        self._to_send = 2
        self._silent.clear()
        self._two_sent.wait(5.0)

    def __enter__(self) -> Self:
        self._thread.start()
        self.go_on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        self._socket.close()

    def _toggle(self) -> None:
        counter = 0
        while not self._end.wait(EVERY_S):
            if self._silent.is_set():
                continue
            # a box that has vanished hears nothing
            with contextlib.suppress(OSError):
                self._socket.sendall(toggle_frame(counter))
            counter = next_counter(counter)
            self._to_send -= 1
            if self._to_send <= 0:
                self._two_sent.set()
