"""Arming: every condition in words, a person for real light, none for a simulated laser."""

import datetime
import math
import tomllib
from dataclasses import dataclass, field
from typing import Any

import pytest

from nanolab.bench.config import BenchConfig, check_bench
from nanolab.bench.files import Source
from nanolab.errors import DeviceError, ExitCode, RefusedError
from nanolab.interfaces import Reading
from nanolab.safety.arming import COUNTDOWN_S, Arming, Person, Safeguards, arm, conditions, refuse_unattended
from nanolab.safety.conditions import Condition, approved, dark, limits_set, probes_alive

TODAY = datetime.date(2026, 5, 4)
LIMITS = '[limits]\nmax_power = "1 W"\n'
APPROVAL = """
[laser_safety]
name = "L. Officer"
expires = 2026-05-04
enclosed_beam = true
interlock_tested = 2025-06-01
"""


def bench(text: str) -> BenchConfig:
    return check_bench(tomllib.loads("version = 1\n" + text), Source("bench", text))


def reading(values: dict[str, Any]) -> Reading:
    return {key: {"value": value, "timestamp": 0.0} for key, value in values.items()}


WARM = reading({"thermocouple_sample": 25.0, "thermocouple_sample_valid": 1, "thermocouple_ambient": math.nan})
DARK = reading({"powermeter_power": 2e-5})


@dataclass
class Watchers:
    """Interlock, guardian and sleep in one, each with a reason against emission that a test sets."""

    trip: str | None = None
    budget: str | None = None
    guardian: str | None = None
    sleeps: str | None = None

    def latched(self) -> str | None:
        return self.trip

    def may_emit(self) -> str | None:
        return self.trip or self.budget

    def verified(self) -> str | None:
        return self.guardian

    def held(self) -> str | None:
        return self.sleeps

    @property
    def safeguards(self) -> Safeguards:
        return Safeguards(self, self, self)


@dataclass
class Someone:
    """A person at a terminal who types what a test says and does not wait for real."""

    types: str | None = "arm"
    terminal: bool = True
    said: list[str] = field(default_factory=list)
    waited_s: float = 0.0

    def ask(self, prompt: str) -> str:
        self.said.append(prompt)
        if self.types is None:
            raise EOFError
        return self.types

    def wait(self, seconds: float) -> None:
        self.waited_s += seconds

    @property
    def person(self) -> Person:
        return Person(self.ask, self.said.append, self.wait, lambda: TODAY, lambda: self.terminal)


def found(
    text: str, *, real: bool, watchers: Watchers, probes: Reading = WARM, meter: Reading | None = DARK
) -> list[Condition]:
    return conditions(
        bench(text),
        real=real,
        safeguards=watchers.safeguards,
        read_probes=lambda: probes,
        read_meter=None if meter is None else lambda: meter,
        to_sample_plane=25.0,
        today=TODAY,
    )


def test_a_simulated_laser_arms_without_a_person() -> None:
    watchers = Watchers(guardian="there is none", sleeps="no logind")
    rows = found("", real=False, watchers=watchers)
    assert all(row.met for row in rows)
    assert [row.words for row in rows if "simulated" in row.words] == ["not needed for a simulated laser"] * 3
    armed = arm(rows, real=False, safeguards=watchers.safeguards, what="the laser")
    assert armed.may_emit() is None
    watchers.trip = "it has tripped"
    assert armed.may_emit() == "it has tripped"


