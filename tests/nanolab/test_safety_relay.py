"""The run's way through the guardian: whole lines, one client, nothing that waits, nothing after the fence."""

import selectors
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nanolab.safety import relay as relay_module
from nanolab.safety.off import LaserLine
from nanolab.safety.relay import Relay
from nanolab.testing.guarded import FakeLaser, Wire, words_for


class Desk:
    """A relay in this thread, turned by hand: what a guardian's loop does, step by step."""

    def __init__(self, laser: FakeLaser) -> None:
        self.selector = selectors.DefaultSelector()
        self.line = LaserLine(words_for(laser.address))
        self.line.open()
        self.broken: list[str] = []
        self.relay = Relay(self.selector, self.line, self.broken.append)

    def turn(self, until: Callable[[], object]) -> None:
        """Do what is to be done until something is true; ten seconds at most."""
        limit = time.monotonic() + 10.0
        while not until():
            assert time.monotonic() < limit, "it did not come to pass"
            for key, mask in self.selector.select(0.002):
                key.data(mask)
            port = self.line.port
            data = b""
            if port is not None and not self.broken:
                port.flush()
                data = port.receive()
            if data:
                self.relay.deliver(data)

    def client(self) -> Wire:
        return Wire(self.relay.address)

    def close(self) -> None:
        self.relay.fence()
        self.relay.fence()
        self.line.close()
        self.selector.close()


@pytest.fixture
def laser() -> Iterator[FakeLaser]:
    with FakeLaser() as fake:
        yield fake


@pytest.fixture
def desk(laser: FakeLaser) -> Iterator[Desk]:
    made = Desk(laser)
    yield made
    made.close()


def has_data(wire: Wire) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(wire.socket, selectors.EVENT_READ)
        return bool(selector.select(0.0))


def test_lines_there_replies_back(desk: Desk, laser: FakeLaser) -> None:
    wire = desk.client()
    wire.send("*IDN?\n")
    desk.turn(lambda: has_data(wire))
    assert wire.read() == "FAKE,LASER,1,1"
    assert not desk.relay.owed
    wire.send("OUTP1 ON\nOUTP1?\n")
    desk.turn(lambda: has_data(wire))
    assert wire.read() == "1"
    wire.close()


def test_only_whole_lines_reach_the_laser(desk: Desk, laser: FakeLaser) -> None:
    wire = desk.client()
    wire.send("SOUR:CURR 0.5")
    desk.turn(lambda: desk.relay._from_client)
    assert laser.received == []
    wire.send(" A\nOUTP1 O")
    desk.turn(lambda: laser.received)
    wire.close()
    desk.turn(lambda: desk.relay._client is None)
    assert laser.received == ["SOUR:CURR 0.5 A"]


def test_one_client_at_a_time(desk: Desk, laser: FakeLaser) -> None:
    first = desk.client()
    desk.turn(lambda: desk.relay._client)
    second = desk.client()
    desk.turn(lambda: has_data(second))
    with pytest.raises((ConnectionError, OSError)):
        second.read()
    second.close()
    # closed and opened anew at once, as a driver does it: the old one's end is seen before the new one is judged
    first.close()
    third = desk.client()
    third.send("*IDN?\n")
    desk.turn(lambda: has_data(third))
    assert third.read() == "FAKE,LASER,1,1"
    third.close()


def test_an_answer_that_comes_late_never_reaches_the_next_client(desk: Desk, laser: FakeLaser) -> None:
    laser.silent = True
    first = desk.client()
    first.send("*IDN?\n")
    desk.turn(lambda: laser.received)
    first.close()
    laser.silent = False
    second = desk.client()
    desk.turn(lambda: len(laser.connections) == 2)
    laser.push(b"LATE\n", 0) if laser.connections[0].fileno() >= 0 else None
    second.send("OUTP1?\n")
    desk.turn(lambda: has_data(second))
    assert second.read() == "0"
    second.close()


