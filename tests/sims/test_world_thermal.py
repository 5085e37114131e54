"""The nodes against an independent integrator, energy, and plain limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from sims.world import WorldConfig
from sims.world.thermal import ThermalNodes, vapour_density

OPEN = WorldConfig().replaced(
    {
        "evaporation.mass_transfer_m_per_s": 4e-3,
        "evaporation.area_m2": 1e-4,
        "cuvette.wall_air_rise_per_k": 0.02,
        "cuvette.volume_ml": 1.0,
    }
)


def integrated(nodes: ThermalNodes, seconds: float, step_s: float, heat: float, air: float = 22.0) -> tuple[float, ...]:
    state = (air, air, air, 1.0)
    for _ in range(round(seconds / step_s)):
        state = nodes.step(state, step_s, heat, 0.0, air)
    return state


def test_saturated_vapour_has_the_tabulated_density() -> None:
    # CRC Handbook: 17.3 g/m3 at 20 degC, 51.1 g/m3 at 40 degC
    assert 1e3 * vapour_density(20.0) == pytest.approx(17.3, rel=0.01)
    assert 1e3 * vapour_density(40.0) == pytest.approx(51.1, rel=0.01)


def test_nodes_agree_with_an_independent_integrator() -> None:
    def rates(_: float, y: np.ndarray) -> list[float]:
        s, w, h, v = y

        def rho(t: float) -> float:
            return float(610.94 * np.exp(17.625 * t / (t + 243.04)) / (461.5 * (t + 273.15)))

        lost = 4e-3 * 1e-4 * max(rho(s) - 0.45 * rho(22.0), 0.0)
        return [
            (0.6 - 0.20 * (s - w) - 0.001 * (s - 22.0) - 2.40e6 * lost) / (4.18 * v),
            (0.20 * (s - w) - 0.012 * (1.0 + 0.02 * abs(w - 22.0)) * (w - 22.0) - 0.010 * (w - h)) / 1.23,
            (0.010 * (w - h) - 0.050 * (h - 22.0)) / 8.0,
            -lost / 9.97e-4,
        ]

    exact = solve_ivp(rates, (0.0, 900.0), [22.0, 22.0, 22.0, 1.0], method="DOP853", rtol=1e-11, atol=1e-11)
    ours = integrated(ThermalNodes(OPEN), 900.0, 0.5, 0.6)
    # the volume is held within a step: that is what limits the agreement
    assert ours[:3] == pytest.approx(exact.y[:3, -1], abs=2e-4)
    assert ours[3] == pytest.approx(exact.y[3, -1], abs=1e-6)


def test_halving_the_step_changes_less_than_a_microkelvin() -> None:
    nodes = ThermalNodes(WorldConfig())
    coarse, fine = (integrated(nodes, 300.0, step, 0.4) for step in (0.5, 0.25))
    assert nodes.longest_step() >= 0.5
    assert coarse[0] == pytest.approx(fine[0], abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(heat=st.floats(0.05, 1.0), air=st.floats(15.0, 30.0))
def test_sealed_heat_is_kept_or_given_to_the_air(heat: float, air: float) -> None:
    sealed = WorldConfig().replaced(
        {"evaporation.area_m2": 0.0, "cuvette.wall_air_rise_per_k": 0.0, "cuvette.volume_ml": 1.0}
    )
    nodes = ThermalNodes(sealed)
    state, given_away = (air, air, air, 1.0), 0.0
    for _ in range(200):
        before = state
        state = nodes.step(state, 0.5, heat, 0.0, air)
        s, w, h = (0.5 * (a + b) - air for a, b in zip(before[:3], state[:3], strict=True))
        given_away += 0.5 * (0.001 * s + 0.012 * w + 0.050 * h)
    kept = 4.18 * (state[0] - air) + 1.23 * (state[1] - air) + 8.0 * (state[2] - air)
    # the trapezium rule's own error, not the nodes'
    assert kept + given_away == pytest.approx(100.0 * heat, rel=2e-4)
    assert state[3] == 1.0


def test_steady_state_is_that_of_the_conductances() -> None:
    sealed = WorldConfig().replaced({"evaporation.area_m2": 0.0, "cuvette.wall_air_rise_per_k": 0.0})
    state = integrated(ThermalNodes(sealed), 6000.0, 0.5, 0.5)
    series = 1.0 / (1.0 / 0.010 + 1.0 / 0.050)
    outward = 0.012 + series
    loss = 0.001 + 1.0 / (1.0 / 0.20 + 1.0 / outward)
    assert state[0] - 22.0 == pytest.approx(0.5 / loss, rel=1e-6)


def test_evaporation_cools_and_stops_when_the_cuvette_is_dry() -> None:
    nodes = ThermalNodes(OPEN)
    state = (60.0, 60.0, 60.0, 0.06)
    for _ in range(4000):
        state = nodes.step(state, 0.5, 0.0, 0.0, 60.0)
    assert state[3] == pytest.approx(0.05, abs=2e-3)
    humid = ThermalNodes(OPEN.replaced({"ambient.relative_humidity": 1.0}))
    assert humid.step((22.0, 22.0, 22.0, 1.0), 0.5, 0.0, 0.0, 22.0) == (22.0, 22.0, 22.0, 1.0)


def test_an_empty_cuvette_warms_only_through_its_wall() -> None:
    nodes = ThermalNodes(WorldConfig())
    nodes.filled = False
    state = (22.0, 22.0, 22.0, 1.0)
    for _ in range(600):
        state = nodes.step(state, 0.5, 0.0, 0.01, 22.0)
    assert state[0] == pytest.approx(state[1], abs=0.05)
    assert state[0] > 22.2
    assert state[3] == 1.0


def test_little_liquid_asks_for_shorter_steps() -> None:
    small = WorldConfig().replaced({"cuvette.volume_ml": 0.05, "cuvette.wall_heat_capacity_j_per_k": 0.3})
    assert ThermalNodes(small).longest_step() < 0.25
