"""Cautions: what a reader of a number must know, as a code for programs and a sentence for people."""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Caution:
    """One caution; `quantity` names the quantity that it takes away (null in the result), if any."""

    code: str
    text: str
    quantity: str | None = None

    def to_json(self) -> dict[str, str]:
        """Return the machine-readable form: code and text."""
        return {"code": self.code, "text": self.text}


@dataclass
class Cautions:
    """Cautions in the order in which they were found, each code and quantity once."""

    found: list[Caution] = field(default_factory=list)

    def add(self, code: str, text: str, quantity: str | None = None) -> None:
        """Add a caution; a second one with the same code for the same quantity is left out."""
        if not any(c.code == code and c.quantity == quantity for c in self.found):
            self.found.append(Caution(code, text, quantity))

    def __iter__(self) -> Iterator[Caution]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    @property
    def codes(self) -> list[str]:
        """Codes in order."""
        return [caution.code for caution in self.found]

    def to_json(self) -> list[dict[str, str]]:
        """Return the machine-readable list."""
        return [caution.to_json() for caution in self.found]


def exceeds(value: float, uncertainty: float, size: float, sigmas: float = 3.0) -> bool:
    """Whether a deviation is both large and certain: beyond `size` by itself, and beyond `sigmas` uncertainties.

    A bare threshold fires on noise, a bare significance on effects that do not matter.
    """
    return abs(value) > size and abs(value) > sigmas * uncertainty
