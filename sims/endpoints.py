"""Where clients come in: TCP listeners and pseudo-terminals, and what one connection does.

Everything runs in the server's one `selectors` loop. Replies leave in order; one that is late holds back
those after it, as on a real line. A connection that is not read from is closed once it owes 8 MiB.
"""

import os
import selectors
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from sims.instruments.base import Reply, Session

_CHUNK = 65536
_OWED_LIMIT = 8 * 1024 * 1024


class Loop(Protocol):
    """What a connection asks of the server that it belongs to."""

    selector: selectors.BaseSelector

    def before_exchange(self) -> None:
        """Bring lab time up to date; called before bytes reach a session."""

    def after_exchange(self, connection: "Connection") -> None:
        """Look at sessions that wait; called after a session has been fed."""

    def schedule(self, wall_s: float, connection: "Connection") -> None:
        """Call `connection.flush()` when `wall_s` (monotonic) has come."""

    def forget(self, connection: "Connection") -> None:
        """Drop a connection that has ended."""


class Channel(Protocol):
    """Bytes to and from one client; non-blocking."""

    def fileno(self) -> int:
        """Return the descriptor to select on."""

    def recv(self, size: int) -> bytes:
        """Return what is there; empty at the end; BlockingIOError where there is nothing."""

    def send(self, data: bytes) -> int:
        """Send what fits; return how much it was."""

    def close(self) -> None:
        """Close the channel."""


class Connection:
    """One client: reads, feeds its session, sends the replies when they are due."""

    def __init__(self, loop: Loop, channel: Channel, session: Session) -> None:
        self.session = session
        self._loop = loop
        self._channel = channel
        self._queue: deque[tuple[float, bytes, bool]] = deque()
        self._owed = 0
        self._open = True
        self._writing = False
        loop.selector.register(channel.fileno(), selectors.EVENT_READ, self.ready)

    @property
    def is_open(self) -> bool:
        """Whether the connection still stands."""
        return self._open

    def ready(self, events: int) -> None:
        """Do what the selector says is possible."""
        if events & selectors.EVENT_WRITE:
            self.flush()
        if events & selectors.EVENT_READ and self._open:
            self._read()

    def _read(self) -> None:
        try:
            data = self._channel.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._loop.before_exchange()
        self.deliver(self.session.feed(data))
        self._loop.after_exchange(self)

    def deliver(self, replies: list[Reply]) -> None:
        """Send these replies, each when it is due and none before the one ahead of it."""
        for reply in replies:
            if not self._queue and reply.after_wall_s <= 0.0 and not reply.close:
                self._send_now(reply.data)
            else:
                due = time.monotonic() + reply.after_wall_s if reply.after_wall_s > 0.0 else 0.0
                self._put(due, reply.data, reply.close)
        if self._queue:
            self.flush()

    def _send_now(self, data: bytes) -> None:
        try:
            sent = self._channel.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        if sent < len(data):
            self._put(0.0, data[sent:], False)

    def _put(self, due: float, data: bytes, close: bool) -> None:
        self._queue.append((due, data, close))
        self._owed += len(data)
        if self._owed > _OWED_LIMIT:
            self.close()

    def flush(self) -> None:
        """Send what is due by now; ask to be called again for the rest."""
        queue = self._queue
        while queue and self._open:
            due, data, close = queue[0]
            if due > time.monotonic():
                self._want_to_write(False)
                self._loop.schedule(due, self)
                return
            queue.popleft()
            self._owed -= len(data)
            try:
                sent = self._channel.send(data) if data else 0
            except BlockingIOError:
                sent = 0
            except OSError:
                self.close()
                return
            if sent < len(data):
                queue.appendleft((0.0, data[sent:], close))
                self._owed += len(data) - sent
                self._want_to_write(True)
                return
            if close:
                self.close()
        self._want_to_write(False)

    def _want_to_write(self, wanted: bool) -> None:
        if self._open and wanted != self._writing:
            self._writing = wanted
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if wanted else 0)
            self._loop.selector.modify(self._channel.fileno(), events, self.ready)

    def drop_replies(self) -> None:
        """Forget replies that have not left yet (part of a device clear)."""
        self._queue.clear()
        self._owed = 0
        self._want_to_write(False)

    def close(self) -> None:
        """End the connection; what it still owes is lost."""
        if self._open:
            self._open = False
            self._loop.selector.unregister(self._channel.fileno())
            self._channel.close()
            self._queue.clear()
            self.session.closed()
            self._loop.forget(self)


