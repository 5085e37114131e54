"""Release behind a dialysis membrane: burst and sustained part, with the membrane and the evaporation from free cargo.

    free cargo:  y = L (1 - exp(-k_m t)) / (1 - g t)
    carriers:    y = L r M[ A (1 - e^{-k_b t'}) + (P - A)(1 - e^{-k t'}) ] / (1 - g t)

with M the membrane, r the ratio of the doses, g the loss of water (less what bleaches), and t' counted at 37 degC by
Arrhenius along the recorded temperature. Both courses are fitted at once. Where aliquots were withdrawn, `nanolab.models.aliquots`
takes the place of M[.]/(1 - g t).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nanolab.analysis.curve_fits import FitParameter
from nanolab.models.aliquots import Aliquots, Sampled, sampled
from nanolab.models.release_course import arrhenius, left_by, through_membrane
from nanolab.quantities import Quantity
from plans.release.grid import Grid
from plans.release.joint import Joint, fit_jointly

if TYPE_CHECKING:
    from nanolab.bench.sample import SampleConfig

Array = npt.NDArray[np.float64]

SD_PERCENT, SD_SHARE = 0.1, 0.002
"""Relative weights of read-outs: 0.1 % of the dose and 0.2 % of the reading; the size is fitted."""


LINEARITY = 0.0075
"""Standard uncertainty of the read-out's linearity: relative error at low release over that at full release, 12 umol/L.

How a molecule in a dimer absorbs is known to 4 % (0.7 %; the spectrum is a stand-in), the dimers' constant to a tenth (0.25 %); stray
light and the detector's own curve 0.2 %.
"""


def bent(percent: Array, by: float) -> Array:
    """Return a read-out (percent, (n,)) of which small values are read too small by the share `by`."""
    return np.asarray(percent * (1.0 + by * (0.01 * percent - 1.0)))


@dataclass(frozen=True)
class Profile:
    """A course as seen: its grid, percent of the nominal dose at the looks (n,), and the aliquots where any were taken."""

    grid: Grid
    percent: Array
    taken: Aliquots | None = None

    @property
    def sd(self) -> Array:
        """Relative standard deviations (n,) for the fit."""
        return np.hypot(SD_PERCENT, SD_SHARE * self.percent)

    def sampled(self, left: Array, membrane_rate: float, drift: float, given: Mapping[str, float]) -> Sampled:
        """Return what becomes of `left` (percent of the dose, (n,) on the grid) with the aliquots taken.

        ``given``: ``withdrawal``, ``volume`` and ``insert`` of `inputs_of`. ValueError without aliquots, or where they empty the vessel.
        """
        if self.taken is None:
            raise ValueError("no aliquot was taken from this course")
        taken = self.taken.off(given["withdrawal"], given["volume"], given["insert"])
        return sampled(self.grid.time, left, membrane_rate, taken, drift)


def released(grid: Grid, burst: float, k_burst: float, plateau: float, rate: Array, activation_energy: float) -> Array:
    """Return percent of the dose that has left its carrier at the grid's times (n,); `rate` (n,) of the main part, 1/h."""
    faster = arrhenius(grid.temperature_c, activation_energy)
    first = burst * left_by(grid.time, k_burst * faster)
    return np.asarray(first + (plateau - burst) * left_by(grid.time, rate))


def inputs_of(sample: "SampleConfig", *, with_ph: bool = False, aliquots: bool = False) -> dict[str, Quantity]:
    """Return what the fit takes from the sample file; with `aliquots` what says how much went with them too."""
    table = sample.release
    inputs = {
        "dose_ratio": table.dose_ratio,
        "temperature": Quantity(0.0, "K", table.thermometer_accuracy.value),
        "activation_energy": table.activation_energy,
        "linearity": Quantity(0.0, "1", LINEARITY),
    }
    if aliquots and sample.sample.volume is not None:
        inputs |= {"withdrawal": table.withdrawal, "volume": sample.sample.volume, "insert": table.insert}
    return inputs | ({"ph": Quantity(0.0, "1", table.ph_accuracy.value)} if with_ph else {})


MEMBRANE = (
    FitParameter("level", "%", True, 20.0, 300.0),
    FitParameter("membrane_rate", "1/h", True, 0.02, 60.0),
    FitParameter("drift", "1/h", False, -0.03, 0.03),
)
BURST = (
    FitParameter("burst", "%", True, 0.05, 100.0),
    FitParameter("k_burst", "1/h", True, 0.05, 200.0),
    FitParameter("plateau", "%", True, 1.0, 120.0),
    FitParameter("k_release", "1/h", True, 1e-4, 5.0),
)


