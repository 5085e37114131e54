"""Release by heat: a thermosensitive carrier along the temperature that was recorded, whatever heated it.

    G = A (1 - e^{-k_b t'}) + (P - A)[1 - (1 - L(t)) (1 - H(t))]

with L what leaves by itself and H that of `nanolab.models.release_course.heated`. There is no law of light: heater and laser
differ only by the temperature that they made. The control that was not heated is fitted with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanolab.analysis.curve_fits import FitParameter
from nanolab.models.release_course import heated
from nanolab.quantities import Quantity
from plans.release.enzyme import PASSIVE as WITH_RELEASE
from plans.release.grid import Grid
from plans.release.in_beam import ZEROS, BeamProfile, passive_part, read_out
from plans.release.joint import Joint, fit_jointly

Array = npt.NDArray[np.float64]

HEAT_FROM_K = 3.0
"""Below the middle of the transition by this much, a thermosensitive carrier is an ordinary one."""

PASSIVE = WITH_RELEASE[:3]
"""Burst, its rate, plateau. What leaves slowly by itself is too little in an hour: an input, from `release`."""

HEAT = (
    FitParameter("transition_temperature", "degC", False, 25.0, 70.0),
    FitParameter("transition_width", "K", True, 0.03, 5.0),
    FitParameter("k_fast", "1/s", True, 1e-3, 5.0),
    FitParameter("k_tail", "1/s", True, 1e-6, 0.2),
)


@dataclass(frozen=True)
class HeatRun:
    """The control that stayed at its temperature, and the sample, as seen."""

    control: BeamProfile
    sample: BeamProfile


def fit_heat(run: HeatRun, inputs: Mapping[str, Quantity]) -> Joint:
    """Fit control and sample at once."""

    def predicted(p: Array, given: Mapping[str, float]) -> Array:
        seen = []
        for profile, zero in ((run.control, p[0]), (run.sample, p[1])):
            grid = profile.grid.moved(kelvin=given["temperature"])
            seen.append(
                profile.seen(released_by_heat(grid, p[2:], given["k_release"], given["activation_energy"]), zero)
            )
        return read_out(np.concatenate(seen), given)

    percent = np.concatenate([run.control.percent, run.sample.percent])
    sd = np.concatenate([run.control.sd, run.sample.sd])
    return fit_jointly([*ZEROS, *PASSIVE, *HEAT], predicted, percent, sd, _starts(run), inputs)


def released_by_heat(grid: Grid, p: Array, k_release: float, activation_energy: float) -> Array:
    """Return percent released along a course, (n,); parameters as in `PASSIVE` and `HEAT`."""
    burst, k_burst, plateau, middle, width, k_fast, k_tail = p
    burst = min(burst, plateau)
    first, alone = passive_part(grid, burst, k_burst, k_release, activation_energy)
    hot = grid.temperature_c > middle - HEAT_FROM_K
    if not hot.any():
        return np.asarray(first + (plateau - burst) * alone)
    # what is far below its transition is held below it: the logistic tail would go on for ever
    degrees = np.where(hot, grid.temperature_c, middle - 100.0)
    warm = heated(3600.0 * grid.time, degrees, middle, width, k_fast, k_tail)
    return np.asarray(first + (plateau - burst) * (1.0 - (1.0 - alone) * (1.0 - warm)))


def _starts(run: HeatRun) -> list[list[float]]:
    top = min(float(np.max(run.sample.percent)) * 1.02, 99.0)
    hottest = float(np.max(run.sample.grid.temperature_c))
    # half of what heat released was out at about this temperature
    half = int(np.argmax(run.sample.percent > 0.5 * (np.max(run.sample.percent) + run.sample.percent[0])))
    near = float(run.sample.grid.temperature_c[run.sample.grid.looks[half]])
    return [
        [0.0, 0.0, 0.13 * top, 2.0, top, middle, width, 0.08, 0.003]
        for middle in (near, near - 0.5, hottest - 1.0) for width in (0.3, 0.8)
    ]  # fmt: skip
