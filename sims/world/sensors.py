"""Thermometers and the power-meter head: lag, gain and offset errors, noise."""

import math

from sims.world.noise import CorrelatedNoise, generator
from sims.world.sections import MeterPosition, PowerMeter, Stirring, Thermocouple

PROBES = ("sample", "ambient", "holder")
_GAIN_IS_RIGHT_AT_C = 25.0
_NOTHING = 1e-18


def lagged(value: float, target: float, step_s: float, lag_s: float) -> float:
    """Return a first-order sensor's value after `step_s` under a constant target (exact)."""
    if lag_s == 0.0:
        return target
    left = (value - target) * math.exp(-step_s / lag_s)
    # an exponential never ends; subnormal numbers say nothing and are slow
    return target + left if abs(left) > _NOTHING else target


def lagged_ramp(value: float, start: float, end: float, step_s: float, lag_s: float) -> float:
    """Return a first-order sensor's value after `step_s` of a target going from `start` to `end`."""
    if lag_s == 0.0 or step_s == 0.0:
        return end if lag_s == 0.0 else value
    behind = (end - start) * lag_s / step_s
    return end - behind + (value - start + behind) * math.exp(-step_s / lag_s)


class Thermometer:
    """What the thermocouple channels show, given the temperature of each probe in degC."""

    def __init__(self, thermocouple: Thermocouple, stirring: Stirring, seed: int) -> None:
        self._gain = thermocouple.gain
        self._offset = {
            "sample": thermocouple.sample_offset_k,
            "ambient": thermocouple.ambient_offset_k,
            "holder": thermocouple.holder_offset_k,
        }
        sigma, correlation = thermocouple.noise_k, thermocouple.noise_correlation_s
        self._noise = {
            probe: CorrelatedNoise(sigma, correlation, generator(seed, f"{probe} probe")) for probe in PROBES
        }
        self._white = {probe: generator(seed, f"{probe} meter") for probe in PROBES}
        # plumes: the temperature at the probe's place wanders where nothing mixes the liquid
        self.plumes = not stirring.on
        self._plume = CorrelatedNoise(
            stirring.unstirred_fluctuation,
            stirring.fluctuation_correlation_s,
            generator(seed, "plumes"),
        )

    def sample(self, time_s: float, probe_c: float, liquid_wall_k: float, noise_k: float) -> float:
        """Return the reading, degC, of the probe in the liquid; `liquid_wall_k` drives the plumes."""
        wander = self._plume.at(time_s) * liquid_wall_k if self.plumes else 0.0
        return self.other("sample", time_s, probe_c + wander, noise_k)

    def other(self, probe: str, time_s: float, probe_c: float, noise_k: float) -> float:
        """Return the reading, degC, of any probe at this temperature."""
        shown = _GAIN_IS_RIGHT_AT_C + self._gain * (probe_c - _GAIN_IS_RIGHT_AT_C) + self._offset[probe]
        shown += self._noise[probe].at(time_s)
        return shown + noise_k * float(self._white[probe].standard_normal()) if noise_k > 0.0 else shown


class PowerMeterHead:
    """The head: how much of the light reaches it, and what the meter makes of it."""

    def __init__(self, powermeter: PowerMeter, fast_noise: float, seed: int) -> None:
        self._own = powermeter
        self._fast_noise = fast_noise
        self._noise = generator(seed, "power meter")
        self.position: MeterPosition = powermeter.position

    @property
    def shadows_cuvette(self) -> bool:
        """True where the head keeps the light from the cuvette."""
        return self._own.head_blocks_beam and self.position == "sample_plane"

    def share(self, behind: float) -> float:
        """Return the light on the head over that in the sample plane; `behind` is the cuvette's share."""
        if self.position == "pickoff":
            return self._own.pickoff_fraction
        return behind if self.position == "behind_cuvette" else 1.0

    def read(self, head_w: float, wavelength_error_nm: float) -> float:
        """Return one reading, W, of a head on which `head_w` falls."""
        own = self._own
        flicker, white = self._noise.standard_normal(2).tolist()
        gain = own.gain * (1.0 + own.responsivity_per_nm * wavelength_error_nm)
        return float(gain * head_w * (1.0 + self._fast_noise * flicker) + own.zero_w + own.noise_w * white)
