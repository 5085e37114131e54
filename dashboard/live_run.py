"""A run as the page sees it while it grows: read on from where the last look ended, kept as columns."""

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
from nanolab.journal import Follower
from nanolab.journal.reader import open_run

Array = npt.NDArray[np.float64]

SPECTROGRAM_ROWS = 200
SPECTROGRAM_PIXELS = 512
LAB_TIME = "run_state_lab_time"


@dataclass
class Column:
    """Readings of one field: lab time (or wall time, s) and value of each."""

    times: "array[float]" = field(default_factory=lambda: array("d"))
    values: "array[float]" = field(default_factory=lambda: array("d"))

    def arrays(self) -> tuple[Array, Array]:
        """Return copies, shape (n,): the buffers go on growing."""
        return np.array(self.times, dtype=float), np.array(self.values, dtype=float)


@dataclass
class Latest:
    """The newest reading of one stream: wall time in s, values by field."""

    wall_s: float
    values: Mapping[str, Any]


@dataclass
class Spectra:
    """The newest spectrum (n_pixels,) with its phase, and the last rows of the spectrogram, pixels averaged in groups."""

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
    columns : dict
        Numeric fields of the stream ``primary`` (and of ``power``, where the assay has one) by name.
    latest : dict
        The newest reading by stream.
    baseline : dict
        What was read once at the beginning.
    lab_start : float or None
        Lab time of the first reading, s.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.RLock()
        self.start: dict[str, Any] = {}
        self.stop: dict[str, Any] | None = None
        self.columns: dict[str, Column] = {}
        self.latest: dict[str, Latest] = {}
        self.baseline: dict[str, Any] = {}
        self.spectra = Spectra()
        self.lab_start: float | None = None
        self.events = 0
        self._streams: dict[str, str] = {}
        self._follower = Follower(path)

    def close(self) -> None:
        """Close the files."""
        with self.lock:
            self._follower.close()

    def poll(self) -> bool:
        """Read what is new and say whether there was anything. JournalError where a line is bad, OSError."""
        with self.lock:
            documents = self._follower.poll()
            for name, doc in documents:
                self._take(name, doc)
            return bool(documents)

    def status(self) -> str:
        """Return the run's status now (finished, aborted, failed, interrupted, running). FileInvalidError, OSError."""
        return open_run(self.path, salvage=True).status

    def column(self, name: str) -> tuple[Array, Array]:
        """Return times since the first reading (s) and values of a field, shape (n,); empty where it has none."""
        found = self.columns.get(name)
        if found is None:
            return np.empty(0), np.empty(0)
        times, values = found.arrays()
        return times - (self.lab_start or 0.0), values

    def value(self, name: str, default: Any = None) -> Any:
        """Return the newest value of a field of the stream ``primary``."""
        latest = self.latest.get("primary")
        return default if latest is None else latest.values.get(name, default)

    @property
    def newest_wall_s(self) -> float | None:
        """Wall time of the newest event of any stream but the baseline."""
        times = [latest.wall_s for stream, latest in self.latest.items() if stream != "baseline"]
        return max(times) if times else None

    def _take(self, name: str, doc: dict[str, Any]) -> None:
        if name == "event":
            self._event(self._streams.get(doc["descriptor"], ""), doc)
        elif name == "descriptor":
            self._streams[doc["uid"]] = str(doc.get("name", "primary"))
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

    def _event(self, stream: str, doc: Mapping[str, Any]) -> None:
        data = doc["data"]
        self.events += 1
        self.latest[stream] = Latest(float(doc["time"]), data)
        if stream == "baseline":
            self.baseline = self.baseline or dict(data)
            return
        lab = data.get(LAB_TIME)
        lab = float(doc["time"]) if lab is None else float(lab)
        if stream == "primary" and self.lab_start is None:
            self.lab_start = lab
        if "spectrometer_counts" in data:
            self._spectrum(lab, data)
        elif stream == "primary":
            self._readings(lab, data)

    def _readings(self, lab: float, data: Mapping[str, Any]) -> None:
        for key, value in data.items():
            if isinstance(value, int | float):
                column = self.columns.get(key)
                if column is None:
                    column = self.columns[key] = Column()
                column.times.append(lab)
                column.values.append(value)

    def _spectrum(self, lab: float, data: Mapping[str, Any]) -> None:
        counts = np.asarray(data["spectrometer_counts"], dtype=float)
        if counts.ndim != 1:
            return
        spectra = self.spectra
        spectra.counts = counts
        spectra.phase = str(data.get("run_state_phase", ""))
        spectra.saturated = float(data.get("spectrometer_saturated", 0.0))
        spectra.rows.append(fewer_pixels(counts, SPECTROGRAM_PIXELS))
        spectra.row_times.append(lab)
