"""Values to JSON and back, without loss.

JSON knows neither NaN nor infinity nor tuples nor numpy; some encoders turn them into null or into lists in
silence. Here each of them is written as an object with one key that begins with ``$``:

=============================================  ==================================================
``{"$float": "nan"}``                          NaN, ``inf``, ``-inf``
``{"$tuple": [...]}``                          tuple
``{"$bytes": "<base64>"}``                     bytes
``{"$scalar": ["<i8", 17]}``                   numpy scalar (number or truth value) with its dtype
``{"$array": {"dtype", "shape", "values"}}``   numpy array, values as a flat list in C order
``{"$array": {"dtype", "shape", "base64"}}``   the same as bytes: long arrays and unusual dtypes
``{"$map": [[key, value], ...]}``              a dict that JSON cannot hold: keys that are no text,
                                               or one single key that begins with ``$``
``{"$raw": [index, "crc"]}``                   array number `index` of the event field's raw file
=============================================  ==================================================

A numpy float64 is a Python float and is written as one: the same bits come back.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from types import NoneType
from typing import Any

import numpy as np

_AS_IS = frozenset({str, int, bool, NoneType})
_READABLE_KINDS = "biuf"
_READABLE_ITEM_BYTES = 8
_READABLE_LENGTH = 4096


@dataclass(frozen=True)
class RawReference:
    """Stands for array number `index` of a raw file; `crc` is the CRC-32 of its bytes, in hex."""

    index: int
    crc: str


class UnstorableError(TypeError):
    """A value of a type that the journal cannot write down without loss; `place` leads to it."""

    def __init__(self, value: object) -> None:
        kind = type(value)
        self.words = f"{kind.__module__}.{kind.__qualname__}"
        if isinstance(value, np.ndarray | np.generic):
            self.words += f" of dtype {value.dtype}"
        self.place: list[str] = []
        super().__init__(self.words)

    def __str__(self) -> str:
        return f"'{'.'.join(self.place)}' is a {self.words}, which cannot be stored without loss"


def encode(value: Any) -> Any:
    """Return `value` as what JSON holds without loss; UnstorableError names the place of what cannot be."""
    kind = type(value)
    if kind in _AS_IS:
        return value
    if kind is float:
        return value if isfinite(value) else {"$float": repr(value)}
    if kind is dict:
        return _encode_mapping(value)
    if kind is list:
        return _encode_items(value)
    return _encode_rare(value)


def _encode_mapping(mapping: Mapping[Any, Any]) -> dict[str, Any]:
    encoded: dict[Any, Any] = {}
    exact = len(mapping) != 1
    for key, value in mapping.items():
        if not isinstance(key, str):
            return {"$map": [[encode(k), encode(v)] for k, v in mapping.items()]}
        try:
            encoded[key] = encode(value)
        except UnstorableError as error:
            error.place.insert(0, key)
            raise
        exact = exact or not key.startswith("$")
    return encoded if exact else {"$map": [list(item) for item in encoded.items()]}


def _encode_items(items: list[Any] | tuple[Any, ...]) -> list[Any]:
    encoded = []
    for index, value in enumerate(items):
        try:
            encoded.append(encode(value))
        except UnstorableError as error:
            error.place.insert(0, str(index))
            raise
    return encoded


def _encode_rare(value: Any) -> Any:
    if type(value) is RawReference:
        return {"$raw": [value.index, value.crc]}
    if isinstance(value, float):  # float64 of numpy: equal to the Python float
        return encode(float(value))
    if isinstance(value, str | int):  # text and number enumerations: their value
        return value
    if isinstance(value, tuple):
        return {"$tuple": _encode_items(value)}
    if isinstance(value, list):
        return _encode_items(value)
    if type(value) is bytes:
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    if isinstance(value, Mapping):
        return _encode_mapping(value)
    if type(value) is np.ndarray and _storable(value.dtype):
        return {"$array": _encode_array(value)}
    if isinstance(value, np.generic) and _storable(value.dtype):
        return {"$scalar": [value.dtype.str, _encode_scalar(value)]}
    raise UnstorableError(value)


def _storable(dtype: "np.dtype[Any]") -> bool:
    return not dtype.hasobject and dtype.names is None and dtype.itemsize > 0


def _readable(dtype: "np.dtype[Any]") -> bool:
    return dtype.kind in _READABLE_KINDS and dtype.itemsize <= _READABLE_ITEM_BYTES


def _encode_scalar(value: "np.generic[Any]") -> Any:
    return encode(value.item() if _readable(value.dtype) else value.tobytes())


def _encode_array(array: "np.ndarray[Any, Any]") -> dict[str, Any]:
    described: dict[str, Any] = {"dtype": array.dtype.str, "shape": list(array.shape)}
    if _readable(array.dtype) and array.size <= _READABLE_LENGTH:
        described["values"] = _encode_items(array.ravel().tolist())
    else:
        described["base64"] = base64.b64encode(array.tobytes()).decode("ascii")
    return described


def _decode_scalar(pair: list[Any]) -> Any:
    dtype, value = np.dtype(pair[0]), pair[1]
    if isinstance(value, bytes):
        return np.frombuffer(value, dtype)[0]
    return dtype.type(value)


def _decode_array(described: dict[str, Any]) -> "np.ndarray[Any, Any]":
    dtype, shape = np.dtype(described["dtype"]), described["shape"]
    if "values" in described:
        return np.array(described["values"], dtype=dtype).reshape(shape)
    # a bytearray, so that the array can be written to as the one that was stored
    return np.frombuffer(bytearray(base64.b64decode(described["base64"])), dtype).reshape(shape)


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "$float": float,
    "$tuple": tuple,
    "$bytes": base64.b64decode,
    "$scalar": _decode_scalar,
    "$array": _decode_array,
    "$map": dict,
    "$raw": lambda pair: RawReference(*pair),
}


def decode_object(mapping: dict[str, Any]) -> Any:
    """Undo `encode` for one JSON object whose members are decoded already (the ``object_hook`` of json).

    ValueError where the object bears a ``$`` name that this version does not know.
    """
    if len(mapping) != 1:
        return mapping
    ((tag, content),) = mapping.items()
    if not tag.startswith("$"):
        return mapping
    if tag not in _DECODERS:
        raise ValueError(f"'{tag}' is no way of writing a value that this version knows")
    return _DECODERS[tag](content)
