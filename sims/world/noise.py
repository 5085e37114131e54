"""Noise that depends on lab time only, and generators that belong to one quantity each."""

import math
import zlib

import numpy as np

_BLOCK = 256
_NODES_PER_CORRELATION_TIME = 10.0


def generator(seed: int, quantity: str) -> np.random.Generator:
    """Return the random generator of one quantity: reading another more often does not change it."""
    if seed < 0:
        raise ValueError(f"the seed is {seed}: it must not be negative")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(quantity.encode())])))


class CorrelatedNoise:
    """A stationary Ornstein-Uhlenbeck process on a time grid of its own, interpolated between its nodes.

    The value at a time is the same however often, and in whatever order, it is asked for.

    Parameters
    ----------
    sigma : float
        Standard deviation, in the unit of the quantity.
    correlation_s : float
        Time, in seconds, after which the autocorrelation has fallen to 1/e.
    rng : numpy.random.Generator
        Used by this process only.
    """

    def __init__(self, sigma: float, correlation_s: float, rng: np.random.Generator) -> None:
        self._sigma = sigma
        self._per_second = _NODES_PER_CORRELATION_TIME / correlation_s
        self._keep = math.exp(-1.0 / _NODES_PER_CORRELATION_TIME)
        self._kick = math.sqrt(1.0 - self._keep**2)
        self._rng = rng
        self._nodes: list[float] = []

    def at(self, time_s: float) -> float:
        """Return the value at a lab time >= 0."""
        if self._sigma == 0.0:
            return 0.0
        place = time_s * self._per_second
        index = int(place)
        nodes = self._nodes
        while index + 1 >= len(nodes):
            self._extend()
        left = nodes[index]
        return left + (place - index) * (nodes[index + 1] - left)

    def _extend(self) -> None:
        draws = self._rng.standard_normal(_BLOCK).tolist()
        nodes = self._nodes
        unit = nodes[-1] / self._sigma if nodes else draws.pop(0)
        if not nodes:
            nodes.append(unit * self._sigma)
        for draw in draws:
            unit = self._keep * unit + self._kick * draw
            nodes.append(unit * self._sigma)
