"""Coherent OBIS LX / LS laser heads (USB direct, OBIS Remote, Laser Box; 115200 8N1, SCPI-like with handshake).

The value of the laser is its optical power at the sample plane, by the transmission in bench.toml.

With autostart enabled an OBIS emits as soon as its mains, its key and its interlock allow, without any computer. The driver
looks for that on connecting, turns the laser off and says so, and refuses to arm it while autostart is enabled unless
bench.toml allows it. It cannot help before it is connected: **put a shutter in front of the laser and close it before the
laser gets its mains.** The delay of 5 s before emission (CDRH) is left as it is.

The laser goes on emitting when its computer dies. The hardware interlock is the safety function; this driver is none.

UNSURE without hardware, and therefore configurable or tolerated: a pause between commands, whether a key must be turned
after the interlock was open, the error number for a power out of range (the limits are read and checked before).
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from devices.laser_head import LaserHead
from devices.linked import LinkSettings
from devices.obis_settings import ObisSettings
from devices.obis_wire import HandshakeTransport, ObisReportedError, ObisWire
from devices.serial_line import SerialLine
from devices.transport import Transport
from nanolab.errors import DeviceError
from nanolab.interfaces import DeviceContext

LINE = SerialLine(baudrate=115200, write=b"\r", read=b"\n", stripped=b"\r\n ")


class CoherentOBIS(LaserHead):
    """Coherent OBIS. Keeps `nanolab.interfaces.Laser`."""

    Settings: ClassVar[type[LinkSettings]] = ObisSettings

    def __init__(self, context: DeviceContext, **kwargs: Any) -> None:
        super().__init__(context, **kwargs)
        self._wire: ObisWire = ObisWire(self._link, self.name, self.settings, self._pace)

    def _make_transport(self) -> Transport:
        return HandshakeTransport(self.context.address, LINE)

    def _first_look(self) -> None:
        # without handshake a query ends without OK and a failed command is silent; a prompt would stand before replies
        try:
            self._wire.tell_controller("SYST:COMM:HAND ON")
        except ObisReportedError:
            # it stood behind a command that another program had left half sent
            self._wire.tell_controller("SYST:COMM:HAND ON")
        self._wire.tell_controller("SYST:COMM:PROM OFF")
        super()._first_look()

    def _read_identity(self) -> dict[str, str]:
        wire = self._wire
        try:
            model, serial, firmware = wire.ask("SYST:INF:MOD?"), wire.ask("SYST:INF:SNUM?"), wire.ask("SYST:INF:FVER?")
        except ObisReportedError as error:
            raise DeviceError(
                self.name,
                f"{error} (channel {self.settings.channel})",
                remedy="Set channel in bench.toml: 0 plugged in directly, 1 behind a Remote, 1 to 6 in a Laser Box.",
            ) from error
        if not re.fullmatch(r"[\w-]+", serial) or "OBIS" not in model.upper():
            raise wire.garbled("SYST:INF:MOD?", f"{model}, {serial}", "an OBIS is wanted")
        return self._checked_identity({"maker": "Coherent", "model": model, "serial": serial, "firmware": firmware})

    def _configure(self) -> None:
        wire = self._wire
        wire.serial = self._identity["serial"]
        self._check_head(
            wire.number("SYST:INF:WAV?"), wire.number("SOUR:POW:LIM:LOW?"), wire.number("SOUR:POW:LIM:HIGH?")
        )
        self._publish("transmission")
        self._meet(by_itself=wire.switch("SYST:AUT?"))

    def _stage_settings(self) -> None:
        super()._stage_settings()
        self._wire.refuse_autostart()

    def _health_looks(self) -> Sequence[tuple[str, Callable[[], str], str]]:
        wire = self._wire

        def autostart() -> str:
            wire.refuse_autostart()
            state = "enabled, and allowed in bench.toml" if wire.switch("SYST:AUT?") else "off"
            delay = "on" if wire.known("SYST:CDRH?") == "ON" else "off"
            return f"{state}; delay before emission {delay}" + (
                f"; {self.found_emitting}" if self.found_emitting else ""
            )

        return (
            *super()._health_looks(),
            ("autostart", autostart, "Turn autostart off with the maker's program; keep a shutter in front closed."),
            ("diode hours", lambda: f"{wire.number('SYST:DIOD:HOUR?'):g} h", "Look at the firmware's version."),
        )
