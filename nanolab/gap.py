"""The gap between a measured quantity and its prediction, and which input alone would close it."""

from collections.abc import Mapping

import numpy as np

from nanolab.page import Explanation
from nanolab.quantities import Quantity

SMALLEST_SHARE = 0.005
"""Inputs with a smaller share of the variance explain nothing."""

_NOT_PLAUSIBLE = 3.0


def sigmas(measured: Quantity | None, predicted: Quantity | None) -> float | None:
    """Return the difference in standard uncertainties, taken as independent; None where one side says nothing."""
    if measured is None or predicted is None:
        return None
    u = float(np.hypot(measured.standard_uncertainty or 0.0, predicted.standard_uncertainty or 0.0))
    return (measured.value - predicted.value) / u if u > 0 else None


def explanations(
    measured: Quantity | None, predicted: Quantity | None, shares: Mapping[str, float], names: Mapping[str, str]
) -> list[Explanation]:
    """Say by how many of its own standard uncertainties each input would have to be wrong to close the gap alone.

    ``shares`` of the variance by term, ``names`` the words for a term. Linear: an input with the share s of the variance u²
    moves the quantity by u sqrt(s) for each of its own.
    """
    if measured is None or predicted is None or not measured.standard_uncertainty:
        return []
    gap = measured.value - predicted.value
    found = []
    for term, share in shares.items():
        name = names.get(term, term.replace("_", " "))
        moved = measured.standard_uncertainty * float(np.sqrt(max(share, 0.0)))
        if share < SMALLEST_SHARE or moved <= 0:
            continue
        needed = abs(gap) / moved
        words = f"{name} off by {needed:.1f} of its standard uncertainties"
        found.append(
            Explanation(term, float(share), needed, words + (" – not plausible" if needed > _NOT_PLAUSIBLE else ""))
        )
    return found
