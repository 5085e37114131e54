"""Entry points: known names, the nearest of an unknown one, and what cannot be imported."""

from importlib.metadata import EntryPoint

import pytest

from nanolab import discovery
from nanolab.discovery import ANALYSES, DEVICES, PLANS, entry_points_of, load
from nanolab.errors import NanolabError, UsageError


def test_ours_are_found_as_anybodys_would_be() -> None:
    assert {"photothermal", "spectrum", "monitor"} <= set(entry_points_of(PLANS))
    assert list(entry_points_of(DEVICES)) == sorted(entry_points_of(DEVICES))
    assert load(PLANS, "spectrum").name == "spectrum"
    assert {"encapsulation", "photothermal", "release", "similarity"} <= set(entry_points_of(ANALYSES))


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="there is no plan 'photothermel'; did you mean 'photothermal'"):
        load(PLANS, "photothermel")
    with pytest.raises(UsageError, match="there is no entry point 'x'"):
        load("nanolab.nothing", "x")


@pytest.mark.parametrize("value", ["no_such_module:Driver", "nanolab.errors:NoSuchName"])
def test_what_cannot_be_imported_is_one_sentence(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setattr(discovery, "entry_points_of", lambda _group: {"acme": EntryPoint("acme", value, DEVICES)})
    with pytest.raises(NanolabError, match=rf"the driver 'acme' \({value}\) cannot be loaded: .*doctor"):
        load(DEVICES, "acme")
