"""Release through a dialysis membrane while aliquots are withdrawn from outside it, replaced by fresh medium or not.

With T what of the dose is free (released less what went with aliquots), F what of it is outside, V and Vi the volumes outside
and inside the insert, the membrane brings concentrations together at its rate k:

    F' = k [T V/(V + Vi) - F]        O = F (V + Vi)/V        O' = k (T - O)

O is what `nanolab.models.release_course.through_membrane` follows: relative to free cargo at equilibrium. An aliquot v takes
the share v/V of F; u of fresh medium makes V - v + u of the volume. In between the equation is linear, so that each aliquot
adds a part of its own that dies away with exp(-k t). Mass balance only; for a vessel without a membrane it is the correction of
`nanolab.analysis.sampling`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanolab.models.release_course import through_membrane

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Aliquots:
    """Times in h (m,), increasing, of aliquots of ``taken_ml`` (m,), for each of which ``returned_ml`` (m,) of medium was put in.

    ``volume_ml``: outside the insert at the start; ``insert_ml``: inside.
    """

    time_h: Array
    taken_ml: Array
    returned_ml: Array
    volume_ml: float
    insert_ml: float

    def off(self, gain: float, volume_ml: float, insert_ml: float) -> "Aliquots":
        """Return the same with all pipetted volumes times `gain`, and other volumes of vessel and insert."""
        return Aliquots(self.time_h, gain * self.taken_ml, gain * self.returned_ml, volume_ml, insert_ml)


@dataclass(frozen=True)
class Sampled:
    """A course from which aliquots were taken, percent of the dose.

    At the times (n,): ``seen``, the concentration outside relative to that of all the dose at equilibrium in the fresh volumes;
    ``outside``, the amount there; ``inside``, free in the insert; ``removed``, gone with earlier aliquots. ``each`` (m,): what
    every aliquot took. ``volume``: of all liquid over that at the start, (n,).
    """

    seen: Array
    outside: Array
    inside: Array
    removed: Array
    each: Array
    volume: Array


def sampled(time: Array, released: Array, membrane_rate: float, aliquots: Aliquots, drift: float = 0.0) -> Sampled:
    """Follow what of `released` (percent of the dose at the times in h, (n,)) is outside the membrane.

    Parameters
    ----------
    time : (n,)
        From 0, increasing. An aliquot at one of the times comes after what is seen at it.
    membrane_rate, drift : float
        1/h; `drift` is the share of all liquid that evaporates per hour.

    ValueError where an aliquot empties the vessel.
    """
    whole = aliquots.volume_ml + aliquots.insert_ml
    plain = through_membrane(time, released, membrane_rate)
    removed, lost, uneven = np.zeros(time.size), np.zeros(time.size), np.zeros(time.size)
    each = []
    for at, taken, returned in zip(aliquots.time_h, aliquots.taken_ml, aliquots.returned_ml, strict=True):
        # what was taken after the last of the times is what was there at it
        index = min(int(np.searchsorted(time, at)), time.size - 1)
        total = whole * (1.0 - drift * time[index] - lost[index])
        outside_ml = total - aliquots.insert_ml
        if taken >= outside_ml:
            raise ValueError(f"{taken:g} mL cannot be taken from {outside_ml:.3g} mL")
        before = float(plain[index] - removed[index] - uneven[index])
        gone = before * taken / total
        after_ml = outside_ml - taken + returned
        # O after it: the share that stayed, in the new volume
        left = before * (outside_ml - taken) / after_ml * (after_ml + aliquots.insert_ml) / total
        later = time > at
        removed[later] += gone
        lost[later] += (taken - returned) / whole
        # what the insert holds in excess of equal concentrations from here on
        uneven[later] += (before - left - gone) * np.exp(-membrane_rate * (time[later] - at))
        each.append(gone)
    relative = plain - removed - uneven
    volume = 1.0 - drift * time - lost
    outside = relative * (1.0 - aliquots.insert_ml / (whole * volume))
    return Sampled(relative / volume, outside, released - removed - outside, removed, np.array(each), volume)
