import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolab.errors import FileInvalidError
from sims.world import WorldConfig, load_world_config
from sims.world.describe import describe_world

SECTIONS = {name: type(getattr(WorldConfig(), name)) for name in WorldConfig.model_fields}
UNIT_IN_NAME = re.compile(r"_(s|nm|mm|ml|m2|c|k|w|a|v|ohm|counts|per_\w+|ml)$|_w_per_k|^(on|position)$")
UNIT_IN_WORDS = re.compile(
    r"\(1\b|, (1/|%|L/|umol/|nmol/|kJ/|degC|mL|cm|W|J|K|nm|mm|mV|mol|mmol|rpm|counts|rms)|\brelative\b|\bshare\b|\bgain\b|\btrue\b|sum of",
    re.IGNORECASE,
)


def load(tmp_path: Path, text: str) -> WorldConfig:
    file = tmp_path / "world.toml"
    file.write_text(text, encoding="utf-8")
    return load_world_config(file)


def test_no_file_is_the_default_world() -> None:
    assert load_world_config(None) == WorldConfig()
    assert load_world_config().photothermal.efficiency == 0.72


def test_the_description_loads_back_to_the_defaults(tmp_path: Path) -> None:
    text = describe_world()
    assert tomllib.loads(text).keys() == SECTIONS.keys()
    assert load(tmp_path, text) == WorldConfig()


@given(
    efficiency=st.floats(0.01, 1.0),
    drift=st.floats(-5.0, 5.0),
    stirred=st.booleans(),
    position=st.sampled_from(["sample_plane", "behind_cuvette", "pickoff"]),
)
def test_any_world_survives_its_description(efficiency: float, drift: float, stirred: bool, position: str) -> None:
    world = WorldConfig().replaced(
        {
            "photothermal.efficiency": efficiency,
            "ambient.drift_k_per_h": drift,
            "stirring.on": stirred,
            "powermeter.position": position,
            "spectrometer.nonlinearity": (1.0, efficiency * 1e-7, 0.0, 0.0),
        }
    )
    tables = tomllib.loads(describe_world(world))
    changes = {f"{table}.{key}": value for table, keys in tables.items() for key, value in keys.items()}
    changes["spectrometer.wavelength_coefficients"] = tuple(changes["spectrometer.wavelength_coefficients"])
    assert WorldConfig().replaced(changes) == world


def test_every_key_is_explained_with_its_unit() -> None:
    text = describe_world()
    for section in SECTIONS.values():
        for key, field in section.model_fields.items():
            assert field.description, key
            assert UNIT_IN_NAME.search(key) or UNIT_IN_WORDS.search(field.description), key
            line = next(i for i, row in enumerate(text.splitlines()) if row.startswith(f"{key} = "))
            assert text.splitlines()[line - 1].startswith("# ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[photothermal]\neficiency = 0.5",
            ["world.toml", "[photothermal] eficiency", "did you mean 'efficiency'?"],
        ),
        ("[photothermic]\nefficiency = 0.5", ["[photothermic]", "unknown table", "'photothermal'"]),
        ("efficiency = 0.5", ["write it under [photothermal]"]),
        ("[laser]\nefficiency = 0.5", ["[laser] efficiency", "it belongs under [photothermal]"]),
        ("[photothermal]\nefficiency = 1.2", ["[photothermal] efficiency = 1.2", "less than or equal to 1"]),
        ('[cuvette]\nvolume_ml = "1 mL"', ["[cuvette] volume_ml = '1 mL'", "valid number"]),
        ("[cuvette]\nvolume_ml = -1", ["[cuvette] volume_ml", "greater than or equal to"]),
        ("[ambient]\ntemperature_c = nan", ["[ambient] temperature_c", "finite"]),
        ('[stirring]\non = "yes"', ["[stirring] on", "boolean"]),
        ('[powermeter]\nposition = "behind"', ["[powermeter] position", "behind_cuvette"]),
        ("[cuvette]\nwindow_absorption = 0.1", ["[cuvette]", "cannot give out more than it gets"]),
        ("[spectrometer]\nnonlinearity = [1.0]", ["[spectrometer] nonlinearity"]),
        ("photothermal = 3", ["[photothermal] = 3", "valid dictionary"]),
        ("[laser]\nmax_power_w = 0\nslope_w_per_a = 0", ["(and 1 more)"]),
        ("[laser\n", ["world.toml", "is not TOML", "line 1"]),
    ],
)
def test_a_wrong_file_is_explained_in_one_sentence(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(FileInvalidError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_missing_and_a_binary_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileInvalidError, match=r"absent\.toml: cannot be read"):
        load_world_config(tmp_path / "absent.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileInvalidError, match=r"binary\.toml: is not UTF-8"):
        load_world_config(binary)


def test_whole_numbers_and_left_out_tables_are_fine(tmp_path: Path) -> None:
    world = load(tmp_path, "[cuvette]\nvolume_ml = 2\n")
    assert world.cuvette.volume_ml == 2.0
    assert world.laser == WorldConfig().laser


def test_replacing_checks_as_loading_does() -> None:
    with pytest.raises(FileInvalidError, match="did you mean 'absorbance'"):
        WorldConfig().replaced({"photothermal.absorbence": 0.4})
    with pytest.raises(FileInvalidError, match="greater than 0"):
        WorldConfig().replaced({"photothermal.absorbance": 0.0})
