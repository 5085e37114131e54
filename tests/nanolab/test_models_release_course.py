"""Release along a recorded course: each law against its closed form where temperature and pH stand still."""

import numpy as np
import pytest

from nanolab.models.release_course import arrhenius, cut, integral, left_by, through_membrane
from nanolab.models.release_triggers import enzyme_release, membrane_limited


def test_arrhenius_is_one_at_37_degrees() -> None:
    assert arrhenius(37.0, 80.0) == pytest.approx(1.0)
    # 80 kJ/mol: 9.6 K double the rate near 37 degC
    assert arrhenius([27.0, 47.0], 80.0) == pytest.approx([0.35575, 2.63535], rel=1e-3)


def test_a_constant_rate_gives_first_order() -> None:
    time = np.linspace(0.0, 5.0, 50)
    assert integral(time, np.full(50, 0.3))[-1] == pytest.approx(1.5)
    assert left_by(time, np.full(50, 0.3)) == pytest.approx(1.0 - np.exp(-0.3 * time))


def test_the_membrane_is_that_of_the_closed_form() -> None:
    time = np.concatenate([[0.0], np.geomspace(0.01, 24.0, 300)])
    released = 85.0 * left_by(time, np.full(time.size, 0.06))
    assert through_membrane(time, released, 1.6) == pytest.approx(membrane_limited(time, 85.0, 0.06, 1.6), abs=0.01)
    # free cargo is put in at once; a membrane that is no hindrance shows the release itself
    assert through_membrane(time, np.full(time.size, 100.0), 1.6) == pytest.approx(100.0 * (1.0 - np.exp(-1.6 * time)))
    assert through_membrane(time, released, 100.0) is released


def test_a_fast_membrane_does_not_overflow() -> None:
    time = np.linspace(0.0, 11.9, 500)
    seen = through_membrane(time, np.full(500, 100.0), 50.0)
    assert np.all(np.isfinite(seen))
    assert seen[-1] == pytest.approx(100.0)


def test_an_enzyme_is_integrated_michaelis_menten_with_its_loss() -> None:
    time = np.linspace(0.0, 4.0, 120)
    active = 2.0 * np.exp(-0.05 * time)
    assert 100.0 * cut(time, active, 0.7) == pytest.approx(enzyme_release(time, 100.0, 2.0, 0.7, 0.05), abs=1e-3)


def test_without_enzyme_only_the_background_is_left() -> None:
    time = np.linspace(0.0, 4.0, 60)
    assert cut(time, np.zeros(60), 0.7, 0.2) == pytest.approx(1.0 - np.exp(-0.2 * time), abs=1e-8)
