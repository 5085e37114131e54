"""What a link asks of whatever moves its bytes: VISA (`devices.visa`), later a serial port of the same shape."""

from typing import Protocol


class NoReplyError(Exception):
    """A transport got no whole line in time; `partial` is what came."""

    def __init__(self, partial: bytes = b"") -> None:
        super().__init__(f"no whole line within the deadline, {len(partial)} bytes came")
        self.partial = partial


class Transport(Protocol):
    """Moves bytes. Errors: ConnectionError with words, NoReplyError."""

    def open(self, deadline_s: float) -> None:
        """Connect within `deadline_s` seconds."""

    def close(self) -> None:
        """Close; never raises."""

    def write(self, data: bytes) -> None:
        """Send all of `data`, which ends with the terminator."""

    def read_line(self, deadline_s: float) -> bytes:
        """Return one line without its terminator within `deadline_s` seconds."""

    def unasked(self) -> bool:
        """Return True where something has arrived that nobody asked for, or the peer has closed."""

    def clear(self) -> bool:
        """Discard what the instrument still owes; False where only a new connection does that."""
