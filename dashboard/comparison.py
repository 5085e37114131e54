"""Several runs in one diagram, their results side by side, and the control chart of the reference sample."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.catalogue import MainResult, main_result, when_words
from dashboard.live_run import Array
from dashboard.look import EMITTING, HOLDER_PROBE, TEMPERATURE
from nanolab.errors import NanolabError
from nanolab.journal.catalog import RunInfo
from nanolab.journal.reader import open_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIGHT = ("#0072B2", "#D55E00", "#00805E", "#A8497F", "#767676", "#16191D")
DARK = ("#56B4E9", "#E69F00", "#2FBF93", "#CC79A7", "#A6A6A6", "#F0E442")
STYLES = ("-", "--", "-.", ":")
MOST_COMPARED = 8
FEWEST_FOR_LIMITS = 3
MOST_NAMED = 12
"""Runs whose names find room at the axis."""


@dataclass(frozen=True)
class Curve:
    """Temperature (n,) in degC against lab time (n,) in s of one run; `on_s` when the laser first went on."""

    label: str
    time_s: Array
    temperature_c: Array
    on_s: float | None
    simulated: bool


def curve_of(info: RunInfo) -> Curve | None:
    """Return a run's curve; None where it recorded no temperature of a sample. NanolabError, OSError."""
    run = open_run(info.path, salvage=True)
    if "primary" not in run.streams:
        return None
    table = run.table("primary")
    name = next((name for name in (TEMPERATURE, HOLDER_PROBE) if name in table), "")
    if not name or not len(table[name]):
        return None
    time = np.asarray(table.get("run_state_lab_time", table["time"]), dtype=float)
    time = time - time[0]
    lit = np.flatnonzero(np.asarray(table[EMITTING], dtype=float) > 0) if EMITTING in table else np.empty(0, dtype=int)
    label = f"{info.sample or info.plan} {info.role} {info.uid[:8]}"
    return Curve(label, time, np.asarray(table[name], dtype=float), float(time[lit[0]]) if lit.size else None,
                 run.simulated)  # fmt: skip


def curves_of(runs: Sequence[RunInfo]) -> tuple[list[Curve], list[str]]:
    """Return the curves of several runs, and in words which have none and why."""
    found, words = [], []
    for info in runs:
        try:
            curve = curve_of(info)
        except (NanolabError, OSError) as error:
            words.append(f"{info.uid[:8] or info.path.name}: {error}")
            continue
        if curve is None:
            words.append(f"{info.uid[:8]}: it recorded no temperature of a sample")
        else:
            found.append(curve)
    return found, words


def aligned(curve: Curve, at_laser_on: bool, as_rise: bool) -> tuple[Array, Array]:
    """Return time and temperature; from laser-on where wanted, as rise above the mean before it where wanted."""
    start = curve.on_s if curve.on_s is not None else 0.0
    time = curve.time_s - start if at_laser_on else curve.time_s
    if not as_rise:
        return time, curve.temperature_c
    before = curve.temperature_c[curve.time_s < start] if curve.on_s else curve.temperature_c[:1]
    return time, curve.temperature_c - float(np.nanmean(before))


