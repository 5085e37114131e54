"""A request on loopback: nothing without the key, a sentence for what is no request, nothing left open."""

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from nanolab.engine import keyed_server
from nanolab.engine.keyed_server import KeyedServer


@pytest.fixture
def asked() -> list[Mapping[str, Any]]:
    return []


@pytest.fixture
def server(asked: list[Mapping[str, Any]]) -> Iterator[KeyedServer]:
    def answer(request: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(request)
        return {"double": 2 * float(request["number"])}

    made = KeyedServer(answer, "test-server")
    yield made
    made.close()


def post(server: KeyedServer, body: bytes) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(server.url, data=body, timeout=10.0) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def test_whoever_knows_the_key_is_answered(server: KeyedServer, asked: list[Mapping[str, Any]]) -> None:
    body = json.dumps({"key": server.address()["key"], "number": 4}).encode()
    assert post(server, body) == (200, {"double": 8.0})
    assert [request["number"] for request in asked] == [4]
    assert server.url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("body", "code"), [(b'{"key": "wrong"}', 403), (b'{"key": 7}', 403), (b"rubbish", 400), (b"[]", 400), (b"{}", 400)]
)
def test_without_the_key_nothing_is_asked(
    server: KeyedServer, asked: list[Mapping[str, Any]], body: bytes, code: int
) -> None:
    found, answer = post(server, body)
    assert found == code
    assert "key" in answer["error"]
    assert asked == []


@pytest.mark.parametrize("number", ["many", None])
def test_what_makes_no_sense_is_the_askers_mistake(server: KeyedServer, number: object) -> None:
    code, answer = post(server, json.dumps({"key": server.key, "number": number}).encode())
    assert code == 400
    assert "cannot be understood" in answer["error"]


def test_one_that_says_nothing_holds_up_no_other(server: KeyedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyed_server._Handler, "timeout", 0.2)
    port = int(server.url.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as silent:
        assert post(server, json.dumps({"key": server.key, "number": 1}).encode())[0] == 200
        silent.settimeout(10.0)
        assert silent.recv(1) == b""


def test_answers_are_given_side_by_side() -> None:
    meeting = threading.Barrier(2, timeout=10.0)

    def answer(_request: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"met": meeting.wait() in {0, 1}}

    server = KeyedServer(answer, "test-server")
    found: list[tuple[int, dict[str, Any]]] = []
    body = json.dumps({"key": server.key}).encode()
    threads = [threading.Thread(target=lambda: found.append(post(server, body))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.close()
    assert found == [(200, {"met": True})] * 2
