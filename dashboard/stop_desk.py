"""STOP in the server of the pages: asks the run and the laser's guardian side by side, in threads of its own.

The browser asks this desk by a way that does not pass through Streamlit, so that a page that is being drawn, or an analysis,
holds no stop up. Beside it the browser asks the run itself.
"""

import contextlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nanolab.engine.keyed_server import KeyedServer
from nanolab.engine.stop_client import StopAnswer, ask_guardian, ask_run

WHO = "the STOP of the live page"

Ask = Callable[[Path], StopAnswer]


def _ask_run(path: Path) -> StopAnswer:
    return ask_run(path, WHO)


class StopDesk:
    """Takes requests to stop, and keeps what the run and the guardian answered, by run folder."""

    def __init__(self, run: Ask = _ask_run, guardian: Ask = ask_guardian) -> None:
        self._asks: Mapping[str, Ask] = {"run": run, "guardian": guardian}
        self._lock = threading.Lock()
        self._offered: dict[str, Path] = {}
        self._answers: dict[Path, dict[str, StopAnswer]] = {}
        self._under_way: dict[tuple[Path, str], threading.Thread] = {}
        self._server: KeyedServer | None = None
        with contextlib.suppress(OSError):  # no port: the browser's own way to the run, and Streamlit's, are left
            self._server = KeyedServer(self._asked, "stop-desk")

    def close(self) -> None:
        """Listen no more, and wait for what is under way."""
        if self._server is not None:
            self._server.close()
        for thread in list(self._under_way.values()):
            thread.join()

    def address(self, path: Path) -> dict[str, str] | None:
        """Return where the browser asks for a stop of this run: ``url``, ``key``, ``run``; None without a port."""
        if self._server is None:
            return None
        with self._lock:
            self._offered[str(path)] = path
        return {**self._server.address(), "run": str(path)}

    def answers(self, path: Path) -> dict[str, StopAnswer]:
        """Return what was answered so far to a stop of this run, by ``run`` and ``guardian``; empty before one."""
        with self._lock:
            return dict(self._answers.get(path, {}))

    def ask(self, path: Path) -> list[threading.Thread]:
        """Ask both, each in a thread; one that has not answered yet is not asked again. Returns without waiting."""
        with self._lock:
            for name, question in self._asks.items():
                before = self._under_way.get((path, name))
                if before is None or not before.is_alive():
                    thread = threading.Thread(
                        target=self._one, args=(path, name, question), name=f"stop-{name}", daemon=True
                    )
                    self._under_way[path, name] = thread
                    thread.start()
            return [self._under_way[path, name] for name in self._asks]

    def _one(self, path: Path, name: str, question: Ask) -> None:
        answer = question(path)
        with self._lock:
            self._answers.setdefault(path, {})[name] = answer

    def _asked(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer the browser: what the guardian says, as soon as it does; the run answers the browser itself."""
        path = self._offered[str(request["run"])]
        threads = self.ask(path)
        threads[list(self._asks).index("guardian")].join()
        return {name: answer.as_dict() for name, answer in self.answers(path).items()}
