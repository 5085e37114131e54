"""The rules on simulated runs: silent in good ones, quick in bad ones. The worlds are those that the bench serves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from nanolab.errors import LimitTripError
from nanolab.interfaces import OffReport
from nanolab.safety.forecast import Forecast
from nanolab.safety.interlock import Interlock
from nanolab.safety.limits import InterlockSettings, RuleNumbers, RunLimits
from nanolab.safety.rules import Rule
from sims.world.campaign import RunArrays, Segment, record_run
from sims.world.config import WorldConfig

BASELINE_S = 30.0
ROOM = RunLimits(max_power_w=2.5, max_temperature_c=99.0, max_time_on_s=1e6, max_energy_j=1e6)


@dataclass
class Replay:
    """A run as the interlock sees it: where it tripped, at which reading."""

    rule: str | None = None
    index: int | None = None


def readings(run: RunArrays, power_w: float) -> Iterator[dict[str, Any]]:
    """Yield what drivers hand over: the announcement, then laser and thermometer at each reading, off in the end."""
    emitting = False
    for time_s, sample_c, ambient_c, on in zip(run.time_s, run.sample_c, run.ambient_c, run.laser_on, strict=True):
        values = {"laser_emitting": int(on), "laser_power": power_w if on else 0.0}
        if on and not emitting:
            yield stamped({**values, "laser_announced": 1}, time_s)
        emitting = bool(on)
        yield stamped(values, time_s)
        yield stamped(
            {
                "thermocouple_sample": sample_c,
                "thermocouple_sample_valid": 1,
                "thermocouple_ambient": ambient_c,
                "thermocouple_ambient_valid": 1,
            },
            time_s,
        )


def stamped(values: dict[str, Any], time_s: float) -> dict[str, Any]:
    return {key: {"value": value, "timestamp": float(time_s)} for key, value in values.items()}


def replay(
    run: RunArrays,
    power_w: float,
    limits: RunLimits = ROOM,
    rules: Sequence[Rule] | None = None,
    expects_heating: bool = True,
) -> Replay:
    """Feed a run to an interlock on a clock that follows the readings; return the first trip."""
    now = [0.0]
    interlock = Interlock(
        InterlockSettings(limits, RuleNumbers(frozen_s=0.0)),  # these worlds have no noise
        lambda: OffReport(True, "off"),
        lab_time=lambda: now[0],
        rules=rules,
        monotonic=lambda: now[0],
    )
    interlock.begin("sample", expects_heating=expects_heating)
    for reading in readings(run, power_w):
        now[0] = max(entry["timestamp"] for entry in reading.values())
        try:
            interlock.judge(reading)
        except LimitTripError:
            return Replay(interlock.trips[-1].rule, int(np.searchsorted(run.time_s, now[0])))
    return Replay()


def program(power_w: float, heat_s: float = 900.0, cool_s: float = 0.0, cuvette: str = "sample") -> list[Segment]:
    cooling = [Segment(cool_s)] if cool_s else []
    return [Segment(BASELINE_S, cuvette=cuvette), Segment(heat_s, power_w), *cooling]


GOOD: dict[str, tuple[dict[str, Any], float, str, float]] = {
    "example": ({}, 0.5, "sample", 0.02),
    "example at full power": ({}, 1.6, "sample", 0.02),
    "a tenth of a watt": ({}, 0.1, "sample", 0.02),
    "blank": ({}, 1.0, "blank", 0.02),
    "empty": ({}, 1.0, "empty", 0.02),
    "reference": ({}, 1.0, "reference", 0.02),
    "unstirred": ({"stirring.on": False}, 0.5, "sample", 0.02),
    "unstirred, full power": ({"stirring.on": False}, 1.5, "sample", 0.02),
    "unstirred, weak": ({"stirring.on": False, "photothermal.absorbance": 0.3}, 0.3, "sample", 0.02),
    "room warms": ({"ambient.drift_k_per_h": 3.0}, 0.5, "sample", 0.02),
    "room cools": ({"ambient.drift_k_per_h": -3.0}, 0.5, "sample", 0.02),
    "laser drifts": ({"laser.drift": 0.02, "laser.warm_up_droop": 0.05}, 0.5, "sample", 0.02),
    "noisy probe": ({"thermocouple.noise_k": 0.1}, 0.5, "sample", 0.2),
    "slow probe": ({"thermocouple.lag_s": 6.0}, 0.5, "sample", 0.02),
    "quick probe": ({"thermocouple.lag_s": 0.1}, 1.0, "sample", 0.02),
    "probe near the beam": ({"thermocouple.beam_heating_k_per_w": 10.0}, 1.0, "sample", 0.02),
    "small volume": ({"cuvette.volume_ml": 0.3}, 1.0, "sample", 0.02),
    "large volume": ({"cuvette.volume_ml": 3.0}, 0.8, "sample", 0.02),
    "dilute": ({"photothermal.absorbance": 0.15}, 0.5, "sample", 0.02),
    "concentrated": ({"photothermal.absorbance": 3.0}, 0.8, "sample", 0.02),
    "bleaches": ({"photothermal.bleaching_per_joule": 1e-4}, 1.0, "sample", 0.02),
    "ages": ({"photothermal.ageing_per_kelvin_second": 4e-6}, 1.0, "sample", 0.02),
    "open cuvette": (
        {"evaporation.mass_transfer_m_per_s": 4e-3, "evaporation.area_m2": 1e-4},
        1.5,
        "sample",
        0.02,
    ),
    "loss rises": ({"cuvette.wall_air_rise_per_k": 0.03}, 1.5, "sample", 0.02),
}


@pytest.mark.parametrize("name", GOOD)
def test_no_rule_fires_in_a_good_run(name: str) -> None:
    changes, power_w, cuvette, noise_k = GOOD[name]
    run = record_run(
        WorldConfig().replaced(changes), 7, program(power_w, 600.0, 100.0, cuvette=cuvette), noise_k=noise_k
    )
    result = replay(run, power_w, expects_heating=cuvette == "sample")
    assert result == Replay(), f"{result.rule} at {run.time_s[result.index or 0]:.0f} s"


def seeded(seed: int) -> tuple[WorldConfig, float]:
    """Draw a world and a power in W: every third is not stirred, some drift, some bleach."""
    draw = np.random.default_rng(seed)
    changes = {
        "photothermal.efficiency": float(draw.uniform(0.4, 1.0)),
        "photothermal.absorbance": float(draw.uniform(0.3, 2.0)),
        "cuvette.volume_ml": float(draw.uniform(0.4, 2.5)),
        "thermocouple.lag_s": float(draw.uniform(0.2, 4.0)),
        "thermocouple.noise_k": float(draw.uniform(0.01, 0.06)),
        "ambient.drift_k_per_h": float(draw.uniform(-1.5, 1.5)),
        "photothermal.bleaching_per_joule": float(draw.choice([1e-6, 4e-5, 1e-4])),
        "stirring.on": bool(seed % 3),
    }
    return WorldConfig().replaced(changes), float(draw.uniform(0.3, 2.0))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_the_forecast_trips_before_the_limit_and_not_two_kelvin_below(seed: int) -> None:
    config, power_w = seeded(seed)
    run = record_run(config, seed, program(power_w, 600.0), noise_k=0.02)
    hot = run.sample_c[run.laser_on]
    # passed on the way up: six tenths of what the run reaches
    limit_c = float(hot[0] + 0.6 * (np.median(hot[-60:]) - hot[0]))
    heated = replay(run, power_w, rules=[Forecast(limit_c, 5.0)])
    assert heated.rule == "forecast"
    assert heated.index is not None
    assert run.sample_c[heated.index] <= limit_c + 0.5
    first_above = int(np.argmax(run.sample_c > limit_c))
    assert heated.index <= first_above + 1
    # levels off two kelvin below (the highest reading, noise and plumes included)
    assert replay(run, power_w, rules=[Forecast(float(hot.max()) + 2.0, 5.0)]) == Replay()


def spoil(run: RunArrays, after_s: float, temperature: Any) -> RunArrays:
    """Return a run whose sample follows `temperature(seconds since, last reading)` from `after_s` of lab time on."""
    start = int(np.searchsorted(run.time_s, after_s))
    spoiled = run.sample_c.copy()
    spoiled[start:] = [temperature(time_s - run.time_s[start], run.sample_c[start]) for time_s in run.time_s[start:]]
    return RunArrays(run.time_s, spoiled, run.ambient_c, run.meter_w, run.laser_on, run.segment, run.world)


@pytest.fixture(scope="module")
def example() -> RunArrays:
    return record_run(WorldConfig(), 3, program(0.5, 400.0), noise_k=0.02)


@pytest.mark.parametrize(
    ("after_s", "temperature", "rule", "within_s"),
    [
        # the probe or the sample is taken away: 64 to 29 degC in one reading, as in a measured series
        (200.0, lambda _t, last: last - 35.0, "implausible_rate", 1.0),
        # the beam is lost: the sample cools with its own time constant
        (300.0, lambda t, last: 22.5 + (last - 22.5) * np.exp(-t / 275.0), "falling_while_heating", 60.0),
        # no beam, no sample or no probe from the beginning
        (0.0, lambda _t, _last: 22.6, "heating_without_rise", 60.0),
        # a hotter and hotter sample: the forecast is first, at every speed
        (200.0, lambda t, last: last + 1.5 * t, "forecast", 40.0),
        (200.0, lambda t, last: last + 0.05 * t, "forecast", 1200.0),
        # one reading far above
        (200.0, lambda _t, _last: 120.0, "max_temperature", 1.0),
    ],
)
def test_a_bad_run_trips_its_rule(
    example: RunArrays, after_s: float, temperature: Any, rule: str, within_s: float
) -> None:
    bad = spoil(example, after_s, temperature)
    limits = RunLimits(max_power_w=2.5, max_temperature_c=40.0, max_time_on_s=1e6, max_energy_j=1e6)
    if rule == "max_temperature":
        limits = ROOM
    result = replay(bad, 0.5, limits)
    assert result.rule == rule
    assert result.index is not None
    began_s = max(after_s, BASELINE_S)
    assert 0.0 <= bad.time_s[result.index] - began_s <= within_s
    if rule == "forecast":
        assert bad.sample_c[result.index] < 40.0


def test_a_blank_that_does_not_warm_is_no_fault(example: RunArrays) -> None:
    cold = spoil(example, 0.0, lambda _t, _last: 22.6)
    assert replay(cold, 0.5, expects_heating=False) == Replay()


def test_a_lowered_power_lets_the_sample_fall() -> None:
    run = record_run(WorldConfig(), 3, [Segment(BASELINE_S), Segment(300.0, 1.0), Segment(200.0, 0.3)], noise_k=0.02)
    now = [0.0]
    interlock = Interlock(
        InterlockSettings(ROOM), lambda: OffReport(True, "off"), lab_time=lambda: now[0], monotonic=lambda: now[0]
    )
    interlock.begin("sample", expects_heating=True)
    for time_s, sample_c, segment in zip(run.time_s, run.sample_c, run.segment, strict=True):
        now[0] = float(time_s)
        power_w = (0.0, 1.0, 0.3)[segment]
        interlock.judge(stamped({"laser_emitting": int(power_w > 0), "laser_power": power_w}, time_s))
        interlock.judge(stamped({"thermocouple_sample": sample_c}, time_s))
    assert interlock.trips == []
    assert run.sample_c[-1] < run.sample_c[run.segment == 1].max() - 5.0
