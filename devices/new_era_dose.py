"""How much was dosed, and how much may be: arithmetic of one syringe, without a pump."""

import math
from dataclasses import dataclass

from devices.new_era_settings import NewEraNE1000Settings
from devices.new_era_wire import rate_text
from nanolab.errors import RefusedError

SMALLEST_ML = 5e-5
"""A difference of volumes below this is none: the counter's last digit."""

_RESTARTED = 2e-3
"""A counter that is lower than before by more than this (mL, and share of it) has begun anew; less is rounding."""


@dataclass(frozen=True)
class Order:
    """What the pump is to do: a volume in mL (negative: withdraw) at a rate in mL/min.

    ``total_ml`` is what will be infused (withdrawing: withdrawn) altogether when it is done.
    """

    volume_ml: float
    rate_ml_per_min: float
    total_ml: float


class Dose:
    """Adds up the pump's counters, which may begin anew at any time, and knows the limits.

    ``infused`` and ``withdrawn`` are mL since the beginning; ``counted`` is what the counters showed last.
    """

    def __init__(self, name: str, settings: NewEraNE1000Settings) -> None:
        self._name = name
        self._settings = settings
        self._before = (0.0, 0.0)
        self.counted = (0.0, 0.0)

    @property
    def infused(self) -> float:
        """Volume infused, mL."""
        return self._before[0] + self.counted[0]

    @property
    def withdrawn(self) -> float:
        """Volume withdrawn, mL."""
        return self._before[1] + self.counted[1]

    def missing(self, order: Order) -> float:
        """Return what an order still lacks, mL."""
        return order.total_ml - (self.infused if order.volume_ml > 0.0 else self.withdrawn)

    @property
    def content(self) -> float:
        """What is left in the syringe, mL."""
        return self._settings.syringe_content.value - self.infused + self.withdrawn

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest total infused that may be asked for, mL."""
        most = min(self._settings.max_volume.value, self._settings.syringe_content.value)
        return (self.infused, most + self.withdrawn)

    def begin(self, infused_ml: float, withdrawn_ml: float) -> None:
        """Begin at zero; what the counters show now is not ours."""
        self._before, self.counted = (-infused_ml, -withdrawn_ml), (infused_ml, withdrawn_ml)

    def cleared(self) -> None:
        """Take note that the counters were set to zero."""
        self._before, self.counted = (self.infused, self.withdrawn), (0.0, 0.0)

    def count(self, infused_ml: float, withdrawn_ml: float) -> None:
        """Take what the counters show; what was counted before they began anew (power, overflow) is kept."""
        kept = [
            before + last if now < last - _RESTARTED * max(last, 1.0) else before
            for before, last, now in zip(self._before, self.counted, (infused_ml, withdrawn_ml), strict=True)
        ]
        self._before, self.counted = (kept[0], kept[1]), (infused_ml, withdrawn_ml)

    def finite(self, value: float, what: str) -> float:
        """Return the number; RefusedError where it is none."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise RefusedError(f"{self._name}: {value!r} is no {what}")
        return float(value)

    def check_total(self, total_ml: float) -> float:
        """Return the volume still to infuse up to this total; RefusedError where a limit forbids it."""
        wanted = self.finite(total_ml, "total volume in mL") - self.infused
        if wanted < -SMALLEST_ML:
            raise RefusedError(
                f"{self._name}: {self.infused:.4f} mL are infused already, a total of {total_ml:g} mL cannot be "
                "reached; call dispense() with a negative volume to take some back"
            )
        self.check_room(wanted)
        return wanted

    def check_rate(self, ml_per_min: float) -> float:
        """Return the rate; RefusedError where it is outside the limits, or four digits cannot say it."""
        speed, most = self.finite(ml_per_min, "rate in mL/min"), self._settings.max_rate.value
        if not 0.0 < speed <= most:
            raise RefusedError(
                f"{self._name}: {speed:g} mL/min is refused, it must be above 0 and at most {most:g} mL/min (max_rate)"
            )
        rate_text(speed)
        return speed

    def check_room(self, volume_ml: float) -> None:
        """RefusedError where syringe or cuvette have no room for infusing (withdrawing: negative) this volume."""
        settings, left = self._settings, self.content
        if volume_ml > left + SMALLEST_ML:
            raise RefusedError(
                f"{self._name}: {volume_ml:g} mL is refused, the syringe holds {left:.4g} mL; fill it and correct "
                "syringe_content in bench.toml"
            )
        inside, most = self.infused - self.withdrawn, settings.max_volume.value
        if volume_ml > 0.0 and inside + volume_ml > most + SMALLEST_ML:
            raise RefusedError(
                f"{self._name}: {volume_ml:g} mL is refused, {inside:.4g} mL are in the cuvette and at most {most:g} mL "
                "may be (max_volume)"
            )
        if left - volume_ml > settings.syringe_volume.value + SMALLEST_ML:
            raise RefusedError(
                f"{self._name}: {-volume_ml:g} mL cannot be withdrawn, the syringe holds {left:.4g} mL of at most "
                f"{settings.syringe_volume.value:g} mL"
            )
