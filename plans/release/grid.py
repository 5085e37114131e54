"""The times at which a recorded course is followed by a model: its looks, and enough of the temperatures between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

EARLY_S = 900.0
"""The cuvette warms up in minutes: until then more times are kept."""

PH_STEP = 0.02


@dataclass(frozen=True)
class Grid:
    """Times in h from 0 (n,), temperature in degC and pH at each, and where the looks are among them."""

    time: Array
    temperature_c: Array
    ph: Array
    looks: npt.NDArray[np.int64]

    def moved(self, kelvin: float = 0.0, ph: float = 0.0) -> "Grid":
        """Return the course with thermometer and probe corrected by these."""
        return Grid(self.time, self.temperature_c + kelvin, self.ph + ph, self.looks)


def grid_of(
    look_s: Array,
    time_s: Array,
    temperature_c: Array,
    ph: Array,
    *,
    early: int = 60,
    late: int = 120,
    start_c: float | None = None,
    deeds_s: Sequence[float] = (),
) -> Grid:
    """Thin a record (m,) out to about `early` times of the first minutes and `late` after them, and add the looks.

    Between and beyond the recorded times values are interpolated; ``start_c`` is the temperature at time 0 where it is
    known, ``deeds_s`` are times at which something was done to the liquid: they are kept, as are those at which the pH had moved (a
    step of acid is not smeared over an interval). NaN in the pH are interpolated; all NaN stays NaN.
    """
    after = time_s >= 0.0
    times, degrees = time_s[after], temperature_c[after]
    if start_c is not None and (times.size == 0 or times[0] > 0.0):
        times, degrees = np.concatenate([[0.0], times]), np.concatenate([[start_c], degrees])
    early_s, late_s = times[times <= EARLY_S], times[times > EARLY_S]
    kept = [_thinned(early_s, early), _thinned(late_s, late)]
    nodes = np.unique(np.concatenate([[0.0], look_s, *kept, deeds_s, time_s[after][_moved(ph[after], PH_STEP)]]))
    nodes = nodes[nodes <= max(float(look_s.max()), 0.0)]
    known = np.isfinite(ph[after]) if after.any() else np.zeros(0, dtype=bool)
    acid = np.interp(nodes, time_s[after][known], ph[after][known]) if known.any() else np.full(nodes.size, np.nan)
    return Grid(nodes / 3600.0, np.interp(nodes, times, degrees), acid, np.searchsorted(nodes, look_s))


def _thinned(times: Array, most: int) -> Array:
    if times.size <= most:
        return times
    return np.asarray(times[np.unique(np.linspace(0, times.size - 1, most).astype(int))])


def _moved(values: Array, step: float) -> list[int]:
    """Return the places (of (m,) values) that differ by more than `step` from the last such place, and those before them."""
    found: list[int] = []
    last = float("nan")
    for index, value in enumerate(values.tolist()):
        if value != value or abs(value - last) <= step:
            continue
        # the first one known has moved from nowhere
        found += [index - 1, index] if last == last else [index]
        last = value
    return sorted(set(found))
