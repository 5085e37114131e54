"""The picture of a release run: read-outs on top of the prediction and the fit, residuals and temperature below."""

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from plans.release.figure import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]
PREDICTED = "#999999"
SUBTITLE_LETTERS = 105


@dataclass(frozen=True)
class Line:
    """One course as drawn: times in h, read-outs and fit in percent, (n,) each."""

    label: str
    time_h: Array
    percent: Array
    fitted: Array | None = None


@dataclass(frozen=True)
class Picture:
    """What is drawn; ``temperature`` is (times in h, degC), ``prediction`` the stored curve."""

    title: str
    subtitle: str
    lines: Sequence[Line]
    prediction: Mapping[str, Any] | None = None
    temperature: tuple[Array, Array] | None = None
    simulated: bool = False
    ylabel: str = "released, as seen / %"
    marks: Sequence[tuple[float, str]] = field(default_factory=tuple)
    aliquots: Sequence[float] = ()
    """Times in h at which an aliquot was withdrawn."""


def draw(picture: Picture) -> bytes:
    """Return the picture as SVG; the same input gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "svg.hashsalt": "nanolab", "svg.fonttype": "none", "axes.spines.top": False, "axes.spines.right": False,
    }  # fmt: skip
    with mpl.rc_context(style):
        figure = Figure(figsize=(8.0, 6.5), layout="constrained")
        curve, below, warm = figure.subplots(3, 1, sharex=True, height_ratios=[4, 1, 1])
        _curve(curve, picture)
        _residuals(below, picture)
        if picture.temperature is not None:
            warm.plot(*picture.temperature, color=COLOURS[1], linewidth=1.0)
        warm.set_ylabel("liquid / °C")
        warm.set_xlabel("time / h")
        figure.suptitle(picture.title, fontsize=12, fontweight="bold", x=0.02, ha="left")
        if picture.simulated:
            figure.text(
                0.995, 0.985, "SIMULATED", ha="right", va="top", color=COLOURS[1], fontweight="bold", fontsize=12
            )
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _curve(axes: "Axes", picture: Picture) -> None:
    if picture.prediction is not None:
        curve = picture.prediction["curve"]
        axes.fill_between(
            curve["time_h"], curve["lower_95"], curve["upper_95"], color=PREDICTED, alpha=0.3, linewidth=0,
            label="predicted before the run, 95 %",
        )  # fmt: skip
        axes.plot(curve["time_h"], curve["percent"], color=PREDICTED, linestyle="--", linewidth=1.2)
    for line, colour in zip(picture.lines, COLOURS, strict=False):
        axes.plot(line.time_h, line.percent, "o", color=colour, markersize=3.5, label=line.label)
        if line.fitted is not None:
            axes.plot(line.time_h, line.fitted, color=colour, linewidth=1.0)
    for time, word in picture.marks:
        axes.axvline(time, color="black", linewidth=0.6, linestyle=":")
        axes.annotate(word, (time, 0.0), fontsize=7, rotation=90, va="bottom", xycoords=("data", "axes fraction"))
    if picture.aliquots:
        axes.plot(
            picture.aliquots, [0.02] * len(picture.aliquots), "v", color="black", markersize=4.0, label="aliquot withdrawn",
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip
    axes.set_ylabel(picture.ylabel)
    axes.set_title(textwrap.fill(picture.subtitle, SUBTITLE_LETTERS), fontsize=9, loc="left")
    axes.legend(fontsize=8, frameon=False)


def _residuals(axes: "Axes", picture: Picture) -> None:
    axes.axhline(0.0, color="black", linewidth=0.6)
    for line, colour in zip(picture.lines, COLOURS, strict=False):
        if line.fitted is not None:
            axes.plot(line.time_h, line.percent - line.fitted, "o", color=colour, markersize=2.5)
    axes.set_ylabel("residual / %")
