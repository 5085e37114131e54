"""The files that `nanolab bench init` writes: they load back, and they explain every key."""

import datetime
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from nanolab import discovery
from nanolab.bench import template
from nanolab.bench.config import check_bench, load_bench
from nanolab.bench.defaults import simulated_bench
from nanolab.bench.files import Source
from nanolab.bench.template import Resources, bench_template, look_for_resources
from nanolab.errors import NanolabError
from nanolab.quantities import Quantity


def test_the_bench_template_loads_back_as_the_simulated_bench(tmp_path: Path) -> None:
    file = tmp_path / "bench.toml"
    file.write_text(bench_template(), encoding="utf-8")
    loaded, example = load_bench(file), simulated_bench()
    assert loaded.devices == example.devices
    assert loaded.limits == example.limits
    assert set(loaded.simulated_roles) == set(loaded.devices) >= {"laser", "thermocouple", "powermeter"}
    assert loaded.speed == "max"


def test_every_key_of_every_driver_is_explained() -> None:
    lines = bench_template().splitlines()
    example = simulated_bench()
    for role, device in example.devices.items():
        start = lines.index(f"[{role}]")
        for key, info in type(device.settings).model_fields.items():
            assert info.description, f"{device.driver}: {key} has no description"
            place = next(i for i in range(start, len(lines)) if lines[i].removeprefix("# ").startswith(f"{key} ="))
            assert lines[place - 1].startswith("# ")


def test_keys_that_are_commented_out_show_the_default_that_they_have() -> None:
    text = bench_template()
    uncommented = "\n".join(
        line.removeprefix("# ") if " = " in line and "[" not in line.split(" = ")[0].removeprefix("# ") else line
        for line in text.splitlines()
        if not line.endswith(" =")
    )
    # explanations contain no line of the form `word = value`, so that what is left is the file with every default
    tables = tomllib.loads("\n".join(line for line in uncommented.splitlines() if not line.startswith("simulation")))
    assert check_bench(tables, Source("all defaults")).devices == simulated_bench().devices


def test_the_beliefs_of_the_example_suit_the_example_world() -> None:
    sims = pytest.importorskip("sims.world")
    heater = pytest.importorskip("sims.world.heater")
    from nanolab.bench.defaults import example_sample

    world, sample = sims.WorldConfig(), example_sample()
    truth = heater.heater_calibration(world)
    assert sample.heat_capacity is not None
    pairs = [
        (sample.expected.efficiency, world.photothermal.efficiency),
        (sample.sample.absorbance, world.photothermal.absorbance),
        (sample.sample.window_transmission, world.cuvette.window_transmission),
        (sample.sample.volume, world.cuvette.volume_ml),
        (sample.heat_capacity.effective, truth.heat_capacity_j_per_k),
        (sample.expected.heat_loss, truth.heat_loss_w_per_k),
        (sample.cuvette.wall_heat_capacity, world.cuvette.wall_heat_capacity_j_per_k),
        (sample.beliefs.power_gain, world.powermeter.gain),
        (sample.beliefs.thermometer_gain, world.thermocouple.gain),
    ]
    for belief, true in pairs:
        assert belief is not None
        assert belief.standard_uncertainty is not None
        assert abs(belief.value - true) < 2.0 * belief.standard_uncertainty


def test_what_was_found_is_listed_for_pasting() -> None:
    found = Resources(["COM3 (Prolific)"], ["USB0::0x1313::0x804A::M1::INSTR"], ["no USB library"])
    text = bench_template(found)
    assert "#   serial port COM3 (Prolific)" in text
    assert "#   VISA resource USB0::0x1313::0x804A::M1::INSTR" in text
    assert "# no USB library" in text
    tomllib.loads(text)
    assert "#   no serial port" in bench_template(Resources())


def test_looking_for_resources_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    import serial.tools.list_ports as list_ports

    class Port:
        device, description = "COM4", "USB serial"

        def __lt__(self, other: "Port") -> bool:
            return False

    monkeypatch.setattr(list_ports, "comports", lambda: [Port()])
    monkeypatch.setattr(template, "_visa_resources", lambda: ["USB0::1::2::3::INSTR"])
    assert look_for_resources() == Resources(["COM4 (USB serial)"], ["USB0::1::2::3::INSTR"], [])

    def fails() -> Any:
        raise OSError("no rights")

    monkeypatch.setattr(list_ports, "comports", fails)
    monkeypatch.setattr(template, "_visa_resources", fails)
    assert look_for_resources().notes == [
        "serial ports could not be listed: no rights",
        "VISA resources could not be listed: no rights",
    ]


def test_pyvisa_itself_is_asked() -> None:
    resources = look_for_resources()
    assert all("::" in name for name in resources.visa)


def test_a_driver_that_cannot_be_loaded_costs_only_its_own_table(monkeypatch: pytest.MonkeyPatch) -> None:
    load = discovery.load

    def load_but_laser(group: str, name: str) -> Any:
        if name.startswith("thorlabs_itc"):
            raise NanolabError("no module named acme")
        return load(group, name)

    monkeypatch.setattr(template, "load", load_but_laser)
    text = bench_template()
    assert "# [laser] is left out: no module named acme" in text
    assert "laser" not in tomllib.loads(text)


def test_values_of_every_kind_are_written_as_toml(monkeypatch: pytest.MonkeyPatch) -> None:
    class Inner(BaseModel):
        gain: float = 2.0
        comment: str | None = None

    class Settings(BaseModel):
        when: datetime.date = datetime.date(2026, 1, 31)
        on: bool = True
        text: str = 'a "quoted" \\ word'
        path: Path = Path("a/b")
        many: tuple[int, ...] = (1, 2)
        table: Mapping[str, int] = Field(default_factory=lambda: {"a": 1})
        inner: Inner = Inner()
        power: Any = Quantity(0.5, "W", 0.01)
        share: Any = Quantity(0.25, "1")

    class Driver:
        pass

    Driver.Settings = Settings  # type: ignore[attr-defined]  # as drivers do, in their class body
    monkeypatch.setattr(template, "load", lambda _group, _name: Driver)
    defaults = {key: info.get_default(call_default_factory=True) for key, info in Settings.model_fields.items()}
    monkeypatch.setattr(template, "EXAMPLE_SETTINGS", dict.fromkeys(template.EXAMPLE_DRIVERS, defaults))
    laser = tomllib.loads(bench_template())["laser"]
    assert laser["when"] == datetime.date(2026, 1, 31)
    assert laser["text"] == 'a "quoted" \\ word'
    assert (laser["on"], laser["path"], laser["many"], laser["table"]) == (True, "a/b", [1, 2], {"a": 1})
    assert (laser["inner"], laser["power"], laser["share"]) == ({"gain": 2.0}, "0.5±0.01 W", "0.25")


def test_the_instruments_that_the_example_lacks_are_explained_as_comments() -> None:
    text = bench_template()
    assert set(simulated_bench().devices).isdisjoint(template.OPTIONAL_DRIVERS)
    everything = "\n".join(line.removeprefix("## ") for line in text.splitlines())
    bench = check_bench(tomllib.loads(everything), Source("with all instruments", everything))
    for role, driver in template.OPTIONAL_DRIVERS.items():
        assert bench.devices[role].driver == driver
        assert bench.devices[role].simulated
        for key, info in type(bench.devices[role].settings).model_fields.items():
            assert info.description, f"{driver}: {key} has no description"
            assert f"## # {key} =" in text or f"## {key} =" in text
