"""Spectra as spectrometer programs save them.

Read are SpectraSuite and OceanView text files, wide tables with the wavelengths in the heading (``;`` or
``,``), paired columns as Agilent's Cary writes them, and plain columns of wavelength and values.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nanolab.analysis.delimited import parse_number, read_text
from nanolab.errors import FileInvalidError, UsageError, nearest

FloatArray = npt.NDArray[np.float64]

_FEWEST_POINTS = 10


@dataclass(frozen=True)
class SpectrumFile:
    """One spectrum from a file: wavelengths (n,) in nm, increasing, and values (n,).

    ``kind`` is ``absorbance``, ``transmittance``, ``counts`` or ``unknown``. ``metadata`` holds what the
    file's heading says, as text.
    """

    path: Path
    name: str
    wavelength_nm: FloatArray
    values: FloatArray
    kind: str
    metadata: Mapping[str, str] = field(default_factory=dict)


def read_spectra(path: Path) -> list[SpectrumFile]:
    """Return all spectra of a file in its order; FileInvalidError names the line where it cannot be read."""
    lines = read_text(path).splitlines()
    begin = next((i for i, line in enumerate(lines) if line.startswith(">>>>>Begin")), None)
    if begin is not None:
        return [_ocean(path, lines, begin)]
    numbered = [(n, line) for n, line in enumerate(lines, start=1) if line.strip()]
    separator = _separator([line for _, line in numbered[:50]])
    rows = [(n, _split(line, separator)) for n, line in numbered]
    start = _wavelengths_in_heading(rows[0][1])
    if start is not None:
        return _wide(path, rows, start)
    return _columns(path, rows)


def read_spectrum(path: Path, name: str | None = None) -> SpectrumFile:
    """Return one spectrum; ``name`` chooses among several (UsageError names the nearest or lists them)."""
    spectra = read_spectra(path)
    if name is None:
        if len(spectra) > 1:
            names = ", ".join(f"'{spectrum.name}'" for spectrum in spectra[:12])
            raise UsageError(f"{path} holds {len(spectra)} spectra: choose one of {names}")
        return spectra[0]
    found = [spectrum for spectrum in spectra if spectrum.name == name]
    if not found:
        raise UsageError(f"{path} holds no spectrum '{name}'; {nearest(name, [s.name for s in spectra])}")
    return found[0]


def read_absorbance(path: Path, name: str | None = None) -> SpectrumFile:
    """Return one spectrum of decadic absorbance; transmittance is converted, counts are refused."""
    spectrum = read_spectrum(path, name)
    values = spectrum.values
    if spectrum.kind == "transmittance":
        share = values / (100.0 if np.nanmax(values) > 2.0 else 1.0)
        values = -np.log10(np.where(share > 0, share, np.nan))
    elif spectrum.kind == "counts" or np.nanpercentile(values, 90) > 20.0:
        raise FileInvalidError(f"{path}: these are counts, not absorbance; dark and reference are wanted with them")
    return SpectrumFile(path, spectrum.name, spectrum.wavelength_nm, values, "absorbance", spectrum.metadata)


def _ocean(path: Path, lines: Sequence[str], begin: int) -> SpectrumFile:
    metadata = {}
    for line in lines[:begin]:
        key, colon, value = line.partition(":")
        if colon and value.strip():
            # SpectraSuite repeats the serial number behind each setting
            metadata[key.strip()] = re.sub(r"\s*\([A-Z0-9]+\)$", "", value.strip())
    points = []
    for n, line in enumerate(lines[begin + 1 :], start=begin + 2):
        if line.startswith(">>>>>End"):
            break
        if not line.strip():
            continue
        fields = [parse_number(text, "," in text and "." not in text) for text in line.split()]
        if len(fields) != 2 or fields[0] is None or fields[1] is None:
            raise FileInvalidError(f"{path}, line {n}: '{line.strip()}' is not a wavelength and a value")
        points.append((n, fields[0], fields[1]))
    wanted = metadata.get("Number of Pixels in Spectrum") or metadata.get("Number of Pixels in Processed Spectrum")
    if wanted is not None and wanted.isdigit() and len(points) != int(wanted):
        raise FileInvalidError(f"{path}: {len(points)} of {wanted} pixels are there; the file was cut off")
    heading = lines[0] + " " + path.name
    return _spectrum(path, path.stem, points, _kind(heading), metadata)


def _wide(path: Path, rows: Sequence[tuple[int, list[str]]], start: int) -> list[SpectrumFile]:
    heading = rows[0][1]
    comma = any("," in text for text in heading[start:])
    wavelengths = [parse_number(text, comma) for text in heading[start:] if text]
    spectra = []
    for n, fields in rows[1:]:
        values = [parse_number(text, comma) for text in fields[start : start + len(wavelengths)]]
        if len(values) < len(wavelengths) or any(value is None for value in values):
            raise FileInvalidError(f"{path}, line {n}: {len(wavelengths)} numbers are wanted, one for each wavelength")
        about = dict(zip(heading[:start], fields[:start], strict=True))
        name = next((about[key] for key in ("Name", "name", "Sample", "sample") if about.get(key)), f"line {n}")
        points = [(n, float(w or 0.0), float(v or 0.0)) for w, v in zip(wavelengths, values, strict=True)]
        spectra.append(_spectrum(path, name.strip(), points, "unknown", about))
    return spectra


def _columns(path: Path, rows: Sequence[tuple[int, list[str]]]) -> list[SpectrumFile]:
    """Read columns of numbers: one wavelength and one or more values, or pairs of both side by side."""
    comma = _decimal_comma(rows)
    numeric = [(n, [parse_number(text, comma) for text in fields]) for n, fields in rows]
    first = next((i for i, (_, v) in enumerate(numeric) if len(v) > 1 and None not in v[:2] and v[0] == v[0]), None)
    if first is None:
        raise FileInvalidError(f"{path}: no line holds a wavelength and a value")
    above = [fields for _, fields in rows[:first]]
    width = len([text for text in rows[first][1] if text])
    labels = above[-1] if above else []
    paired = width > 2 and sum("wavelength" in text.lower() for text in labels) * 2 >= width
    spectra = []
    for at in range(1, width, 2 if paired else 1):
        x = at - 1 if paired else 0
        points = _points(path, rows, numeric, first, x, at)
        names = above[-2] if paired and len(above) > 1 else labels
        name = next((names[i] for i in ((x, at) if paired else (at,)) if i < len(names) and names[i]), path.stem)
        kind = _kind(labels[at] if at < len(labels) else "")
        spectra.append(_spectrum(path, path.stem if width == 2 else name, points, kind, {}))
    return spectra


def _points(
    path: Path,
    rows: Sequence[tuple[int, list[str]]],
    numeric: Sequence[tuple[int, Sequence[float | None]]],
    first: int,
    x: int,
    y: int,
) -> list[tuple[int, float, float]]:
    points: list[tuple[int, float, float]] = []
    for (n, numbers), (_, texts) in zip(numeric[first:], rows[first:], strict=True):
        if y >= len(numbers) or not texts[x]:
            if len(points) >= _FEWEST_POINTS:
                break  # what follows the columns is the instrument's own log
            raise FileInvalidError(f"{path}, line {n}: the line holds no wavelength and value")
        wavelength, value = numbers[x], numbers[y]
        if wavelength is None or value is None:
            if len(points) >= _FEWEST_POINTS and all(number is None or number != number for number in numbers):
                break
            raise FileInvalidError(f"{path}, line {n}: '{texts[x]} {texts[y]}' is not a wavelength and a value")
        points.append((n, wavelength, value))
    return points


def _spectrum(
    path: Path, name: str, points: Sequence[tuple[int, float, float]], kind: str, metadata: Mapping[str, str]
) -> SpectrumFile:
    if len(points) < _FEWEST_POINTS:
        raise FileInvalidError(f"{path}: {len(points)} points are no spectrum; at least {_FEWEST_POINTS} are needed")
    wavelength = np.array([point[1] for point in points])
    values = np.array([point[2] for point in points])
    steps = np.sign(np.diff(wavelength))
    wrong = np.flatnonzero(steps != steps[0])
    if steps[0] == 0 or wrong.size:
        line = points[int(wrong[0]) + 1 if wrong.size else 1][0]
        raise FileInvalidError(f"{path}, line {line}: the wavelengths neither rise nor fall throughout")
    if wavelength.min() < 100.0 or wavelength.max() > 20000.0:
        raise FileInvalidError(f"{path}: wavelengths of {wavelength.min():g} to {wavelength.max():g} are not in nm")
    order = slice(None) if steps[0] > 0 else slice(None, None, -1)
    return SpectrumFile(path, name, wavelength[order], values[order], kind, metadata)


def _kind(words: str) -> str:
    plain = words.lower()
    if "abs" in plain or re.search(r"\bod\b", plain):
        return "absorbance"
    if "%t" in plain.replace(" ", "") or "transm" in plain:
        return "transmittance"
    if any(word in plain for word in ("count", "intensit", "scope")):
        return "counts"
    return "unknown"


def _wavelengths_in_heading(fields: Sequence[str]) -> int | None:
    """Return where a heading turns into at least ten rising or falling wavelengths, or None."""
    comma = any(re.fullmatch(r"\d+,\d+", text) for text in fields)
    numbers = [parse_number(text, comma) for text in fields]
    start = next((i for i, number in enumerate(numbers) if number is not None and number >= 100.0), None)
    if start is None:
        return None
    tail = [number for number, text in zip(numbers[start:], fields[start:], strict=True) if text]
    if len(tail) < _FEWEST_POINTS or any(number is None for number in tail):
        return None
    return start


def _separator(lines: Sequence[str]) -> str | None:
    for separator in (";", "\t", ","):
        if separator == "," and any(re.fullmatch(r"\s*\d+,\d+\s+-?\d+,\d+\s*", line) for line in lines):
            continue  # decimal commas between blanks
        if sum(separator in line for line in lines) > len(lines) / 2:
            return separator
    return None


def _split(line: str, separator: str | None) -> list[str]:
    return [text.strip().strip('"').strip() for text in line.split(separator)]


def _decimal_comma(rows: Sequence[tuple[int, Sequence[str]]]) -> bool:
    texts = [text for _, fields in rows for text in fields[:2]]
    return any(re.fullmatch(r"-?\d+,\d+", text) for text in texts) and not any(
        re.fullmatch(r"-?\d+\.\d+", text) for text in texts
    )
