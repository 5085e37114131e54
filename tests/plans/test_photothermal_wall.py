"""What one temperature curve tells of the wall: nothing by itself, its conductances once the heat capacities are known."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.linalg import expm

from nanolab.analysis.cautions import Cautions
from nanolab.quantities import Quantity
from plans.photothermal.balance import analyze
from plans.photothermal.conditions import Conditions
from plans.photothermal.curve import HeatingCurve
from plans.photothermal.result import PhotothermalResult
from plans.photothermal.wall import coupling_rates, split_wall

LIQUID, WALL = 4.18, 1.2
COUPLING, LIQUID_LOSS, WALL_LOSS = 0.05, 0.012, 0.012
TIME = np.arange(-120.0, 4000.0, 2.0)
OFF = 2000.0


def heated(liquid: float, wall: float, coupling: float, liquid_loss: float, wall_loss: float) -> npt.NDArray[Any]:
    """Rise of the liquid in K (matrix exponential of the two nodes, step by step) under 0.3 W until OFF."""
    matrix = np.array(
        [[-(coupling + liquid_loss) / liquid, coupling / liquid], [coupling / wall, -(coupling + wall_loss) / wall]]
    )
    step = expm(matrix * 2.0)
    driven = np.linalg.solve(matrix, (step - np.eye(2)) @ np.array([0.3 / liquid, 0.0]))
    state, out = np.zeros(2), []
    for time in TIME:
        out.append(state[0])
        state = step @ state + (driven if 0.0 <= time < OFF else 0.0)
    return np.array(out)


def curve(rise: npt.NDArray[Any]) -> HeatingCurve:
    noise = np.random.default_rng(0).normal(0.0, 0.002, TIME.size)
    on = (TIME >= 0.0) & (TIME < OFF)
    switches = ((0.0, True), (OFF, False))
    return HeatingCurve(TIME, 25.0 + rise + noise, on, np.ones(TIME.size, dtype=bool), switches=switches)


@pytest.fixture(scope="module")
def result() -> PhotothermalResult:
    rise = heated(LIQUID, WALL, COUPLING, LIQUID_LOSS, WALL_LOSS)
    one = Quantity(1.0, "1", 0.0)
    known = Conditions(
        power=Quantity(1.0, "W", 0.0),
        absorbance=one,
        window=one,
        liquid_heat_capacity=Quantity(LIQUID, "J/K", 0.02),
        wall_heat_capacity=Quantity(WALL, "J/K", 0.05),
    )
    return analyze(curve(rise), known)


def test_the_profile_over_the_walls_heat_capacity_is_flat() -> None:
    """Walls that differ by a third give one and the same curve to 1e-9 K: the curve cannot tell them apart."""
    truth = heated(LIQUID, WALL, COUPLING, LIQUID_LOSS, WALL_LOSS)
    a, d = (COUPLING + LIQUID_LOSS) / LIQUID, (COUPLING + WALL_LOSS) / WALL
    p1, p2 = np.roots([1.0, a + d, a * d - COUPLING**2 / (LIQUID * WALL)]) * -1.0
    for other in (0.8 * WALL, 0.9 * WALL, 1.2 * WALL):
        k, g, g_w = coupling_rates(np.array(p1), np.array(p2), np.array(d), np.array(LIQUID / other))
        again = heated(LIQUID, other, float(k) * LIQUID, float(g) * LIQUID, float(g_w) * other)
        assert np.max(np.abs(again - truth)) < 1e-9
        assert float(k) * LIQUID != pytest.approx(COUPLING, rel=0.03)


def test_the_wall_is_null_and_said_so_without_its_heat_capacity(result: PhotothermalResult) -> None:
    found = result.estimate.two_node
    cautions = Cautions()
    liquid, wall = Quantity(LIQUID, "J/K", 0.02), Quantity(WALL, "J/K", 0.05)
    assert split_wall(found, liquid, None, cautions) is None
    assert split_wall(found, liquid, Quantity(WALL, "J/K"), cautions) is None
    assert split_wall(found, None, wall, cautions) is None
    assert len(cautions) == 0
    unknown = analyze(curve(heated(LIQUID, WALL, COUPLING, LIQUID_LOSS, WALL_LOSS)), Conditions())
    document = unknown.to_json()
    assert document["two_node"]["wall"] is None
    assert "two_node.wall" in [note["quantity"] for note in document["notes"]]


def test_with_both_heat_capacities_the_conductances_are_found(result: PhotothermalResult) -> None:
    wall = result.wall
    assert wall is not None
    for quantity, truth in ((wall.coupling, COUPLING), (wall.liquid_loss, LIQUID_LOSS), (wall.wall_loss, WALL_LOSS)):
        low, high = quantity.interval_95 or (np.nan, np.nan)
        assert low < truth < high
    assert wall.coupling.value == pytest.approx(COUPLING, rel=0.15)
    document = result.to_json()
    assert document["two_node"]["wall"]["coupling"]["unit"] == "W/K"
    assert "two_node.wall" not in [note["quantity"] for note in document["notes"]]


def test_heat_capacities_that_do_not_fit_give_a_caution_and_no_number(result: PhotothermalResult) -> None:
    cautions = Cautions()
    heavy = Quantity(40.0, "J/K", 0.1)
    assert split_wall(result.estimate.two_node, Quantity(LIQUID, "J/K", 0.02), heavy, cautions) is None
    assert cautions.codes == ["wall_impossible"]
