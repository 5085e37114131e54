"""Release by an enzyme: integrated Michaelis-Menten with loss of the enzyme, beside what leaves by itself.

    G = A (1 - e^{-k_b t'}) + (P - A)(1 - s),   s' = -v(t) s/(kappa + s) - k s,   v = kcat E e^{-loss (t - t_E)}/S0

with kappa = KM/S0 and S0 the cargo that the enzyme can reach, (P - A) of the dose. The control without enzyme is fitted
with it; first order (kappa large) is the model that it is held against.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanolab.analysis.curve_fits import FitParameter
from nanolab.models.release_course import arrhenius, cut
from nanolab.quantities import Quantity
from plans.release.in_beam import ZEROS, BeamProfile, passive_part, read_out
from plans.release.joint import Joint, fit_jointly

Array = npt.NDArray[np.float64]

MIXING_S = 3.0
"""Dead time of mixing in stirred liquid: the enzyme's activity rises over these seconds."""

AT_ONCE_H = 1e-6
FIRST_ORDER_KAPPA = 1e5
PASSIVE = (
    FitParameter("burst", "%", True, 0.05, 100.0),
    FitParameter("k_burst", "1/h", True, 0.05, 200.0),
    FitParameter("plateau", "%", True, 1.0, 120.0),
    FitParameter("k_release", "1/h", True, 1e-4, 5.0),
)
ENZYME = (
    FitParameter("kcat", "1/min", True, 1e-2, 1e5),
    FitParameter("michaelis_constant", "umol/L", True, 0.02, 2e3),
)
SPECIFICITY = (FitParameter("specificity", "L/(umol min)", True, 1e-4, 1e4),)


@dataclass(frozen=True)
class EnzymeRun:
    """Control and sample as seen, the time of the addition in h, and its dilution (volume before over after).

    The sample's grid has that time and the one `AT_ONCE_H` later: the activity jumps there.
    """

    control: BeamProfile
    sample: BeamProfile
    added_h: float
    dilution: float


def fit_enzyme(run: EnzymeRun, inputs: Mapping[str, Quantity], *, first_order: bool = False) -> Joint:
    """Fit control and sample at once; ``first_order``: only kcat/KM."""

    def predicted(p: Array, given: Mapping[str, float]) -> Array:
        zero_control, zero_sample, burst, k_burst, plateau, k_release, *own = p
        burst = min(burst, plateau)
        energy = given["activation_energy"]
        control = run.control.grid.moved(kelvin=given["temperature"])
        first, rest = passive_part(control, burst, k_burst, k_release, energy)
        seen = [run.control.seen(first + (plateau - burst) * rest, zero_control)]
        grid = run.sample.grid.moved(kelvin=given["temperature"])
        first, _ = passive_part(grid, burst, k_burst, k_release, energy)
        reachable = given["concentration"] * 0.01 * (plateau - burst) * run.dilution
        kappa = FIRST_ORDER_KAPPA if first_order else own[1] / reachable
        kcat = own[0] * FIRST_ORDER_KAPPA * reachable if first_order else own[0]
        activity = _activity(grid.time, run.added_h, given["enzyme_loss"])
        active = 60.0 * kcat * given["enzyme"] / reachable * activity
        # KM counts in moles of what is left of the liquid
        shrunk = kappa * (1.0 - given["evaporation"] * grid.time)
        gone = cut(grid.time, active, shrunk, k_release * arrhenius(grid.temperature_c, energy))
        seen.append(run.sample.seen(first + (plateau - burst) * gone, zero_sample))
        return read_out(np.concatenate(seen), given)

    percent = np.concatenate([run.control.percent, run.sample.percent])
    sd = np.concatenate([run.control.sd, run.sample.sd])
    extra = SPECIFICITY if first_order else ENZYME
    # first order stands beside: only what it is compared by
    unasked = {one.name for one in ((*ZEROS, *PASSIVE) if first_order else ZEROS)}
    return fit_jointly([*ZEROS, *PASSIVE, *extra], predicted, percent, sd, _starts(run, first_order), inputs, unasked)


def _activity(time: Array, added_h: float, loss: float) -> Array:
    """Return the share of the enzyme that is active: none before, all of it once mixed, then lost (1/h)."""
    return np.where(time <= added_h + 0.5 * AT_ONCE_H, 0.0, np.exp(-loss * np.maximum(time - added_h, 0.0)))


def _starts(run: EnzymeRun, first_order: bool) -> list[list[float]]:
    top = min(float(np.max(run.sample.percent)) * 1.05, 99.0)
    starts = []
    for kcat in (5.0, 30.0, 200.0):
        for km in (3.0, 20.0):
            own = [kcat / km] if first_order else [kcat, km]
            starts.append([0.0, 0.0, 0.15 * top, 2.0, top, 0.05, *own])
    return starts
