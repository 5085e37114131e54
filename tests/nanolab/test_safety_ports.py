"""The guardian's line to a laser: sockets, serial ports, VISA; nothing waits, and whatever breaks is a ConnectionError."""

import errno
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import serial

from nanolab.safety import ports
from nanolab.safety.ports import Port, SerialPort, SocketPort, VisaPort, load_library, open_port, visa_name
from nanolab.safety.recipe import LineRecipe
from nanolab.testing.wire import LineServer

SOCKET, VISA = LineRecipe(kind="serial"), LineRecipe(kind="visa", write="\n")


@pytest.fixture
def echo() -> Iterator[LineServer]:
    with LineServer(lambda line: line.encode() + b"\n") as server:
        yield server


@pytest.fixture(params=[SOCKET, VISA], ids=["socket", "visa"])
def port(request: pytest.FixtureRequest, echo: LineServer) -> Iterator[Port]:
    opened = open_port(echo.address, request.param)
    yield opened
    opened.close()


def read(port: Port, until: bytes = b"\n") -> bytes:
    """Wait on the port's descriptor until the whole line is there."""
    data = b""
    while not data.endswith(until):
        descriptor = port.fileno()
        assert descriptor is not None
        assert select.select([descriptor], [], [], 10.0)[0]
        data += port.receive()
    return data


def test_lines_go_out_and_come_back(port: Port) -> None:
    assert port.receive() == b""
    port.send(b"OUTP1?\n")
    assert port.owes == 0
    assert read(port) == b"OUTP1?\n"
    assert port.receive() == b""
    assert not port.forget(), "what is under way would still arrive: only a new connection is sure"


def test_a_closed_connection_is_seen(port: Port, echo: LineServer) -> None:
    port.send(b"x\n")
    read(port)
    echo.connections[0].shutdown(socket.SHUT_RDWR)
    with pytest.raises(ConnectionError, match="closed"):
        while True:
            port.receive()


