"""When emission began and ended: told by the world, stamped by the server, read on the truth port."""

import json
import socket
import time
from typing import Any

from nanolab.testing.guarded import served_bench
from sims import emissions
from sims.emissions import EmissionLog
from sims.server import SimulationServer
from sims.testing import StillWorld
from sims.world import World, load_world_config


def test_the_world_tells_when_emission_begins_and_ends() -> None:
    world = World(load_world_config(None))
    told: list[tuple[float, bool]] = []
    world.on_emission = lambda emitting: told.append((world.time_s, emitting))
    world.set_diode(0.0, 26.0)
    world.advance_to(2.0)
    world.set_diode(0.5, 26.0)
    world.set_diode(0.7, 26.0)
    world.advance_to(3.0)
    world.set_diode(0.7, 27.0)
    world.set_diode(0.0, 27.0)
    assert told == [(2.0, True), (3.0, False)]


def test_the_log_stamps_changes_with_the_clock_of_all_processes(monkeypatch: Any) -> None:
    monkeypatch.setattr(emissions, "LONGEST", 2)
    log = EmissionLog()
    before = time.monotonic()
    for emitting in (True, False, True):
        log.note(emitting)
    told = log.told()
    assert [entry["emitting"] for entry in told] == [False, True]
    assert before <= told[0]["monotonic_s"] <= told[1]["monotonic_s"] <= time.monotonic()


def ask(server: SimulationServer, request: dict[str, Any]) -> dict[str, Any]:
    host, _, port = server.addresses()["truth"].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10.0) as client:
        client.sendall(json.dumps(request).encode() + b"\n")
        for _ in range(2):  # the connection, then its line
            server.step(10.0)
        reply: dict[str, Any] = json.loads(client.recv(65536))
        return reply


def test_the_truth_port_tells_the_log_and_without_one_nothing() -> None:
    log = EmissionLog()
    log.note(True)
    server = SimulationServer(StillWorld(), {}, None, truth=True, emissions=log.told)
    try:
        assert ask(server, {"op": "emissions"})["emissions"] == log.told()
    finally:
        server.close()
    server = SimulationServer(StillWorld(), {}, None, truth=True)
    try:
        assert ask(server, {"op": "emissions"})["emissions"] == []
    finally:
        server.close()


def test_a_served_bench_keeps_the_log() -> None:
    with served_bench() as bench:
        assert bench.emissions() == []
        before = time.monotonic()
        host, _, port = bench.laser.removeprefix("tcp://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10.0) as laser:
            laser.sendall(b"SOUR:CURR 0.5;:OUTP1 ON;:OUTP1?\n")
            assert laser.recv(100) == b"1\n"
            laser.sendall(b"OUTP1 OFF;:OUTP1?\n")
            assert laser.recv(100) == b"0\n"
        (on, began), (off, ended) = bench.emissions()
    assert (on, off) == (True, False)
    assert before < began < ended < time.monotonic()
