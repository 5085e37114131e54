"""The cuvette: exchanged by a command on a simulated bench, by a person on a real one."""

import queue
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ophyd.status import Status

from nanolab.bench.by_hand import Ask, ByHand
from nanolab.errors import RefusedError, UsageError, nearest

METER = "meter"
"""In place of a cuvette: the head of the power meter."""

_WORDS = {
    "sample": "Put the SAMPLE cuvette into the holder",
    "blank": "Put the BLANK (solvent in the same cuvette) into the holder",
    "empty": "Put the EMPTY cuvette into the holder",
    "reference": "Put the REFERENCE cuvette (solvent, for the spectrum) into the holder",
    "medium": "Put a cuvette with the release MEDIUM alone into the holder",
    "dialysis": "Put the cuvette with the LOADED CARRIERS in the dialysis insert into the holder",
    "free": "Put the cuvette with the FREE CARGO in the dialysis insert into the holder",
    "carrier": "Put the cuvette with the LOADED CARRIERS in the medium into the holder",
    "standard": "Put the cuvette with the STANDARD of the cargo into the holder",
    "filtrate": "Put the cuvette with the FILTRATE (cargo that is not in carriers) into the holder",
    "lysate": "Put the cuvette with the DISSOLVED batch (all cargo) into the holder",
    "indicator": "Put a cuvette with the release MEDIUM and the INDICATOR (m-cresol purple) in it into the holder",
    METER: "Take the cuvette out and put the head of the power meter in its place",
}

_ADDITIONS = {
    "enzyme": "Pipette the ENZYME into the cuvette",
    "surfactant": "Pipette the SURFACTANT (it dissolves the carriers) into the cuvette",
}


class CuvetteChanger(ByHand):
    """Puts a cuvette into the beam: ``sample``, ``blank``, ``empty``, ``reference``, or ``meter`` in its place.

    For release assays: ``medium``, ``dialysis``, ``free``, ``carrier``, ``standard``, ``filtrate``, ``lysate``, ``indicator``.

    Parameters
    ----------
    lab_time : callable
        Lab time in s; the timestamp of its reading.
    load : callable or None
        Exchanges the cuvette of the simulated bench.
    ask : callable or None
        Asks a person; None where every instrument is simulated.
    changed : callable
        Told what is in the holder as soon as it is (the interlock begins with another sample then).
    """

    name = "cuvette"
    words: Mapping[str, str] = _WORDS
    """What a person is asked to do, by the value to set."""

    def __init__(
        self,
        lab_time: Callable[[], float],
        load: Callable[[str], None] | None = None,
        ask: Ask | None = None,
        changed: Callable[[str], object] = lambda _cuvette: None,
    ) -> None:
        super().__init__(lab_time, ask)
        self._load = load
        self._changed = changed
        self._inside = ""

    def set(self, cuvette: str) -> Status:
        """Exchange the cuvette; done when it is in its place. UsageError for one that there is not.

        RefusedError where a person would have to confirm and there is no terminal.
        """
        if cuvette not in self.words:
            raise UsageError(f"there is no {self.name} '{cuvette}'; {nearest(str(cuvette), list(self.words))}")
        if self._load is not None:
            # the simulated head looks at the sample plane in front of the holder: an empty cuvette stays unheated
            self._load("empty" if cuvette == METER else cuvette)
        return self._confirmed(self.words[cuvette], cuvette, partial(self._done, cuvette))

    def _done(self, cuvette: str) -> None:
        self._inside = cuvette
        self._changed(cuvette)

    def read(self) -> dict[str, dict[str, Any]]:
        """Return what is in the holder; empty until the first exchange."""
        return {self.name: {"value": self._inside, "timestamp": self._since}}

    def describe(self) -> dict[str, dict[str, Any]]:
        """Describe the reading."""
        return {self.name: self._described("string")}


class Pipette(CuvetteChanger):
    """Adds ``enzyme`` or ``surfactant`` to the cuvette in the holder; reads what was added last."""

    name = "addition"
    words = _ADDITIONS


def ask_at_terminal(prompt: str) -> Callable[[float], bool]:
    """Show a prompt on standard error; the answer is Enter. RefusedError where there is no terminal."""
    if sys.stdin is None or sys.stdin.closed or not sys.stdin.isatty():
        raise RefusedError(
            f"a person has to confirm ({prompt.split(',')[0].lower()}), and there is no terminal: "
            "run it in a terminal, or simulate the bench"
        )
    sys.stderr.write(prompt)
    sys.stderr.flush()
    return _line_waiter()


def _line_waiter() -> Callable[[float], bool]:
    if sys.platform != "win32":
        import select

        def answered(seconds: float) -> bool:
            ready, _, _ = select.select([sys.stdin], [], [], seconds)
            return bool(ready) and _confirmed(sys.stdin.readline())

        return answered
    # select() takes sockets only there: a thread reads the line and dies with the process
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=lambda: lines.put(sys.stdin.readline()), name="cuvette-line", daemon=True).start()

    def line_came(seconds: float) -> bool:
        try:
            return _confirmed(lines.get(timeout=seconds))
        except queue.Empty:
            return False

    return line_came


def _confirmed(line: str) -> bool:
    if not line:
        raise RefusedError("the terminal was closed before the exchange of the cuvette was confirmed")
    return True
