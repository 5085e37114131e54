"""Settings of the Thorlabs ITC4001 and ITC4005: the laser's calibration and limits, as written in bench.toml."""

import datetime
from typing import Annotated, ClassVar, Self

from pydantic import model_validator

from devices.linked import LinkSettings, quantity
from nanolab.quantities import Quantity

DARK_SHARE = 0.01
"""Below this share of full scale (and below half the threshold) a measured current is no emission."""


class ITC4001Settings(LinkSettings):
    """The laser's table of bench.toml; quantities as text with units."""

    full_scale_a: ClassVar[float] = 1.0

    wavelength: Annotated[Quantity, quantity("nm", 150.0, 12000.0)]
    """Emission wavelength, nm."""
    max_power: Annotated[Quantity, quantity("W", 0.0, above=True)]
    """Largest optical power at the sample plane, W."""
    current_limit: Annotated[Quantity, quantity("A", 0.0, above=True)]
    """Largest diode current, A; written into the controller before every emission."""
    threshold_current: Annotated[Quantity, quantity("A", 0.0)]
    """Diode current at which emission begins, A."""
    slope: Annotated[Quantity, quantity("W/A", 0.0, above=True)]
    """Optical power at the sample plane per diode current above threshold, W/A."""
    tec_temperature: Annotated[Quantity, quantity("degC", 5.0, 60.0)] = Quantity(25.0, "degC")
    """Temperature at which the diode is held, degC."""
    tec_tolerance: Annotated[Quantity, quantity("K", 0.0, above=True)] = Quantity(10.0, "K")
    """Emission is refused while the diode is further than this from `tec_temperature`, K."""
    calibration_date: datetime.date | None = None
    """When slope and threshold were measured."""

    @property
    def dark_current_a(self) -> float:
        """Diode current, A, up to which nothing is emitted: above the noise of the read-back, below the threshold."""
        return min(DARK_SHARE * self.full_scale_a, max(0.5 * self.threshold_current.value, 1e-3))

    def current_for(self, power_w: float) -> float:
        """Return the diode current in A that gives `power_w` at the sample plane."""
        return self.threshold_current.value + power_w / self.slope.value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.current_limit.value > self.full_scale_a:
            raise ValueError(f"current_limit {self.current_limit} is beyond the controller's {self.full_scale_a:g} A")
        needed = self.current_for(self.max_power.value)
        if needed > self.current_limit.value * (1 + 1e-9):
            raise ValueError(
                f"max_power {self.max_power} needs {needed:.3f} A by threshold_current and slope, "
                f"but current_limit is {self.current_limit}"
            )
        return self


class ITC4005Settings(ITC4001Settings):
    """As for the ITC4001, up to 5 A."""

    full_scale_a: ClassVar[float] = 5.0
