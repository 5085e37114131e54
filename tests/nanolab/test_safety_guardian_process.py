"""Real processes: a run that is killed, stopped, hung or half-way through a line; a guardian that is killed or stopped.

The laser is the simulated ITC of a served bench, owned through pyvisa as on USB. Whether it emits is the bench's own word,
with wall-time stamps of the clock that all processes share.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nanolab.safety.guard_client import GuardClient
from nanolab.safety.recipe import OffRecipe
from nanolab.testing.guarded import WORDS, ServedBench, Wire, served_bench, words_for

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the guardian needs POSIX so far")

BUSY_S = 2.0
"""Room for a machine whose cores are all busy; how fast it is, `python -m benchmarks.guardian_ways` measures."""

RUN = """
import json, os, select, sys, time
from pathlib import Path
from nanolab.safety.guard_client import GuardClient
from nanolab.safety.recipe import OffRecipe
from nanolab.testing.guarded import Wire

def say(**what):
    print(json.dumps(what), flush=True)

options = json.loads(sys.argv[2])
guard = GuardClient.start(
    OffRecipe.from_json(sys.argv[1]), log=Path(options.pop("log")), on_lost=lambda report: say(lost=report), **options
)
wire = Wire(guard.relay_address)
guard.emitting(True)
wire.send("SOUR:CURR 1.0\\nOUTP1 ON\\n")
while float(wire.ask("MEAS:CURR?")) < 0.2:
    guard.renew(1.3)
say(guardian=guard._process.pid)
while True:  # the acquisition loop, until told what to do
    guard.renew(1.3)
    with __import__("contextlib").suppress(ConnectionError):
        wire.ask("MEAS:CURR?")
    if select.select([0], [], [], 0.1)[0]:
        word = sys.stdin.readline().strip()
        say(does=word)
        if word == "hang":
            while True:
                time.sleep(60)
        if word == "half":
            wire.send("SOUR:CURR 2.0;:OUTP1 O")
            say(sent=True)
            time.sleep(60)
        if word == "fork":
            if os.fork() > 0:
                say(killed=time.monotonic())
                os.kill(os.getpid(), 9)
            time.sleep(60)
        if word == "off":
            say(report=guard.off(), refused=guard.may_emit())
        if word == "close":
            say(closed=guard.close())
            break
"""


class Run:
    """A run of its own process that emits through a guardian until it is told something else."""

    def __init__(self, recipe: OffRecipe, folder: Path, **options: Any) -> None:
        self.log = folder / "guardian.jsonl"
        words = [sys.executable, "-c", RUN, recipe.to_json(), json.dumps({"log": str(self.log), **options})]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, bufsize=0
        )
        assert self.process.stdout is not None
        self._out = self.process.stdout
        self.guardian = int(self.next()["guardian"])

    def next(self) -> dict[str, Any]:
        """Return what the run says next, within a minute (a busy computer)."""
        assert select.select([self._out], [], [], 60.0)[0], "the run says nothing"
        line = self._out.readline()
        assert line, "the run has ended"
        found: dict[str, Any] = json.loads(line)
        return found

    def tell(self, word: str) -> None:
        """Tell the run what to do, and see that it does."""
        assert self.process.stdin is not None
        self.process.stdin.write(word.encode() + b"\n")
        self.process.stdin.flush()
        assert self.next() == {"does": word}

    def signal(self, number: int) -> float:
        """Send a signal and return when."""
        now = time.monotonic()
        self.process.send_signal(number)
        return now

    def end(self) -> None:
        """Kill the whole session and close the pipes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        until(lambda: not alive(self.guardian))

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the entries of one kind in the guardian's log."""
        if not self.log.exists():
            return []
        entries = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [entry for entry in entries if entry["event"] == event]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(true: Callable[[], object], within_s: float = 20.0) -> None:
    limit = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < limit, "it did not come to pass"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def module_bench() -> Iterator[ServedBench]:
    with served_bench() as bench:
        yield bench


