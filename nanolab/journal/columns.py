"""Events of a stream as columns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nanolab.journal.encoding import RawReference
from nanolab.journal.records import DamagedRunError, Record

Array = np.ndarray[Any, Any]

_MISSING = object()
_EMPTY_DTYPES = {"integer": "<i8", "boolean": "?", "string": "<U1"}


@dataclass(frozen=True)
class Row:
    """One event: line number, wall time in s, readings and the devices' own times by field."""

    n: int
    time_s: float
    descriptor: str
    data: Mapping[str, Any]
    timestamps: Mapping[str, float]


@dataclass
class Columns:
    """What one stream holds: its descriptors in order, its events in order."""

    descriptors: list[dict[str, Any]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def fields(self) -> dict[str, Mapping[str, Any]]:
        """Return the data key of each field, of all descriptors together."""
        return {key: data_key for descriptor in self.descriptors for key, data_key in descriptor["data_keys"].items()}

    def table(self, load: Callable[[Row, str, RawReference], Array]) -> dict[str, Array]:
        """Return ``time`` and one column a field; `load` reads an array that is still a reference."""
        table: dict[str, Array] = {"time": np.array([row.time_s for row in self.rows], dtype=np.float64)}
        for key, data_key in self.fields().items():
            values = [row.data.get(key, _MISSING) for row in self.rows]
            loaded = [
                load(row, key, value) if isinstance(value, RawReference) else value
                for row, value in zip(self.rows, values, strict=True)
            ]
            table[column_name(key)] = as_column(loaded) if loaded else _empty_column(data_key)
        return table

    def timestamps(self) -> dict[str, Array]:
        """Return the devices' own times, shape (n,) in s, NaN where a field is missing, by field."""
        table: dict[str, Array] = {"time": np.array([row.time_s for row in self.rows], dtype=np.float64)}
        for key in self.fields():
            moments = [row.timestamps.get(key, np.nan) for row in self.rows]
            table[column_name(key)] = np.array(moments, dtype=np.float64)
        return table


class Collector:
    """Sorts records into streams."""

    def __init__(self, documents: Path) -> None:
        self._documents = documents
        self.streams: dict[str, Columns] = {}
        self._of_descriptor: dict[str, Columns] = {}

    def add(self, record: Record) -> None:
        """Take the next record. DamagedRunError where an event belongs to no stream."""
        doc = record.doc
        if record.name == "descriptor":
            columns = self.streams.setdefault(str(doc.get("name", "primary")), Columns())
            columns.descriptors.append(doc)
            self._of_descriptor[doc["uid"]] = columns
        elif record.name in {"event", "event_page"}:
            try:
                columns = self._of_descriptor[doc["descriptor"]]
                columns.rows.extend(_rows(record))
            except (KeyError, TypeError, ValueError) as error:
                raise DamagedRunError(
                    f"{self._documents}, line {record.n}: it is no event of a described stream ({error!r})"
                ) from error


def column_name(field_name: str) -> str:
    """Return the name of a field's column: its own, except that ``time`` is taken."""
    return "data_time" if field_name == "time" else field_name


def _rows(record: Record) -> Iterator[Row]:
    doc = record.doc
    if record.name == "event":
        yield Row(record.n, float(doc["time"]), doc["descriptor"], doc["data"], doc["timestamps"])
        return
    for index, time_s in enumerate(doc["time"]):
        data = {key: values[index] for key, values in doc["data"].items()}
        timestamps = {key: values[index] for key, values in doc["timestamps"].items()}
        yield Row(record.n, float(time_s), doc["descriptor"], data, timestamps)


def as_column(values: Sequence[Any]) -> Array:
    """Return values as one array whose first axis counts them.

    Numbers are promoted to one type, missing numbers are NaN; arrays and lists of one shape are stacked;
    what does not fit together becomes a column of objects (missing ones None).
    """
    present = [value for value in values if value is not _MISSING]
    complete = len(present) == len(values)
    if all(isinstance(value, bool | int | float | np.number | np.bool_) for value in present):
        return np.array(present) if complete else np.array([np.nan if v is _MISSING else v for v in values])
    if complete and all(isinstance(value, str) for value in present):
        return np.array(present)
    if complete and all(isinstance(value, np.ndarray | list | tuple) for value in present):
        try:
            stacked = np.stack([np.asarray(value) for value in present])
        except ValueError:  # of different shapes
            return _objects(values)
        return stacked if stacked.dtype.kind in "biufcUS" else _objects(values)
    return _objects(values)


def _objects(values: Sequence[Any]) -> Array:
    column = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        column[index] = None if value is _MISSING else value
    return column


def _empty_column(data_key: Mapping[str, Any]) -> Array:
    shape = [length or 0 for length in data_key.get("shape", [])]
    return np.empty((0, *shape), dtype=_EMPTY_DTYPES.get(str(data_key.get("dtype")), "<f8"))
