"""Looks at carriers in the beam, read as the way from the first ones to the dissolved carriers; one scatter for all courses.

The carriers are the same in all courses of an assay, so the exponent of their scatter is fitted to all looks at once. A course in which
little leaves cannot fix it, and an exponent that is off by one bends its readings by a tenth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanolab.analysis.readout import Series, between, scatter_exponent
from nanolab.errors import AnalysisRefusesError
from plans.release.record import Look

Array = npt.NDArray[np.float64]

FIRST_LOOKS = 5
"""Looks at the beginning that are averaged: the noise of the first spectrum is in every read-out."""

_MOST_FOR_SCATTER = 24
"""Looks, spread over a course, from which the exponent of the scatter is found."""

_PIXELS = 12
"""Pixels that are read as one: 4 nm."""

_ROUNDS = 2


@dataclass(frozen=True)
class BeamLooks:
    """The looks of one course before its carriers are dissolved, and the mean spectra of the first ones and after it, (n,).

    ``dilution``: volume before over volume after the surfactant.
    """

    looks: Sequence[Look]
    first: Array
    last: Array
    dilution: float

    @classmethod
    def of(cls, looks: Sequence[Look], dissolved_s: float, dilution: float) -> "BeamLooks":
        """Sort a course's looks. AnalysisRefusesError where there are too few."""
        whole = [coarse(look) for look in looks if look.time_s < dissolved_s]
        after = [coarse(look).absorbance for look in looks if look.time_s > dissolved_s]
        if len(whole) < FIRST_LOOKS + 3 or not after:
            raise AnalysisRefusesError(
                f"{len(whole)} looks before the carriers were dissolved and {len(after)} after: too few to read"
            )
        first = np.mean([look.absorbance for look in whole[:FIRST_LOOKS]], axis=0)
        return cls(whole, first, np.mean(after, axis=0), dilution)

    def series(self, amount: float) -> Series:
        """Return what the exponent is found from; ``amount``: how concentrated the dissolved carriers are relative to the first."""
        some = self.looks[FIRST_LOOKS:][:: max(1, len(self.looks) // _MOST_FOR_SCATTER)]
        spectra = [(look.wavelength_nm, look.absorbance, look.sd) for look in some]
        return Series(spectra, self.first, self.last / amount - self.first)


def coarse(look: Look) -> Look:
    """Return a look by groups of `_PIXELS`; of a group of which most are missing, NaN.

    No band is as narrow, and all looks are fitted by the first and the last ones: noise in these draws every reading towards nothing,
    the less the smoother they are.
    """
    size = look.wavelength_nm.size // _PIXELS * _PIXELS
    nm, seen, sd = (values[:size].reshape(-1, _PIXELS) for values in (look.wavelength_nm, look.absorbance, look.sd))
    known = np.isfinite(seen) & np.isfinite(sd)
    count = np.maximum(known.sum(axis=1), 1)
    mean, square = (np.where(known, values, 0.0).sum(axis=1) / count for values in (seen, sd**2))
    enough = 2 * known.sum(axis=1) > _PIXELS
    return Look(
        look.time_s, nm.mean(axis=1), np.where(enough, mean, np.nan), np.where(enough, np.sqrt(square / count), np.nan)
    )


def read(courses: Sequence[BeamLooks]) -> list[tuple[Array, Array]]:
    """Return of each course how far its looks lie on the way (n,), and how concentrated the liquid was relative to the first (n,).

    The dissolved carriers are scaled by what evaporated until then.
    """
    amounts = [one.dilution for one in courses]
    found: list[tuple[Array, Array]] = []
    for _ in range(_ROUNDS):
        series = [one.series(amount) for one, amount in zip(courses, amounts, strict=True)]
        exponent = scatter_exponent(series)
        found = [_readings(one.looks, own, exponent) for one, own in zip(courses, series, strict=True)]
        amounts = [one.dilution * float(np.median(sizes[-5:])) for one, (_, sizes) in zip(courses, found, strict=True)]
    return found


def _readings(looks: Sequence[Look], series: Series, exponent: float) -> tuple[Array, Array]:
    pairs = [
        between(look.wavelength_nm, look.absorbance, look.sd, series.first, series.step, exponent) for look in looks
    ]
    return np.array([one.value for one, _ in pairs]), np.array([size for _, size in pairs])
