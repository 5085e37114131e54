"""Bench and sample files: what is read, and every mistake as one line that names file, line, table and key."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import BaseModel, BeforeValidator, ConfigDict

from nanolab.bench import config as bench_config
from nanolab.bench.config import BenchConfig, check_bench, load_bench, read_speed, with_simulation
from nanolab.bench.defaults import example_sample, find_bench, find_sample
from nanolab.bench.files import Source
from nanolab.bench.sample import check_sample, load_sample
from nanolab.bench.template import sample_template
from nanolab.errors import FileInvalidError, NanolabError, UsageError
from nanolab.quantities import Quantity, quantity_reader


class LaserSettings(BaseModel):
    """A diode laser."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_current: Annotated[Quantity, BeforeValidator(quantity_reader("A", low=0.0))] = Quantity(1.0, "A")
    interlock: bool = True


class FakeLaser:
    role: ClassVar[str] = "laser"
    Settings: ClassVar[type[BaseModel]] = LaserSettings


class FakeMeter:
    class Settings(BaseModel):
        model_config = ConfigDict(extra="forbid")
        channels: dict[str, int]


DRIVERS: dict[str, Any] = {"acme_laser": FakeLaser, "acme_meter": FakeMeter}


@pytest.fixture(autouse=True)
def fake_drivers(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_group: str, name: str) -> Any:
        if DRIVERS[name] is None:
            raise NanolabError(f"the driver '{name}' cannot be loaded: no module named acme")
        return DRIVERS[name]

    monkeypatch.setattr(bench_config, "entry_points_of", lambda _group: DRIVERS)
    monkeypatch.setattr(bench_config, "load", load)


GOOD_BENCH = """\
version = 1
[bench]
name = "left table"
operator = "M. Faraday"

[laser]
driver = "acme_laser"
address = "simulated"
max_current = "900±5 mA"

[thermocouple]
driver = "acme_meter"
address = "TCPIP0::192.168.0.7::5025::SOCKET"
channels = { sample = 101 }

[limits]
max_power = "500 mW"
max_temperature = "60 °C"
"""


def bench_of(text: str) -> BenchConfig:
    return check_bench(tomllib.loads(text), Source("bench.toml", text))


def mistakes(text: str) -> list[str]:
    with pytest.raises(FileInvalidError) as caught:
        bench_of(text)
    return str(caught.value).split("\n")


def sample_mistakes(text: str) -> list[str]:
    with pytest.raises(FileInvalidError) as caught:
        check_sample(tomllib.loads(text), Source("sample.toml", text))
    return str(caught.value).split("\n")


# --- bench ------------------------------------------------------------------------------------------------------


def test_a_bench_is_read_with_its_units() -> None:
    bench = bench_of(GOOD_BENCH)
    assert bench.laser is not None
    assert bench.laser.settings.max_current.value == pytest.approx(0.9)
    assert bench.laser.settings.max_current.standard_uncertainty == pytest.approx(0.005)
    assert bench.limits.max_power.value == 0.5
    assert bench.limits.max_temperature == Quantity(60.0, "degC")
    assert bench.limits.max_energy.value == 10000.0
    assert list(bench.devices) == ["laser", "thermocouple"]
    assert bench.simulated_roles == ("laser",)
    assert bench.speed == 1.0  # a real thermometer cannot be hurried


