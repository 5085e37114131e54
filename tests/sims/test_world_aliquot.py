"""Aliquots out of the world's cuvette: amounts are conserved, a membrane holds back what is behind it, fresh medium thins."""

from collections.abc import Mapping
from typing import Any

import pytest

from sims.world import World, WorldConfig

STILL: Mapping[str, Any] = {
    "ambient.temperature_c": 37.0,
    "ambient.drift_k_per_h": 0.0,
    "ambient.noise_k": 0.0,
    "ambient.relative_humidity": 1.0,
    "aliquot.volume_gain": 1.0,
    "carrier.k_release": 0.3,
}


def world(contents: str, **changes: Any) -> World:
    bench = World(WorldConfig().replaced({**STILL, **{k.replace("__", "."): v for k, v in changes.items()}}), 1)
    bench.set_stirring(800.0)
    bench.load(contents)
    return bench


def nmol(bench: World) -> dict[str, float]:
    return dict(bench.truth()["release"]["cargo_nmol"])


def held(bench: World) -> float:
    found = nmol(bench)
    return found["bound"] + found["inside"] + found["free"]


@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("contents", ["dialysis", "free", "carrier"])
def test_what_was_in_is_what_is_left_and_what_was_removed(contents: str, replace: bool) -> None:
    bench = world(contents, aliquot__volume_gain=1.02)
    start = held(bench)
    for minutes in (10, 20, 30, 40):
        bench.advance_to(60.0 * minutes)
        bench.withdraw(0.1, replace)
    bench.advance_to(3600.0)
    truth = bench.truth()
    assert truth["aliquots"]["removed_nmol"] > 0.01 * start
    assert held(bench) + truth["aliquots"]["removed_nmol"] == pytest.approx(start, abs=1e-9)
    assert truth["aliquots"]["withdrawn_ml"] == pytest.approx(4 * 0.102, abs=1e-12)
    assert truth["dosing"]["dosed_ml"] == pytest.approx(0.0 if replace else -4 * 0.102, abs=1e-12)
    assert truth["volume_ml"] == pytest.approx(0.99 if replace else 0.99 - 0.408, abs=1e-6)
    bench.load(contents)
    assert bench.truth()["aliquots"] == {"withdrawn_ml": 0.0, "removed_nmol": 0.0}


def test_the_membrane_holds_carriers_and_insert_back() -> None:
    bench = world("dialysis")
    bench.advance_to(3600.0)
    before = nmol(bench)
    bench.withdraw(0.099)
    after = nmol(bench)
    assert after["bound"] == before["bound"]
    assert after["inside"] == before["inside"]
    assert after["free"] == pytest.approx(0.9 * before["free"], rel=1e-5)
    assert bench.truth()["dosing"]["held"] == 1.0


def test_without_a_membrane_carriers_enzyme_and_scatter_go_along() -> None:
    bench = world("carrier")
    bench.add("enzyme")
    bench.advance_to(600.0)
    before = nmol(bench)
    bench.withdraw(0.25)
    after = nmol(bench)
    for name in ("bound", "free", "enzyme"):
        assert after[name] == pytest.approx(0.75 * before[name], rel=1e-5), name
    assert bench.truth()["dosing"]["held"] == pytest.approx(0.75, rel=1e-5)


def test_fresh_medium_is_as_cool_as_the_air_and_brings_buffer_back() -> None:
    bench = world("dialysis", ambient__temperature_c=22.0, dosing__strong_acid_mol_per_l=0.1)
    bench.fit_electrode()
    bench.set_plunger(0.01)
    bench.advance_to(40.0)
    bench.set_plunger(0.0)
    bench.advance_to(50.0)
    acid = bench.truth()
    bench.withdraw(0.3, replace=False)
    kept = bench.truth()
    # nothing is put in: nothing is thinned
    assert kept["ph"] == pytest.approx(acid["ph"], abs=1e-9)
    assert kept["liquid_c"] == acid["liquid_c"]
    bench.withdraw(0.3)
    thinned = bench.truth()
    assert acid["ph"] + 0.05 < thinned["ph"] < 7.4
    warm = world("dialysis", ambient__temperature_c=22.0)
    warm.fit_peltier_holder()
    warm.set_holder_heat(8.0)
    warm.advance_to(300.0)
    before = warm.truth()["liquid_c"]
    share = 0.198 / warm.truth()["volume_ml"]
    warm.withdraw(0.198)
    assert before > 25.0
    assert warm.truth()["liquid_c"] == pytest.approx(before - share * (before - 22.0), abs=1e-9)


def test_what_cannot_be_withdrawn_is_refused_and_changes_nothing() -> None:
    bench = world("dialysis")
    for ml, sentence in (
        (0.95, "cannot be withdrawn: 0.941 mL are outside"),
        (0.0, "above 0"),
        (float("nan"), "above 0"),
    ):
        with pytest.raises(ValueError, match=sentence):
            bench.withdraw(ml)
    assert bench.truth()["aliquots"]["withdrawn_ml"] == 0.0
    bench.load("empty")
    with pytest.raises(ValueError, match="no liquid to withdraw"):
        bench.withdraw(0.1)
