"""Servers that stand in for a line-oriented instrument in tests: a function that answers, or a literal transcript."""

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

CLOSE = None
"""Returned by an answer function, or written into a transcript, in place of a reply: the connection is closed."""

Answer = Callable[[str], bytes | None]


class LineServer:
    """Answers lines on a free TCP port of this machine; a context manager, nothing outlives it.

    Parameters
    ----------
    answer : callable
        Takes one received line without its terminator, returns the bytes to send (empty: silence) or `CLOSE`.
    ends : bytes
        What ends a line: a newline, or a carriage return as on many serial instruments.
    """

    def __init__(self, answer: Answer, ends: bytes = b"\n") -> None:
        self._answer = answer
        self._ends = ends
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        """The port that is served."""
        self._kept = socket.socket()
        self._bell, self._bell_end = socket.socketpair()
        self._open: dict[socket.socket, bytes] = {}
        self.connections: list[socket.socket] = []
        """Every connection in the order of their arrival, closed ones too."""
        self.received: list[str] = []
        """Every line in the order of their arrival."""
        self.errors: list[str] = []
        """What the answer function raised."""
        self._thread = threading.Thread(target=self._serve, name="nanolab-line-server", daemon=True)

    @property
    def address(self) -> str:
        """Address for a driver: ``tcp://127.0.0.1:port``."""
        return f"tcp://127.0.0.1:{self.port}"

    def push(self, data: bytes, connection: int = -1) -> None:
        """Send bytes that nobody asked for (or that come late) on one of the connections."""
        self.connections[connection].sendall(data)

    def refuse(self) -> None:
        """Close everything: from now on connections are refused, and nobody else gets the port meanwhile."""
        # a socket that the thread waits on stays open in the kernel until it wakes: shut down first
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with contextlib.suppress(OSError):
            self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._kept.bind(("127.0.0.1", self.port))  # bound, and not listening
        for connection in list(self._open):
            self._drop(connection)
        self._bell.send(b"!")

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
        self._kept.close()
        for connection in self.connections:
            connection.close()
        if kind is None and self.errors:
            raise AssertionError("; ".join(self.errors))

    def _serve(self) -> None:
        while True:
            listening = [self._listener] if self._listener.fileno() >= 0 else []
            try:
                ready = select.select([self._bell_end, *listening, *self._open], [], [])[0]
            except (OSError, ValueError):
                continue  # a socket was closed by `refuse` in the meantime
            for item in ready:
                if item is self._bell_end:
                    if not item.recv(16):
                        return
                elif item is self._listener:
                    with contextlib.suppress(OSError):
                        connection = self._listener.accept()[0]
                        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        self._open[connection] = b""
                        self.connections.append(connection)
                else:
                    self._receive(item)

    def _receive(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(4096)
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            return
        *lines, self._open[connection] = (self._open[connection] + data).split(self._ends)
        for line in lines:
            text = line.decode("ascii", "backslashreplace").rstrip("\r")
            self.received.append(text)
            try:
                reply = self._answer(text)
            except Exception as error:  # noqa: BLE001 - told of when the server is left
                self.errors.append(f"{text!r}: {error}")
                reply = CLOSE
            if reply is None:
                self._drop(connection)
                return
            with contextlib.suppress(OSError):
                connection.sendall(reply)

    def _drop(self, connection: socket.socket) -> None:
        self._open.pop(connection, None)
        connection.close()


class ScriptedServer(LineServer):
    """Plays a literal transcript: (line expected, bytes to reply or `CLOSE`) in this order, over any connection.

    Leaving it raises AssertionError where a line came that was not expected, or an expected one did not come.
    """

    def __init__(self, transcript: Sequence[tuple[str, bytes | None]], ends: bytes = b"\n") -> None:
        super().__init__(self._play, ends)
        self._script = list(transcript)

    def expect(self, *steps: tuple[str, bytes | None]) -> None:
        """Add steps to the end of the transcript."""
        self._script.extend(steps)

    def _play(self, line: str) -> bytes | None:
        if not self._script:
            raise AssertionError("unexpected, the transcript is over")
        expected, reply = self._script.pop(0)
        if line != expected:
            raise AssertionError(f"unexpected, {expected!r} should have come")
        return reply

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if kind is None and self._script:
            raise AssertionError(f"never sent: {[line for line, _reply in self._script]}")
