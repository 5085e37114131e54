import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sims.world
from sims.world import World, WorldConfig
from sims.world.campaign import Segment, record_run, without_errors

ON_A = 0.832


def temperatures(world: World) -> tuple[float, ...]:
    truth = world.truth()
    return tuple(truth[f"{node}_c"] for node in ("liquid", "wall", "holder", "probe"))


def play(world: World, times: list[float]) -> dict[float, tuple[float, float, float]]:
    """Advance through `times` with the laser on from 20 s to 70 s, reading at each of them."""
    seen = {}
    for time in sorted({*times, 20.0, 70.0}):
        world.advance_to(time)
        if time in (20.0, 70.0):
            world.set_diode(ON_A if time == 20.0 else 0.0, 25.0)
        readings = world.read_temperature("sample", 0.01), world.read_temperature("ambient", 0.0)
        seen[time] = (*readings, temperatures(world)[0])
    return seen


def test_the_package_knows_no_other_names() -> None:
    wrong = "Wrold"
    with pytest.raises(AttributeError, match="has no attribute 'Wrold'"):
        getattr(sims.world, wrong)


def test_time_starts_at_zero_and_never_goes_back() -> None:
    world = World(WorldConfig(), 1)
    assert world.time_s == 0.0
    world.advance_to(3.2)
    world.advance_to(3.2)
    assert world.time_s == 3.2
    for wrong in (3.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"lab time cannot go from 3\.2 s"):
            world.advance_to(wrong)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.0, 119.0, allow_nan=False), min_size=1, max_size=20))
def test_slicing_does_not_change_what_happens(times: list[float]) -> None:
    config = WorldConfig()
    sliced, whole = World(config, 7), World(config, 7)
    play(sliced, times)
    play(whole, [])
    for world in (sliced, whole):
        world.advance_to(120.3)
    assert temperatures(sliced) == temperatures(whole)
    assert sliced.read_temperature("ambient", 0.0) == whole.read_temperature("ambient", 0.0)


def test_reading_between_nodes_agrees_with_stopping_there() -> None:
    config = without_errors(WorldConfig())
    read, acted = World(config, 1), World(config, 1)
    for world in (read, acted):
        world.set_diode(ON_A, 25.0)
        world.advance_to(10.13)
    acted.meter_position = "behind_cuvette"
    for world in (read, acted):
        world.advance_to(40.0)
    assert temperatures(read) == pytest.approx(temperatures(acted), abs=1e-7)