def test_answers_that_are_there_are_thrown_away_for_the_next_client(desk: Desk, laser: FakeLaser) -> None:
    first = desk.client()
    first.send("*IDN?\n")
    desk.turn(lambda: has_data(first))
    first.close()
    laser.push(b"UNASKED\nhal")
    desk.turn(lambda: desk.relay._client is None)
    second = desk.client()
    second.send("OUTP1?\n")
    desk.turn(lambda: has_data(second))
    assert second.read() in {"0", "hal0"}
    second.close()


def test_replies_without_a_client_are_lost(desk: Desk) -> None:
    desk.relay.owed = True
    desk.relay.deliver(b"nobody ")
    assert desk.relay.owed, "half a line is no answer"
    desk.relay.deliver(b"asked\n")
    assert not desk.relay.owed
    assert desk.relay._to_client == b""


def test_a_laser_that_is_gone_is_told(desk: Desk, laser: FakeLaser) -> None:
    wire = desk.client()
    desk.turn(lambda: desk.relay._client)
    desk.line.close()
    wire.send("OUTP1?\n")
    desk.turn(lambda: desk.broken)
    assert desk.broken == ["there is no connection to the laser"]
    wire.close()
    desk.turn(lambda: desk.relay._client is None)
    again = desk.client()
    desk.turn(lambda: len(desk.broken) == 2)
    again.close()


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "MOST_KEPT", 1000)


@pytest.mark.usefixtures("narrow")
def test_a_client_without_line_ends_is_dropped(desk: Desk, laser: FakeLaser) -> None:
    wire = desk.client()
    wire.send("x" * 2000)
    desk.turn(lambda: has_data(wire))
    assert laser.received == []
    wire.close()


def test_a_client_that_does_not_read_is_kept_waiting_and_then_dropped(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = desk.client()
    desk.turn(lambda: desk.relay._client)
    while not desk.relay._to_client:
        desk.relay.deliver(b"x" * 50_000 + b"\n")
    desk.relay.deliver(b"more\n")
    kept = len(desk.relay._to_client)
    assert kept <= relay_module.MOST_KEPT

    def read_on() -> bool:
        while has_data(wire):
            wire.socket.recv(1 << 16)
        return not desk.relay._to_client

    desk.turn(read_on)
    monkeypatch.setattr(relay_module, "MOST_KEPT", 10)
    while desk.relay._client is not None:
        desk.relay.deliver(b"x" * 50_000 + b"\n")
    wire.close()


class Ended:
    """A client whose every call fails, as after a reset."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client

    def recv(self, _size: int) -> bytes:
        raise ConnectionResetError

    send = recv

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.mark.parametrize("way", ["read", "send"])
def test_a_client_that_resets_is_dropped(desk: Desk, way: str) -> None:
    wire = desk.client()
    desk.turn(lambda: desk.relay._client)
    assert desk.relay._client is not None
    real = desk.relay._client
    desk.relay._client = Ended(real)  # type: ignore[assignment]  # every call fails
    if way == "read":
        desk.relay._read_client(selectors.EVENT_READ)
    else:
        desk.relay.deliver(b"0\n")
    assert desk.relay._client is None
    desk.relay._read_client(selectors.EVENT_READ)  # an event that came too late says nothing
    real.close()
    wire.close()


def test_a_client_that_has_gone_before_it_was_accepted(desk: Desk) -> None:
    desk.relay._accept(0)
    assert desk.relay._client is None


def test_behind_the_fence_nothing_passes(desk: Desk, laser: FakeLaser) -> None:
    wire = desk.client()
    desk.turn(lambda: desk.relay._client)
    desk.relay.fence()
    wire.send("OUTP1 ON\n")
    with pytest.raises((ConnectionError, OSError)):
        wire.read()
    with pytest.raises(ConnectionRefusedError):
        desk.client()
    assert laser.received == []
    wire.close()
