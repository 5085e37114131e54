"""The client of the simulated bench: literal lines on the wire, deadlines, and a server that cannot outlive us."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import nanolab.simulation
from nanolab.engine.clock import ScaledClock, VirtualClock
from nanolab.errors import DeviceError, FileInvalidError, RefusedError, UsageError
from nanolab.simulation import ServerProcess, Simulation, attach, parse_address, start_server

Script = Callable[[bytes], "list[bytes] | None"]
ONLY_A_METER = {"powermeter": "thorlabs_pm100d"}


@contextmanager
def control_port(answer: Script) -> Iterator[tuple[str, list[bytes]]]:
    """A control port in a thread: `answer` maps each line to pieces to send, or to None to hang up."""
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        link, _ = listener.accept()
        with link, link.makefile("rb") as lines:
            for line in lines:
                heard.append(line)
                pieces = answer(line)
                if pieces is None:
                    return
                for piece in pieces:
                    link.sendall(piece)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield "{}:{}".format(*listener.getsockname()), heard
    finally:
        thread.join(5)
        listener.close()
        assert not thread.is_alive()


def test_an_exchange_is_one_json_line_each_way() -> None:
    replies = iter(
        [
            b'{"ok": true, "time_s": 12.5, "speed": 60}\n',
            b'{"ok": true, "cuvette": "blank", "time_s": 12.5, "speed": 60}\n',
            b'{"ok": true, "faults": {"laser": {"silent": "hears nothing"}}, "active": [], "time_s": 1, "speed": 1}\n',
            b'{"ok": true, "time_s": 1, "speed": 1}\n',
        ]
    )
    with control_port(lambda _line: [next(replies)]) as (address, heard):
        simulation = Simulation(address)
        assert simulation.time_s() == 12.5
        simulation.load("blank")
        assert simulation.faults() == {"faults": {"laser": {"silent": "hears nothing"}}, "active": []}
        simulation.fault("laser", "silent", False)
        simulation.close()
    assert heard == [
        b'{"op": "time"}\n',
        b'{"op": "load", "cuvette": "blank"}\n',
        b'{"op": "faults"}\n',
        b'{"op": "fault", "instrument": "laser", "fault": "silent", "on": false}\n',
    ]


def test_advance_sends_the_seconds_and_returns_the_new_time() -> None:
    time_s = [0.0]

    def answer(line: bytes) -> list[bytes]:
        time_s[0] += json.loads(line)["seconds"]
        return [json.dumps({"ok": True, "time_s": time_s[0], "speed": "max"}).encode() + b"\n"]

    with control_port(answer) as (address, heard):
        simulation = Simulation(address)
        assert simulation.advance(1.0) == 1.0
        assert simulation.advance(1.0) == 2.0
        assert simulation.advance(0.25) == 2.25
        heard.clear()
        assert simulation.advance(700.0) == 702.25  # in steps that a server can answer in time
        simulation.close()
    assert [json.loads(line)["seconds"] for line in heard] == [300.0, 300.0, 100.0]


def test_a_reply_in_pieces_is_put_together_and_the_next_one_is_its_own() -> None:
    pieces = iter(
        [[b'{"ok": true, "ti', b'me_s": 3.0, "speed": 1}', b"\n"], [b'{"ok": true, "time_s": 4.0, "speed": 1}\n']]
    )
    with control_port(lambda _line: next(pieces)) as (address, _):
        simulation = Simulation(address)
        assert [simulation.time_s(), simulation.time_s()] == [3.0, 4.0]
        simulation.close()


def test_the_servers_refusal_is_the_sentence() -> None:
    refusal = b'{"ok": false, "error": "another client moves the clock", "time_s": 0, "speed": "max"}\n'
    with control_port(lambda _line: [refusal]) as (address, _):
        simulation = Simulation(address)
        with pytest.raises(RefusedError, match="another client moves the clock"):
            simulation.advance(1.0)
        with pytest.raises(RefusedError, match="another client moves the clock"):
            simulation.load("sample")
        simulation.close()


def test_a_silent_server_costs_the_deadline_and_no_late_answer_is_taken_for_the_next() -> None:
    with control_port(lambda _line: []) as (address, _):
        simulation = Simulation(address, deadline_s=0.1)
        start = time.monotonic()
        with pytest.raises(DeviceError, match="no answer in time"):
            simulation.time_s()
        assert time.monotonic() - start < 2.0
        with pytest.raises(DeviceError, match="is closed"):
            simulation.time_s()


def test_bytes_that_trickle_in_do_not_extend_the_deadline() -> None:
    stop = threading.Event()

    def answer(_line: bytes) -> Any:
        while not stop.wait(0.02):
            yield b"x"

    with control_port(answer) as (address, _):
        simulation = Simulation(address, deadline_s=0.2)
        start = time.monotonic()
        with pytest.raises(DeviceError, match="no answer in time"):
            simulation.time_s()
        assert time.monotonic() - start < 2.0
        stop.set()


def test_a_server_that_hangs_up_is_told_of() -> None:
    with control_port(lambda _line: None) as (address, _):
        simulation = Simulation(address)
        with pytest.raises(DeviceError, match="the connection broke"):
            simulation.time_s()


def test_nobody_at_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(DeviceError, match=f"no control port answers at 127.0.0.1:{port}.*nanolab sim serve"):
        attach(f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    "text", ["5025", "localhost", "localhost:", "localhost:http", "localhost:0", "localhost:70000"]
)
def test_an_address_is_host_and_port(text: str) -> None:
    with pytest.raises(UsageError, match="HOST:PORT"):
        parse_address(text)


def test_addresses_that_are() -> None:
    assert parse_address("127.0.0.1:5000") == ("127.0.0.1", 5000)
    assert parse_address("[::1]:5000") == ("::1", 5000)
    assert parse_address(":5000") == ("127.0.0.1", 5000)


def test_the_clock_is_the_one_that_fits_the_speed() -> None:
    speeds = iter(['"max"', "1", "60.0"])

    def answer(line: bytes) -> list[bytes]:
        if json.loads(line)["op"] == "advance":
            return [b'{"ok": true, "time_s": 105.0, "speed": "max"}\n']
        return [b'{"ok": true, "time_s": 100.0, "speed": %s}\n' % next(speeds).encode()]

    with control_port(answer) as (address, _):
        simulation = Simulation(address)
        clock = simulation.clock()
        assert isinstance(clock, VirtualClock)
        asyncio.run(clock.sleep(5.0))
        assert (clock.now(), clock.wall) == (105.0, False)
        real, fast = simulation.clock(), simulation.clock()
        simulation.close()
    assert isinstance(real, ScaledClock)
    assert real.wall
    assert isinstance(fast, ScaledClock)
    assert not fast.wall
    assert 100.0 <= real.now() < 105.0


# --- with the server -----------------------------------------------------------------------------------------


def test_a_server_of_our_own_serves_what_was_asked_for_and_ends_with_us() -> None:
    handle = start_server(seed=3, drivers=ONLY_A_METER, meter_position="behind_cuvette")
    server = handle.server
    assert server is not None
    with handle:
        assert {role: place["driver"] for role, place in handle.instruments.items()} == ONLY_A_METER
        assert handle.truth is None
        assert handle.simulation.speed() == "max"
        assert handle.simulation.advance(2.0) == 2.0
        with attach(handle.simulation.address) as guest:
            assert guest.instruments == handle.instruments
            assert guest.simulation.time_s() == 2.0
            with pytest.raises(RefusedError, match="another client"):
                guest.simulation.advance(1.0)
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)


def test_the_servers_own_sentence_about_a_bad_world_is_raised(tmp_path: Path) -> None:
    world = tmp_path / "world.toml"
    world.write_text("[photothermal]\neficiency = 0.5\n")
    with pytest.raises(FileInvalidError, match=r"eficiency.*did you mean 'efficiency'") as caught:
        start_server(world=world, drivers=ONLY_A_METER)
    assert "\n" not in str(caught.value)


def test_a_server_that_never_gets_ready_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    process = replaced_by(monkeypatch, "import sys; sys.stdin.read()")
    with pytest.raises(DeviceError, match=r"not ready within 0\.1 s"):
        start_server(deadline_s=0.1)
    assert process[0].returncode is not None


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("raise SystemExit('no module named sims')", "exit code 1 before it was ready: no module named sims"),
        ("pass", "exit code 0 before it was ready: it said nothing"),
        ("print('hello')", "exit code 0 before it was ready"),
    ],
)
def test_a_server_that_ends_at_once_is_quoted(monkeypatch: pytest.MonkeyPatch, program: str, sentence: str) -> None:
    replaced_by(monkeypatch, program)
    with pytest.raises(DeviceError, match=sentence):
        start_server()


def test_a_server_that_talks_nonsense_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    process = replaced_by(monkeypatch, "import sys; print('[1]', flush=True); sys.stdin.read()")
    monkeypatch.setattr(nanolab.simulation, "ENDING_S", 0.05)
    with pytest.raises(DeviceError, match="first line does not say"):
        start_server()
    assert process[0].returncode is not None


def test_a_server_that_ignores_the_end_of_its_input_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    program = "print('{}', flush=True)\nimport time\nwhile True: time.sleep(1)"
    process = replaced_by(monkeypatch, program)
    monkeypatch.setattr(nanolab.simulation, "ENDING_S", 0.05)
    server = ServerProcess([])
    server.close()
    server.close()
    assert process[0].returncode is not None


def replaced_by(monkeypatch: pytest.MonkeyPatch, program: str) -> list[subprocess.Popen[bytes]]:
    """Have another program started in place of the server; the list holds its process."""
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def start(_command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        started.append(popen([sys.executable, "-S", "-c", program], **options))
        return started[0]

    monkeypatch.setattr("nanolab.simulation.subprocess.Popen", start)
    return started
