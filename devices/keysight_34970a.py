"""Keysight (Agilent, HP) 34970A and 34972A scanners with thermocouples (pyvisa, SCPI).

The reference junction is the scanner's own (``INT``; after a reset it is fixed at 0 degC, and every temperature would
be low by that of the room), the open-couple check is on. Each reading is one ``READ?`` with immediate trigger; it
returns value, unit and channel of every couple, and all three are checked.
"""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from ophyd import Component, Kind
from pydantic import Field, field_validator

from devices.instrument import ScpiInstrument
from devices.linked import LinkSettings, quantity
from devices.scpi import OVERLOAD
from devices.signals import Reading
from nanolab.errors import DeviceError
from nanolab.interfaces import DeviceContext
from nanolab.quantities import Quantity

RANGES_C = {
    "B": (0.0, 1820.0),
    "E": (-270.0, 1000.0),
    "J": (-210.0, 1200.0),
    "K": (-270.0, 1372.0),
    "N": (-270.0, 1300.0),
    "R": (-50.0, 1768.0),
    "S": (-50.0, 1768.0),
    "T": (-270.0, 400.0),
}
"""Ranges of the ITS-90 functions, degC: a temperature outside them is none."""

NPLC = (0.02, 0.2, 1.0, 2.0, 10.0, 20.0, 100.0, 200.0)

SECONDS_PER_CYCLE = 0.02
"""A power line cycle at 50 Hz."""

_TAKEN = {
    "valid",
    "reason",
    "name",
    "parent",
    "settings",
    "context",
    "source",
    "thermocouple_type",
    "nplc",
    "open_check",
}


class Keysight34970ASettings(LinkSettings):
    """The scanner's table of bench.toml; quantities as text with units."""

    channels: dict[str, int] = Field(default_factory=lambda: {"sample": 101, "ambient": 102})
    """Name of each couple and its channel (slot times 100 + channel); one of them is ``sample``."""
    thermocouple_type: Literal["B", "E", "J", "K", "N", "R", "S", "T"] = "K"
    """Thermocouple type of all channels."""
    nplc: float = 1.0
    """Integration time in power line cycles: 0.02, 0.2, 1, 2, 10, 20, 100 or 200."""
    open_check: bool = True
    """Measure the couple's resistance after each reading: an open couple then says so."""
    alarm_limit: Annotated[Quantity, quantity("degC", -200.0, 1800.0)] | None = None
    """Above this the scanner itself switches its alarm line 1 (wire it to the laser's interlock), degC."""
    gain_uncertainty: Annotated[Quantity, quantity("1", 0.0, 0.5)] = Quantity(0.005, "1")
    """Relative standard uncertainty of a temperature difference; for the analysis."""
    noise: Annotated[Quantity, quantity("K", 0.0)] | None = None
    """Standard deviation of one reading, K; for the analysis."""

    @field_validator("channels")
    @classmethod
    def _channels(cls, channels: dict[str, int]) -> dict[str, int]:
        if "sample" not in channels:
            raise ValueError("one channel must be named 'sample'")
        for name, channel in channels.items():
            if not name.isidentifier() or name in _TAKEN or hasattr(ScpiInstrument, name):
                raise ValueError(f"'{name}' cannot name a channel: use another word of letters and digits")
            if channel // 100 not in (1, 2, 3) or not 1 <= channel % 100 <= 40:
                raise ValueError(
                    f"channel {channel} of '{name}' does not exist: write slot (1 to 3) and channel, as 101"
                )
        if len(set(channels.values())) != len(channels):
            raise ValueError("two names have the same channel")
        return channels

    @field_validator("nplc")
    @classmethod
    def _nplc(cls, nplc: float) -> float:
        if nplc not in NPLC:
            raise ValueError(f"nplc {nplc:g} is not possible: use one of {', '.join(f'{known:g}' for known in NPLC)}")
        return nplc

    def sweep_s(self) -> float:
        """Return a generous estimate of one sweep in s: conversion, the check of the couple, relays."""
        per_channel = self.nplc * SECONDS_PER_CYCLE * (2 if self.open_check else 1) + 0.1
        return per_channel * len(self.channels)


