"""Cargo in the world: each way of leaving against its closed form, and what the spectrometer sees of it."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from nanolab.models.release import biexponential
from nanolab.models.release_triggers import membrane_limited, substrate_left
from sims.world import World, WorldConfig

STILL: Mapping[str, Any] = {
    "ambient.temperature_c": 37.0,
    "ambient.drift_k_per_h": 0.0,
    "ambient.noise_k": 0.0,
    "ambient.relative_humidity": 1.0,
    "carrier.burst": 0.0,
    "carrier.k_release": 0.0,
    "carrier.k_acid": 0.0,
    "carrier.plateau": 90.0,
    "enzyme.enzyme_loss": 0.0,
}


def world(contents: str, **changes: Any) -> World:
    bench = World(WorldConfig().replaced({**STILL, **{k.replace("__", "."): v for k, v in changes.items()}}), 1)
    bench.set_stirring(800.0)
    bench.load(contents)
    return bench


def nmol(bench: World) -> dict[str, float]:
    return dict(bench.truth()["release"]["cargo_nmol"])


def dose(bench: World) -> float:
    return bench.config.cargo.dose_umol_per_l * bench.config.cuvette.volume_ml


@pytest.mark.parametrize("hours", [0.5, 6.0])
def test_passive_release_behind_the_membrane_is_first_order_with_the_membrane(hours: float) -> None:
    bench = world("dialysis", carrier__k_release=0.3)
    bench.advance_to(hours * 3600.0)
    share = bench.config.membrane.insert_ml / bench.config.cuvette.volume_ml
    expected = float(membrane_limited(hours, 90.0, 0.3, 1.6)) / (1.0 + share)
    assert 100.0 * nmol(bench)["free"] / dose(bench) == pytest.approx(expected, rel=2e-3)


def test_free_cargo_comes_through_at_the_membrane_rate_and_stops_at_equal_concentrations() -> None:
    bench = world("free")
    bench.advance_to(3600.0)
    found, ratio = nmol(bench), 0.08 / 0.99
    total = 12.0 * 0.99
    assert found["free"] == pytest.approx(total / (1.0 + ratio) * -math.expm1(-1.6), rel=1e-3)
    bench.advance_to(20 * 3600.0)
    assert nmol(bench)["inside"] == pytest.approx(nmol(bench)["free"] * ratio, rel=1e-4)


def test_warmth_follows_arrhenius() -> None:
    rates = []
    for air in (37.0, 27.0):
        bench = world("carrier", carrier__k_release=0.3, ambient__temperature_c=air)
        bench.advance_to(3600.0)
        rates.append(-math.log(1.0 - nmol(bench)["free"] / (0.9 * dose(bench))))
    assert rates[0] == pytest.approx(0.3, rel=1e-3)
    assert rates[1] / rates[0] == pytest.approx(math.exp(80.0 / 8.314462618e-3 * (1 / 310.15 - 1 / 300.15)), rel=1e-3)


def test_acid_adds_its_rate() -> None:
    # a fresh medium at pH 5 counts as neutral for itself: dose acid into one at 7.4 instead
    bench = world("carrier", carrier__k_acid=2e4, dosing__strong_acid_mol_per_l=0.1)
    bench.fit_electrode()
    bench.set_plunger(0.01)
    bench.advance_to(100.0)
    bench.set_plunger(0.0)
    start, ph = nmol(bench)["bound"] - 0.1 * dose(bench) * bench.truth()["dosing"]["held"], bench.truth()["ph"]
    assert 3.0 < ph < 6.5
    bench.advance_to(1900.0)
    bound = nmol(bench)["bound"] - 0.1 * dose(bench) * bench.truth()["dosing"]["held"]
    assert -math.log(bound / start) == pytest.approx(0.5 * 2e4 * (10**-ph - 10**-7.4), rel=0.01)


def test_an_enzyme_follows_integrated_michaelis_menten() -> None:
    bench = world("carrier", enzyme__mixing_s=0.2)
    bench.add("enzyme")
    volume = 0.99 + 0.01
    substrate = 0.9 * dose(bench) / volume
    bench.advance_to(3600.0)
    enzyme = 1.020 * 0.01 / volume
    left = float(substrate_left(60.0, 32.3 * enzyme / substrate, 14.8 / substrate))
    assert (nmol(bench)["bound"] / dose(bench) - 0.1) / 0.9 == pytest.approx(left, rel=3e-3)


@pytest.mark.parametrize(("degrees", "share"), [(40.4, 0.18243), (41.0, 0.5), (41.6, 0.81757)])
def test_a_thermosensitive_carrier_is_biexponential_with_a_logistic_share(degrees: float, share: float) -> None:
    bench = world("carrier", ambient__temperature_c=degrees)
    for seconds in (10.0, 60.0, 200.0):
        bench.advance_to(seconds)
        expected = float(biexponential(seconds, 90.0 * share, 0.08, 90.0 * (1.0 - share), 0.003 * share))
        # carriers come in bins of up to 1.3 %
        assert 100.0 * nmol(bench)["free"] / dose(bench) == pytest.approx(expected, abs=1.0)


def test_light_cleaves_by_its_dose() -> None:
    bench = world("carrier", carrier__k_light=0.05, photothermal__absorbance=0.001, laser__fast_noise=0.0)
    bench.set_diode(bench.diode_current_for(0.2), 25.0)
    bench.advance_to(20.0)
    cargo = bench.truth()["release"]
    left = (nmol(bench)["bound"] / dose(bench) - 0.1) / 0.9
    assert left == pytest.approx(math.exp(-0.05 * cargo["light_j"] / 0.2), rel=1e-3)
    assert cargo["light_j"] == pytest.approx(4.0, rel=0.1)


def test_the_assay_light_bleaches_only_while_it_is_on() -> None:
    bench = world("standard", cargo__bleaching_per_min=0.01)
    bench.advance_to(600.0)
    assert nmol(bench)["free"] == pytest.approx(10.05 * 0.99)
    bench.set_lamp(True)
    bench.advance_to(660.0)
    bench.set_lamp(False)
    bench.advance_to(1200.0)
    assert nmol(bench)["free"] == pytest.approx(10.05 * 0.99 * math.exp(-0.01))
    bench.read_counts(0.5, True, averages=60)
    assert bench.truth()["release"]["lamp_s"] == pytest.approx(90.0)


def test_withdrawing_takes_what_is_in_the_beam_and_surfactant_frees_the_rest() -> None:
    bench = world("carrier")
    before = nmol(bench)["bound"]
    bench.set_plunger(-0.01)
    bench.advance_to(100.0)
    bench.set_plunger(0.0)
    held = bench.truth()["dosing"]["held"]
    assert held < 0.98
    assert nmol(bench)["bound"] == pytest.approx(before * held)
    bench.add("surfactant")
    assert nmol(bench)["bound"] == 0.0
    assert nmol(bench)["free"] == pytest.approx(before * held)
    with pytest.raises(ValueError, match="no addition 'acid'"):
        bench.add("acid")


def absorbance(bench: World) -> tuple[Any, Any]:
    medium = world("medium", cuvette__reference_offset=0.0)
    lit = [w.read_counts(0.02, True, averages=400) - w.read_counts(0.02, False, averages=400) for w in (medium, bench)]
    nm = bench.wavelengths_nm
    seen = (nm > 430.0) & (nm < 680.0)
    return nm[seen], np.log10(lit[0] / lit[1])[seen]


def test_the_spectrometer_sees_monomer_and_dimer() -> None:
    nm, found = absorbance(world("standard"))
    at_480 = float(np.mean(found[np.abs(nm - 480.0) < 2.0]))
    # 8.24 of 10.05 umol/L are monomer (0.824 at 10 umol/L): the dimer absorbs less
    assert at_480 == pytest.approx(1e-3 * 11.0 * (8.27 + 0.72 * 1.78), rel=0.03)
    assert abs(float(np.mean(found[nm > 640.0]))) < 0.003


def test_the_filtrate_holds_what_was_not_inside() -> None:
    filtrate, lysate = nmol(world("filtrate"))["free"], nmol(world("lysate"))["free"]
    assert filtrate / lysate == pytest.approx(0.14 * 0.97)


def test_the_indicator_absorbs_by_the_true_ph_of_the_liquid_and_its_temperature() -> None:
    def seen(**changes: Any) -> tuple[float, float]:
        """Absorbance against the medium at 434 and 578 nm, per umol/L of dye."""
        steady = {"cuvette__reference_offset": 0.0, "spectrometer__lamp_drift": 0.0, "spectrometer__lamp_drift_per_h": 0.0,
                  "spectrometer__stray_light": 0.0, "spectrometer__nonlinearity": (1.0, 0.0, 0.0, 0.0)}  # fmt: skip
        bench = world("medium", **steady, **changes)
        dark = bench.read_counts(0.02, False, 400)
        blank = bench.read_counts(0.02, True, 400) - dark
        bench.load("indicator")
        nm = bench.wavelengths_nm
        a = -np.log10(np.maximum(bench.read_counts(0.02, True, 400) - dark, 1.0) / np.maximum(blank, 1.0))
        dye = bench.config.indicator.concentration_umol_per_l
        acid, base = (float(a[np.abs(nm - at) < 2.0].mean()) / dye for at in (434.0, 578.0))
        return acid, base

    warm = {"indicator__pk_per_k": 0.0, "indicator__pk": 8.0, "buffer__pka_per_k": 0.0}
    yellow, purple = seen(**warm, buffer__initial_ph=5.0), seen(**warm, buffer__initial_ph=11.0)
    assert yellow[1] < 0.01 * purple[1]
    assert purple[1] == pytest.approx(0.038, rel=0.03)
    half = seen(**warm, buffer__initial_ph=8.0)
    assert half == pytest.approx([0.5 * (a + b) for a, b in zip(yellow, purple, strict=True)], rel=0.02)
    # the pK falls by 0.3 between 25 and 37 degC: ten to the 0.3 is 2, and two thirds are purple
    warmer = seen(**{**warm, "indicator__pk_per_k": -0.3 / 12.0}, buffer__initial_ph=8.0)
    assert warmer[1] == pytest.approx(2.0 / 3.0 * purple[1], rel=0.03)
    # twice the dye absorbs twice as much
    assert seen(**warm, buffer__initial_ph=8.0, indicator__concentration_umol_per_l=10.0) == pytest.approx(
        half, rel=0.03
    )
