"""The picture of a release analysis: points, the laws that the data cannot tell apart, and residuals below."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from plans.release.comparison import Comparison, LawResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours of Okabe and Ito, told apart by colour-blind readers."""

MOST_LAWS, MOST_PROFILES = 4, 6
SHARE_OF_LONG_TIMES = 300.0
"""Ratio of last to first time from which the time axis is logarithmic."""


def draw(comparisons: Sequence[Comparison]) -> bytes:
    """Return the picture as SVG; the same input gives the same bytes. Of many profiles the first six are drawn."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    shown = comparisons[:MOST_PROFILES]
    style: dict[Any, Any] = {
        "svg.hashsalt": "nanolab", "svg.fonttype": "none", "axes.spines.top": False, "axes.spines.right": False,
    }  # fmt: skip
    with mpl.rc_context(style):
        figure = Figure(figsize=(7.5, 6.0), layout="constrained")
        grid = figure.add_gridspec(2, 1, height_ratios=[3, 1])
        curve = figure.add_subplot(grid[0])
        below = figure.add_subplot(grid[1], sharex=curve)
        if len(shown) == 1:
            _one(curve, below, shown[0])
        else:
            _several(curve, below, shown)
        _label(curve, below, shown)
        left_out = len(comparisons) - len(shown)
        title = shown[0].profile.label if len(shown) == 1 else f"{len(comparisons)} profiles"
        figure.suptitle(title + (f", {left_out} of them not drawn" if left_out else ""), x=0.02, ha="left", fontsize=12)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _one(curve: "Axes", below: "Axes", comparison: Comparison) -> None:
    _points(curve, comparison, "black", "measured")
    for name, colour in zip(comparison.ranking.order[:MOST_LAWS], COLOURS, strict=False):
        weight = 100.0 * comparison.ranking.weights[name]
        _law(curve, below, comparison, comparison.result(name), colour, f", weight {weight:.0f} %")
    curve.set_title(comparison.ranking.sentence, fontsize=8, loc="left", wrap=True)


def _several(curve: "Axes", below: "Axes", comparisons: Sequence[Comparison]) -> None:
    for comparison, colour in zip(comparisons, COLOURS, strict=False):
        _points(curve, comparison, colour, comparison.profile.label)
        if comparison.ranking.order:
            _law(curve, below, comparison, comparison.result(comparison.ranking.order[0]), colour, "")


def _points(axes: "Axes", comparison: Comparison, colour: str, label: str) -> None:
    stated = comparison.profile.sd is not None
    errors = comparison.sd if stated and comparison.sd.size else None
    axes.errorbar(
        comparison.time,
        comparison.percent,
        yerr=errors,
        fmt="o",
        color=colour,
        markersize=4,
        linewidth=0.8,
        label=label,
    )


def _law(curve: "Axes", below: "Axes", comparison: Comparison, result: LawResult, colour: str, words: str) -> None:
    fit = result.fit
    if fit is None:
        return
    positive = comparison.time[comparison.time > 0]
    logarithmic = _long(comparison)
    dense = np.geomspace(positive.min(), positive.max(), 300) if logarithmic else np.linspace(0.0, positive.max(), 300)
    curve.plot(dense, fit.model.curve(dense, fit.values), color=colour, linewidth=1.2, label=result.law.title + words)
    below.plot(fit.x, fit.residuals, "o", color=colour, markersize=3)


def _long(comparison: Comparison) -> bool:
    positive = comparison.time[comparison.time > 0]
    return bool(positive.max() > SHARE_OF_LONG_TIMES * positive.min())


def _label(curve: "Axes", below: "Axes", comparisons: Sequence[Comparison]) -> None:
    if any(_long(comparison) for comparison in comparisons):
        curve.set_xscale("log")
    below.axhline(0.0, color="black", linewidth=0.6)
    curve.set_ylabel("released / %")
    curve.tick_params(labelbottom=False)
    curve.legend(fontsize=8, frameon=False)
    below.set_ylabel("residual / %")
    units = {comparison.profile.time_unit for comparison in comparisons}
    below.set_xlabel(f"time / {units.pop() if len(units) == 1 else 'h'}")