def test_a_bench_goes_into_the_start_document_as_it_stands_in_the_file() -> None:
    dumped = bench_of(GOOD_BENCH).model_dump(mode="json")
    assert dumped["laser"]["driver"] == "acme_laser"
    assert dumped["laser"]["interlock"] is True
    assert dumped["laser"]["max_current"]["value"] == pytest.approx(0.9)
    assert dumped["spectrometer"] is None
    assert dumped["bench"]["data"] == "runs"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("max_current =", "max_curent =", "bench.toml:9: [laser] max_curent: unknown key; did you mean 'max_current'?"),
        ("900±5 mA", "900 mW", "bench.toml:9: [laser] max_current: unit 'mW' does not fit: 'A' is wanted"),
        ("900±5 mA", "-0.1 A", "bench.toml:9: [laser] max_current: -0.1 A is out of range: it must be at least 0 A"),
        ('"acme_laser"', '"acme_lazer"', "bench.toml:7: [laser] driver: there is no driver 'acme_lazer'; did you"),
        ('driver = "acme_laser"', "driver = 7", "bench.toml:7: [laser] driver: text is wanted, in quotes, not 7"),
        ('driver = "acme_laser"', "", "bench.toml:6: [laser] driver: this key is missing"),
        ('"acme_laser"', '"acme_meter"', "bench.toml:9: [laser] max_current: unknown key; known: channels"),
        ('address = "simulated"', "", "bench.toml:6: [laser] address: this key is missing"),
        ("{ sample = 101 }", '{ sample = "x" }', "[thermocouple] channels.sample: a whole number is wanted, not 'x'"),
        ("channels = { sample = 101 }", "", "bench.toml:11: [thermocouple] channels: this key is missing"),
        ('"500 mW"', '"0 W"', "bench.toml:17: [limits] max_power: 0 W is out of range: it must be above 0 W"),
        ("max_power", "max_powr", "bench.toml:17: [limits] max_powr: unknown key; did you mean 'max_power'?"),
        ("max_power", "operator", "bench.toml:17: [limits] operator: unknown key; it belongs under [bench]"),
        ("[limits]", "[limit]", "bench.toml:16: [limit]: unknown table; did you mean 'limits'?"),
        ("version = 1", "version = 2", "bench.toml:1: [version]: '2' is not possible here; known: 1"),
        ("version = 1", "", "bench.toml: [version]: this table is missing"),
        ('name = "left table"', "name = 3", "bench.toml:3: [bench] name: text is wanted, in quotes, not 3"),
    ],
)
def test_one_mistake_is_one_line_that_names_the_place(old: str, new: str, sentence: str) -> None:
    assert old in GOOD_BENCH
    assert any(line.startswith(sentence) or sentence in line for line in mistakes(GOOD_BENCH.replace(old, new, 1)))


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    text = GOOD_BENCH.replace("max_current", "max_curent").replace("500 mW", "a lot").replace("101", '"x"')
    lines = mistakes(text)
    assert len(lines) == 3
    assert {line.split(":")[1] for line in lines} == {"9", "14", "17"}


def test_a_role_must_be_a_table() -> None:
    lines = mistakes('version = 1\nlaser = "acme_laser"\n')
    assert lines == ["bench.toml:2: [laser]: a table is wanted, not 'acme_laser': write it as [laser]"]


def test_a_driver_of_another_kind_belongs_elsewhere() -> None:
    text = 'version = 1\n[powermeter]\ndriver = "acme_laser"\naddress = "simulated"\n'
    assert mistakes(text) == ["bench.toml:3: [powermeter] driver: 'acme_laser' drives a laser; write it under [laser]"]


def test_a_driver_that_cannot_be_imported_is_a_mistake_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DRIVERS, "acme_laser", None)
    assert "no module named acme" in mistakes(GOOD_BENCH)[0]


def test_time_cannot_be_hurried_where_a_device_is_real() -> None:
    text = GOOD_BENCH + '[simulation]\nspeed = "max"\n'
    assert mistakes(text)[0].startswith(
        "bench.toml:20: [simulation] speed: time cannot run at max where a device is real (thermocouple)"
    )
    with pytest.raises(UsageError, match="real time cannot be hurried"):
        with_simulation(bench_of(GOOD_BENCH), speed="60")


def test_the_simulation_can_be_chosen_by_the_call() -> None:
    config = bench_of('version = 1\n[laser]\ndriver = "acme_laser"\naddress = "simulated"\n')
    assert config.speed == "max"
    changed = with_simulation(config, world=Path("w.toml"), seed=7, speed="60")
    assert (changed.simulation.world, changed.simulation.seed, changed.speed) == (Path("w.toml"), 7, 60.0)
    assert with_simulation(config) == config
    with pytest.raises(UsageError, match="cannot be negative"):
        with_simulation(config, seed=-1)
    with pytest.raises(UsageError, match="neither a positive number"):
        with_simulation(config, speed="fast")


