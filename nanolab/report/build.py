"""From a run folder to the report: everything in it is read from the folder, so that the same folder gives the same bytes."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanolab.bench.config import BeamConfig
from nanolab.bench.sample import ReportTable
from nanolab.discovery import PAGES, entry_points_of, load
from nanolab.errors import NanolabError
from nanolab.page import AssayPage
from nanolab.report.chapter import Chapter, Entry, Figure
from nanolab.report.entries import (
    Details,
    cell_entries,
    details_of,
    laser_entries,
    miribel_entries,
    sample_entries,
)
from nanolab.report.provenance import hashed_files, instruments, notes_and_events, prediction_words, utc, versions
from nanolab.report.svg import plain_svg

if TYPE_CHECKING:
    from nanolab.journal.reader import Run


@dataclass(frozen=True)
class ReportContent:
    """All that stands in a report, whatever it is printed on."""

    run: "Run"
    chapter: Chapter
    details: Details
    command: str
    entries: Sequence[Entry]

    @property
    def missing(self) -> list[Entry]:
        """What nobody entered."""
        return [entry for entry in self.entries if entry.value is None]

    def as_tables(self) -> dict[str, Any]:
        """Return the content as plain words and tables for a template."""
        run, view = self.run, self.chapter.view
        start = run.start
        return {
            "title": f"{run.plan or 'run'}: {run.sample or 'unnamed sample'}",
            "uid": run.uid,
            "folder": run.path.name,
            "simulated": run.simulated,
            "status": run.status,
            "begun": utc(float(start["time"])) if "time" in start else "not known",
            "operator": str(start.get("bench", {}).get("bench", {}).get("operator", "")),
            "headline": "" if view is None else view.headline,
            "verdict": _verdict_words(self.chapter),
            "stored": view is not None and view.stored,
            "problems": [*([self.chapter.problem] if self.chapter.problem else []), *([] if view is None else view.problems)],
            "figures": self.chapter.figures,
            "parameters": [] if view is None else _parameters(self.chapter),
            "explanations": [] if view is None else [(e.words, f"{100 * e.share:.0f} %") for e in view.explanations],
            "cautions": [] if view is None else list(view.cautions),
            "definition": self.chapter.definition,
            "methods": self.chapter.methods,
            "groups": [(name, list(items)) for name, items in groupby(self.entries, key=lambda entry: entry.group)],
            "missing": self.missing,
            "later": self.details.later,
            "later_source": self.details.source,
            "events": notes_and_events(run),
            "instruments": instruments(run),
            "versions": versions(run),
            "prediction": prediction_words(run),
            "references": _references(start),
            "files": hashed_files(run.path),
            "command": self.command,
        }  # fmt: skip


def gather_content(run_path: Path, details_file: Path | None = None) -> ReportContent:
    """Read a run folder and analyse it again. FileInvalidError where the folder is no run, or `details_file` is bad."""
    from nanolab.journal.reader import open_run
    from nanolab.restore import setup_of

    run = open_run(run_path, salvage=True)
    words = ["nanolab report", run.uid[:8] or str(run.path.name)]
    if details_file is not None:
        words += ["--details", details_file.name]
    try:
        setup = setup_of(run)
    except NanolabError as error:
        if details_file is not None:
            raise
        chapter = Chapter(None, problem=str(error))
        return ReportContent(run, chapter, Details(ReportTable(), BeamConfig()), " ".join(words), [])
    details = details_of(setup, details_file)
    chapter = _chapter(run)
    entries = [
        *laser_entries(setup, details.beam, chapter.power, used=chapter.laser_used),
        *cell_entries(setup, details.report),
        *sample_entries(setup, details.report),
        *chapter.entries,
        *miribel_entries(details.report),
    ]
    return ReportContent(run, chapter, details, " ".join(words), entries)


def _chapter(run: "Run") -> Chapter:
    name = run.plan if run.plan in entry_points_of(PAGES) else str(run.start.get("assay", ""))
    if name not in entry_points_of(PAGES):
        return Chapter(None, problem=f"the plan '{run.plan}' has no analysis: the report tells what was recorded")
    try:
        page = load(PAGES, name)
        if not isinstance(page, AssayPage):
            return Chapter(None, problem=f"the page of '{name}' is of another version: it has nothing for a report")
        chapter = page.chapter(run.path)
    except NanolabError as error:
        return Chapter(None, problem=f"there is no analysis of this run: {error}")
    except (ValueError, KeyError, TypeError, IndexError, ArithmeticError) as error:
        # whatever an assay makes of a run that was cut short: the rest of the report stands
        return Chapter(None, problem=f"the analysis cannot use these readings ({type(error).__name__}: {error})")
    return chapter


def html_of(content: ReportContent) -> str:
    """Return the report as one HTML file without any reference to another."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("nanolab.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    return environment.get_template("report.html.j2").render(**content.as_tables(), picture=picture)


def picture(figure: Figure) -> str:
    """Return a figure as a data address: its names cannot clash with those of another figure."""
    return "data:image/svg+xml;base64," + base64.b64encode(plain_svg(figure.svg)).decode("ascii")


def _verdict_words(chapter: Chapter) -> str:
    if chapter.view is None or chapter.view.verdict is None:
        return ""
    word, z = chapter.view.verdict
    return f"{word}: {abs(z):.1f} σ {'above' if z > 0 else 'below'} what was predicted before the run"


def _parameters(chapter: Chapter) -> list[dict[str, str]]:
    from nanolab.report.cells import interval_words, sigma_words, value_words

    if chapter.view is None:
        return []
    return [
        {
            "name": row.name,
            "measured": value_words(row.measured),
            "interval": interval_words(row.measured),
            "predicted": value_words(row.predicted),
            "difference": sigma_words(row.z),
        }
        for row in chapter.view.parameters
    ]


def _references(start: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = start.get("references", {})
    return sorted((str(role), str(uid)) for role, uid in found.items()) if isinstance(found, Mapping) else []
