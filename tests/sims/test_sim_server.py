"""The server's loop, driven step by step in this process: sockets, ptys, faults of the port, late replies, time."""

import json
import os
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from nanolab.errors import UsageError
from sims.endpoints import Connection
from sims.instruments.base import InstrumentSimulator, Reply, Session
from sims.instruments.thorlabs_itc4000 import ITC4001Simulator
from sims.server import SimulationServer, build_instruments, ready_line
from sims.testing import StillWorld


class EchoSession(Session):
    def __init__(self, toy: "Toy") -> None:
        self._toy = toy
        self._said = b""

    def feed(self, data: bytes) -> list[Reply]:
        self._toy.heard += data
        if data == b"wait":
            self.waiting = True
            return []
        if data == b"end":
            return [Reply(b"bye", close=True)]
        if data.startswith(b"late"):
            return [Reply(data, after_wall_s=0.02), Reply(b"!")]
        if data == b"flood":
            return [Reply(b"x" * 3_000_000), Reply(b"y" * 3_000_000)]
        if data == b"drown":
            return [Reply(b"z" * 20_000_000)]
        return [Reply(data)]

    def resume(self) -> list[Reply]:
        if not self._toy.happened:
            return []
        self.waiting = False
        return [Reply(b"happened")]

    def closed(self) -> None:
        self._toy.ended += 1


class Toy(InstrumentSimulator):
    driver = "toy"
    serial = True

    def __init__(self, world: StillWorld) -> None:
        super().__init__(world, np.random.default_rng(0))
        self.heard = b""
        self.happened = False
        self.ended = 0
        self.ticks: list[float] = []
        self.due: list[float] = []

    def connection(self) -> Session:
        return EchoSession(self)

    def tick(self) -> None:
        super().tick()
        self.ticks.append(self.world.time_s)
        if self.due:
            self.due_s = self.due.pop(0)


class Bench:
    """A server whose loop turns only while a test waits for something."""

    def __init__(self, speed: float | None = None) -> None:
        self.world = StillWorld()
        self.toy = Toy(self.world)
        self.toy.role = "toy"
        self.laser = ITC4001Simulator(self.world, np.random.default_rng(1))
        self.laser.role = "laser"
        self.server = SimulationServer(self.world, {"toy": self.toy, "laser": self.laser}, speed, truth=True)
        self.clients: list[socket.socket] = []

    def address(self, role: str) -> tuple[str, int]:
        places = self.server.addresses()
        place = places[role] if role in places else places["instruments"][role]["tcp"]
        host, port = place.split(":")
        return host, int(port)

    def client(self, role: str) -> socket.socket:
        client = socket.create_connection(self.address(role), timeout=2)
        client.setblocking(False)
        self.clients.append(client)
        self.until(lambda: True)
        return client

    def until(self, done: Callable[[], bool], seconds: float = 3.0) -> None:
        deadline = time.monotonic() + seconds
        self.server.step(0.005)
        while not done():
            assert time.monotonic() < deadline, "nothing came"
            self.server.step(0.005)

    def read(self, client: socket.socket, size: int) -> bytes:
        found = bytearray()

        def complete() -> bool:
            if select.select([client], [], [], 0)[0]:
                data = client.recv(1 << 20)
                if not data:
                    return True
                found.extend(data)
            return len(found) >= size

        self.until(complete)
        return bytes(found)

    def ask(self, client: socket.socket, request: Any) -> dict[str, Any]:
        line = request if isinstance(request, bytes) else json.dumps(request).encode()
        client.sendall(line + b"\n")
        found = b""
        while not found.endswith(b"\n"):
            found += self.read(client, 1)
        answer: dict[str, Any] = json.loads(found)
        return answer

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.server.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def test_clients_come_together_and_one_after_another(bench: Bench) -> None:
    first, second = bench.client("toy"), bench.client("toy")
    first.sendall(b"one")
    second.sendall(b"two")
    assert bench.read(first, 3) == b"one"
    assert bench.read(second, 3) == b"two"
    first.close()
    bench.until(lambda: bench.toy.ended == 1)
    for number in range(5):
        client = bench.client("toy")
        client.sendall(b"%d" % number)
        assert bench.read(client, 1) == b"%d" % number
        client.close()
    bench.until(lambda: bench.toy.ended == 6)


def test_nagle_is_off(bench: Bench) -> None:
    bench.client("toy")
    endpoint = bench.server._endpoints["toy"][0]
    (connection,) = endpoint.connections()
    channel: Any = connection._channel
    assert channel.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_late_reply_holds_back_the_next_but_not_other_clients(bench: Bench) -> None:
    slow, quick = bench.client("toy"), bench.client("toy")
    slow.sendall(b"late")
    bench.until(lambda: bench.toy.heard == b"late")
    quick.sendall(b"quick")
    assert bench.read(quick, 5) == b"quick"
    assert not select.select([slow], [], [], 0)[0]
    assert bench.read(slow, 5) == b"late!"


def test_reply_that_ends_the_connection(bench: Bench) -> None:
    client = bench.client("toy")
    client.sendall(b"end")
    assert bench.read(client, 3) == b"bye"
    bench.until(lambda: bench.toy.ended == 1)
    assert client.recv(10) == b""


