"""Limits and numbers of the rules, as a bench file states them."""

import tomllib

import pytest

from nanolab.bench.config import check_bench
from nanolab.bench.defaults import simulated_bench
from nanolab.bench.files import Source
from nanolab.errors import FileInvalidError
from nanolab.safety.interlock import standard_rules
from nanolab.safety.limits import InterlockSettings, RuleNumbers, RunLimits


def settings(text: str) -> InterlockSettings:
    return InterlockSettings.from_config(check_bench(tomllib.loads("version = 1\n" + text), Source("bench", text)))


def test_the_numbers_of_a_bench_without_a_table_are_those_of_the_rules() -> None:
    assert InterlockSettings.from_config(simulated_bench()).rules == RuleNumbers()


def test_a_busy_computer_is_no_plan_that_hangs_where_lab_time_is_not_wall_time() -> None:
    config = simulated_bench()
    assert InterlockSettings.from_config(config, wall_clock=False).rules.max_reading_age_s == 30.0
    text = '[interlock]\nmax_reading_age = "2 min"'
    slow = check_bench(tomllib.loads("version = 1\n" + text), Source("bench", text))
    assert InterlockSettings.from_config(slow, wall_clock=False).rules.max_reading_age_s == 120.0


def test_every_number_of_the_file_arrives_in_its_unit() -> None:
    found = settings(
        """
        [limits]
        max_power = "500 mW"
        max_temperature = "45 degC"
        max_time_on = "2 min"
        max_energy = "0.1 kJ"
        max_thermal_dose = "4 h"
        [interlock]
        max_reading_age = "2 s"
        max_rate = "120 K/min"
        least_heating = "20 mK/J"
        heating_within = "12 s"
        max_fall = "0.5 K"
        max_fall_share = "20 %"
        fall_within = "1 min"
        max_disagreement = "2 K"
        disagreement_within = "4 s"
        reaction_time = "8 s"
        frozen_within = "0 s"
        """
    )
    assert found.limits == RunLimits(0.5, 45.0, 120.0, 100.0, 240.0)
    assert found.rules == RuleNumbers(2.0, 2.0, 0.02, 12.0, 0.5, 0.2, 60.0, 2.0, 4.0, 8.0, 0.0)


def test_a_wrong_unit_names_the_key() -> None:
    with pytest.raises(FileInvalidError, match=r"\[interlock\] max_rate.*'K' does not fit"):
        settings('[interlock]\nmax_rate = "3 K"')


def test_rules_that_are_not_asked_for_are_left_out() -> None:
    limits = RunLimits(1.0, 60.0, 100.0, 40.0)
    names = {rule.name for rule in standard_rules(InterlockSettings(limits))}
    assert names == {
        "max_temperature", "invalid_temperature", "infinite_temperature", "read_error", "stale_temperature",
        "implausible_rate", "forecast", "disagreeing_probes", "heating_without_rise", "falling_while_heating",
        "max_power", "max_energy", "max_time_on", "frozen_temperature",
    }  # fmt: skip
    dosed = InterlockSettings(
        RunLimits(1.0, 60.0, 100.0, 40.0, 240.0), RuleNumbers(least_heating_k_per_j=0.0, frozen_s=0.0)
    )
    left_out = {"heating_without_rise", "frozen_temperature"}
    assert {rule.name for rule in standard_rules(dosed)} == names - left_out | {"max_thermal_dose"}