class Keysight34970A(ScpiInstrument):
    """Thermocouple scanner. Keeps `nanolab.interfaces.Thermometer`.

    The signals ``<channel>`` (degC) and ``<channel>_valid`` follow the channels of the settings.
    """

    valid = Component(Reading, value=0, kind=Kind.normal)
    reason = Component(Reading, value="not read yet", kind=Kind.normal)
    thermocouple_type = Component(Reading, value="", kind=Kind.config)
    nplc = Component(Reading, value=math.nan, kind=Kind.config)
    open_check = Component(Reading, value=0, kind=Kind.config)

    Settings: ClassVar[type[LinkSettings]] = Keysight34970ASettings
    models = ("34970A", "34972A")

    def __new__(cls, context: DeviceContext, **_kwargs: Any) -> Self:
        """Make the class that has this bench's channels as its signals; ophyd wants them in the class."""
        parts: dict[str, Any] = {"__doc__": cls.__doc__, "__module__": cls.__module__}
        for channel in context.settings.channels:
            parts[channel] = Component(Reading, value=math.nan, units="degC", kind=Kind.hinted)
            parts[f"{channel}_valid"] = Component(Reading, value=0, kind=Kind.normal)
        made: Any = type(cls.__name__, (cls,), parts)
        instance: Self = super().__new__(made)
        return instance

    def __init__(self, context: DeviceContext, **kwargs: Any) -> None:
        super().__init__(context, **kwargs)
        channels = self.settings.channels
        self.channel_names: Sequence[str] = tuple(channels)
        # the scanner always goes through its list in ascending order
        self._order = sorted((number, name) for name, number in channels.items())
        self._list = f"(@{','.join(str(number) for number, _name in self._order)})"
        self._configured = False
        self._read_deadline_s = self.settings.deadline.value + self.settings.sweep_s()

    def stage(self) -> list[Any]:
        """Reset and configure the scanner, read back."""
        staged: list[Any] = super().stage()
        try:
            self._link.call(self._set_up)
        except DeviceError:
            super().unstage()
            raise
        return staged

    # ---- in the worker

    def _configure(self) -> None:
        # connecting only looks: the scanner's set-up is replaced when it is staged or first read
        settings = self.settings
        self._configured = False
        self._update(
            {
                "thermocouple_type": settings.thermocouple_type,
                "nplc": settings.nplc,
                "open_check": int(settings.open_check),
            }
        )

    def _set_up(self) -> None:
        settings, channels, ask = self.settings, self._list, self._scpi.ask
        kind, check = settings.thermocouple_type, "ON" if settings.open_check else "OFF"
        self._configured = False
        ask("ABOR", "*RST", "*CLS")
        # CONF redefines the scan list, and wipes formats and trigger settings: it comes first
        ask(f"CONF:TEMP TC,{kind},{channels}")
        ask(f"TEMP:TRAN:TC:RJUN:TYPE INT,{channels}", f"TEMP:TRAN:TC:CHEC {check},{channels}")
        ask(f"TEMP:NPLC {settings.nplc:g},{channels}", f"UNIT:TEMP C,{channels}")
        ask("FORM:READ:UNIT ON", "FORM:READ:CHAN ON", "FORM:READ:TIME OFF", "FORM:READ:ALAR OFF")
        ask("TRIG:SOUR IMM", "TRIG:COUN 1")
        if settings.alarm_limit is not None:
            limit = f"{settings.alarm_limit.value:g}"
            ask(f"CALC:LIM:UPP {limit},{channels}", f"CALC:LIM:UPP:STAT ON,{channels}", f"OUTP:ALAR1:SOUR {channels}")
        self._read_back()
        self._configured = True

    def _read_back(self) -> None:
        settings, channels, count = self.settings, self._list, len(self._order)
        queries = {
            f"TEMP:TRAN:TC:TYPE? {channels}": [settings.thermocouple_type] * count,
            f"TEMP:TRAN:TC:RJUN:TYPE? {channels}": ["INT"] * count,
            f"TEMP:TRAN:TC:CHEC? {channels}": ["1" if settings.open_check else "0"] * count,
            f"UNIT:TEMP? {channels}": ["C"] * count,
            "TRIG:SOUR?": ["IMM"],
        }
        nplc = f"TEMP:NPLC? {channels}"
        if settings.alarm_limit is not None:
            queries[f"CALC:LIM:UPP:STAT? {channels}"] = ["1"] * count
        *fields, cycles = self._scpi.ask(*queries, nplc)
        for (query, wanted), field in zip(queries.items(), fields, strict=True):
            if field.strip().split(",") != wanted:
                raise self._not_taken(query, field, ",".join(wanted))
        if any(self._scpi.number(field, nplc) != settings.nplc for field in cycles.split(",")):
            raise self._not_taken(nplc, cycles, f"{settings.nplc:g}")
        block = self._scpi.ask("ROUT:SCAN?")[0]
        wanted_list = self._list
        if block.strip() != f"#{len(str(len(wanted_list)))}{len(wanted_list)}{wanted_list}":
            raise self._not_taken("ROUT:SCAN?", block, wanted_list)

    def _not_taken(self, query: str, received: str, wanted: str) -> DeviceError:
        return DeviceError(
            self.name,
            f"did not take its settings ({wanted} is wanted)",
            sent=query,
            received=received,
            remedy="Check that the channels are on a multiplexer that takes thermocouples.",
        )

    def _measure(self) -> None:
        if not self._configured:
            self._set_up()
        (reply,) = self._scpi.ask("READ?", deadline_s=self._read_deadline_s)
        parts = reply.split(",")
        if len(parts) != 2 * len(self._order):
            raise self._scpi.garbled("READ?", reply, f"{2 * len(self._order)} parts are wanted, {len(parts)} came")
        values: dict[str, Any] = {}
        reasons = []
        for index, (number, name) in enumerate(self._order):
            value, why = self._temperature(parts[2 * index], parts[2 * index + 1], number, reply)
            values[name] = value
            values[f"{name}_valid"] = int(not why)
            if why:
                reasons.append(f"{name}: {why}")
        values["valid"] = int(not reasons)
        values["reason"] = ", ".join(reasons)
        self._update(values)

    def _temperature(self, text: str, channel: str, number: int, reply: str) -> tuple[float, str]:
        """Return degC and an empty reason, or NaN and why."""
        reading, _, unit = text.strip().partition(" ")
        if unit.strip() != "C" or channel.strip() != str(number):
            raise self._scpi.garbled("READ?", reply, f"degC of channel {number} is wanted")
        value = self._scpi.number(reading, "READ?")
        if abs(value) >= OVERLOAD:
            return math.nan, "open thermocouple" if self.settings.open_check else "overload"
        low, high = RANGES_C[self.settings.thermocouple_type]
        if not low <= value <= high:
            return math.nan, f"{value:g} degC is outside the range of type {self.settings.thermocouple_type}"
        return value, ""

    def _audit(self) -> None:
        super()._audit()
        if self._configured:
            self._read_back()

    def _health_looks(self) -> Sequence[tuple[str, Callable[[], str], str]]:
        def module() -> str:
            found = []
            for slot in sorted({number // 100 for number, _name in self._order}):
                (card,) = self._scpi.ask(f"SYST:CTYP? {slot}00")
                model = card.split(",")[1].strip() if card.count(",") >= 3 else ""
                if model in {"", "0"}:
                    raise DeviceError(self.name, f"slot {slot} is empty, and channels of it are wanted", received=card)
                found.append(f"{model} in slot {slot}")
            return ", ".join(found)

        def couples() -> str:
            self._measure()
            if not self.valid.get():
                raise DeviceError(self.name, str(self.reason.get()))
            return ", ".join(f"{name} {getattr(self, name).get():.2f} degC" for name in self.channel_names)

        return (
            ("multiplexer", module, "Put the multiplexer into the slot named by the channels in bench.toml."),
            ("thermocouples", couples, "Check the couples and their screws."),
        )