def test_large_replies_arrive_whole_and_in_order(bench: Bench) -> None:
    client = bench.client("toy")
    client.sendall(b"flood")
    text = bench.read(client, 6_000_000)
    assert text == b"x" * 3_000_000 + b"y" * 3_000_000
    client.sendall(b"still here")
    assert bench.read(client, 10) == b"still here"


def test_client_that_never_reads_is_cut_off(bench: Bench) -> None:
    client = bench.client("toy")
    client.sendall(b"drown")
    bench.until(lambda: bench.toy.ended == 1)


def test_waiting_session_is_resumed_when_another_client_makes_it_happen(bench: Bench) -> None:
    first, second = bench.client("toy"), bench.client("toy")
    first.sendall(b"wait")
    bench.until(lambda: bench.toy.heard == b"wait")
    bench.toy.happened = True
    second.sendall(b"go")
    assert bench.read(second, 2) == b"go"
    assert bench.read(first, 8) == b"happened"


def test_waiting_client_may_go_away(bench: Bench) -> None:
    first = bench.client("toy")
    first.sendall(b"wait")
    bench.until(lambda: bench.toy.heard == b"wait")
    first.close()
    bench.until(lambda: bench.toy.ended == 1)
    assert bench.server._waiting == set()


def test_port_vanishes_and_comes_back_on_the_same_port(bench: Bench) -> None:
    client, control = bench.client("toy"), bench.client("control")
    fault = {"op": "fault", "instrument": "toy", "fault": "port_vanishes", "on": True}
    assert bench.ask(control, fault)["ok"]
    bench.until(lambda: bench.toy.ended >= 1)
    assert bench.read(client, 1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(bench.address("toy"), timeout=2).close()
    assert bench.ask(control, {**fault, "on": False})["ok"]
    again = bench.client("toy")
    again.sendall(b"back")
    assert bench.read(again, 4) == b"back"


def test_port_that_was_taken_meanwhile_stays_away(bench: Bench) -> None:
    control = bench.client("control")
    fault = {"op": "fault", "instrument": "toy", "fault": "port_vanishes", "on": True}
    assert bench.ask(control, fault)["ok"]
    with socket.create_server(bench.address("toy")):
        assert "taken by another program" in bench.ask(control, {**fault, "on": False})["error"]
        assert bench.ask(control, {"op": "faults"})["active"] == [{"instrument": "toy", "fault": "port_vanishes"}]
    assert bench.ask(control, {**fault, "on": False})["ok"]


def test_power_cut_ends_emission_and_closes_the_port(bench: Bench) -> None:
    laser, control = bench.client("laser"), bench.client("control")
    laser.sendall(b"SOUR:CURR:LIM 0.9;:SOUR:CURR 0.5;:OUTP ON;*OPC?\n")
    assert bench.read(laser, 2) == b"1\n"
    assert bench.ask(control, {"op": "advance", "seconds": 2.0})["ok"]
    assert bench.world.current_a == 0.5
    bench.laser.set_fault("emission_stuck", True)
    fault = {"op": "fault", "instrument": "laser", "fault": "power_off", "on": True}
    assert bench.ask(control, fault)["ok"]
    assert bench.world.current_a == 0.0
    assert bench.read(laser, 1) == b""
    assert bench.ask(control, {**fault, "on": False})["ok"]
    again = bench.client("laser")
    again.sendall(b"OUTP?;:SOUR:CURR:LIM?;*ESR?\n")
    assert bench.read(again, 20) == b"0;1.00000000E+00;128\n"


def test_device_clear_drops_late_replies(bench: Bench) -> None:
    client, control = bench.client("toy"), bench.client("control")
    client.sendall(b"late")
    bench.until(lambda: bench.toy.heard == b"late")
    assert bench.ask(control, {"op": "clear", "instrument": "toy"})["ok"]
    due = time.monotonic() + 0.03
    bench.until(lambda: time.monotonic() > due)  # until the reply would have come
    client.sendall(b"new")
    assert bench.read(client, 3) == b"new"


def test_truth_port_tells_the_truth_and_nothing_else(bench: Bench) -> None:
    truth = bench.client("truth")
    bench.world.set_diode(0.5, 25.0)
    answer = bench.ask(truth, {"op": "truth"})
    assert answer == {
        "ok": True,
        "time_s": 0.0,
        "speed": "max",
        "truth": {"laser": {"emitting": True}, "cuvette": "sample"},
    }
    assert "truth port knows 'truth'" in bench.ask(truth, {"op": "time"})["error"]
    assert not bench.ask(truth, b"what")["ok"]


def test_no_truth_port_unless_asked_for() -> None:
    server = SimulationServer(StillWorld(), {}, None)
    assert server.addresses()["truth"] is None
    server.close()


def test_taken_port_closes_what_was_opened() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        SimulationServer(StillWorld(), {}, None, truth=True, ports={"truth": taken.getsockname()[1]})


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are a POSIX thing")
def test_serial_instrument_is_on_a_pty_too(bench: Bench) -> None:
    path = bench.server.addresses()["instruments"]["toy"]["pty"]
    assert bench.server.addresses()["instruments"]["laser"]["pty"] is None
    for word in (b"first\r\n", b"second\xff"):  # opened twice: one instrument behind it
        descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        os.write(descriptor, word)
        found = bytearray()

        def complete(descriptor: int = descriptor, found: bytearray = found, size: int = len(word)) -> bool:
            if select.select([descriptor], [], [], 0)[0]:
                found.extend(os.read(descriptor, 100))
            return len(found) >= size

        bench.until(complete)
        assert bytes(found) == word  # no echo, no translation of line ends
        os.close(descriptor)
    assert bench.toy.ended == 0


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are a POSIX thing")
def test_pty_vanishes_too_and_keeps_its_name(bench: Bench) -> None:
    path = bench.server.addresses()["instruments"]["toy"]["pty"]
    bench.toy.set_fault("port_vanishes", True)
    bench.server._fault_switched("toy")
    assert not os.path.exists(path)  # noqa: PTH110 - a link: exists() asks for its target
    bench.toy.set_fault("port_vanishes", False)
    bench.server._fault_switched("toy")
    bench.server._fault_switched("toy")  # switching another fault must not open it twice
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
    os.close(descriptor)
    bench.server.close()
    assert not os.path.lexists(path)


def test_instruments_are_ticked_where_they_are_due_and_every_half_second(bench: Bench) -> None:
    bench.toy.due = [0.7, 0.75]
    bench.toy.due_s = 0.2
    bench.server.clock.advance(2.0)
    assert bench.toy.ticks == pytest.approx([0.2, 0.7, 0.75, 1.25, 1.75, 2.0])


def test_scaled_time_follows_the_wall_clock_and_resumes_waiting_sessions() -> None:
    bench = Bench(speed=100.0)
    try:
        client, control = bench.client("toy"), bench.client("control")
        start = time.monotonic()
        first = bench.ask(control, {"op": "time"})
        assert first["speed"] == 100.0
        client.sendall(b"wait")
        bench.until(lambda: bench.toy.heard == b"wait")
        bench.toy.happened = True
        assert bench.read(client, 8) == b"happened"
        second = bench.ask(control, {"op": "time"})
        passed = time.monotonic() - start
        assert 0.0 < second["time_s"] - first["time_s"] <= passed * 100.0
        assert not bench.ask(control, {"op": "advance", "seconds": 1.0})["ok"]
        assert max(np.diff([0.0, *bench.toy.ticks])) <= 0.5 + 1e-9
        assert bench.laser.wall_s_per_lab_s == pytest.approx(0.01)
    finally:
        bench.close()


def test_an_overloaded_bench_lags_but_still_answers() -> None:
    bench = Bench(speed=1e7)
    try:
        control = bench.client("control")
        assert bench.ask(control, {"op": "time"})["ok"]
    finally:
        bench.close()


def test_connection_survives_nothing_to_read(bench: Bench) -> None:
    client = bench.client("toy")
    endpoint = bench.server._endpoints["toy"][0]
    (connection,) = endpoint.connections()
    connection.ready(1)  # readiness that turns out to be stale
    client.sendall(b"x")
    assert bench.read(client, 1) == b"x"


def test_connection_to_a_client_that_has_reset(bench: Bench) -> None:
    client = bench.client("toy")
    connection: Connection = bench.server._endpoints["toy"][0].connections()[0]
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    connection.deliver([Reply(b"1"), Reply(b"2"), Reply(b"3", after_wall_s=1e-9)])
    bench.until(lambda: not connection.is_open)
    connection.deliver([Reply(b"4", after_wall_s=1e-9)])
    assert bench.toy.ended == 1


def test_instruments_are_found_by_entry_point_and_unknown_ones_named() -> None:
    world = StillWorld()
    built = build_instruments(world, {"laser": "thorlabs_itc4005", "powermeter": "thorlabs_pm100d"}, 3)
    assert built["laser"].driver == "thorlabs_itc4005"
    assert built["powermeter"].role == "powermeter"
    with pytest.raises(UsageError, match="did you mean 'thorlabs_itc400"):
        build_instruments(world, {"laser": "thorlabs_itc4002"}, 3)


def test_noise_of_a_role_does_not_depend_on_the_others() -> None:
    def noise(drivers: dict[str, str], seed: int) -> bytes:
        laser = build_instruments(StillWorld(), drivers, seed)["laser"]
        return laser.connection().feed(b"MEAS:CURR?;TEMP?\n")[0].data

    alone = noise({"laser": "thorlabs_itc4001"}, 5)
    assert noise({"powermeter": "thorlabs_pm100d", "laser": "thorlabs_itc4001"}, 5) == alone
    assert noise({"laser": "thorlabs_itc4001"}, 6) != alone


def test_ready_line_for_people_names_every_place(bench: Bench) -> None:
    text = ready_line(bench.server.addresses(), as_json=False)
    assert "\n" not in text
    for role in ("control", "truth", "toy", "laser"):
        assert "{}:{}".format(*bench.address(role)) in text
