"""Where the light goes in a cuvette, and the heat that a temperature rise stands for.

| symbol | meaning | unit |
|---|---|---|
| P | incident power before the window | W |
| T_opt | share of P that enters the liquid (window) | 1 |
| A | decadic absorbance of the particles over the path L | 1 |
| mu_n = A ln 10 / L, mu_w | absorption coefficients of particles and solvent | 1/cm |
| f_t = 1 - exp(-(mu_n + mu_w) L) | share of the light that is taken out of the beam | 1 |
| kappa | share of the blank's solvent heat that is left with particles present | 1 |

All functions take and return scalars or arrays (numpy broadcasting).
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Value = float | Array

LN10 = float(np.log(10.0))


def particle_share(absorbance: Value, solvent_per_cm: Value = 0.0, path_cm: Value = 1.0) -> Array:
    """Share of the light in the liquid that the particles take: f_t mu_n / (mu_n + mu_w).

    Beer and Lambert for two absorbers side by side; `absorbance` is decadic, over the path.
    """
    particles = np.asarray(absorbance) * LN10
    solvent = np.asarray(solvent_per_cm) * np.asarray(path_cm)
    total = particles + solvent
    return np.asarray(-np.expm1(-total) * particles / np.where(total > 0, total, 1.0))


def solvent_share(absorbance: Value, solvent_per_cm: Value, path_cm: Value = 1.0) -> Array:
    """Share of the light in the liquid that the solvent takes: f_t mu_w / (mu_n + mu_w)."""
    particles = np.asarray(absorbance) * LN10
    solvent = np.asarray(solvent_per_cm) * np.asarray(path_cm)
    total = particles + solvent
    return np.asarray(-np.expm1(-total) * solvent / np.where(total > 0, total, 1.0))


def blank_scale(absorbance: Value, solvent_per_cm: Value | None = None, path_cm: Value = 1.0) -> Array:
    """Kappa: solvent heat beside the particles over solvent heat in the blank, at the same power.

    [f_t mu_w / (mu_n + mu_w)] / [1 - exp(-mu_w L)]. Without `solvent_per_cm` the limit of a weak solvent,
    (1 - 10^-A) / (A ln 10). The unscaled blank of most papers has kappa = 1.
    """
    particles = np.asarray(absorbance) * LN10
    safe = np.where(particles > 0, particles, 1.0)
    weak = np.where(particles > 0, -np.expm1(-particles) / safe, 1.0)
    if solvent_per_cm is None:
        return np.asarray(weak)
    solvent = np.asarray(solvent_per_cm) * np.asarray(path_cm)
    alone = -np.expm1(-solvent)
    scaled = solvent_share(absorbance, solvent_per_cm, path_cm) / np.where(alone > 0, alone, 1.0)
    return np.asarray(np.where(alone > 1e-12, scaled, weak))


def efficiency(heat_w: Value, power_w: Value, window: Value, share: Value) -> Array:
    """Photothermal efficiency: heat from the particles / (P T_opt f_t mu_n / (mu_n + mu_w))."""
    return np.asarray(heat_w / (np.asarray(power_w) * np.asarray(window) * np.asarray(share)))


def particle_heat(loss_w_per_k: Value, rise_k: Value, blank_rise_k: Value, scale: Value) -> Array:
    """Heat from the particles in W: hS (dT - scale dT_blank), the blank's rise taken at the same power.

    After Roper, Ahn & Hoepfner, J. Phys. Chem. C 111, 3636 (2007), 10.1021/jp064341w, with the blank scaled.
    """
    return np.asarray(np.asarray(loss_w_per_k) * (np.asarray(rise_k) - np.asarray(scale) * np.asarray(blank_rise_k)))


def specific_absorption_rate(slope_k_per_s: Value, heat_capacity_j_per_k: Value, mass_g: Value) -> Array:
    """SAR in W per g of particles: C (dT/dt at the start) / m."""
    return np.asarray(np.asarray(heat_capacity_j_per_k) * np.asarray(slope_k_per_s) / np.asarray(mass_g))
