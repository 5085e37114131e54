"""Frames between the spectrometer driver and its child process: a JSON object, then arrays as raw bytes.

Eight bytes of lengths (little-endian u32: JSON, then all arrays together), the JSON text, the arrays in C order.
The JSON's key ``arrays`` lists name, dtype and shape of each.
"""

import json
import struct
from collections.abc import Mapping
from math import prod
from typing import IO, Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_LENGTHS = struct.Struct("<II")


def write_frame(stream: IO[bytes], head: Mapping[str, Any], arrays: Mapping[str, Array] | None = None) -> None:
    """Write one frame and flush it. OSError where the other side has gone."""
    arrays = arrays or {}
    plain = {name: np.ascontiguousarray(array, dtype="<f8") for name, array in arrays.items()}
    listed = [[name, array.dtype.str, list(array.shape)] for name, array in plain.items()]
    text = json.dumps({**head, "arrays": listed}).encode()
    body = b"".join(array.tobytes() for array in plain.values())
    stream.write(_LENGTHS.pack(len(text), len(body)) + text + body)
    stream.flush()


def read_frame(stream: IO[bytes]) -> tuple[dict[str, Any], dict[str, Array]] | None:
    """Return the next frame, or None where the stream ends (between frames or within one)."""
    lengths = _exactly(stream, _LENGTHS.size)
    if lengths is None:
        return None
    text_length, body_length = _LENGTHS.unpack(lengths)
    text = _exactly(stream, text_length)
    body = _exactly(stream, body_length)
    if text is None or body is None:
        return None
    head: dict[str, Any] = json.loads(text)
    arrays, at = {}, 0
    for name, dtype, shape in head.pop("arrays"):
        count = prod(shape)
        arrays[name] = np.frombuffer(body, dtype=dtype, count=count, offset=at).reshape(shape).copy()
        at += count * np.dtype(dtype).itemsize
    return head, arrays


def _exactly(stream: IO[bytes], size: int) -> bytes | None:
    parts = b""
    while len(parts) < size:
        more = stream.read(size - len(parts))
        if not more:
            return None
        parts += more
    return parts
