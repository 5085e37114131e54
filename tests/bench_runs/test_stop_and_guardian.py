"""STOP of the live page with a real guardian and a simulated laser that emits, while the run hangs or is gone."""

import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dashboard.stop_desk import StopDesk
from nanolab.discovery import OFF, load
from nanolab.engine.stop_client import ask_guardian
from nanolab.engine.stop_request import STOP_ADDRESS
from nanolab.safety.guard_client import GuardClient
from nanolab.simulation import Simulation

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the guardian runs on Linux and macOS so far")


def test_the_guardian_turns_the_laser_off_while_the_run_does_not_answer(
    serve: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runtime").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    server = serve("--speed", "1", "--instrument", "laser=coherent_obis")
    address = f"tcp://{server.ready['instruments']['laser']['tcp']}"
    truth = Simulation(server.ready["truth"])
    settings = {"wavelength": "808 nm", "max_power": "0.6 W", "transmission": "0.87"}
    # a run that hangs: it listens, and never answers
    with socket.create_server(("127.0.0.1", 0)) as hung:
        lost: list[Any] = []
        recipe = load(OFF, "coherent_obis")("laser", address, settings)
        guard = GuardClient.start(recipe, on_lost=lost.append)
        desk = StopDesk()
        try:
            guard.emitting(True)
            host, port = guard.relay_address.removeprefix("tcp://").split(":")
            with socket.create_connection((host, int(port)), timeout=5.0) as line:
                line.sendall(b"SOUR:POW:LEV:IMM:AMPL 0.5\r")
                line.sendall(b"SOUR:AM:STAT ON\r")
                ended = threading.Event()
                feeder = threading.Thread(target=feed, args=(guard, ended))
                feeder.start()
                wait_for(lambda: bool(truth.call("truth")["truth"]["laser"]["emitting"]))
                folder = tmp_path / "run"
                folder.mkdir()
                url = f"http://127.0.0.1:{hung.getsockname()[1]}/"
                (folder / STOP_ADDRESS).write_text(json.dumps({"url": url, "key": "k", "laser": address}))
                begin = time.monotonic()
                threads = desk.ask(folder)
                threads[1].join()
                assert threads[0].is_alive()  # the run has not answered
                ended.set()
                feeder.join()
            answer = desk.answers(folder)["guardian"]
            assert answer.confirmed, answer.words
            assert answer.words.startswith("OFF (")
            assert not truth.call("truth")["truth"]["laser"]["emitting"]
            changes = truth.call("emissions")["emissions"]
            assert [change["emitting"] for change in changes][-2:] == [True, False]
            assert changes[-1]["monotonic_s"] >= begin
            assert ask_guardian(folder).confirmed  # asked again, it looks again
        finally:
            guard.close()
            truth.close()
        hung.close()
        desk.close()
    assert lost
    assert lost[0]["confirmed"]


def feed(guard: GuardClient, ended: threading.Event) -> None:
    """Renew the lease as an acquisition loop does."""
    while not ended.wait(0.3):
        guard.renew(1.3)


def wait_for(true: Callable[[], bool]) -> None:
    """Wait in wall time for another process."""
    end = time.monotonic() + 60.0
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
