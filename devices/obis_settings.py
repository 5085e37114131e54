"""Settings of the Coherent OBIS, as written in bench.toml."""

from typing import Annotated, Literal

from pydantic import Field

from devices.laser_head import LaserHeadSettings


class ObisSettings(LaserHeadSettings):
    """The laser's table of bench.toml; quantities as text with units."""

    channel: Annotated[int, Field(ge=0, le=6)] = 0
    """Place of the laser: 0 plugged in directly, 1 behind a Remote, 1 to 6 in a Laser Box."""
    autostart: Literal["refuse", "allow"] = "refuse"
    """What to do with a laser that emits by itself when its mains come back: refuse to arm it, or allow it."""
