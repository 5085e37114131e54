"""A trip as a Bluesky readable, for the `operator` stream of the run that it ended."""

from collections.abc import Callable
from typing import Any

import bluesky.preprocessors as bpp
from bluesky.utils import Msg

from nanolab.assay import Plan
from nanolab.safety.trip import Trip

_KEYS: dict[str, tuple[str, str | None]] = {
    "rule": ("string", None),
    "text": ("string", None),
    "value": ("number", None),
    "limit": ("number", None),
    "unit": ("string", None),
    "lab_time_s": ("number", "s"),
    "time": ("number", "s"),
    "command_s": ("number", "s"),
    "off_s": ("number", "s"),
    "off_confirmed": ("integer", None),
    "off_detail": ("string", None),
}
"""What is written: data type and unit; ``value`` and ``limit`` are in ``unit``."""


class TripNote:
    """Holds the newest trip for a plan to save; give the object to `Interlock` as ``on_trip``.

    `saved_before_close`, among the preprocessors of a RunEngine, saves it where `waiting` is True; the laser is off by then.
    """

    name = "trip"
    parent = None

    def __init__(self, lab_time: Callable[[], float]) -> None:
        self._lab_time = lab_time
        self._trip: Trip | None = None
        self._saved: Trip | None = None

    def __call__(self, trip: Trip) -> None:
        """Take a trip, from whatever thread."""
        self._trip = trip

    @property
    def waiting(self) -> bool:
        """True where there is a trip that nobody has read."""
        return self._trip is not self._saved

    def saved_before_close(self, plan: Plan) -> Plan:
        """Wrap a plan so that a trip which nobody has read is saved, in the stream `operator`, before its run is closed."""
        wrapped: Plan = bpp.plan_mutator(plan, self._before)
        return wrapped

    def _before(self, msg: Msg) -> tuple[Plan | None, None]:
        if msg.command != "close_run" or not self.waiting:
            return None, None

        def saved_first() -> Plan:
            yield Msg("create", None, name="operator")
            yield Msg("read", self)
            yield Msg("save")
            return (yield msg)

        return saved_first(), None

    def describe(self) -> dict[str, dict[str, Any]]:
        """Describe rule, words, value, limit, times and reaction."""
        return {
            f"trip_{key}": {
                "source": "nanolab:interlock",
                "dtype": kind,
                "shape": [],
                **({} if unit is None else {"units": unit}),
            }
            for key, (kind, unit) in _KEYS.items()
        }

    def read(self) -> dict[str, dict[str, Any]]:
        """Return the newest trip; empty where there is none."""
        trip = self._saved = self._trip
        if trip is None:
            return {}
        now = self._lab_time()
        values = {key: getattr(trip, key) for key in _KEYS}
        values["off_confirmed"] = int(trip.off_confirmed)
        return {f"trip_{key}": {"value": value, "timestamp": now} for key, value in values.items()}

    def describe_configuration(self) -> dict[str, Any]:
        """Nothing is configured here."""
        return {}

    def read_configuration(self) -> dict[str, Any]:
        """Nothing is configured here."""
        return {}
