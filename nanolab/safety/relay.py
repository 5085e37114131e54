"""The run's way to the laser through the guardian: a loopback port for one client, whole lines only.

A command that a dying run had half sent never reaches the laser, and nothing that the run has sent does once the relay is
fenced. Nothing here waits.
"""

import contextlib
import selectors
import socket
from collections.abc import Callable

from nanolab.safety.off import LaserLine

CHUNK = 1 << 16
MOST_KEPT = 1 << 18
"""A client that does not read, or sends no line end, or more than the laser takes, is dropped at so many bytes."""


class Relay:
    """Hands the run's lines to the laser and the laser's bytes to the run.

    Parameters
    ----------
    selector : BaseSelector
        The guardian's; what is registered carries a function of the events as data.
    line : LaserLine
        The open line to the laser.
    broken : callable
        Told in words where the laser's connection turns out to be gone.
    """

    def __init__(self, selector: selectors.BaseSelector, line: LaserLine, broken: Callable[[str], None]) -> None:
        self._selector = selector
        self._line = line
        self._broken = broken
        self._end = line.recipe.line.write.encode("ascii")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self._client: socket.socket | None = None
        self._from_client = b""
        self._to_client = b""
        self.owed = False
        """True while the last line of the run has not been answered (it may be one that never is)."""
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def _accept(self, _events: int) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return  # it has gone again
        if self._client is not None:
            # the old one may have gone without our having looked
            self._read_client(selectors.EVENT_READ)
        if self._client is not None:
            client.close()
            return
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client, self._from_client, self._to_client = client, b"", b""
        self._selector.register(client, selectors.EVENT_READ, self._read_client)
        self._start_afresh()

    def _start_afresh(self) -> None:
        """Let no answer to the client before this one reach it."""
        try:
            self._line.lines()
            self._line.drop_half()
            if self.owed and not self._line.held().forget():
                self._line.open()
        except ConnectionError as error:
            self._broken(str(error))
        self.owed = False

    def _read_client(self, events: int) -> None:
        client = self._client
        if client is None:
            return
        if events & selectors.EVENT_WRITE:
            self._send(client)
        try:
            data = client.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.drop_client()
            return
        *whole, self._from_client = (self._from_client + data).split(self._end)
        try:
            port = self._line.held()
            for line in whole:
                port.send(line + self._end)
                self.owed = True
            too_much = max(len(self._from_client), port.owes) > MOST_KEPT
        except ConnectionError as error:
            self._broken(str(error))
            return
        if too_much:
            self.drop_client()

    def deliver(self, data: bytes) -> None:
        """Hand what the laser has sent to the run; nobody there: it is lost, as on a port that is not open."""
        if self._line.recipe.line.read.encode("ascii") in data:
            self.owed = False
        client = self._client
        if client is not None:
            self._to_client += data
            self._send(client)

    def _send(self, client: socket.socket) -> None:
        try:
            self._to_client = self._to_client[client.send(self._to_client) :]
        except BlockingIOError:
            pass
        except OSError:
            self.drop_client()
            return
        if len(self._to_client) > MOST_KEPT:
            self.drop_client()
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._to_client else 0)
        self._selector.modify(client, events, self._read_client)

    def drop_client(self) -> None:
        """Close the run's connection, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            self._selector.unregister(client)
            client.close()

    def fence(self) -> None:
        """Close the run's connection and the door to it: from now on the run can send nothing. May be repeated."""
        self.drop_client()
        if self._listener.fileno() >= 0:
            with contextlib.suppress(KeyError):
                self._selector.unregister(self._listener)
            self._listener.close()
