"""STOP from another process: a request on loopback that does what Ctrl-C does, and answers what was seen.

A run that offers it writes ``stop.json`` (address, key) into its folder while it goes on. Whoever may read the folder and
sits at this machine may ask; the answer comes after the laser was told to go off and was read back. It shares nothing
with the acquisition loop, so that a hung plan does not hang it. It is no emergency stop and no safety function: that is
the hardware interlock and the button on the wall.
"""

import contextlib
import hmac
import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from nanolab.errors import NanolabError
from nanolab.journal.derived import write_derived
from nanolab.journal.files import write_whole

if TYPE_CHECKING:
    from nanolab.interfaces import OffReport

STOP_ADDRESS = "stop.json"
"""In the run folder while the run goes on: where and with which key a stop is asked for."""

STOP_RECORD = "stop_request.json"
"""In the run folder after a stop was asked for: who, when, and what the laser's read-back said."""

ANSWER_DEADLINE_S = 15.0
"""Wall time that a run has to answer: the laser is told and read back, each exchange with a deadline of its own."""

LONGEST_REQUEST = 4096
HANG_UP_S = 2.0

_log = logging.getLogger(__name__)


class StopListener:
    """Listens on 127.0.0.1 for a stop; use it as a context around the runs.

    Parameters
    ----------
    stop : callable
        Turns the laser off, verifies it, then asks the engine to abort; given the words of who asked. It may be called
        from any thread.
    folder : callable
        The folder of the run that is going on.
    """

    def __init__(self, stop: "Callable[[str], OffReport]", folder: Callable[[], Path | None]) -> None:
        self._stop = stop
        self._folder = folder
        self._key = secrets.token_urlsafe(24)
        self._lock = threading.Lock()
        self._answer: dict[str, Any] | None = None
        self._announced: Path | None = None
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        try:
            self._server = _Server(self)
        except OSError as error:
            _log.warning("the STOP of the live page does not work for this run: no port could be opened (%s)", error)
            return self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="stop-requests")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._withdraw()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()  # waits for an answer that is under way

    @property
    def url(self) -> str:
        """Where a stop is asked for; empty where no port could be opened."""
        return "" if self._server is None else f"http://127.0.0.1:{self._server.server_address[1]}/stop"

    def __call__(self, name: str, _doc: Mapping[str, Any]) -> None:
        """Take a document: the address appears with the start of a run and goes with its end."""
        folder = self._folder() if name == "start" and self.url else None
        if folder is not None:
            self._announced = folder
            address = {"url": self.url, "key": self._key}
            write_whole(self._announced / STOP_ADDRESS, json.dumps(address).encode("ascii"))
            # whoever may stop the run is who may write its data
            with contextlib.suppress(OSError):
                (self._announced / STOP_ADDRESS).chmod(0o600)
        elif name == "stop":
            self._withdraw()

    def _withdraw(self) -> None:
        if self._announced is not None:
            with contextlib.suppress(OSError):
                (self._announced / STOP_ADDRESS).unlink()
            self._announced = None

    def is_key(self, key: object) -> bool:
        """Say whether this is the key from the run folder."""
        return isinstance(key, str) and hmac.compare_digest(key.encode(), self._key.encode())

    def answer(self, who: str) -> dict[str, Any]:
        """Stop the run (the first time) and say what was seen; a second request gets the first one's answer."""
        with self._lock:
            if self._answer is None:
                self._answer = self._carry_out(who)
            return self._answer

    def _carry_out(self, who: str) -> dict[str, Any]:
        folder = self._announced
        asked, begin = time.time(), time.monotonic()
        report = self._stop(who)
        answer = {
            "asked_by": who,
            "time": asked,
            "seconds": time.monotonic() - begin,
            "confirmed": report.confirmed,
            "words": report.words(),
        }
        if folder is not None:
            try:
                write_derived(folder, STOP_RECORD, json.dumps(answer, indent=1))
            except (NanolabError, OSError) as error:
                _log.warning("the stop was carried out, but could not be written down: %s", error)
        return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, listener: StopListener) -> None:
        self.listener = listener
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    timeout = HANG_UP_S

    def do_POST(self) -> None:
        """Answer a request to stop; 403 without the key."""
        listener = cast(_Server, self.server).listener
        try:
            length = min(int(self.headers.get("Content-Length", "0")), LONGEST_REQUEST)
            asked = json.loads(self.rfile.read(length))
            key, who = asked["key"], str(asked.get("who", "another process"))
        except (ValueError, KeyError, TypeError, AttributeError, OSError):
            self._reply(400, {"error": 'a stop is asked for with {"key": ..., "who": ...}'})
            return
        if not listener.is_key(key):
            self._reply(403, {"error": "the key is not that of this run"})
            return
        self._reply(200, listener.answer(who[:200]))

    def _reply(self, code: int, answer: Mapping[str, Any]) -> None:
        body = json.dumps(answer).encode("ascii")
        with contextlib.suppress(OSError):  # who asked may be gone; the stop stands
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            # the page comes from another port of this machine; the key is what protects
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: standard error belongs to the run."""


def stop_address(run_path: Path) -> dict[str, str] | None:
    """Return ``url`` and ``key`` of a run that can be stopped; None where none is offered."""
    try:
        found = json.loads((run_path / STOP_ADDRESS).read_bytes())
        return {"url": str(found["url"]), "key": str(found["key"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def ask_to_stop(run_path: Path, who: str, deadline_s: float = ANSWER_DEADLINE_S) -> dict[str, Any]:
    """Ask the run to stop and return its answer: ``confirmed``, ``words``, ``seconds``.

    NanolabError, saying what to do by hand, where the run offers no stop or does not answer.
    """
    import urllib.request

    address = stop_address(run_path)
    if address is None:
        raise NanolabError(f"{run_path}: the run offers no stop (it has ended, or was killed); use the key switch")
    if not address["url"].startswith("http://127.0.0.1:"):
        raise NanolabError(f"{run_path / STOP_ADDRESS}: its address is not on this machine; use the key switch")
    body = json.dumps({"key": address["key"], "who": who}).encode("ascii")
    try:
        with urllib.request.urlopen(address["url"], data=body, timeout=deadline_s) as reply:
            answer: dict[str, Any] = json.load(reply)
    except (OSError, ValueError) as error:
        raise NanolabError(
            f"{run_path}: the run did not answer the stop ({error}); OFF NOT CONFIRMED: turn the laser off at its key switch"
        ) from error
    return answer