def free_course(grid: Grid, level: float, membrane_rate: float, drift: float) -> Array:
    """Return what is seen of free cargo at the looks."""
    seen = through_membrane(grid.time, np.full(grid.time.size, 100.0), membrane_rate)
    return np.asarray(0.01 * level * seen / (1.0 - drift * grid.time))[grid.looks]


def carrier_course(grid: Grid, level: float, membrane_rate: float, drift: float, left: Array, ratio: float) -> Array:
    """Return what is seen beyond the membrane of what has left (percent of the dose, (n,))."""
    seen = through_membrane(grid.time, left, membrane_rate)
    return np.asarray(0.01 * level * ratio * seen / (1.0 - drift * grid.time))[grid.looks]


def left_carriers(carriers: Profile, p: Array, given: Mapping[str, float]) -> Array:
    """Return percent of the dose that has left its carrier on the grid (n,); `p` the parameters of `fit_passive`."""
    _, _, _, burst, k_burst, plateau, k_release = p
    grid = carriers.grid.moved(kelvin=given["temperature"])
    rate = k_release * arrhenius(grid.temperature_c, given["activation_energy"])
    return released(grid, min(burst, plateau), k_burst, plateau, rate, given["activation_energy"])


def fit_passive(free: Profile, carriers: Profile, inputs: Mapping[str, Quantity]) -> Joint:
    """Fit free cargo and carriers at once, from which aliquots may have been taken."""

    def predicted(p: Array, given: Mapping[str, float]) -> Array:
        level, membrane, drift = p[:3]
        left = left_carriers(carriers, p, given)
        if free.taken is None:
            own = free_course(free.grid, level, membrane, drift)
        else:
            own = _seen_sampled(free, np.full(free.grid.time.size, 100.0), p, given)
        if carriers.taken is None:
            other = carrier_course(carriers.grid, level, membrane, drift, left, given["dose_ratio"])
        else:
            other = given["dose_ratio"] * _seen_sampled(carriers, left, p, given)
        return bent(np.concatenate([own, other]), given["linearity"])

    seen, sd = np.concatenate([free.percent, carriers.percent]), np.concatenate([free.sd, carriers.sd])
    parameters = [*MEMBRANE, *BURST]
    joint = fit_jointly(parameters, predicted, seen, sd, _starts(free, carriers), inputs)
    level, membrane, drift, burst, k_burst, plateau, k_release = joint.fit.values.tolist()
    if k_burst < k_release and burst < plateau:
        # the same curve with its parts named the other way round: the burst is the faster one
        start = [level, membrane, drift, plateau - burst, k_release, plateau, k_burst]
        return fit_jointly(parameters, predicted, seen, sd, [start], inputs)
    return joint


def _seen_sampled(profile: Profile, left: Array, p: Array, given: Mapping[str, float]) -> Array:
    level, membrane, drift = p[:3]
    try:
        seen = profile.sampled(left, membrane, drift, given).seen
    except ValueError:
        # a trial with so much evaporation that nothing would be left to withdraw: the fit goes elsewhere
        return np.full(profile.percent.size, np.nan)
    return np.asarray(0.01 * level * seen)[profile.grid.looks]


def regained(profile: Profile) -> Array:
    """Return percent at the looks (n,) with what went with earlier aliquots added roughly: enough to begin a fit from."""
    taken = profile.taken
    if taken is None:
        return profile.percent
    time = profile.grid.time[profile.grid.looks]
    went = np.interp(taken.time_h, time, profile.percent) * taken.taken_ml / (taken.volume_ml + taken.insert_ml)
    return np.asarray(profile.percent + (time[:, None] > taken.time_h) @ went)


def _starts(free: Profile, carriers: Profile) -> list[list[float]]:
    top, hours = float(np.max(regained(free))), float(carriers.grid.time[-1])
    reached = float(np.max(regained(carriers))) / top * 100.0
    starts = []
    for k_release in (0.5 / hours, 1.5 / hours, 5.0 / hours):
        for k_burst in (0.7, 3.0):
            for membrane in (0.5, 2.0):
                starts.append([top, membrane, 0.003, 0.15 * reached, k_burst, min(1.2 * reached, 100.0), k_release])
    return starts
