"""The device side of the Ocean Binary Protocol 0x1100: frames out of a stream of bytes, and replies to them.

A frame is 44 bytes of header (16 of them room for short data), a payload where there is more, 16 bytes of
checksum and a footer. A query is answered with data; a setting only where the client asks for an
acknowledgement; a failure with NACK and an error number. Type and "regarding" are echoed.

Where the protocol sheet is silent: a reply uses the checksum type of its request; bytes that do not start a
frame are skipped; a frame whose footer is not where its length says is dropped from its start bytes on.
"""

import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum

START = b"\xc1\xc0"
FOOTER = b"\xc5\xc4\xc3\xc2"
VERSION = 0x1100
RESPONSE, ACK, ACK_REQUESTED, NACK = 0x0001, 0x0002, 0x0004, 0x0008
NO_CHECKSUM, MD5 = 0, 1
LARGEST_REQUEST = 4096
"""Longest payload that the instrument takes, bytes."""

_HEADER = struct.Struct("<2sHHHII6sBB16sI")
_IMMEDIATE = 16
_TAIL = 20


class ObpError(IntEnum):
    """Error numbers that a device answers with."""

    UNSUPPORTED_PROTOCOL = 1
    UNKNOWN_TYPE = 2
    BAD_CHECKSUM = 3
    TOO_LARGE = 4
    LENGTH_MISMATCH = 5
    INVALID_PAYLOAD = 6
    NOT_READY = 7
    UNKNOWN_CHECKSUM_TYPE = 8
    NO_INFORMATION = 12


class RejectedError(Exception):
    """A message that the instrument does not carry out."""

    def __init__(self, error: ObpError) -> None:
        super().__init__(error.name)
        self.error = error


@dataclass(frozen=True, slots=True)
class Message:
    """One message from the client, its frame taken off. ``error`` is what is wrong with the frame itself."""

    type: int
    data: bytes
    flags: int = 0
    regarding: int = 0
    checksum_type: int = NO_CHECKSUM
    error: ObpError | None = None

    @property
    def wants_ack(self) -> bool:
        """True where a setting is to be acknowledged."""
        return bool(self.flags & ACK_REQUESTED)


class Reassembler:
    """Collects bytes, in whatever pieces they come, until whole frames are there."""

    def __init__(self) -> None:
        self._buffer = b""

    def clear(self) -> None:
        """Forget a frame that has not arrived completely."""
        self._buffer = b""

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that these bytes complete."""
        self._buffer += data
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> Message | None:
        while True:
            at = self._buffer.find(START)
            if at < 0:
                # the last byte may be the first half of a start
                self._buffer = self._buffer[-1:] if self._buffer.endswith(START[:1]) else b""
                return None
            self._buffer = self._buffer[at:]
            if len(self._buffer) < _HEADER.size:
                return None
            fields = _HEADER.unpack_from(self._buffer)
            remaining = fields[10]
            if remaining < _TAIL or remaining - _TAIL > LARGEST_REQUEST:
                self._buffer = self._buffer[len(START) :]
                error = ObpError.LENGTH_MISMATCH if remaining < _TAIL else ObpError.TOO_LARGE
                return Message(fields[4], b"", fields[2], fields[5], error=error)
            end = _HEADER.size + remaining
            if len(self._buffer) < end:
                return None
            frame = self._buffer[:end]
            if not frame.endswith(FOOTER):
                self._buffer = self._buffer[len(START) :]
                continue
            self._buffer = self._buffer[end:]
            return _parsed(frame)


def _parsed(frame: bytes) -> Message:
    _, version, flags, _, kind, regarding, _, checksum_type, length, immediate, remaining = _HEADER.unpack_from(frame)
    payload = frame[_HEADER.size : -_TAIL]
    error: ObpError | None = None
    if version != VERSION:
        error = ObpError.UNSUPPORTED_PROTOCOL
    elif checksum_type not in (NO_CHECKSUM, MD5):
        error = ObpError.UNKNOWN_CHECKSUM_TYPE
    elif checksum_type == MD5 and hashlib.md5(frame[:-_TAIL], usedforsecurity=False).digest() != frame[-_TAIL:-4]:
        error = ObpError.BAD_CHECKSUM
    elif length > _IMMEDIATE or (length and remaining > _TAIL):
        error = ObpError.LENGTH_MISMATCH
    known = MD5 if checksum_type == MD5 else NO_CHECKSUM
    return Message(kind, payload or immediate[:length], flags, regarding, known, error)


def frame(
    kind: int,
    data: bytes = b"",
    *,
    flags: int = RESPONSE,
    error: int = 0,
    regarding: int = 0,
    checksum_type: int = NO_CHECKSUM,
    wrong_checksum: bool = False,
) -> bytes:
    """Return a whole frame: data of up to 16 bytes in the header, longer data as payload.

    `wrong_checksum` spoils an MD5 checksum (and puts one where none was wanted).
    """
    short = len(data) <= _IMMEDIATE
    immediate, payload = (data, b"") if short else (b"", data)
    checksum_type = MD5 if wrong_checksum else checksum_type
    head = _HEADER.pack(
        START, VERSION, flags, error, kind, regarding, bytes(6), checksum_type, len(immediate), immediate,
        len(payload) + _TAIL,
    )  # fmt: skip
    if checksum_type != MD5:
        return head + payload + bytes(16) + FOOTER
    digest = hashlib.md5(head + payload, usedforsecurity=False).digest()
    if wrong_checksum:
        digest = bytes(byte ^ 0xFF for byte in digest)
    return head + payload + digest + FOOTER


def answer(request: Message, data: bytes, wrong_checksum: bool = False) -> bytes:
    """Return the reply to a query."""
    return frame(
        request.type, data, regarding=request.regarding, checksum_type=request.checksum_type,
        wrong_checksum=wrong_checksum,
    )  # fmt: skip


def acknowledgement(request: Message, wrong_checksum: bool = False) -> bytes:
    """Return what a setting that was carried out is answered with, if the client asked for it."""
    return frame(
        request.type, flags=ACK, regarding=request.regarding, checksum_type=request.checksum_type,
        wrong_checksum=wrong_checksum,
    )  # fmt: skip


def refusal(request: Message, error: ObpError) -> bytes:
    """Return NACK with an error number."""
    return frame(
        request.type, flags=NACK | RESPONSE, error=error, regarding=request.regarding,
        checksum_type=request.checksum_type,
    )  # fmt: skip
