"""When to look at a release: densely at first, then at times that grow by a factor; and what is done in between."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Step:
    """One thing to do `at_s` lab seconds after carriers and medium met.

    ``what``: ``look`` (spectra), ``temperature`` (value degC), ``power`` (value W on the sample), ``ph`` (value pH, by dosing
    acid), ``add`` (word ``enzyme`` or ``surfactant``), ``load`` (word: another filling of the cuvette),
    ``sample`` (value mL withdrawn; word ``replaced`` where as much fresh medium is put in).
    """

    at_s: float
    what: str
    value: float = 0.0
    word: str = ""


def looks(total_s: float, *, first_s: float = 120.0, dense: int = 10, points: int = 40) -> list[float]:
    """Return times (s) of `points` looks: `dense` of them `first_s` apart, the others log-spaced up to `total_s`."""
    early = [first_s * (index + 1) for index in range(dense) if first_s * (index + 1) < total_s]
    rest = max(points - len(early), 2)
    late = np.geomspace(early[-1] if early else first_s, total_s, rest + 1)[1:]
    return sorted({round(time, 1) for time in (*early, *late.tolist())})


def even(start_s: float, end_s: float, every_s: float) -> list[float]:
    """Return times from start to end (both included), about `every_s` apart."""
    count = max(int(np.ceil((end_s - start_s) / every_s - 1e-9)), 1)
    return [round(float(time), 1) for time in np.linspace(start_s, end_s, count + 1)]


def in_order(steps: Sequence[Step]) -> list[Step]:
    """Sort steps by time; at the same time a look comes before anything that is done."""
    return sorted(steps, key=lambda step: (step.at_s, step.what != "look"))
