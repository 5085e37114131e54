"""Tables of the assay pages, by column."""

from collections.abc import Sequence

from nanolab.page import Explanation, ModelRow, ParameterRow
from nanolab.quantities import Quantity
from nanolab.report.cells import DASH, interval_words, sigma_words, value_words

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
    intervals = [interval_words(row.value) for row in rows]
    known = any(words != DASH for words in intervals)  # weights have none
    return {
        "model or convention": [row.name for row in rows],
        quantity: [value_words(row.value) if known else share_words(row.value) for row in rows],
        **({"95 % interval": intervals} if known else {}),
        "what makes the difference": [row.words for row in rows],
    }


def share_words(share: Quantity | None) -> str:
    """Return a number between 0 and 1 with three digits: a small one is not called nothing."""
    if share is None:
        return DASH
    return f"{share.value:.3f}" if share.value >= 0.0005 else "< 0.001"
