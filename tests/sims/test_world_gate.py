"""The contact in the laser's loop and the shutter in its beam, as the world has them."""

import math

import pytest

from sims.world import World, WorldConfig

CURRENT_A = 0.83


def lit_world() -> World:
    world = World(WorldConfig(), 3)
    world.set_diode(CURRENT_A, 25.0)
    world.advance_to(10.0)
    return world


def test_an_open_gate_lets_no_current_flow_and_a_closed_one_what_was_set() -> None:
    world = lit_world()
    before = world.laser_power_w()
    assert before == pytest.approx(0.5, rel=0.03)
    world.set_gate(False)
    assert world.laser_power_w() == 0.0
    assert world.diode_voltage_v() == 0.0
    assert world.truth()["laser"]["emitting"] is False
    world.set_diode(0.9, 26.0)
    assert world.laser_power_w() == 0.0, "what is set meanwhile does not flow"
    world.set_gate(True)
    world.advance_to(20.0)
    assert world.laser_power_w() > before
    assert world.truth()["laser"]["case_c"] == 26.0


def test_an_open_gate_hides_no_mistake() -> None:
    world = lit_world()
    world.set_gate(False)
    for wrong in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="diode current"):
            world.set_diode(wrong, 25.0)
    world.set_gate(True)
    assert world.truth()["laser"]["current_a"] == CURRENT_A


def test_a_closed_shutter_keeps_the_light_from_everything_but_the_diode() -> None:
    world, dark = lit_world(), World(WorldConfig(), 3)
    dark.advance_to(10.0)
    heated = world.read_temperature("sample") - dark.read_temperature("sample")
    world.set_shutter(False)
    assert world.laser_power_w() == 0.0
    assert world.truth()["laser"]["emitting"] is True, "the diode emits behind it"
    assert world.photodiode_power_w() > 0.4, "the controller's photodiode is in front of it"
    world.advance_to(1500.0)
    dark.advance_to(1500.0)
    assert world.truth()["liquid_c"] - dark.truth()["liquid_c"] < 0.2 * max(heated, 1.0)
    assert abs(world.read_meter_power(808.0)) < 1e-3
    world.set_shutter(True)
    world.set_shutter(True)
    assert world.laser_power_w() > 0.4
    world.advance_to(1510.0)
    assert world.read_meter_power(808.0) > 0.015