@pytest.mark.parametrize(
    ("text", "change", "probes", "meter", "words"),
    [
        (APPROVAL, {}, WARM, DARK, "NO  limits: the bench file has no [limits]. Write [limits]"),
        (LIMITS, {}, WARM, DARK, "NO  laser-safety approval: nobody has approved this laser (name)"),
        (LIMITS + APPROVAL, {"trip": "max_power"}, WARM, DARK, "NO  no latched trip: max_power"),
        (LIMITS + APPROVAL, {"guardian": "silent"}, WARM, DARK, "NO  guardian: silent. Start it"),
        (LIMITS + APPROVAL, {"sleeps": "no logind"}, WARM, DARK, "NO  computer stays awake: no logind"),
        (LIMITS + APPROVAL, {}, reading({}), DARK, "NO  probes alive: no temperature from any probe"),
        (LIMITS + APPROVAL, {}, WARM, reading({"powermeter_power": 0.1}), "NO  dark before arming: 2.5e+03 mW"),
    ],
)
def test_each_condition_that_is_not_met_refuses_with_its_words(
    text: str, change: dict[str, str], probes: Reading, meter: Reading, words: str
) -> None:
    watchers = Watchers(**change)
    rows = found(text, real=True, watchers=watchers, probes=probes, meter=meter)
    someone = Someone()
    with pytest.raises(RefusedError, match="is not armed, 1 of 7 conditions are not met") as caught:
        arm(rows, real=True, safeguards=watchers.safeguards, what="the laser", yes=True, person=someone.person)
    assert words in str(caught.value)
    assert caught.value.exit_code is ExitCode.REFUSED
    assert someone.said == []


def armed_for_real(watchers: Watchers, someone: Someone, *, yes: bool = False) -> Arming:
    rows = found(LIMITS + APPROVAL, real=True, watchers=watchers)
    return arm(rows, real=True, safeguards=watchers.safeguards, what="L1, 1 W", yes=yes, person=someone.person)


def test_a_real_laser_is_armed_by_a_person_who_types_and_counts_down() -> None:
    someone = Someone(" ARM ")
    armed = armed_for_real(Watchers(), someone)
    assert someone.said[:2] == [
        "ok  limits: 1 W, 80 degC, 21600 s, 10000 J",
        "ok  probes alive: sample 25.00 degC",
    ]
    assert "ok  laser-safety approval: by L. Officer, until 2026-05-04" in someone.said
    assert someone.said[-6].startswith("About to arm L1, 1 W.")
    assert someone.said[-5:] == [f"L1, 1 W is armed in {left} s; Ctrl-C stops" for left in (5, 4, 3, 2, 1)]
    assert someone.waited_s == COUNTDOWN_S
    assert armed.may_emit() is None


@pytest.mark.parametrize("typed", ["", "yes", None])
def test_another_word_or_none_does_not_arm(typed: str | None) -> None:
    with pytest.raises(RefusedError, match="'arm' was not typed"):
        armed_for_real(Watchers(), Someone(typed))


def test_no_terminal_refuses_and_a_script_may_stand_for_the_typing_only() -> None:
    nobody = Someone(None, terminal=False)
    with pytest.raises(RefusedError, match="there is none; a script gives --yes") as caught:
        armed_for_real(Watchers(), nobody)
    assert caught.value.exit_code == 5
    assert armed_for_real(Watchers(), nobody, yes=True).may_emit() is None
    assert nobody.waited_s == COUNTDOWN_S


def test_ctrl_c_in_the_countdown_leaves_it_disarmed() -> None:
    someone = Someone()

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    person = Person(someone.ask, someone.said.append, interrupted, lambda: TODAY, lambda: True)
    with pytest.raises(KeyboardInterrupt):
        arm([], real=True, safeguards=Watchers().safeguards, what="the laser", person=person)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"budget": "the budget of energy is used up"}, "the budget of energy is used up"),
        ({"guardian": "it is gone"}, "the guardian is not to be relied on: it is gone"),
        ({"sleeps": "its child has ended"}, "this computer may fall asleep: its child has ended"),
    ],
)
def test_what_changes_after_arming_refuses_the_next_emission(change: dict[str, str], words: str) -> None:
    watchers = Watchers()
    armed = armed_for_real(watchers, Someone())
    for name, reason in change.items():
        setattr(watchers, name, reason)
    assert armed.may_emit() == words
    armed.disarm("the run is over")
    assert armed.may_emit() == "the run is over"


