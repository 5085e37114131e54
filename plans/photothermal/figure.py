"""The picture of a photothermal run: measurement on top of prediction, residuals below, spectra beside."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]

MEASURED, MODEL, PREDICTED, AFTER, LASER = "#0072B2", "#D55E00", "#999999", "#CC79A7", "#E69F00"
"""Colours of Okabe and Ito, told apart by colour-blind readers."""

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "nanolab",
    "svg.fonttype": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
}
"""Settings of matplotlib under which the same input gives the same bytes."""

MOST_POINTS = 3000
"""Of a longer run every second, third, … reading is drawn, and the legend says so."""


@dataclass(frozen=True)
class Picture:
    """What is drawn. Times in s from the first reading, temperatures in degC, absorbance decadic.

    ``absorbance`` maps a label to (wavelength nm, absorbance), each shape (n_pixels,).
    """

    title: str
    subtitle: str
    time_s: Array
    temperature_c: Array
    laser_on: npt.NDArray[np.bool_]
    fit_c: Array | None = None
    prediction: Mapping[str, Any] | None = None
    prediction_shift_s: float = 0.0
    absorbance: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)
    laser_nm: float | None = None
    simulated: bool = False
    cautions: Sequence[str] = ()


def draw(picture: Picture) -> bytes:
    """Return the picture as SVG; the same input gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        wide = bool(picture.absorbance)
        figure = Figure(figsize=(11.0 if wide else 7.5, 6.0), layout="constrained")
        grid = figure.add_gridspec(2, 2 if wide else 1, height_ratios=[3, 1], width_ratios=[2, 1] if wide else [1])
        curve = figure.add_subplot(grid[0, 0])
        _curve(curve, picture)
        _residuals(figure.add_subplot(grid[1, 0], sharex=curve), picture)
        if wide:
            _absorbance(figure.add_subplot(grid[:, 1]), picture)
        figure.suptitle(picture.title, fontsize=12, fontweight="bold", x=0.02, ha="left")
        if picture.simulated:
            figure.text(0.995, 0.985, "SIMULATED", ha="right", va="top", color=MODEL, fontweight="bold", fontsize=12)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def thinning(readings: int) -> int:
    """Return k where one reading of k is drawn."""
    return max(1, -(-readings // MOST_POINTS))


def _curve(axes: "Axes", picture: Picture) -> None:
    minutes = picture.time_s / 60.0
    for start, end in spans(picture.laser_on):
        axes.axvspan(minutes[start], minutes[end], color=LASER, alpha=0.12, linewidth=0)
    if picture.prediction is not None:
        curve = picture.prediction["curve"]
        when = (np.asarray(curve["time_s"]) + picture.prediction_shift_s) / 60.0
        axes.fill_between(
            when,
            curve["lower_95"],
            curve["upper_95"],
            color=PREDICTED,
            alpha=0.3,
            linewidth=0,
            label="predicted before the run, 95 %",
        )
        axes.plot(when, curve["temperature_c"], color=PREDICTED, linestyle="--", linewidth=1.2)
    step = thinning(minutes.size)
    label = "measured" if step == 1 else f"measured, one reading of {step}"
    axes.plot(minutes[::step], picture.temperature_c[::step], ".", color=MEASURED, markersize=2.0, label=label)
    if picture.fit_c is not None:
        axes.plot(minutes, picture.fit_c, color=MODEL, linewidth=1.2, label="two-node model fitted")
    axes.set_ylabel("temperature / °C")
    axes.tick_params(labelbottom=False)
    axes.set_title(picture.subtitle, fontsize=9, loc="left")
    axes.legend(fontsize=8, frameon=False, loc="upper right")


def _residuals(axes: "Axes", picture: Picture) -> None:
    minutes = picture.time_s / 60.0
    axes.axhline(0.0, color="black", linewidth=0.6)
    if picture.fit_c is not None:
        step = thinning(minutes.size)
        residuals = (picture.temperature_c - picture.fit_c)[::step]
        axes.plot(minutes[::step], residuals, ".", color=MEASURED, markersize=1.5)
    else:
        axes.text(0.5, 0.5, "no model could be fitted", transform=axes.transAxes, ha="center")
    axes.set_ylabel("residual / K")
    axes.set_xlabel("lab time / min")


def _absorbance(axes: "Axes", picture: Picture) -> None:
    colours = [MEASURED, AFTER, MODEL]
    for (label, (wavelength, absorbance)), colour in zip(picture.absorbance.items(), colours, strict=False):
        axes.plot(wavelength, absorbance, color=colour, linewidth=1.0, label=label)
    if picture.laser_nm is not None:
        axes.axvline(picture.laser_nm, color=LASER, linewidth=1.5, label=f"laser {picture.laser_nm:g} nm")
    values = np.concatenate([values for _, values in picture.absorbance.values()])
    finite = values[np.isfinite(values)]
    if finite.size:
        axes.set_ylim(min(0.0, float(np.percentile(finite, 1))), 1.15 * float(np.percentile(finite, 99)))
    axes.set_xlabel("wavelength / nm")
    axes.set_ylabel("decadic absorbance / 1")
    axes.legend(fontsize=8, frameon=False)


def spans(on: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return (first, last) index of each stretch of True."""
    padded = np.concatenate([[False], on, [False]]).astype(np.int8)
    steps = np.diff(padded)
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    last = on.size - 1
    return [(start, min(end, last)) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
