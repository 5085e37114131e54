"""Water against the table of Roettgers et al. 2014, 10.1364/OE.22.025093."""

import numpy as np
import pytest

from nanolab.models.water import water_absorptance, water_absorption_per_cm


@pytest.mark.parametrize(
    ("wavelength_nm", "absorption_per_cm", "relative"),
    [
        (532.0, 0.00045, 0.06),
        (785.0, 0.02147, 0.006),
        (808.0, 0.02045, 0.006),
        (915.0, 0.0956, 0.006),
        (976.0, 0.4465, 0.006),
        (980.0, 0.4385, 0.006),
        (1064.0, 0.1511, 0.006),
    ],
)
def test_absorption_agrees_with_the_newer_measurement(
    wavelength_nm: float, absorption_per_cm: float, relative: float
) -> None:
    assert water_absorption_per_cm(wavelength_nm) == pytest.approx(absorption_per_cm, rel=relative)


def test_absorption_changes_with_temperature_as_measured() -> None:
    warm = water_absorption_per_cm([808.0, 980.0], 45.0) - water_absorption_per_cm([808.0, 980.0], 20.0)
    assert warm == pytest.approx([25 * -3.4e-5, 25 * 1.5e-3], rel=1e-9)
    assert water_absorption_per_cm(400.0, 60.0) == water_absorption_per_cm(400.0, 20.0)


def test_share_absorbed_in_a_centimetre() -> None:
    assert water_absorptance([808.0, 980.0], 1.0) == pytest.approx([0.0202, 0.355], rel=0.006)
    assert water_absorptance(980.0, 0.0) == 0.0
    assert water_absorptance(np.array([[980.0], [808.0]]), [0.5, 1.0]).shape == (2, 2)


@pytest.mark.parametrize("temperature_c", [-1.0, 101.0, float("nan")])
def test_water_must_be_liquid(temperature_c: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 100"):
        water_absorption_per_cm(808.0, temperature_c)


def test_wavelength_outside_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="water are known from 200"):
        water_absorption_per_cm(np.nan)
