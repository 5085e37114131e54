"""Tables of the assay pages, by column."""

from collections.abc import Sequence

from nanolab.page import Explanation, ModelRow, ParameterRow
from nanolab.report.cells import interval_words, sigma_words, value_words

Cells = dict[str, list[str]]


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
    quantity = rows[0].quantity if rows else "value"
    return {
        "model or convention": [row.name for row in rows],
        quantity: [value_words(row.value) for row in rows],
        "95 % interval": [interval_words(row.value) for row in rows],
        "what makes the difference": [row.words for row in rows],
    }
