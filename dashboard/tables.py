"""Quantities as cells: digits from the uncertainty, a dash where nothing is known."""

from collections.abc import Sequence

from nanolab.page import Explanation, ModelRow, ParameterRow
from nanolab.quantities import Quantity

DASH = "–"

Cells = dict[str, list[str]]


def value_words(quantity: Quantity | None) -> str:
    """Return value ± standard uncertainty without its unit, which stands in the row's name."""
    if quantity is None:
        return DASH
    return str(Quantity(quantity.value, "1", quantity.standard_uncertainty))


def interval_words(quantity: Quantity | None) -> str:
    """Return the 95 % interval with as many digits as the uncertainty has."""
    if quantity is None or quantity.interval_95 is None or not quantity.standard_uncertainty:
        return DASH
    shown = str(Quantity(quantity.value, "1", quantity.standard_uncertainty)).split(" ± ")[0]
    digits = len(shown.partition(".")[2])
    low, high = quantity.interval_95
    return f"{low:.{digits}f} … {high:.{digits}f}"


def sigma_words(z: float | None) -> str:
    """Return a difference in standard uncertainties with its sign."""
    return DASH if z is None else f"{z:+.1f} σ"


def parameter_rows(rows: Sequence[ParameterRow]) -> Cells:
    """Return the table of parameters by column."""
    return {
        "quantity / unit": [row.name for row in rows],
        "measured": [value_words(row.measured) for row in rows],
        "95 % interval": [interval_words(row.measured) for row in rows],
        "predicted": [value_words(row.predicted) for row in rows],
        "difference": [sigma_words(row.z) for row in rows],
    }


def explanation_rows(rows: Sequence[Explanation]) -> Cells:
    """Return what would explain the gap, largest share of the uncertainty first."""
    return {
        "it would take": [row.words for row in rows],
        "share of u²": [f"{100 * row.share:.0f} %" for row in rows],
    }


def model_rows(rows: Sequence[ModelRow]) -> Cells:
    """Return the comparison of models."""
    return {
        "model or convention": [row.name for row in rows],
        "efficiency / 1": [value_words(row.value) for row in rows],
        "95 % interval": [interval_words(row.value) for row in rows],
        "what makes the difference": [row.words for row in rows],
    }
