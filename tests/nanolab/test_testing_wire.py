"""The transcript server must itself be able to fail a test."""

import socket
from contextlib import closing

import pytest

from nanolab.testing import CLOSE, LineServer, ScriptedServer


def say(server: LineServer, *lines: bytes) -> bytes:
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=5.0)) as peer:
        reply = b""
        for line in lines:
            peer.sendall(line)
            reply += peer.recv(100)
        return reply


def test_a_transcript_is_played_whole() -> None:
    with ScriptedServer([("A?", b"1\n"), ("B?", CLOSE)]) as server:
        assert server.address == f"tcp://127.0.0.1:{server.port}"
        assert say(server, b"A?\r\n", b"B?\n") == b"1\n"
    assert server.received == ["A?", "B?"]


def test_a_line_that_is_not_in_the_transcript_fails() -> None:
    with (
        pytest.raises(AssertionError, match=r"'C\?': unexpected, 'A\?' should have come"),
        ScriptedServer([("A?", b"1\n")]) as server,
    ):
        assert say(server, b"C?\n") == b""


def test_a_line_after_the_end_fails() -> None:
    with pytest.raises(AssertionError, match="the transcript is over"), ScriptedServer([]) as server:
        assert say(server, b"C?\n") == b""


def test_a_line_that_never_comes_fails() -> None:
    with pytest.raises(AssertionError, match=r"never sent: \['A\?'\]"), ScriptedServer([("A?", b"1\n")]):
        pass


def test_refusing_ends_every_connection() -> None:
    with LineServer(lambda line: line.encode()) as server:
        with closing(socket.create_connection(("127.0.0.1", server.port), timeout=5.0)) as peer:
            peer.sendall(b"A\n")
            assert peer.recv(10) == b"A"
            server.refuse()
            assert peer.recv(10) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), timeout=5.0)
