"""A server that plays a literal transcript of bytes, for instruments whose messages do not end with a line end."""

import contextlib
import select
import socket
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

Step = tuple[bytes, bytes]
"""Bytes that must come, and the bytes that answer them (empty: silence)."""


class ScriptedBytes:
    """Plays (bytes expected, bytes to reply) in this order on a free TCP port, over any connection; a context manager.

    Leaving it raises AssertionError where bytes came that were not expected, or expected ones did not come.
    """

    def __init__(self, transcript: Sequence[Step]) -> None:
        self._script = list(transcript)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        """The port that is served."""
        self._bell, self._bell_end = socket.socketpair()
        self._received: dict[socket.socket, bytes] = {}
        self.connections: list[socket.socket] = []
        """Every connection in the order of their arrival."""
        self.errors: list[str] = []
        """What came and was not expected."""
        self._thread = threading.Thread(target=self._serve, name="nanolab-byte-server", daemon=True)

    @property
    def address(self) -> str:
        """Address for a driver: ``tcp://127.0.0.1:port``."""
        return f"tcp://127.0.0.1:{self.port}"

    def expect(self, *steps: Step) -> None:
        """Add steps to the end of the transcript."""
        self._script.extend(steps)

    def push(self, data: bytes) -> None:
        """Send bytes that nobody asked for on the newest connection."""
        self.connections[-1].sendall(data)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bell.close()
        self._thread.join()
        self._bell_end.close()
        self._listener.close()
        for connection in self.connections:
            connection.close()
        if kind is None and self.errors:
            raise AssertionError("; ".join(self.errors))
        if kind is None and self._script:
            raise AssertionError(f"never sent: {[expected for expected, _reply in self._script]}")

    def _serve(self) -> None:
        while True:
            ready = select.select([self._bell_end, self._listener, *self._received], [], [])[0]
            for item in ready:
                if item is self._bell_end:
                    return
                if item is self._listener:
                    connection = self._listener.accept()[0]
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.connections.append(connection)
                    self._received[connection] = b""
                else:
                    self._receive(item)

    def _receive(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(4096)
        except OSError:
            data = b""
        if not data:
            self._received.pop(connection)
            return
        self._received[connection] += data
        while self._received[connection]:
            came = self._received[connection]
            expected, reply = self._script[0] if self._script else (b"", b"")
            if not self._script or not (came.startswith(expected) or expected.startswith(came)):
                self.errors.append(f"{came!r} came, {expected!r} was expected")
                self._received[connection] = b""
                return
            if len(came) < len(expected):
                return
            self._script.pop(0)
            self._received[connection] = came[len(expected) :]
            with contextlib.suppress(OSError):
                connection.sendall(reply)
