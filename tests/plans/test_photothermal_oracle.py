"""The balance against a computed curve whose efficiency is known to the last digit.

m 1.000 g, c 4.18 J/(g K), tau 276 s, rise 33.25 K, blank 0.94 K, P 1 W, A 1: hS = 15.144928 mW/K, and 0.5437029 with the
blank subtracted whole (after Roper, Ahn & Hoepfner, 10.1021/jp064341w, as most papers do), 0.5533 with the blank scaled
for a weak solvent, kappa = (1 - 10^-A)/(A ln 10).
"""

import numpy as np
import pytest

from nanolab.quantities import Quantity
from plans.photothermal.balance import analyze
from plans.photothermal.conditions import Blank, Conditions
from plans.photothermal.curve import HeatingCurve
from plans.photothermal.result import PhotothermalResult

TAU_S, RISE_K, ON_S = 276.0, 33.25, 30 * 276.0
CONDITIONS = Conditions(
    power=Quantity(1.0, "W", 0.0),
    absorbance=Quantity(1.0, "1", 0.0),
    window=Quantity(1.0, "1", 0.0),
    heat_capacity=Quantity(4.18, "J/K", 0.0),
    thermometer_gain=Quantity(1.0, "1", 0.0),
)
BLANK = Blank(rise_k=Quantity(0.94, "K", 0.0))


def computed(step_s: float) -> HeatingCurve:
    time = np.arange(-300.0, ON_S + 8 * TAU_S, step_s)
    heating = -np.expm1(-np.clip(time, 0.0, None) / TAU_S)
    rise = RISE_K * np.where(time < ON_S, heating, np.exp(-(time - ON_S) / TAU_S))
    on = (time >= 0.0) & (time < ON_S)
    return HeatingCurve(
        time, 25.0 + rise, on, np.ones(time.size, dtype=bool), switches=((0.0, True), (ON_S, False))
    )  # fmt: skip


def result(method: str, step_s: float = 1.0, conditions: Conditions = CONDITIONS) -> PhotothermalResult:
    return analyze(computed(step_s), conditions, BLANK, method=method)


@pytest.mark.parametrize("step_s", [1.0, 5.0])
def test_the_papers_way_gives_the_papers_number(step_s: float) -> None:
    found = result("roper_unscaled", step_s)
    assert found.efficiency is not None
    assert found.heat_loss is not None
    assert found.efficiency.value == pytest.approx(0.5437029, abs=1e-7)
    assert found.heat_loss.value == pytest.approx(15.144928e-3, rel=1e-7)


def test_a_scaled_blank_gives_more() -> None:
    found = result("roper")
    assert found.efficiency is not None
    kappa = 0.9 / np.log(10.0)
    expected = 15.144928e-3 * (RISE_K - kappa * 0.94) / 0.9
    assert expected == pytest.approx(0.5533, abs=5e-5)
    assert found.efficiency.value == pytest.approx(expected, rel=1e-7)


def test_the_balance_agrees_where_the_body_is_one_mass() -> None:
    found = result("balance")
    assert found.efficiency is not None
    assert found.efficiency.value == pytest.approx(0.5533, rel=0.01)
    low, high = found.efficiency.interval_95 or (np.nan, np.nan)
    assert low < 0.5533 < high
    assert found.time_constant_cooling is not None
    assert found.time_constant_cooling.value == pytest.approx(TAU_S, rel=1e-3)


def test_an_albedo_turns_it_into_heat_per_absorbed_light() -> None:
    from dataclasses import replace

    with_albedo = result("roper", 5.0, replace(CONDITIONS, albedo=Quantity(0.1, "1", 0.01)))
    assert with_albedo.absorption_efficiency is not None
    assert with_albedo.efficiency is not None
    assert with_albedo.absorption_efficiency.value == pytest.approx(with_albedo.efficiency.value / 0.9, rel=1e-3)
    assert with_albedo.absorption_efficiency.standard_uncertainty == pytest.approx(
        with_albedo.absorption_efficiency.value * 0.01 / 0.9, rel=0.3
    )
