"""STOP from another process, the run's side: what Ctrl-C does, asked for on loopback, answered with what was seen.

While a run goes on, ``stop.json`` in its folder says where and with which key it is asked for, and where its laser is (so
that the laser's guardian is found too, see `nanolab.engine.stop_client`). The answer comes after the laser was told to go
off and was read back. It shares nothing with the acquisition loop, so that a hung plan does not hang it. It is no emergency
stop and no safety function: that is the hardware interlock and the button on the wall.
"""

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from nanolab.engine.keyed_server import KeyedServer
from nanolab.errors import NanolabError
from nanolab.journal.derived import write_derived
from nanolab.journal.files import write_whole

if TYPE_CHECKING:
    from nanolab.bench.connect import Bench
    from nanolab.interfaces import OffReport

STOP_ADDRESS = "stop.json"
"""In the run folder while the run goes on (and where it was killed): ``url``, ``key``, ``laser`` (its address)."""

STOP_RECORD = "stop_request.json"
"""In the run folder after a stop was asked for: who, when, and what the laser's read-back said."""

_log = logging.getLogger(__name__)


class _Engine(Protocol):
    fan_out: Any

    def stop(self, who: str) -> "OffReport":
        """Turn the laser off, read it back, then abort the run."""
        ...


class StopListener:
    """Listens on 127.0.0.1 for a stop while a series of runs goes on; use it as a context, then `bind` it.

    ``folder`` returns the folder of the run that is going on. Before `bind` nothing is offered.
    """

    def __init__(self, folder: Callable[[], Path | None]) -> None:
        self._folder = folder
        self._stop: Callable[[str], OffReport] | None = None
        self._laser: str | None = None
        self._lock = threading.Lock()
        self._answer: dict[str, Any] | None = None
        self._announced: Path | None = None
        self._server: KeyedServer | None = None

    def __enter__(self) -> Self:
        try:
            self._server = KeyedServer(
                lambda asked: self.answer(str(asked.get("who", "another process"))), "stop-requests"
            )
        except OSError as error:
            _log.warning("the STOP of the live page does not work for this run: no port could be opened (%s)", error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._withdraw()
        if self._server is not None:
            self._server.close()

    def bind(self, engine: _Engine, bench: "Bench") -> None:
        """Stop this engine when asked, and follow its runs: the address appears with each start and goes with its stop."""
        self._stop = engine.stop
        self._laser = _laser_address(bench)
        engine.fan_out.add(self)

    def __call__(self, name: str, _doc: Mapping[str, Any]) -> None:
        """Take a document of the run."""
        if name == "stop":
            self._withdraw()
        elif name == "start" and self._server is not None:
            self._announce(self._server)

    def _announce(self, server: KeyedServer) -> None:
        folder = self._folder()
        if folder is None:
            return
        self._announced = folder
        address = {**server.address(), "laser": self._laser}
        write_whole(folder / STOP_ADDRESS, json.dumps(address).encode("ascii"))
        # whoever may stop the run is who may write its data
        with contextlib.suppress(OSError):
            (folder / STOP_ADDRESS).chmod(0o600)

    def _withdraw(self) -> None:
        if self._announced is not None:
            with contextlib.suppress(OSError):
                (self._announced / STOP_ADDRESS).unlink()
            self._announced = None

    def answer(self, who: str) -> dict[str, Any]:
        """Stop the run and say what was seen. Once the laser was read back off, everybody gets that answer; until then each tries."""
        with self._lock:
            if self._stop is None:
                raise ValueError("the run has not begun")
            if self._answer is None or not self._answer["confirmed"]:
                self._answer = self._carry_out(self._stop, who[:200])
            return self._answer

    def _carry_out(self, stop: "Callable[[str], OffReport]", who: str) -> dict[str, Any]:
        folder = self._announced
        asked, begin = time.time(), time.monotonic()
        report = stop(who)
        answer = {
            "asked_by": who,
            "time": asked,
            "seconds": time.monotonic() - begin,
            "confirmed": report.confirmed,
            "words": report.words(),
        }
        if folder is not None:
            try:
                write_derived(folder, STOP_RECORD, json.dumps(answer, indent=1) + "\n")
            except (NanolabError, OSError) as error:
                _log.warning("the stop was carried out, but could not be written down: %s", error)
        return answer


def _laser_address(bench: "Bench") -> str | None:
    """Return where the laser really is, the address by which its guardian is found; None on a bench without one."""
    from nanolab.bench.connect import address_of

    laser = bench.config.laser
    return None if laser is None else address_of("laser", laser, bench.simulation)
