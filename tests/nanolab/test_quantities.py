"""Quantities: how text becomes a number in the wanted unit, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolab.quantities import Quantity, in_digits, parse_quantity, quantity_reader


@pytest.mark.parametrize(
    ("text", "unit", "value", "uncertainty"),
    [
        ("0.50±0.02 W", "W", 0.5, 0.02),
        ("0.5 W ± 4 %", "W", 0.5, 0.02),
        ("500±20 mW", "W", 0.5, 0.02),
        ("500 mW", "W", 0.5, None),
        ("(0.5 +/- 0.02) W", "W", 0.5, 0.02),
        ("0.5 +- 0.02", "W", 0.5, 0.02),
        ("0.5 W ± 20 mW", "W", 0.5, 0.02),
        ("1.0±2 %", "1", 1.0, 0.02),
        ("9 %", "1", 0.09, None),
        ("25±0.5 °C", "degC", 25.0, 0.5),
        ("298.15 kelvin", "degC", 25.0, None),
        ("16±1 mW/K", "W/K", 0.016, 0.001),
        ("20 min", "s", 1200.0, None),
        ("10 mm", "cm", 1.0, None),
        ("20 µg/mL", "ug/mL", 20.0, None),
        (3, "W", 3.0, None),
        ("-8.43", "degC", -8.43, None),
    ],
)
def test_text_is_read(text: str | int, unit: str, value: float, uncertainty: float | None) -> None:
    quantity = parse_quantity(text, unit)
    assert quantity.unit == unit
    assert quantity.value == pytest.approx(value)
    assert quantity.standard_uncertainty == (None if uncertainty is None else pytest.approx(uncertainty))


@pytest.mark.parametrize(
    ("text", "unit", "words"),
    [
        ("5 m", "W", "unit 'm' does not fit: 'W' is wanted"),
        ("5 parsnips", "W", "unknown unit 'parsnips'"),
        ("25 K", "degC", "temperature and a difference differ"),
        ("abc", "W", "is no quantity"),
        ("", "W", "is no quantity"),
        ("1±2±3", "W", "is no quantity"),
        ("1±-2 W", "W", "cannot be negative"),
        (float("nan"), "W", "not a finite number"),
        (True, "W", "is no quantity"),
    ],
)
def test_what_is_no_quantity_is_refused_in_words(text: str | float, unit: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_quantity(text, unit)


def test_limits_name_the_limit() -> None:
    read = quantity_reader("mL", low=0.0, exclusive_low=True, high=10.0)
    assert read("1 mL").value == 1.0
    assert read(Quantity(2.0, "mL")).value == 2.0
    with pytest.raises(ValueError, match=r"-1 mL is out of range: it must be above 0 mL"):
        read("-1 mL")
    with pytest.raises(ValueError, match=r"at most 10 mL"):
        read("11 mL")
    with pytest.raises(ValueError, match=r"at least 1 W"):
        quantity_reader("W", low=1.0)("0.5 W")
    with pytest.raises(ValueError, match="is no quantity"):
        read([1])


@given(st.floats(-1e6, 1e6, allow_nan=False), st.floats(1e-3, 1e3))
def test_what_is_written_is_read_again(value: float, uncertainty: float) -> None:
    read = parse_quantity(f"{value!r}±{uncertainty!r} mW", "mW")
    assert read.value == value
    assert read.standard_uncertainty == uncertainty


def test_summary_of_draws_and_json() -> None:
    draws = np.random.default_rng(1).normal(2.0, 0.5, 200_000)
    quantity = Quantity.from_samples(draws, "W")
    assert quantity.value == pytest.approx(2.0, abs=0.01)
    assert quantity.standard_uncertainty == pytest.approx(0.5, rel=0.01)
    assert quantity.interval_95 == pytest.approx((1.02, 2.98), abs=0.02)
    assert set(quantity.to_json()) == {"value", "standard_uncertainty", "interval_95", "unit"}
    assert Quantity(1.0, "W").to_json()["interval_95"] is None
    assert Quantity.from_samples(draws, "W", 7.0).value == 7.0


def test_words_and_defaults() -> None:
    assert str(Quantity(0.71234, "1", 0.0456)) == "0.712 ± 0.046"
    assert str(Quantity(280.5, "s", 12.3)) == "280 ± 12 s"
    assert str(Quantity(18853.2, "L/mol/h", 1377.4)) == "18900 ± 1400 L/mol/h"
    assert str(Quantity(2.5, "W")) == "2.5 W"
    assert str(Quantity(-1.64e-6, "cm2/J", 2.1e-6)) == "-1.6e-6 ± 2.1e-6 cm2/J"
    assert str(Quantity(2.7123e7, "L/mol/h", 3.3e5)) == "2.712e7 ± 0.033e7 L/mol/h"
    assert parse_quantity("-1.6e-6 ± 2.1e-6 cm2/J", "cm2/J") == Quantity(-1.6e-6, "cm2/J", 2.1e-6)
    assert in_digits([-5.6e-6, 2.53e-6], 2.1e-6) == ["-5.6e-6", "2.5e-6"]
    assert in_digits([0.0, 0.0], 2.1e-6) == ["0.0000000", "0.0000000"]
    assert Quantity(2.0, "W").with_default_uncertainty(0.1).standard_uncertainty == pytest.approx(0.2)
    assert Quantity(2.0, "W", 0.3).with_default_uncertainty(0.1).standard_uncertainty == 0.3
