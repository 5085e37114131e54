"""Propagation of distributions by Monte Carlo (JCGM 101:2008), with every input drawn once and shared.

An input is known by its name. Its draws depend on the seed and the name only, so that a result and a prediction
that use the same power meter see the same draws of its gain, and their difference has the right uncertainty.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nanolab.quantities import Quantity

Array = npt.NDArray[np.float64]
Model = Callable[[Mapping[str, Array]], Array]

DEFAULT_DRAWS = 20000


@dataclass
class Inputs:
    """Named inputs of a budget and their draws.

    Parameters
    ----------
    seed : int
        With the name of an input decides its draws.
    draws : int
        Number of trials.
    """

    seed: int = 0
    draws: int = DEFAULT_DRAWS
    values: dict[str, Array] = field(default_factory=dict)
    centres: dict[str, float] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)

    def generator(self, name: str) -> np.random.Generator:
        """Generator that belongs to this name and seed."""
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    def standard(self, name: str) -> Array:
        """Standard normal draws (draws,) of this name, their mean and deviation made exact.

        Without their own sampling error the budget is steady between seeds.
        """
        z = self.generator(name).standard_normal(self.draws)
        return np.asarray((z - z.mean()) / z.std())

    def normal(self, name: str, value: float, standard_uncertainty: float, group: str | None = None) -> Array:
        """Add a normally distributed input; `group` is the term of the budget that it counts under."""
        return self.add(name, value, value + standard_uncertainty * self.standard(name), group)

    def quantity(self, name: str, quantity: Quantity, group: str | None = None) -> Array:
        """Add a quantity with its standard uncertainty (none: exact)."""
        return self.normal(name, quantity.value, quantity.standard_uncertainty or 0.0, group)

    def uniform(self, name: str, low: float, high: float, group: str | None = None) -> Array:
        """Add an input of which only limits are known."""
        return self.add(name, 0.5 * (low + high), self.generator(name).uniform(low, high, self.draws), group)

    def correlated(self, names: Sequence[str], values: Array, covariance: Array, group: str) -> None:
        """Add jointly normal inputs (k,) with their covariance (k, k)."""
        weights, vectors = np.linalg.eigh(np.atleast_2d(covariance))
        root = vectors * np.sqrt(np.clip(weights, 0.0, None))
        z = np.stack([self.standard(f"{group}/{index}") for index in range(len(names))])
        draws = values[:, None] + root @ z
        for index, name in enumerate(names):
            self.add(name, float(values[index]), draws[index], group)

    def add(self, name: str, centre: float, draws: Array, group: str | None = None) -> Array:
        """Add an input by its draws (draws,)."""
        self.values[name] = draws
        self.centres[name] = float(centre)
        self.groups.setdefault(group or name, []).append(name)
        return draws

    def central(self) -> dict[str, Array]:
        """Every input at its centre, as 0-d arrays."""
        return {name: np.asarray(value) for name, value in self.centres.items()}


@dataclass(frozen=True)
class Propagated:
    """An output of a model: its value at the centres, its draws (n,), and each term's share of the variance."""

    value: float
    draws: Array
    shares: dict[str, float]
    unit: str

    @property
    def quantity(self) -> Quantity:
        """Value, standard deviation of the draws, probabilistically symmetric 95 % interval."""
        return Quantity.from_samples(self.draws, self.unit, self.value)


def propagate(model: Model, inputs: Inputs, unit: str) -> Propagated:
    """Carry all inputs through a model.

    The share of a term is the drop of the variance when it is frozen at its centre (JCGM 101, annex B), as a part
    of the whole; with correlated or multiplied inputs the shares need not add up to one. Largest first.
    """
    draws = np.asarray(model(inputs.values), dtype=float)
    value = float(model(inputs.central()))
    total = float(np.var(draws))
    shares: dict[str, float] = {}
    for group, names in inputs.groups.items():
        frozen = dict(inputs.values)
        for name in names:
            frozen[name] = np.full(inputs.draws, inputs.centres[name])
        left = float(np.var(np.asarray(model(frozen), dtype=float)))
        shares[group] = max(0.0, 1.0 - left / total) if total > 0 else 0.0
    ordered = dict(sorted(shares.items(), key=lambda item: -item[1]))
    return Propagated(value, draws, ordered, unit)
