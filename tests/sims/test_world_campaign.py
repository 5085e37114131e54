import time

import numpy as np
import pytest

from sims.world import World, WorldConfig
from sims.world.campaign import Segment, record_run, without_errors
from sims.world.heater import heater_calibration

PROGRAM = [Segment(60.0, cuvette="sample"), Segment(120.0, 0.5), Segment(60.0, cadence_s=2.0)]


def test_a_run_is_what_the_world_shows_read_by_hand() -> None:
    run = record_run(WorldConfig(), 4, PROGRAM, noise_k=0.01)
    assert run.time_s[[0, 60, 180, -1]] == pytest.approx([0.0, 60.0, 180.0, 240.0])
    assert len(run.time_s) == 60 + 120 + 31
    assert run.laser_on.tolist() == [60 <= t < 180 for t in run.time_s]
    assert np.bincount(run.segment).tolist() == [60, 120, 31]
    world = World(WorldConfig(), 4)
    world.load("sample")
    world.set_diode(0.0, 25.0)
    by_hand = []
    for t in range(61):
        world.advance_to(float(t))
        if t == 60:
            world.set_diode(0.287 + (0.5 - 0.001) / 0.915, 25.0)
        by_hand.append(world.read_temperature("sample", 0.01))
    assert run.sample_c[:61].tolist() == by_hand
    assert run.meter_w[179] == pytest.approx(0.5 * 0.04 * 1.02, rel=0.02)
    assert run.world.time_s == 240.0


def test_current_and_case_can_be_given_instead() -> None:
    run = record_run(without_errors(WorldConfig()), 1, [Segment(5.0, current_a=1.287, case_c=35.0)])
    assert run.world.laser_power_w() == pytest.approx(0.916)
    assert run.world.truth()["laser"]["wavelength_nm"] == pytest.approx(810.8)


@pytest.mark.parametrize(
    "part", [Segment(0.0), Segment(10.0, cadence_s=0.0), Segment(10.0, 9.0), Segment(1.0, cuvette="x")]
)
def test_impossible_programs_are_refused(part: Segment) -> None:
    with pytest.raises(ValueError, match=r"must be positive|gives between|no cuvette"):
        record_run(WorldConfig(), 1, [part])


def test_fast_enough_for_campaigns() -> None:
    program = [Segment(300.0, cuvette="sample"), Segment(1400.0, 0.5), Segment(1300.0)]
    record_run(WorldConfig(), 1, PROGRAM)
    best = min(_seconds(program) for _ in range(3))
    # about 0.11 s on an idle core; generous, since the machine is shared
    assert best < 0.6


def _seconds(program: list[Segment]) -> float:
    begun = time.process_time()
    record_run(WorldConfig(), 1, program, noise_k=0.01)
    return time.process_time() - begun


def test_the_heater_finds_the_conductances_and_more_than_liquid_and_wall() -> None:
    sealed = WorldConfig().replaced({"evaporation.area_m2": 0.0, "cuvette.wall_air_rise_per_k": 0.0})
    found = heater_calibration(sealed, heat_s=6000.0)
    outward = 0.012 + 1.0 / (1.0 / 0.010 + 1.0 / 0.050)
    loss = 0.001 + 1.0 / (1.0 / 0.20 + 1.0 / outward)
    assert found.heat_loss_w_per_k == pytest.approx(loss, rel=1e-5)
    liquid_and_wall = 4.18 * 0.99 + 1.23
    assert liquid_and_wall < found.heat_capacity_j_per_k < liquid_and_wall + 1.0
    assert found.heat_capacity_j_per_k == pytest.approx(found.time_constant_s * found.heat_loss_w_per_k)


def test_the_default_heater_is_at_its_plateau_and_about_as_warm_as_the_example_run() -> None:
    found = heater_calibration(WorldConfig())
    longer = heater_calibration(WorldConfig(), heat_s=4800.0)
    assert 15.0 < found.temperature_rise_k < 18.0
    assert found.heat_loss_w_per_k == pytest.approx(longer.heat_loss_w_per_k, rel=2e-3)
    small = heater_calibration(WorldConfig().replaced({"cuvette.volume_ml": 0.05}))
    assert 1.2 < small.heat_capacity_j_per_k < 2.5


def test_the_heater_does_not_depend_on_instruments_or_particles() -> None:
    assert heater_calibration(without_errors(WorldConfig())) == heater_calibration(
        WorldConfig().replaced({"photothermal.efficiency": 0.3, "thermocouple.gain": 1.1})
    )


@pytest.mark.parametrize("numbers", [{"power_w": 0.0}, {"cool_s": -1.0}, {"heat_s": 0.0}])
def test_a_heater_needs_positive_numbers(numbers: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        heater_calibration(WorldConfig(), **numbers)


def test_a_short_cooling_gives_no_time_constant() -> None:
    with pytest.raises(ValueError, match="longer cool_s"):
        heater_calibration(WorldConfig(), cool_s=30.0)


BROKEN: dict[str, dict[str, object]] = {
    "open vessel": {"evaporation.mass_transfer_m_per_s": 4e-3, "evaporation.area_m2": 1e-4},
    "sensor in the beam": {"thermocouple.beam_heating_k_per_w": 10.0},
    "unstirred": {"stirring.on": False},
    "drifting ambient": {"ambient.drift_k_per_h": 3.0},
    "degrading": {"photothermal.bleaching_per_joule": 4e-4},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_assumption_shows_in_the_readings(name: str) -> None:
    program = [Segment(300.0, cuvette="sample"), Segment(1400.0, 0.5), Segment(1300.0)]
    good = record_run(WorldConfig(), 11, program)
    bad = record_run(WorldConfig().replaced(BROKEN[name]), 11, program)
    difference = bad.sample_c - good.sample_c
    # far above the thermometer's noise of 0.03 K, somewhere in the run
    assert np.max(np.abs(difference)) > 0.6
    heating = good.segment == 1
    if name == "sensor in the beam":
        assert difference[heating][4] > 3.0
    if name == "open vessel":
        assert bad.world.truth()["volume_ml"] < 0.97
        assert difference[heating][-1] < -1.0
    if name == "unstirred":
        assert np.std(np.diff(bad.sample_c[heating][-300:])) > 1.5 * np.std(np.diff(good.sample_c[heating][-300:]))
    if name == "drifting ambient":
        assert bad.ambient_c[-1] - bad.ambient_c[0] > 2.0
    if name == "degrading":
        assert bad.world.truth()["photothermal"]["intact"] < 0.9
        assert bad.sample_c[heating][-1] < np.max(bad.sample_c[heating]) - 0.15
