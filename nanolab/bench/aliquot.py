"""Aliquots out of the cuvette: by a command on a simulated bench, by a person on a real one."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from ophyd.status import Status

from nanolab.bench.by_hand import Ask, ByHand
from nanolab.errors import UsageError


class AliquotTaker(ByHand):
    """Withdraws an aliquot of the liquid outside the insert, and puts fresh medium in for it; reads the last one's volume, mL.

    Parameters
    ----------
    lab_time : callable
        Lab time in s; the timestamp of its reading.
    withdraw : callable or None
        Does it on the simulated bench: (volume in mL, whether fresh medium is put in for it).
    ask : callable or None
        Asks a person; None where every instrument is simulated.
    """

    name = "aliquot"

    def __init__(
        self,
        lab_time: Callable[[], float],
        withdraw: Callable[[float, bool], None] | None = None,
        ask: Ask | None = None,
    ) -> None:
        super().__init__(lab_time, ask)
        self._withdraw = withdraw
        self._last_ml = 0.0

    def set(self, volume_ml: float, *, replace: bool = True) -> Status:
        """Withdraw `volume_ml` and put as much fresh medium in unless told not to; done when both are done.

        UsageError for a volume that is not positive. RefusedError where a person would have to confirm and there is no terminal.
        """
        if not 0.0 < volume_ml < math.inf:
            raise UsageError(f"an aliquot of {volume_ml:g} mL cannot be withdrawn: it must be above 0")
        if self._withdraw is not None:
            self._withdraw(volume_ml, replace)
        return self._confirmed(request(volume_ml, replace=replace), f"{volume_ml:g} mL", partial(self._done, volume_ml))

    def _done(self, volume_ml: float) -> None:
        self._last_ml = volume_ml

    def read(self) -> dict[str, dict[str, Any]]:
        """Return the volume of the last aliquot, mL; 0 until the first one."""
        return {self.name: {"value": self._last_ml, "timestamp": self._since}}

    def describe(self) -> dict[str, dict[str, Any]]:
        """Describe the reading."""
        return {self.name: {**self._described("number"), "units": "mL"}}


def request(volume_ml: float, *, replace: bool) -> str:
    """Return what a person is asked to do."""
    taken = f"Withdraw {volume_ml:g} mL of the liquid outside the insert (label it with the time)"
    if not replace:
        return f"{taken} and put NOTHING back"
    return f"{taken} and put {volume_ml:g} mL of fresh MEDIUM back"
