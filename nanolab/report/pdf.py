"""The report as PDF, typeset by `typst` (extra ``nanolab[report]``): the same content, the same bytes each time."""

import json
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

from nanolab.errors import NanolabError
from nanolab.report.build import ReportContent
from nanolab.report.svg import plain_svg


def pdf_of(content: ReportContent) -> bytes:
    """Return the report as PDF. NanolabError where typst is not installed."""
    try:
        import typst
    except ImportError as error:
        raise NanolabError(
            "a PDF needs typst, which is not installed: run `python -m pip install 'nanolab[report]'`, or print the HTML"
        ) from error
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = content.as_tables()
        for number, figure in enumerate(content.chapter.figures):
            (folder / f"figure-{number}.svg").write_bytes(plain_svg(figure.svg))
        (folder / "content.json").write_text(json.dumps(_plain(tables)), encoding="utf-8")
        template = files("nanolab.report").joinpath("report.typ").read_text(encoding="utf-8")
        (folder / "report.typ").write_text(template, encoding="utf-8")
        # timestamp 0: the moment of printing is no part of the report
        return bytes(typst.compile(str(folder / "report.typ"), format="pdf", timestamp=0))


def _plain(tables: dict[str, Any]) -> dict[str, Any]:
    """Return the content as JSON-able values."""
    return {
        **tables,
        "figures": [figure.caption for figure in tables["figures"]],
        "missing": [entry.name for entry in tables["missing"]],
        "groups": [
            {"name": name, "items": [{"name": e.name, "value": e.value, "where": e.where} for e in items]}
            for name, items in tables["groups"]
        ],
        "files": [[file.name, str(file.size), file.sha256] for file in tables["files"]],
    }
