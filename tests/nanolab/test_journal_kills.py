"""`kill -9` of real processes: nothing that was acknowledged is lost."""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import ModuleType

import pytest

from nanolab.journal.liveness import process_began

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL, and file descriptors handed down to a child")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def kills() -> ModuleType:
    """The benchmark, which is no part of the installed packages."""
    spec = importlib.util.spec_from_file_location("kills_under_test", ROOT / "benchmarks" / "kills.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_five_kills_lose_nothing() -> None:
    words = [sys.executable, "-m", "benchmarks.kills", "--runs", "5", "--seed", "3", "--span-s", "0.15"]
    answer = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout.count("interrupted") == 5
    assert answer.stdout.splitlines()[-1].endswith(" 0 lost")
    assert int(answer.stdout.splitlines()[-1].split()[2]) > 5, "documents were acknowledged"


def test_the_script_ends_with_whoever_started_it(tmp_path: Path) -> None:
    # a shell that starts the script in the background, waits for its folder, and is gone
    words = f"""
    cd {ROOT}; {sys.executable} -m benchmarks.kills --script {tmp_path} >/dev/null 2>&1 &
    echo $!; while [ -z "$(ls -A {tmp_path}/*/ 2>/dev/null)" ]; do sleep 0.05; done
    """
    answer = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=True, timeout=60)
    pid = int(answer.stdout)
    deadline = time.monotonic() + 20.0
    try:
        while process_began(pid) is not None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert process_began(pid) is None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def script(tmp_path: Path, body: str) -> list[str]:
    path = tmp_path / "script.py"
    head = """
    import os, sys, time
    from pathlib import Path
    from nanolab.journal import RunWriter
    data = Path(sys.argv[1])
    fd = int(os.environ["NANOLAB_ACK_FD"])
    """
    path.write_text(textwrap.dedent(head) + textwrap.dedent(body))
    return [sys.executable, str(path), "{data}"]


def test_a_writer_that_acknowledges_too_early_is_found_out(
    tmp_path: Path, kills: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    command = script(
        tmp_path,
        """
        writer = RunWriter(data)
        writer("start", {"uid": "liar", "time": 0.0})
        os.write(fd, b"liar 2\\n")
        time.sleep(60)
        """,
    )
    data = tmp_path / "data"
    assert kills.main(["--runs", "1", "--span-s", "0.1", "--data", str(data), "--", *command]) == 1
    out = capsys.readouterr().out
    assert "run liar: 2 reported, 1 readable: lost" in out
    assert "1 lost" in out.splitlines()[-1]


def test_a_run_that_ends_before_its_kill_is_told_apart(tmp_path: Path, kills: ModuleType) -> None:
    command = script(
        tmp_path,
        """
        with RunWriter(data) as writer:
            writer("start", {"uid": "short", "time": 0.0})
            writer("stop", {"uid": "s", "run_start": "short", "exit_status": "success"})
        """,
    )
    kill = kills.kill_once(command, tmp_path / "data", 30.0)
    assert kill.ended_before
    assert (kill.statuses, kill.acknowledged, kill.readable) == (["finished"], {"short": 2}, {"short": 2})
    assert kill.problems == []
    assert kills.main(["--runs", "1", "--span-s", "30", "--data", str(tmp_path / "more"), "--", *command]) == 2


def test_a_command_that_does_not_start_is_told_with_its_last_words(tmp_path: Path, kills: ModuleType) -> None:
    kill = kills.kill_once([sys.executable, "-c", "raise SystemExit('no bench')"], tmp_path / "data", 1.0)
    assert kill.problems == ["no document was ever reported; the last words were: ['no bench']"]
