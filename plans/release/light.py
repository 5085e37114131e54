"""The laser's light on a sample: the energy that had reached it by each time of its course."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from nanolab.quantities import Quantity
from plans.release.record import Course

Array = npt.NDArray[np.float64]


def energy_at(course: Course, time_s: npt.ArrayLike) -> Array:
    """Return the energy of the laser on the sample, J, that had come by each time (n,).

    The plan's marks tell when the laser went on and off (each look gates it off); the power in between is the mean of what the laser
    read there, or what was asked for where it read nothing.
    """
    marks = [*course.when("power"), (float("inf"), 0.0)]
    times = np.asarray(time_s, dtype=np.float64)
    total = np.zeros(times.shape)
    for (start, asked_w), (end, _) in pairwise(marks):
        if asked_w > 0.0:
            total += _power_w(course, start, end, asked_w) * np.clip(times - start, 0.0, end - start)
    return total


def _power_w(course: Course, start_s: float, end_s: float, asked_w: float) -> float:
    inside = (course.time_s > start_s) & (course.time_s < end_s)
    read = course.power_w[inside] if course.power_w.size == course.time_s.size else np.zeros(0)
    read = read[np.isfinite(read) & (read > 0.0)]
    return float(read.mean()) if read.size else asked_w


def light_energy(course: Course) -> Quantity | None:
    """Return all the energy of the laser on the sample, J; None where it never was on."""
    total = float(energy_at(course, course.time_s[-1:])[0]) if course.time_s.size else 0.0
    return Quantity(total, "J") if total > 0.0 else None
