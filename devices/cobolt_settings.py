"""Settings of the Cobolt 06-MLD, as written in bench.toml."""

from typing import Annotated, Literal

from devices.laser_head import LaserHeadSettings
from devices.linked import quantity
from nanolab.quantities import Quantity


class CoboltSettings(LaserHeadSettings):
    """The laser's table of bench.toml; quantities as text with units."""

    pause: Annotated[Quantity, quantity("s", 0.0, 2.0)] = Quantity(0.1, "s")
    """Least wall time between a reply and the next command; off is sent without it. Idle off the wall clock."""
    autostart: Literal["refuse", "sequence"] = "refuse"
    """What to do with a unit whose autostart is enabled: refuse emission, or start it by its own sequence."""
    key_switch: bool | None = None
    """Whether the unit has a key switch; for old firmware that does not tell. With one, l1 is never sent."""
