"""`nanolab analyze rates`: Arrhenius on published half-lives, k(pH) of a hydrazone and of a switch, refusals."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nanolab import cli
from nanolab.analysis.rate_laws import fit_arrhenius, fit_ph_profile


def test_half_lives_of_liposomes_between_37_and_55_degrees() -> None:
    # t50 22.5, 8.0, 0.77 h at 37, 45, 55 degC: an activation energy of about 160 kJ/mol
    found = fit_arrhenius([37.0, 45.0, 55.0], np.log(2.0) / np.array([22.5, 8.0, 0.77]))
    assert found.fit.values[1] == pytest.approx(160.0, abs=6.0)


def test_exact_rates_give_their_energy_back() -> None:
    t = np.array([25.0, 31.0, 37.0, 43.0])
    k = 0.06 * np.exp(80.0 / 8.314462618e-3 * (1 / 310.15 - 1 / (t + 273.15)))
    found = fit_arrhenius(t, k)
    assert found.fit.values == pytest.approx([0.06, 80.0], rel=1e-6)


def test_a_hydrazone_is_specific_acid_and_a_swelling_carrier_a_switch() -> None:
    ph = np.array([4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 7.4])
    noise = 1.0 + 0.01 * np.random.default_rng(1).standard_normal(ph.size)
    # half-life of 5 h at pH 5
    hydrazone = (1e-4 + np.log(2.0) / 5.0 * 1e5 * 10.0**-ph) * noise
    fits, ranking = fit_ph_profile(ph, hydrazone)
    assert ranking.order[0] == "specific_acid"
    acid = next(one for one in fits if one.name == "specific_acid")
    assert acid.fit.values[1] == pytest.approx(13863.0, rel=0.03)
    swelling = (0.01 + 0.5 / (1.0 + 10.0 ** (2.5 * (ph - 6.2)))) * noise
    assert fit_ph_profile(ph, swelling)[1].preferred == "switch"


def test_few_points_and_no_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="at least three"):
        fit_arrhenius([37.0, 45.0], [0.1, 0.2])
    with pytest.raises(ValueError, match="positive"):
        fit_ph_profile([5.0, 6.0, 7.0], [0.1, 0.0, 0.2])


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(list(words))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_table_at_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rates.csv"
    file.write_text(
        "temperature,rate,u\n27,0.0213,0.001\n32,0.0359,0.001\n37,0.06,0.002\n42,0.0981,0.003\n", encoding="utf-8"
    )
    code, out, err = run(capsys, "analyze", "rates", str(file), "--json")
    assert code == 0, err
    import json

    result: Any = json.loads(out)["result"]
    assert result["activation_energy"]["value"] == pytest.approx(80.0, abs=3.0)
    assert result["k37"]["unit"] == "1/h"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x,rate\n1,2\n2,3\n3,4\n", "no column 'temperature' or 'ph'"),
        ("ph,rate\n5,0.1\n6,-0.1\n7,0.2\n", "positive"),
        ("ph,rate\n5,0.1\n6,\n7,0.2\n", "does not hold a number"),
    ],
)
def test_a_wrong_table_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, sentence: str
) -> None:
    file = tmp_path / "rates.csv"
    file.write_text(text, encoding="utf-8")
    code, _, err = run(capsys, "analyze", "rates", str(file))
    assert code == 3, err
    assert sentence in err
