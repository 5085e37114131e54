"""The pH probe against the indicator: in worlds whose pH the analysis does not know, and where there is nothing to compare."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from benchmarks.release_world import Rig, follow, reference
from nanolab.analysis.cautions import Cautions
from nanolab.bench.defaults import example_sample
from nanolab.bench.sample import SampleConfig
from nanolab.models.indicators import TABLE_NM, m_cresol_purple_acid, m_cresol_purple_base
from nanolab.quantities import Quantity
from plans.release.acid_assay import AcidAssay
from plans.release.ph_check import SEAWATER_U, PhCheck, check_probe, indicator_course, words
from plans.release.record import Course, Look
from sims.world.config import WorldConfig

WORLDS = 20
PK_U = 0.02
OFF = 0.15


@dataclass(frozen=True)
class Measured:
    """One world: its true pH, the pK as somebody determined it, what was recorded."""

    true_ph: float
    pk: Quantity
    course: Course


def believing(pk: Quantity | None) -> SampleConfig:
    sample = example_sample()
    return sample.model_copy(update={"release": sample.release.model_copy(update={"indicator_pk": pk})})


def measured(seed: int, changes: dict[str, float] | None = None) -> Measured:
    """Draw a world, warm the medium with the indicator in it, and read it with a probe that was calibrated well."""
    rng = np.random.default_rng([8023, seed])
    drawn = {
        "buffer.initial_ph": float(rng.uniform(7.1, 7.9)), "buffer.concentration_mmol_per_l": float(rng.uniform(5.0, 50.0)),
        "indicator.pk": float(rng.uniform(8.05, 8.4)), "indicator.pk_per_k": float(rng.uniform(-0.016, -0.011)),
        "indicator.concentration_umol_per_l": float(rng.uniform(12.0, 40.0)),
        "cuvette.volume_ml": float(rng.uniform(0.9, 1.5)), "cuvette.reference_offset": float(rng.uniform(-0.003, 0.003)),
        "spectrometer.lamp_drift": float(rng.uniform(0.0005, 0.002)),
        "spectrometer.stray_light": float(rng.uniform(2e-4, 1e-3)),
        "ph_electrode.slope": float(rng.uniform(0.96, 1.0)), "ph_electrode.drift_mv_per_h": float(rng.uniform(-0.2, 0.2)),
    }  # fmt: skip
    config = WorldConfig().replaced(drawn | (changes or {}))
    rig = Rig(config, seed, electrode=True)
    medium, control = reference(rig), indicator_course({"temperature_c": 37.0})
    meter = {"slope": config.ph_electrode.slope, "zero_mv": config.ph_electrode.zero_mv}
    course = follow(rig, control.contents, control.steps, medium, control.cadence_s, meter)
    truth = rig.world.truth()
    pk = config.indicator.pk + config.indicator.pk_per_k * (truth["liquid_c"] - 25.0)
    return Measured(truth["ph"], Quantity(pk + PK_U * float(rng.standard_normal()), "1", PK_U), course)


@pytest.fixture(scope="module")
def worlds() -> list[Measured]:
    return [measured(seed) for seed in range(WORLDS)]


def test_the_true_ph_is_found_within_its_uncertainty(worlds: list[Measured]) -> None:
    z = []
    for world in worlds:
        found = check_probe(world.course, believing(world.pk), Cautions())
        assert found.optical is not None
        assert found.optical.standard_uncertainty is not None
        assert PK_U < found.optical.standard_uncertainty < 0.03
        z.append((found.optical.value - world.true_ph) / found.optical.standard_uncertainty)
        assert found.fit is not None
        # the wavelengths of this spectrometer are right
        assert abs(found.to_json()["wavelength_shift_nm"]) < 0.5
    assert np.max(np.abs(z)) < 2.5
    # 68 % are expected within one: 14 of 20, with a standard deviation of 2
    assert np.count_nonzero(np.abs(z) < 1.0) >= 10


def test_a_pk_that_is_right_leaves_two_hundredths_at_most() -> None:
    for seed in range(3):
        world = measured(seed, {"indicator.pk": 8.2, "indicator.pk_per_k": 0.0})
        found = check_probe(world.course, believing(Quantity(8.2, "1", PK_U)), Cautions())
        assert found.optical is not None
        assert found.optical.value == pytest.approx(world.true_ph, abs=0.02)


def test_a_good_probe_agrees_and_one_that_is_off_gets_its_caution(worlds: list[Measured]) -> None:
    for world in worlds:
        for off in (OFF, -OFF):
            cautions = Cautions()
            bad = replace(world.course, ph=world.course.ph + off)
            found = check_probe(bad, believing(world.pk), cautions)
            assert cautions.codes == ["ph_disagrees"]
            assert found.difference == pytest.approx(off, abs=4 * PK_U)
            assert "they do not agree" in cautions.found[0].text
            assert "calibrate the probe anew" in cautions.found[0].text
        quiet = Cautions()
        good = check_probe(world.course, believing(world.pk), quiet)
        assert quiet.codes == []
        assert "they agree" in words(good.to_json())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"buffer.initial_ph": 6.2}, "range"),
        ({"indicator.concentration_umol_per_l": 0.0}, "the indicator tells no pH"),
    ],
)
def test_a_ph_out_of_range_or_no_dye_is_a_caution_and_no_number(changes: dict[str, float], sentence: str) -> None:
    cautions = Cautions()
    world = measured(1, changes)
    found = check_probe(world.course, believing(world.pk), cautions)
    assert cautions.codes == ["ph_not_checked"]
    assert sentence in cautions.found[0].text
    assert (found.optical, found.difference, found.sigmas) == (None, None, None)
    stored = json.loads(json.dumps(found.to_json()))
    assert stored["probe"]["value"] == pytest.approx(world.true_ph, abs=0.02)
    assert words(stored).endswith("by the probe alone")


def test_a_probe_that_tells_nothing_is_a_caution(worlds: list[Measured]) -> None:
    cautions = Cautions()
    silent = replace(worlds[0].course, ph=np.full(worlds[0].course.ph.shape, np.nan))
    found = check_probe(silent, believing(worlds[0].pk), cautions)
    assert cautions.codes == ["ph_not_checked"]
    assert found.optical is not None
    assert words(found.to_json()).endswith("by the indicator alone")
    assert words(PhCheck(None, None, worlds[0].pk).to_json()) == ""


def test_without_a_stated_pk_the_check_says_little_and_says_so(worlds: list[Measured]) -> None:
    cautions = Cautions()
    found = check_probe(worlds[0].course, believing(None), cautions)
    assert cautions.codes == ["indicator_pk_missing"]
    assert found.optical is not None
    assert found.optical.standard_uncertainty == pytest.approx(SEAWATER_U, rel=0.01)


def test_wavelengths_that_are_off_do_not_bias_the_ph_and_are_told() -> None:
    nm = np.arange(400.0, 720.0, 0.4)
    base = 10.0**-0.7
    seen = 0.2 * (m_cresol_purple_acid(nm + 1.5) + base * m_cresol_purple_base(nm + 1.5)) + 0.01
    look = Look(700.0, nm, seen, np.full(nm.size, 1e-3))
    course = Course(np.array([690.0, 700.0]), np.full(2, 37.0), np.full(2, 7.4), [], [look])
    found = check_probe(course, believing(Quantity(8.1, "1", 0.02)), Cautions())
    assert found.optical is not None
    assert found.optical.value == pytest.approx(7.4, abs=1e-3)
    assert found.to_json()["wavelength_shift_nm"] == pytest.approx(1.5, abs=0.02)
    assert TABLE_NM[0] == 400.0


def test_the_control_comes_first_and_can_be_left_out() -> None:
    values = {one.name: one.default for one in AcidAssay().parameters()}
    assert [one.role for one in AcidAssay().outline(values)] == ["indicator", "free", "sample"]
    assert [one.role for one in AcidAssay().outline(values | {"check_ph": "no"})] == ["free", "sample"]
    before = {name: value for name, value in values.items() if name != "check_ph"}
    assert [one.role for one in AcidAssay().outline(before)] == ["free", "sample"]
