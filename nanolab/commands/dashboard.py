"""`nanolab dashboard`: the live page for the bench screen."""

from pathlib import Path
from typing import Annotated

import typer

from nanolab.commands.output import BenchFile, DataFolder


def command(
    data: DataFolder = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port on 127.0.0.1; default the first free from 8501.")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    light: Annotated[bool, typer.Option("--light", help="Light colours; default dark.")] = False,
    bench: BenchFile = None,
    refresh: Annotated[
        float, typer.Option(min=0.1, max=60.0, help="Seconds between two looks of the live page; 1 for watchers.")
    ] = 0.5,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="For watchers: no notes, no start of runs; STOP stays.")
    ] = False,
) -> None:
    """Show runs while they grow: live page, analysis, past runs, devices. It reads run folders and owns no instrument."""
    from nanolab.discovery import DASHBOARD, load

    serve = load(DASHBOARD, "serve")
    folder = _folder(data, bench)
    code = serve(
        folder, port, browser=browser, light=light, bench=bench, read_only=read_only, refresh_s=refresh
    )  # fmt: skip
    raise typer.Exit(int(code))


def _folder(data: Path | None, bench: Path | None) -> Path:
    if data is not None:
        return data
    from nanolab.bench.defaults import find_bench

    return find_bench(bench).bench.data
