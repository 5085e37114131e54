"""Columns for other programs: CSV with units, and numpy's .npz. Made from the journal; can be made again."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nanolab.errors import JournalError
from nanolab.journal.encoding import encode
from nanolab.journal.files import write_whole
from nanolab.journal.folder import fit_name
from nanolab.journal.reader import Run

Array = np.ndarray[Any, Any]


def export_csv(run: Run, folder: Path | str | None = None) -> list[Path]:
    """Write one CSV a stream, ``<stream>[-simulated].csv``, and return their paths.

    The header says field and unit, as in ``thermocouple_sample (degC)``; an array of n elements takes n
    columns, ``field[0] (unit)`` onwards. Numbers have all their digits; NaN is ``nan``. `folder` defaults to
    the run's own. JournalError where it cannot be written.
    """
    target = run.path if folder is None else Path(folder)
    stamp = "-simulated" if run.simulated else ""
    paths = []
    for stream in run.streams:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        columns = list(_flat_columns(run.table(stream), run.units(stream)))
        writer.writerow([header for header, _ in columns])
        writer.writerows(zip(*(values for _, values in columns), strict=True))
        paths.append(_write(target / f"{fit_name(stream)}{stamp}.csv", text.getvalue().encode("utf-8")))
    return paths


def export_npz(run: Run, folder: Path | str | None = None) -> Path:
    """Write all streams into one ``columns[-simulated].npz`` and return its path.

    Members are named ``<stream>.<field>``; what is neither number nor text is written as JSON text.
    `folder` defaults to the run's own. JournalError where it cannot be written.
    """
    target = run.path if folder is None else Path(folder)
    members: dict[str, Array] = {}
    for stream in run.streams:
        for key, column in run.table(stream).items():
            members[f"{stream}.{key}"] = np.array(_texts(column)) if column.dtype.hasobject else column
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **members)
    return _write(target / f"columns{'-simulated' if run.simulated else ''}.npz", content.getvalue())


def _flat_columns(table: dict[str, Array], units: dict[str, str]) -> Iterator[tuple[str, list[Any]]]:
    for key, column in table.items():
        unit = f" ({units[key]})" if key in units else ""
        if column.dtype.hasobject:
            yield f"{key}{unit}", _texts(column)
        elif column.ndim == 1:
            yield f"{key}{unit}", column.tolist()
        else:
            flat = column.reshape(len(column), int(np.prod(column.shape[1:])))
            for index in range(flat.shape[1]):
                yield f"{key}[{index}]{unit}", flat[:, index].tolist()


def _texts(column: Array) -> list[str]:
    return ["" if value is None else json.dumps(encode(value)) for value in column]


def _write(path: Path, content: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise JournalError(f"{path}: it could not be written: {error}") from error
    return path
