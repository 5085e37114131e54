import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sims.world.laser import DiodeLaser
from sims.world.sections import Laser

STEADY = Laser(drift=0.0, warm_up_droop=0.0, turn_on_s=0.0, fast_noise=0.0)


def test_threshold_line_and_roll_over() -> None:
    laser = DiodeLaser(STEADY, 1)
    assert laser.steady_power_w(0.0) == 0.0
    assert laser.steady_power_w(0.287 / 2) == pytest.approx(0.0005)
    assert laser.steady_power_w(1.287) == pytest.approx(0.916)
    assert laser.steady_power_w(50.0) == 2.3


@given(st.floats(0.0, 2.3))
def test_current_for_is_the_inverse(power_w: float) -> None:
    laser = DiodeLaser(STEADY, 1)
    assert laser.steady_power_w(laser.current_for(power_w)) == pytest.approx(power_w, abs=1e-12)


@pytest.mark.parametrize("power_w", [-0.1, 2.31, math.nan])
def test_powers_it_cannot_give_are_refused(power_w: float) -> None:
    with pytest.raises(ValueError, match=r"gives between 0 and 2\.3 W"):
        DiodeLaser(STEADY, 1).current_for(power_w)


@pytest.mark.parametrize(("current", "case"), [(-0.1, 25.0), (math.nan, 25.0), (math.inf, 25.0), (1.0, math.nan)])
def test_impossible_settings_are_refused(current: float, case: float) -> None:
    with pytest.raises(ValueError, match="diode current"):
        DiodeLaser(STEADY, 1).set_diode(0.0, current, case)


def test_light_rises_slowly_and_falls_at_once() -> None:
    laser = DiodeLaser(Laser(drift=0.0, warm_up_droop=0.0, turn_on_s=0.02), 1)
    laser.set_diode(10.0, 1.287, 25.0)
    assert laser.power_at(10.0) == 0.0
    assert laser.power_at(10.02) == pytest.approx(0.916 * (1.0 - math.exp(-1.0)))
    # what is missing of the energy is power times the time constant
    assert laser.mean_power(10.0, 11.0) == pytest.approx(0.916 * (1.0 - 0.02), rel=1e-9)
    parts = 0.3 * laser.mean_power(10.0, 10.3) + 0.7 * laser.mean_power(10.3, 11.0)
    assert parts == pytest.approx(laser.mean_power(10.0, 11.0), rel=1e-12)
    laser.set_diode(12.0, 0.787, 25.0)
    assert laser.power_at(12.0) == pytest.approx(0.4585)
    laser.set_diode(13.0, 0.0, 25.0)
    assert laser.power_at(13.0) == 0.0
    assert laser.mean_power(13.0, 14.0) == 0.0
    assert not laser.emitting


def test_it_droops_while_warm_and_recovers_cold() -> None:
    laser = DiodeLaser(Laser(drift=0.0, turn_on_s=0.0, warm_up_droop=0.02, warm_up_s=100.0), 1)
    laser.set_diode(0.0, 1.287, 25.0)
    assert laser.power_at(0.0) == pytest.approx(0.916)
    assert laser.power_at(100.0) == pytest.approx(0.916 * (1.0 - 0.02 * (1.0 - math.exp(-1.0))))
    assert laser.power_at(5000.0) == pytest.approx(0.916 * 0.98)
    laser.set_diode(5000.0, 0.0, 25.0)
    laser.set_diode(5100.0, 1.287, 25.0)
    assert laser.power_at(5100.0) == pytest.approx(0.916 * (1.0 - 0.02 * math.exp(-1.0)))


def test_drift_is_as_large_and_as_slow_as_told() -> None:
    laser = DiodeLaser(Laser(drift=0.01, drift_correlation_s=60.0, warm_up_droop=0.0, turn_on_s=0.0), 3)
    laser.set_diode(0.0, 1.287, 25.0)
    relative = np.array([laser.power_at(6.0 * i) for i in range(20000)]) / 0.916 - 1.0
    assert np.std(relative) == pytest.approx(0.01, rel=0.05)
    assert np.corrcoef(relative[:-10], relative[10:])[0, 1] == pytest.approx(math.exp(-1.0), abs=0.05)


def test_the_line_moves_with_the_case_and_the_current_counts_once() -> None:
    laser = DiodeLaser(STEADY, 1)
    laser.set_diode(0.0, 1.0, 25.0)
    laser.set_diode(5.0, 1.0, 30.0)
    assert laser.wavelength_nm == pytest.approx(808.0 + 0.28 * 5.0)
    assert laser.power_at(5.0) == pytest.approx(laser.steady_power_w(1.0))
    assert laser.voltage() == pytest.approx(1.52 - 0.01 + 0.14)
    laser.set_diode(6.0, 0.0, 25.0)
    assert laser.voltage() == 0.0


def test_the_monitor_is_wrong_by_its_gain_and_flickers() -> None:
    laser = DiodeLaser(Laser(drift=0.0, warm_up_droop=0.0, turn_on_s=0.0, fast_noise=0.01), 1)
    laser.set_diode(0.0, 1.287, 25.0)
    seen = np.array([laser.monitor_w(1.0) for _ in range(2000)])
    assert np.mean(seen) == pytest.approx(0.916 * 1.03, rel=0.001)
    assert np.std(seen) / np.mean(seen) == pytest.approx(0.01, rel=0.1)
