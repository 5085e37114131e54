"""VISA as a transport: real sockets through pyvisa-py, and a bus with messages through a resource of our own."""

import time
from typing import Any

import pytest
import pyvisa
from pyvisa.constants import StatusCode

from devices.link import Link, SilentError
from devices.transport import NoReplyError
from devices.visa import LineSettings, VisaTransport, resource_class, visa_address
from nanolab.errors import DeviceError
from nanolab.testing import CLOSE, LineServer, ScriptedServer


def link_to(server: LineServer, deadline_s: float = 5.0) -> Link:
    return Link("meter", lambda: VisaTransport(server.address), deadline_s=deadline_s)


@pytest.mark.parametrize(
    ("address", "resource", "kind"),
    [
        ("tcp://10.0.0.7:5025", "TCPIP0::10.0.0.7::5025::SOCKET", "SOCKET"),
        ("tcp://lab-pc:5025", "TCPIP0::lab-pc::5025::SOCKET", "SOCKET"),
        ("TCPIP0::10.0.0.7::5025::SOCKET", "TCPIP0::10.0.0.7::5025::SOCKET", "SOCKET"),
        ("USB0::0x1313::0x804A::M00315699::INSTR", "USB0::0x1313::0x804A::M00315699::INSTR", "INSTR"),
        ("ASRL/dev/ttyUSB0::INSTR", "ASRL/dev/ttyUSB0::INSTR", "ASRL"),
    ],
)
def test_addresses(address: str, resource: str, kind: str) -> None:
    assert visa_address(address) == resource
    assert resource_class(resource) == kind


def test_lines_go_both_ways() -> None:
    with ScriptedServer([("*IDN?", b"A,B,C,D\r\n"), ("READ?", b"+1.0\n")]) as server:
        link = link_to(server)
        link.open()
        assert link.exchange("*IDN?") == "A,B,C,D"
        assert link.exchange("READ?") == "+1.0"
        link.close()


def test_a_late_reply_never_answers_the_next_query() -> None:
    with ScriptedServer([("READ?", b""), ("*IDN?", b"A,B,C,D\n")]) as server:
        link = link_to(server, deadline_s=0.1)
        link.open()
        with pytest.raises(SilentError):
            link.exchange("READ?")
        server.push(b"+2.5\n")
        assert link.exchange("*IDN?") == "A,B,C,D"
        assert len(server.connections) == 2
        link.close()


def test_a_second_line_that_nobody_asked_for_is_not_taken_for_a_reply() -> None:
    with ScriptedServer([("READ?", b"+1.0\n+9.0\n"), ("READ?", b"+2.0\n")]) as server:
        link = link_to(server)
        link.open()
        assert link.exchange("READ?") == "+1.0"
        assert link.exchange("READ?") == "+2.0"
        link.close()


def test_a_peer_that_closes_is_seen_at_once() -> None:
    with ScriptedServer([("READ?", CLOSE), ("READ?", b"+1\n")]) as server:
        link = link_to(server, deadline_s=5.0)
        link.open()
        start = time.monotonic()
        with pytest.raises(DeviceError, match="lost the connection: the instrument closed the connection"):
            link.exchange("READ?")
        assert time.monotonic() - start < 1.0
        assert link.exchange("READ?") == "+1"
        link.close()


def test_a_peer_that_closed_meanwhile_is_reopened_before_speaking() -> None:
    with ScriptedServer([("A?", b"1\n"), ("B?", b"2\n")]) as server:
        link = link_to(server)
        link.open()
        link.exchange("A?")
        server.connections[0].shutdown(2)
        assert link.exchange("B?") == "2"
        link.close()


def test_half_a_line_keeps_the_deadline() -> None:
    with ScriptedServer([("READ?", b"+1.2")]) as server:
        link = link_to(server, deadline_s=0.2)
        link.open()
        start = time.monotonic()
        with pytest.raises(SilentError, match=r"only half a line .*received '\+1\.2'"):
            link.exchange("READ?")
        assert time.monotonic() - start < 1.0
        link.close()


def test_a_trickle_keeps_the_deadline_and_a_split_line_is_put_together() -> None:
    with LineServer(lambda _line: b"") as server:
        transport = VisaTransport(server.address)
        transport.open(1.0)
        transport.write(b"READ?\n")
        limit = time.monotonic() + 5.0
        while not server.received:
            assert time.monotonic() < limit
        server.push(b"+1.")
        assert transport._look(1.0) == b"+1."
        server.push(b"25\nmore")
        assert transport.read_line(1.0) == b"+1.25"
        assert transport.unasked()
        start = time.monotonic()
        with pytest.raises(NoReplyError) as caught:
            transport.read_line(0.1)
        assert caught.value.partial == b"more"
        assert time.monotonic() - start < 1.0
        transport.close()


