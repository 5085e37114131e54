"""The server as a process: its ready line, how it ends, what it refuses; with the real world behind it."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nanolab.errors import FileInvalidError, NanolabError, UsageError
from sims.server import DEFAULT_INSTRUMENTS, main

SERVE = "import sys, sims.server; sys.exit(sims.server.main(**eval(sys.argv[1])))"
QUICK = {"laser": "thorlabs_itc4001", "powermeter": "thorlabs_pm100d"}


@contextmanager
def serving(stdin: int | None = subprocess.PIPE, **options: Any) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-c", SERVE, repr(options)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=stdin, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline()
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, errors = process.communicate(timeout=20)
    return process.returncode, out, errors


def ask(address: str, *requests: Any) -> list[dict[str, Any]]:
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as link, link.makefile("rwb", buffering=0) as file:
        answers = []
        for request in requests:
            file.write(json.dumps(request).encode() + b"\n")
            answers.append(json.loads(file.readline()))
    return answers


def test_ready_line_and_end_of_standard_input() -> None:
    with serving(truth=True, json_ready=True, seed=3) as (process, line):
        ready = json.loads(line)
        assert set(ready) == {"control", "truth", "instruments"}
        assert {role: place["driver"] for role, place in ready["instruments"].items()} == dict(DEFAULT_INSTRUMENTS)
        assert all(place["pty"] is None for place in ready["instruments"].values())
        time, advanced, told = ask(
            ready["control"], {"op": "time"}, {"op": "advance", "seconds": 2.0}, {"op": "instruments"}
        )
        assert time == {"ok": True, "time_s": 0.0, "speed": "max"}
        assert advanced["time_s"] == 2.0
        assert told["instruments"] == ready["instruments"]
        (truth,) = ask(ready["truth"], {"op": "truth"})
        assert truth["time_s"] == 2.0
        assert truth["truth"]["laser"]["emitting"] is False
        assert ended(process) == (0, "", "")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_quietly(number: signal.Signals) -> None:
    with serving(instruments=QUICK) as (process, line):
        assert line.startswith("simulated bench ready: control at 127.0.0.1:")
        assert "truth" not in line
        process.send_signal(number)
        process.wait(timeout=20)  # with its standard input still open
        assert ended(process) == (0, "", "")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_without_a_pipe_it_serves_until_a_signal() -> None:
    options: dict[str, Any] = {"instruments": QUICK, "json_ready": True, "speed": 10.0}
    with serving(stdin=subprocess.DEVNULL, meter_position="sample_plane", **options) as (process, line):
        (answer,) = ask(json.loads(line)["control"], {"op": "time"})
        host, port = json.loads(line)["instruments"]["powermeter"]["tcp"].split(":")
        with socket.create_connection((host, int(port)), timeout=10) as link:
            link.sendall(b"SYST:SENS:IDN?\n")
            assert link.recv(100).startswith(b'"S425C"')  # the head that stands a whole beam
        assert answer["speed"] == 10.0
        assert process.poll() is None
        process.terminate()
        assert ended(process) == (0, "", "")


def test_same_seed_same_readings() -> None:
    def readings(seed: int) -> list[bytes]:
        with serving(json_ready=True, seed=seed) as (process, line):
            ready = json.loads(line)
            links = {}
            for role in ("laser", "thermocouple", "powermeter"):
                host, port = ready["instruments"][role]["tcp"].split(":")
                links[role] = socket.create_connection((host, int(port)), timeout=10)
            links["laser"].sendall(b"SOUR:CURR:LIM 0.9;:SOUR:CURR 0.8;:OUTP2 ON;:OUTP1 ON;*OPC?\n")
            links["laser"].recv(100)
            setup = b"CONF:TEMP TC,K,(@101:103);:TEMP:TRAN:TC:RJUN:TYPE INT,(@101:103);*OPC?\n"
            links["thermocouple"].sendall(setup)
            links["thermocouple"].recv(100)
            found = []
            for _ in range(5):
                # a connection of its own each time: the clock is free again when it closes
                ask(ready["control"], {"op": "advance", "seconds": 1.0})
                for role, query in (
                    ("laser", b"MEAS:CURR?;TEMP?"),
                    ("thermocouple", b"READ?"),
                    ("powermeter", b"MEAS?"),
                ):
                    links[role].sendall(query + b"\n")
                    found.append(links[role].recv(1000))
            for link in links.values():
                link.close()
            assert ended(process)[0] == 0
        return found

    first = readings(7)
    assert readings(7) == first
    assert len(set(first)) == len(first)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"speed": 0.0}, UsageError, "positive"),
        ({"speed": float("inf")}, UsageError, "positive"),
        ({"seed": -1}, UsageError, "negative"),
        ({"meter_position": "pick_off"}, UsageError, "did you mean 'pickoff'"),
        ({"instruments": {"laser": "nothing"}}, UsageError, "no simulator for 'nothing'"),
        ({"world_file": Path("/nowhere/world.toml")}, FileInvalidError, "cannot be read"),
    ],
)
def test_wrong_calls_are_explained(options: dict[str, Any], error: type[NanolabError], words: str) -> None:
    with pytest.raises(error, match=words):
        main(**options)


def test_taken_port_is_explained() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(NanolabError, match="cannot be opened"):
        main(instruments=QUICK, ports={"laser": taken.getsockname()[1]})


class _Stdin:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor


@pytest.mark.parametrize("said", [b"", b"ignored\n"])
def test_main_returns_0_when_standard_input_ends(
    said: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.write(writer, said)
    os.close(writer)
    monkeypatch.setattr(sys, "stdin", _Stdin(reader))
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main(instruments=QUICK, json_ready=True) == 0
    finally:
        os.close(reader)
    assert signal.getsignal(signal.SIGTERM) is before
    lines: Sequence[str] = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert set(json.loads(lines[0])["instruments"]) == set(QUICK)


def test_main_ends_on_a_signal_without_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)

    class _Out:
        def write(self, text: str) -> None:
            # as soon as it is ready, somebody presses Ctrl-C
            signal.raise_signal(signal.SIGINT)

        def flush(self) -> None:
            pass

    monkeypatch.setattr(sys, "stdout", _Out())
    assert main(instruments=QUICK) == 0
