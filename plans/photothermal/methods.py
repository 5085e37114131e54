"""Rise and heat loss by the conventions of the literature, as functions of the inputs of a budget."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plans.photothermal.estimates import CurveEstimate, direct_cooling

Array = npt.NDArray[np.float64]
Draws = Mapping[str, Array]

METHODS: dict[str, str] = {
    "balance": "whole curve: steady rise and apparent cooling time of two modes, scaled blank (default)",
    "roper": "rise at the end of heating, line of ln(theta) over 0.95..0.1, scaled blank",
    "roper_unscaled": "the same with the blank's rise subtracted whole, as most papers do",
    "wang": "one exponential through the heating, its rate for the loss, scaled blank",
    "slope": "initial slope times the heat capacity of the liquid, scaled blank",
}


@dataclass(frozen=True)
class MethodModel:
    """Rise in K and heat loss in W/K as functions of the drawn inputs."""

    rise: Callable[[Draws], Array]
    loss: Callable[[Draws], Array]


def method_model(method: str, found: CurveEstimate) -> MethodModel:
    """Return how a method turns the curve into rise and heat loss.

    The noise of the curve is that of the whole fit, carried over in relative size: each convention reads the same data.
    """
    values = found.values

    def loss(v: Draws) -> Array:
        return np.asarray(v["heat_capacity"] / v["curve_tau"] * np.exp(v["model"] + v["calibration_rise"]))

    def rise(v: Draws) -> Array:
        return np.asarray(v["curve_rise"] / v["thermometer_gain"])

    if method == "balance":
        return MethodModel(rise, loss)
    if method == "slope":
        # rise x loss = C slope, with the effective loss rate of the liquid for the blank's heat
        return MethodModel(
            lambda v: np.asarray(v["curve_slope"] / v["curve_loss_rate"] / v["thermometer_gain"]),
            lambda v: np.asarray(v["heat_capacity"] * v["curve_loss_rate"]),
        )
    if method == "wang":
        tau, end = wang_fit(found)
    else:
        tau, end = direct_cooling(found), found.end_rise
    return MethodModel(
        lambda v: np.asarray(end * v["curve_rise"] / values[0] / v["thermometer_gain"]),
        lambda v: np.asarray(v["heat_capacity"] / (tau * v["curve_tau"] / values[1])),
    )


def wang_fit(found: CurveEstimate) -> tuple[float, float]:
    """Time constant (s) and steady rise (K) of T = T0 + (a/b)(1 - exp(-b t)) through the first heating.

    Wang et al., RSC Adv. 4, 30375 (2014). T0 as known before heating, fitted where it is not.
    """
    from scipy.optimize import least_squares

    prepared = found.prepared
    on, off = prepared.periods[0]
    inside = prepared.present & prepared.in_one_phase() & (prepared.bin_s > on) & (prepared.bin_s < off)
    time, data = prepared.bin_s[inside] - on, prepared.data[inside]
    base = float(data[0]) if found.base is None else found.base

    def left_over(p: Array) -> Array:
        return np.asarray(p[1] * -np.expm1(-time / np.exp(p[0])) + base - data)

    start = np.array([np.log(found.values[1]), found.values[0]])
    best = least_squares(left_over, start, x_scale=np.array([0.1, 1.0]), xtol=1e-12, ftol=1e-12).x
    return float(np.exp(best[0])), float(best[1])
