"""The `nanolab` command: finds the command, runs it, and turns every error into a sentence and an exit code.

The commands themselves are in `nanolab.commands`; importing this module must stay quick.
"""

import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from types import FrameType
from typing import Annotated, Any

import typer

from nanolab import __version__
from nanolab.errors import ExitCode, NanolabError, UsageError, nearest

COMMANDS = {
    "run": "nanolab.commands.run",
    "analyze": "nanolab.commands.analyze",
    "analyses": "nanolab.commands.analyses",
    "plans": "nanolab.commands.plans",
    "devices": "nanolab.commands.devices",
    "runs": "nanolab.commands.runs",
    "reset-trip": "nanolab.commands.reset_trip",
    "shell": "nanolab.commands.shell",
    "dashboard": "nanolab.commands.dashboard",
    "report": "nanolab.commands.report",
}
"""Name and module; each has a function `command` with light imports."""

GROUPS = {
    "bench": "nanolab.commands.bench",
    "laser": "nanolab.commands.laser",
    "safety": "nanolab.commands.safety",
    "sim": "nanolab.commands.sim",
}
"""Name and module; each has a typer `app` with commands of its own."""

_EPILOG = (
    "Exit codes: 0 ok, 2 usage, 3 file invalid, 4 device missing or silent, 5 refused before the start, 6 stopped by "
    "a limit (data saved), 7 data saved but the analysis refuses, 8 OFF NOT CONFIRMED, 130 interrupted, "
    "143 terminated, 1 unexpected."
)


class Terminated(SystemExit):
    """SIGTERM came: everything that is open is closed on the way out."""


def build_app() -> typer.Typer:
    """Return the application with all commands."""
    app = typer.Typer(
        name="nanolab",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        epilog=_EPILOG,
    )
    app.callback()(_root)
    for name, module in GROUPS.items():
        app.add_typer(import_module(module).app, name=name)
    for name, module in COMMANDS.items():
        if find_spec(module) is not None:
            app.command(name)(import_module(module).command)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"nanolab {__version__}\n")
        raise typer.Exit()


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    """Run the instruments of nanoparticle experiments, simulated or real, and analyse what they measure."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Every error is one sentence on standard error; with ``--json`` it is also
    ``{"error": {"code", "message"}}`` on standard output. ``NANOLAB_TRACEBACK=1`` shows where an unexpected error
    comes from.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    previous = _handle_sigterm()
    try:
        with _logs_as_sentences():
            return _run(words)
    except NanolabError as error:
        return _fail(str(error), error.exit_code, as_json)
    except KeyboardInterrupt:
        return _fail("interrupted", ExitCode.INTERRUPTED, as_json)
    except Terminated:
        return _fail("terminated", ExitCode.TERMINATED, as_json)
    except BrokenPipeError:
        return _reader_gone()
    except Exception as error:  # noqa: BLE001 - the last resort: a sentence and the place of the details, no traceback
        return _fail(_unexpected(error), ExitCode.UNEXPECTED, as_json)
    finally:
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)


def _run(words: list[str]) -> int:
    command = typer.main.get_command(build_app())
    try:
        # not command.main(): it turns Ctrl-C into an exit code before we can say so
        with command.make_context("nanolab", words or ["--help"]) as context:
            command.invoke(context)
    except typer.Exit as leaving:
        return int(leaving.exit_code)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except Exception as error:
        # typer's usage errors are click's, its own copy's or the package's: known by what they can do
        if hasattr(error, "format_message"):
            raise UsageError(_usage(error)) from error
        raise
    return ExitCode.OK


def _usage(error: Any) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "nanolab"
    known = sorted(getattr(getattr(context, "command", None), "commands", {}))
    words = " ".join(error.format_message().split()).rstrip(".")
    if words.startswith("Missing command") and known:
        return f"{path}: name a command; known: {', '.join(known)}"
    given = getattr(error, "option_name", None)
    if given is not None and "(" not in words and context is not None:
        options = [name for parameter in context.command.params for name in parameter.opts if name.startswith("--")]
        words = f"{words}; {nearest(given, options)}"
    place = "" if path == "nanolab" else f"{path}: "
    return f"{place}{words[:1].lower()}{words[1:]} (see `{path} --help`)"


def _reader_gone() -> int:
    # whoever read our output has left (a pipe into `head`); Python would complain again when it flushes at the end
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - lives until the process ends
    return int(ExitCode.UNEXPECTED)


def _fail(message: str, code: ExitCode, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps({"error": {"code": int(code), "message": message}}) + "\n")
    sys.stderr.write(f"{'' if message.startswith('nanolab ') else 'nanolab: '}{message}\n")
    return int(code)


def _unexpected(error: Exception) -> str:
    import traceback

    details = "".join(traceback.format_exception(error))
    if os.environ.get("NANOLAB_TRACEBACK"):
        sys.stderr.write(details)
        return f"unexpected {type(error).__name__}: {error}"
    import tempfile

    with tempfile.NamedTemporaryFile("w", prefix="nanolab-", suffix=".log", delete=False, encoding="utf-8") as log:
        log.write(details)
    return f"unexpected {type(error).__name__}: {error}; details in {log.name} (NANOLAB_TRACEBACK=1 shows them here)"


class _Sentence(logging.Formatter):
    """A log record as one line: what happened and the error behind it, no traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        error = record.exc_info[1] if record.exc_info else None
        return f"nanolab: {record.getMessage()}" + ("" if error is None else f" ({type(error).__name__}: {error})")


@contextlib.contextmanager
def _logs_as_sentences() -> Iterator[None]:
    """Show warnings of ours as sentences; bluesky would log a traceback for every run that ends early."""
    if os.environ.get("NANOLAB_TRACEBACK"):
        yield
        return
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_Sentence())
    handler.addFilter(lambda record: not record.name.startswith(("bluesky", "ophyd")))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


def _handle_sigterm() -> Any:
    def handler(number: int, frame: FrameType | None) -> None:
        raise Terminated(int(ExitCode.TERMINATED))

    try:
        return signal.signal(signal.SIGTERM, handler)
    except ValueError:  # not in the main thread: then it is not ours to handle
        return None
