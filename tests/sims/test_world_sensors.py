import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from sims.world import World, WorldConfig
from sims.world.campaign import without_errors
from sims.world.noise import CorrelatedNoise, generator
from sims.world.sensors import lagged, lagged_ramp


@given(st.floats(0.05, 20.0), st.floats(0.01, 2.0), st.floats(-5.0, 5.0))
def test_lag_is_exact_for_a_ramp(lag: float, step: float, slope: float) -> None:
    exact = solve_ivp(
        lambda t, m: (20.0 + slope * t - m) / lag, (0.0, step), [21.0], rtol=1e-10, atol=1e-10, method="LSODA"
    )
    assert lagged_ramp(21.0, 20.0, 20.0 + slope * step, step, lag) == pytest.approx(exact.y[0, -1], abs=1e-6)


def test_lag_in_the_limits() -> None:
    assert lagged(1.0, 3.0, 0.5, 0.0) == 3.0
    assert lagged(1.0, 3.0, 2.0, 2.0) == pytest.approx(3.0 - 2.0 * math.exp(-1.0))
    assert lagged_ramp(1.0, 3.0, 4.0, 0.5, 0.0) == 4.0
    assert lagged_ramp(1.0, 3.0, 4.0, 0.0, 2.0) == 1.0
    # exponentials do not run into subnormal numbers
    assert lagged(1e-17, 0.0, 100.0, 1.0) == 0.0


def test_correlated_noise_has_its_size_and_memory_and_depends_on_time_only() -> None:
    noise = CorrelatedNoise(0.03, 5.0, generator(1, "a"))
    values = np.array([noise.at(float(t)) for t in range(20000)])
    assert np.std(values) == pytest.approx(0.03, rel=0.05)
    assert np.corrcoef(values[:-5], values[5:])[0, 1] == pytest.approx(math.exp(-1.0), abs=0.05)
    again = CorrelatedNoise(0.03, 5.0, generator(1, "a"))
    assert [again.at(float(t)) for t in (700, 3, 9000)] == [values[700], values[3], values[9000]]
    assert CorrelatedNoise(0.0, 5.0, generator(1, "a")).at(3.0) == 0.0
    assert CorrelatedNoise(0.03, 5.0, generator(1, "b")).at(3.0) != values[3]


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        World(WorldConfig(), -1)


def test_gain_offset_and_white_noise_of_a_thermometer() -> None:
    config = without_errors(WorldConfig()).replaced(
        {"thermocouple.gain": 1.02, "thermocouple.sample_offset_k": 0.3, "ambient.temperature_c": 35.0}
    )
    world = World(config, 1)
    assert world.read_temperature("sample", 0.0) == pytest.approx(25.0 + 1.02 * 10.0 + 0.3)
    assert world.read_temperature("ambient", 0.0) == pytest.approx(35.2)
    assert world.read_temperature("holder", 0.0) == pytest.approx(35.2)
    noisy = np.array([world.read_temperature("holder", 0.1) for _ in range(3000)])
    assert np.std(noisy) == pytest.approx(0.1, rel=0.05)
    with pytest.raises(ValueError, match="no probe 'sampel': did you mean 'sample'"):
        world.read_temperature("sampel")


def test_a_probe_in_the_beam_jumps_at_once() -> None:
    beam = without_errors(WorldConfig()).replaced({"thermocouple.beam_heating_k_per_w": 10.0})
    jumps = []
    for config in (beam, without_errors(WorldConfig())):
        world = World(config, 1)
        world.set_diode(0.832, 25.0)
        world.advance_to(6.0)
        jumps.append(world.read_temperature("sample"))
    assert jumps[0] - jumps[1] == pytest.approx(5.0 * (1.0 - math.exp(-3.0)), rel=0.01)


def test_without_stirring_the_reading_wanders_only_while_hot() -> None:
    changes = {"stirring.on": False, "thermocouple.noise_k": 0.0}
    world = World(WorldConfig().replaced(changes), 2)
    cold = np.array([_next(world) for _ in range(200)])
    world.set_diode(0.832, 25.0)
    world.advance_to(1500.0)
    hot = np.array([_next(world) for _ in range(600)])
    assert np.std(np.diff(cold)) < 0.005
    assert np.std(np.diff(hot)) > 0.03


def _next(world: World) -> float:
    world.advance_to(world.time_s + 1.0)
    return world.read_temperature("sample")


@pytest.mark.parametrize(
    ("position", "share"),
    [
        ("sample_plane", 1.0),
        ("pickoff", 0.04),
        ("behind_cuvette", 0.962**2 * math.exp(-0.9 * math.log(10) - 0.0204)),
    ],
)
def test_the_meter_reads_what_reaches_its_place(position: str, share: float) -> None:
    config = without_errors(WorldConfig()).replaced({"powermeter.position": position})
    world = World(config, 1)
    world.set_diode(0.832, 25.0)
    world.advance_to(15.0)
    assert world.meter_position == position
    assert world.read_meter_power(808.0) == pytest.approx(share * world.laser_power_w(), rel=2e-4)


def test_the_ratio_behind_sample_and_blank_is_the_live_absorbance() -> None:
    config = without_errors(WorldConfig()).replaced({"evaporation.area_m2": 0.0})
    world = World(config, 1)
    world.meter_position = "behind_cuvette"
    seen = {}
    for cuvette in ("sample", "blank"):
        world.load(cuvette)
        world.set_diode(0.832, 25.0)
        world.advance_to(world.time_s + 30.0)
        seen[cuvette] = world.read_meter_power(808.0)
    assert -math.log10(seen["sample"] / seen["blank"]) == pytest.approx(0.90, abs=1e-4)


def test_gain_zero_noise_lag_and_wavelength_of_the_meter() -> None:
    config = without_errors(WorldConfig()).replaced(
        {
            "powermeter.gain": 1.05,
            "powermeter.zero_w": 1e-3,
            "powermeter.position": "sample_plane",
            "powermeter.responsivity_per_nm": 1e-3,
            "powermeter.head_s": 2.0,
        }
    )
    world = World(config, 1)
    assert world.read_meter_power(808.0) == pytest.approx(1e-3)
    world.set_diode(0.832, 25.0)
    world.advance_to(2.0)
    power = world.laser_power_w()
    assert world.read_meter_power(808.0) == pytest.approx(1.05 * power * (1.0 - math.exp(-1.0)) + 1e-3)
    world.advance_to(60.0)
    assert world.read_meter_power(818.0) == pytest.approx(1.05 * 1.01 * power + 1e-3)
    noisy = World(WorldConfig().replaced({"powermeter.noise_w": 1e-3}), 1)
    readings = np.array([noisy.read_meter_power(808.0) for _ in range(3000)])
    assert np.std(readings) == pytest.approx(1e-3, rel=0.05)


def test_a_head_in_the_beam_can_shadow_the_cuvette() -> None:
    config = without_errors(WorldConfig()).replaced(
        {"powermeter.head_blocks_beam": True, "powermeter.position": "sample_plane"}
    )
    world = World(config, 1)
    world.set_diode(0.832, 25.0)
    world.advance_to(60.0)
    assert world.truth()["liquid_c"] <= 22.5
    assert world.read_meter_power(808.0) == pytest.approx(0.5, rel=0.01)
    world.meter_position = "pickoff"
    world.advance_to(120.0)
    assert world.truth()["liquid_c"] > 24.0
    with pytest.raises(ValueError, match="no position 'behind': did you mean 'behind_cuvette'"):
        world.meter_position = "behind"
