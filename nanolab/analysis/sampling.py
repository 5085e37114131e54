"""What was released, from concentrations of samples that were withdrawn: volume correction and mass balance.

With withdrawn volume v, vessel volume V and concentrations C_i, the amount released at sample n is

* replaced by fresh medium: C_n V + v sum_{i<n} C_i
* not replaced: C_n (V - (n - 1) v) + v sum_{i<n} C_i

Where the carrier is withdrawn with the sample (no filter) it takes its cargo along: nothing is added, but the amount
that the vessel still holds has shrunk by (1 - v/V) with every replaced sample.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def released_amount(
    concentration: npt.ArrayLike, volume: float, withdrawn: float = 0.0, *, replaced: bool = True
) -> Array:
    """Amount released up to each sample (n,), samples filtered: the carrier stays or is given back.

    Parameters
    ----------
    concentration : (n,)
        Free cargo in the samples in order, amount per volume.
    volume, withdrawn : float
        Of the vessel and of one sample, in the volume unit of the concentration.
    replaced : bool
        Whether fresh medium replaced each sample.

    Raises
    ------
    ValueError
        Volumes that are not positive, or samples that empty the vessel.
    """
    c = np.asarray(concentration, dtype=np.float64)
    _check(volume, withdrawn, c.size, replaced)
    earlier = np.concatenate([[0.0], np.cumsum(c)[:-1]])
    left = volume if replaced else volume - withdrawn * np.arange(c.size)
    return np.asarray(c * left + withdrawn * earlier)


def released_share_with_carrier(
    concentration: npt.ArrayLike, volume: float, withdrawn: float, dose: float, *, replaced: bool = True
) -> Array:
    """Share of the dose released up to each sample (n,), carrier withdrawn with the sample.

    Free and bound cargo leave together: the share is C_n V over what of the dose the vessel still holds.
    """
    c = np.asarray(concentration, dtype=np.float64)
    _check(volume, withdrawn, c.size, replaced)
    held = dose * (1.0 - withdrawn / volume) ** np.arange(c.size) if replaced else np.full(c.size, dose)
    return np.asarray(c * volume / held)


def _check(volume: float, withdrawn: float, samples: int, replaced: bool) -> None:
    if volume <= 0 or withdrawn < 0 or withdrawn >= volume:
        raise ValueError(f"a sample of {withdrawn:g} cannot be taken from a volume of {volume:g}")
    if not replaced and samples * withdrawn > volume:
        raise ValueError(f"{samples} samples of {withdrawn:g} empty a vessel of {volume:g}")


def mass_balance(released: float, remaining: float, dose: float) -> float:
    """Share of the dose that was found again: released plus what was left in the carrier, over the dose."""
    return (released + remaining) / dose
