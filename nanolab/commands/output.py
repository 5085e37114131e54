"""What all commands share: results on standard output, words on standard error, and the options they have in common."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
BenchFile = Annotated[
    Path | None,
    typer.Option("--bench", help="Bench file; default NANOLAB_BENCH, bench.toml, else the simulated bench."),
]
DataFolder = Annotated[
    Path | None, typer.Option("--data", help="Folder of the run folders; default from the bench file.")
]


def write_json(document: Mapping[str, Any]) -> None:
    """Write one JSON object to standard output."""
    sys.stdout.write(json.dumps(document, default=str) + "\n")


def write_line(text: str = "") -> None:
    """Write a line to standard output."""
    sys.stdout.write(text + "\n")


def say(text: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def write_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table to standard output: columns as wide as their words, the last one wrapped to the terminal."""
    import shutil
    import textwrap

    table = [list(headings), *[list(row) for row in rows]]
    widths = [max(len(row[column]) for row in table) for column in range(len(headings) - 1)]
    indent = sum(widths) + 2 * len(widths)
    room = max(40, shutil.get_terminal_size((160, 24)).columns - indent)
    for row in table:
        start = "".join(cell.ljust(width) + "  " for cell, width in zip(row, widths, strict=False))
        wrapped = textwrap.wrap(row[-1], room, break_long_words=False, break_on_hyphens=False) or [""]
        write_line((start + wrapped[0]).rstrip())
        for line in wrapped[1:]:
            write_line(" " * indent + line)
