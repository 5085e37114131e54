"""The line to a laser as the guardian holds it: bytes out, bytes in, and no call that waits.

Plain sockets and serial ports (POSIX) never block. VISA: on sockets of pyvisa-py every call is preceded by a look at the
socket, so that it never blocks either; elsewhere (USBTMC, GPIB) reads and writes block for at most `VISA_CALL_S` each,
and reads are tried only while an answer is owed. That was not tried on hardware.
"""

import contextlib
import importlib
import os
import select
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from nanolab.safety.recipe import LineRecipe

CONNECT_S = 0.5
"""Wall time to open a connection; off cannot be sent while none is open."""

VISA_CALL_S = 0.02
"""Longest wall time of one VISA read or write where the library blocks (USBTMC, GPIB)."""

ANSWER_OWED_S = 5.0
"""How long after a question an answer is looked for where reads block."""

CHUNK = 1 << 16


class Port(Protocol):
    """One open connection. ConnectionError, with words, from whatever shows that it is gone."""

    def fileno(self) -> int | None:
        """Return what to select on; None where one has to ask from time to time."""

    def send(self, data: bytes, *, urgent: bool = False) -> None:
        """Send, behind what has not left yet; `urgent` drops that first."""

    def flush(self) -> None:
        """Send what has not left yet, as far as it goes."""

    @property
    def owes(self) -> int:
        """Number of bytes that have not left yet."""

    def receive(self) -> bytes:
        """Return what has arrived, empty where nothing has."""

    def forget(self) -> bool:
        """Drop what the instrument still owes; False where only a new connection does that."""

    def close(self) -> None:
        """Close; never raises."""


class _Buffered:
    """What has not left yet is kept until it can."""

    def __init__(self) -> None:
        self._out = b""

    @property
    def owes(self) -> int:
        """Number of bytes that have not left yet."""
        return len(self._out)

    def send(self, data: bytes, *, urgent: bool = False) -> None:
        """Send, behind what has not left yet; `urgent` drops that first."""
        self._out = data if urgent else self._out + data
        self.flush()

    def flush(self) -> None:
        """Send what has not left yet, as far as it goes."""
        if self._out:
            try:
                self._out = self._out[self._write(self._out) :]
            except BlockingIOError:
                return
            except OSError as error:
                raise ConnectionError(f"the laser's line does not take what is sent ({error})") from error

    def _write(self, data: bytes) -> int:
        """Return how many bytes have left."""
        raise NotImplementedError


class SocketPort(_Buffered):
    """A TCP connection to ``tcp://host:port``."""

    def __init__(self, address: str) -> None:
        super().__init__()
        host, _, port = address.partition("://")[2].rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=CONNECT_S)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setblocking(False)
        except OSError:  # it has been closed at once
            self._socket.close()
            raise

    def fileno(self) -> int | None:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def _write(self, data: bytes) -> int:
        return self._socket.send(data)

    def receive(self) -> bytes:
        """Return what has arrived."""
        try:
            data = self._socket.recv(CHUNK)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise ConnectionError(f"the connection to the laser is broken ({error})") from error
        if not data:
            raise ConnectionError("the laser closed the connection")
        return data

    def forget(self) -> bool:
        """Return False: what is under way would still arrive."""
        return False

    def close(self) -> None:
        """Close."""
        self._socket.close()


class SerialPort(_Buffered):
    """A serial port through pyserial, 8N1, held alone."""

    def __init__(self, address: str, line: "LineRecipe") -> None:
        super().__init__()
        serial: Any = importlib.import_module("serial")
        self._port: Any = serial.Serial(address, line.baudrate, timeout=0, write_timeout=0, exclusive=True)
        # pyserial spins where the line is full; on POSIX we write ourselves
        self._descriptor: int | None = getattr(self._port, "fd", None)

    def fileno(self) -> int | None:
        """Return the port's descriptor (POSIX), None elsewhere."""
        return self._descriptor

    def _write(self, data: bytes) -> int:
        return int(self._port.write(data)) if self._descriptor is None else os.write(self._descriptor, data)

    def receive(self) -> bytes:
        """Return what has arrived."""
        try:
            return bytes(self._port.read(CHUNK))
        except OSError as error:
            raise ConnectionError(f"the laser's serial port is gone ({error})") from error

    def forget(self) -> bool:
        """Drop what has arrived; what is under way cannot be stopped on a serial line, opened anew or not."""
        with contextlib.suppress(OSError):
            self._port.reset_input_buffer()
        return True

    def close(self) -> None:
        """Close."""
        with contextlib.suppress(OSError):
            self._port.close()


def visa_name(address: str) -> str:
    """Return the VISA resource name of `address`: ``tcp://host:port`` becomes a SOCKET resource."""
    if not address.startswith("tcp://"):
        return address
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return f"TCPIP0::{host}::{port}::SOCKET"


