"""What is done to the cuvette by hand: a person is asked and confirms it; on a simulated bench it is done at once."""

import threading
from collections.abc import Callable
from typing import Any

from ophyd.status import Status

from nanolab.errors import RefusedError

Ask = Callable[[str], Callable[[float], bool]]
"""Shows a prompt and returns a function that waits up to so many seconds for the answer."""


class ByHand:
    """Asks for what a person does and waits for the answer; a device of this kind has a method ``set`` and a reading.

    Parameters
    ----------
    lab_time : callable
        Lab time in s; the timestamp of its reading.
    ask : callable or None
        Asks a person; None where every instrument is simulated.
    """

    name = ""
    parent = None

    def __init__(self, lab_time: Callable[[], float], ask: Ask | None = None) -> None:
        self._lab_time = lab_time
        self._ask = ask
        self._stop = threading.Event()
        self._since = lab_time()

    @property
    def simulated(self) -> bool:
        """Whether no person is asked."""
        return self._ask is None

    def _confirmed(self, request: str, what: str, done: Callable[[], None]) -> Status:
        """Return a status that is done, `done` called, when a person has confirmed; at once where nobody is asked.

        ``what`` names the deed where it is not confirmed.
        """
        status = Status(timeout=None)
        if self._ask is None:
            self._finish(done, status)
            return status
        answered = self._ask(f"{request}, then press Enter: ")
        self._stop.clear()
        threading.Thread(
            target=self._wait, args=(answered, what, done, status), name=f"{self.name}-prompt", daemon=True
        ).start()
        return status

    def _wait(self, answered: Callable[[float], bool], what: str, done: Callable[[], None], status: Status) -> None:
        try:
            while not self._stop.is_set():
                if answered(0.2):
                    self._finish(done, status)
                    return
            status.set_exception(RefusedError(f"the {self.name} ({what}) was not confirmed"))
        except Exception as error:  # noqa: BLE001 - the plan waits for this status: it must hear of whatever happened
            status.set_exception(error)

    def _finish(self, done: Callable[[], None], status: Status) -> None:
        self._since = self._lab_time()
        done()
        status.set_finished()

    def stop(self, *, success: bool = False) -> None:
        """Stop waiting for a person."""
        self._stop.set()

    def _described(self, dtype: str) -> dict[str, Any]:
        return {"source": "operator" if self._ask else "simulation", "dtype": dtype, "shape": []}

    def read_configuration(self) -> dict[str, dict[str, Any]]:
        """Return nothing: there is nothing to configure."""
        return {}

    def describe_configuration(self) -> dict[str, dict[str, Any]]:
        """Return nothing: there is nothing to configure."""
        return {}
