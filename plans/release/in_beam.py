"""Carriers in the beam: how far the spectrum has come from the first look to that of the dissolved carriers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nanolab.analysis.cautions import Cautions
from nanolab.analysis.curve_fits import FitParameter
from nanolab.errors import AnalysisRefusesError
from nanolab.models.release_course import arrhenius, left_by
from nanolab.quantities import Quantity
from plans.release.beam_looks import FIRST_LOOKS, BeamLooks, read
from plans.release.grid import Grid, grid_of
from plans.release.passive import bent
from plans.release.record import Course

if TYPE_CHECKING:
    from nanolab.bench.sample import SampleConfig

Array = npt.NDArray[np.float64]

SD_PERCENT = 0.2
"""Relative weight of a read-out: the same for all, since it is a difference of spectra; its size is fitted."""

READ_OUT = {"scale": Quantity(0.0, "1", 0.005), "linearity": Quantity(0.0, "1", 0.015)}
"""What the read-out itself may be off by, relative: its 100 %, and small values against large ones.

The dissolved carriers' look is corrected for dilution and scatter, and the dimers' spectrum is a stand-in.
"""

ZEROS = (FitParameter("zero_control", "%", False, -5.0, 5.0), FitParameter("zero_sample", "%", False, -5.0, 5.0))

SMALLEST_STEP = 0.01
"""Absorbance by which dissolved carriers must differ from whole ones somewhere, to be told apart at all."""


@dataclass(frozen=True)
class BeamProfile:
    """A course in the beam: grid, percent of the way from the first look to the dissolved carriers (n,), concentration (n,).

    What is seen of released percent G is (G - G0)/(100 - G0), G0 being released at the first looks already.
    """

    grid: Grid
    percent: Array
    amount: Array

    @property
    def sd(self) -> Array:
        """Relative standard deviations (n,)."""
        return np.full(self.percent.size, SD_PERCENT)

    def seen(self, released: Array, zero: float = 0.0) -> Array:
        """Return what is seen at the looks of a release (percent) along the grid.

        ``zero`` is the error of the first looks, which all are measured from: a parameter of the fit.
        """
        at = released[self.grid.looks]
        first = float(np.mean(at[:FIRST_LOOKS]))
        return np.asarray(100.0 * (at - first) / (100.0 - first) + zero)


@dataclass(frozen=True)
class Followed:
    """A course in the beam, and how finely its grid is to follow it: `grid_of`."""

    course: Course
    early: int = 60
    late: int = 120
    deeds_s: Sequence[float] = ()

    def grid(self, looks_s: Array) -> Grid:
        """Return the grid with looks at these times, s."""
        one = self.course
        return grid_of(
            looks_s, one.time_s, one.temperature_c, one.ph, early=self.early, late=self.late, deeds_s=self.deeds_s
        )


def beam_profiles(followed: Sequence[Followed], sample: "SampleConfig", cautions: Cautions) -> list[BeamProfile]:
    """Read courses of the same carriers whose last look is that of the dissolved ones.

    AnalysisRefusesError where that look never was taken.
    """
    seen = [_looks(one.course, sample, cautions) for one in followed]
    profiles = []
    for one, looks, (far, sizes) in zip(followed, seen, read(seen), strict=True):
        times = np.array([look.time_s for look in looks.looks])
        profiles.append(BeamProfile(one.grid(times), 100.0 * far, sizes))
    return profiles


def _looks(course: Course, sample: "SampleConfig", cautions: Cautions) -> BeamLooks:
    surfactant = course.when("surfactant")
    if not surfactant:
        raise AnalysisRefusesError("the carriers were never dissolved: without that look nothing tells 100 %")
    volume, added = sample.sample.volume or Quantity(1.0, "mL"), sample.release.addition.value
    whole, additions = volume.value, []
    for at_s, _ in course.when("enzyme"):
        additions.append((at_s, whole / (whole + added)))
        whole += added
    found = BeamLooks.of(course.looks, surfactant[0][0], whole / (whole + added), additions)
    if float(np.nanpercentile(np.abs(found.last - found.first), 90)) < SMALLEST_STEP:
        cautions.add(
            "little_contrast", "dissolved carriers hardly look different from whole ones: the read-out is poor"
        )
    return found


def read_out(seen: Array, given: Mapping[str, float]) -> Array:
    """Return what the read-out makes of percent seen (n,), being off as `given` says."""
    return bent(seen * (1.0 + given["scale"]), given["linearity"])


def passive_part(
    grid: Grid, burst: float, k_burst: float, k_release: float, activation_energy: float
) -> tuple[Array, Array]:
    """Return percent released in the burst, and the share of the main part that left by itself, (n,) each."""
    faster = arrhenius(grid.temperature_c, activation_energy)
    return burst * left_by(grid.time, k_burst * faster), left_by(grid.time, k_release * faster)
