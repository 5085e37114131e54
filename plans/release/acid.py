"""Release in steps of acid: k(pH) by specific acid, by a carrier that protonates, and freely at each step.

    specific acid   k(pH) = k_release + k_acid (10^-pH - 10^-pH0)
    switch          k(pH) = k_release + k_switch [s(pH) - s(pH0)], s = 1/(1 + 10^(m (pH - pKa))), m = 2
    free            k = one number for each step

pH0 is that of the medium at the start, so that k_release is the rate in it. All are fitted together with free cargo through
the same membrane (`plans.release.passive`) along the recorded pH and temperature, and ranked by AICc.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanolab.analysis.curve_fits import FitParameter
from nanolab.analysis.model_selection import Ranking, criteria, rank
from nanolab.models.release_course import arrhenius
from nanolab.quantities import Quantity
from plans.release.grid import Grid
from plans.release.joint import Joint, fit_jointly
from plans.release.passive import BURST, MEMBRANE, Profile, bent, carrier_course, free_course, released

Array = npt.NDArray[np.float64]
Rate = Callable[[Grid, Array], Array]
"""(course, own parameters) -> rate at 37 degC of the main part along the course, 1/h (n,)."""

SWITCH_STEEPNESS = 2.0

ACID = (FitParameter("k_acid", "L/mol/h", True, 1.0, 1e9),)
SWITCH = (
    FitParameter("k_switch", "1/h", True, 1e-4, 1e3),
    FitParameter("switch_pka", "1", False, 2.0, 8.0),
)
TITLES = {"specific_acid": "specific acid", "switch": "protonation switch", "free": "a rate of its own at each pH"}


@dataclass(frozen=True)
class PhSteps:
    """Free cargo and carriers as seen, the dilution by the doses at the carriers' looks (n,), and the times of the steps, h."""

    free: Profile
    carriers: Profile
    dilution: Array
    step_h: Sequence[float]


def specific_acid(grid: Grid, own: Array) -> Array:
    """Return k_release + k_acid (10^-pH - 10^-pH0) along a course."""
    hydrogen = 10.0**-grid.ph
    return np.asarray(np.maximum(own[0] + own[1] * (hydrogen - hydrogen[0]), 0.0))


def switch(grid: Grid, own: Array) -> Array:
    """Return the rate of a carrier that protonates along a course."""
    share = 1.0 / (1.0 + 10.0 ** np.clip(SWITCH_STEEPNESS * (grid.ph - own[2]), -30.0, 30.0))
    return np.asarray(own[0] + own[1] * (share - share[0]))


def stepwise(step_h: Sequence[float]) -> Rate:
    """Return a rate that is k_release before the first step and a number of its own after each."""

    def rate(grid: Grid, own: Array) -> Array:
        return np.asarray(own[np.searchsorted(np.asarray(step_h), grid.time, side="right")])

    return rate


def fit_acid(seen: PhSteps, inputs: Mapping[str, Quantity], model: str = "specific_acid") -> Joint:
    """Fit one of the models (`TITLES`)."""
    extra, rate, begin = _model(model, seen)

    def predicted(p: Array, given: Mapping[str, float]) -> Array:
        level, membrane, drift, burst, k_burst, plateau = p[:6]
        grid = seen.carriers.grid.moved(kelvin=given["temperature"], ph=given["ph"])
        k = rate(grid, p[6:]) * arrhenius(grid.temperature_c, given["activation_energy"])
        left = released(grid, min(burst, plateau), k_burst, plateau, k, given["activation_energy"])
        own = free_course(seen.free.grid, level, membrane, drift)
        carriers = seen.dilution * carrier_course(grid, level, membrane, drift, left, given["dose_ratio"])
        return bent(np.concatenate([own, carriers]), given["linearity"])

    percent = np.concatenate([seen.free.percent, seen.carriers.percent])
    sd = np.concatenate([seen.free.sd, seen.carriers.sd])
    starts = [[*start, *more] for start in _starts(seen) for more in begin]
    return fit_jointly([*MEMBRANE, *BURST, *extra], predicted, percent, sd, starts, inputs)


def _model(name: str, seen: PhSteps) -> tuple[Sequence[FitParameter], Rate, list[list[float]]]:
    hydrogen = 10.0 ** -float(np.nanmin(seen.carriers.grid.ph))
    if name == "specific_acid":
        return ACID, specific_acid, [[size / hydrogen] for size in (0.05, 0.3, 1.5)]
    if name == "switch":
        return SWITCH, switch, [[size, pka] for size in (0.2, 1.0) for pka in (5.0, 6.0)]
    count = len(seen.step_h)
    extra = [FitParameter(f"k_{index + 1}", "1/h", True, 1e-5, 50.0) for index in range(count)]
    return extra, stepwise(seen.step_h), [[size] * count for size in (0.05, 0.3)]


def _starts(seen: PhSteps) -> list[list[float]]:
    top = float(np.max(seen.free.percent))
    reached = min(100.0 * float(np.max(seen.carriers.percent / seen.dilution)) / top, 100.0)
    return [
        [top, membrane, 0.003, 0.15 * reached, 2.0, min(1.1 * reached, 100.0), k_release]
        for membrane in (0.7, 2.0) for k_release in (0.02, 0.1)
    ]  # fmt: skip


def ranking(joints: Mapping[str, Joint]) -> Ranking:
    """Rank fitted models by AICc."""
    scores = {}
    for name, joint in joints.items():
        fit = joint.fit
        scores[name] = criteria(fit.y, fit.fitted, fit.values.size, fit.sd).aicc
    return rank(scores, TITLES)