def test_a_peer_that_closes_in_the_middle_of_a_line() -> None:
    with LineServer(lambda _line: b"") as server:
        transport = VisaTransport(server.address)
        transport.open(1.0)
        transport.write(b"READ?\n")
        limit = time.monotonic() + 5.0
        while not server.received:
            assert time.monotonic() < limit
        server.push(b"+1.")
        server.connections[0].shutdown(2)
        with pytest.raises(ConnectionError, match="in the middle of a line"):
            transport.read_line(1.0)
        transport.close()


def test_a_flood_without_an_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.visa.LONGEST_LINE", 1000)
    with LineServer(lambda _line: b"x" * 50_000) as server:
        transport = VisaTransport(server.address)
        transport.open(1.0)
        transport.write(b"READ?\n")
        start = time.monotonic()
        with pytest.raises(NoReplyError):
            transport.read_line(0.5)
        assert time.monotonic() - start < 1.0
        transport.close()


def test_a_refused_connection_is_a_sentence() -> None:
    with LineServer(lambda _line: b"") as server:
        server.refuse()
        link = link_to(server)
        start = time.monotonic()
        with pytest.raises(DeviceError, match=r"meter: cannot be reached: TCPIP0::127\.0\.0\.1::\d+::SOCKET"):
            link.open()
        assert time.monotonic() - start < 1.0


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:port", "NONSENSE::1", "tcp://no.such.host.invalid:5025"])
def test_nonsense_addresses_are_a_sentence(address: str) -> None:
    link = Link("meter", lambda: VisaTransport(address), deadline_s=2.0)
    with pytest.raises(DeviceError, match="meter: "):
        link.open()


def test_a_connection_that_breaks_while_writing() -> None:
    with LineServer(lambda _line: b"") as server:
        transport = VisaTransport(server.address)
        transport.open(1.0)
        assert transport._socket is not None
        transport._socket.shutdown(2)
        with pytest.raises(ConnectionError):
            transport.write(b"READ?\n")
        transport.close()
        assert not transport.unasked(), "a closed transport holds nothing"


class Message:
    """A VISA resource on a bus that marks the end of a message itself."""

    def __init__(self) -> None:
        self.session = 1
        self.visalib = object()
        self.log: list[Any] = []
        self.replies: list[Any] = []
        self.timeout = 0
        self.clear_fails = False

    def ignore_warning(self, _status: StatusCode) -> Any:
        import contextlib

        return contextlib.nullcontext()

    def write_raw(self, data: bytes) -> None:
        self.log.append(data)

    def read_raw(self) -> bytes:
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        assert isinstance(reply, bytes)
        return reply

    def clear(self) -> None:
        self.log.append("clear")
        if self.clear_fails:
            raise pyvisa.VisaIOError(StatusCode.error_nonsupported_operation)

    def close(self) -> None:
        self.log.append("closed")
        raise pyvisa.VisaIOError(StatusCode.error_connection_lost)


@pytest.fixture
def usb(monkeypatch: pytest.MonkeyPatch) -> Message:
    resource = Message()

    class Manager:
        def __init__(self, library: str) -> None:
            assert library == "", "a bus needs the VISA that is installed"

        def open_resource(self, name: str, open_timeout: int) -> Message:
            assert name == "USB0::0x1313::0x804A::M1::INSTR"
            return resource

    monkeypatch.setattr(pyvisa, "ResourceManager", Manager)
    return resource


def test_usb_ends_messages_by_itself_and_can_be_cleared(usb: Message) -> None:
    transport = VisaTransport("USB0::0x1313::0x804A::M1::INSTR")
    transport.open(1.0)
    assert usb.read_termination is None  # type: ignore[attr-defined]  # set by the transport
    transport.write(b"*IDN?\n")
    usb.replies += [b"A,B,C,D\n", b"1\n"]
    assert transport.read_line(0.5) == b"A,B,C,D"
    assert usb.timeout == 500
    assert transport.read_line(0.5) == b"1"
    assert not transport.unasked()
    assert transport.clear()
    usb.clear_fails = True
    assert not transport.clear()
    transport.close()
    transport.close()
    assert usb.log == [b"*IDN?\n", "clear", "clear", "closed"]


def test_usb_errors_are_told_apart(usb: Message) -> None:
    transport = VisaTransport("USB0::0x1313::0x804A::M1::INSTR", LineSettings(write="\r\n", read="\n"))
    transport.open(1.0)
    transport.write(b"*IDN?\n")
    assert usb.log == [b"*IDN?\r\n"]
    usb.replies += [
        pyvisa.VisaIOError(StatusCode.error_timeout),
        pyvisa.VisaIOError(StatusCode.error_connection_lost),
        OSError("unplugged"),
    ]
    with pytest.raises(NoReplyError):
        transport.read_line(0.1)
    with pytest.raises(ConnectionError, match="connection"):
        transport.read_line(0.1)
    with pytest.raises(ConnectionError, match="unplugged"):
        transport.read_line(0.1)
    transport.close()
