"""bench.toml: which instruments there are, where they are, and what must never be exceeded."""

import datetime
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_serializer

from nanolab.bench.fields import (
    Duration,
    DurationOrNone,
    Energy,
    Heating,
    Length,
    ParticleLength,
    Power,
    Share,
    Temperature,
    TemperatureChange,
    TemperatureRate,
    ThermalDose,
)
from nanolab.bench.files import Source, Table, read_toml, validate
from nanolab.discovery import DEVICES, entry_points_of, load
from nanolab.errors import FileInvalidError, NanolabError, UsageError, nearest
from nanolab.quantities import Quantity

ROLES = (
    "laser", "thermocouple", "spectrometer", "powermeter", "shutter", "deadman", "pump", "cuvette_holder", "ph",
)  # fmt: skip
"""Tables of a bench file that name an instrument (the cuvette is exchanged by a person or by the simulator)."""

SIMULATED = "simulated"
REMEDY = "`nanolab bench init` writes one with every key explained"

Speed = float | Literal["max"]


def read_speed(value: object) -> Speed:
    """Read a speed of the simulated bench, a factor of real time or ``max``; ValueError where it is neither."""
    if isinstance(value, str) and value.strip().lower() == "max":
        return "max"
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError
        speed = float(value)
        if not (math.isfinite(speed) and speed > 0):
            raise ValueError
    except ValueError:
        raise ValueError(f"speed '{value}' is neither a positive number nor \"max\"") from None
    return speed


class BenchTable(Table):
    """The bench as a whole."""

    name: str = Field(default="bench", description="what the bench is called in documents and reports")
    data: Path = Field(default=Path("runs"), description="folder of the run folders, from this file's folder")
    operator: str = Field(default="", description="who works here; goes into every run")


class LimitsConfig(Table):
    """Never exceeded: checked before the start and on every reading. No replacement for a hardware interlock."""

    max_power: Power = Field(default=Quantity(2.0, "W"), description="optical power at the sample plane")
    max_temperature: Temperature = Field(
        default=Quantity(80.0, "degC"), description="of the sample; above it the laser goes off"
    )
    max_time_on: Duration = Field(default=Quantity(21600.0, "s"), description="laser on, in one run altogether")
    max_energy: Energy = Field(default=Quantity(10000.0, "J"), description="on the sample in one run")
    max_thermal_dose: ThermalDose | None = Field(
        default=None, description="of the sample, CEM43 in min (cells: 240 min); left out: counted, not limited"
    )


class InterlockConfig(Table):
    """Numbers of the rules that turn the laser off; a trip stays until a person releases it."""

    max_reading_age: Duration = Field(
        default=Quantity(3.0, "s"), description="age of the newest temperature while the laser is on, wall time"
    )
    max_rate: TemperatureRate = Field(
        default=Quantity(10.0, "K/s"), description="change of the sample's temperature that is still believed"
    )
    least_heating: Heating = Field(
        default=Quantity(0.005, "K/J"),
        description="rise of a sample for each joule when heating begins (1 mL at absorbance 1: 0.1 K/J; its solvent alone: 0.005); 0: not asked for",
    )
    heating_within: Duration = Field(
        default=Quantity(10.0, "s"), description="time for which the rise may be smaller than that"
    )
    max_fall: TemperatureChange = Field(
        default=Quantity(1.0, "K"), description="fall of the sample while the power is not lowered"
    )
    max_fall_share: Share = Field(
        default=Quantity(0.1, "1"), description="the same as a share of the rise; the larger of the two counts"
    )
    fall_within: Duration = Field(default=Quantity(30.0, "s"), description="time in which it falls by that much")
    max_disagreement: TemperatureChange = Field(
        default=Quantity(3.0, "K"), description="between two probes in the sample (channels that begin with sample)"
    )
    disagreement_within: Duration = Field(
        default=Quantity(5.0, "s"), description="time for which they may differ by more"
    )
    frozen_within: DurationOrNone = Field(
        default=Quantity(15.0, "s"),
        description="time for which the sample may read exactly the same, to the last digit, while the laser is on; 0: not looked for",
    )
    reaction_time: Duration = Field(
        default=Quantity(5.0, "s"),
        description="the laser goes off this long before max_temperature would be reached (keep 2 K below the limit)",
    )
    dark_power: Power = Field(
        default=Quantity(0.01, "W"),
        description="what the power meter may read before arming, in the sample plane",
    )


