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

_LEVEL_K = 0.15
"""A temperature that falls by no more than this below its highest counts as rising: noise, and a controller at rest."""


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


def heated(
    time_s: Array, temperature_c: Array, transition: float, width: float, k_fast: float, k_tail: float, parts: int = 120
) -> Array:
    """Return the share of a thermosensitive carrier's cargo that has left, (n,).

    Carriers have their own transition temperatures, logistic about `transition` (degC) with `width` (K); those that
    have passed it lose their cargo at k_fast, the others at k_tail times the share that has passed (both 1/s). At constant
    temperature this is the biexponential of `nanolab.models.release_triggers.thermosensitive`. While the temperature only
    rises (within `_LEVEL_K`) the sum over the carriers is exact; where it falls again they are followed in `parts` classes.
    """
    highest = np.maximum.accumulate(temperature_c)
    if float(np.max(highest - temperature_c)) > _LEVEL_K:
        return _in_parts(time_s, temperature_c, transition, width, k_fast, k_tail, parts)
    passed = _passed(highest, transition, width)
    slow = integral(time_s, k_tail * passed)
    waiting = np.exp(-slow)
    steps = np.diff(time_s)
    reach = k_fast * steps
    kept = np.exp(-reach)
    # those that pass within a step do so evenly
    arriving = np.diff(passed) * 0.5 * (waiting[1:] + waiting[:-1]) * -np.expm1(-reach) / np.maximum(reach, 1e-12)
    leaking = [float(passed[0])]
    for share, new in zip(kept.tolist(), arriving.tolist(), strict=True):
        leaking.append(leaking[-1] * share + new)
    return np.asarray(1.0 - (1.0 - passed) * waiting - np.array(leaking))


def _passed(temperature_c: Array, transition: float, width: float) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip((temperature_c - transition) / width, -60.0, 60.0))))


def _in_parts(
    time_s: Array, temperature_c: Array, transition: float, width: float, k_fast: float, k_tail: float, parts: int
) -> Array:
    share = (np.arange(parts) + 0.5) / parts
    edges = transition + width * np.log(share / (1.0 - share))
    low, high = np.minimum(temperature_c[1:], temperature_c[:-1]), np.maximum(temperature_c[1:], temperature_c[:-1])
    # the part of each interval for which the temperature, a straight line within it, lies above each transition
    above = np.clip((high - edges[:, None]) / np.maximum(high - low, 1e-6), 0.0, 1.0)
    slow = k_tail * _passed(0.5 * (low + high), transition, width)
    steps = np.diff(time_s) * (slow + (k_fast - slow) * above)
    gone = -np.mean(np.expm1(-np.cumsum(steps, axis=1)), axis=0)
    return np.concatenate([[0.0], gone])


def cut(time: Array, active: Array, kappa: float, background: Array | float = 0.0) -> Array:
    """Return the share of an enzyme's substrate that is cut or left by itself, (n,).

    s' = -v(t) s/(kappa + s) - background s, s(0) = 1, ``active`` being v = kcat E(t)/S0 (1/h, (n,)) and ``kappa`` KM/S0.
    Fourth-order Runge-Kutta, two steps between neighbouring times.
    """
    rates = np.broadcast_to(np.asarray(background, dtype=np.float64), time.shape)
    left = [1.0]
    s = 1.0
    rows = zip(
        np.diff(time).tolist(), active.tolist(), active[1:].tolist(), rates.tolist(), rates[1:].tolist(), strict=False
    )
    for step, a0, a1, b0, b1 in rows:
        am, bm = 0.5 * (a0 + a1), 0.5 * (b0 + b1)
        for v0, v1, c0, c1 in ((a0, am, b0, bm), (am, a1, bm, b1)):
            s = _runge_kutta(s, 0.5 * step, (v0, v1), (c0, c1), kappa)
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
