"""Is the rise proportional to the power? Losses that grow with temperature, and evaporation, say no."""

from typing import Any

import numpy as np
import numpy.typing as npt

from nanolab.quantities import Quantity
from plans.photothermal.curve import HeatingCurve

Array = npt.NDArray[np.float64]

END_S = 60.0
"""The rise of a heating is the mean of its last minute."""

CORRELATION_S = 15.0
"""Readings further apart than this count as independent: temperature noise is correlated over seconds."""


def linearity_of(curve: HeatingCurve) -> dict[str, Any] | None:
    """Return rise against power over the heatings of a series; None with fewer than two different powers.

    Returns
    -------
    dict
        ``points``: power_w, rise_k and rise_per_watt of each heating; ``kelvin_per_watt``: the straight line through
        the origin; ``departure``: relative change of K/W from the lowest to the highest power (0 where ΔT is
        proportional to P).
    """
    if curve.power_w is None:
        return None
    rows = [row for on, off in curve.on_periods() if (row := _heating(curve, on, off)) is not None]
    if len(rows) < 2 or max(row[0] for row in rows) < 1.2 * min(row[0] for row in rows):
        return None
    power, rise, u = (np.array(column) for column in zip(*rows, strict=True))
    weight = 1.0 / u**2
    slope = float(np.sum(weight * power * rise) / np.sum(weight * power**2))
    low, high = int(np.argmin(power)), int(np.argmax(power))
    per_watt, u_per_watt = rise / power, u / power
    change = float(per_watt[high] / per_watt[low] - 1.0)
    relative = np.hypot(u_per_watt[high] / per_watt[high], u_per_watt[low] / per_watt[low])
    return {
        "points": [
            {"power_w": float(p), "rise_k": float(r), "rise_per_watt": float(r / p)}
            for p, r in zip(power, rise, strict=True)
        ],
        "kelvin_per_watt": Quantity(slope, "K/W", float(1.0 / np.sqrt(np.sum(weight * power**2)))).to_json(),
        "departure": Quantity(change, "1", float((1.0 + change) * relative)).to_json(),
    }


def _heating(curve: HeatingCurve, on: float, off: float) -> tuple[float, float, float] | None:
    """Power in W, rise in K and its standard uncertainty of one heating; None where readings are missing."""
    times, good = curve.time_s, curve.usable
    if curve.power_w is None:
        return None
    first_on = curve.on_periods()[0][0]
    end = good & (times > off - END_S) & (times <= off) & curve.laser_on
    before = good & (times < first_on)
    lit = (times > on + END_S) & (times < off) & np.isfinite(curve.power_w)
    if min(np.count_nonzero(end), np.count_nonzero(before), np.count_nonzero(lit)) < 3:
        return None
    top, base = curve.temperature_c[end], curve.temperature_c[before]
    variance = _variance_of_mean(top, times[end]) + _variance_of_mean(base, times[before])
    return float(np.mean(curve.power_w[lit])), float(top.mean() - base.mean()), float(np.sqrt(variance))


def _variance_of_mean(values: Array, times: Array) -> float:
    independent = max(float(times[-1] - times[0]) / CORRELATION_S, 1.0)
    return float(np.var(values, ddof=1)) / independent
