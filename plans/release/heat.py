"""Release by heat and by light: a thermosensitive carrier along its recorded temperature, and a bond that light cuts.

    G = A (1 - e^{-k_b t'}) + (P - A)[1 - (1 - L(t)) (1 - H(t)) e^{-k_light D(t)}]

with L what leaves by itself, H that of `nanolab.models.heated` and D the fluence (J/cm2) that had come by then.
Heater and laser differ by k_light alone, which may come out as nothing. The control that was not heated, and the carriers that followed
the sample's temperatures without the laser, are fitted with it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from nanolab.analysis.curve_fits import FitParameter
from nanolab.models.heated import Passing, heated
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

LIGHT = FitParameter("k_light", "cm2/J", False, -0.01, 1.0)
"""Share released per fluence; its interval may hold 0, and a light that holds cargo back would be negative."""

ZERO_UNLIT = FitParameter("zero_unlit", "%", False, -5.0, 5.0)

_FIRST_LIGHT = 1e-4


@dataclass(frozen=True)
class HeatRun:
    """The control that stayed at its temperature, and the sample, as seen.

    With a laser: ``unlit`` is the control at the sample's temperatures without it, and ``fluence`` what had reached the sample by the
    times of its grid, J/cm2 (n,).
    """

    control: BeamProfile
    sample: BeamProfile
    unlit: BeamProfile | None = None
    fluence: Array | None = None

    @property
    def profiles(self) -> list[BeamProfile]:
        """All that are fitted, in order."""
        return [self.control, self.sample, *([] if self.unlit is None else [self.unlit])]


def fit_heat(run: HeatRun, inputs: Mapping[str, Quantity], *, light: bool = False, bare: bool = False) -> Joint:
    """Fit controls and sample at once; `light`: k_light too, which needs the run's fluence and the input ``fluence`` (relative).

    ``bare``: the best fit alone, without intervals.
    """
    profiles = run.profiles
    count = len(profiles)
    zeros = [*ZEROS, ZERO_UNLIT][:count]
    warming = [_warming(profile.grid) for profile in profiles]

    def predicted(p: Array, given: Mapping[str, float]) -> Array:
        law = p[count : count + len(PASSIVE) + len(HEAT)]
        seen = []
        for profile, zero, warm in zip(profiles, p[:count], warming, strict=True):
            grid = profile.grid.moved(kelvin=given["temperature"])
            cut = None
            if light and profile is run.sample and run.fluence is not None:
                cut = p[-1] * (1.0 + given["fluence"]) * run.fluence
            # a thermometer that is off by so much is a transition that is off as much the other way
            opened = partial(_moved, warm, given["temperature"])
            released = released_by_heat(grid, law, given["k_release"], given["activation_energy"], cut, opened)
            seen.append(profile.seen(released, zero))
        return read_out(np.concatenate(seen), given)

    percent = np.concatenate([profile.percent for profile in profiles])
    sd = np.concatenate([profile.sd for profile in profiles])
    extra = [LIGHT] if light else []
    starts = [[0.0] * count + start + [_FIRST_LIGHT] * len(extra) for start in _starts(run)]
    parameters = [*zeros, *PASSIVE, *HEAT, *extra]
    unasked = {one.name for one in (parameters if bare else zeros)}
    return fit_jointly(parameters, predicted, percent, sd, starts, inputs, unasked)


def _moved(warm: Callable[[Array], Array], kelvin: float, law: Array) -> Array:
    return warm(law - np.array([kelvin, 0.0, 0.0, 0.0]))


def law_of(joint: Joint) -> Array:
    """Return the values of `PASSIVE` and `HEAT` (7,) as fitted, for `released_by_heat`."""
    return np.array([joint.found[one.name].value for one in (*PASSIVE, *HEAT)])


def released_by_heat(
    grid: Grid,
    p: Sequence[float] | Array,
    k_release: float,
    activation_energy: float,
    cut: Array | None = None,
    warm: Callable[[Array], Array] | None = None,
) -> Array:
    """Return percent released along a course, (n,); parameters as in `PASSIVE` and `HEAT`, ``cut`` (n,) is k_light D.

    ``warm`` returns H for the values of `HEAT`; left out, it is made of the course.
    """
    burst, k_burst, plateau, middle, width, k_fast, k_tail = p
    burst = min(burst, plateau)
    first, alone = passive_part(grid, burst, k_burst, k_release, activation_energy)
    opened = (_warming(grid) if warm is None else warm)(np.array([middle, width, k_fast, k_tail]))
    held = (1.0 - alone) * (1.0 - opened)
    if cut is not None:
        held = held * np.exp(-cut)
    return np.asarray(first + (plateau - burst) * (1.0 - held))


def _warming(grid: Grid) -> Callable[[Array], Array]:
    """Return H (n,) of a course as a function of the values of `HEAT` (4,)."""
    passing = Passing.of(grid.temperature_c)
    seconds = 3600.0 * grid.time

    def share(law: Array) -> Array:
        return heated(seconds, grid.temperature_c, *law.tolist(), from_k=HEAT_FROM_K, passing=passing)

    return share


def _starts(run: HeatRun) -> list[list[float]]:
    top = min(float(np.max(run.sample.percent)) * 1.02, 99.0)
    hottest = float(np.max(run.sample.grid.temperature_c))
    # half of what heat released was out at about this temperature
    half = int(np.argmax(run.sample.percent > 0.5 * (np.max(run.sample.percent) + run.sample.percent[0])))
    near = float(run.sample.grid.temperature_c[run.sample.grid.looks[half]])
    return [
        [0.13 * top, 2.0, top, middle, width, 0.08, 0.003]
        for middle in (near, near - 0.5, hottest - 1.0) for width in (0.3, 0.8)
    ]  # fmt: skip
