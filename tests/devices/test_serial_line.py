"""The serial transport through sockets and, on POSIX, a pseudo-terminal."""

import os
import sys
import time
from collections.abc import Iterator

import pytest

from devices.serial_line import SerialLine, SerialTransport, serial_url
from devices.transport import NoReplyError
from nanolab.testing.wire import CLOSE, LineServer

LINE = SerialLine(baudrate=115200, write=b"\r\n", read=b"\n")


@pytest.fixture
def server() -> Iterator[LineServer]:
    replies = {"good?": b"1\r\n", "close": CLOSE, "half?": b"12", "silent?": b""}
    with LineServer(lambda line: replies[line.rstrip("\r")]) as server:
        yield server


@pytest.fixture
def transport(server: LineServer) -> Iterator[SerialTransport]:
    transport = SerialTransport(server.address, LINE)
    transport.open(2.0)
    yield transport
    transport.close()


def test_a_line_goes_out_with_its_terminator_and_comes_back_without(
    server: LineServer, transport: SerialTransport
) -> None:
    transport.write(b"good?\n")
    assert transport.read_line(2.0) == b"1"
    assert server.received == ["good?\r"] or server.received == ["good?"]
    assert not transport.unasked()
    assert not transport.clear()


@pytest.mark.parametrize(("question", "partial"), [(b"half?\n", b"12"), (b"silent?\n", b"")])
def test_the_deadline_holds_and_what_came_is_told(transport: SerialTransport, question: bytes, partial: bytes) -> None:
    transport.write(question)
    start = time.monotonic()
    with pytest.raises(NoReplyError) as caught:
        transport.read_line(0.1)
    assert caught.value.partial == partial
    assert time.monotonic() - start < 1.0


def test_a_late_reply_is_noticed(server: LineServer, transport: SerialTransport) -> None:
    transport.write(b"silent?\n")
    with pytest.raises(NoReplyError):
        transport.read_line(0.05)
    server.push(b"late\r\n")
    limit = time.monotonic() + 2.0
    while not transport.unasked() and time.monotonic() < limit:
        pass
    assert transport.unasked()


def test_a_peer_that_closes_is_a_lost_connection(transport: SerialTransport) -> None:
    transport.write(b"close\n")
    with pytest.raises(ConnectionError):
        transport.read_line(2.0)
    assert transport.unasked()


def test_a_port_that_is_not_there_and_one_that_is_closed_are_words() -> None:
    with pytest.raises(ConnectionError, match="no-such-port"):
        SerialTransport("/dev/no-such-port", LINE).open(1.0)
    closed = SerialTransport("tcp://127.0.0.1:9", LINE)
    closed.close()
    with pytest.raises(ConnectionError, match="closed"):
        closed.write(b"x\n")
    assert closed.unasked()
    assert serial_url("COM3") == "COM3"


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_a_real_port_is_opened_for_us_alone() -> None:
    ours, theirs = os.openpty()
    try:
        transport = SerialTransport(os.ttyname(theirs), LINE)
        transport.open(1.0)
        transport.write(b"good?\n")
        assert os.read(ours, 100) == b"good?\r\n"
        os.write(ours, b"1\r\n")
        assert transport.read_line(2.0) == b"1"
        with pytest.raises(ConnectionError):
            SerialTransport(os.ttyname(theirs), LINE).open(1.0)
        transport.close()
    finally:
        os.close(ours)
        os.close(theirs)
