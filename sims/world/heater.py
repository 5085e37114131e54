"""The calibration that a scientist would make with an electrical heater in the same cuvette."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sims.world.config import WorldConfig
from sims.world.constants import Array
from sims.world.thermal import ThermalNodes

_STEP_S = 1.0
_DEFAULT_POWER_W = 0.35
_DEFAULT_HEAT_S = 2400.0
_DEFAULT_COOL_S = 1200.0
_REST_S = 3600.0


@dataclass(frozen=True)
class HeaterResult:
    """What the heater finds: K = dT/P gives the loss, cooling the time constant, both the heat capacity."""

    heat_capacity_j_per_k: float
    """Effective: time constant times loss. Solution, wall and what the holder adds."""
    heat_loss_w_per_k: float
    """Power over temperature rise at the plateau."""
    time_constant_s: float
    """Apparent, of the cooling: straight line of ln(theta) for theta between 0.95 and 0.1."""
    temperature_rise_k: float
    """Rise at the end of heating."""


@lru_cache(maxsize=64)
def heater_calibration(
    config: WorldConfig,
    power_w: float = _DEFAULT_POWER_W,
    heat_s: float = _DEFAULT_HEAT_S,
    cool_s: float = _DEFAULT_COOL_S,
) -> HeaterResult:
    """Heat the solvent-filled cuvette with a known power, let it cool, and evaluate as one does.

    The world is that of `config` with its evaporation, stirring and losses, but steady air and a true
    thermometer. It begins at rest: an open or capped cuvette stands a little below the air, and a rise counted from
    the air would make the heat capacity a per cent or two too small. The default power gives about the rise of the example run. ValueError where `cool_s` ends
    before theta has fallen far enough for a time constant, or a number is not positive.
    """
    if not (power_w > 0.0 and heat_s > 0.0 and cool_s > 0.0):
        raise ValueError(f"heater: {power_w} W for {heat_s} s, cooling {cool_s} s: all must be positive")
    nodes = ThermalNodes(config)
    air = config.ambient.temperature_c
    # fast worlds (little liquid) need shorter steps; a whole number of them to the second
    per_second = max(1, int(np.ceil(_STEP_S / (2.0 * nodes.longest_step()))))
    step = _STEP_S / per_second
    state = (air, air, air, config.cuvette.volume_ml)
    for _ in range(round(_REST_S) * per_second):
        state = nodes.step(state, step, 0.0, 0.0, air)
    # topped up to the mark before the heating
    state = (*state[:3], config.cuvette.volume_ml)
    base = state[0]
    for _ in range(round(heat_s) * per_second):
        state = nodes.step(state, step, power_w, 0.0, air)
    rise = state[0] - base
    excess = [rise]
    for index in range(round(cool_s) * per_second):
        state = nodes.step(state, step, 0.0, 0.0, air)
        if (index + 1) % per_second == 0:
            excess.append(state[0] - base)
    tau = _apparent_time_constant(np.array(excess) / rise)
    loss = power_w / rise
    return HeaterResult(tau * loss, loss, tau, rise)


def _apparent_time_constant(theta: Array) -> float:
    time_s = np.arange(theta.size) * _STEP_S
    used = (theta <= 0.95) & (theta >= 0.1)
    if np.count_nonzero(used) < 5 or theta[-1] > 0.5:
        raise ValueError("heater: the cooling is too short for a time constant; give a longer cool_s")
    return float(-1.0 / np.polyfit(time_s[used], np.log(theta[used]), 1)[0])
