"""Fewer points for the screen: smallest and largest of each bucket, so that no spike is lost."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def min_max(x: Array, y: Array, budget: int) -> tuple[Array, Array]:
    """Return at most `budget` points of a curve: the lowest and the highest of each bucket, in order, and both ends.

    Buckets hold equally many points. NaN count as gaps: a bucket of nothing else gives one NaN.

    Parameters
    ----------
    x, y : (n,)
        Abscissa, increasing, and ordinate.
    budget : int
        At least 4.
    """
    n = x.size
    if n <= budget:
        return x, y
    buckets = (budget - 2) // 2
    size = -(-n // buckets)
    whole = (n // size) * size
    parts = y[:whole].reshape(-1, size)
    # NaN must be neither: a bucket of nothing but NaN keeps its first point
    offsets = np.arange(0, whole, size)
    low = np.where(np.isnan(parts), np.inf, parts).argmin(axis=1) + offsets
    high = np.where(np.isnan(parts), -np.inf, parts).argmax(axis=1) + offsets
    chosen = np.concatenate([low, high, [0, n - 1]])
    if whole < n:
        rest = y[whole:]
        if not np.all(np.isnan(rest)):
            chosen = np.concatenate([chosen, [whole + int(np.nanargmin(rest)), whole + int(np.nanargmax(rest))]])
    kept = np.unique(chosen)
    return x[kept], y[kept]


def inside(x: Array, y: Array, window: tuple[float, float] | None) -> tuple[Array, Array]:
    """Return the part of a curve within a window of x, and one point more on each side; all of it for None."""
    if window is None:
        return x, y
    begin, end = np.searchsorted(x, window[0]), np.searchsorted(x, window[1], side="right")
    part = slice(max(0, int(begin) - 1), int(end) + 1)
    return x[part], y[part]


def fewer_pixels(values: Array, wanted: int) -> Array:
    """Return means over equal groups of the last axis, so that at most `wanted` are left; a rest is left out.

    Parameters
    ----------
    values : (..., n)
    """
    group = -(-values.shape[-1] // wanted)
    if group <= 1:
        return values
    whole = (values.shape[-1] // group) * group
    return np.asarray(values[..., :whole].reshape(*values.shape[:-1], -1, group).mean(axis=-1))


def as_bytes(values: Array) -> tuple[npt.NDArray[np.uint8], float, float]:
    """Return a map scaled to 0..255, with what 0 and 255 stand for; what is not finite becomes 0."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    span = high - low or 1.0
    scaled = np.clip((np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / span * 255.0, 0.0, 255.0)
    return scaled.astype(np.uint8), low, high
