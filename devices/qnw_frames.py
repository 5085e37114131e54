"""Frames of Quantum Northwest controllers as a transport: brackets, no line ends, and reports that nobody asked for.

Sets are not answered. What is written therefore ends with a query, and the reply is the frame that answers this query;
frames that come before it (errors, reports) are handed on with it.
"""

import re
import time

from devices.serial_line import SerialLine, SerialTransport
from devices.transport import NoReplyError

_LAST_QUERY = re.compile(rb"\[(\w\w) (\w\w) \?\]\s*\Z")
_TAGS = {b"HL": (b"HT",), b"PT": (b"PT", b"NOPROBE")}
"""Where the reply does not repeat the query's own tag."""
_RESTARTED = b"IS R"
_MOST_FRAMES = 50


class QnwTransport(SerialTransport):
    """Frames of one controller. Keeps `devices.transport.Transport`."""

    def __init__(self, address: str, line: SerialLine) -> None:
        super().__init__(address, line)
        self._wanted: tuple[bytes, ...] = ()

    def write(self, data: bytes) -> None:
        """Send frames, the last of them a query; ConnectionError with words."""
        query = _LAST_QUERY.search(data)
        self._wanted = () if query is None else tuple(query[1] + b" " + tag for tag in _TAGS.get(query[2], (query[2],)))
        super().write(data)

    def read_line(self, deadline_s: float) -> bytes:
        """Return all frames up to the one that answers the query, text between them removed.

        NoReplyError, ConnectionError.
        """
        limit = time.monotonic() + deadline_s
        frames = b""
        for _ in range(_MOST_FRAMES):
            try:
                text = super().read_line(max(0.0, limit - time.monotonic()))
            except NoReplyError as error:
                raise NoReplyError(frames + error.partial) from None
            frame = text[text.rfind(b"[") :]
            frames += frame
            # "IS R" tells of a restart; it is never the answer to "IS ?"
            if frame[1:].startswith(self._wanted) and not frame[1:-1].endswith(_RESTARTED):
                return frames
        raise NoReplyError(frames)
