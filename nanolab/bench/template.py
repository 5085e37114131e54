"""Bench and sample files to start from: every key with its meaning and its default. They load back as they are."""

import datetime
import textwrap
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from nanolab.bench.config import (
    SIMULATED,
    BeamConfig,
    BenchTable,
    InterlockConfig,
    LaserSafetyConfig,
    LimitsConfig,
    SimulationConfig,
)
from nanolab.bench.release_sample import ExpectedReleaseTable, ReleaseTable
from nanolab.bench.sample import (
    BeliefsTable,
    CuvetteTable,
    ExpectedTable,
    HeatCapacityTable,
    ParticleTable,
    ReportTable,
    SampleTable,
)
from nanolab.discovery import DEVICES, load
from nanolab.errors import NanolabError
from nanolab.quantities import Quantity

EXAMPLE_DRIVERS = {
    "laser": "thorlabs_itc4005",
    "thermocouple": "keysight_34970a",
    "spectrometer": "ocean_flamex",
    "powermeter": "thorlabs_pm100d",
}

OPTIONAL_DRIVERS = {"pump": "new_era_ne1000", "cuvette_holder": "qnw_tc1", "ph": "atlas_ezo_ph"}
"""Instruments that the example bench lacks; their tables are written as comments."""

_HEADINGS = {
    "laser": "The laser: its calibration at the sample plane, and what it must not exceed.",
    "thermocouple": "The thermometer: one channel is named sample; ambient and holder are worth having.",
    "spectrometer": "The spectrometer, whose strobe output switches the lamp.",
    "powermeter": "The power meter: what it reads during a run is the power at its own place.",
    "pump": "The syringe pump: its syringe, and how much may be dosed. It doses by the diameter that is written here.",
    "cuvette_holder": "The temperature-controlled cuvette holder: it has no watchdog, so its targets are limited here.",
    "ph": "The pH meter; it is calibrated with fresh buffers, by hand.",
}

EXAMPLE_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "laser": {
        "wavelength": "808 nm",
        "max_power": "1.6 W",
        "current_limit": "2.2 A",
        "threshold_current": "0.287 A",
        "slope": "0.90 W/A",
    },
    "thermocouple": {},
    "spectrometer": {"integration_time": "20 ms", "averages": 20},
    "powermeter": {"position": "pickoff", "wavelength": "808 nm", "to_sample_plane": "25.0"},
    "pump": {
        "syringe_diameter": "8.66 mm",
        "syringe_volume": "3 mL",
        "syringe_content": "2.4 mL",
        "contents": "0.1 M HCl",
    },
    "cuvette_holder": {"probe": True},
    "ph": {},
}
"""What the example bench states beyond each driver's defaults."""

_EXAMPLE_SAMPLE: Mapping[str, Mapping[str, Any]] = {
    "sample": {
        "name": "gold nanorods 808",
        "batch": "example",
        "description": "CTAB-capped nanorods in water, capped 10 mm quartz cuvette",
        "volume": "1.00±0.01 mL",
        "absorbance": "0.91±0.02",
        "path_length": "10.00±0.05 mm",
        "window_transmission": "0.964±0.005",
    },
    "cuvette": {
        "id": "Q1",
        "holder": "aluminium holder",
        "stirring": "400 rpm",
        "wall_heat_capacity": "1.23±0.25 J/K",
    },
    "heat_capacity": {"effective": "5.5±0.3 J/K", "method": "heater"},
    "beliefs": {"power_gain": "1.00±0.03", "thermometer_gain": "1.000±0.010"},
    "expected": {"efficiency": "0.75±0.06", "heat_loss": "20±1 mW/K"},
    "particle": {"kind": "gold nanorod", "length": "43.6±4.4 nm", "diameter": "10±1 nm"},
    "release": {"indicator_pk": "8.09±0.03"},
    "expected_release": {},
}

_BENCH_HEAD = """\
# The bench: which instruments, where, and what must never be exceeded. Lines that begin with # are explanations,
# or keys with the value that they have when left out. Quantities carry their unit: "0.5 W", "20 ms", "80 degC".
# An address is "simulated", or where the instrument is: a VISA resource such as
# "USB0::0x1313::0x804A::M00300000::INSTR", "tcp://192.168.0.7:5025", for a spectrometer "usb" or "usb:SERIAL".
# Leave out the table of an instrument that you lack.
"""

_SAMPLE_HEAD = """\
# The sample as you believe it to be, before the run. Quantities carry unit and standard uncertainty: "1.00±0.01 mL"
# (also written +/-; "± 2 %" is relative). A value without an uncertainty gets the default named with its key, and the
# result says so. The prediction is made from this file alone; the true values of a simulated bench are elsewhere.
"""


@dataclass(frozen=True)
class Resources:
    """Ports and instruments that this computer sees, in words, and what could not be looked at."""

    serial_ports: Sequence[str] = ()
    visa: Sequence[str] = ()
    notes: Sequence[str] = ()


