"""Heat in the cuvette: liquid, wall and holder as nodes, with evaporation and a loss that rises.

    C_s Ts' = Q_liquid - G_sw (Ts - Tw) - G_sa (Ts - Ta) - L_v h_m A max(rho(Ts) - RH rho(Ta), 0)
    C_w Tw' = Q_wall + G_sw (Ts - Tw) - G_wa (1 + b |Tw - Ta|) (Tw - Ta) - G_wh (Tw - Th)
    C_h Th' = Q_holder + G_wh (Tw - Th) - G_ha (Th - Ta)
    V'      = -h_m A max(...) / rho_water

with the saturated vapour density rho = 610.94 Pa exp(17.625 T/(T + 243.04)) / (461.5 J/(kg K) (T + 273.15))
(Magnus form, Alduchov and Eskridge, J. Appl. Meteorol. 35, 601 (1996)). Temperatures in degC.

`ThermalNodes.step` is a little longer than the house allows: it is the innermost loop of every simulated
second, and four calls of a nested function on plain floats are what makes it quick.
"""

import math

from sims.world.config import WorldConfig

ThermalState = tuple[float, float, float, float]
"""Temperatures of liquid, wall and holder in degC, and the volume in mL."""

LATENT_HEAT_J_PER_KG = 2.40e6
WATER_KG_PER_ML = 9.97e-4
DRY_SHARE = 0.05
"""Evaporation stops at this share of the fill: what is left then wets the wall."""

_PROBE_AND_AIR_J_PER_K = 0.05
_PROBE_AND_AIR_W_PER_K = 0.005
_LARGEST_RATE_STEP = 0.15
_VAPOUR_CONSTANT = 610.94 / 461.5


def vapour_density(temperature_c: float) -> float:
    """Return the saturated vapour density over water, kg/m3."""
    return _VAPOUR_CONSTANT * math.exp(17.625 * temperature_c / (temperature_c + 243.04)) / (temperature_c + 273.15)


class ThermalNodes:
    """The three nodes and the volume; steps a state that the caller keeps.

    ``filled`` is False for an empty cuvette: what hangs in it is then the probe and a little air.
    """

    def __init__(self, config: WorldConfig) -> None:
        cuvette = config.cuvette
        self.filled = True
        self.holder_heat_w = 0.0
        self._stirring = config.stirring
        self.mix(1.0 if config.stirring.on else 0.0)
        self._c_per_ml = cuvette.liquid_heat_capacity_j_per_k_ml
        self._c_wall = cuvette.wall_heat_capacity_j_per_k
        self._c_holder = cuvette.holder_heat_capacity_j_per_k
        self._g_wall_air = cuvette.wall_air_w_per_k
        self._rise = cuvette.wall_air_rise_per_k
        self._g_wall_holder = cuvette.wall_holder_w_per_k
        self._g_holder_air = cuvette.holder_air_w_per_k
        self._g_liquid_air = cuvette.liquid_air_w_per_k
        self._m3_per_s = config.evaporation.mass_transfer_m_per_s * config.evaporation.area_m2
        self._humidity = config.ambient.relative_humidity
        self._fill_ml = cuvette.volume_ml

    def mix(self, share: float) -> None:
        """Stir between not at all (0) and as the running stirrer does (1)."""
        still, stirred = self._stirring.liquid_wall_unstirred_w_per_k, self._stirring.liquid_wall_w_per_k
        # the ends are exact
        self._stirred_w_per_k = stirred if share >= 1.0 else still + share * (stirred - still)
        self.mixed = share > 0.0

    def fit_holder(self, heat_capacity_j_per_k: float, wall_w_per_k: float, air_w_per_k: float) -> None:
        """Exchange the holder for another."""
        self._c_holder, self._g_wall_holder, self._g_holder_air = heat_capacity_j_per_k, wall_w_per_k, air_w_per_k

    def longest_step(self) -> float:
        """Return a step, s, that Runge and Kutta's fourth order takes with errors below a microkelvin."""
        c_liquid = self._c_per_ml * self._fill_ml
        rates = (
            (self._stirred_w_per_k + self._g_liquid_air) / c_liquid,
            (self._stirred_w_per_k + 2.0 * self._g_wall_air + self._g_wall_holder) / self._c_wall,
            (self._g_wall_holder + self._g_holder_air) / self._c_holder,
        )
        return _LARGEST_RATE_STEP / sum(rates)

    def step(
        self, state: ThermalState, step_s: float, q_liquid: float, q_wall: float, ambient_c: float
    ) -> ThermalState:
        """Return the state `step_s` later, the heats (W) and the ambient (degC) being constant meanwhile."""
        s, w, h, volume = state
        if self.filled:
            c_s, g_sw, g_sa = self._c_per_ml * volume, self._stirred_w_per_k, self._g_liquid_air
            wet = self._m3_per_s if volume > DRY_SHARE * self._fill_ml else 0.0
        else:
            c_s, g_sw, g_sa, wet = _PROBE_AND_AIR_J_PER_K, _PROBE_AND_AIR_W_PER_K, 0.0, 0.0
        c_w, c_h, rise = self._c_wall, self._c_holder, self._rise
        g_wa, g_wh, g_ha = self._g_wall_air, self._g_wall_holder, self._g_holder_air
        q_holder = self.holder_heat_w
        humid = self._humidity * vapour_density(ambient_c) if wet else 0.0
        exp = math.exp

        def rates(s: float, w: float, h: float) -> tuple[float, float, float, float]:
            lost = 0.0
            if wet:
                excess = _VAPOUR_CONSTANT * exp(17.625 * s / (s + 243.04)) / (s + 273.15) - humid
                if excess > 0.0:
                    lost = wet * excess
            inner = g_sw * (s - w)
            over = w - ambient_c
            outer = g_wh * (w - h)
            return (
                (q_liquid - inner - g_sa * (s - ambient_c) - LATENT_HEAT_J_PER_KG * lost) / c_s,
                (q_wall + inner - g_wa * (1.0 + rise * abs(over)) * over - outer) / c_w,
                (q_holder + outer - g_ha * (h - ambient_c)) / c_h,
                lost,
            )

        half = 0.5 * step_s
        s1, w1, h1, e1 = rates(s, w, h)
        s2, w2, h2, e2 = rates(s + half * s1, w + half * w1, h + half * h1)
        s3, w3, h3, e3 = rates(s + half * s2, w + half * w2, h + half * h2)
        s4, w4, h4, e4 = rates(s + step_s * s3, w + step_s * w3, h + step_s * h3)
        sixth = step_s / 6.0
        return (
            s + sixth * (s1 + 2.0 * (s2 + s3) + s4),
            w + sixth * (w1 + 2.0 * (w2 + w3) + w4),
            h + sixth * (h1 + 2.0 * (h2 + h3) + h4),
            volume - sixth * (e1 + 2.0 * (e2 + e3) + e4) / WATER_KG_PER_ML,
        )