class TcpEndpoint:
    """A listener on the loopback interface; many clients, one session each.

    `alone`: one client at a time, as on a serial port behind a device server; another one is hung up on.
    """

    def __init__(self, loop: Loop, session: Callable[[], Session], port: int = 0, *, alone: bool = False) -> None:
        self._alone = alone
        self._loop = loop
        self._session = session
        self._listener: socket.socket | None = None
        self._connections: list[Connection] = []
        self.port = port
        self.open()

    @property
    def address(self) -> str:
        """Where to connect: ``host:port``."""
        return f"127.0.0.1:{self.port}"

    def open(self) -> None:
        """Listen, always on the same port once there is one. OSError where the port is taken."""
        if self._listener is not None:
            return
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if sys.platform != "win32":  # there the option would let two servers share a port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self.port))
            listener.listen(64)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._loop.selector.register(listener, selectors.EVENT_READ, self._accept)

    def _accept(self, events: int) -> None:
        if self._listener is None:
            return
        with suppress(OSError):  # the client may have gone again
            channel, _ = self._listener.accept()
            channel.setblocking(False)
            if self._alone and self._taken():
                channel.close()
                return
            channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.append(Connection(self._loop, channel, self._session()))

    def _taken(self) -> bool:
        # a client that hangs up and calls again at once has closed its first connection, only not been seen to
        for connection in self.connections():
            connection.ready(selectors.EVENT_READ)
        return bool(self.connections())

    def connections(self) -> list[Connection]:
        """Return the connections that are open."""
        self._connections = [connection for connection in self._connections if connection.is_open]
        return self._connections

    def close(self) -> None:
        """Close the listener and all connections."""
        if self._listener is not None:
            self._loop.selector.unregister(self._listener)
            self._listener.close()
            self._listener = None
        for connection in self.connections():
            connection.close()
        self._connections.clear()


class PtyEndpoint:
    """A pseudo-terminal for an instrument on a serial port (POSIX only), under a link that keeps its name.

    There is one session for as long as the terminal lives: an instrument on a serial line does not notice who
    opens the port. The server holds the far side open too; without that a closed client would look like a
    hang-up, for ever readable. Baud rate and parity mean nothing here: wrong settings go unnoticed.
    """

    def __init__(self, loop: Loop, session: Callable[[], Session], name: str) -> None:
        self._loop = loop
        self._session = session
        self._folder = tempfile.mkdtemp(prefix="nanolab-sim-")
        self._link = Path(self._folder) / name
        self._connection: Connection | None = None
        self.open()

    @property
    def path(self) -> str:
        """The path that a client opens."""
        return str(self._link)

    def open(self) -> None:
        """Make the terminal and point the link at it."""
        if self._connection is not None and self._connection.is_open:
            return
        import tty

        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(os.ttyname(slave))
        self._connection = Connection(self._loop, _PtyChannel(master, slave), self._session())

    def connections(self) -> list[Connection]:
        """Return the one connection, if it is open."""
        return [self._connection] if self._connection is not None and self._connection.is_open else []

    def close(self) -> None:
        """Hang up."""
        for connection in self.connections():
            connection.close()
        self._link.unlink(missing_ok=True)

    def remove(self) -> None:
        """Hang up for good and remove the link."""
        self.close()
        with suppress(OSError):
            Path(self._folder).rmdir()


class _PtyChannel:
    def __init__(self, master: int, slave: int) -> None:
        self._master, self._slave = master, slave

    def fileno(self) -> int:
        return self._master

    def recv(self, size: int) -> bytes:
        return os.read(self._master, size)

    def send(self, data: bytes) -> int:
        return os.write(self._master, data)

    def close(self) -> None:
        os.close(self._master)
        os.close(self._slave)
