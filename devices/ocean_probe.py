"""A first word with a network spectrometer, before seabreeze is let in.

Stock seabreeze waits for ever for a peer that is silent or sends half a frame, says nothing of an address that
refuses, and looks at no checksum. So one query (serial number, Ocean Binary Protocol 0x1100, checksum asked for) is
sent over a connection of its own that is closed again, with a deadline, and judged byte by byte.
"""

import hashlib
import socket
import struct
import time

SERIAL_NUMBER = 0x00000100
QUERY_BODY = struct.pack("<2sHHHII6sBB16sI", b"\xc1\xc0", 0x1100, 0, 0, SERIAL_NUMBER, 0, bytes(6), 1, 0, bytes(16), 20)
FOOTER = b"\xc5\xc4\xc3\xc2"
_HEADER_SIZE, _SMALLEST = 44, 64
_MD5 = 1


class ProbeError(Exception):
    """Why the address does not answer as an Ocean spectrometer does, in words."""


def query() -> bytes:
    """Return the 64 bytes that are sent."""
    return QUERY_BODY + hashlib.md5(QUERY_BODY, usedforsecurity=False).digest() + FOOTER


def probe(host: str, port: int, deadline_s: float) -> None:
    """Ask for the serial number; ProbeError within `deadline_s` where the answer is not a whole, sound frame."""
    limit = time.monotonic() + deadline_s
    try:
        with socket.create_connection((host, port), timeout=deadline_s) as link:
            link.sendall(query())
            judge(_reply(link, limit))
    except ProbeError:
        raise
    except TimeoutError:
        raise ProbeError(f"{host}:{port} cannot be reached within {deadline_s:g} s") from None
    except ConnectionRefusedError:
        raise ProbeError(f"{host}:{port} refuses the connection") from None
    except OSError as error:
        raise ProbeError(f"{host}:{port} cannot be reached ({error.strerror or error})") from None


def judge(frame: bytes) -> None:
    """Check one frame of 64 bytes or more: start, footer, checksum. ProbeError where it is not sound."""
    if not frame.startswith(b"\xc1\xc0") or not frame.endswith(FOOTER):
        raise ProbeError(f"it answers, but not in the Ocean Binary Protocol: {frame[:16].hex(' ')} ...")
    if frame[22] == _MD5 and hashlib.md5(frame[:-20], usedforsecurity=False).digest() != frame[-20:-4]:
        raise ProbeError("the checksum of its reply is wrong: bytes are damaged on the way")


def _reply(link: socket.socket, limit: float) -> bytes:
    data, wanted = b"", _SMALLEST
    while len(data) < wanted:
        try:
            link.settimeout(max(0.001, limit - time.monotonic()))
            more = link.recv(wanted - len(data))
        except TimeoutError:
            how = f"sent only {len(data)} of {wanted} bytes of its reply" if data else "is connected, but silent"
            raise ProbeError(f"it {how}") from None
        if not more:
            raise ProbeError("it closed the connection before it had answered")
        data += more
        if len(data) >= _HEADER_SIZE:
            wanted = max(_SMALLEST, _HEADER_SIZE + struct.unpack_from("<I", data, 40)[0])
            if wanted > 4096:
                raise ProbeError(f"it answers, but not in the Ocean Binary Protocol: {data[:16].hex(' ')} ...")
    return data
