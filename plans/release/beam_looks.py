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


@dataclass(frozen=True)
class BeamLooks:
    """The looks of one course before its carriers are dissolved, and the mean spectra of the first ones and after it, (n,).

    ``dilution``: volume before over volume after the surfactant. ``thinned`` (k,): what an addition left of the first looks'
    concentration at each look; ``at_h`` (k,): time since the first looks, ``dissolved_h`` that of the looks after the surfactant.
    """

    looks: Sequence[Look]
    first: Array
    last: Array
    dilution: float
    thinned: Array
    at_h: Array
    dissolved_h: float

    @classmethod
    def of(
        cls, looks: Sequence[Look], dissolved_s: float, dilution: float, additions: Sequence[tuple[float, float]] = ()
    ) -> "BeamLooks":
        """Sort a course's looks; ``additions``: (time in s, volume before over after). AnalysisRefusesError where there are too few."""
        whole = [coarse(look) for look in looks if look.time_s < dissolved_s]
        after = [coarse(look) for look in looks if look.time_s > dissolved_s]
        if len(whole) < FIRST_LOOKS + 3 or not after:
            raise AnalysisRefusesError(
                f"{len(whole)} looks before the carriers were dissolved and {len(after)} after: too few to read"
            )
        first, last = (np.mean([look.absorbance for look in some], axis=0) for some in (whole[:FIRST_LOOKS], after))
        time_s = np.array([look.time_s for look in whole])
        begun_s = float(np.mean(time_s[:FIRST_LOOKS]))
        thinned = np.prod([np.where(time_s > at_s, share, 1.0) for at_s, share in additions], axis=0) * np.ones(
            time_s.size
        )
        dissolved_h = (float(np.mean([look.time_s for look in after])) - begun_s) / 3600.0
        return cls(whole, first, last, dilution, thinned, (time_s - begun_s) / 3600.0, dissolved_h)

    @property
    def series(self) -> Series:
        """Return what the exponent is found from and the looks are read by: as if nothing had evaporated."""
        some = self.looks[FIRST_LOOKS:][:: max(1, len(self.looks) // _MOST_FOR_SCATTER)]
        spectra = [(look.wavelength_nm, look.absorbance, look.sd) for look in some]
        return Series(spectra, self.first, self.last / self.dilution - self.first)


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
    """Return of each course how far its looks lie on the way (k,), and how concentrated the liquid was relative to the first (k,).

    With c the concentration relative to the first looks, y the way and e the concentration at the end, a spectrum is
    c [first + y (last/e - first)]: its coefficients by `Series` are y c/e along the step and c (1 - y) + y c/e of the first. Of e it is
    known that liquid evaporates from all courses alike; the nearer y comes to 1, the less would a course tell of its own.
    """
    series = [one.series for one in courses]
    exponent = scatter_exponent(series)
    found = [_coefficients(one.looks, own, exponent) for one, own in zip(courses, series, strict=True)]
    lost_per_h = _evaporation(courses, found)
    ways = []
    for one, (along, size) in zip(courses, found, strict=True):
        at_end = float(one.thinned[-1]) * (1.0 + lost_per_h * one.dissolved_h)
        concentration = size - along + along * at_end
        ways.append((along * at_end / concentration, concentration))
    return ways


def _coefficients(looks: Sequence[Look], series: Series, exponent: float) -> tuple[Array, Array]:
    """Return the coefficients of the step and of the first spectrum, (k,) each."""
    pairs = [
        between(look.wavelength_nm, look.absorbance, look.sd, series.first, series.step, exponent) for look in looks
    ]
    size = np.array([one for _, one in pairs])
    return np.array([one.value for one, _ in pairs]) * size, size


def _evaporation(courses: Sequence[BeamLooks], coefficients: Sequence[tuple[Array, Array]]) -> float:
    """Return the share of the liquid that evaporates per hour: the one with which concentrations follow additions and time alone."""
    slope, rest = [], []
    for one, (along, size) in zip(courses, coefficients, strict=True):
        end = float(one.thinned[-1])
        slope.append(one.thinned * one.at_h - along * end * one.dissolved_h)
        rest.append(size - along + along * end - one.thinned)
    x, y = np.concatenate(slope), np.concatenate(rest)
    return float(x @ y / (x @ x))
