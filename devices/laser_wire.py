"""What is said to one laser, and what its answers mean: the two things that a laser driver adds to `devices.laser`."""

from collections.abc import Callable
from typing import Any, Protocol


class LaserLook(Protocol):
    """What a laser's read-backs say at one moment; numbers that cannot be read are NaN."""

    @property
    def emitting(self) -> bool:
        """True where any of the read-backs says that it emits."""

    @property
    def dark(self) -> bool:
        """True where every read-back can be read and says off, and nothing is under way that would turn it on."""

    @property
    def current_a(self) -> float:
        """Diode current, A."""

    @property
    def temperature_c(self) -> float:
        """Temperature of the diode, degC."""

    def says(self) -> str:
        """Return the read-backs that matter for off, in words."""


class LaserWire(Protocol):
    """What is said to one laser. Everything here runs in the link's worker.

    DeviceError where the instrument misbehaves, RefusedError where its protections forbid emission.
    """

    off_line: str
    """The command that counts, written at once where the connection is in doubt."""

    def look(self) -> Any:
        """Return a `LaserLook`."""

    def say_off(self) -> tuple[Any, str]:
        """Send off first, then look; return the look and what the instrument remarked on the command."""

    def protections(self) -> str:
        """Return what keeps the laser from emitting, in words; empty where nothing does."""

    def refuse_protected(self, look: Any) -> None:
        """Raise RefusedError where something forbids emission."""

    def prepare(self, power_w: float) -> None:
        """Write and read back all that emission at this power (sample plane, W) needs, short of switching on."""

    def switch_on(self, give_way: Callable[[], None]) -> None:
        """Switch on, and see it on or under way; `give_way` raises where off has been asked for in the meantime."""
