"""Text tables as people and loggers write them: separator and decimal sign found, remarks told from data."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nanolab.errors import FileInvalidError

_MISSING = {"", "nan", "na", "n/a", "null", "none", "-", "--"}
_NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(inf|infinity|nan)$", re.IGNORECASE)
_LOOK_AT = 400  # lines are enough to know how a file is written


@dataclass(frozen=True)
class Row:
    """One line of data: its number in the file (from 1) and its fields, stripped."""

    line: int
    fields: tuple[str, ...]


@dataclass(frozen=True)
class TextTable:
    """A file cut into header, rows and remarks; nothing of it is lost.

    ``header`` is None where the file has none. ``remarks`` are the lines that are neither, as (line, text).
    """

    path: Path
    header: tuple[str, ...] | None
    rows: Sequence[Row]
    remarks: Sequence[tuple[int, str]]
    decimal_comma: bool

    def number(self, text: str) -> float | None:
        """Return the number of a field: NaN where it says that it is missing, None where it is text."""
        return parse_number(text, self.decimal_comma)


def parse_number(text: str, decimal_comma: bool = False) -> float | None:
    """Read a number; NaN for an empty field or a word for missing, None for any other text."""
    plain = text.strip()
    if plain.lower() in _MISSING:
        return float("nan")
    if decimal_comma:
        if "." in plain:
            return None
        plain = plain.replace(",", ".")
    return float(plain) if _NUMBER.match(plain) else None


def read_text(path: Path) -> str:
    """Return the text of a file (UTF-8, marked UTF-16, or Latin-1); FileInvalidError where there is none."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise FileInvalidError(f"{path}: there is no such file") from error
    except OSError as error:
        raise FileInvalidError(f"{path}: cannot be read ({error.strerror})") from error
    if not raw.strip():
        raise FileInvalidError(f"{path}: the file is empty")
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return raw.decode("utf-16", errors="replace")
    if b"\x00" in raw:
        raise FileInvalidError(f"{path}: this is not a text file; export it as CSV first")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def read_table(path: Path, lines: tuple[int, int | None] | None = None) -> TextTable:
    """Cut a delimited file into header, rows and remarks.

    Parameters
    ----------
    path : Path
        The file; separators ``,`` ``;`` tab and blanks, decimal point or comma.
    lines : (first, last), optional
        Use only these lines of data, numbered from 1 (last None: to the end); the header is kept.

    Returns
    -------
    TextTable

    Raises
    ------
    FileInvalidError
        The file is missing, empty, binary, or holds no row of at least two numbers.
    """
    numbered = [(n, text) for n, text in enumerate(read_text(path).splitlines(), start=1) if text.strip()]
    separator, decimal_comma = _dialect([text for _, text in numbered[:_LOOK_AT]], path)
    split = [Row(n, _fields(text, separator)) for n, text in numbered]
    is_data = [
        not _is_comment(text) and _numbers(row.fields, decimal_comma) >= _enough(row.fields)
        for (_, text), row in zip(numbered, split, strict=True)
    ]
    if not any(is_data):
        raise FileInvalidError(f"{path}: no line holds numbers in two columns")
    first = is_data.index(True)
    width = _usual_width([row for row, data in zip(split, is_data, strict=True) if data])
    ends_open = all(row.fields[-1] == "" for row, data in zip(split, is_data, strict=True) if data)
    header_at = _header_index(split[:first], width, ends_open)
    header = None if header_at is None else split[header_at].fields
    rows: list[Row] = []
    remarks: list[tuple[int, str]] = []
    for index, ((n, text), row) in enumerate(zip(numbered, split, strict=True)):
        if index == header_at or (lines is not None and not _within(n, lines)):
            continue
        if index >= first and row.fields != header and not _is_comment(text) and _is_row(row, width, decimal_comma):
            rows.append(row)
        else:
            remarks.append((n, text.strip()))
    return TextTable(path, header, rows, remarks, decimal_comma)


def _is_comment(text: str) -> bool:
    return text.lstrip().startswith(("#", "%"))


def _within(line: int, lines: tuple[int, int | None]) -> bool:
    return line >= lines[0] and (lines[1] is None or line <= lines[1])


def _is_row(row: Row, width: int, decimal_comma: bool) -> bool:
    """Tell a row, whole or damaged, from a remark: a sentence may hold a number and a comma too."""
    return _numbers(row.fields, decimal_comma) > 0 and (len(row.fields) == width or _shorter(row, decimal_comma))


def _shorter(row: Row, decimal_comma: bool) -> bool:
    # a line cut short still begins with a number; a sentence with commas in it does not
    return parse_number(row.fields[0], decimal_comma) is not None


def _fields(text: str, separator: str | None) -> tuple[str, ...]:
    # a heading may stand behind a comment sign
    return tuple(field.strip().strip('"').strip() for field in text.lstrip("#% ").split(separator))


def _numbers(fields: Sequence[str], decimal_comma: bool) -> int:
    return sum(1 for field in fields if field and parse_number(field, decimal_comma) is not None)


def _enough(fields: Sequence[str]) -> int:
    return 2 if len(fields) > 1 else 99


def _usual_width(rows: Sequence[Row]) -> int:
    counts: dict[int, int] = {}
    for row in rows:
        counts[len(row.fields)] = counts.get(len(row.fields), 0) + 1
    return max(counts, key=lambda width: (counts[width], width))


def _header_index(before: Sequence[Row], width: int, ends_open: bool) -> int | None:
    # the nearest line above the data with as many names as columns; a separator at the end makes no name
    for index in range(len(before) - 1, -1, -1):
        fields = before[index].fields
        if width > 1 and (len(fields) == width or (ends_open and len(fields) == width - 1)):
            return index
    return None


def _dialect(lines: Sequence[str], path: Path) -> tuple[str | None, bool]:
    """Return (separator, decimal comma): the pair under which most fields of most lines are numbers."""
    best: tuple[str | None, bool] = (",", False)
    best_score = 0.0
    for separator in (";", "\t", ",", None):
        for comma in (False, True):
            if separator == "," and comma:
                continue
            score = 0.0
            for line in lines:
                fields = _fields(line, separator)
                numbers = _numbers(fields, comma)
                score += numbers / len(fields) if numbers >= _enough(fields) else 0.0
            if score > best_score + 1e-9:
                best, best_score = (separator, comma), score
    if best_score == 0.0:
        raise FileInvalidError(f"{path}: no line holds numbers in two columns")
    return best
