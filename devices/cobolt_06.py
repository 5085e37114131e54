"""Hübner Cobolt 06-MLD diode laser head (USB or RS-232, 115200 8N1, legacy ASCII commands).

The value of the laser is its optical power at the sample plane, by the transmission in bench.toml.

Units with a key switch (CDRH) have their autostart enabled: they start by themselves when their mains come back and the
key is turned, and nanolab starts them by their own sequence only (``autostart = "sequence"``), never by ``l1``, which would
bypass the key. Units without one (OEM) are switched by ``l1`` and ``l0``.

The laser goes on emitting when its computer dies. The hardware interlock is the safety function; this driver is none.
A shutter in front of the laser that is closed whenever its mains come back is strongly recommended.

UNSURE without hardware, and therefore configurable or tolerated: the pause between commands, the echo (accepted),
the text of refusals in autostart (anything with "error" counts), state 0 of ``gom?`` while it warms up.
"""

import re
import time
from typing import Any, ClassVar

from devices.cobolt_settings import CoboltSettings
from devices.cobolt_wire import CoboltWire
from devices.laser_head import LaserHead
from devices.linked import LinkSettings
from devices.serial_line import SerialLine, SerialTransport
from devices.transport import Transport
from nanolab.errors import DeviceError
from nanolab.interfaces import DeviceContext

LINE = SerialLine(baudrate=115200, write=b"\r", read=b"\n", stripped=b"\r\n ")

_MODEL = re.compile(r"(?P<wavelength>\d{4})-06-(?P<kind>\d)\d-\d{4}-(?P<variant>\d+)(-C)?")
"""Such as 0785-06-01-0100-100: wavelength in nm, series 06, kind (0 is MLD), power in mW, variant."""


class EchoTransport(SerialTransport):
    """A serial line on which some units repeat the command before they answer it."""

    _sent = b""

    def write(self, data: bytes) -> None:
        """Send one line and remember it."""
        self._sent = data.strip()
        super().write(data)

    def read_line(self, deadline_s: float) -> bytes:
        """Return one line; one that repeats the command is left out. NoReplyError, ConnectionError."""
        limit = time.monotonic() + deadline_s
        line = super().read_line(deadline_s)
        return super().read_line(limit - time.monotonic()) if line == self._sent else line


class Cobolt06MLD(LaserHead):
    """Cobolt 06-MLD, first generation. Keeps `nanolab.interfaces.Laser`."""

    Settings: ClassVar[type[LinkSettings]] = CoboltSettings

    def __init__(self, context: DeviceContext, **kwargs: Any) -> None:
        super().__init__(context, **kwargs)
        self._wire: CoboltWire = CoboltWire(self._link, self.name, self.settings, self._pace)

    def _make_transport(self) -> Transport:
        return EchoTransport(self.context.address, LINE)

    def _first_look(self) -> None:
        # ends, as something illegal, a command that another program may have left half sent
        self._wire.known("?")
        super()._first_look()

    def _read_identity(self) -> dict[str, str]:
        wire = self._wire
        serial, model, firmware = wire.ask("gsn?"), wire.ask("glm?"), wire.ask("gfv?")
        if not re.fullmatch(r"\w+", serial) or not re.fullmatch(r"[\w-]+", model):
            self._link.mistrust()
            raise DeviceError(self.name, "is no Cobolt laser", sent="gsn?, glm?", received=f"{serial}, {model}")
        return self._checked_identity({"maker": "Cobolt", "model": model, "serial": serial, "firmware": firmware})

    def _configure(self) -> None:
        wire = self._wire
        wavelength_nm = self._checked_model(self._identity["model"])
        wire.serial = self._identity["serial"]
        wire.read_start()
        wire.unit.max_head_w = wire.number("gmlp?") / 1e3
        wire.unit.has_temperature = wire.known("rtect?") is not None
        self._check_head(wavelength_nm, 0.0, wire.unit.max_head_w)
        self._publish("transmission")
        self._meet(by_itself=wire.unit.autostart)

    def _checked_model(self, model: str) -> float:
        """Return the wavelength in nm; DeviceError where the model is not one that these commands fit."""
        found = _MODEL.fullmatch(model)
        if found is None or found["kind"] != "0":
            raise DeviceError(self.name, f"a {model} answers at {self.context.address}, a Cobolt 06-MLD is wanted")
        if len(found["variant"]) == 4:
            raise DeviceError(
                self.name,
                f"the {model} is a second-generation unit, which counts in mW where this driver says W",
                remedy="It needs another driver.",
            )
        return float(found["wavelength"])

    def _stage_settings(self) -> None:
        super()._stage_settings()
        self._wire.refuse_start()

    def _health_looks(self) -> Any:
        def start() -> str:
            self._wire.refuse_start()
            how = "its own sequence (@cob1)" if self._wire.unit.autostart else "l1 (no autostart, no key switch)"
            return f"by {how}" + (f"; {self.found_emitting}" if self.found_emitting else "")

        return (
            *super()._health_looks(),
            ("start", start, "See what is said about autostart and key_switch in bench.toml."),
            ("operating hours", lambda: f"{self._wire.number('hrs?'):g} h", "Look at the firmware's version."),
        )
