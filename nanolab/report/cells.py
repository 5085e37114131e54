"""Quantities as cells of a table: digits from the uncertainty, a dash where nothing is known."""

from nanolab.quantities import Quantity, in_digits

DASH = "–"


def value_words(quantity: Quantity | None) -> str:
    """Return value ± standard uncertainty without its unit, which stands in the row's name."""
    if quantity is None:
        return DASH
    return str(Quantity(quantity.value, "1", quantity.standard_uncertainty))


def interval_words(quantity: Quantity | None) -> str:
    """Return the 95 % interval with as many digits as the uncertainty has."""
    if quantity is None or quantity.interval_95 is None or not quantity.standard_uncertainty:
        return DASH
    low, high = in_digits(quantity.interval_95, quantity.standard_uncertainty)
    return f"{low} … {high}"


def sigma_words(z: float | None) -> str:
    """Return a difference in standard uncertainties with its sign, which nothing has."""
    if z is None:
        return DASH
    return "0.0 σ" if abs(z) < 0.05 else f"{z:+.1f} σ".replace("-", "−")
