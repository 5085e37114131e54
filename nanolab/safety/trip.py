"""A trip as data: which rule, which value, when, and how quickly the laser was off."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from nanolab.errors import LimitTripError


@dataclass(frozen=True)
class Trip:
    """Why and how the interlock turned the laser off.

    ``lab_time_s`` and ``time`` (wall, s since 1970) are those of the trip. ``command_s`` is the wall time from the arrival
    of the reading to the command to go off, ``off_s`` from there to the read-back that said off; NaN where it did not.
    ``off_detail`` is the laser's report.
    """

    rule: str
    value: float
    limit: float
    unit: str
    text: str
    lab_time_s: float
    time: float
    command_s: float
    off_s: float
    off_confirmed: bool
    off_detail: str
    simulated: bool

    @property
    def reaction_s(self) -> float:
        """Wall time from the arrival of the reading to off, seen, in s; NaN where off was not seen."""
        return self.command_s + self.off_s

    def words(self) -> str:
        """Say it in one sentence."""
        return f"stopped by limit {self.rule}: {self.text}"

    def error(self) -> LimitTripError:
        """Return the error that ends the run."""
        off = "the laser is off" if self.off_confirmed else f"OFF NOT CONFIRMED ({self.off_detail})"
        return LimitTripError(f"{self.words()}; {off} and the data are kept")

    def to_json(self) -> dict[str, Any]:
        """Return the trip as JSON-able data; what is not finite is text (``"nan"``), since JSON has no word for it."""
        return {key: _plain(value) for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; ValueError, TypeError or KeyError where it is none."""
        numbers = {entry.name for entry in fields(cls) if entry.type is float}
        given: dict[str, Any] = {entry.name: data[entry.name] for entry in fields(cls)}
        given.update({key: float(given[key]) for key in numbers})
        return cls(**given)


def _plain(value: Any) -> Any:
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value
