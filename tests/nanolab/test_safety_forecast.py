"""The forecast: exact on what it models, honest about noise, and a line where there is too little to fit."""

import math

import numpy as np
import pytest

from nanolab.safety.forecast import RATES_PER_S, Forecast, extrapolate
from nanolab.safety.limits import RunLimits
from nanolab.safety.readings import ChannelReading, LaserReading
from nanolab.safety.rules import Finding
from nanolab.safety.scene import Moment, Scene

LIMITS = RunLimits(2.0, 60.0, 1e6, 1e6)


@pytest.mark.parametrize("rate", RATES_PER_S[[0, 3, 6, 9]])
def test_a_mode_of_the_range_is_continued_exactly(rate: float) -> None:
    readings = [(float(t), 60.0 - 20.0 * math.exp(-rate * t)) for t in range(61)]
    coming, u = extrapolate(readings, 6.0)
    assert coming == pytest.approx(60.0 - 20.0 * math.exp(-rate * 66.0), abs=1e-6)
    assert u < 1e-5


def test_the_uncertainty_covers_what_noise_does() -> None:
    rate, misses = 1.0 / 275.0, []
    for seed in range(300):
        noise = np.random.default_rng(seed).normal(0.0, 0.05, 61)
        readings = [(float(t), 60.0 - 20.0 * math.exp(-rate * t) + noise[t]) for t in range(61)]
        coming, u = extrapolate(readings, 6.0)
        misses.append((coming - 60.0 + 20.0 * math.exp(-rate * 66.0)) / u)
    # a standard uncertainty that is one; 300 series know their spread to 4 %
    assert float(np.std(misses)) == pytest.approx(1.0, abs=0.12)
    assert abs(float(np.mean(misses))) < 0.3


class Run:
    """A scene that is fed by hand: laser on at 0 s, one reading at a time."""

    def __init__(self, power_w: float = 1.0) -> None:
        self.scene = Scene(LIMITS)
        self.scene.take_laser(LaserReading(True, power_w, 0.0, 0.0, announced=True))
        self.now_s = 0.0

    def read(self, time_s: float, value_c: float) -> Finding | None:
        self.now_s = time_s
        self.scene.take_temperatures([ChannelReading("sample", value_c, True, "", time_s, time_s)])
        return Forecast(60.0, 5.0).look(self.scene, Moment(time_s, time_s))


def test_nothing_is_forecast_from_the_first_readings() -> None:
    run = Run()
    assert [run.read(float(t), 59.9) for t in range(7)] == [None] * 7  # the probe lags for three seconds


def test_a_line_is_drawn_where_the_power_has_just_changed() -> None:
    run = Run()
    for t in range(41):
        assert run.read(float(t), 40.0 + 0.1 * t) is None
    run.scene.take_laser(LaserReading(True, 2.0, 40.0, 40.0))
    found = None
    for t in range(41, 60):
        found = run.read(float(t), 44.0 + 1.5 * (t - 40))
        if found is not None:
            break
    assert found is not None
    # at 1.5 K/s six seconds are nine kelvin
    assert 50.0 <= 44.0 + 1.5 * (run.now_s - 40) <= 53.0
    assert "expected at" in found.text


def test_readings_that_come_seldom_are_looked_ahead_of_by_their_own_interval() -> None:
    run = Run()
    found = None
    for t in range(0, 600, 20):
        found = run.read(float(t), 30.0 + 0.1 * t)
        if found is not None:
            break
    assert found is not None
    # 25 s ahead at 0.1 K/s: it trips at the reading before the one that would be above
    assert run.now_s == 280.0


def test_a_line_from_seldom_readings_after_a_change_of_power() -> None:
    run = Run()
    for t in range(0, 200, 20):
        assert run.read(float(t), 30.0) is None
    run.scene.take_laser(LaserReading(True, 2.0, 180.0, 180.0))
    assert run.read(200.0, 45.0) is not None


def test_a_sample_at_rest_below_the_limit_is_left_alone() -> None:
    run = Run()
    assert {run.read(float(t), 59.5) for t in range(200)} == {None}


def test_nothing_is_forecast_while_the_laser_is_off() -> None:
    run = Run()
    for t in range(20):
        run.read(float(t), 30.0)
    run.scene.take_laser(LaserReading(False, 0.0, 20.0, 20.0))
    assert run.read(21.0, 59.99) is None
