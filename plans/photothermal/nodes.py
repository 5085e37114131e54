"""One-node and two-node models through a whole curve by plain least squares (lmfit), as published curves are compared.

    one node:   dT' = a u - dT / tau
    two nodes:  dTs' = a u - k (Ts - Tw) - g Ts ;  dTw' = k (C_s / C_w) (Ts - Tw) - g_w Tw

Of the five numbers of two nodes one temperature shows four: with z = k C_s/C_w + g_w the transfer function is
``a (s + z) / ((s + p1)(s + p2))``. It is fitted in these, so that every fit has one best answer. The wall's share
follows only where the heat capacities of liquid and wall are known (`plans.photothermal.wall`).
"""

from dataclasses import dataclass
from typing import Any

import lmfit
import numpy as np
import numpy.typing as npt

from nanolab.analysis.noise import estimate_noise
from nanolab.quantities import Quantity
from plans.photothermal.curve import Prepared

Array = npt.NDArray[np.float64]

NOISE_DRAWS = 400


@dataclass(frozen=True)
class OneNode:
    """Initial slope a (K/s), time constant (s), rms of the residuals (K)."""

    initial_slope: Quantity
    time_constant: Quantity
    rms: Quantity
    residuals: Array

    def to_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        return {name: getattr(self, name).to_json() for name in ("initial_slope", "time_constant", "rms")}


@dataclass(frozen=True)
class TwoNode:
    """Initial slope a (K/s), eigen-times (s, fast first), loss rate p1 p2 / z (1/s), rms (K).

    ``draws`` (3, m) p1, p2 and z in 1/s under noise like that of the residuals.
    """

    initial_slope: Quantity
    eigen_times: tuple[Quantity, Quantity]
    loss_rate: Quantity
    rms: Quantity
    residuals: Array
    draws: Array

    def to_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        return {
            "initial_slope": self.initial_slope.to_json(),
            "eigen_times": [time.to_json() for time in self.eigen_times],
            "loss_rate": self.loss_rate.to_json(),
            "rms": self.rms.to_json(),
        }


def fit_one_node(prepared: Prepared, offset: float | None) -> OneNode:
    """Fit a and tau through heating and cooling at once; `offset` (degC or K) is fitted where it is None."""
    start = lmfit.Parameters()
    tau = 0.25 * max(off - on for on, off in prepared.periods)
    start.add("tau", value=tau, min=1e-3 * tau, max=1e3 * tau)
    start.add("a", value=_rise(prepared, offset) / tau)
    _add_offset(start, prepared, offset)

    def model(p: Any) -> Array:
        t = p["tau"].value
        return np.asarray(p["offset"].value + p["a"].value * t * prepared.binned(prepared.response(1.0 / t)))

    best = _least_squares(model, [start], prepared)
    spread = _half_width(_noise_draws(model, best, ["a", "tau"], prepared))
    residuals, rms = _residuals(model, best, prepared)
    return OneNode(
        _stated(best["a"].value, "K/s", spread[0]),
        _stated(best["tau"].value, "s", spread[1]),
        rms,
        residuals,
    )


def fit_two_nodes(prepared: Prepared, offset: float | None, one: OneNode) -> TwoNode:
    """Fit a, p1, p2 and z, parametrised so that p1 > z > p2 > 0 (both gains positive, as heat conduction has it)."""
    tau, a = one.time_constant.value, one.initial_slope.value

    def model(p: Any) -> Array:
        p1, p2, z = _rates(p)
        g1, g2 = _gains(p["a"].value, p1, p2, z)
        shapes = prepared.binned(np.stack([prepared.response(p1), prepared.response(p2)]))
        return np.asarray(p["offset"].value + shapes @ np.array([g1, g2]))

    starts = []
    for ratio, share in ((4.0, 0.2), (12.0, 0.2), (30.0, 0.6)):
        start = lmfit.Parameters()
        start.add("ln_p2", value=np.log(0.7 / tau), min=np.log(1e-3 / tau), max=np.log(10.0 / tau))
        start.add("ln_ratio", value=np.log(ratio), min=np.log(1.05), max=np.log(1e4))
        start.add("share", value=share, min=1e-6, max=1 - 1e-6)
        start.add("a", value=1.2 * a)
        _add_offset(start, prepared, offset)
        starts.append(start)
    best = _least_squares(model, starts, prepared)
    residuals, rms = _residuals(model, best, prepared)
    p1, p2, z = _rates(best)
    drawn, rates = _derived(_noise_draws(model, best, ["a", "ln_p2", "ln_ratio", "share"], prepared))
    u = _half_width(drawn)
    return TwoNode(
        _stated(best["a"].value, "K/s", u[0]),
        (_stated(1.0 / p1, "s", u[1]), _stated(1.0 / p2, "s", u[2])),
        _stated(p1 * p2 / z, "1/s", u[3]),
        rms,
        residuals,
        rates,
    )


