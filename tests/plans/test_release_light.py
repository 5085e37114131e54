"""The laser's energy on a sample by the marks of its plan, and what light does beside its warmth."""

import numpy as np
import pytest

from benchmarks.release_cases import draw_case
from nanolab.analysis.cautions import Cautions
from plans.release.light import energy_at, light_energy
from plans.release.record import Course

MARKS = [(100.0, "power", 0.5), (120.0, "power", 0.0), (122.0, "power", 0.5), (200.0, "power", 0.0)]


def course(marks: list[tuple[float, str, float]], power_w: np.ndarray | None = None) -> Course:
    time = np.arange(0.0, 301.0, 5.0)
    degrees = np.full(time.size, 37.0)
    return Course(time, degrees, degrees * np.nan, marks, [], (), np.zeros(0) if power_w is None else power_w)


def test_the_energy_is_counted_while_the_laser_is_on_only() -> None:
    lit = course(MARKS)
    assert energy_at(lit, [0.0, 100.0, 110.0, 121.0, 122.0, 132.0, 300.0]) == pytest.approx(
        [0.0, 0.0, 5.0, 10.0, 10.0, 15.0, 49.0]
    )
    found = light_energy(lit)
    assert found is not None
    assert found.value == pytest.approx(49.0)
    assert found.unit == "J"
    assert light_energy(course([])) is None


def test_the_power_is_what_the_laser_read() -> None:
    read = np.where(np.arange(0.0, 301.0, 5.0) > 100.0, 0.52, 0.0)
    read[22] = np.nan
    assert energy_at(course(MARKS, read), [300.0]) == pytest.approx([0.52 * 98.0])
    # without a single reading in the time it was on: what was asked for
    dark = np.zeros(read.size)
    assert energy_at(course(MARKS, dark), [300.0]) == pytest.approx([49.0])


@pytest.mark.slow
@pytest.mark.no_cover  # most of its time would go into counting lines that other tests count
@pytest.mark.parametrize("cleaves", [True, False])
def test_light_is_told_from_its_warmth(cleaves: bool) -> None:
    seed = next(n for n in range(1, 30) if (draw_case("light", n).truth["k_light"] > 3e-4) == cleaves)
    case = draw_case("light", seed, short=True)
    cautions = Cautions()
    findings = case.analyse(case, cautions)
    found = findings.joint.found["k_light"].quantity
    assert found is not None
    assert found.interval_95 is not None
    truth = case.truth["k_light"]
    assert abs(found.value - truth) < 3.0 * (found.standard_uncertainty or 0.0)
    models = findings.controls["models"]
    codes = {caution["code"] for caution in cautions.to_json()}
    if cleaves:
        assert models["preferred"] == "warmth_and_light"
        assert "light_beyond_heat" in codes
    assert findings.controls["same_temperature"]["rms_percent"] < 1.5
    assert "temperature_control_departs" not in codes
