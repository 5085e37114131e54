"""From tables measured by others to heating curves, and results held to what the data support."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nanolab.analysis.cautions import Caution, Cautions
from nanolab.analysis.tables import CurveTable
from nanolab.errors import FileInvalidError, UsageError
from nanolab.quantities import Quantity
from plans.photothermal.balance import analyze
from plans.photothermal.conditions import Conditions
from plans.photothermal.file_curves import base_of, heating_curve, signs_of_file
from plans.photothermal.file_report import combined_json, result_json, unsupported_removed
from plans.photothermal.result import PhotothermalResult

TIME = np.arange(0.0, 600.0, 2.0)


def course(on: float = 100.0, off: float = 350.0, rise: float = 10.0, tau: float = 50.0) -> np.ndarray:
    up = rise * -np.expm1(-np.clip(TIME - on, 0.0, off - on) / tau)
    return np.asarray(up * np.exp(-np.clip(TIME - off, 0.0, None) / tau))


def table(values: np.ndarray, **changes: object) -> CurveTable:
    plain = CurveTable(
        path=Path("log.csv"),
        label="log",
        time_s=TIME,
        temperature_c=values,
        delta_k=None,
        laser_on=(TIME >= 100.0) & (TIME < 350.0),
        valid=np.ones(TIME.size, dtype=bool),
        line=np.arange(TIME.size),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # fields by name


def codes(cautions: Cautions) -> set[str]:
    return set(cautions.codes)


def test_the_file_tells_when_the_laser_was_on() -> None:
    cautions = Cautions()
    curve = heating_curve(table(25.0 + course()), None, None, None, cautions)
    assert curve.on_periods() == ((99.0, 349.0),)
    assert not curve.delta
    assert len(cautions) == 0


def test_told_times_override_the_file() -> None:
    curve = heating_curve(table(25.0 + course()), 100.0, 350.0, None, Cautions())
    assert curve.on_periods() == ((100.0, 350.0),)
    only_off = heating_curve(table(25.0 + course()), None, 350.0, None, Cautions())
    assert only_off.on_periods() == ((99.0, 350.0),)
    only_on = heating_curve(table(25.0 + course()), 100.0, None, None, Cautions())
    assert only_on.on_periods() == ((100.0, 349.0),)


def test_times_that_nobody_tells_are_assumed() -> None:
    cautions = Cautions()
    curve = heating_curve(table(25.0 + course(on=0.0), laser_on=None), None, None, None, cautions)
    (on, off), *_ = curve.on_periods()
    assert on == 0.0
    assert off == pytest.approx(350.0, abs=10.0)
    assert codes(cautions) == {"laser_on_assumed", "laser_off_assumed"}
    rising = Cautions()
    curve = heating_curve(table(25.0 + course(on=0.0, off=1e6), laser_on=None), None, None, None, rising)
    assert curve.on_periods() == ((0.0, TIME[-1]),)
    assert any("taken to be on to the end" in caution.text for caution in rising)


def test_a_blank_takes_the_times_of_the_sample_where_its_file_is_silent() -> None:
    cautions = Cautions()
    silent = table(25.0 + course(), laser_on=None)
    curve = heating_curve(silent, None, None, None, cautions, 100.0, 350.0)
    assert curve.on_periods() == ((100.0, 350.0),)
    assert len(cautions) == 0
    own = heating_curve(table(25.0 + course()), None, None, None, cautions, 10.0, 20.0)
    assert own.on_periods() == ((99.0, 349.0),)


def test_a_difference_from_the_surroundings_is_kept_as_one() -> None:
    ambient = np.full(TIME.size, 21.0)
    both = table(25.0 + course(), delta_k=course(), extra={"ambient_c": ambient})
    curve = heating_curve(both, None, None, None, Cautions())
    assert curve.delta
    assert curve.ambient_c is None
    assert curve.temperature_c == pytest.approx(course())
    with pytest.raises(FileInvalidError, match="no temperature"):
        heating_curve(table(course(), temperature_c=None), None, None, None, Cautions())


def test_a_restart_just_before_the_end_is_left_out() -> None:
    on = (TIME >= 100.0) & (TIME < 350.0)
    on[-5:] = True
    cautions = Cautions()
    curve = heating_curve(table(25.0 + course(), laser_on=on), None, None, None, cautions)
    assert curve.time_s.size == TIME.size - 5
    assert codes(cautions) == {"restart_left_out"}
    on[-20:] = True
    again = heating_curve(table(25.0 + course(), laser_on=on), None, None, None, Cautions())
    assert len(again.on_periods()) == 2


def test_duty_becomes_power_and_power_column_is_kept() -> None:
    duty = np.where((TIME >= 100.0) & (TIME < 350.0), 60.0, 0.0)
    with_duty = table(25.0 + course(), extra={"duty": duty})
    curve = heating_curve(with_duty, None, None, (0.0070255, -0.066076), Cautions())
    assert curve.power_w is not None
    assert curve.power_w.max() == pytest.approx(0.355454)
    assert curve.power_w[0] == 0.0
    measured = heating_curve(table(25.0 + course(), extra={"power_w": duty / 100.0}), None, None, None, Cautions())
    assert measured.power_w is not None
    assert measured.power_w.max() == 0.6
    with pytest.raises(UsageError, match="no power above zero"):
        heating_curve(with_duty, None, None, (0.001, -0.1), Cautions())


def signs(values: np.ndarray, ambient: Quantity | None = None, **changes: object) -> tuple[bool, set[str]]:
    cautions = Cautions()
    curve = heating_curve(table(values, **changes), None, None, None, cautions)
    return signs_of_file(curve, base_of(curve, ambient), cautions), codes(cautions)


def test_a_good_log_shows_no_signs() -> None:
    noise = np.random.default_rng(1).normal(0.0, 0.05, TIME.size)
    assert signs(25.0 + course() + noise) == (True, set())


def test_what_a_log_shows_to_be_wrong() -> None:
    noise = np.random.default_rng(2).normal(0.0, 0.05, TIME.size)
    cooling_room = 3.0 * np.exp(-TIME / 150.0)
    assert signs(25.0 + course() + noise + cooling_room) == (True, {"baseline_drift", "begins_hot"})
    assert signs(60.0 + 5.0 * course() + noise) == (True, {"boiling"})
    assert signs(25.0 + noise) == (False, {"no_rise"})
    few = np.isin(np.arange(TIME.size), np.arange(50, 55)) | (TIME < 100.0) | (TIME >= 350.0)
    assert signs(25.0 + course() + noise, valid=few) == (False, {"heating_too_short"})


def test_the_level_before_heating() -> None:
    hot = TIME < 350.0
    begins = heating_curve(table(25.0 + course(on=0.0), laser_on=hot), None, None, None, Cautions())
    assert base_of(begins, None) is None
    assert base_of(begins, Quantity(24.5, "degC")) == 24.5
    difference = heating_curve(
        table(course(on=0.0), delta_k=course(on=0.0), laser_on=hot), None, None, None, Cautions()
    )
    assert base_of(difference, None) == 0.0
    assert signs(25.0 + course(on=0.0), laser_on=hot) == (True, {"no_baseline"})


@pytest.fixture(scope="module")
def result() -> PhotothermalResult:
    two_modes = 0.7 * course() + 0.3 * course(tau=12.0)
    values = 25.0 + two_modes + np.random.default_rng(3).normal(0.0, 0.02, TIME.size)
    curve = heating_curve(table(values), 100.0, 350.0, None, Cautions())
    one = Quantity(1.0, "1", 0.0)
    conditions = Conditions(
        power=Quantity(1.0, "W", 0.01), absorbance=one, window=one, heat_capacity=Quantity(4.18, "J/K", 0.05)
    )
    return analyze(curve, conditions)


def test_a_sound_result_stays_as_it_is(result: PhotothermalResult) -> None:
    cautions = Cautions()
    assert unsupported_removed(result, cautions) == result
    assert len(cautions) == 0


@pytest.mark.parametrize(
    ("changes", "gone", "code"),
    [
        ({"efficiency": Quantity(0.1, "1", 3.5)}, {"efficiency"}, "not_limited"),
        ({"efficiency": Quantity(float("nan"), "1", 0.1)}, {"efficiency"}, "not_finite"),
        ({"time_constant_cooling": Quantity(17.0, "s", 179.0)}, {"time_constant_cooling"}, "not_limited"),
        (
            {"temperature_rise": Quantity(-33.0, "K", 427.0)},
            {"temperature_rise", "efficiency", "external_efficiency"},
            "not_limited",
        ),
    ],
)
def test_numbers_that_mean_nothing_become_null(
    result: PhotothermalResult, changes: dict[str, Quantity], gone: set[str], code: str
) -> None:
    cautions = Cautions()
    cleaned = unsupported_removed(replace(result, **changes), cautions)  # type: ignore[arg-type]  # fields by name
    assert {name for name in gone if getattr(cleaned, name) is None} == gone
    assert code in codes(cautions)
    assert cleaned.heat_capacity == result.heat_capacity


def test_node_models_are_held_to_what_is_determined(result: PhotothermalResult) -> None:
    found = result.estimate
    nowhere = replace(found.two_node, eigen_times=(Quantity(20.0, "s", 1e90), Quantity(30.0, "s", 1.0)))
    undetermined = replace(found)
    vars(undetermined)["two_node"] = nowhere  # a cached property: as if it had been fitted
    broken = replace(result, estimate=undetermined)
    cautions = Cautions()
    document = result_json(broken, "balance", cautions)
    assert document["two_node"]["eigen_times"] is None
    assert document["two_node"]["rms"] is not None
    assert "two_node_undetermined" in codes(cautions)
    assert result_json(None, "balance")["one_node"] is None


def test_a_mean_needs_every_file(result: PhotothermalResult) -> None:
    cautions: list[Caution] = []
    without = replace(result, efficiency=None)
    document = combined_json([("a", result), ("b", without)], "balance", cautions)
    assert document["efficiency"] is None
    assert document["heat_loss"] is not None
    assert document["spreads"]["heat_loss"]["value"] == pytest.approx(0.0, abs=1e-12)
    assert cautions == []
    alone = combined_json([("a", result), ("b", None)], "balance", cautions)
    assert alone["efficiency"] == result_json(result, "balance")["efficiency"]
    assert [caution.code for caution in cautions] == ["left_out_of_mean"]
