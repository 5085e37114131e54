"""Values and lines: what goes in comes out, and what cannot go in is named."""

import enum
import json
import math
import struct
import zlib
from collections import OrderedDict
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nanolab.errors import ExitCode, JournalError
from nanolab.journal.encoding import UnstorableError, encode
from nanolab.journal.records import (
    DamagedRunError,
    RawField,
    format_line,
    parse_line,
    raw_layout,
    stated_number,
)

HERE = Path("docs.jsonl")


def there_and_back(value: Any) -> Any:
    return parse_line(format_line(1, "event", {"value": value}), 1, HERE).doc["value"]


def same(left: Any, right: Any) -> bool:
    """Equal in type and value, NaN equal to NaN, arrays in dtype, shape and every element."""
    if isinstance(left, np.ndarray):
        return (
            isinstance(right, np.ndarray)
            and left.dtype == right.dtype
            and left.shape == right.shape
            and left.tobytes() == right.tobytes()
        ) or (left.dtype.kind == "f" and np.array_equal(left, right, equal_nan=True))
    if type(left) is not type(right):
        return False
    if isinstance(left, np.complexfloating):
        return bool(left.tobytes() == right.tobytes())
    if isinstance(left, float | np.floating):
        return (math.isnan(left) and math.isnan(right)) or bool(left == right)
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)


numbers = st.sampled_from(
    [np.int8, np.int16, np.int64, np.uint8, np.uint64, np.float16, np.float32, np.bool_, np.complex128]
)
scalars = numbers.flatmap(lambda kind: hnp.from_dtype(np.dtype(kind)))
arrays = numbers.flatmap(lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, max_dims=3, max_side=4)))
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(max_size=20), scalars, arrays
)
keys = st.one_of(st.text(), st.sampled_from(["$float", "$map", "$", "$raw"]))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.dictionaries(st.one_of(st.integers(), keys, st.tuples(st.integers())), inner, max_size=2),
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(values)
def test_whatever_a_document_may_hold_comes_back_as_it_was(value: Any) -> None:
    line = format_line(1, "event", {"value": value})
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert same(parse_line(line, 1, HERE).doc["value"], value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, [math.nan, {"deep": (math.inf,)}]])
def test_not_a_number_is_written_in_words_and_never_as_null(value: Any) -> None:
    line = format_line(1, "event", {"value": value})
    assert b"null" not in line
    assert b"NaN" not in line
    assert b"Infinity" not in line
    assert same(there_and_back(value), value)


def test_a_numpy_float_is_a_plain_number_with_the_same_bits() -> None:
    back = there_and_back(np.float64(0.1))
    assert type(back) is float
    assert struct.pack("<d", back) == struct.pack("<d", 0.1)
    assert math.isnan(there_and_back(np.float64("nan")))


def test_rare_but_storable_types() -> None:
    class Unit(enum.StrEnum):
        KELVIN = "K"

    class Level(enum.IntEnum):
        HIGH = 2

    class Pair(NamedTuple):
        a: int
        b: float

    class Names(list[str]):
        """A list that is a little more."""

    assert there_and_back(Unit.KELVIN) == "K"
    assert there_and_back(Level.HIGH) == 2
    assert there_and_back(Pair(1, math.nan))[0] == 1
    assert there_and_back(Names(["a"])) == ["a"]
    assert there_and_back(OrderedDict(b=1, a=2)) == {"b": 1, "a": 2}
    assert there_and_back(MappingProxyType({"a": math.inf})) == {"a": math.inf}
    moment = np.datetime64("2024-11-24T03:26:00", "ns")
    assert there_and_back(moment) == moment
    assert there_and_back(np.longdouble("1.1")) == np.longdouble("1.1")


