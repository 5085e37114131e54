"""VISA as the transport of a link: sockets through pyvisa-py, everything else through the VISA that is installed.

Reading. pyvisa-py's socket reads spin at full load until the time-out when the peer has closed, never look at the
time while bytes trickle in, and its device clear never returns on a closed peer. So on its sockets we wait on the
socket itself, look (without taking) at how much of the line is there, and then let pyvisa take exactly that much:
one call a line, no byte left over, a deadline that holds, a closed peer seen at once.
"""

import contextlib
import select
import socket
import time
from dataclasses import dataclass
from typing import Any

import pyvisa
from pyvisa.constants import StatusCode

from devices.transport import NoReplyError

LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class LineSettings:
    """How lines end on one class of VISA resource; ``read`` None where the bus itself marks the end (USBTMC, GPIB)."""

    write: str = "\n"
    read: str | None = "\n"


LINE_SETTINGS = {"SOCKET": LineSettings(), "ASRL": LineSettings(), "INSTR": LineSettings(read=None)}
"""By resource class; a driver may hand in its own."""


def visa_address(address: str) -> str:
    """Return the VISA resource name of `address`: ``tcp://host:port`` becomes a SOCKET resource."""
    if not address.startswith("tcp://"):
        return address
    host, _, port = address[len("tcp://") :].rpartition(":")
    return f"TCPIP0::{host}::{port}::SOCKET"


def resource_class(resource: str) -> str:
    """Return SOCKET, ASRL or INSTR: what decides how lines end."""
    upper = resource.upper()
    if upper.endswith("::SOCKET"):
        return "SOCKET"
    return "ASRL" if upper.startswith("ASRL") else "INSTR"


def load_backend(address: str) -> None:
    """Import the backend of an address now: within the deadline of a first connection a busy computer may not do it."""
    if resource_class(visa_address(address)) == "SOCKET":
        pyvisa.ResourceManager("@py")


class VisaTransport:
    """Lines over one VISA resource. Keeps `devices.transport.Transport`.

    Parameters
    ----------
    address : str
        A VISA resource name or ``tcp://host:port``.
    lines : LineSettings or None
        Terminators in place of those of the resource's class.
    """

    def __init__(self, address: str, lines: LineSettings | None = None) -> None:
        self._resource_name = visa_address(address)
        self._class = resource_class(self._resource_name)
        self._lines = lines or LINE_SETTINGS[self._class]
        self._resource: Any = None
        self._socket: socket.socket | None = None
        self._timeout_ms = -1
        self._kept = contextlib.ExitStack()

    def open(self, deadline_s: float) -> None:
        """Connect within `deadline_s`; ConnectionError with words."""
        # a socket needs no installed VISA library, and looking for one takes a while
        library = "@py" if self._class == "SOCKET" else ""
        milliseconds = max(1, int(deadline_s * 1000))
        try:
            self._check_socket_name()
            self._resource = pyvisa.ResourceManager(library).open_resource(
                self._resource_name, open_timeout=milliseconds
            )
            self._prepare()
        except Exception as error:
            self.close()
            raise ConnectionError(f"{self._resource_name}: {_words(error)}") from error

    def _check_socket_name(self) -> None:
        """Look the host up first: pyvisa-py forgets to close its socket where the name is unknown."""
        if self._class == "SOCKET":
            _board, host, port, _socket = self._resource_name.split("::")
            socket.getaddrinfo(host, int(port), socket.AF_INET, socket.SOCK_STREAM)

    def _prepare(self) -> None:
        resource = self._resource
        resource.write_termination = ""
        resource.read_termination = self._lines.read
        self._timeout_ms = -1
        self._kept.enter_context(resource.ignore_warning(StatusCode.success_max_count_read))
        session = getattr(resource.visalib, "sessions", {}).get(resource.session)
        interface = getattr(session, "interface", None)
        if self._class == "SOCKET" and isinstance(interface, socket.socket):
            refused = interface.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if refused:
                raise OSError(refused, f"the connection is refused or failed (error {refused})")
            interface.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = interface

    def close(self) -> None:
        """Close; never raises."""
        resource, self._resource, self._socket = self._resource, None, None
        if resource is not None:
            with contextlib.suppress(Exception):
                self._kept.close()
            with contextlib.suppress(Exception):
                resource.close()

    def write(self, data: bytes) -> None:
        """Send one line, which ends with a newline; ConnectionError with words."""
        if self._lines.write != "\n":
            data = data[:-1] + self._lines.write.encode("ascii")
        try:
            self._resource.write_raw(data)
        except (OSError, pyvisa.VisaIOError) as error:
            raise ConnectionError(_words(error)) from error

    def read_line(self, deadline_s: float) -> bytes:
        """Return one line without its terminator; NoReplyError, ConnectionError."""
        return self._read_socket(deadline_s) if self._socket is not None else self._read_message(deadline_s)

    def _read_message(self, deadline_s: float) -> bytes:
        milliseconds = max(1, int(deadline_s * 1000))
        try:
            if milliseconds != self._timeout_ms:
                self._resource.timeout = milliseconds
                self._timeout_ms = milliseconds
            return bytes(self._resource.read_raw()).rstrip(b"\r\n")
        except pyvisa.VisaIOError as error:
            if error.error_code == StatusCode.error_timeout:
                raise NoReplyError from error
            raise ConnectionError(_words(error)) from error
        except OSError as error:
            raise ConnectionError(_words(error)) from error

    def _read_socket(self, deadline_s: float) -> bytes:
        limit = time.monotonic() + deadline_s
        line = b""
        while True:
            there = self._look(max(0.0, limit - time.monotonic()))
            if there is None or len(line) > LONGEST_LINE:
                raise NoReplyError(line)
            if not there:
                where = " in the middle of a line" if line else ""
                raise ConnectionError(f"the instrument closed the connection{where}")
            end = there.find(b"\n") + 1
            line += self._take(end or len(there))
            if end:
                return line.rstrip(b"\r\n")

    def _look(self, wait_s: float) -> bytes | None:
        """Return what has arrived without taking it; None where nothing came, empty where the peer closed."""
        peer = self._socket
        if peer is None or not select.select([peer], [], [], wait_s)[0]:
            return None
        try:
            return peer.recv(1 << 16, socket.MSG_PEEK)
        except OSError as error:
            raise ConnectionError(_words(error)) from error

    def _take(self, count: int) -> bytes:
        data, _status = self._resource.visalib.read(self._resource.session, count)
        return bytes(data)

    def unasked(self) -> bool:
        """Return True where bytes wait that nobody asked for, or the peer has closed (sockets only)."""
        if self._socket is None:
            return False
        try:
            return self._look(0.0) is not None
        except ConnectionError:
            return True

    def clear(self) -> bool:
        """Clear the device where its bus can; False on sockets and serial lines, where only a reopening is sure."""
        if self._class != "INSTR":
            return False
        try:
            self._resource.clear()
        except (OSError, pyvisa.VisaIOError):
            return False
        return True


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
