"""`nanolab report RUN`: one self-contained file that tells a run to somebody who was not there."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nanolab.commands.output import AsJson, BenchFile, DataFolder, say, write_json, write_line
from nanolab.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from nanolab.report.build import ReportContent


def command(
    run: Annotated[str, typer.Argument(help="Uid of the run (or how it begins), or its folder.")],
    data: DataFolder = None,
    bench: BenchFile = None,
    to: Annotated[Path | None, typer.Option(help="File to write; default report.html in the run folder.")] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="A PDF beside it, report.pdf; needs nanolab[report].")] = False,
    details: Annotated[
        Path | None, typer.Option(help="TOML file with [report] and [beam]: what was not entered before the run.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the report of a run: verdict, figures, parameters, conditions, methods, hashes. What was not entered is named."""
    from nanolab.report.build import gather_content, html_of

    folder = _folder(run, data, bench)
    content = gather_content(folder, details)
    target = to or folder / "report.html"
    written = [_write(target, html_of(content).encode("utf-8"))]
    if pdf:
        from nanolab.report.pdf import pdf_of

        written.append(_write(target.with_suffix(".pdf"), pdf_of(content)))
    _tell(content, written, as_json)


def _folder(run: str, data: Path | None, bench: Path | None) -> Path:
    if data is None and Path(run).is_dir():
        return Path(run)
    from nanolab.bench.defaults import find_bench
    from nanolab.journal.catalog import find_run

    if data is not None and not data.is_dir():
        raise UsageError(f"--data {data}: there is no such folder")
    return find_run(data if data is not None else find_bench(bench).bench.data, run).path


def _write(path: Path, content: bytes) -> Path:
    from nanolab.journal.files import write_whole

    try:
        write_whole(path, content)
    except OSError as error:
        raise RefusedError(
            f"{path}: the report cannot be written there ({error.strerror}); name a file with --to"
        ) from error
    return path


def _tell(content: "ReportContent", written: list[Path], as_json: bool) -> None:
    if as_json:
        missing = [{"group": entry.group, "name": entry.name, "where": entry.where} for entry in content.missing]
        write_json({"files": [str(path) for path in written], "missing": missing, "problem": content.chapter.problem})
        return
    for path in written:
        write_line(f"written: {path}")
    if content.chapter.problem:
        say(content.chapter.problem)
    if content.missing:
        say(f"not entered: {', '.join(entry.name for entry in content.missing)}")