@pytest.mark.parametrize("speed", ["fast", "0", "-1", "nan", "inf", True, None])
def test_a_speed_that_is_none(speed: object) -> None:
    with pytest.raises(ValueError, match="neither a positive number nor"):
        read_speed(speed)


def test_relative_paths_are_from_the_folder_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "bench.toml"
    file.write_text('version = 1\n[bench]\ndata = "data"\n[simulation]\nworld = "w.toml"\n', encoding="utf-8")
    config = load_bench(file)
    assert config.bench.data == tmp_path / "data"
    assert config.simulation.world == tmp_path / "w.toml"


def test_a_file_that_is_missing_no_text_or_no_toml(tmp_path: Path) -> None:
    file = tmp_path / "bench.toml"
    with pytest.raises(FileInvalidError, match="no such file; `nanolab bench init` writes one"):
        load_bench(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileInvalidError, match="no UTF-8 text"):
        load_bench(file)
    file.write_text("version = 1\n[laser]\npower = 0.5 W\n", encoding="utf-8")
    with pytest.raises(FileInvalidError, match=r"bench\.toml:3: the line is no TOML.*quotes"):
        load_bench(file)
    file.write_text('version = "', encoding="utf-8")
    with pytest.raises(FileInvalidError, match=r"bench\.toml.* no TOML"):
        load_bench(file)
    with pytest.raises(FileInvalidError, match="cannot be read"):
        load_bench(tmp_path)


def test_a_byte_order_mark_as_windows_editors_write_it_is_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "bench.toml"
    file.write_text("version = 1\n", encoding="utf-8-sig")
    assert load_bench(file).devices == {}


def test_which_files_are_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("here", "named", "given"):
        (tmp_path / f"{name}.toml").write_text(f'version = 1\n[bench]\nname = "{name}"\n', encoding="utf-8")
    monkeypatch.delenv("NANOLAB_BENCH", raising=False)
    (tmp_path / "here.toml").rename("bench.toml")
    assert find_bench().bench.name == "here"
    monkeypatch.setenv("NANOLAB_BENCH", "named.toml")
    assert find_bench().bench.name == "named"
    assert find_bench(Path("given.toml")).bench.name == "given"
    with pytest.raises(FileInvalidError, match="no such file"):
        find_bench(Path("nowhere.toml"))
    monkeypatch.delenv("NANOLAB_SAMPLE", raising=False)
    assert find_sample() == example_sample()
    (tmp_path / "sample.toml").write_text("version = 1\n", encoding="utf-8")
    assert find_sample().sample.name == "unnamed"


# --- sample -----------------------------------------------------------------------------------------------------

GOOD_SAMPLE = """\
version = 1
[sample]
name = "GNR 7"
volume = "1000±10 µL"
absorbance = "1.00±0.02"
path_length = "10 mm"
window_transmission = 0.964
[cuvette]
id = "Q3"
holder = "A"
stirring = "400 rpm"
[heat_capacity]
effective = "6.0±0.3 J/K"
[expected]
efficiency = "0.75±0.06"
heat_loss = "16±1 mW/K"
"""


def test_a_sample_is_read_with_its_units() -> None:
    sample = check_sample(tomllib.loads(GOOD_SAMPLE), Source("sample.toml", GOOD_SAMPLE))
    assert sample.sample.volume is not None
    assert (sample.sample.volume.value, sample.sample.volume.standard_uncertainty) == pytest.approx((1.0, 0.01))
    assert sample.sample.path_length.unit == "cm"
    assert sample.sample.path_length.value == pytest.approx(1.0)
    assert sample.expected.efficiency is not None
    assert sample.expected.efficiency.standard_uncertainty == pytest.approx(0.06)
    assert sample.expected.heat_loss is not None
    assert sample.expected.heat_loss.value == pytest.approx(0.016)
    assert sample.heat_capacity is not None
    assert sample.heat_capacity.method == "heater"
    assert sample.particle is None
    assert sample.blank_key() == {"cuvette": "Q3", "holder": "A", "stirring": "400 rpm", "volume_ml": 1.0}


