"""Read-only signals: what a driver has read, with unit and source; moving one is refused with a sentence."""

from typing import Any

from ophyd import Signal

from nanolab.errors import RefusedError


class Reading(Signal):
    """A value that only the driver changes.

    Parameters
    ----------
    units : str or None
        Unit of the value, for the event descriptor.
    instead : str
        What to do in place of moving this signal, for the refusal.
    """

    def __init__(self, *args: Any, units: str | None = None, instead: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._units = units
        self._instead = instead
        self._metadata["write_access"] = False

    def describe(self) -> dict[str, dict[str, Any]]:
        """Describe the value: its unit, and its source, which says whether the instrument is simulated."""
        described: dict[str, dict[str, Any]] = super().describe()
        key = described[self.name]
        key["source"] = getattr(self.parent, "source", "nanolab") + f":{self.attr_name}"
        if self._units is not None:
            key["units"] = self._units
        return described

    def update(self, value: Any, timestamp: float) -> None:
        """Take a new value from the driver; `timestamp` is lab time in seconds."""
        super().put(value, timestamp=timestamp, force=True)

    def put(self, value: Any, **_kwargs: Any) -> None:
        """Refuse: RefusedError."""
        instead = f": {self._instead}" if self._instead else ""
        raise RefusedError(f"{self.name} is read-only{instead}")

    def set(self, value: Any, **_kwargs: Any) -> Any:
        """Refuse: RefusedError."""
        return self.put(value)
