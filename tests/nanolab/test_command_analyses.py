"""`nanolab analyses`: what can be analysed, and what each analysis takes."""

import json

import pytest
import typer
from typer.testing import CliRunner

from nanolab.assay import Parameter
from nanolab.commands.analyses import command
from nanolab.errors import UsageError
from nanolab.quantities import Quantity

app = typer.Typer()
app.command()(command)


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, UsageError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_list_names_every_analysis() -> None:
    known = {one["name"] for one in json.loads(shown("--json"))["analyses"]}
    assert {"encapsulation", "photothermal", "release", "similarity"} <= known
    text = shown()
    assert "similarity" in text
    assert "nanolab analyses NAME" in text


def test_one_analysis_lists_its_options_and_parameters() -> None:
    document = json.loads(shown("similarity", "--json"))
    assert document["options"] == ["--rule", "--map", "--where", "--lines", "--seed"]
    rule = next(one for one in document["parameters"] if one["name"] == "rule")
    assert (rule["default"], rule["choices"]) == ("ema", ["fda", "ema", "all"])
    assert "fda|ema|all" in shown("similarity")
    photothermal = shown("photothermal")
    assert "--power-w" in photothermal
    assert "parameter" not in photothermal  # it takes no --set
    with pytest.raises(UsageError, match="there is no analysis of files 'similarly'; did you mean 'similarity'"):
        shown("similarly")


def test_a_quantity_keeps_its_uncertainty() -> None:
    volume = Parameter("volume_ml", "quantity", None, "Volume.", "mL", 0.1, 100.0)
    assert volume.parse("0.05±0.001 L") == Quantity(50.0, "mL", 1.0)
    with pytest.raises(UsageError, match=r"--set volume_ml=0\.01: it must be at least 0\.1 mL"):
        volume.parse("0.01")
