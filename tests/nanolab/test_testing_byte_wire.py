"""The byte server: a transcript is played exactly, and whatever departs from it is told when the server is left."""

import socket

import pytest

from nanolab.testing import ScriptedBytes


def say(server: ScriptedBytes, *pieces: bytes, expect: int = 0) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=2.0) as client:
        for piece in pieces:
            client.sendall(piece)
        got = b""
        while len(got) < expect:
            got += client.recv(100)
        return got


def test_a_transcript_is_played_whatever_the_pieces() -> None:
    with ScriptedBytes([(b"ab\r", b"1"), (b"\x02c", b"")]) as server:
        server.expect((b"d", b"23"))
        assert say(server, b"a", b"b\r\x02", b"cd", expect=3) == b"123"


def test_bytes_nobody_asked_for_can_be_pushed() -> None:
    with (
        ScriptedBytes([(b"a", b"1")]) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=2.0) as client,
    ):
        client.sendall(b"a")
        assert client.recv(1) == b"1"
        server.push(b"late")
        assert client.recv(4) == b"late"


@pytest.mark.parametrize(("script", "sent"), [([(b"ab", b"1")], b"ax"), ([], b"z")])
def test_what_is_not_expected_is_told(script: list[tuple[bytes, bytes]], sent: bytes) -> None:
    server = ScriptedBytes(script)
    with pytest.raises(AssertionError, match=r"came, .* was expected"), server:
        say(server, sent)
        while not server.errors:
            pass


def test_what_never_came_is_told_but_does_not_hide_an_error() -> None:
    with pytest.raises(AssertionError, match="never sent"), ScriptedBytes([(b"ab", b"1")]):
        pass
    with pytest.raises(ValueError, match="first"), ScriptedBytes([(b"ab", b"1")]):
        raise ValueError("first")