def test_the_same_seed_gives_the_same_readings_and_another_does_not() -> None:
    first, again, other = (play(World(WorldConfig(), seed), [5.5, 30.0, 90.0]) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_reading_one_quantity_more_often_leaves_the_others_alone() -> None:
    plain, greedy = World(WorldConfig(), 5), World(WorldConfig(), 5)
    for _ in range(50):
        greedy.read_temperature("ambient", 0.05)
        greedy.photodiode_power_w()
        greedy.read_counts(0.01, True)
    for world in (plain, greedy):
        world.advance_to(12.0)
    assert plain.read_temperature("sample", 0.05) == greedy.read_temperature("sample", 0.05)
    assert plain.read_meter_power(808.0) == greedy.read_meter_power(808.0)


def test_loading_brings_fresh_liquid_at_air_temperature_into_a_warm_holder() -> None:
    world = World(without_errors(WorldConfig()), 1)
    world.set_diode(ON_A, 25.0)
    world.advance_to(900.0)
    before = world.truth()
    assert before["liquid_c"] > 35.0
    world.load("blank")
    after = world.truth()
    assert after["liquid_c"] == after["wall_c"] == pytest.approx(22.5)
    assert after["holder_c"] == before["holder_c"] > 23.0
    assert after["volume_ml"] == 0.99 > before["volume_ml"]
    assert world.cuvette == after["cuvette"] == "blank"
    world.load("empty")
    assert world.truth()["volume_ml"] == 0.0
    assert world.truth()["laser"]["emitting"]
    with pytest.raises(ValueError, match="no cuvette 'sampel': did you mean 'sample'"):
        world.load("sampel")


def test_blank_and_empty_warm_far_less_than_the_sample() -> None:
    rises = {}
    for cuvette in ("sample", "blank", "empty", "reference"):
        run = record_run(without_errors(WorldConfig()), 1, [Segment(1200.0, 0.5, cuvette=cuvette)])
        rises[cuvette] = run.sample_c[-1] - 22.5
    assert rises["sample"] == pytest.approx(15.0, abs=1.5)
    assert 0.3 < rises["blank"] < 0.8
    assert rises["blank"] == rises["reference"]
    assert 0.0 < rises["empty"] < 0.2


def test_the_sample_stays_as_degraded_as_it_is_through_a_refill() -> None:
    config = without_errors(WorldConfig()).replaced({"photothermal.bleaching_per_joule": 1e-3})
    world = World(config, 1)
    world.set_diode(ON_A, 25.0)
    world.advance_to(200.0)
    intact = world.truth()["photothermal"]["intact"]
    assert intact == pytest.approx(math.exp(-1e-3 * 200.0 * world.laser_power_w()), rel=1e-3)
    world.load("blank")
    world.advance_to(400.0)
    world.load("sample")
    assert world.truth()["photothermal"]["intact"] == intact
    assert world.absorbance() == pytest.approx(0.9 * intact, rel=2e-3)


def test_ageing_by_heat_and_the_shift_of_the_spectrum() -> None:
    config = without_errors(WorldConfig()).replaced(
        {"photothermal.bleaching_per_joule": 0.0, "photothermal.ageing_per_kelvin_second": 4e-6}
    )
    world = World(config, 1)
    world.advance_to(500.0)
    assert world.truth()["photothermal"]["intact"] == pytest.approx(1.0, abs=1e-6)
    fresh = world.read_counts(0.02, True, 10000)
    world.set_diode(ON_A, 25.0)
    world.advance_to(1700.0)
    assert 0.93 < world.truth()["photothermal"]["intact"] < 0.97
    world.set_diode(0.0, 25.0)
    ratio = (world.read_counts(0.02, True, 10000) - 1505.0) / (fresh - 1505.0)
    gained = np.log10(ratio)
    near = {nm: float(np.interp(nm, world.wavelengths_nm, gained)) for nm in (760.0, 860.0)}
    # the peak fades and moves to the blue: more is lost on the red side
    assert near[860.0] > near[760.0] > 0.0


def test_evaporation_concentrates_the_sample() -> None:
    config = without_errors(WorldConfig()).replaced(
        {
            "evaporation.mass_transfer_m_per_s": 4e-3,
            "evaporation.area_m2": 1e-4,
            "photothermal.bleaching_per_joule": 0.0,
        }
    )
    world = World(config, 1)
    world.set_diode(ON_A, 25.0)
    world.advance_to(1800.0)
    truth = world.truth()
    assert 0.9 < truth["volume_ml"] < 0.98
    assert truth["photothermal"]["absorbance"] == pytest.approx(0.90 * 0.99 / truth["volume_ml"], rel=1e-4)


def test_a_drifting_room_takes_its_thermometer_along() -> None:
    config = without_errors(WorldConfig()).replaced({"ambient.drift_k_per_h": 2.0})
    world = World(config, 1)
    world.advance_to(3600.0)
    assert world.truth()["ambient_c"] == pytest.approx(24.5)
    assert world.read_temperature("ambient") == pytest.approx(24.5, abs=0.02)
    assert 23.8 < world.read_temperature("sample") < 24.5


def test_the_truth_is_json_and_complete() -> None:
    world = World(WorldConfig(), 1)
    world.set_diode(ON_A, 27.0)
    world.advance_to(10.0)
    truth = json.loads(json.dumps(world.truth()))
    assert truth["laser"] == {
        "emitting": True,
        "power_w": pytest.approx(0.5, rel=0.03),
        "wavelength_nm": pytest.approx(808.56),
        "current_a": ON_A,
        "case_c": 27.0,
        "gate_closed": True,
        "shutter_open": True,
    }
    keys = {"liquid_c", "wall_c", "holder_c", "ambient_c", "probe_c", "volume_ml", "cuvette", "time_s"}
    assert keys <= truth.keys()
    photothermal = truth["photothermal"]
    assert photothermal["efficiency"] == 0.72
    taken = 0.962 * (1.0 - math.exp(-0.9 * math.log(10.0) - 0.0204)) * 0.9 * math.log(10.0)
    expected = 0.72 * taken / (0.9 * math.log(10.0) + 0.0204)
    assert photothermal["external_efficiency"] == pytest.approx(expected, rel=2e-3)
    assert photothermal["absorption_efficiency"] == pytest.approx(0.72 / (1.0 - photothermal["albedo"]))
    assert 5.0 < photothermal["heat_capacity_j_per_k"] < 6.0
    assert photothermal["time_constant_s"] == pytest.approx(
        photothermal["heat_capacity_j_per_k"] / photothermal["heat_loss_w_per_k"]
    )
    # truth of a blank: what the sample would be
    world.load("blank")
    assert world.truth()["photothermal"]["absorbance"] == pytest.approx(0.9, rel=0.01)


def test_off_is_off() -> None:
    world = World(WorldConfig(), 1)
    assert world.diode_voltage_v() == 0.0
    world.set_diode(ON_A, 25.0)
    world.advance_to(1.0)
    assert world.laser_power_w() > 0.45
    assert world.diode_voltage_v() == pytest.approx(1.52 + 0.14 * ON_A)
    assert world.photodiode_power_w() == pytest.approx(1.03 * world.laser_power_w(), rel=0.02)
    world.set_diode(0.0, 25.0)
    assert world.laser_power_w() == 0.0
    assert world.photodiode_power_w() == 0.0
    assert world.truth()["laser"]["emitting"] is False


def test_a_tiny_cuvette_takes_shorter_steps_and_stays_finite() -> None:
    config = WorldConfig().replaced({"cuvette.volume_ml": 0.03, "cuvette.wall_heat_capacity_j_per_k": 0.2})
    run = record_run(config, 1, [Segment(300.0, 0.1)])
    assert np.all(np.isfinite(run.sample_c))
    assert 24.0 < run.sample_c[-1] < 40.0


def test_repeating_the_same_current_changes_nothing() -> None:
    worlds = World(WorldConfig(), 2), World(WorldConfig(), 2)
    for index, world in enumerate(worlds):
        world.set_diode(ON_A, 26.0)
        for second in range(1, 31):
            world.advance_to(second + 0.3)
            if index:
                world.set_diode(ON_A, 26.0)
    assert temperatures(worlds[0]) == temperatures(worlds[1])