def _rates(p: Any) -> tuple[float, float, float]:
    p2 = float(np.exp(p["ln_p2"].value))
    p1 = p2 * float(np.exp(p["ln_ratio"].value))
    return p1, p2, p2 + p["share"].value * (p1 - p2)


def _gains(a: float, p1: float, p2: float, z: float) -> tuple[float, float]:
    return a * (p1 - z) / (p1 - p2) / p1, a * (z - p2) / (p1 - p2) / p2


def _derived(values: Array) -> tuple[Array, Array]:
    """Slope, eigen-times and loss rate (4, m), and p1, p2 and z (3, m), from a, ln p2, ln ratio, share (4, m)."""
    # draws along a direction that the curve does not determine run off: held where exp is still a number
    logarithms = np.clip(values[1:3], -60.0, 60.0)
    a, p2, ratio, share = values[0], np.exp(logarithms[0]), np.exp(logarithms[1]), values[3]
    p1 = p2 * ratio
    z = p2 + np.clip(share, 1e-9, 1 - 1e-9) * (p1 - p2)
    return np.stack([a, 1.0 / p1, 1.0 / p2, p1 * p2 / z]), np.stack([p1, p2, z])


def _add_offset(start: Any, prepared: Prepared, offset: float | None) -> None:
    first = float(np.nanmin(prepared.data)) if offset is None else offset
    start.add("offset", value=first, vary=offset is None)


def _rise(prepared: Prepared, offset: float | None) -> float:
    base = float(np.nanmin(prepared.data)) if offset is None else offset
    return max(float(np.nanmax(prepared.data)) - base, 1e-6)


def _least_squares(model: Any, starts: list[Any], prepared: Prepared) -> Any:
    """Best parameters of several starts; every reading weighs the same."""
    data, present = prepared.data, prepared.present
    weight = np.sqrt(prepared.counts[present])

    def left_over(p: Any) -> Array:
        return np.asarray((model(p) - data)[present] * weight)

    def fit(start: Any) -> Any:
        # lmfit inverts the Hessian whatever it is asked; a flat direction gives it a negative variance, which nobody uses
        with np.errstate(invalid="ignore"):
            return lmfit.minimize(
                left_over, start, method="least_squares", max_nfev=400, ftol=1e-9, xtol=1e-9, gtol=1e-10
            )

    fits = [fit(start) for start in starts]
    return min(fits, key=lambda fit: float(fit.chisqr)).params


def _residuals(model: Any, best: Any, prepared: Prepared) -> tuple[Array, Quantity]:
    """Residuals (b,) per bin and their root mean square over the readings."""
    curve_fit = model(best)
    residuals = np.where(prepared.present, prepared.data - curve_fit, 0.0)
    within = prepared.scatter_within
    total = float(np.sum(prepared.counts * residuals**2) + within)
    return residuals, Quantity(float(np.sqrt(total / prepared.counts.sum())), "K")


def _noise_draws(model: Any, best: Any, names: list[str], prepared: Prepared) -> Array:
    """Parameters (k, m) under noise like the residuals: drawn with their memory, carried through the fit."""
    residuals, _ = _residuals(model, best, prepared)
    free = [name for name in best if best[name].vary]
    jacobian = np.stack([_derivative(model, best, name) for name in free], axis=1)[prepared.present]
    noise = estimate_noise(residuals, prepared.present, largest_order=4, parameters=len(free), floor=1e-9)
    generator = np.random.default_rng(0)
    draws = noise.draw(generator, NOISE_DRAWS, prepared.data.size)[:, prepared.present]
    scale = np.linalg.norm(jacobian, axis=0)
    # a parameter that the curve does not show (at its bound) stays where it is, and is stated without uncertainty
    scale[scale == 0.0] = np.inf
    changes = np.linalg.pinv(jacobian / scale, rcond=1e-9) @ draws.T / scale[:, None]
    return np.stack([best[name].value + changes[free.index(name)] for name in names])


def _stated(value: float, unit: str, u: float) -> Quantity:
    """Return a fitted quantity; without uncertainty where its draws say nothing."""
    return Quantity(float(value), unit, float(u) if np.isfinite(u) and u > 0.0 else None)


def _half_width(values: Array) -> Array:
    """Standard uncertainties (k,) of draws (k, m) by quartiles: a few that run into a bound must not rule them."""
    low, high = np.percentile(values, [15.865, 84.135], axis=1)
    return np.asarray(0.5 * (high - low))


def _derivative(model: Any, best: Any, name: str) -> Array:
    value = best[name].value
    step = 1e-4 * max(abs(value), 1e-3)
    up, down = best.copy(), best.copy()
    up[name].value, down[name].value = value + step, value - step
    width = up[name].value - down[name].value
    return np.asarray((model(up) - model(down)) / width)
