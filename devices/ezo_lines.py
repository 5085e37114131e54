"""Replies of Atlas EZO circuits as a transport: all lines up to the response code are one reply.

A value without its ``*OK`` is none: it may be a line of continuous mode, or the answer to an earlier command. The lines
are handed on joined by bars, the code last; what the circuit says by itself (``*RS``, ``*WA``, a streamed value) is among them.
"""

import time
from typing import Any

from devices.serial_line import SerialLine, SerialTransport
from devices.transport import NoReplyError

LINE = SerialLine(baudrate=9600, write=b"\r", read=b"\r", stripped=b"\r\n\x00")
BAR = "|"
CODES = (b"*OK", b"*ER")
OPENING_SHARE = 0.7
_OPENING = (b"*OK,1", b"C,0")
_MOST_LINES = 100


class EzoTransport(SerialTransport):
    """Lines of one circuit, paired with their code. Keeps `devices.transport.Transport`.

    Parameters
    ----------
    address : str
        A port or ``tcp://host:port``.
    quiet_s : float
        After continuous mode was switched off, wait until nothing came for this long, wall seconds.
    """

    def __init__(self, address: str, quiet_s: float) -> None:
        super().__init__(address, LINE)
        self._quiet_s = quiet_s

    def open(self, deadline_s: float) -> None:
        """Open the port, end what may be half typed, switch codes on and continuous mode off; ConnectionError."""
        # the exchange that has the line opened needs the rest of the deadline
        limit = time.monotonic() + OPENING_SHARE * deadline_s
        super().open(deadline_s)
        try:
            self.write(b"\n")
            for command in _OPENING:
                self.write(command + b"\n")
                # a bare CR, or junk that it ended, may have been answered by *ER: only *OK counts here
                while self._code(limit) != b"*OK":
                    pass
            self._drain(limit)
        except NoReplyError as error:
            self.close()
            raise ConnectionError(f"no EZO circuit answers ({error})") from error

    def read_line(self, deadline_s: float) -> bytes:
        """Return all lines up to a response code, joined by bars; NoReplyError, ConnectionError."""
        limit = time.monotonic() + deadline_s
        lines: list[bytes] = []
        for _ in range(_MOST_LINES):
            try:
                line = super().read_line(max(0.0, limit - time.monotonic()))
            except NoReplyError as error:
                raise NoReplyError(b"|".join([*lines, error.partial])) from None
            if line:
                lines.append(line)
            if line.upper() in CODES:
                return b"|".join(lines)
        raise NoReplyError(b"|".join(lines))

    def _code(self, limit: float) -> bytes:
        return self.read_line(limit - time.monotonic()).rpartition(b"|")[2].upper()

    def _drain(self, limit: float) -> None:
        """Throw away a line that was on its way when continuous mode ended."""
        port: Any = self._open_port()
        port.timeout = max(0.0, min(self._quiet_s, limit - time.monotonic()))
        while time.monotonic() < limit and port.read(1):
            pass  # a line that never falls silent is found out by the exchange that follows
