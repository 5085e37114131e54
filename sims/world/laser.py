"""The diode laser: threshold line, warm-up, drift, and a line that moves with the case temperature."""

import math

from sims.world.noise import CorrelatedNoise, generator
from sims.world.sections import Laser

_RISE_IS_OVER = 20.0


class DiodeLaser:
    """Light at the sample plane as a function of lab time, given the current that flows.

    Powers in W, times in s, temperatures in degC. The state changes only in `set_diode`; between two changes
    everything is a closed form in time, so that the power does not depend on when it is asked for.
    """

    def __init__(self, laser: Laser, seed: int) -> None:
        self._laser = laser
        self._drift = CorrelatedNoise(laser.drift, laser.drift_correlation_s, generator(seed, "laser drift"))
        self._monitor_noise = generator(seed, "laser monitor")
        self._since = 0.0
        self._from_w = 0.0
        self._to_w = 0.0
        self._warmth = 0.0
        self.current_a = 0.0
        self.case_c = laser.reference_case_c

    @property
    def emitting(self) -> bool:
        """True while any current flows in the diode."""
        return self.current_a > 0.0

    @property
    def wavelength_nm(self) -> float:
        """Centre of the line, nm."""
        return self._laser.wavelength_nm + self._laser.shift_nm_per_k * (self.case_c - self._laser.reference_case_c)

    def set_diode(self, time_s: float, current_a: float, case_c: float) -> None:
        """Let this current flow from `time_s` on. ValueError where the current is negative or no number."""
        if not (current_a >= 0.0 and math.isfinite(current_a) and math.isfinite(case_c)):
            raise ValueError(f"diode current {current_a} A at {case_c} degC: finite numbers are wanted, none negative")
        if current_a != self.current_a:
            # light falls with the current at once; it rises with the turn-on time constant
            before = self._cold_power_at(time_s)
            self._warmth = self._warmth_at(time_s)
            self._since = time_s
            self._to_w = self.steady_power_w(current_a)
            self._from_w = min(before, self._to_w)
            self.current_a = current_a
        self.case_c = case_c

    def steady_power_w(self, current_a: float) -> float:
        """Return the power, W, of the cold, driftless laser: the threshold line up to where it rolls over."""
        laser = self._laser
        if current_a <= laser.threshold_a:
            return laser.spontaneous_w * current_a / laser.threshold_a if current_a > 0.0 else 0.0
        return min(laser.spontaneous_w + laser.slope_w_per_a * (current_a - laser.threshold_a), laser.max_power_w)

    def current_for(self, power_w: float) -> float:
        """Return the current, A, whose cold, driftless power is `power_w`. ValueError above the maximum."""
        laser = self._laser
        if not 0.0 <= power_w <= laser.max_power_w:
            raise ValueError(f"{power_w:g} W: this world's laser gives between 0 and {laser.max_power_w:g} W")
        if power_w <= laser.spontaneous_w:
            return 0.0 if power_w == 0.0 else laser.threshold_a * power_w / laser.spontaneous_w
        return laser.threshold_a + (power_w - laser.spontaneous_w) / laser.slope_w_per_a

    def power_at(self, time_s: float) -> float:
        """Return the power at one moment, without the fast intensity noise."""
        if self._to_w == 0.0:
            return 0.0
        return self._cold_power_at(time_s) * self._slow_factor(time_s)

    def mean_power(self, start_s: float, end_s: float) -> float:
        """Return the mean power between two moments that no change of current lies between."""
        cold = self._to_w
        if cold == 0.0:
            return 0.0
        rise = self._laser.turn_on_s
        begun = start_s - self._since
        if rise > 0.0 and begun < _RISE_IS_OVER * rise and end_s > start_s:
            area = rise * (math.exp(-begun / rise) - math.exp(-(end_s - self._since) / rise))
            cold += (self._from_w - cold) * area / (end_s - start_s)
        return cold * self._slow_factor(0.5 * (start_s + end_s))

    def monitor_w(self, time_s: float) -> float:
        """Return what the controller's own photodiode reports, with its gain and the fast noise."""
        noise = 1.0 + self._laser.fast_noise * float(self._monitor_noise.standard_normal())
        return self._laser.monitor_gain * self.power_at(time_s) * noise

    def voltage(self) -> float:
        """Return the forward voltage of the diode (0 without current)."""
        if self.current_a == 0.0:
            return 0.0
        cooling = -0.002 * (self.case_c - self._laser.reference_case_c)
        return self._laser.diode_voltage_v + cooling + self._laser.series_resistance_ohm * self.current_a

    def _cold_power_at(self, time_s: float) -> float:
        rise = self._laser.turn_on_s
        if rise == 0.0:
            return self._to_w
        return self._to_w + (self._from_w - self._to_w) * math.exp(-max(time_s - self._since, 0.0) / rise)

    def _warmth_at(self, time_s: float) -> float:
        # relaxes to 1 while the diode lases, to 0 while it does not
        end = 1.0 if self._to_w > self._laser.spontaneous_w else 0.0
        return end + (self._warmth - end) * math.exp(-(time_s - self._since) / self._laser.warm_up_s)

    def _slow_factor(self, time_s: float) -> float:
        return (1.0 - self._laser.warm_up_droop * self._warmth_at(time_s)) * (1.0 + self._drift.at(time_s))
