"""Limits: each rule trips at its limit and not before, and what is unknown trips while the laser emits."""

import math

import pytest

from nanolab.bench.config import LimitsConfig
from nanolab.errors import ExitCode, LimitTripError
from nanolab.quantities import Quantity
from nanolab.safety.limits import LimitJudge, RunLimits

LIMITS = RunLimits(max_power_w=1.0, max_temperature_c=60.0, max_time_on_s=100.0, max_energy_j=40.0)


def reading(
    time_s: float, temperature_c: float, power_w: float = 0.0, reason: str = ""
) -> dict[str, dict[str, object]]:
    return {
        "laser_emitting": {"value": int(power_w > 0), "timestamp": time_s},
        "laser_power": {"value": power_w, "timestamp": time_s},
        "thermocouple_sample": {"value": temperature_c, "timestamp": time_s},
        "thermocouple_reason": {"value": reason, "timestamp": time_s},
    }


def test_temperature_at_the_limit_is_kept_and_above_it_trips() -> None:
    judge = LimitJudge(LIMITS)
    judge(reading(0.0, 60.0))
    with pytest.raises(LimitTripError, match=r"max_temperature: the sample is at 60\.01 degC") as caught:
        judge(reading(1.0, 60.01))
    assert caught.value.exit_code is ExitCode.STOPPED_BY_LIMIT
    assert judge.trip is not None
    assert judge.trip.rule == "max_temperature"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_an_unknown_temperature_trips_only_while_emitting(bad: float) -> None:
    judge = LimitJudge(LIMITS)
    judge(reading(0.0, bad))
    with pytest.raises(LimitTripError, match=r"invalid_temperature.*open thermocouple"):
        judge(reading(1.0, bad, power_w=0.1, reason="open thermocouple"))


def test_an_unknown_temperature_without_a_reason_says_so() -> None:
    bare = reading(0.0, math.nan, power_w=0.1)
    del bare["thermocouple_reason"]
    with pytest.raises(LimitTripError, match="no valid reading"):
        LimitJudge(LIMITS)(bare)


def test_time_on_and_energy_are_integrated_over_lab_time_while_emitting() -> None:
    judge = LimitJudge(LIMITS)
    judge(reading(0.0, 25.0))
    judge(reading(50.0, 25.0, power_w=0.5))
    judge(reading(70.0, 25.0, power_w=0.5))
    judge(reading(90.0, 25.0))
    # 50 s up to the first emitting reading (on since the reading before) and 20 s more, at 0.5 W
    assert judge.time_on_s == pytest.approx(70.0)
    assert judge.energy_j == pytest.approx(35.0)
    judge(reading(100.0, 25.0))
    with pytest.raises(LimitTripError, match=r"max_energy: the energy delivered is 45 J"):
        judge(reading(120.0, 25.0, power_w=0.5))


def test_time_on_trips() -> None:
    judge = LimitJudge(LIMITS)
    judge(reading(0.0, 25.0, power_w=0.01))
    judge(reading(100.0, 25.0, power_w=0.01))
    with pytest.raises(LimitTripError, match="max_time_on: the laser has been on for 101 s"):
        judge(reading(101.0, 25.0, power_w=0.01))


def test_the_limits_are_those_of_the_bench_file() -> None:
    limits = RunLimits.from_config(LimitsConfig(max_power=Quantity(1.5, "W"), max_energy=Quantity(30.0, "J")))
    assert limits == RunLimits(1.5, 80.0, 21600.0, 30.0)
