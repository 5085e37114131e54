"""The two channels of a Thorlabs 4000-series controller, without their wire: laser and TEC.

Time constants and noise are suggestions of ours, not the maker's data.
"""

import math

from sims.instruments.base import BenchWorld

SOFT_START_S = 1.0
"""The laser current rises linearly from 0 over this time after `delay_s`."""

RAMP_STEP_S = 0.05
"""Steps in which the ramp, and the constant-power loop, reach the diode."""


class LaserChannel:
    """Set current, limit and the soft start of one laser output.

    ``flowing_a`` is the current that really flows; `asked_a` what the output stage is asked for.
    """

    def __init__(self, rating_a: float) -> None:
        self.rating_a = rating_a
        self.reset()

    def reset(self) -> None:
        """Output off, no current, the limit at the rating."""
        self.on = False
        self.limit_a = self.rating_a
        self.set_a = 0.0
        self.set_power_w = 0.0
        self.loop_a = 0.0
        self.flowing_a = 0.0
        self._started_s = 0.0
        self._delay_s = 0.0

    def start(self, now_s: float, delay_s: float) -> None:
        """Switch on: nothing for `delay_s`, then the soft start."""
        self.on = True
        self.loop_a = 0.0
        self._started_s = now_s
        self._delay_s = delay_s

    def soft_start(self, now_s: float) -> float:
        """Return how far the soft start has come, 0 to 1."""
        return min(max((now_s - self._started_s - self._delay_s) / SOFT_START_S, 0.0), 1.0)

    def next_step_s(self, now_s: float) -> float:
        """Return the lab time of the next step of the ramp; infinity when it has arrived."""
        begins = self._started_s + self._delay_s
        if not self.on or now_s >= begins + SOFT_START_S:
            return math.inf
        return begins if now_s < begins else now_s + RAMP_STEP_S

    def asked_a(self, mode: str) -> float:
        """Return the current that the output stage is asked for, A: in mode ``POW`` the loop's, otherwise the set one."""
        return self.loop_a if mode == "POW" else self.set_a

    def heat_w(self, world: BenchWorld) -> float:
        """Return the heat that the diode sets free in its mount, W."""
        return 0.0 if self.flowing_a == 0.0 else max(self.flowing_a * world.diode_voltage_v() * 0.6, 0.0)


class TecChannel:
    """A Peltier element that takes the diode's mount to a set temperature, first order with `tau_s`."""

    def __init__(self, mount_c: float, tau_s: float = 10.0, rise_k_per_w: float = 10.0) -> None:
        self.mount_c = mount_c
        self.tau_s = tau_s
        self.rise_k_per_w = rise_k_per_w
        self.temperature_c = mount_c
        self._time_s = 0.0
        self.reset()

    def reset(self) -> None:
        """Output off, 25 degC, limits 5 and 45 degC. The mount keeps its temperature."""
        self.on = False
        self.set_c = 25.0
        self.low_c = 5.0
        self.high_c = 45.0
        self.settled = False

    def advance(self, now_s: float, heat_w: float) -> None:
        """Let the mount follow until `now_s`, with `heat_w` set free in the diode since the last call."""
        target = self.set_c if self.on else self.mount_c + self.rise_k_per_w * heat_w
        passed = now_s - self._time_s
        self._time_s = now_s
        if passed > 0.0:
            difference = (self.temperature_c - target) * math.exp(-passed / self.tau_s)
            self.temperature_c = target + (difference if abs(difference) > 1e-6 else 0.0)

    def current_a(self, heat_w: float) -> float:
        """Return the current through the Peltier element, A: cooling is positive."""
        if not self.on:
            return 0.0
        return 0.1 * (self.mount_c - self.temperature_c) + 0.4 * heat_w


def thermistor_ohm(temperature_c: float) -> float:
    """Return the resistance of a 10 kOhm thermistor, B = 3988 K: R = R25 exp(B (1/T - 1/298.15 K))."""
    return 1e4 * math.exp(3988.0 * (1.0 / (temperature_c + 273.15) - 1.0 / 298.15))


def in_unit(celsius: float, unit: str) -> float:
    """Return a temperature in the unit that is set (its first letter counts)."""
    return celsius + 273.15 if unit[0] == "K" else celsius * 1.8 + 32.0 if unit[0] == "F" else celsius


def from_unit(value: float, unit: str) -> float:
    """Return a temperature given in the unit that is set, degC."""
    return value - 273.15 if unit[0] == "K" else (value - 32.0) / 1.8 if unit[0] == "F" else value
