"""What `nanolab analyze` makes of run folders that it cannot use, and how it tells the mean of several runs."""

from pathlib import Path
from typing import Any

import pytest

from nanolab.commands.reanalyze import reanalyze
from nanolab.errors import FileInvalidError, UsageError
from nanolab.journal import RunWriter, open_run
from nanolab.quantities import Quantity
from nanolab.restore import setup_of


def folder_of(data: Path, **start: Any) -> Path:
    with RunWriter(data) as writer:
        writer("start", {"uid": "abcdef01-1", "time": 1.0, "plan_name": "photothermal", **start})
        writer("stop", {"uid": "s", "run_start": "abcdef01-1", "time": 2.0, "exit_status": "success"})
        assert writer.path is not None
        return Path(writer.path)


def test_a_run_of_another_kind_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, assay="photothermal", role="blank")
    with pytest.raises(UsageError, match="no sample's run of 'photothermal'"):
        reanalyze("photothermal", [folder])


def test_a_run_that_does_not_say_what_it_was_made_from(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, assay="photothermal", role="sample")
    with pytest.raises(FileInvalidError, match="does not say what the run was made from"):
        setup_of(open_run(folder))


def test_a_blank_that_is_gone_is_named(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path, assay="photothermal", role="sample", sample={"version": 1}, bench={"version": 1}, parameters={},
        references={"blank": "0123"},
    )  # fmt: skip
    with pytest.raises(FileInvalidError, match="its blank is not here any more"):
        reanalyze("photothermal", [folder])


@pytest.mark.parametrize(
    "stored", [{}, {"value": "x"}, {"value": 1.0, "unit": "W", "standard_uncertainty": 0.1, "interval_95": 3}]
)
def test_what_is_no_stored_quantity_is_refused(stored: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"no stored quantity|could not convert"):
        Quantity.from_json(stored)


def test_a_stored_quantity_comes_back_as_it_was() -> None:
    quantity = Quantity(0.7, "1", 0.04, (0.6, 0.81))
    assert Quantity.from_json(quantity.to_json()) == quantity
    assert Quantity.from_json(Quantity(1.0, "W").to_json()) == Quantity(1.0, "W")
