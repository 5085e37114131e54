"""Quantities of the release assays as words on a page."""

from nanolab.quantities import Quantity

UNITS = {"cm2/J": "cm²/J", "degC": "°C", "umol/L": "µmol/L", "L/(umol min)": "L/(µmol min)"}


def unit_words(quantity: Quantity) -> str:
    """Return a unit as it stands behind a stroke."""
    unit = UNITS.get(quantity.unit, quantity.unit)
    return f"({unit})" if "/" in unit else unit


def shown(quantity: Quantity) -> str:
    """Return a quantity with its unit; three digits where it has no uncertainty."""
    if not quantity.standard_uncertainty:
        quantity = Quantity(float(f"{quantity.value:.3g}"), quantity.unit)
    words = str(quantity)
    unit = UNITS.get(quantity.unit)
    return words if unit is None else words.removesuffix(quantity.unit) + unit