def test_what_the_line_does_not_take_is_kept_and_urgent_words_go_before_it() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = SocketPort(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
    peer, _ = listener.accept()
    lines = b"SOUR:CURR 1\n" * 10_000
    while not port.owes:
        port.send(lines)
    port.send(b"behind\n")
    assert port.owes > 7
    port.send(b"OUTP1 OFF\n", urgent=True)
    assert port.owes == 10
    data = b""
    while not data.endswith(b"OUTP1 OFF\n"):
        data += peer.recv(1 << 20)
        port.flush()
    assert b"behind" not in data
    port.close()
    peer.close()
    listener.close()


def test_visa_sockets_are_not_written_to_while_they_are_full() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = open_port(f"tcp://127.0.0.1:{listener.getsockname()[1]}", VISA)
    peer, _ = listener.accept()
    began = time.monotonic()
    while not port.owes:
        port.send(b"SOUR:CURR 1\n" * 300)
    assert time.monotonic() - began < 20.0, "pyvisa-py itself would wait without end"
    port.close()
    peer.close()
    listener.close()


@pytest.mark.parametrize("line", [SOCKET, VISA], ids=["socket", "visa"])
def test_a_port_that_cannot_be_opened_is_told_in_words(line: LineRecipe) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    with pytest.raises(ConnectionError, match=rf"^tcp://127.0.0.1:{free} cannot be opened \(.*refused"):
        open_port(f"tcp://127.0.0.1:{free}", line)


def test_a_serial_port_that_is_not_there_is_told_in_words() -> None:
    with pytest.raises(ConnectionError, match=r"^/dev/nowhere cannot be opened"):
        open_port("/dev/nowhere", SOCKET)


class Broken:
    def __getattr__(self, name: str) -> Any:
        def fail(*_arguments: object) -> None:
            raise OSError(errno.EIO, "broken")

        return (lambda: None) if name == "close" else fail


def test_a_broken_socket_is_a_connection_error(echo: LineServer) -> None:
    port = SocketPort(echo.address)
    real, port._socket = port._socket, Broken()  # type: ignore[assignment]  # every call fails
    with pytest.raises(ConnectionError, match="broken"):
        port.receive()
    with pytest.raises(ConnectionError, match="does not take what is sent"):
        port.send(b"x\n")
    real.close()


# ---- serial


@pytest.fixture
def pty() -> Iterator[tuple[int, str]]:
    if sys.platform == "win32":
        pytest.skip("pseudo-terminals are of POSIX")
    import tty

    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(master)
    os.close(slave)


def test_a_serial_port_is_held_alone_and_never_waits(pty: tuple[int, str]) -> None:
    master, name = pty
    port = open_port(name, LineRecipe(baudrate=115200))
    assert isinstance(port, SerialPort)
    with pytest.raises(serial.SerialException):
        serial.Serial(name, exclusive=True)
    assert port.receive() == b""
    port.send(b"@@@\rp 0\r")
    assert os.read(master, 100) == b"@@@\rp 0\r"
    os.write(master, b"OK\r\n")
    assert read(port) == b"OK\r\n"
    os.write(master, b"late\r\n")
    assert port.forget()
    assert port.receive() == b""
    os.set_blocking(master, False)
    while not port.owes:  # nobody reads: the line is full at some time, and we do not wait
        port.send(b"x" * 1000)
    port.close()


def test_a_serial_port_that_goes_away_is_a_connection_error(pty: tuple[int, str]) -> None:
    port = SerialPort(pty[1], LineRecipe())
    real, port._port = port._port, Broken()
    with pytest.raises(ConnectionError, match="serial port is gone"):
        port.receive()
    assert port.forget()
    # elsewhere pyserial has no descriptor, and writes by itself
    port._descriptor = None
    assert port.fileno() is None
    with pytest.raises(ConnectionError, match="does not take"):
        port.send(b"x")
    port._port = SimpleNamespace(write=len, close=real.close)
    port.send(b"x", urgent=True)
    assert port.owes == 0
    port.close()


def test_a_line_that_can_only_be_told_to_write_must_say_how() -> None:
    with pytest.raises(NotImplementedError):
        ports._Buffered().send(b"x")


# ---- VISA


def test_visa_names() -> None:
    assert visa_name("tcp://10.0.0.7:5025") == "TCPIP0::10.0.0.7::5025::SOCKET"
    assert visa_name("USB0::0x1313::0x804A::M1::INSTR") == "USB0::0x1313::0x804A::M1::INSTR"


class FakeUsb:
    """A resource whose reads block, with an unread reply or none. It counts what is asked of it."""

    def __init__(self) -> None:
        self.session = 1
        self.replies: list[bytes | Exception] = []
        self.written: list[bytes] = []
        self.reads = self.clears = 0
        self.refuses = False
        self.closed = False

    def ignore_warning(self, *_codes: object) -> Any:
        import contextlib

        return contextlib.nullcontext()

    def write_raw(self, data: bytes) -> None:
        if self.refuses:
            raise self._error("error_timeout")
        self.written.append(data)

    def read_raw(self) -> bytes:
        self.reads += 1
        if not self.replies:
            raise self._error("error_timeout")
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def lose(self) -> None:
        self.replies.append(self._error("error_connection_lost"))

    def clear(self) -> None:
        self.clears += 1
        if self.refuses:
            raise self._error("error_timeout")

    def close(self) -> None:
        self.closed = True

    @staticmethod
    def _error(name: str) -> Exception:
        import pyvisa
        from pyvisa.constants import StatusCode

        error: Exception = pyvisa.VisaIOError(StatusCode[name])
        return error


@pytest.fixture
def usb(monkeypatch: pytest.MonkeyPatch) -> FakeUsb:
    import pyvisa

    fake = FakeUsb()
    manager = SimpleNamespace(open_resource=lambda _name, open_timeout: fake)
    monkeypatch.setattr(pyvisa, "ResourceManager", lambda library: manager)
    return fake


def test_usb_is_read_only_while_an_answer_is_owed(usb: FakeUsb) -> None:
    port = VisaPort("USB0::0x1313::0x804A::M1::INSTR")
    assert usb.timeout == 20  # type: ignore[attr-defined]  # set by the port: what one call may block, in ms
    assert port.fileno() is None
    assert (port.receive(), usb.reads) == (b"", 0)
    port.send(b"OUTP1 OFF\n")
    assert (port.receive(), usb.reads) == (b"", 0)
    port.send(b"OUTP1?\n")
    assert (port.receive(), usb.reads) == (b"", 1)
    usb.replies = [b"0"]
    assert port.receive() == b"0\n", "the end of a message is the end of a line"
    assert (port.receive(), usb.reads) == (b"", 2)
    port.send(b"*IDN?\n")
    usb.replies = [b"THORLABS\n"]
    assert port.receive() == b"THORLABS\n"
    assert port.forget()
    assert usb.clears == 1
    port.send(b"OUTP1?\n")
    usb.lose()
    with pytest.raises(ConnectionError, match="broken"):
        port.receive()
    usb.refuses = True
    with pytest.raises(ConnectionError, match="VISA could not send"):
        port.send(b"OUTP1 OFF\n")
    assert port.forget()
    port.close()
    assert usb.closed


def test_what_a_line_needs_can_be_loaded_beforehand_and_without_numpy(echo: LineServer) -> None:
    program = (
        "import sys; from nanolab.safety.ports import load_library, open_port; from nanolab.safety.recipe import LineRecipe\n"
        "load_library(LineRecipe(kind='visa')); print('pyvisa' in sys.modules, 'numpy' in sys.modules)\n"
        "import numpy; print(numpy.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["True", "False", "numpy"]
    for line in (SOCKET, VISA):
        load_library(line)


def test_pyvisa_is_imported_with_or_without_numpy_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy

    assert ports._pyvisa().__name__ == "pyvisa"
    monkeypatch.delitem(sys.modules, "numpy")
    assert ports._pyvisa().__name__ == "pyvisa"
    assert "numpy" not in sys.modules
    monkeypatch.undo()
    assert sys.modules["numpy"] is numpy


def test_a_connection_that_is_gone_as_soon_as_it_is_there_leaves_nothing_open(
    echo: LineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_arguments: Any) -> None:
        raise OSError(errno.ECONNRESET, "reset")

    with monkeypatch.context() as patched:
        patched.setattr(socket.socket, "setblocking", gone)
        with pytest.raises(ConnectionError, match="cannot be opened"):
            open_port(echo.address, SOCKET)
