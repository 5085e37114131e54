"""What an assay tells a report of a run: figures, definition, methods in words, and the entries that a referee asks for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nanolab.quantities import Quantity

if TYPE_CHECKING:
    from nanolab.page import AssayView

MISSING = "not entered"


@dataclass(frozen=True)
class Entry:
    """One item of a group: its name with unit, its value in words (None: nobody entered it), and where it goes if missing."""

    group: str
    name: str
    value: str | None
    where: str = ""

    @property
    def words(self) -> str:
        """The value, or that it is missing."""
        return MISSING if self.value is None else self.value


@dataclass(frozen=True)
class Figure:
    """A picture as SVG, with its caption."""

    caption: str
    svg: bytes


@dataclass(frozen=True)
class Chapter:
    """All that an assay adds to the report of one run.

    ``power`` at the sample in W as the analysis used it; ``laser_used`` False where the plan keeps the laser off; ``problem``
    says why there is no analysis where there is none.
    """

    view: "AssayView | None"
    figures: Sequence[Figure] = ()
    definition: str = ""
    methods: str = ""
    entries: Sequence[Entry] = ()
    power: Quantity | None = None
    laser_used: bool = True
    problem: str = ""
