"""A serial port as the transport of a link: pyserial, real ports and ``tcp://host:port`` (pyserial's socket://) alike.

Reading. One byte a call, each with what is left of the deadline: pyserial's own `read_until` gives every byte the whole
time-out anew, so that a line that trickles in would never end.
"""

import contextlib
import time
from dataclasses import dataclass
from typing import Any

import serial

from devices.transport import NoReplyError

LONGEST_LINE = 1 << 16


@dataclass(frozen=True)
class SerialLine:
    """How an instrument's line is set and how its messages end.

    ``write`` ends what is sent, ``read`` what comes back; ``stripped`` is taken off both ends of a reply.
    """

    baudrate: int = 9600
    bytesize: int = serial.EIGHTBITS
    parity: str = serial.PARITY_NONE
    stopbits: float = serial.STOPBITS_ONE
    xonxoff: bool = False
    rtscts: bool = False
    write: bytes = b"\r"
    read: bytes = b"\n"
    stripped: bytes = b"\r\n"


def serial_url(address: str) -> str:
    """Return what pyserial opens: ``tcp://host:port`` becomes ``socket://host:port``, a port's name stays."""
    return "socket://" + address[len("tcp://") :] if address.startswith("tcp://") else address


class SerialTransport:
    """Lines over one serial port. Keeps `devices.transport.Transport`.

    Parameters
    ----------
    address : str
        A port (``/dev/ttyUSB0``, ``COM3``) or ``tcp://host:port``.
    line : SerialLine
        Settings of the line and its terminators.
    """

    def __init__(self, address: str, line: SerialLine) -> None:
        self._url = serial_url(address)
        self._line = line
        self._port: Any = None

    def open(self, deadline_s: float) -> None:
        """Open the port; ConnectionError with words. On a real port the deadline bounds writes alone."""
        line = self._line
        # a second program on the same port would take half of every reply
        only_ours = {} if "://" in self._url else {"exclusive": True}
        try:
            self._port = serial.serial_for_url(
                self._url,
                baudrate=line.baudrate,
                bytesize=line.bytesize,
                parity=line.parity,
                stopbits=line.stopbits,
                xonxoff=line.xonxoff,
                rtscts=line.rtscts,
                timeout=0.0,
                write_timeout=deadline_s,
                do_not_open=True,  # what fails half-way must be in our hands to be closed
                **only_ours,
            )
            self._port.open()
            self._port.reset_input_buffer()
        except (OSError, ValueError) as error:
            self.close()
            raise ConnectionError(f"{self._url}: {error}") from error

    def close(self) -> None:
        """Close; never raises."""
        port, self._port = self._port, None
        if port is not None:
            # pyserial leaves its socket open where the other end was reset: shutting down raises, and it stops there
            left = getattr(port, "_socket", None)
            with contextlib.suppress(Exception):
                port.close()
            if left is not None:
                left.close()

    def write(self, data: bytes) -> None:
        """Send one line, its newline replaced by the instrument's terminator; ConnectionError with words."""
        try:
            self._open_port().write(data[:-1] + self._line.write)
        except OSError as error:
            raise ConnectionError(str(error)) from error

    def read_line(self, deadline_s: float) -> bytes:
        """Return one line, stripped; NoReplyError, ConnectionError."""
        port = self._open_port()
        limit = time.monotonic() + deadline_s
        line = b""
        try:
            while not line.endswith(self._line.read):
                port.timeout = max(0.0, limit - time.monotonic())
                byte = port.read(1)
                if not byte or len(line) > LONGEST_LINE:
                    raise NoReplyError(line)
                line += byte
        except OSError as error:
            raise ConnectionError(str(error)) from error
        return line.strip(self._line.stripped)

    def unasked(self) -> bool:
        """Return True where bytes wait that nobody asked for, or the peer has closed."""
        try:
            return bool(self._open_port().in_waiting)
        except OSError:
            return True

    def clear(self) -> bool:
        """Return False: what a serial instrument still owes may come any time, only a reopening is sure."""
        return False

    def _open_port(self) -> Any:
        if self._port is None:
            raise ConnectionError("the port is closed")
        return self._port
