"""How bytes travel to and from a New Era pump: plain text ended by CR, or safe frames with length and CRC.

    basic   host  [address]COMMAND CR                       pump  STX AA S data ETX
    safe    host  STX LEN payload CRC-high CRC-low ETX      pump  the same, payload AA S data

LEN counts itself, the CRC and ETX. The CRC (polynomial 0x1021, start 0) covers the payload alone.
"""

from collections.abc import Callable

from sims.instruments.base import Reply, Session

STX, ETX, CR = 0x02, 0x03, 0x0D
_OVERHEAD = 4
_PACKET_WITHIN_S = 0.5
"""The bytes of one packet must arrive within this time (lab time)."""
_LONGEST = 255


def crc16(payload: bytes) -> int:
    """Return the CRC of a payload."""
    register = 0
    for byte in payload:
        register ^= byte << 8
        for _ in range(8):
            register = (register << 1) ^ (0x1021 if register & 0x8000 else 0)
            register &= 0xFFFF
    return register


def safe_frame(payload: bytes) -> bytes:
    """Return the payload in a safe frame."""
    check = crc16(payload)
    return bytes((STX, len(payload) + _OVERHEAD)) + payload + bytes((check >> 8, check & 0xFF, ETX))


def basic_frame(payload: bytes) -> bytes:
    """Return the payload in a basic frame."""
    return bytes((STX,)) + payload + bytes((ETX,))


class PumpSession(Session):
    """Cuts what arrives into packets and hands them on.

    Parameters
    ----------
    heard : callable
        ``heard(text, safe, sound)`` takes one packet: its text, whether it was a safe frame, and whether length and
        CRC were right; returns the replies.
    unasked : callable
        Returns what the pump has to say by itself since the count that it is given, and the new count.
    now : callable
        Lab time, s.
    """

    def __init__(
        self,
        heard: Callable[[str, bool, bool], list[Reply]],
        unasked: Callable[[int], tuple[list[Reply], int]],
        now: Callable[[], float],
    ) -> None:
        self._heard = heard
        self._unasked = unasked
        self._now = now
        self._buffer = b""
        self._began_s = 0.0
        self._told = unasked(-1)[1]
        self.waiting = True

    def feed(self, data: bytes) -> list[Reply]:
        """Take bytes in any pieces; return the replies to every packet that is whole by now."""
        if self._buffer and self._now() - self._began_s > _PACKET_WITHIN_S:
            self._buffer = b""
        if not self._buffer:
            self._began_s = self._now()
        self._buffer += data
        replies: list[Reply] = []
        while self._buffer:
            found = self._safe() if self._buffer[0] == STX else self._basic()
            if found is None:
                break
            replies += self._heard(*found)
        return replies

    def resume(self) -> list[Reply]:
        """Return alarms that the pump sends by itself."""
        replies, self._told = self._unasked(self._told)
        return replies

    def clear(self) -> None:
        """Forget half a packet."""
        self._buffer = b""

    def _safe(self) -> tuple[str, bool, bool] | None:
        if len(self._buffer) < 2:
            return None
        length = self._buffer[1]
        if length < _OVERHEAD:
            self._buffer = self._buffer[2:]
            return "", True, False
        if len(self._buffer) < length + 1:
            return None
        packet, self._buffer = self._buffer[: length + 1], self._buffer[length + 1 :]
        payload, check = packet[2:-3], packet[-3:-1]
        sound = packet[-1] == ETX and crc16(payload) == int.from_bytes(check, "big")
        return payload.decode("latin-1"), True, sound

    def _basic(self) -> tuple[str, bool, bool] | None:
        text, end, rest = self._buffer.partition(bytes((CR,)))
        if not end:
            if len(self._buffer) > _LONGEST:
                self._buffer = b""
            return None
        self._buffer = rest
        return text.decode("latin-1"), False, True
