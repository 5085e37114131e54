"""CEM43 against its definition: published check values to 1e-6, the branch at 43 degC, and what a property says."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanolab.safety.dose import ThermalDose, cem43_of_ramp

TEMPERATURES = st.floats(20.0, 60.0)


@pytest.mark.parametrize(
    ("celsius", "minutes"),
    [
        (37.0, 0.0146484375),
        (39.0, 0.234375),
        (41.0, 3.75),
        (42.0, 15.0),
        (43.0, 60.0),
        (44.0, 120.0),
        (45.0, 240.0),
        (47.0, 960.0),
        (50.0, 7680.0),
    ],
)
def test_an_hour_at_one_temperature(celsius: float, minutes: float) -> None:
    assert cem43_of_ramp(celsius, celsius, 3600.0) == pytest.approx(minutes, rel=1e-6)


@pytest.mark.parametrize(
    ("start", "end", "minutes", "dose"),
    [(37.0, 47.0, 10.0, 22.3616), (43.0, 48.0, 5.0, 44.7235), (40.0, 43.0, 30.0, 7.10076)],
)
def test_straight_ramps(start: float, end: float, minutes: float, dose: float) -> None:
    # the reference values have six digits
    assert cem43_of_ramp(start, end, 60.0 * minutes) == pytest.approx(dose, rel=3e-6)
    assert cem43_of_ramp(end, start, 60.0 * minutes) == pytest.approx(cem43_of_ramp(start, end, 60.0 * minutes))


def test_the_ramps_agree_with_the_closed_form_to_1e_6() -> None:
    log2 = math.log(2.0)
    exact = (1.0 - 0.25**6) / (2.0 * log2) + (2.0**4 - 1.0) / log2
    assert cem43_of_ramp(37.0, 47.0, 600.0) == pytest.approx(exact, rel=1e-9)


def test_a_sum_of_readings_is_exact_whatever_the_cadence() -> None:
    for step_s in (1.0, 7.0, 60.0, 600.0):
        dose = ThermalDose()
        count = round(600.0 / step_s)
        for index in range(count + 1):
            time_s = 600.0 * index / count
            dose.add(time_s, 37.0 + time_s / 60.0)
        assert dose.minutes == pytest.approx(cem43_of_ramp(37.0, 47.0, 600.0), rel=1e-9)


# no deadline: a busy machine is no fault of an integral
@settings(deadline=None)
@given(TEMPERATURES, TEMPERATURES, st.floats(0.0, 1e4))
def test_a_line_in_two_pieces_is_the_line(start: float, end: float, seconds: float) -> None:
    middle = 0.5 * (start + end)
    halves = cem43_of_ramp(start, middle, seconds / 2) + cem43_of_ramp(middle, end, seconds / 2)
    assert halves == pytest.approx(cem43_of_ramp(start, end, seconds), rel=1e-9, abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.0, 1e4), TEMPERATURES), max_size=20))
def test_a_dose_never_shrinks_whatever_the_order_of_readings(readings: list[tuple[float, float]]) -> None:
    dose = ThermalDose()
    before = 0.0
    for time_s, celsius in readings:
        dose.add(time_s, celsius)
        assert dose.minutes >= before
        before = dose.minutes


@pytest.mark.parametrize(
    ("start", "end", "seconds"), [(math.nan, 43.0, 1.0), (43.0, math.inf, 1.0), (43.0, 43.0, -1.0)]
)
def test_what_is_no_ramp_is_refused(start: float, end: float, seconds: float) -> None:
    with pytest.raises(ValueError, match="no dose"):
        cem43_of_ramp(start, end, seconds)