class BeamConfig(Table):
    """The beam in the sample, for reports: no analysis uses it."""

    spot_diameter: Length | None = Field(default=None, description="diameter of the beam at the sample")
    spot_definition: Literal["1/e2", "FWHM", "top hat"] | None = Field(
        default=None, description='what the diameter means: "1/e2", "FWHM" or "top hat"'
    )
    linewidth: ParticleLength | None = Field(default=None, description="full width of the laser line at half maximum")


class LaserSafetyConfig(Table):
    """Approval of a real laser by the person who is responsible for it; without it nothing real is armed."""

    name: str = Field(default="", description="laser safety officer, or whoever is responsible")
    expires: datetime.date | None = Field(default=None, description="last day of the approval")
    enclosed_beam: bool = Field(default=False, description="true: the whole beam is enclosed, interlocked covers")
    interlock_tested: datetime.date | None = Field(
        default=None, description="day on which the hardware interlock was last opened and seen to turn the laser off"
    )


class SimulationConfig(Table):
    """The simulated bench, for the devices whose address is "simulated"."""

    world: Path | None = Field(
        default=None, description="world file (see `nanolab sim world`); left out: the example world"
    )
    seed: int = Field(default=0, ge=0, description="seed of all noise")
    speed: Annotated[Speed, BeforeValidator(read_speed)] | None = Field(
        default=None,
        description='lab seconds per second, or "max"; left out: "max", or 1 where a device is real',
    )


class DeviceConfig(Table):
    """One instrument: its driver, its address, and the driver's own settings (an instance of its ``Settings``)."""

    driver: str
    address: str
    settings: Any

    @property
    def simulated(self) -> bool:
        """Whether the bench file asks for the simulated instrument."""
        return self.address == SIMULATED

    @model_serializer
    def _as_in_the_file(self) -> dict[str, Any]:
        settings = self.settings
        rest = settings.model_dump(mode="json") if isinstance(settings, BaseModel) else dict(settings)
        return {"driver": self.driver, "address": self.address, **rest}


class BenchConfig(Table):
    """A bench file, checked."""

    version: Literal[1]
    bench: BenchTable = BenchTable()
    laser: DeviceConfig | None = None
    thermocouple: DeviceConfig | None = None
    spectrometer: DeviceConfig | None = None
    powermeter: DeviceConfig | None = None
    shutter: DeviceConfig | None = None
    deadman: DeviceConfig | None = None
    pump: DeviceConfig | None = None
    cuvette_holder: DeviceConfig | None = None
    ph: DeviceConfig | None = None
    limits: LimitsConfig = LimitsConfig()
    interlock: InterlockConfig = InterlockConfig()
    beam: BeamConfig = BeamConfig()
    laser_safety: LaserSafetyConfig = LaserSafetyConfig()
    simulation: SimulationConfig = SimulationConfig()

    @property
    def devices(self) -> dict[str, DeviceConfig]:
        """The instruments on the bench, by role."""
        found = {role: getattr(self, role) for role in ROLES}
        return {role: device for role, device in found.items() if device is not None}

    @property
    def simulated_roles(self) -> tuple[str, ...]:
        """Roles whose instrument is simulated."""
        return tuple(role for role, device in self.devices.items() if device.simulated)

    @property
    def speed(self) -> Speed:
        """Speed of the simulated bench; 1 where any device is real."""
        if self.simulation.speed is not None:
            return self.simulation.speed
        return "max" if len(self.simulated_roles) == len(self.devices) else 1.0


