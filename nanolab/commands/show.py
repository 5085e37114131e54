"""A report on standard output: rows, the ladder of conventions, cautions in words; and the ladder as CSV."""

import csv
import io
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from nanolab.assay import Report

WIDTH_OF_FILES = 140
"""Columns where standard output is no terminal: wide enough for a row of every table."""


def console() -> "Console":
    """Return a console on standard output, as wide as the terminal or WIDTH_OF_FILES."""
    from rich.console import Console

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH_OF_FILES
    return Console(file=sys.stdout, highlight=False, width=width)


def show_report(report: "Report") -> None:
    """Print rows, ladder and cautions."""
    from rich.table import Table

    out = console()
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in report.rows:
        table.add_row(name, value)
    out.print(table, markup=False)
    if report.ladder is not None:
        _show_ladder(report.ladder)
    for caution in report.cautions:
        out.print(f"! {caution['text']}", markup=False)
    if not report.cautions:
        out.print("no cautions")


def _show_ladder(rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table

    table = Table(title="the same data under every convention")
    for heading in ("convention", "efficiency", "95 % interval", "what makes the difference"):
        table.add_column(heading)
    for row in rows:
        quantity = row["efficiency"]
        value, interval = "–", "–"
        if quantity is not None:
            value = f"{quantity['value']:.3f}"
            if quantity["interval_95"] is not None:
                interval = "{:.3f} … {:.3f}".format(*quantity["interval_95"])
        table.add_row(str(row["convention"]), value, interval, str(row["difference"]))
    console().print(table)


def ladder_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the ladder as CSV, ready for a supplement; a convention without a number has empty cells."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["convention", "efficiency", "standard_uncertainty", "lower_95", "upper_95", "difference"])
    for row in rows:
        quantity = row["efficiency"]
        numbers = ["", "", "", ""]
        if quantity is not None:
            low, high = quantity["interval_95"] or ("", "")
            numbers = [quantity["value"], quantity["standard_uncertainty"], low, high]
        writer.writerow([row["convention"], *numbers, row["difference"]])
    return text.getvalue()
