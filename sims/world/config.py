"""What is true on the simulated bench: the world file, checked, with errors that name the place."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nanolab.errors import FileInvalidError, nearest
from sims.world.cargo_sections import (
    AliquotTable,
    CargoTable,
    CarrierTable,
    EnzymeTable,
    MembraneTable,
    PreparationTable,
)
from sims.world.release_sections import Buffer, Dosing, Indicator, PeltierHolder, PhElectrode
from sims.world.sections import (
    Ambient,
    Cuvette,
    Evaporation,
    Laser,
    Particles,
    Photothermal,
    PowerMeter,
    Section,
    Spectrometer,
    Stirring,
    Thermocouple,
)


class WorldConfig(Section):
    """Everything that is true in one simulated world (see `sims.world.describe.describe_world`)."""

    photothermal: Photothermal = Photothermal()
    particles: Particles = Particles()
    cuvette: Cuvette = Cuvette()
    ambient: Ambient = Ambient()
    evaporation: Evaporation = Evaporation()
    stirring: Stirring = Stirring()
    laser: Laser = Laser()
    thermocouple: Thermocouple = Thermocouple()
    powermeter: PowerMeter = PowerMeter()
    spectrometer: Spectrometer = Spectrometer()
    dosing: Dosing = Dosing()
    buffer: Buffer = Buffer()
    ph_electrode: PhElectrode = PhElectrode()
    indicator: Indicator = Indicator()
    peltier_holder: PeltierHolder = PeltierHolder()
    cargo: CargoTable = CargoTable()
    carrier: CarrierTable = CarrierTable()
    membrane: MembraneTable = MembraneTable()
    aliquot: AliquotTable = AliquotTable()
    enzyme: EnzymeTable = EnzymeTable()
    preparation: PreparationTable = PreparationTable()

    def replaced(self, changes: Mapping[str, Any]) -> "WorldConfig":
        """Return a checked copy with dotted keys changed, such as ``{"photothermal.efficiency": 0.4}``.

        FileInvalidError where a key is unknown or a value out of its range.
        """
        tables: dict[str, Any] = self.model_dump()
        for dotted, value in changes.items():
            table, _, key = dotted.partition(".")
            tables.setdefault(table, {})[key] = value
        return _checked(tables, "world")


def load_world_config(path: Path | str | None = None) -> WorldConfig:
    """Read a world file; the defaults where `path` is None.

    FileInvalidError, naming file, table and key, where the file is missing, no TOML, or has an unknown key,
    a wrong type or a value out of its range.
    """
    if path is None:
        return WorldConfig()
    file = Path(path)
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileInvalidError(
            f"{file}: cannot be read ({error.strerror}); 'nanolab sim world' prints one to start from"
        ) from error
    except UnicodeDecodeError as error:
        raise FileInvalidError(f"{file}: is not UTF-8 text; save the world file as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise FileInvalidError(f"{file}: is not TOML: {error}") from error
    return _checked(tables, str(file))


def _checked(tables: Mapping[str, Any], source: str) -> WorldConfig:
    try:
        return WorldConfig.model_validate(_with_tuples(tables))
    except ValidationError as error:
        raise FileInvalidError(f"{source}: {_explained(error)}") from error


def _with_tuples(tables: Mapping[str, Any]) -> dict[str, Any]:
    # TOML knows arrays only; the models are hashable and want tuples
    def plain(value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    return {
        name: {key: plain(value) for key, value in table.items()} if isinstance(table, Mapping) else table
        for name, table in tables.items()
    }


def _explained(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    first = problems[0]
    place = [str(part) for part in first["loc"]]
    where = f"[{place[0]}]" + (f" {'.'.join(place[1:])}" if len(place) > 1 else "") if place else "the file"
    if first["type"] == "extra_forbidden":
        text = f"{where}: unknown {'key' if len(place) > 1 else 'table'}; {_hint(place)}"
    elif first["type"] == "value_error":
        text = f"{where}: {first['msg'].removeprefix('Value error, ')}"
    else:
        text = f"{where} = {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}"
    more = len(problems) - 1
    return text + (f" (and {more} more)" if more else "")


def _hint(place: list[str]) -> str:
    tables = {name: list(type(getattr(WorldConfig(), name)).model_fields) for name in WorldConfig.model_fields}
    if len(place) == 1:
        owners = [name for name, keys in tables.items() if place[0] in keys]
        return f"write it under [{owners[0]}]" if owners else nearest(place[0], list(tables))
    own = [name for name, keys in tables.items() if place[1] in keys]
    return f"it belongs under [{own[0]}]" if own else nearest(place[1], tables[place[0]])
