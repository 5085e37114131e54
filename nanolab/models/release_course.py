"""Release while temperature, pH and enzyme change: percent of the dose along a recorded course.

Times in h, shape (n,), increasing from 0, which is when carriers and medium met; rates at 37 degC in 1/h. Each law
gives the share of its part that has left, (n,), with rates taken as changing linearly between the times.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

REFERENCE_C = 37.0
GAS_KJ_PER_MOL_K = 8.314462618e-3
ZERO_C_IN_K = 273.15


def arrhenius(temperature_c: npt.ArrayLike, activation_energy: float) -> Array:
    """Return the factor exp[Ea/R (1/T37 - 1/T)] on a rate at 37 degC; Ea in kJ/mol."""
    kelvin = np.asarray(temperature_c, dtype=np.float64) + ZERO_C_IN_K
    return np.asarray(np.exp(activation_energy / GAS_KJ_PER_MOL_K * (1.0 / (REFERENCE_C + ZERO_C_IN_K) - 1.0 / kelvin)))


def integral(time: Array, rate: Array) -> Array:
    """Return the integral of a rate from the first time to each (n,), trapezoids; rates (..., n)."""
    steps = 0.5 * (rate[..., 1:] + rate[..., :-1]) * np.diff(time)
    return np.concatenate([np.zeros((*rate.shape[:-1], 1)), np.cumsum(steps, axis=-1)], axis=-1)


def left_by(time: Array, rate: Array) -> Array:
    """Return the share that has left by first order with a changing rate: 1 - exp(-integral)."""
    return np.asarray(-np.expm1(-integral(time, rate)))


def through_membrane(time: Array, released: Array, membrane_rate: float) -> Array:
    """Return what of `released` (n,) is seen beyond a dialysis membrane, in the unit of `released`.

    Relative to free cargo at equilibrium: O(t) = G - K, K' = G' - k K, with k the rate at which inside and outside come
    to equal concentrations. G is taken as linear between the times; what is there at the first time was put in at once.
    """
    reach = membrane_rate * time
    if reach[-1] > 600.0:
        return released
    steps = np.diff(time)
    inside = np.diff(released) * -np.expm1(-membrane_rate * steps) / (membrane_rate * steps)
    behind = np.concatenate([[released[0]], released[0] + np.cumsum(inside * np.exp(reach[1:]))]) * np.exp(-reach)
    return np.asarray(released - behind)


def cut(time: Array, active: Array, kappa: Array | float, background: Array | float = 0.0) -> Array:
    """Return the share of an enzyme's substrate that is cut or left by itself, (n,).

    s' = -v(t) s/(kappa + s) - background s, s(0) = 1, ``active`` being v = kcat E(t)/S0 (1/h, (n,)) and ``kappa`` KM/S0, which falls ((n,)) where
    the liquid evaporates.
    Fourth-order Runge-Kutta, a step from each time to the next.
    """
    rates = np.broadcast_to(np.asarray(background, dtype=np.float64), time.shape)
    steps, alone = np.diff(time), np.exp(-np.diff(integral(time, rates)))
    each = np.broadcast_to(np.asarray(kappa, dtype=np.float64), time.shape)
    halves = 0.5 * (each[1:] + each[:-1])
    left = [1.0]
    s = 1.0
    rows = zip(
        steps.tolist(), alone.tolist(), active.tolist(), active[1:].tolist(), rates.tolist(), rates[1:].tolist(),
        halves.tolist(), strict=False,
    )  # fmt: skip
    for step, kept, a0, a1, b0, b1, half in rows:
        # without an enzyme it is first order; kappa hardly changes within a step
        s = s * kept if a0 == a1 == 0.0 else _runge_kutta(s, step, (a0, a1), (b0, b1), half)
        left.append(s)
    return np.asarray(1.0 - np.array(left))


def _runge_kutta(s: float, step: float, v: tuple[float, float], b: tuple[float, float], kappa: float) -> float:
    vm, bm = 0.5 * (v[0] + v[1]), 0.5 * (b[0] + b[1])
    k1 = -v[0] * s / (kappa + s) - b[0] * s
    at = s + 0.5 * step * k1
    k2 = -vm * at / (kappa + at) - bm * at
    at = s + 0.5 * step * k2
    k3 = -vm * at / (kappa + at) - bm * at
    at = s + step * k3
    k4 = -v[1] * at / (kappa + at) - b[1] * at
    return max(s + step * (k1 + 2.0 * k2 + 2.0 * k3 + k4) / 6.0, 0.0)
