"""Rise against power: proportional where it is, bent where losses grow, silent where there is no series."""

import numpy as np
import pytest

from plans.photothermal.curve import HeatingCurve
from plans.photothermal.linearity import linearity_of


def series(powers: list[float], bend: float = 0.0) -> HeatingCurve:
    """Plateaus of 10 min at 30 K/W, the rise bent by `bend` per watt; fixed seed noise of 0.02 K."""
    rng = np.random.default_rng(3)
    time = np.arange(0.0, 300.0 + 1200.0 * len(powers))
    on = np.zeros(time.size, dtype=bool)
    power = np.full(time.size, 1e-4)
    rise = np.zeros(time.size)
    for index, value in enumerate(powers):
        lit = (time >= 300 + 1200 * index) & (time < 900 + 1200 * index)
        on |= lit
        power[lit] = value
        rise[lit] = 30.0 * value * (1.0 - bend * value)
    temperature = 22.0 + rise + 0.02 * rng.standard_normal(time.size)
    return HeatingCurve(time, temperature, on, np.ones(time.size, dtype=bool), power_w=power)


def test_a_proportional_series_gives_its_slope_and_no_departure() -> None:
    found = linearity_of(series([0.2, 0.4, 0.6]))
    assert found is not None
    assert [point["power_w"] for point in found["points"]] == pytest.approx([0.2, 0.4, 0.6])
    assert found["kelvin_per_watt"]["value"] == pytest.approx(30.0, rel=0.003)
    low, high = found["departure"]["interval_95"]
    assert low < 0.0 < high
    assert high - low < 0.03


def test_a_bent_series_departs_by_what_it_is_bent() -> None:
    found = linearity_of(series([0.2, 0.6], bend=0.25))
    assert found is not None
    # (1 - 0.15) / (1 - 0.05) - 1
    assert found["departure"]["value"] == pytest.approx(-0.105, abs=0.01)
    assert found["departure"]["interval_95"][1] < 0.0


def test_one_power_is_no_series() -> None:
    assert linearity_of(series([0.5, 0.5])) is None
