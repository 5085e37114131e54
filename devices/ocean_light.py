"""Whether two spectra tell that the light has changed."""

import numpy as np

from devices.ocean_frames import Array

_SIGMAS = 10.0
"""Far above what the noise of one exposure does to the mean, far below what any lamp does."""


def light_changed(before: Array, after: Array, direction: int) -> bool:
    """Return whether the mean over the pixels rose (`direction` 1) or fell (-1) by more than noise can do.

    Parameters
    ----------
    before, after : (n_pixels,) array
        Counts of one exposure each.
    direction : int
        1 or -1.

    The noise is taken from the differences between neighbouring pixels, so that no shape of the light counts as
    noise; a median, so that no line does.
    """
    difference = (after - before) * direction
    steps = np.diff(difference)
    noise = 1.4826 * float(np.median(np.abs(steps - np.median(steps)))) / np.sqrt(2.0)
    # half a count: counts are whole numbers, and a noiseless detector still rounds
    threshold = max(_SIGMAS * noise / np.sqrt(difference.size), 0.5)
    return bool(np.mean(difference) > threshold)
