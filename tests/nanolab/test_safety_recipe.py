"""Off recipes as data: what is refused, what reads as off, and the way through JSON."""

import json

import pytest

from nanolab.errors import NanolabError, UsageError
from nanolab.safety.recipe import LineRecipe, OffCheck, OffRecipe, OffStep

WORDS = OffRecipe(
    device="laser",
    address="",
    line=LineRecipe(kind="visa", write="\n", read="\n"),
    steps=(OffStep("OUTP1 OFF"),),
    checks=(
        OffCheck("OUTP1?", equals=("0",)),
        OffCheck("STAT:OPER:COND?", bit_clear=11),
        OffCheck("MEAS:CURR?", below=0.02),
    ),
    by_hand="Turn the key of the laser to off.",
    flush="@@@",
)


@pytest.mark.parametrize(
    ("check", "off", "on"),
    [
        (OffCheck("?", equals=("0", "OFF")), [" 0", "off\r"], ["1", "", "0 0"]),
        (OffCheck("?", below=0.02), ["0.0199", "-1e-5", " 1E-3 "], ["0.02", "nan", "inf", "-inf", "x", ""]),
        (OffCheck("?", bit_clear=11), ["0", "4096", "+4.096E+03"], ["2048", "6144", "x", "inf", "nan", ""]),
        (OffCheck("?", pattern="P[0-9]"), ["P1 "], ["P12", "xP1", ""]),
        (OffCheck("?", below=1.0, pattern="0.*"), ["0.5"], ["-0.5", "01"]),
    ],
)
def test_what_reads_as_off(check: OffCheck, off: list[str], on: list[str]) -> None:
    assert [text for text in off if not check.says_off(text)] == []
    assert [text for text in on if check.says_off(text)] == []


def test_a_recipe_travels_as_json() -> None:
    assert OffRecipe.from_json(WORDS.to_json()) == WORDS
    assert "\n" not in WORDS.to_json()


def test_a_recipe_without_command_or_rule_is_refused() -> None:
    line = LineRecipe()
    with pytest.raises(UsageError, match="'laser' needs at least one command and one read-back"):
        OffRecipe("laser", "", line, (), (OffCheck("?", below=1.0),), "")
    with pytest.raises(UsageError, match="at least one command and one read-back"):
        OffRecipe("laser", "", line, (OffStep("off"),), (), "")
    with pytest.raises(UsageError, match=r"the read-back 'on\?' has no rule"):
        OffRecipe("laser", "", line, (OffStep("off"),), (OffCheck("on?"),), "")


@pytest.mark.parametrize("text", ["junk", "[]", "{}", "3"])
def test_what_is_no_recipe_is_said(text: str) -> None:
    with pytest.raises(NanolabError, match="an off recipe cannot be read"):
        OffRecipe.from_json(text)


def test_unknown_keys_are_not_passed_over() -> None:
    table = json.loads(WORDS.to_json()) | {"confirm_whithin_s": 1.0}
    with pytest.raises(NanolabError, match=r"unknown keys \['confirm_whithin_s'\]"):
        OffRecipe.from_json(json.dumps(table))
