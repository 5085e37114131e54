"""One line of live numbers on standard error while a run goes on."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

WALL_SECONDS_BETWEEN_LINES = 0.2
LAB_SECONDS_BETWEEN_PLAIN_LINES = 300.0


class ProgressLine:
    """Writes where a run stands: role, phase, lab time, temperature, power, share done.

    On a terminal one line is written over and over; elsewhere one line at each change of phase and every five
    lab minutes.

    Parameters
    ----------
    expected_s : float
        Expected length in lab seconds, for the share done.
    expected_temperature : callable or None
        Lab seconds since laser-on to the predicted temperature in degC, shown beside the reading.
    """

    def __init__(
        self,
        role: str,
        expected_s: float,
        *,
        simulated: bool = False,
        stream: TextIO | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._role = role
        self._expected_s = max(expected_s, 1.0)
        self._prefix = "SIMULATED " if simulated else ""
        self._stream = sys.stderr if stream is None else stream
        self._live = self._stream.isatty()
        self._monotonic = monotonic
        self._next_wall = 0.0
        self._next_lab = 0.0
        self._phase = ""
        self._start: float | None = None
        self._wall_start = monotonic()

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document."""
        if name == "event" and {"thermocouple_sample", "run_state_phase"} <= doc["data"].keys():
            self._event(doc["data"])
        elif name == "stop" and self._live:
            self._stream.write("\n")

    def _event(self, data: Mapping[str, Any]) -> None:
        lab = float(data.get("run_state_lab_time", 0.0))
        if self._start is None:
            self._start = lab
        elapsed = lab - self._start
        phase = str(data.get("run_state_phase", ""))
        changed = phase != self._phase
        if not self._due(changed, elapsed):
            return
        self._phase = phase
        text = self._words(phase, elapsed, data)
        if self._live:
            self._stream.write(f"\r\033[2K{text}")
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def _due(self, changed: bool, elapsed: float) -> bool:
        if self._live:
            now = self._monotonic()
            if not changed and now < self._next_wall:
                return False
            self._next_wall = now + WALL_SECONDS_BETWEEN_LINES
            return True
        if not changed and elapsed < self._next_lab:
            return False
        self._next_lab = elapsed + LAB_SECONDS_BETWEEN_PLAIN_LINES
        return True

    def _words(self, phase: str, elapsed: float, data: Mapping[str, Any]) -> str:
        parts = [
            f"{self._prefix}{self._role:<9} {phase:<10} {elapsed:6.0f} s",
            f"{data['thermocouple_sample']:6.2f} °C",
        ]
        if "laser_power" in data:
            emitting = "on " if data.get("laser_emitting") else "off"
            parts.append(f"laser {emitting} {data['laser_power']:.3f} W")
        done = min(elapsed / self._expected_s, 1.0)
        parts.append(f"{100 * done:3.0f} %")
        wall = self._monotonic() - self._wall_start
        if 0.02 < done < 1.0 and wall > 2.0:
            parts.append(f"about {wall * (1 - done) / done:.0f} s left")
        return "  ".join(parts)
