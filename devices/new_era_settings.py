"""Settings of a New Era syringe pump: its syringe, what may be dosed, and its watchdog, as written in bench.toml."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from devices.linked import quantity
from devices.serial_settings import UnnumberedSettings
from nanolab.quantities import Quantity


class NewEraNE1000Settings(UnnumberedSettings):
    """The pump's table of bench.toml; quantities as text with units."""

    syringe_diameter: Annotated[Quantity, quantity("mm", 0.1, 50.0)]
    """Inside diameter of the syringe, mm; by it the pump makes a volume of the plunger's travel, so measure it or weigh."""
    syringe_volume: Annotated[Quantity, quantity("mL", 0.0, above=True)]
    """What the syringe holds when full, mL."""
    syringe_content: Annotated[Quantity, quantity("mL", 0.0)]
    """Liquid in the syringe when nanolab connects, mL; more than this is never infused."""
    contents: str = ""
    """What is in the syringe, in words, such as 0.1 M HCl; goes into every run."""
    max_volume: Annotated[Quantity, quantity("mL", 0.0, above=True)] = Quantity(1.0, "mL")
    """Most that is ever in the cuvette of what was dosed, mL: the room that the cuvette has."""
    max_rate: Annotated[Quantity, quantity("mL/min", 0.0, above=True)] = Quantity(1.0, "mL/min")
    """Fastest rate, mL/min."""
    rate: Annotated[Quantity, quantity("mL/min", 0.0, above=True)] = Quantity(0.2, "mL/min")
    """Rate where a plan names none, mL/min."""
    watchdog: Annotated[Quantity, quantity("s", 0.0, 255.0)] = Quantity(10.0, "s")
    """While it pumps: without a word from here for so long the pump stops by itself, whole s; 0 s is none."""
    address_on_chain: int = Field(default=0, ge=0, le=99)
    """Address of the pump on its chain, 0 to 99."""
    baudrate: Literal[300, 1200, 2400, 9600, 19200] = 19200
    """Bits per second as set in the pump (19200 when new; some software sets 9600)."""

    @property
    def watchdog_s(self) -> int:
        """The watchdog in whole seconds; 0 is none."""
        return round(self.watchdog.value)

    @property
    def read_within_s(self) -> float:
        """How often the pump must be read while it pumps, s."""
        return 0.5 * self.watchdog_s if self.watchdog_s else math.inf

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.syringe_content.value > self.syringe_volume.value:
            raise ValueError(
                f"syringe_content {self.syringe_content} is more than syringe_volume {self.syringe_volume}"
            )
        if self.rate.value > self.max_rate.value:
            raise ValueError(f"rate {self.rate} is above max_rate {self.max_rate}")
        if abs(self.watchdog.value - self.watchdog_s) > 1e-9:
            raise ValueError(f"watchdog {self.watchdog} is no whole number of seconds")
        return self
