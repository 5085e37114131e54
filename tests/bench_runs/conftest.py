"""Whole commands as a user calls them: in this process, or, where the process matters, in one of their own."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nanolab import cli

DEADLINE_S = 400.0


@dataclass
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON object."""
        return json.loads(self.out)


Nanolab = Callable[..., Finished]


@pytest.fixture
def nanolab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Nanolab:
    """Run `nanolab ARGUMENTS…` in this process, in an empty folder; the simulated bench is a process all the same."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Finished:
        capsys.readouterr()
        code = cli.main([str(word) for word in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err, captured.err
        return Finished(code, captured.out, captured.err)

    return run


@pytest.fixture
def nanolab_process(tmp_path: Path) -> Nanolab:
    """Run `nanolab ARGUMENTS…` as a process of its own in an empty folder."""

    def run(*arguments: object) -> Finished:
        words = [sys.executable, "-m", "nanolab", *map(str, arguments)]
        done = subprocess.run(
            words,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@dataclass
class Server:
    """A simulated bench that is serving."""

    ready: dict[str, Any]
    process: subprocess.Popen[str]

    @property
    def control(self) -> str:
        """Control port as HOST:PORT."""
        return str(self.ready["control"])


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Serve a simulated bench; it ends with the test."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> Server:
        words = [sys.executable, "-m", "nanolab", "sim", "serve", "--json", *map(str, arguments)]
        process = subprocess.Popen(words, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        return Server(json.loads(process.stdout.readline()), process)

    yield start
    for process in running:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.wait(20)
        process.stdout.close()
        assert process.returncode == 0
