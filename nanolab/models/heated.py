"""Carriers that heat opens, along a recorded temperature: each has a transition of its own, and lets go once past it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanolab.models.release_course import integral

Array = npt.NDArray[np.float64]

_LEVEL_K = 0.15
"""A temperature that falls by no more than this below its highest counts as rising: noise, and a controller at rest."""

_BY_RECORD, _BY_KELVIN = 90, 70
"""Transitions at which carriers are followed: as dense as the recorded temperatures in the hotter half, and evenly."""

_SPAN_K = 8.0
"""They reach so far below the hottest temperature; what opens below counts as open from the beginning."""


@dataclass(frozen=True)
class Passing:
    """How long a recorded temperature was above each of many transitions.

    ``edges`` (k + 1,) degC, increasing; ``above`` (k, n - 1) share of each interval between two times that was above the middle of each
    class. The classes lie where the temperature does, not where a transition is believed: what is made of them then changes smoothly
    with the believed one, at a plateau too.
    """

    edges: Array
    above: Array

    @classmethod
    def of(cls, temperature_c: Array) -> "Passing":
        """Return it for temperatures (n,), straight lines in between."""
        hottest = float(temperature_c.max())
        warm = temperature_c[temperature_c >= hottest - _SPAN_K]
        hot = warm[warm >= 0.5 * (float(np.median(warm)) + hottest)]
        known = np.quantile(hot, np.linspace(0.0, 1.0, _BY_RECORD))
        even = np.linspace(warm.min(), hottest, _BY_KELVIN)
        edges = np.unique(np.concatenate([known, even]))
        middles = 0.5 * (edges[1:] + edges[:-1])
        low, high = np.minimum(temperature_c[1:], temperature_c[:-1]), np.maximum(temperature_c[1:], temperature_c[:-1])
        above = np.clip((high - middles[:, None]) / np.maximum(high - low, 1e-9), 0.0, 1.0)
        return cls(edges, above)


def heated(
    time_s: Array,
    temperature_c: Array,
    transition: float,
    width: float,
    k_fast: float,
    k_tail: float,
    *,
    from_k: float = np.inf,
    passing: Passing | None = None,
) -> Array:
    """Return the share of a thermosensitive carrier's cargo that has left, (n,).

    Carriers have their own transition temperatures, logistic about `transition` (degC) with `width` (K) and none more than `from_k`
    below it (the logistic tail would go on for ever); those that have passed it lose their cargo at k_fast, the others at k_tail times the
    share that has passed (both 1/s). At constant temperature this is the biexponential of
    `nanolab.models.release_triggers.thermosensitive`. While the temperature only rises (within `_LEVEL_K`) the sum over the carriers is
    exact; where it falls again they are followed in the classes of `passing`, which may be given where it is needed often.
    """
    highest = np.maximum.accumulate(temperature_c)
    if float(np.max(highest - temperature_c)) > _LEVEL_K:
        classes = Passing.of(temperature_c) if passing is None else passing
        return _in_classes(time_s, temperature_c, classes, (transition, width, k_fast, k_tail), from_k)
    passed = _passed(highest, transition, width, from_k)
    slow = integral(time_s, k_tail * passed)
    waiting = np.exp(-slow)
    steps = np.diff(time_s)
    reach = k_fast * steps
    kept = np.exp(-reach)
    # those that pass within a step do so evenly
    arriving = np.diff(passed) * 0.5 * (waiting[1:] + waiting[:-1]) * -np.expm1(-reach) / np.maximum(reach, 1e-12)
    leaking = [float(passed[0])]
    for share, new in zip(kept.tolist(), arriving.tolist(), strict=True):
        leaking.append(leaking[-1] * share + new)
    return np.asarray(1.0 - (1.0 - passed) * waiting - np.array(leaking))


def _passed(temperature_c: Array, transition: float, width: float, from_k: float) -> Array:
    """Return the share of carriers whose transition lies below each temperature: continuous, or a fit would stumble over a step."""
    below = 1.0 / (1.0 + np.exp(-np.clip((temperature_c - transition) / width, -60.0, 60.0)))
    cut = 1.0 / (1.0 + np.exp(min(from_k / width, 60.0)))
    return np.asarray(np.maximum(below - cut, 0.0) / (1.0 - cut))


def _in_classes(
    time_s: Array, temperature_c: Array, passing: Passing, law: tuple[float, float, float, float], from_k: float
) -> Array:
    transition, width, k_fast, k_tail = law
    below = _passed(passing.edges, transition, width, from_k)
    middle = 0.5 * (temperature_c[1:] + temperature_c[:-1])
    slow = k_tail * _passed(middle, transition, width, from_k)
    steps = np.diff(time_s)
    reach = (k_fast - slow) * passing.above
    reach += slow
    reach *= steps
    held = np.diff(below) @ np.exp(-np.cumsum(reach, axis=1))
    # transitions above all that was reached are left to the tail; those below the lowest class were past from the beginning
    held += below[0] * np.exp(-np.cumsum(k_fast * steps)) + (1.0 - below[-1]) * np.exp(-np.cumsum(slow * steps))
    return np.concatenate([[0.0], 1.0 - held])