def _pyvisa() -> Any:
    """Import pyvisa without numpy, where that is not there yet: 0.1 s and 30 MB that nobody here needs."""
    if "numpy" in sys.modules:
        return importlib.import_module("pyvisa")
    sys.modules["numpy"] = None  # type: ignore[assignment]  # this is how an import is refused
    try:
        return importlib.import_module("pyvisa")
    finally:
        del sys.modules["numpy"]


def load_library(line: "LineRecipe") -> None:
    """Import now what `open_port` will need, so that going off does not wait for it. Never raises."""
    with contextlib.suppress(Exception):
        if line.kind == "visa":
            _pyvisa().ResourceManager("@py")
        else:
            importlib.import_module("serial")


class VisaPort(_Buffered):
    """A VISA resource; sockets through pyvisa-py, everything else through the VISA that is installed."""

    def __init__(self, address: str) -> None:
        super().__init__()
        pyvisa = _pyvisa()
        StatusCode = pyvisa.constants.StatusCode
        self._errors = pyvisa.VisaIOError
        self._timed_out = StatusCode.error_timeout
        self._owed_until = 0.0
        self._peer: socket.socket | None = None
        self._kept = contextlib.ExitStack()
        name = visa_name(address)
        on_socket = name.upper().endswith("::SOCKET")
        manager = pyvisa.ResourceManager("@py" if on_socket else "")
        self._resource: Any = manager.open_resource(name, open_timeout=int(CONNECT_S * 1000))
        self._kept.callback(self._resource.close)
        try:
            self._kept.enter_context(self._resource.ignore_warning(StatusCode.success_max_count_read))
            self._prepare(self._resource, on_socket)
        except BaseException:
            self.close()
            raise

    def _prepare(self, resource: Any, on_socket: bool) -> None:
        resource.read_termination = resource.write_termination = None
        resource.timeout = int(VISA_CALL_S * 1000)
        if on_socket:
            self._peer = resource.visalib.sessions[resource.session].interface
            self._check_connected(self._peer)

    def _check_connected(self, peer: Any) -> None:
        # pyvisa-py takes a refused connection for an open one
        refused = peer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if refused:
            raise ConnectionError(f"the connection is refused or failed (error {refused})")
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self) -> int | None:
        """Return the socket's descriptor; None on USB and GPIB."""
        return None if self._peer is None else self._peer.fileno()

    def _write(self, data: bytes) -> int:
        # pyvisa-py waits without end for a socket that cannot be written to
        if self._peer is not None and not select.select([], [self._peer], [], 0.0)[1]:
            return 0
        try:
            self._resource.write_raw(data)
        except self._errors as error:
            raise ConnectionError(f"VISA could not send ({error})") from error
        if b"?" in data:
            self._owed_until = time.monotonic() + ANSWER_OWED_S
        return len(data)

    def receive(self) -> bytes:
        """Return what has arrived."""
        try:
            return self._from_message() if self._peer is None else self._from_socket(self._peer)
        except (OSError, self._errors) as error:
            raise ConnectionError(f"the connection to the laser is broken ({error})") from error

    def _from_socket(self, peer: socket.socket) -> bytes:
        """Take exactly what is there: one byte more, and pyvisa-py would wait for it."""
        if not select.select([peer], [], [], 0.0)[0]:
            return b""
        there = peer.recv(CHUNK, socket.MSG_PEEK)
        if not there:
            raise ConnectionError("the laser closed it")
        data, _status = self._resource.visalib.read(self._resource.session, len(there))
        return bytes(data)

    def _from_message(self) -> bytes:
        """Ask for one message where one is owed: a read that nobody owes an answer to is an error to USBTMC."""
        if time.monotonic() >= self._owed_until:
            return b""
        try:
            message = bytes(self._resource.read_raw())
        except self._errors as error:
            if error.error_code != self._timed_out:
                raise
            return b""
        self._owed_until = 0.0
        return message if message.endswith(b"\n") else message + b"\n"

    def forget(self) -> bool:
        """Send a device clear where there is one."""
        if self._peer is not None:
            return False
        with contextlib.suppress(OSError, self._errors):
            self._resource.clear()
        return True

    def close(self) -> None:
        """Close."""
        with contextlib.suppress(Exception):
            self._kept.close()


def open_port(address: str, line: "LineRecipe") -> Port:
    """Open the connection that a recipe describes, within `CONNECT_S`; ConnectionError with words."""
    try:
        if line.kind == "visa":
            return VisaPort(address)
        if address.startswith(("tcp://", "socket://")):
            return SocketPort(address)
        return SerialPort(address, line)
    except Exception as error:
        # VISA libraries, a port that is no number, a missing package: each raises its own kind, and off needs a sentence
        raise ConnectionError(f"{address} cannot be opened ({error})") from error
