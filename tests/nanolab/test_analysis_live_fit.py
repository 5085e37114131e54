"""The live fit against the closed solution of one thermal mass."""

import numpy as np
import pytest

from nanolab.analysis.live_fit import fit_live, response

TIME = np.arange(0.0, 900.0, 1.0)


def curve(power: np.ndarray, tau: float = 200.0, gain: float = 30.0) -> np.ndarray:
    """Temperature by exact stepping of one mode, base 22 degC; power holds until the next reading."""
    rise, out = 0.0, []
    keep = np.exp(-1.0 / tau)
    for p in power:
        out.append(22.0 + rise)
        rise = gain * p + (rise - gain * p) * keep
    return np.array(out)


def heating(seconds: float = 400.0) -> np.ndarray:
    return np.where((TIME >= 100.0) & (100.0 + seconds > TIME), 0.5, 0.0)


def test_time_constant_rise_and_base_are_found_within_the_grid() -> None:
    power = heating()
    fit = fit_live(TIME, curve(power), power)
    assert fit is not None
    # the finest step of the scan over time constants is one percent
    assert fit.time_constant_s == pytest.approx(200.0, rel=0.01)
    assert fit.steady_rise_k == pytest.approx(15.0, rel=0.01)
    assert fit.base_c == pytest.approx(22.0, abs=0.02)
    assert fit.rms_k < 0.02
    assert fit.at(np.array([300.0]))[0] == pytest.approx(curve(power)[300], abs=0.05)


def test_several_powers_and_missing_readings() -> None:
    power = heating(200.0) + np.where((TIME >= 500.0) & (TIME < 700.0), 1.0, 0.0)
    temperature = curve(power)
    temperature[::7] = np.nan
    fit = fit_live(TIME, temperature, power)
    assert fit is not None
    assert fit.time_constant_s == pytest.approx(200.0, rel=0.01)
    assert fit.steady_rise_k == pytest.approx(30.0, rel=0.01)


@pytest.mark.parametrize("n", [0, 5, 105])
def test_too_little_to_fit(n: int) -> None:
    power = heating()
    assert fit_live(TIME[:n], curve(power)[:n], power[:n]) is None


def test_no_light_no_fit_and_a_curve_that_falls_while_heated_has_none() -> None:
    dark = np.zeros(TIME.size)
    assert fit_live(TIME, curve(dark), dark) is None
    power = heating()
    assert fit_live(TIME, 44.0 - curve(power), power) is None


def test_the_response_is_exact_at_any_time() -> None:
    at = np.array([0.0, 10.0, 60.0])
    expected = [0.0, 0.0, 0.5 * (1.0 - np.exp(-50.0 / 20.0)) - 0.5 * (1.0 - np.exp(-30.0 / 20.0))]
    assert response(at, [(10.0, 0.5), (30.0, -0.5)], 20.0) == pytest.approx(expected)
