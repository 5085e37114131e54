"""What must never be exceeded, and the numbers of the rules that watch over it.

No safety function in the sense of a standard: the hardware interlock of the laser is.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nanolab.bench.config import BenchConfig, InterlockConfig, LimitsConfig

AGE_WITHOUT_WALL_CLOCK_S = 30.0


@dataclass(frozen=True)
class RunLimits:
    """Limits of the bench for one sample: power in W, temperature in degC, time on in s, energy in J, CEM43 in min."""

    max_power_w: float
    max_temperature_c: float
    max_time_on_s: float
    max_energy_j: float
    max_cem43_min: float | None = None
    """None: the thermal dose is counted and not limited."""

    @classmethod
    def from_config(cls, limits: "LimitsConfig") -> "RunLimits":
        """Take the numbers from the [limits] table of a bench file."""
        dose = limits.max_thermal_dose
        return cls(
            limits.max_power.value,
            limits.max_temperature.value,
            limits.max_time_on.value,
            limits.max_energy.value,
            None if dose is None else dose.value,
        )


@dataclass(frozen=True)
class RuleNumbers:
    """Numbers of the rules; those of the [interlock] table, whose descriptions say what each means."""

    max_reading_age_s: float = 3.0
    max_rate_k_per_s: float = 10.0
    least_heating_k_per_j: float = 0.005
    heating_within_s: float = 10.0
    max_fall_k: float = 1.0
    max_fall_share: float = 0.1
    fall_within_s: float = 30.0
    max_disagreement_k: float = 3.0
    disagreement_s: float = 5.0
    reaction_time_s: float = 5.0
    frozen_s: float = 15.0

    @classmethod
    def from_config(cls, interlock: "InterlockConfig") -> "RuleNumbers":
        """Take the numbers from the [interlock] table of a bench file."""
        return cls(
            max_reading_age_s=interlock.max_reading_age.value,
            max_rate_k_per_s=interlock.max_rate.value,
            least_heating_k_per_j=interlock.least_heating.value,
            heating_within_s=interlock.heating_within.value,
            max_fall_k=interlock.max_fall.value,
            max_fall_share=interlock.max_fall_share.value,
            fall_within_s=interlock.fall_within.value,
            max_disagreement_k=interlock.max_disagreement.value,
            disagreement_s=interlock.disagreement_within.value,
            reaction_time_s=interlock.reaction_time.value,
            frozen_s=interlock.frozen_within.value,
        )


@dataclass(frozen=True)
class InterlockSettings:
    """Everything that the interlock of one bench is told: its limits and the numbers of its rules."""

    limits: RunLimits
    rules: RuleNumbers = RuleNumbers()

    @classmethod
    def from_config(cls, config: "BenchConfig", *, wall_clock: bool = True) -> "InterlockSettings":
        """Take them from a bench file.

        `wall_clock` is False where lab time is not wall time (a simulated bench that runs faster): a reading may then be
        `AGE_WITHOUT_WALL_CLOCK_S` old, since a busy computer is no plan that hangs and no real sample heats.
        """
        numbers = RuleNumbers.from_config(config.interlock)
        if not wall_clock:
            numbers = replace(numbers, max_reading_age_s=max(numbers.max_reading_age_s, AGE_WITHOUT_WALL_CLOCK_S))
        return cls(RunLimits.from_config(config.limits), numbers)
