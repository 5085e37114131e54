"""Quantities with units and uncertainties: how they are read from files and how they are reported.

Text such as ``"0.50±0.02 W"``, ``"0.5 W ± 4 %"`` or ``"25 degC"`` becomes a `Quantity` in the unit that
the program wants. Unit conversion is pint's; the grammar of the uncertainty is ours.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pint

_NUMBER_AND_UNIT = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*)$")
_POWER = re.compile(r"(?<=[A-Za-z])(\d)")
_PLAIN_FROM, _PLAIN_TO = 1e-3, 1e6
_PLUS_MINUS = re.compile(r"±|\+/-|\+-")


@dataclass(frozen=True)
class Quantity:
    """A number with its unit, its standard uncertainty and its 95 % interval.

    ``standard_uncertainty`` is None where nothing is known of it; ``interval_95`` defaults to
    value ± 1.96 standard uncertainties.
    """

    value: float
    unit: str
    standard_uncertainty: float | None = None
    interval_95: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.interval_95 is None and self.standard_uncertainty is not None:
            half = 1.959964 * self.standard_uncertainty
            object.__setattr__(self, "interval_95", (self.value - half, self.value + half))

    @classmethod
    def from_samples(cls, draws: "npt.NDArray[np.float64]", unit: str, value: float | None = None) -> "Quantity":
        """Summarise Monte Carlo draws, shape (n,): mean or `value`, standard deviation, probabilistically symmetric 95 %.

        JCGM 101:2008, 7.5 to 7.7.
        """
        import numpy as np

        low, high = np.percentile(draws, [2.5, 97.5])
        centre = float(np.mean(draws)) if value is None else float(value)
        return cls(centre, unit, float(np.std(draws, ddof=1)), (float(low), float(high)))

    def with_default_uncertainty(self, relative: float) -> "Quantity":
        """Return self, or a copy with this relative standard uncertainty where none was stated."""
        if self.standard_uncertainty is not None:
            return self
        return replace(self, standard_uncertainty=abs(self.value) * relative, interval_95=None)

    def to_json(self) -> dict[str, Any]:
        """Return the machine-readable form: value, standard_uncertainty, interval_95, unit."""
        interval = None if self.interval_95 is None else [float(x) for x in self.interval_95]
        return {
            "value": float(self.value),
            "standard_uncertainty": self.standard_uncertainty,
            "interval_95": interval,
            "unit": self.unit,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Quantity":
        """Read what `to_json` wrote; ValueError where it is something else."""
        try:
            u, interval = stored["standard_uncertainty"], stored["interval_95"]
            value, unit = float(stored["value"]), str(stored["unit"])
            low_high = None if interval is None else (float(interval[0]), float(interval[1]))
            return cls(value, unit, None if u is None else float(u), low_high)
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"{stored!r} is no stored quantity") from error

    def __str__(self) -> str:
        unit = "" if self.unit == "1" else f" {self.unit}"
        u = self.standard_uncertainty
        if u is None or u <= 0 or not math.isfinite(u):
            return f"{self.value:.6g}{unit}"
        value, uncertainty = in_digits([self.value, u], u)
        return f"{value} ± {uncertainty}{unit}"


def in_digits(numbers: Sequence[float], u: float) -> list[str]:
    """Return numbers of one size with the digits that a standard uncertainty above 0 leaves; long ones as 1.60e-6."""
    digits = 1 - math.floor(math.log10(u))
    largest = max(abs(number) for number in numbers)
    if largest == 0.0 or _PLAIN_FROM <= largest < _PLAIN_TO:
        return [f"{round(number, digits):.{max(0, digits)}f}" for number in numbers]
    power = math.floor(math.log10(largest))
    return [f"{number / 10.0**power:.{max(0, digits + power)}f}e{power}" for number in numbers]


@cache
def _registry() -> "pint.UnitRegistry[float]":
    import pint

    return pint.UnitRegistry(autoconvert_offset_to_baseunit=True)


@lru_cache(maxsize=512)
def convert(value: float, unit: str, wanted: str) -> float:
    """Convert a number between units; ValueError where they measure different things or one is unknown."""
    import pint

    if unit == wanted:
        return value
    if {unit, wanted} & {"degC", "degF"} and "K" in {unit, wanted}:
        raise ValueError(f"unit '{unit}' does not fit: '{wanted}' is wanted (a temperature and a difference differ)")
    registry = _registry()
    source, target = (_for_pint(one) for one in (unit, wanted))
    try:
        return float(registry.Quantity(value, source).to(target).magnitude)
    except pint.UndefinedUnitError as error:
        raise ValueError(f"unknown unit '{unit}': '{wanted}' is wanted") from error
    except (pint.DimensionalityError, AttributeError, pint.DefinitionSyntaxError) as error:
        raise ValueError(f"unit '{unit}' does not fit: '{wanted}' is wanted") from error


def _for_pint(unit: str) -> str:
    """Spell a unit for pint: cm2 as cm**2."""
    return "dimensionless" if unit in {"", "1"} else _POWER.sub(r"**\1", unit)


def parse_quantity(text: str | float, unit: str) -> Quantity:
    """Read a quantity such as ``"0.50±0.02 W"`` into `unit`.

    A bare number is taken in `unit`. A percentage after ± is relative to the value. ValueError with a
    sentence where the text is no quantity, or its unit measures something else.
    """
    if isinstance(text, bool):
        raise ValueError(f"'{text}' is no quantity: write for example \"1.0{_shown(unit)}\"")
    if isinstance(text, int | float):
        if not math.isfinite(text):
            raise ValueError(f"'{text}' is not a finite number")
        return Quantity(float(text), unit)
    plain = text.replace("°C", "degC").replace("µ", "u").replace("μ", "u").replace("(", "").replace(")", "")
    parts = [_NUMBER_AND_UNIT.match(part.strip()) for part in _PLUS_MINUS.split(plain)]
    if len(parts) > 2 or any(part is None for part in parts):
        raise ValueError(f"'{text}' is no quantity: write for example \"1.0±0.1{_shown(unit)}\"")
    (number, own_unit), *rest = [(float(part[1]), part[2].strip()) for part in parts if part is not None]
    if not rest:
        return Quantity(_scale(number, own_unit or unit, unit), unit)
    u, u_unit = rest[0]
    if u < 0:
        raise ValueError(f"'{text}': an uncertainty cannot be negative")
    # "0.9±0.01 %" where percent are wanted is in percent throughout; "0.5 W ± 4 %" and "0.5 ± 4 %" (where watts are wanted) mean a share
    if u_unit == "%" and own_unit != "%" and unit != "%":
        value = _scale(number, own_unit or unit, unit)
        return Quantity(value, unit, abs(value) * u / 100.0)
    own_unit = own_unit or u_unit or unit
    return Quantity(_scale(number, own_unit, unit), unit, abs(_scale(u, u_unit or own_unit, unit, difference=True)))


def _shown(unit: str) -> str:
    """Return a unit as it stands behind a number in a sentence; nothing for a plain number."""
    return "" if unit == "1" else f" {unit}"


def _scale(value: float, unit: str, wanted: str, difference: bool = False) -> float:
    if difference and unit in {"degC", "K"} and wanted in {"degC", "K"}:
        return value
    return convert(value, unit, wanted)


def quantity_reader(
    unit: str, *, low: float = -math.inf, high: float = math.inf, exclusive_low: bool = False
) -> Callable[[object], Quantity]:
    """Return a checker that reads one quantity in `unit` and holds it to its limits (for pydantic fields)."""
    shown = _shown(unit)

    def read(text: object) -> Quantity:
        if isinstance(text, Quantity):
            return text
        if isinstance(text, Mapping):
            # of a run's start document: checked when the file was read
            return Quantity.from_json(text)
        if not isinstance(text, str | int | float):
            raise ValueError(f"'{text}' is no quantity: write for example \"1.0{_shown(unit)}\"")
        quantity = parse_quantity(text, unit)
        if quantity.value < low or (exclusive_low and quantity.value == low):
            relation = "above" if exclusive_low else "at least"
            raise ValueError(f"{quantity.value:g}{shown} is out of range: it must be {relation} {low:g}{shown}")
        if quantity.value > high:
            raise ValueError(f"{quantity.value:g}{shown} is out of range: it must be at most {high:g}{shown}")
        return quantity

    return read
