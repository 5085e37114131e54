"""The temperatures of one run again, without what made them: what the holder is asked for, so that its liquid follows."""

from collections.abc import Mapping, Sequence

import numpy as np

from plans.release.schedule import Step

LIQUID_LAG_S = 75.0
"""The liquid follows the block with about this time constant: the block is asked for what it must have by then."""

MOST_AHEAD_K = 6.0
"""So far from the liquid's wanted temperature the block is asked to go; faster is a laser than any block."""

EVERY_S = 10.0
_SLOPE_OVER_S = 30.0
"""The slope is that between so long before and after: the probe's noise counts 75 times its slope."""


def replayed(rows: Sequence[Mapping[str, float]], cadence_s: float) -> list[Step]:
    """Return holder temperatures that give the liquid the temperatures of the sample's run again; ``rows`` as a plan keeps them."""
    known = [
        (row["run_state_lab_time"], row["cuvette_holder_probe"])
        for row in rows
        if np.isfinite(row.get("cuvette_holder_probe", np.nan))
    ]
    if not known:
        return []
    times, probe = (np.array(column) for column in zip(*known, strict=True))
    times = times - (float(rows[0]["run_state_lab_time"]) - cadence_s)
    at = np.arange(times[0], times[-1], EVERY_S) if times.size > 1 else times
    before, after = (np.clip(at + sign * _SLOPE_OVER_S, times[0], times[-1]) for sign in (-1.0, 1.0))
    apart = np.maximum(after - before, EVERY_S)
    slope = (np.interp(after, times, probe) - np.interp(before, times, probe)) / apart
    ahead = np.clip(LIQUID_LAG_S * slope, -MOST_AHEAD_K, MOST_AHEAD_K)
    wanted = np.interp(at, times, probe) + ahead
    return [
        Step(round(at_s, 1), "temperature", round(degrees, 2))
        for at_s, degrees in zip(at.tolist(), wanted.tolist(), strict=True)
    ]