def test_a_value_without_uncertainty_gets_the_default_and_is_named() -> None:
    sample = check_sample(tomllib.loads(GOOD_SAMPLE), Source("sample.toml", GOOD_SAMPLE))
    assert sample.assumed == ("sample.path_length", "sample.window_transmission")
    assert sample.sample.window_transmission is not None
    assert sample.sample.window_transmission.standard_uncertainty == pytest.approx(0.00482)
    assert sample.sample.path_length.standard_uncertainty == pytest.approx(0.005)


def test_what_is_left_out_is_not_invented() -> None:
    sample = check_sample({"version": 1}, Source("sample.toml"))
    assert sample.sample.volume is None
    assert sample.sample.window_transmission is None
    assert sample.heat_capacity is None
    assert sample.expected.efficiency is None
    assert sample.beliefs.power_gain.standard_uncertainty == 0.03
    assert sample.assumed == ()
    assert sample.blank_key()["volume_ml"] is None


def test_a_sample_comes_back_from_a_start_document() -> None:
    sample = check_sample(tomllib.loads(GOOD_SAMPLE), Source("sample.toml", GOOD_SAMPLE))
    again = check_sample(sample.model_dump(mode="json"), Source("the start document"))
    assert again == sample


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("1000±10 µL", "-1 mL", "sample.toml:4: [sample] volume: -1 mL is out of range: it must be above 0 mL"),
        ("1000±10 µL", "1 cm", "sample.toml:4: [sample] volume: unit 'cm' does not fit: 'mL' is wanted"),
        ("1000±10 µL", "1 mLs", "sample.toml:4: [sample] volume: unknown unit 'mLs'"),
        ("1000±10 µL", "one mL", "sample.toml:4: [sample] volume: 'one mL' is no quantity: write for example"),
        ("1000±10 µL", "1 ± -1 mL", "sample.toml:4: [sample] volume: '1 ± -1 mL': an uncertainty cannot be negative"),
        ("0.964", "96.4", "sample.toml:7: [sample] window_transmission: 96.4 is out of range: it must be at most 1"),
        ("0.964", "true", "sample.toml:7: [sample] window_transmission: 'True' is no quantity"),
        ("0.964", "[0.964]", "sample.toml:7: [sample] window_transmission: '[0.964]' is no quantity"),
        ("volume =", "voluem =", "sample.toml:4: [sample] voluem: unknown key; did you mean 'volume'?"),
        ("[cuvette]", "[cuvete]", "sample.toml:8: [cuvete]: unknown table; did you mean 'cuvette'?"),
        ("holder =", "volume =", "sample.toml:10: [cuvette] volume: unknown key; it belongs under [sample]"),
        ('effective = "6.0±0.3 J/K"', "", "sample.toml:12: [heat_capacity] effective: this key is missing"),
        ("[heat_capacity]", '[heat_capacity]\nmethod = "heatr"', "method: 'heatr' is not possible here; did you mean"),
        ("heat_loss =", 'time_constant = "280 s"\nheat_loss =', "[expected]: state heat_loss or time_constant"),
        ("[cuvette]", '[particle]\nkind = "gold nanorod"\nlength = "10 nm"\ndiameter = "40 nm"\n[cuvette]',
         "sample.toml:8: [particle]: the length of a rod must exceed its diameter"),
    ],
)  # fmt: skip
def test_one_mistake_of_a_sample_is_one_line(old: str, new: str, sentence: str) -> None:
    assert old in GOOD_SAMPLE
    (line,) = sample_mistakes(GOOD_SAMPLE.replace(old, new, 1))
    assert sentence in line


def test_the_sample_template_loads_back(tmp_path: Path) -> None:
    file = tmp_path / "sample.toml"
    file.write_text(sample_template(), encoding="utf-8")
    sample = load_sample(file)
    assert sample == example_sample()
    assert sample.assumed == ()
    assert sample.particle is not None
    assert sample.particle.kind == "gold nanorod"
    for table in ("sample", "cuvette", "heat_capacity", "beliefs", "expected", "particle"):
        for key in type(getattr(sample, table)).model_fields:
            assert f"{key} =" in file.read_text(encoding="utf-8")
