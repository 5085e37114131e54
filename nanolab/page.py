"""What an assay shows on its page: curves, numbers and words from a run folder, drawn by whichever page there is.

An assay brings its page along as an entry point ``nanolab.pages`` of its own name: an instance of `AssayPage`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from nanolab.quantities import Quantity

if TYPE_CHECKING:
    from nanolab.report.chapter import Chapter

Array = npt.NDArray[np.float64]
Role = Literal["measured", "model", "predicted", "after", "third"]
Style = Literal["points", "line", "dashed"]


@dataclass(frozen=True)
class Trace:
    """One curve: abscissa and ordinate (n,), what it is, how it is drawn, and a band around it where it has one."""

    label: str
    x: Array
    y: Array
    role: Role = "measured"
    style: Style = "line"
    lower: Array | None = None
    upper: Array | None = None


@dataclass(frozen=True)
class Level:
    """A horizontal line, such as full scale; `always` seen, or only where the curves come near."""

    y: float
    label: str
    always: bool = False


@dataclass(frozen=True)
class Heat:
    """A map: `values` (rows, columns), first row at y0; axes from x0 to x1 and from y0 to y1."""

    values: Array
    x0: float
    x1: float
    y0: float
    y1: float


@dataclass(frozen=True)
class Panel:
    """One diagram. Axes are named quantity / unit; `spans` (from, to) are shaded: the laser was on; `marks` (x, words).

    Panels of the same ``link`` share their abscissa, and are zoomed together. ``newest`` is the wall time in s of its newest
    reading and ``stale_s`` the age above which it is called late.
    """

    key: str
    title: str
    x: str
    y: str
    traces: Sequence[Trace] = ()
    spans: Sequence[tuple[float, float]] = ()
    marks: Sequence[tuple[float, str]] = ()
    levels: Sequence[Level] = ()
    heat: Heat | None = None
    area: str = ""
    link: str = ""
    symmetric: bool = False
    words: str = ""
    alt: str = ""
    empty: str = "no readings yet"
    newest: float | None = None
    stale_s: float = 2.0


@dataclass(frozen=True)
class ParameterRow:
    """A measured quantity beside the predicted one, and their difference in standard uncertainties; None: not known."""

    name: str
    measured: Quantity | None
    predicted: Quantity | None = None
    z: float | None = None


@dataclass(frozen=True)
class Explanation:
    """What would explain the gap between measured and predicted, if one input alone were wrong."""

    term: str
    share: float
    sigmas: float | None
    words: str


@dataclass(frozen=True)
class ModelRow:
    """The same data under another model or convention; without a value, `words` say what is missing.

    ``quantity``: what the value is, with its unit; the same in all rows.
    """

    name: str
    value: Quantity | None
    words: str
    quantity: str = "value"


@dataclass(frozen=True)
class AssayView:
    """All that a page shows of one run.

    ``headline`` is the result in one line, ``verdict`` the word for it with z; ``limits`` of the fit window in lab
    seconds, ``window`` as used (None: all); ``stored`` whether these numbers are those in the run folder, or were made
    for looking only; ``notes`` what the controls say of the instruments, one line each.
    """

    title: str
    simulated: bool
    headline: str
    verdict: tuple[str, float] | None
    panels: Sequence[Panel]
    parameters: Sequence[ParameterRow]
    cautions: Sequence[str]
    explanations: Sequence[Explanation] = ()
    models: Sequence[ModelRow] = ()
    limits: tuple[float, float] | None = None
    window: tuple[float, float] | None = None
    stored: bool = True
    problems: Sequence[str] = field(default_factory=tuple)
    notes: Sequence[str] = field(default_factory=tuple)


@runtime_checkable
class AssayPage(Protocol):
    """What a page asks of an assay."""

    def view(self, run_path: Path, window: tuple[float, float] | None = None) -> AssayView:
        """Return what is shown of a finished run, fitted within `window` (lab s). NanolabError where it shows nothing."""

    def compare_models(self, run_path: Path) -> Sequence[ModelRow]:
        """Return the same data under every model and convention; takes longer, made when asked for."""

    def chapter(self, run_path: Path) -> "Chapter":
        """Return what stands in the report of a finished run. NanolabError where there is no analysis of it."""
