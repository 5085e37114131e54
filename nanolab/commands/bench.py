"""`nanolab bench init | doctor`: the files of a bench, and whether everything on it is well."""

from pathlib import Path
from typing import Annotated

import typer

from nanolab.commands.output import AsJson, BenchFile, write_json, write_line, write_table
from nanolab.errors import ExitCode, RefusedError, UsageError

app = typer.Typer(rich_markup_mode=None, help="Write the files of a bench, and check it.")


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="Folder for bench.toml and sample.toml.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Write a commented bench.toml and sample.toml; the bench file lists the ports and instruments found."""
    from nanolab.bench.template import bench_template, look_for_resources, sample_template

    if path.suffix == ".toml":
        raise UsageError(f"{path}: name the folder; the files in it are called bench.toml and sample.toml")
    files = [path / "bench.toml", path / "sample.toml"]
    present = [str(file) for file in files if file.exists()]
    if present:
        raise RefusedError(f"{' and '.join(present)}: already there, and not overwritten; move it away first")
    resources = look_for_resources()
    try:
        path.mkdir(parents=True, exist_ok=True)
        for file, text in zip(files, (bench_template(resources), sample_template()), strict=True):
            with file.open("x", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
    except OSError as error:
        raise RefusedError(f"{path}: the files cannot be written there ({error.strerror})") from error
    found = {"serial_ports": resources.serial_ports, "visa": resources.visa, "notes": resources.notes}
    if as_json:
        write_json({"files": [str(file) for file in files], **{key: list(value) for key, value in found.items()}})
        return
    for file in files:
        write_line(f"written: {file}")
    for title, items in (("serial port", resources.serial_ports), ("VISA resource", resources.visa)):
        write_line("\n".join(f"found {title}: {item}" for item in items) or f"found no {title}")
    for note in resources.notes:
        write_line(note)
    write_line(
        "Every instrument is simulated; put the address of a real one in its place, then `nanolab bench doctor`."
    )


@app.command()
def doctor(bench: BenchFile = None, as_json: AsJson = False) -> None:
    """Look at Python, files, disk and every instrument. The laser is not switched on."""
    from nanolab.bench.doctor import examine

    rows, code = examine(bench)
    if as_json:
        checks = [{"what": row.what, "ok": row.ok, "detail": row.detail, "remedy": row.remedy} for row in rows]
        write_json({"ok": code is ExitCode.OK, "checks": checks})
    else:
        cells = []
        for row in rows:
            words = row.detail if row.ok or not row.remedy else f"{row.detail}. To do: {row.remedy}"
            cells.append((row.what, "ok" if row.ok else "FAIL", words))
        write_table(("what", "", "detail"), cells)
    raise typer.Exit(int(code))
