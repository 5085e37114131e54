"""A request on loopback that only those who know its key may make: one JSON object in, one JSON object back.

Each request is answered in a thread of its own, so that nothing that the process is busy with holds it up.
"""

import contextlib
import hmac
import json
import secrets
import socketserver
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any, cast

LONGEST_REQUEST = 4096
HANG_UP_S = 2.0
"""Wall time after which a client that says nothing is dropped."""

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class KeyedServer:
    """Listens on 127.0.0.1 until it is closed; OSError where no port can be opened.

    Parameters
    ----------
    answer : callable
        Given the request (a JSON object whose key was right), returns the answer; called from any thread. ValueError,
        KeyError and TypeError of it are the asker's mistakes and are answered with 400.
    name : str
        Of the thread that listens.
    """

    def __init__(self, answer: Answer, name: str) -> None:
        self.answer = answer
        self.key = secrets.token_urlsafe(24)
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name=name, daemon=True)
        self._thread.start()

    def is_key(self, key: object) -> bool:
        """Say whether this is the key."""
        return isinstance(key, str) and hmac.compare_digest(key.encode(), self.key.encode())

    def address(self) -> dict[str, str]:
        """Return what a client has to know: ``url`` and ``key``."""
        return {"url": self.url, "key": self.key}

    def close(self) -> None:
        """Listen no more; returns when answers that are under way have been given."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    # not http.server's own class: that one asks for the machine's name in the DNS when it begins
    daemon_threads = False

    def __init__(self, owner: KeyedServer) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    timeout = HANG_UP_S

    def do_POST(self) -> None:
        """Answer a request; 400 where it is none, 403 without the key."""
        owner = cast(_Server, self.server).owner
        try:
            length = min(int(self.headers.get("Content-Length", "0")), LONGEST_REQUEST)
            asked = json.loads(self.rfile.read(length))
            key = asked["key"]
        except (ValueError, KeyError, TypeError, OSError):
            self._reply(400, {"error": 'ask with a JSON object that has a "key"'})
            return
        if not owner.is_key(key):
            self._reply(403, {"error": "the key is not the right one"})
            return
        try:
            answer = owner.answer(asked)
        except (ValueError, KeyError, TypeError) as error:
            self._reply(400, {"error": f"what was asked cannot be understood: {error}"})
            return
        self._reply(200, answer)

    def _reply(self, code: int, answer: Mapping[str, Any]) -> None:
        body = json.dumps(answer).encode("ascii")
        with contextlib.suppress(OSError):  # whoever asked may be gone; what was done stands
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            # the page comes from another port of this machine; the key is what protects
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: standard error belongs to the run."""
