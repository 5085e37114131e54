"""Release laws against worked values, against each other, and at their edges."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from nanolab.models import release
from nanolab.models.release import (
    baker_lonsdale,
    biexponential,
    biphasic,
    first_order,
    gompertz,
    higuchi,
    hixson_crowell,
    hopfenberg,
    korsmeyer_peppas,
    peppas_sahlin,
    reciprocal,
    weibull,
    weibull_a,
    zero_order,
)
from nanolab.models.release_triggers import (
    acid_rate,
    bag_content,
    bleached,
    burst_share,
    enzyme_release,
    membrane_limited,
    substrate_left,
    switched_rate,
    thermosensitive,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (first_order(6, 80, 0.1), 36.0951),
        (higuchi(6, 12), 29.3939),
        (korsmeyer_peppas(6, 15, 0.45), 33.5938),
        (hixson_crowell(6, 0.02), 31.8528),
        (hopfenberg(6, 0.02, 2), 22.5600),
        (baker_lonsdale(6, 0.003), 30.4397),
        (peppas_sahlin(6, 10, 2, 0.43), 30.9452),
        (weibull(6, 80, 24, 0.8), 22.4790),
        (gompertz(6, 5, 1.5), 21.0948),
        (biphasic(6, 20, 2, 80, 0.05), 35.5508),
        (100 * substrate_left(5, 0.05, 0.1), 77.5433),
        (100 * substrate_left(15, 0.05, 0.1), 35.3880),
        (100 * substrate_left(25, 0.05, 0.1), 4.9858),
    ],
)
def test_worked_values(value: float, expected: float) -> None:
    # the values are printed with four decimals
    assert float(value) == pytest.approx(expected, abs=5.1e-5)


def test_values_that_follow_by_hand() -> None:
    assert float(zero_order(3, 2, 5)) == 11.0
    assert float(reciprocal(2, 90, 0.5)) == 45.0
    assert weibull_a(10.35, 1.4324) == pytest.approx(28.43, rel=2e-3)  # both notations of one published fit
    assert float(weibull(24, 80, 24, 0.8)) == pytest.approx(80 * (1 - np.exp(-1)))
    assert float(biexponential(6, 20, 2, 60, 0.05)) == pytest.approx(float(biphasic(6, 20, 2, 80, 0.05)))
    assert bleached(200.0, 10.0, 0.002) == pytest.approx(196.0)


Array = npt.NDArray[np.float64]

LAWS: dict[str, Callable[[Array, float], Array]] = {
    "zero": lambda t, lag: zero_order(t, 3, t_lag=lag),
    "first": lambda t, lag: first_order(t, 80, 0.3, t_lag=lag),
    "higuchi": lambda t, lag: higuchi(t, 12, t_lag=lag),
    "power": lambda t, lag: korsmeyer_peppas(t, 15, 0.45, t_lag=lag),
    "dissolving": lambda t, lag: hixson_crowell(t, 0.02, t_lag=lag),
    "sahlin": lambda t, lag: peppas_sahlin(t, 10, 2, t_lag=lag),
    "sphere": lambda t, lag: baker_lonsdale(t, 0.03, t_lag=lag),
    "weibull": lambda t, lag: weibull(t, 80, 24, 0.8, t_lag=lag),
    "gompertz": lambda t, lag: gompertz(t, 5, 1.5, t_lag=lag),
    "reciprocal": lambda t, lag: reciprocal(t, 90, 0.5, t_lag=lag),
    "biphasic": lambda t, lag: biphasic(t, 20, 2, 80, 0.05, t_lag=lag),
    "membrane": lambda t, lag: membrane_limited(t, 80, 0.3, 0.8, t_lag=lag),
    "enzyme": lambda t, lag: enzyme_release(t, 90, 0.05, 0.1, t_lag=lag),
    "warm": lambda t, lag: thermosensitive(t, 41.2, 90, 0.08, 0.005, t_lag=lag),
}


@pytest.mark.parametrize("name", LAWS)
def test_every_law_begins_at_nothing_rises_and_waits_for_its_lag(name: str) -> None:
    t = np.linspace(0.0, 40.0, 81)
    law = LAWS[name]
    plain = law(t, 0.0)
    assert plain.shape == t.shape
    assert plain[0] == pytest.approx(0.0, abs=1e-12)
    assert np.all(np.diff(plain) >= -1e-9)
    late = law(t, 5.0)
    assert np.all(np.abs(late[t <= 5.0]) < 1e-9)
    assert late[t >= 5.0] == pytest.approx(plain[: late[t >= 5.0].size])


def test_hopfenberg_refuses_a_free_exponent() -> None:
    with pytest.raises(
        ValueError, match="1 \\(slab\\), 2 \\(cylinder\\) or 3 \\(sphere\\) and is not fitted, not 3054"
    ):
        hopfenberg(6, 0.02, 3054)
    assert float(hopfenberg(80, 0.02, 1)) == 100.0  # complete at k t = 1, not beyond


@settings(deadline=None, max_examples=60)  # a busy machine is no finding
@given(st.floats(1e-6, 0.4999), st.floats(1e-3, 10.0))
def test_baker_lonsdale_solves_its_equation(done: float, k: float) -> None:
    f = float(baker_lonsdale(done / k, k)) / 100.0
    # where f is close to one the cube root of what is left magnifies rounding
    assert 1.5 * (1.0 - (1.0 - f) ** (2.0 / 3.0)) - f == pytest.approx(done, abs=1e-9)
    assert float(baker_lonsdale(1.0, 5.0)) == pytest.approx(100.0)


@settings(deadline=None, max_examples=60)  # a busy machine is no finding
@given(st.floats(0.01, 1.0), st.floats(1e-3, 50.0), st.floats(0.0, 0.3))
def test_the_integrated_enzyme_law_solves_its_differential_equation(v: float, kappa: float, loss: float) -> None:
    t = np.linspace(0.1, 20.0, 200)
    s = substrate_left(t, v, kappa, loss)
    step = 1e-5
    slope = (substrate_left(t + step, v, kappa, loss) - substrate_left(t - step, v, kappa, loss)) / (2 * step)
    rate = v * np.exp(-loss * t) * s / (kappa + s)
    # s turns sharply where little substrate is left and kappa is small: the differences are then coarse
    assert slope == pytest.approx(-rate, abs=2e-5 * v / kappa**0.5 + 1e-9)


def test_the_enzyme_law_has_its_two_limits() -> None:
    t = np.linspace(0.0, 15.0, 20)
    # KM far above the substrate: first order of rate v/kappa; far below: a straight line of slope v
    assert substrate_left(t, 1e4 * 0.05, 1e4) == pytest.approx(np.exp(-0.05 * t), rel=1e-4)
    assert substrate_left(t, 0.05, 1e-6) == pytest.approx(1.0 - 0.05 * t, abs=1e-4)


@pytest.mark.parametrize(("k", "km"), [(0.3, 0.8), (0.8, 0.3), (0.5, 0.5), (1e-3, 300.0), (300.0, 1e-3)])
def test_the_bag_agrees_with_integration(k: float, km: float) -> None:
    t = np.array([0.0, 0.5, 2.0, 6.0])
    found = solve_ivp(
        lambda _t, y: [80 * k * np.exp(-k * _t) - km * y[0], km * y[0]], (0, 6), [0.0, 0.0], t_eval=t, method="LSODA",
        rtol=1e-10, atol=1e-10,
    )  # fmt: skip
    assert bag_content(t, 80, k, km) == pytest.approx(found.y[0], abs=1e-5)
    assert membrane_limited(t, 80, k, km) == pytest.approx(found.y[1], abs=1e-5)
    assert membrane_limited(t, 80, k, km) == pytest.approx(membrane_limited(t, 80, km, k), abs=1e-9)


def test_warmth_and_acid() -> None:
    assert float(burst_share(41.0)) == 0.5
    assert burst_share([40.0, 42.0]).sum() == pytest.approx(1.0)
    one = float(thermosensitive(20, 40.0, 90, 0.08, 0.0005) / thermosensitive(20, 41.0, 90, 0.08, 0.0005))
    assert one < 0.25  # one degree at the transition decides
    # half-lives of a specific-acid bond, five hours at pH 5: 15.8 h at 5.5, 158 h at 6.5, 1256 h at 7.4
    k_acid = np.log(2) / 5 / 1e-5
    half_lives = np.log(2) / acid_rate([5.5, 6.5, 7.4], 0.0, k_acid)
    assert half_lives == pytest.approx([15.8, 158, 1256], rel=2e-3)
    assert float(switched_rate(6.5, 0.01, 0.21, 6.5, 3)) == pytest.approx(0.11)
    assert switched_rate([2.0, 12.0], 0.01, 0.21, 6.5) == pytest.approx([0.21, 0.01], rel=1e-3)


def test_limits_are_named() -> None:
    assert release.KORSMEYER_PEPPAS_HIGHEST == 60.0
    assert release.since_lag(3.0, 5.0) == 0.0
