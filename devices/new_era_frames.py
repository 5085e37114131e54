"""Frames of New Era pumps as a transport: plain text in basic mode, length and CRC in safe mode.

    basic   host  command CR                               pump  STX text ETX
    safe    both  STX LEN text CRC-high CRC-low ETX        LEN = length of the text + 4

The pump remembers its mode without power. Until a reply has shown which one it is in, safe frames are sent: they are
understood in both modes, plain text only in basic mode. So are all frames that set the mode.
"""

import binascii
import time
from typing import Any

from devices.serial_line import SerialLine, SerialTransport
from devices.transport import NoReplyError

STX, ETX = b"\x02", b"\x03"
_OVERHEAD = 4


def safe_frame(text: bytes) -> bytes:
    """Return `text` in a safe frame (CRC-16, polynomial 0x1021, start 0, over the text alone)."""
    return STX + bytes((len(text) + _OVERHEAD,)) + text + binascii.crc_hqx(text, 0).to_bytes(2, "big") + ETX


class NewEraTransport(SerialTransport):
    """Commands and replies as text, whatever the mode. Keeps `devices.transport.Transport`."""

    def __init__(self, address: str, line: SerialLine) -> None:
        super().__init__(address, line)
        self._safe: bool | None = None

    def open(self, deadline_s: float) -> None:
        """Open the port; which mode the pump is in is not known then."""
        self._safe = None
        super().open(deadline_s)

    def write(self, data: bytes) -> None:
        """Send one command (its newline is taken off); ConnectionError with words."""
        command = data[:-1]
        plain = self._safe is False and b"SAF" not in command
        try:
            self._open_port().write(command + b"\r" if plain else safe_frame(command))
        except OSError as error:
            raise ConnectionError(str(error)) from error

    def read_line(self, deadline_s: float) -> bytes:
        """Return the text of one reply; the whole frame, which no text can be, where its CRC or its end is wrong.

        NoReplyError, ConnectionError.
        """
        port, limit = self._open_port(), time.monotonic() + deadline_s
        try:
            while _take(port, b"", 1, limit) != STX:
                pass  # what is no frame is the end of one that nobody waited for
            head = _take(port, STX, 1, limit)
            if head.isdigit():
                return self._basic(port, head, limit)
            return self._whole_safe(port, head, limit)
        except OSError as error:
            raise ConnectionError(str(error)) from error

    def _basic(self, port: Any, text: bytes, limit: float) -> bytes:
        while not text.endswith(ETX):
            text += _take(port, STX + text, 1, limit)
        self._safe = False
        return text[:-1]

    def _whole_safe(self, port: Any, head: bytes, limit: float) -> bytes:
        rest = _take(port, STX + head, max(head[0] - 1, 1), limit)
        text, check, end = rest[:-3], rest[-3:-1], rest[-1:]
        if end != ETX or check != binascii.crc_hqx(text, 0).to_bytes(2, "big"):
            return STX + head + rest
        self._safe = True
        return text


def _take(port: Any, before: bytes, count: int, limit: float) -> bytes:
    got = b""
    while len(got) < count:
        port.timeout = max(0.0, limit - time.monotonic())
        byte = port.read(1)
        if not byte:
            raise NoReplyError(before + got)
        got += byte
    return got
