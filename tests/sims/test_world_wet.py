"""The wet side of the world: charge balance against textbook numbers, dosing, the Peltier holder; and none of it unasked."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sims.world import World, WorldConfig
from sims.world.campaign import without_errors
from sims.world.chemistry import Solutes, fresh_solutes, ph_of
from sims.world.release_sections import Buffer

PLAIN = Buffer(concentration_mmol_per_l=10.0, pka=7.2, pka_per_k=0.0, initial_ph=7.2)
AREA_MM2 = 0.25 * math.pi * 8.70**2


def quiet(**changes: object) -> World:
    named = {key.replace("__", "."): value for key, value in changes.items()}
    config = without_errors(WorldConfig()).replaced({"evaporation.mass_transfer_m_per_s": 0.0, **named})
    return World(config, 1)


# --- chemistry


@pytest.mark.parametrize(
    ("solutes", "expected"),
    [
        (Solutes(0.0, 0.0), 6.9975),  # pure water at 25 degC: half of pKw 13.995
        (Solutes(0.0, -1e-2), 2.0),  # 10 mM strong acid
        (Solutes(0.0, 1e-2), 11.995),  # 10 mM strong base
        (Solutes(1e-2, 5e-3), 7.2),  # half neutralised: the pKa
        (Solutes(1e-2, 5e-3 * 20 / 11), 8.2),  # Henderson and Hasselbalch, ten to one
    ],
)
def test_ph_of_known_mixtures(solutes: Solutes, expected: float) -> None:
    # 2e-3: the share of water itself near the ends, left out of the textbook formulas
    assert ph_of(solutes, 1.0, 25.0, PLAIN) == pytest.approx(expected, abs=2e-3)


@given(st.floats(3.0, 11.0), st.floats(0.5, 200.0), st.floats(0.1, 5.0))
def test_a_fresh_fill_has_the_ph_that_the_world_says(ph: float, mmol_per_l: float, volume_ml: float) -> None:
    buffer = Buffer(concentration_mmol_per_l=mmol_per_l, initial_ph=ph)
    assert ph_of(fresh_solutes(buffer, volume_ml), volume_ml, 25.0, buffer) == pytest.approx(ph, abs=1e-9)


@given(st.floats(0.0, 0.02), st.floats(1e-4, 0.02))
def test_acid_only_ever_lowers_the_ph(first: float, more: float) -> None:
    weak, strong = fresh_solutes(PLAIN, 1.0)
    before = ph_of(Solutes(weak, strong - first), 1.0, 25.0, PLAIN)
    assert ph_of(Solutes(weak, strong - first - more), 1.0, 25.0, PLAIN) < before


def test_the_buffer_moves_with_temperature_as_its_pka_does() -> None:
    buffer = Buffer(pka=7.2, initial_ph=7.2, concentration_mmol_per_l=50.0)
    warm = ph_of(fresh_solutes(buffer, 1.0), 1.0, 45.0, buffer)
    # 1e-3: hydroxide of warm water
    assert warm - 7.2 == pytest.approx(20 * -0.0028, abs=1e-3)


# --- dosing


def test_a_titration_follows_the_charge_balance() -> None:
    world = quiet(buffer__pka_per_k=0.0, buffer__initial_ph=7.2, buffer__pka=7.2)
    world.fit_electrode()
    rate_ml_per_s = 0.002
    world.set_plunger(rate_ml_per_s * 1e3 / AREA_MM2)
    world.advance_to(10.0)
    world.set_plunger(0.0)
    world.advance_to(60.0)
    truth = world.truth()
    assert truth["dosing"]["dosed_ml"] == pytest.approx(0.02)
    assert truth["dosing"]["syringe_ml"] == pytest.approx(2.48)
    assert truth["volume_ml"] == pytest.approx(1.01)
    acid, total = 0.02 * 0.1, 0.99 * 0.01
    expected = 7.2 + math.log10((total / 2 - acid) / (total / 2 + acid))
    # 1e-3: Henderson and Hasselbalch leave out the little water
    assert truth["ph"] == pytest.approx(expected, abs=1e-3)
    assert truth["electrode_ph"] == pytest.approx(truth["ph"], abs=1e-6)


def test_dosing_dilutes_the_particles_and_withdrawing_does_not() -> None:
    world = quiet()
    fresh = world.absorbance()
    world.set_plunger(1e3 * 0.0099 / AREA_MM2)
    world.advance_to(10.0)
    world.set_plunger(0.0)
    diluted = world.absorbance()
    assert diluted == pytest.approx(fresh * 0.99 / 1.089)
    before = world.truth()
    world.set_plunger(-1e3 * 0.02 / AREA_MM2)
    world.advance_to(20.0)
    world.set_plunger(0.0)
    truth = world.truth()
    assert world.absorbance() == pytest.approx(diluted)
    assert truth["ph"] == pytest.approx(before["ph"], abs=1e-9)
    assert truth["volume_ml"] == pytest.approx(0.889)
    assert truth["dosing"]["held"] == pytest.approx(0.889 / 1.089)


def test_the_syringe_ends_the_cuvette_runs_over_and_air_is_no_liquid() -> None:
    world = quiet(dosing__syringe_ml=0.5, dosing__capacity_ml=1.2)
    world.set_plunger(1e3 * 0.1 / AREA_MM2)
    world.advance_to(20.0)
    truth = world.truth()
    assert truth["dosing"]["syringe_ml"] == 0.0
    assert world.plunger_travel_left_mm() == 0.0
    assert truth["volume_ml"] == pytest.approx(1.2)
    assert truth["dosing"]["spilled_ml"] == pytest.approx(0.99 + 0.5 - 1.2)
    world.set_plunger(-1e3 * 0.5 / AREA_MM2)
    world.advance_to(60.0)
    assert world.truth()["volume_ml"] == pytest.approx(0.05 * 0.99)
    assert world.truth()["dosing"]["syringe_ml"] == pytest.approx(1.2 - 0.05 * 0.99)


def test_what_is_dosed_comes_in_at_the_temperature_of_the_air() -> None:
    world = quiet(cuvette__wall_air_w_per_k=0.0)
    world.set_diode(0.832, 25.0)
    world.advance_to(600.0)
    world.set_diode(0.0, 25.0)
    before = world.truth()
    world.set_plunger(1e3 * 0.99 / AREA_MM2)
    world.advance_to(601.0)
    after = world.truth()
    air, volume = after["ambient_c"], before["volume_ml"]
    mixed = (before["liquid_c"] * volume + air * 0.99) / (volume + 0.99)
    # 0.3: what the wall gives back to the liquid within that second
    assert after["liquid_c"] == pytest.approx(mixed, abs=0.3)
    assert before["liquid_c"] - after["liquid_c"] > 4.0


def test_a_leak_and_an_empty_cuvette_lose_what_is_pumped() -> None:
    world = quiet()
    world.set_plunger(1e3 * 0.01 / AREA_MM2, 0.5)
    world.advance_to(10.0)
    assert world.truth()["dosing"]["dosed_ml"] == pytest.approx(0.05)
    assert world.truth()["dosing"]["syringe_ml"] == pytest.approx(2.4)
    world.load("empty")
    world.advance_to(20.0)
    truth = world.truth()
    assert truth["volume_ml"] == 0.0
    assert truth["ph"] is None
    assert truth["dosing"]["dosed_ml"] == 0.0
    assert truth["dosing"]["syringe_ml"] == pytest.approx(2.3)
    world.load("sample")
    assert world.truth()["dosing"]["held"] == 1.0


def test_dosing_does_not_depend_on_how_time_is_sliced() -> None:
    def play(slices: list[float]) -> dict[str, object]:
        world = World(WorldConfig(), 5)
        world.fit_electrode()
        world.advance_to(3.3)
        world.set_plunger(0.05)
        for time in slices:
            world.advance_to(time)
            world.read_electrode_mv()
        world.advance_to(47.1)
        world.set_plunger(0.0)
        world.advance_to(60.0)
        return world.truth()

    assert play([]) == play([4.0, 4.01, 17.77, 30.0])


# --- electrode


def test_an_ideal_electrode_gives_the_voltage_of_nernst() -> None:
    world = quiet(
        ph_electrode__slope=1.0, ph_electrode__zero_mv=0.0, ph_electrode__drift_mv_per_h=0.0,
        ph_electrode__noise_mv=0.0, ambient__temperature_c=25.0,
    )  # fmt: skip
    world.fit_electrode()
    assert world.truth()["ph"] == pytest.approx(7.4, abs=1e-9)
    # 59.159 mV per pH at 298.15 K (2.303 RT/F)
    assert world.read_electrode_mv() == pytest.approx(-0.4 * 59.159, abs=1e-3)


def test_a_dry_electrode_gives_nothing() -> None:
    world = quiet()
    world.fit_electrode()
    assert world.read_electrode_mv() is not None
    world.load("empty")
    assert world.read_electrode_mv() is None
    low = quiet(cuvette__volume_ml=0.25)
    low.fit_electrode()
    assert low.read_electrode_mv() is None


# --- Peltier holder


def test_the_liquid_lags_behind_the_block_more_so_unstirred() -> None:
    lags = {}
    for rpm in (0.0, 400.0):
        world = quiet()
        world.fit_peltier_holder()
        world.set_stirring(rpm)
        world.set_holder_heat(5.0)
        world.advance_to(60.0)
        truth = world.truth()
        assert truth["holder"] == {"peltier": True, "heat_w": 5.0, "stirring_rpm": rpm}
        assert world.read_holder().exchanger_c == pytest.approx(22.5 + 0.6 * 5.0)
        lags[rpm] = truth["holder_c"] - truth["liquid_c"]
    assert lags[0.0] > lags[400.0] + 1.0 > 5.0


def test_the_peltier_element_pumps_no_more_than_it_can() -> None:
    world = quiet()
    world.fit_peltier_holder()
    world.set_holder_heat(-100.0)
    assert world.truth()["holder"]["heat_w"] == -12.0
    world.advance_to(1.0)
    with pytest.raises(ValueError, match="before lab time begins"):
        world.fit_peltier_holder()


def test_plumes_are_seen_where_the_holder_does_not_stir() -> None:
    spreads = {}
    for rpm in (0.0, 1000.0):
        # probes without noise of their own: what is left are the plumes
        world = World(without_errors(WorldConfig()).replaced({"stirring.unstirred_fluctuation": 0.06}), 3)
        world.fit_peltier_holder()
        world.set_stirring(rpm)
        world.set_diode(0.832, 25.0)
        readings = []
        for second in range(600, 900, 5):
            world.advance_to(float(second))
            readings.append(world.read_temperature("sample") - world.truth()["probe_c"])
        spreads[rpm] = float(np.std(readings))
    assert spreads[0.0] > 0.02
    assert spreads[1000.0] < 1e-3


# --- and without any of it


def test_the_photothermal_world_is_the_one_from_before() -> None:
    """Readings taken before pump, pH meter and Peltier holder came into the world (then equal to the last bit)."""
    before = {
        137.0: (28.47976753731627, 22.82782056411853, 0.899978819430219, 0.020340442077532217, 31577.920226795508),
        600.3: (36.08267792181872, 24.321801000106213, 0.9000717564368297, 0.020039189429492375, 31872.811114838827),
    }
    world = World(WorldConfig(), 3)
    world.advance_to(10.0)
    world.set_diode(0.832, 25.0)
    for time, readings in before.items():
        world.advance_to(time)
        now = (
            world.read_temperature("sample", 0.01),
            world.read_temperature("holder"),
            world.absorbance(),
            world.read_meter_power(808.0),
            world.read_counts(0.02, True)[1000],
        )
        # another platform's exp() may differ in the last bit
        assert now == pytest.approx(readings, rel=1e-10)


@given(ph=st.floats(4.0, 9.0), near=st.floats(-0.2, 0.2))
def test_newton_finds_the_root_that_halving_finds(ph: float, near: float) -> None:
    solutes = fresh_solutes(Buffer(initial_ph=ph), 1.0)
    exact = ph_of(solutes, 1.0, 31.0, Buffer())
    assert ph_of(solutes, 1.0, 31.0, Buffer(), exact + near) == pytest.approx(exact, abs=1e-10)
    assert ph_of(solutes, 1.0, 31.0, Buffer(), exact + 5.0) == pytest.approx(exact, abs=1e-10)