@pytest.fixture
def bench(module_bench: ServedBench) -> Iterator[ServedBench]:
    yield module_bench
    for fault in ("emission_stuck", "port_vanishes", "silent"):
        module_bench.fault(fault, on=False)
    wire = Wire(module_bench.laser)
    wire.send("*CLS\n*RST\n")
    assert wire.ask("OUTP1?") == "0"
    wire.close()


@pytest.fixture
def start(bench: ServedBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Run]]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    runs: list[Run] = []

    def begin(**options: Any) -> Run:
        changes = options.pop("recipe", {})
        runs.append(Run(words_for(bench.laser, line=WORDS.line, **changes), tmp_path, **options))
        assert bench.emissions()[-1][0], "the run has turned the laser on"
        return runs[-1]

    yield begin
    for run in runs:
        run.end()


def off_after(bench: ServedBench, since_s: float) -> float:
    """Wait until the laser is off, and return how long after `since_s` that was."""
    until(lambda: not bench.emissions()[-1][0])
    emitting, moment = bench.emissions()[-1]
    assert not emitting
    return moment - since_s


def off_report(run: Run) -> dict[str, Any]:
    until(lambda: run.logged("off"))
    report: dict[str, Any] = run.logged("off")[0]["report"]
    return report


@pytest.mark.parametrize("several", [False, True], ids=["owns the port", "second connection"])
def test_a_killed_run_leaves_the_laser_off_and_a_report(
    start: Callable[..., Run], bench: ServedBench, several: bool
) -> None:
    run = start(recipe={"several_clients": several})
    since = run.signal(signal.SIGKILL)
    assert off_after(bench, since) < BUSY_S
    report = off_report(run)
    assert report["confirmed"]
    assert report["why"] == "the run is gone: its control socket is closed"
    assert [check["off"] for check in report["checks"]] == [True, True, True]
    assert report["sent_monotonic_s"] > since
    until(lambda: not alive(run.guardian))
    assert run.logged("end")[0]["confirmed"]


def test_a_stopped_run_is_noticed_by_its_missing_heartbeat(start: Callable[..., Run], bench: ServedBench) -> None:
    run = start()
    since = run.signal(signal.SIGSTOP)
    assert off_after(bench, since) < 1.0 + BUSY_S
    assert off_report(run)["why"].startswith("no heartbeat of the run for 1.")
    run.signal(signal.SIGCONT)
    assert run.next()["lost"]["confirmed"]


def test_a_hung_plan_loses_its_lease_though_its_heartbeat_goes_on(
    start: Callable[..., Run], bench: ServedBench
) -> None:
    run = start()
    run.tell("hang")
    since = time.monotonic()
    assert off_after(bench, since) < 1.3 + BUSY_S
    assert "lease" in off_report(run)["why"]
    assert run.next()["lost"]["confirmed"]


def test_half_a_line_of_a_dying_run_never_reaches_the_laser(start: Callable[..., Run], bench: ServedBench) -> None:
    run = start()
    run.tell("half")
    assert run.next() == {"sent": True}
    run.signal(signal.SIGKILL)
    assert off_report(run)["confirmed"]
    wire = Wire(bench.laser)
    assert float(wire.ask("SOUR:CURR?")) == 1.0
    # nothing of the command came through
    assert wire.ask("SYST:ERR?").startswith("+0")
    wire.close()


def test_a_child_that_keeps_the_socket_open_does_not_keep_the_laser_on(
    start: Callable[..., Run], bench: ServedBench
) -> None:
    run = start()
    run.tell("fork")
    since = run.next()["killed"]
    assert off_after(bench, since) < 1.0 + BUSY_S
    assert off_report(run)["why"].startswith("no heartbeat")
    run.end()


def test_a_guardian_that_is_killed_is_replaced_by_the_run(start: Callable[..., Run], bench: ServedBench) -> None:
    run = start()
    since = time.monotonic()
    os.kill(run.guardian, signal.SIGKILL)
    assert off_after(bench, since) < BUSY_S
    lost = run.next()["lost"]
    assert (lost["confirmed"], lost["why"]) == (True, "the guardian is gone")
    run.tell("off")
    said = run.next()
    assert said["report"]["confirmed"]
    assert said["refused"] == "the guardian has turned the laser off (the guardian is gone); start anew"