def overlay_csv(curves: Sequence[Curve], at_laser_on: bool, as_rise: bool) -> str:
    """Return all curves as one table, one row a reading."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "simulated", "time (s)", "temperature rise (K)" if as_rise else "temperature (degC)"])
    for curve in curves:
        for time, value in zip(*aligned(curve, at_laser_on, as_rise), strict=True):
            writer.writerow([curve.label, curve.simulated, repr(float(time)), repr(float(value))])
    return text.getvalue()


def overlay_svg(curves: Sequence[Curve], at_laser_on: bool, as_rise: bool, dark: bool) -> bytes:
    """Return the overlay as SVG; lines differ in colour and dash, and their names stand in a legend."""

    def draw(axes: "Axes", colours: Sequence[str]) -> None:
        for index, curve in enumerate(curves):
            time, value = aligned(curve, at_laser_on, as_rise)
            axes.plot(time, value, STYLES[(index // len(colours)) % len(STYLES)], color=colours[index % len(colours)],
                      linewidth=1.4, label=curve.label)  # fmt: skip
        lit = at_laser_on and any(curve.on_s is not None for curve in curves)
        axes.set_xlabel("t from laser on / s" if lit else "t / s")
        axes.set_ylabel("ΔT / K" if as_rise else "T / °C")
        axes.legend(fontsize=9, frameon=False)

    return picture(draw, any(curve.simulated for curve in curves), dark)


@dataclass(frozen=True)
class ControlPoint:
    """One result of the reference sample."""

    when_s: float
    uid: str
    result: MainResult
    simulated: bool


def control_points(runs: Sequence[RunInfo], sample: str, assay: str) -> list[ControlPoint]:
    """Return the results of one sample in one assay, oldest first."""
    found = []
    for run in sorted(runs, key=lambda run: run.time_s):
        if run.sample == sample and run.plan == assay and run.role in {"", "sample"}:
            result = main_result(run.path)
            if result is not None:
                found.append(ControlPoint(run.time_s, run.uid, result, run.simulated))
    return found


def control_limits(points: Sequence[ControlPoint]) -> tuple[float, float] | None:
    """Return centre and standard deviation: of all points; None where there are too few to say."""
    values = np.array([point.result.value for point in points])
    if values.size < FEWEST_FOR_LIMITS:
        return None
    return float(values.mean()), float(values.std(ddof=1))


def control_words(points: Sequence[ControlPoint]) -> str:
    """Say in a sentence whether the reference sample behaves."""
    limits = control_limits(points)
    if limits is None:
        return f"Results: {len(points)}; at least {FEWEST_FOR_LIMITS} are needed for limits."
    centre, deviation = limits
    outside = [point for point in points if abs(point.result.value - centre) > 3.0 * deviation]
    relative = 100.0 * deviation / abs(centre) if centre else float("nan")
    words = f"{len(points)} results, mean {centre:.3f}, standard deviation {deviation:.3f} ({relative:.1f} %). "
    if outside:
        return words + "Outside three standard deviations: " + ", ".join(point.uid[:8] for point in outside) + "."
    return words + "None is outside three standard deviations."


def control_svg(points: Sequence[ControlPoint], dark: bool) -> bytes:
    """Return the control chart as SVG: results in order with their uncertainties, mean, two and three deviations."""

    def draw(axes: "Axes", colours: Sequence[str]) -> None:
        place = np.arange(1, len(points) + 1)
        limits = control_limits(points)
        if limits is not None:
            centre, deviation = limits
            axes.axhline(centre, color=colours[4], linewidth=1.2, label="mean")
            for factor, dash in ((2.0, "--"), (3.0, ":")):
                for sign in (-1.0, 1.0):
                    axes.axhline(centre + sign * factor * deviation, color=colours[1], linestyle=dash, linewidth=1.2,
                                 label=f"±{factor:.0f} SD" if sign > 0 else None)  # fmt: skip
        axes.errorbar(place, [p.result.value for p in points], [p.result.u for p in points], fmt="o", capsize=3,
                      color=colours[0], label="result ± u")  # fmt: skip
        every = -(-len(points) // MOST_NAMED) or 1
        names = [f"{when_words(p.when_s)[5:]}\n{p.uid[:4]}" for p in points]
        axes.set_xticks(place[::every], names[::every], fontsize=8)
        axes.set_xlabel("run")
        axes.set_ylabel(points[0].result.axis if points else "result / 1")
        # above the diagram: inside it would lie on the error bars
        axes.legend(fontsize=9, frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2)

    return picture(draw, any(point.simulated for point in points), dark)


def picture(draw: Any, simulated: bool, dark: bool) -> bytes:
    """Return a figure with one pair of axes as SVG; the same input gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    ink, paper = ("#ECEEF0", "#14171B") if dark else ("#16191D", "#FFFFFF")
    names = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    style: dict[Any, Any] = {
        "svg.hashsalt": "nanolab", "svg.fonttype": "none", "axes.spines.top": False, "axes.spines.right": False,
        "font.size": 11, **dict.fromkeys(names, ink),
    }  # fmt: skip
    with mpl.rc_context(style):
        figure: Figure = Figure(figsize=(11.0, 4.6), layout="constrained", facecolor=paper)
        axes = figure.add_subplot(facecolor=paper)
        axes.grid(alpha=0.2)
        draw(axes, DARK if dark else LIGHT)
        if simulated:
            axes.set_title("SIMULATED", loc="right", fontweight="bold", fontsize=11)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def csv_of_run(path: Path) -> tuple[str, bytes]:
    """Return name and content of a run's readings: one CSV, or a zip of one a stream. NanolabError, OSError."""
    import tempfile
    import zipfile

    from nanolab.journal.export import export_csv

    with tempfile.TemporaryDirectory() as folder:
        files = export_csv(open_run(path, salvage=True), folder)
        if len(files) == 1:
            return f"{path.name}-{files[0].name}", files[0].read_bytes()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, file.name)
        return f"{path.name}-csv.zip", packed.getvalue()