def test_a_real_laser_without_a_guardian_is_refused() -> None:
    watchers = Watchers()
    alone = Safeguards(watchers, watchers)
    rows = conditions(bench(LIMITS + APPROVAL), real=True, safeguards=alone, read_probes=lambda: WARM, today=TODAY)
    assert [row.name for row in rows if not row.met] == ["guardian"]
    assert "dark before arming" not in [row.name for row in rows]


# ---- the conditions by themselves


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("expires = 2026-05-03", "ended on 2026-05-03"),
        ("", "has no last day (expires)"),
        ("expires = 2026-05-04\nenclosed_beam = false", "not said to be enclosed"),
        ("expires = 2026-05-04\ninterlock_tested = 2025-05-01", "tested on 2025-05-01, and not within the year"),
        ("expires = 2026-05-04\ninterlock_tested = 2026-05-05", "tested on 2026-05-05"),
    ],
)
def test_an_approval_with_a_gap_says_which(change: str, words: str) -> None:
    keys = {"name": '"L"', "enclosed_beam": "true", "interlock_tested": "2026-01-01"}
    for line in change.splitlines():
        key, _, value = line.partition(" = ")
        keys[key] = value
    text = "[laser_safety]\n" + "\n".join(f"{key} = {value}" for key, value in keys.items())
    condition = approved(bench(text).laser_safety, TODAY)
    assert not condition.met
    assert words in condition.words


def test_an_interlock_that_was_never_tested_is_said() -> None:
    assert "was tested never" in approved(bench("").laser_safety, TODAY).words


def test_a_dead_probe_is_named_and_a_silent_thermometer_is_no_crash() -> None:
    dead = reading({"thermocouple_sample": math.nan, "thermocouple_sample_valid": 0, "thermocouple_reason": "open"})
    assert probes_alive(lambda: dead).words == "no temperature from 'sample' (open)"

    def silent() -> Reading:
        raise DeviceError("thermocouple", "is silent")

    assert not probes_alive(silent).met
    assert not dark(silent, 0.01, 1.0).met


@pytest.mark.parametrize(
    ("values", "met", "words"),
    [
        ({"powermeter_power": 0.0099}, True, "9.9 mW in the sample plane, at most 10 mW is dark"),
        ({"powermeter_power": -0.02}, False, "-20 mW"),
        ({"powermeter_power": math.nan, "powermeter_reason": "over range"}, False, "gives no power (over range)"),
        ({"powermeter_power": math.nan}, False, "gives no power (no valid reading)"),
        ({}, False, "cannot be read"),
        ({"powermeter_power": "?"}, False, "cannot be read"),
    ],
)
def test_dark_is_dark(values: dict[str, Any], met: bool, words: str) -> None:
    condition = dark(lambda: reading(values), 0.01, 1.0)
    assert condition.met is met
    assert words in condition.words


def test_a_person_by_default_is_whoever_sits_at_this_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    person = Person()
    person.say("hello")
    assert capsys.readouterr().err == "hello\n"
    monkeypatch.setattr("sys.stdin", type("NoTerminal", (), {"isatty": lambda _self: False})())
    assert person.terminal() is False
    assert limits_set(True, "1 W").line() == "ok  limits: 1 W"


def test_nobody_who_could_arm_is_refused_before_anything_is_opened() -> None:
    def person(there: bool) -> Person:
        return Person(today=lambda: TODAY, terminal=lambda: there)

    unapproved, valid = bench(LIMITS).laser_safety, bench(LIMITS + APPROVAL).laser_safety
    refuse_unattended(unapproved, yes=False, person=person(True))
    refuse_unattended(valid, yes=True, person=person(False))
    with pytest.raises(RefusedError, match="a person at a terminal, and there is none"):
        refuse_unattended(valid, yes=False, person=person(False))
    with pytest.raises(RefusedError, match="--yes needs an approval: nobody has approved"):
        refuse_unattended(unapproved, yes=True, person=person(True))