def test_a_guardian_that_is_stopped_is_killed_and_replaced(start: Callable[..., Run], bench: ServedBench) -> None:
    run = start()
    since = time.monotonic()
    os.kill(run.guardian, signal.SIGSTOP)
    assert off_after(bench, since) < 1.0 + BUSY_S
    lost = run.next()["lost"]
    assert (lost["confirmed"], lost["why"]) == (True, "the guardian does not answer")
    assert not alive(run.guardian)


def test_sigterm_means_off_and_exit(start: Callable[..., Run], bench: ServedBench) -> None:
    run = start()
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE):
        os.kill(run.guardian, number)  # what a terminal sends is ignored
    since = time.monotonic()
    os.kill(run.guardian, signal.SIGTERM)
    assert off_after(bench, since) < BUSY_S
    assert run.next()["lost"]["why"] == "it was told to end (SIGTERM)"
    until(lambda: not alive(run.guardian))


def test_a_laser_that_stays_on_is_not_confirmed_and_says_what_to_do(
    start: Callable[..., Run], bench: ServedBench
) -> None:
    run = start(insist_s=2.0, recipe={"confirm_within_s": 0.2})
    bench.fault("emission_stuck")
    run.tell("off")
    report = run.next()["report"]
    assert not report["confirmed"]
    assert report["detail"].startswith("OUTP1? 1; STAT:OPER:COND? 20")
    assert report["by_hand"] == "Turn the key of the laser to off."
    # the run is over, and the laser obeys at last: the guardian has not given up
    run.tell("hang")
    run.signal(signal.SIGKILL)
    until(lambda: any("gone" in str(entry) for entry in run.logged("OFF NOT CONFIRMED")))
    bench.fault("emission_stuck", on=False)
    assert off_report(run)["why"] == "off was not confirmed, and is tried again"
    until(lambda: not alive(run.guardian))


def test_a_laser_that_vanishes_is_not_confirmed_and_found_again(start: Callable[..., Run], bench: ServedBench) -> None:
    run = start(recipe={"confirm_within_s": 0.2})
    bench.fault("port_vanishes")
    lost = run.next()["lost"]
    assert not lost["confirmed"]
    assert lost["why"].startswith("the connection to the laser is lost")
    assert "cannot be opened" in lost["detail"]
    bench.fault("port_vanishes", on=False)
    assert off_report(run)["confirmed"]
    assert not bench.emissions()[-1][0]


def test_off_through_the_guardian_and_the_end_of_a_run(start: Callable[..., Run], bench: ServedBench) -> None:
    run = start()
    run.tell("off")
    said = run.next()
    assert said["report"]["confirmed"]
    assert not bench.emissions()[-1][0]
    assert said["refused"] == "the guardian has turned the laser off (the run asked for it); start anew"
    run.tell("close")
    assert run.next()["closed"]["why"] == "the run is over"
    assert run.process.wait(10) == 0
    assert not alive(run.guardian)


def test_the_guardian_imports_nothing_heavy(bench: ServedBench) -> None:
    heavy = ("bluesky", "ophyd", "numpy", "pydantic", "typer", "serial", "pyvisa")
    client = GuardClient.start(words_for(bench.laser))
    maps = Path(f"/proc/{client._process.pid}/maps").read_text() if sys.platform == "linux" else ""
    client.close()
    assert "numpy" not in maps
    program = (
        "import sys; import nanolab.safety.guardian; from nanolab.safety.ports import open_port;"
        "from nanolab.safety.recipe import LineRecipe; import importlib\n"
        f"print([name for name in {heavy!r} if name in sys.modules])\n"
        f"port = open_port({bench.laser!r}, LineRecipe(kind='visa')); port.close()\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["[]", "['serial', 'pyvisa']"], "pyvisa takes pyserial along"