def bench_template(resources: Resources | None = None, further: Sequence[str] = ()) -> str:
    """Return a commented bench file with every instrument simulated; what was found is listed for pasting.

    ``further`` names roles of `OPTIONAL_DRIVERS` that the bench has too.
    """
    lines = [_BENCH_HEAD.rstrip(), "version = 1", ""]
    if resources is not None:
        lines += [*_found(resources), ""]
    lines += _table("bench", BenchTable, {"name": "example bench"})
    for role, driver in EXAMPLE_DRIVERS.items():
        lines += _device_table(role, driver)
    for role in further:
        lines += _device_table(role, OPTIONAL_DRIVERS[role])
    lines += _optional_tables(further)
    limits = {key: value for key, value in _defaults(LimitsConfig).items() if value is not None}
    lines += _table("limits", LimitsConfig, limits)
    lines += _table("interlock", InterlockConfig, {})
    lines += _table("beam", BeamConfig, {})
    lines += _table("laser_safety", LaserSafetyConfig, {})
    lines += _table("simulation", SimulationConfig, {})
    return "\n".join(lines)


def sample_template() -> str:
    """Return a commented sample file with beliefs that suit the example world of the simulated bench."""
    tables: Mapping[str, type[BaseModel]] = {
        "sample": SampleTable,
        "cuvette": CuvetteTable,
        "heat_capacity": HeatCapacityTable,
        "beliefs": BeliefsTable,
        "expected": ExpectedTable,
        "particle": ParticleTable,
        "release": ReleaseTable,
        "expected_release": ExpectedReleaseTable,
        "report": ReportTable,
    }
    lines = [_SAMPLE_HEAD.rstrip(), "version = 1", ""]
    for name, model in tables.items():
        lines += _table(name, model, _EXAMPLE_SAMPLE.get(name, {}))
    return "\n".join(lines)


def look_for_resources() -> Resources:
    """List serial ports and VISA resources; what fails is said in a note, never raised."""
    ports, visa, notes = [], [], []
    try:
        from serial.tools.list_ports import comports

        ports = [f"{port.device} ({port.description})" for port in sorted(comports())]
    except (ImportError, OSError) as error:
        notes.append(f"serial ports could not be listed: {error}")
    try:
        visa = _visa_resources()
    except Exception as error:  # noqa: BLE001 - pyvisa and its back ends raise what they like; a list is no reason to fail
        notes.append(f"VISA resources could not be listed: {error}")
    return Resources(ports, visa, notes)


def _visa_resources() -> list[str]:
    import warnings

    import pyvisa

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on optional packages of pyvisa-py
        manager = pyvisa.ResourceManager("@py")
        try:
            # serial ports are listed above; network instruments are found by address, a search takes seconds
            return [str(name) for name in manager.list_resources("USB?*::INSTR")]
        finally:
            manager.close()


def _found(resources: Resources) -> list[str]:
    lines = ["# Found on this computer:"]
    lines += [f"#   serial port {port}" for port in resources.serial_ports] or ["#   no serial port"]
    lines += [f"#   VISA resource {name}" for name in resources.visa] or ["#   no USB instrument (VISA)"]
    return lines + [line for note in resources.notes for line in _comment(note)]


def _device_table(role: str, driver: str) -> list[str]:
    try:
        model: type[BaseModel] = load(DEVICES, driver).Settings
    except NanolabError as error:  # a package that this platform lacks must not cost the other instruments
        return [*_comment(f"[{role}] is left out: {error}"), ""]
    lines = [*_comment(_HEADINGS[role]), f"[{role}]", f'driver = "{driver}"', f'address = "{SIMULATED}"']
    return [*lines, *_keys(model, EXAMPLE_SETTINGS.get(role, {})), ""]


def _optional_tables(there: Sequence[str] = ()) -> list[str]:
    lines = _comment('Further instruments. Take the "## " off the lines of one that you have (or want simulated).')
    for role, driver in OPTIONAL_DRIVERS.items():
        if role in there:
            continue
        lines += [f"## {line}" if line else "" for line in _device_table(role, driver)]
    return lines


def _table(name: str, model: type[BaseModel], values: Mapping[str, Any]) -> list[str]:
    heading = (model.__doc__ or "").strip().splitlines()[0]
    return [*_comment(heading), f"[{name}]", *_keys(model, values), ""]


def _keys(model: type[BaseModel], values: Mapping[str, Any]) -> list[str]:
    lines = []
    for key, info in model.model_fields.items():
        lines += _comment(info.description or "")
        if key in values:
            lines.append(f"{key} = {_toml(values[key])}")
        else:
            default = _default(info)
            lines.append(f"# {key} =" if default is None else f"# {key} = {_toml(default)}")
    return lines


def _default(info: FieldInfo) -> Any:
    value = info.get_default(call_default_factory=True, validated_data={})
    return None if value is PydanticUndefined else value


def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    return {key: _default(info) for key, info in model.model_fields.items()}


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, width=108, initial_indent="# ", subsequent_indent="# ")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, Mapping | types.MappingProxyType):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, BaseModel):
        return _toml({key: item for key, item in value if item is not None})
    text = (
        _quantity(value) if isinstance(value, Quantity) else value.as_posix() if isinstance(value, Path) else str(value)
    )
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _quantity(quantity: Quantity) -> str:
    """Write a quantity so that reading it gives the same again."""
    unit = "" if quantity.unit == "1" else f" {quantity.unit}"
    u = quantity.standard_uncertainty
    return f"{quantity.value:g}{'' if u is None else f'±{u:g}'}{unit}"
