"""A run as the page sees it while it grows: read on from where the last look ended, kept as columns."""

import math
import threading
from array import array
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dashboard.decimate import fewer_pixels
from dashboard.looks import Looks
from dashboard.tail import Tail
from nanolab.journal.reader import open_run

Array = npt.NDArray[np.float64]

SPECTROGRAM_ROWS = 200
MOST_OPERATOR_EVENTS = 100
SPECTROGRAM_PIXELS = 512
LAB_TIME = "run_state_lab_time"
NUMERIC = {"number", "integer", "boolean"}


class Readings:
    """Events of one stream as growing columns: lab time (wall time where there is none) in s, and all numeric fields."""

    def __init__(self) -> None:
        self.times: array[float] = array("d")
        self.values: dict[str, array[float]] = {}

    def describe(self, data_keys: Mapping[str, Mapping[str, Any]]) -> None:
        """Make the columns of a descriptor's numbers; what came before them is NaN."""
        for key, described in data_keys.items():
            if described.get("dtype") in NUMERIC and not described.get("shape") and key not in self.values:
                self.values[key] = array("d", [math.nan]) * len(self.times)

    def add(self, lab_s: float, data: Mapping[str, Any]) -> None:
        """Take one event; what is missing or no number is NaN."""
        self.times.append(lab_s)
        try:
            for key, column in self.values.items():
                column.append(data[key])
        except (KeyError, TypeError):
            self._fill(data)

    def _fill(self, data: Mapping[str, Any]) -> None:
        """Give every column that got nothing from the newest event its value, or NaN."""
        for key, column in self.values.items():
            if len(column) < len(self.times):
                value = data.get(key)
                column.append(value if isinstance(value, int | float) else math.nan)


@dataclass
class Spectra:
    """The newest spectrum (n_pixels,) with its phase, and the last rows of the spectrogram.

    Rows are spectra with light, their pixels averaged in groups.
    """

    wavelengths: Array | None = None
    full_scale: float | None = None
    counts: Array | None = None
    phase: str = ""
    saturated: float = 0.0
    rows: "deque[Array]" = field(default_factory=lambda: deque(maxlen=SPECTROGRAM_ROWS))
    row_times: "deque[float]" = field(default_factory=lambda: deque(maxlen=SPECTROGRAM_ROWS))


class LiveRun:
    """One run folder, read incrementally. Several pages may share it: every access holds `lock`.

    Attributes
    ----------
    start : dict
        The start document; empty until it is there.
    stop : dict or None
        The stop document.
    readings : Readings
        Events of the stream ``primary``.
    latest : dict
        The newest reading by stream: wall time in s, values by field.
    baseline : dict
        What was read once at the beginning.
    looks : Looks
        How the absorbance has changed since the first dark and light spectrum.
    operator : deque
        Wall time in s and values of the last events of the stream ``operator``: trips, steps done by hand.
    lab_start : float or None
        Lab time of the first reading, s.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.RLock()
        self.start: dict[str, Any] = {}
        self.stop: dict[str, Any] | None = None
        self.readings = Readings()
        self.latest: dict[str, tuple[float, Mapping[str, Any]]] = {}
        self.baseline: Mapping[str, Any] = {}
        self.spectra = Spectra()
        self.looks = Looks()
        self.operator: deque[tuple[float, Mapping[str, Any]]] = deque(maxlen=MOST_OPERATOR_EVENTS)
        self.lab_start: float | None = None
        self.documents = 0
        self._streams: dict[str, str] = {}
        self._tail = Tail(path)

    def close(self) -> None:
        """Close the files."""
        with self.lock:
            self._tail.close()

    def poll(self) -> bool:
        """Read what is new and say whether there was anything. JournalError where a line is bad, OSError."""
        with self.lock:
            before = self.documents
            for name, doc in self._tail.read():
                self.documents += 1
                if name == "event":
                    self._event(doc)
                else:
                    self._take(name, doc)
            return self.documents > before

    def status(self) -> str:
        """Return the run's status now (finished, aborted, failed, interrupted, running). FileInvalidError, OSError."""
        return open_run(self.path, salvage=True).status

    def times(self) -> Array:
        """Return lab times since the first reading, shape (n,) in s."""
        times = np.array(self.readings.times, dtype=float)
        return times - times[0] if times.size else times

    def column(self, name: str) -> Array | None:
        """Return the values (n,) of a field of the stream ``primary``, a copy; None where it has no such number."""
        found = self.readings.values.get(name)
        return None if found is None else np.array(found, dtype=float)

    def value(self, name: str, default: Any = None) -> Any:
        """Return the newest value of a field of the stream ``primary``."""
        latest = self.latest.get("primary")
        return default if latest is None else latest[1].get(name, default)

    @property
    def newest_wall_s(self) -> float | None:
        """Wall time of the newest event of any stream but the baseline."""
        times = [wall for stream, (wall, _) in self.latest.items() if stream != "baseline"]
        return max(times) if times else None

    def _take(self, name: str, doc: dict[str, Any]) -> None:
        if name == "descriptor":
            stream = str(doc.get("name", "primary"))
            self._streams[doc["uid"]] = stream
            if stream == "primary":
                self.readings.describe(doc["data_keys"])
            self._configured(doc)
        elif name == "start":
            self.start = doc
        elif name == "stop":
            self.stop = doc

    def _configured(self, doc: Mapping[str, Any]) -> None:
        for device in doc.get("configuration", {}).values():
            data = device.get("data", {})
            if "spectrometer_wavelengths" in data:
                self.spectra.wavelengths = np.asarray(data["spectrometer_wavelengths"], dtype=float)
                scale = data.get("spectrometer_full_scale")
                self.spectra.full_scale = None if scale is None else float(scale)

    def _event(self, doc: Mapping[str, Any]) -> None:
        data = doc["data"]
        stream = self._streams.get(doc["descriptor"], "")
        self.latest[stream] = (doc["time"], data)
        lab = data.get(LAB_TIME, doc["time"])
        if stream == "primary":
            if self.lab_start is None:
                self.lab_start = lab
            self.readings.add(lab, data)
        elif stream == "baseline":
            self.baseline = self.baseline or data
        elif stream == "operator":
            self.operator.append((doc["time"], data))
        if "spectrometer_counts" in data:
            self._spectrum(lab, data)

    def _spectrum(self, lab: float, data: Mapping[str, Any]) -> None:
        counts = np.asarray(data["spectrometer_counts"], dtype=float)
        if counts.ndim != 1:
            return
        spectra = self.spectra
        spectra.counts = counts
        spectra.phase = str(data.get("run_state_phase", ""))
        spectra.saturated = float(data.get("spectrometer_saturated", 0.0))
        if spectra.phase != "dark":  # a dark row after each light one makes stripes of the map
            spectra.rows.append(fewer_pixels(counts, SPECTROGRAM_PIXELS))
            spectra.row_times.append(lab)
        self.looks.add(lab, spectra.phase, counts)
