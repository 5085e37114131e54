"""What a run should show, from beliefs alone: made before the first reading, with the band of its uncertainties.

One node: dT(t) = Q / hS (1 - exp(-t / tau)), tau = C_eff / hS, Q = P T_opt (efficiency x particle share + solvent share).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nanolab.analysis.montecarlo import DEFAULT_DRAWS, Inputs, propagate
from nanolab.analysis.verdict import Verdict, compare
from nanolab.models.energy_balance import particle_share, solvent_share
from nanolab.quantities import Quantity

if TYPE_CHECKING:
    from plans.photothermal.result import PhotothermalResult

Array = npt.NDArray[np.float64]
Draws = Mapping[str, Array]

BAND_DRAWS = 2000
CURVE_POINTS = 240

TYPICAL_HEAT_LOSS = Quantity(0.018, "W/K", 0.004)
"""A capped cuvette of a millilitre in still air loses 14 to 22 mW/K; used where nothing is known of the holder."""


@dataclass(frozen=True)
class Beliefs:
    """What sample.toml, bench.toml and earlier runs say; quantities as of `Conditions`.

    Parameters
    ----------
    efficiency : Quantity
        Believed photothermal efficiency with its uncertainty.
    heat_loss : Quantity or None
        hS in W/K from a calibration or an earlier run; None: TYPICAL_HEAT_LOSS.
    ambient_c : Quantity
        degC.
    solvent_per_cm : float
        Absorption coefficient of the solvent at the laser line, 1/cm.
    """

    efficiency: Quantity
    power: Quantity
    absorbance: Quantity
    heat_capacity: Quantity
    window: Quantity = field(default_factory=lambda: Quantity(1.0, "1", 0.0))
    path_length: Quantity = field(default_factory=lambda: Quantity(1.0, "cm", 0.0))
    solvent_per_cm: float = 0.0
    heat_loss: Quantity | None = None
    ambient_c: Quantity = field(default_factory=lambda: Quantity(22.0, "degC", 1.0))
    thermometer_gain: Quantity = field(default_factory=lambda: Quantity(1.0, "1", 0.01))
    power_gain: Quantity = field(default_factory=lambda: Quantity(1.0, "1", 0.0))


@dataclass(frozen=True)
class Program:
    """Phases of the run in s; `powers_w` relative to the believed power are the levels of its cycles."""

    baseline_s: float
    heat_s: float
    cool_s: float
    levels: tuple[float, ...] = (1.0,)

    def time_s(self) -> Array:
        """Times (CURVE_POINTS,) at which the curve is given."""
        total = self.baseline_s + len(self.levels) * (self.heat_s + self.cool_s)
        return np.linspace(0.0, total, CURVE_POINTS)


@dataclass(frozen=True)
class Prediction:
    """Efficiency, peak temperature (degC), heating time constant (s), and the curve with its 95 % band."""

    efficiency: Quantity
    peak_temperature: Quantity
    time_constant_heating: Quantity
    time_s: Array
    temperature_c: Array
    lower_95: Array
    upper_95: Array
    draws: Mapping[str, Array]

    def to_json(self) -> dict[str, Any]:
        """Return `prediction` of the machine-readable contract."""
        return {
            "efficiency": self.efficiency.to_json(),
            "peak_temperature": self.peak_temperature.to_json(),
            "time_constant_heating": self.time_constant_heating.to_json(),
            "curve": {
                "time_s": self.time_s.tolist(),
                "temperature_c": self.temperature_c.tolist(),
                "lower_95": self.lower_95.tolist(),
                "upper_95": self.upper_95.tolist(),
            },
        }


def predict(beliefs: Beliefs, program: Program, *, seed: int = 0, draws: int = DEFAULT_DRAWS) -> Prediction:
    """Predict a run.

    `seed` and `draws` as of the analysis that it will be compared with: inputs of the same name are then the same draws.
    """
    inputs = Inputs(seed, draws)
    inputs.quantity("believed_efficiency", beliefs.efficiency)
    inputs.quantity("heat_loss", beliefs.heat_loss or TYPICAL_HEAT_LOSS)
    for name in (
        "power", "absorbance", "heat_capacity", "window", "path_length", "ambient_c", "thermometer_gain", "power_gain",
    ):  # fmt: skip
        inputs.quantity(name, getattr(beliefs, name))
    efficiency = propagate(lambda v: v["believed_efficiency"], inputs, "1")
    tau = propagate(lambda v: v["heat_capacity"] / _positive(v["heat_loss"]), inputs, "s")
    time = program.time_s()
    mu_w = beliefs.solvent_per_cm
    few = {name: values[:BAND_DRAWS] for name, values in inputs.values.items()}
    band = np.percentile(_curves(few, mu_w, program, time), [2.5, 97.5], axis=0)
    centre = _curves({name: np.atleast_1d(v) for name, v in inputs.central().items()}, mu_w, program, time)[0]
    peak = propagate(lambda v: _peak(v, mu_w, program), inputs, "degC")
    return Prediction(
        efficiency=efficiency.quantity,
        peak_temperature=peak.quantity,
        time_constant_heating=tau.quantity,
        time_s=time,
        temperature_c=centre,
        lower_95=band[0],
        upper_95=band[1],
        draws={"efficiency": efficiency.draws, "peak_temperature": peak.draws, "time_constant_heating": tau.draws},
    )


def verdict(result: "PhotothermalResult", prediction: Prediction) -> Verdict | None:
    """Compare the measured efficiency with the believed one; None where the result has none."""
    if result.efficiency is None:
        return None
    return compare(
        "efficiency",
        result.efficiency.value,
        prediction.efficiency.value,
        result.draws["efficiency"],
        prediction.draws["efficiency"],
    )


def _positive(values: Array) -> Array:
    """Hold a loss above a tenth of its mean: a normal distribution of a poorly known one reaches zero."""
    return np.maximum(values, 0.1 * np.mean(values))


def _steady_rise(v: Draws, mu_w: float) -> Array:
    particles = particle_share(v["absorbance"], mu_w, v["path_length"])
    solvent = solvent_share(v["absorbance"], mu_w, v["path_length"])
    heat = v["power"] / v["power_gain"] * v["window"] * (v["believed_efficiency"] * particles + solvent)
    return np.asarray(v["thermometer_gain"] * heat / _positive(v["heat_loss"]))


def _rises(v: Draws, mu_w: float, program: Program, time: Array) -> Array:
    """Rises (draws, times) of one node through the phases of a program."""
    tau = np.atleast_1d(v["heat_capacity"] / _positive(v["heat_loss"]))[:, None]
    steady = np.atleast_1d(_steady_rise(v, mu_w))[:, None]
    out = np.zeros((steady.shape[0], time.size))
    for index, level in enumerate(program.levels):
        on = program.baseline_s + index * (program.heat_s + program.cool_s)
        since_on = np.clip(time - on, 0.0, None)[None, :]
        since_off = np.clip(time - on - program.heat_s, 0.0, None)[None, :]
        out += level * steady * (np.exp(-since_off / tau) - np.exp(-since_on / tau))
    return out


def _curves(v: Draws, mu_w: float, program: Program, time: Array) -> Array:
    return np.asarray(np.atleast_1d(v["ambient_c"])[:, None] + _rises(v, mu_w, program, time))


def _peak(v: Draws, mu_w: float, program: Program) -> Array:
    ends = (
        program.baseline_s
        + program.heat_s
        + np.arange(len(program.levels), dtype=float) * (program.heat_s + program.cool_s)
    )
    peak = np.max(_rises(v, mu_w, program, ends), axis=1)
    return np.asarray(v["ambient_c"] + (peak if np.ndim(v["ambient_c"]) else peak[0]))
