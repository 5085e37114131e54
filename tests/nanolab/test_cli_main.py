"""The command line as a whole: quick, one sentence an error, exit codes, JSON for scripts."""

import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

import nanolab
from nanolab import cli
from nanolab.errors import (
    AnalysisRefusesError,
    DeviceError,
    FileInvalidError,
    LimitTripError,
    NanolabError,
    OffNotConfirmedError,
    RefusedError,
    UsageError,
)

HEAVY = ("bluesky", "ophyd", "numpy", "scipy", "pydantic", "matplotlib", "lmfit", "pint", "pyvisa", "rich", "IPython")
Outcome = tuple[int, str, str]
Call = Callable[..., Outcome]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*words: str) -> Outcome:
        code = cli.main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, call: Call) -> Callable[..., Outcome]:
    """Run a command that raises what it is given."""

    def run(error: BaseException, *words: str) -> Outcome:
        def command(as_json: bool = typer.Option(False, "--json")) -> None:
            raise error

        app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
        app.callback()(lambda: None)
        app.command("fail")(command)
        monkeypatch.setattr(cli, "build_app", lambda: app)
        return call("fail", *words)

    return run


# --- quick ------------------------------------------------------------------------------------------------------


def test_help_imports_nothing_heavy_and_is_quick() -> None:
    program = (
        "import sys, time; from nanolab.cli import main; code = main(['--help']);"
        f"print('heavy:', [m for m in {HEAVY!r} if m in sys.modules], time.process_time())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert "Commands:" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith("heavy: []"), last
    # a desk computer needs 0.1 s; the goal is 0.35 s, and this machine may be busy
    assert float(last.split()[-1]) < 1.0


def test_python_m_nanolab_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nanolab", "--version"], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == f"nanolab {nanolab.__version__}\n"


def test_all_commands_are_there(call: Call) -> None:
    code, out, _ = call("--help")
    assert code == 0
    for name in ("run", "analyze", "analyses", "plans", "devices", "runs", "shell", "bench", "sim"):
        assert f"  {name} " in out
    assert "8 OFF NOT CONFIRMED" in " ".join(out.split())
    assert call() == (0, out, "")


# --- usage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["rnu"], "did you mean 'run'"),
        (["bench"], "nanolab bench: name a command; known: doctor, init"),
        (["sim"], "nanolab sim: name a command; known: serve, world"),
        (["bench", "doctr"], "did you mean 'doctor'"),
        (["run"], "nanolab run: missing argument 'plan'"),
        (["runs", "--dta", "x"], "--data"),
        (["sim", "serve", "--seed", "many"], "'--seed': input should be a valid integer"),
        (["plans", "--jsn"], "--json"),
        (["devices", "extra"], "unexpected extra argument"),
    ],
)
def test_a_usage_error_is_one_sentence_and_exit_code_2(call: Call, words: list[str], sentence: str) -> None:
    code, out, err = call(*words)
    assert code == 2
    assert out == ""
    assert sentence.lower() in err.lower()
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_a_usage_error_is_json_too(call: Call) -> None:
    code, out, _ = call("plans", "--json", "--nme", "x")
    assert code == 2
    assert json.loads(out)["error"]["code"] == 2


# --- errors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NanolabError("it went wrong"), 1),
        (UsageError("it went wrong"), 2),
        (FileInvalidError("it went wrong"), 3),
        (DeviceError("laser", "it went wrong"), 4),
        (RefusedError("it went wrong"), 5),
        (LimitTripError("it went wrong"), 6),
        (AnalysisRefusesError("it went wrong"), 7),
        (OffNotConfirmedError("it went wrong"), 8),
        (KeyboardInterrupt(), 130),
        (typer.Abort(), 130),
        (cli.Terminated(143), 143),
    ],
)
def test_every_error_has_its_exit_code_and_sentence(
    failing: Callable[..., Outcome], error: BaseException, code: int
) -> None:
    got, out, err = failing(error, "--json")
    assert got == code
    message = json.loads(out)["error"]
    assert message["code"] == code
    assert err == f"nanolab: {message['message']}\n"
    assert failing(error)[1] == ""


def test_an_unexpected_error_is_a_sentence_and_a_file_with_the_details(
    failing: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("NANOLAB_TRACEBACK", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, out, err = failing(ZeroDivisionError("division by zero"))
    assert (code, out) == (1, "")
    assert "unexpected ZeroDivisionError: division by zero" in err
    assert "Traceback" not in err
    (log,) = tmp_path.glob("nanolab-*.log")
    assert str(log) in err
    assert "Traceback" in log.read_text(encoding="utf-8")


def test_an_unexpected_error_shows_where_it_is_when_asked_to(
    failing: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NANOLAB_TRACEBACK", "1")
    code, _, err = failing(ZeroDivisionError("division by zero"))
    assert code == 1
    assert "Traceback" in err


def test_the_exit_code_of_a_command_is_kept(failing: Callable[..., Outcome]) -> None:
    assert failing(typer.Exit(6)) == (6, "", "")


def test_a_reader_that_has_gone_is_no_news(
    failing: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())  # put back after the test
    code, _, err = failing(BrokenPipeError())
    assert (code, err) == (1, "")
    sys.stdout.close()


def test_nobody_reads_the_list(tmp_path: Path) -> None:
    near, far = os.pipe()
    os.close(near)
    done = subprocess.run(
        [sys.executable, "-m", "nanolab", "plans"],
        stdout=far,
        stderr=subprocess.PIPE,
        timeout=60,
        text=True,
        check=False,
    )
    os.close(far)
    assert done.stderr == ""
    assert done.returncode == 1


def test_sigterm_ends_a_command_in_order_and_the_handler_is_put_back(
    monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    closed: list[str] = []

    def command() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.sigtimedwait([], 5)  # never reached: the handler raises first
        finally:
            closed.append("laser off")

    app = typer.Typer(rich_markup_mode=None)
    app.callback()(lambda: None)
    app.command("wait")(command)
    monkeypatch.setattr(cli, "build_app", lambda: app)
    before = signal.getsignal(signal.SIGTERM)
    code, _, err = call("wait")
    assert (code, err, closed) == (143, "nanolab: terminated\n", ["laser off"])
    assert signal.getsignal(signal.SIGTERM) is before


def test_it_can_be_called_from_another_thread() -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(cli.main(["--version"])))
    thread.start()
    thread.join(30)
    assert codes == [0]


# --- logs -------------------------------------------------------------------------------------------------------


def logging_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> None:
        try:
            raise OSError("the disk is full")
        except OSError:
            logging.getLogger("nanolab.x").exception("A consumer failed")
            logging.getLogger("bluesky").exception("Run aborted")
        logging.getLogger("nanolab.x").warning("beware")
        logging.getLogger("nanolab.x").info("a detail")

    app = typer.Typer(rich_markup_mode=None)
    app.callback()(lambda: None)
    app.command("log")(command)
    monkeypatch.setattr(cli, "build_app", lambda: app)


def test_what_is_logged_is_shown_as_sentences(monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    logging_command(monkeypatch)
    monkeypatch.delenv("NANOLAB_TRACEBACK", raising=False)
    _, _, err = call("log")
    assert err == "nanolab: A consumer failed (OSError: the disk is full)\nnanolab: beware\n"


def test_a_module_that_is_not_there_costs_only_its_own_command(monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    commands: dict[str, Any] = {**cli.COMMANDS, "fly": "nanolab.commands.no_such_module"}
    monkeypatch.setattr(cli, "COMMANDS", commands)
    code, out, _ = call("--help")
    assert code == 0
    assert "fly" not in out
