"""One line a document: how a record is written, checked and read back.

``{"n": 17, "crc": "89abcdef", "name": "event", "doc": {...}}``, ASCII only. `n` counts from 1 and so is the
number of the line too. The CRC-32 is taken over the bytes of the line without the newline and without
``"crc": "89abcdef", ``: number, name and document are all covered.

Numeric arrays of event data go to raw files. The stored descriptor says so with one more member of the
field's data key, which a replay takes out again:
``"nanolab_raw": {"file": "spectra-counts.raw", "dtype": "<f8", "shape": [2136]}``.
"""

import json
import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nanolab.errors import FileInvalidError, JournalError
from nanolab.journal.encoding import decode_object, encode

RAW_KEY = "nanolab_raw"
SMALLEST_RAW_SIZE = 32
"""Arrays of fewer elements stand in the line itself."""

_HEAD = re.compile(rb'\{"n": ([1-9][0-9]*), "crc": "([0-9a-f]{8})", ')
_FILE_NAME = re.compile(r"[A-Za-z0-9_.-]+\.raw")
_to_json = json.JSONEncoder(allow_nan=False, check_circular=False).encode
_from_json = json.JSONDecoder(object_hook=decode_object).decode
_plain_json = json.JSONDecoder().decode
_ENCODED = b'"$'
"""Stands in every line in which something is written as an object of its own; most events have none."""


class DamagedRunError(JournalError, FileInvalidError):
    """A record of a run is not what was written; the message names the file and the line."""


@dataclass(frozen=True)
class Record:
    """One whole line: its number, the document's name and the document."""

    n: int
    name: str
    doc: dict[str, Any]


@dataclass(frozen=True)
class RawField:
    """Where the arrays of one event field are: file name, little-endian dtype, shape of one array."""

    file: str
    dtype: "np.dtype[Any]"
    shape: tuple[int, ...]

    @property
    def item_bytes(self) -> int:
        """Bytes of one array."""
        return math.prod(self.shape) * self.dtype.itemsize

    def to_json(self) -> dict[str, Any]:
        """Return what stands in the stored descriptor."""
        return {"file": self.file, "dtype": self.dtype.str, "shape": list(self.shape)}

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> "RawField":
        """Read what stands in the stored descriptor; ValueError, KeyError, TypeError if it is nonsense."""
        if not _FILE_NAME.fullmatch(described["file"]):
            raise ValueError(f"'{described['file']}' is no name of a raw file")
        return cls(described["file"], np.dtype(described["dtype"]), tuple(described["shape"]))


def format_line(n: int, name: str, doc: Mapping[str, Any]) -> bytes:
    """Return record `n` as one line; UnstorableError names the place of a value that cannot be written."""
    rest = f'"name": {_to_json(name)}, "doc": {_to_json(encode(doc))}}}'.encode("ascii")
    head = b'{"n": %d, ' % n
    return b'%s"crc": "%08x", %s\n' % (head, zlib.crc32(rest, zlib.crc32(head)), rest)


def parse_line(line: bytes, n: int, path: Path) -> Record:
    """Check and read line number `n` (with or without its newline) of `path`.

    DamagedRunError names file and line where the line is not what was written.
    """
    line = line.removesuffix(b"\n")
    head = _HEAD.match(line)
    if head is None:
        raise DamagedRunError(_damaged(path, n, "it is no record"))
    if int(head[1]) != n:
        raise DamagedRunError(_damaged(path, n, f"it holds record {int(head[1])}: lines are missing or doubled"))
    if zlib.crc32(line[head.end() :], zlib.crc32(b'{"n": %s, ' % head[1])) != int(head[2], 16):
        raise DamagedRunError(_damaged(path, n, "its checksum is wrong"))
    try:
        # without a Python call for every object: three times as fast
        record = (_from_json if _ENCODED in line else _plain_json)(line.decode("ascii"))
        return Record(n, record["name"], record["doc"])
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedRunError(
            _damaged(path, n, f"it cannot be read ({error}); it may be of a newer version")
        ) from error


def stated_number(line: bytes) -> int:
    """Return the number that a line says it has; 0 where it is no record."""
    head = _HEAD.match(line)
    return 0 if head is None else int(head[1])


def _damaged(path: Path, n: int, why: str) -> str:
    hint = ". The lines before it are good: open the run with salvage=True to read them" if n > 1 else ""
    return f"{path}, line {n}: {why}{hint}"


def raw_layout(data_key: Mapping[str, Any]) -> "tuple[np.dtype[Any], tuple[int, ...]] | None":
    """Return little-endian dtype and shape of a field that goes to a raw file; None: it stays in the line.

    The descriptor's own ``dtype_numpy`` counts, ``<f8`` where it has none. A value that turns out otherwise
    is written into the line, so that nothing depends on the descriptor being right.
    """
    shape = data_key.get("shape")
    if data_key.get("dtype") != "array" or not isinstance(shape, list | tuple):
        return None
    if not all(isinstance(length, int) and length > 0 for length in shape) or math.prod(shape) < SMALLEST_RAW_SIZE:
        return None
    try:
        dtype = np.dtype(data_key.get("dtype_numpy") or "<f8").newbyteorder("<")
    except (TypeError, ValueError):
        return None
    return (dtype, tuple(shape)) if dtype.kind in "biufc" else None