def test_long_arrays_are_written_as_bytes_and_can_be_written_to_again() -> None:
    for array in (
        np.arange(5000.0),
        np.arange(6, dtype=">u2"),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    ):
        back = there_and_back(array)
        assert same(back, array)
        back[...] = 0


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        bytearray(b"x"),
        complex(1, 2),
        object(),
        np.array([object()]),
        np.zeros(2, dtype=[("a", "<f8")]),
        np.ma.masked_array([1.0], [True]),
    ],
)
def test_what_cannot_be_stored_is_named_with_its_place(value: Any) -> None:
    with pytest.raises(UnstorableError, match=r"'sample\.1\.batch' is a .*cannot be stored") as caught:
        encode({"sample": [{"fine": 1}, {"batch": value}]})
    assert type(value).__name__ in str(caught.value)


def test_a_line_reads_as_the_readme_says() -> None:
    line = format_line(17, "event", {"data": {"t": 21.5}})
    record = json.loads(line)
    assert line.endswith(b"\n")
    assert list(record) == ["n", "crc", "name", "doc"]
    assert record["n"] == 17
    covered = line.rstrip(b"\n").replace(b'"crc": "%s", ' % record["crc"].encode(), b"", 1)
    assert covered == b'{"n": 17, "name": "event", "doc": {"data": {"t": 21.5}}}'
    assert int(record["crc"], 16) == zlib.crc32(covered)


def test_any_one_byte_changed_is_noticed() -> None:
    line = format_line(3, "event", {"data": {"t": 21.5, "x": math.nan}, "uid": "e"}).rstrip(b"\n")
    for place in range(len(line)):
        for change in (1, 32, 128):
            broken = bytearray(line)
            broken[place] ^= change
            with pytest.raises(DamagedRunError, match="line 3"):
                parse_line(bytes(broken), 3, HERE)


def test_a_line_out_of_place_is_noticed() -> None:
    line = format_line(3, "event", {})
    assert stated_number(line) == 3
    assert stated_number(b"{}") == 0
    with pytest.raises(DamagedRunError, match="line 4: it holds record 3"):
        parse_line(line, 4, HERE)


@pytest.mark.parametrize("rest", [b'"name": "event", "doc": {"$new": 1}}', b'"name": "event"}', b"[1"])
def test_a_whole_line_of_another_version_is_an_error_of_the_file(rest: bytes) -> None:
    head = b'{"n": 1, '
    line = b'%s"crc": "%08x", %s' % (head, zlib.crc32(rest, zlib.crc32(head)), rest)
    with pytest.raises(DamagedRunError, match="line 1: it cannot be read") as caught:
        parse_line(line, 1, HERE)
    assert isinstance(caught.value, JournalError)
    assert caught.value.exit_code is ExitCode.INVALID_FILE


@pytest.mark.parametrize(
    ("data_key", "expected"),
    [
        ({"dtype": "array", "shape": [2136]}, ("<f8", (2136,))),
        ({"dtype": "array", "shape": (8, 8), "dtype_numpy": ">u2"}, ("<u2", (8, 8))),
        ({"dtype": "array", "shape": [31]}, None),
        ({"dtype": "array", "shape": [None, 64]}, None),
        ({"dtype": "array", "shape": [0, 64]}, None),
        ({"dtype": "array"}, None),
        ({"dtype": "number", "shape": [64]}, None),
        ({"dtype": "array", "shape": [64], "dtype_numpy": "<U8"}, None),
        ({"dtype": "array", "shape": [64], "dtype_numpy": "no such type"}, None),
    ],
)
def test_which_fields_go_to_raw_files(data_key: dict[str, Any], expected: Any) -> None:
    layout = raw_layout(data_key)
    assert layout == (None if expected is None else (np.dtype(expected[0]), expected[1]))


def test_a_raw_field_says_what_it_is_and_no_path_leads_out_of_the_folder() -> None:
    field = RawField("spectra-counts.raw", np.dtype("<u2"), (3, 4))
    assert field.item_bytes == 24
    assert RawField.from_json(field.to_json()) == field
    with pytest.raises(ValueError, match="no name of a raw file"):
        RawField.from_json({**field.to_json(), "file": "../other.raw"})
