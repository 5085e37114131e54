"""What a release assay should show, from the sample file alone: made before the first reading, with its band."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nanolab.analysis.verdict import Verdict, compare
from nanolab.quantities import Quantity
from plans.release.outline import Expected

if TYPE_CHECKING:
    from nanolab.bench.sample import SampleConfig

Array = npt.NDArray[np.float64]

BAND_DRAWS = 300
VERDICT_DRAWS = 20000
_SMALLEST_SHARE = 0.05
"""Draws of a positive quantity stay above this share of its value."""


def expect(
    sample: "SampleConfig",
    names: Sequence[str],
    time_h: Array,
    curve: Callable[[Mapping[str, float]], Array],
    key: str,
    fixed: Mapping[str, float] | None = None,
) -> Expected:
    """Draw the named expectations and carry them through ``curve`` (values by name -> percent (n,))."""
    quantities = {name: getattr(sample.expected_release, name) for name in names}
    draws = {name: _draws(name, quantity, BAND_DRAWS) for name, quantity in quantities.items()}
    given = dict(fixed or {})
    centre = curve({**given, **{name: quantity.value for name, quantity in quantities.items()}})
    band = [curve({**given, **{name: float(draws[name][i]) for name in names}}) for i in range(BAND_DRAWS)]
    low, high = np.percentile(np.array(band), [2.5, 97.5], axis=0)
    shown = {
        "time_h": time_h.tolist(), "percent": centre.tolist(), "lower_95": low.tolist(), "upper_95": high.tolist(),
    }  # fmt: skip
    return Expected(quantities, shown, key)


def _draws(name: str, quantity: Quantity, count: int) -> Array:
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    draws = quantity.value + (quantity.standard_uncertainty or 0.0) * generator.standard_normal(count)
    return np.maximum(draws, _SMALLEST_SHARE * quantity.value)


def judged(expected: Expected, found: Quantity | None) -> Verdict | None:
    """Compare a result with its expectation; None where it was not found, or nothing varies."""
    if found is None or not found.standard_uncertainty:
        return None
    own = np.random.default_rng(zlib.crc32(b"measured")).standard_normal(VERDICT_DRAWS)
    measured = found.value + found.standard_uncertainty * own
    believed = expected.quantities[expected.key]
    return compare(expected.key, found.value, believed.value, measured, _draws(expected.key, believed, VERDICT_DRAWS))