def load_bench(path: Path) -> BenchConfig:
    """Read a bench file; relative paths in it are from its own folder.

    FileInvalidError with every mistake, one a line; NanolabError where a driver cannot be imported.
    """
    tables, source = read_toml(path, REMEDY)
    config = check_bench(tables, source)
    bench = config.bench.model_copy(update={"data": path.parent / config.bench.data})
    world = config.simulation.world
    simulation = config.simulation.model_copy(update={"world": None if world is None else path.parent / world})
    return config.model_copy(update={"bench": bench, "simulation": simulation})


def check_bench(tables: Mapping[str, Any], source: Source) -> BenchConfig:
    """Check the tables of a bench file; each driver checks its own table through its ``Settings``."""
    plain = dict(tables)
    devices = {role: _device(role, plain.pop(role), source) for role in ROLES if role in plain}
    config = validate(BenchConfig, plain, source)
    if config is not None:
        _check_simulation(config, devices, source)
    source.raise_problems()
    if config is None:
        raise FileInvalidError(f"{source.name}: the file is no bench file")
    return config.model_copy(update=devices)


def _device(role: str, table: object, source: Source) -> DeviceConfig | None:
    if not isinstance(table, dict):
        source.add((role,), f"a table is wanted, not {table!r}: write it as [{role}]")
        return None
    rest = dict(table)
    driver, address = rest.pop("driver", None), rest.pop("address", None)
    known = entry_points_of(DEVICES)
    for key, value, example in (("driver", driver, ", ".join(known)), ("address", address, f'"{SIMULATED}"')):
        if value is None:
            source.add((role, key), f"this key is missing; write for example one of: {example}")
        elif not isinstance(value, str) or not value.strip():
            source.add((role, key), f"text is wanted, in quotes, not {value!r}")
    if not isinstance(driver, str) or not driver.strip():
        return None
    if driver not in known:
        source.add((role, "driver"), f"there is no driver '{driver}'; {nearest(driver, list(known))}")
        return None
    settings = _settings(role, driver, rest, source)
    if settings is None or not isinstance(address, str):
        return None
    return DeviceConfig(driver=driver, address=address.strip(), settings=settings)


def _settings(role: str, driver: str, table: dict[str, Any], source: Source) -> BaseModel | None:
    try:
        driver_class = load(DEVICES, driver)
    except NanolabError as error:
        source.add((role, "driver"), str(error))
        return None
    own_role = getattr(driver_class, "role", role)
    if own_role != role:
        source.add((role, "driver"), f"'{driver}' drives a {own_role}; write it under [{own_role}]")
        return None
    return validate(driver_class.Settings, table, source, under=(role,))


def _check_simulation(config: BenchConfig, devices: Mapping[str, DeviceConfig | None], source: Source) -> None:
    real = [role for role, device in devices.items() if device is not None and not device.simulated]
    speed = config.simulation.speed
    if real and speed is not None and speed != 1:
        source.add(
            ("simulation", "speed"),
            f"time cannot run at {speed} where a device is real ({', '.join(real)}): leave it out",
        )


def with_simulation(
    config: BenchConfig, *, world: Path | None = None, seed: int | None = None, speed: str | None = None
) -> BenchConfig:
    """Return the bench with another world, seed or speed. UsageError for a speed that is none."""
    changes: dict[str, Any] = {}
    if world is not None:
        changes["world"] = world
    if seed is not None:
        if seed < 0:
            raise UsageError(f"--seed {seed}: a seed cannot be negative")
        changes["seed"] = seed
    if speed is not None:
        try:
            changes["speed"] = read_speed(speed)
        except ValueError as error:
            raise UsageError(f"--speed: {error}") from None
        real = [role for role, device in config.devices.items() if not device.simulated]
        if real and changes["speed"] != 1:
            raise UsageError(f"--speed {speed}: {', '.join(real)} is real, and real time cannot be hurried")
    return config.model_copy(update={"simulation": config.simulation.model_copy(update=changes)})
