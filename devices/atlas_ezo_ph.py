"""Atlas Scientific EZO-pH circuit on its UART.

A value counts only together with its response code. Continuous mode is off while nanolab is connected; after a
restart of the circuit (it then talks by itself and compensates for 25 degC) the line is opened anew, the temperature
told again, and the first reading thrown away. ``I2C`` is never sent: it takes the circuit off its UART.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar

from ophyd import Component, Kind

from devices.ezo_lines import BAR, EzoTransport
from devices.linked import LinkedInstrument, LinkSettings, quantity
from devices.serial_settings import UnnumberedSettings
from devices.signals import Reading
from devices.status import Status
from devices.transport import Transport
from nanolab.errors import DeviceError, RefusedError
from nanolab.interfaces import DeviceContext
from nanolab.quantities import Quantity

QUIET_S = 1.1
"""Continuous mode sends a line a second: after so long nothing more is on its way."""

QUIET_CREDITED_S = 0.02
"""The same where lab time is not wall time: a simulated line has nothing on its way."""

LOWEST_PH, HIGHEST_PH = 0.001, 13.999
"""A reading at the ends of the range, 0.000 or 14.000, is that of a dry or broken probe."""

LIMITS_C = (-20.0, 125.0)
RESTARTS = frozenset({"*RS", "*RE"})
SUPPLY = {"*OV": "its supply voltage is too high", "*UV": "its supply voltage is too low"}
WHY_RESTARTED = {
    "P": "power was switched on",
    "S": "it was told to",
    "B": "the supply broke down",
    "W": "its watchdog",
    "U": "nobody knows why",
}

_PH = re.compile(r"\d{1,2}(\.\d{1,3})?", re.ASCII)


class AtlasEzoPhSettings(UnnumberedSettings):
    """The pH meter's table of bench.toml; quantities as text with units."""

    deadline: Annotated[Quantity, quantity("s", 0.0, 60.0, above=True)] = Quantity(5.0, "s")
    """Longest wait for one exchange, wall time; a reading alone takes 0.9 s, opening the line 2 s."""
    temperature: Annotated[Quantity, quantity("degC", *LIMITS_C)] = Quantity(25.0, "degC")
    """Temperature of the liquid that the meter compensates for until a plan tells it another, degC."""
    min_slope: Annotated[Quantity, quantity("1", 0.0, 1.0)] = Quantity(0.85, "1")
    """Below this share of the Nernst slope `nanolab bench doctor` asks for a new calibration or probe."""


class AtlasEzoPh(LinkedInstrument):
    """pH meter. Keeps `nanolab.interfaces.PhProbe`."""

    value = Component(Reading, value=math.nan, kind=Kind.hinted)
    compensation = Component(Reading, value=math.nan, units="degC", kind=Kind.normal, instead="call compensate()")
    valid = Component(Reading, value=0, kind=Kind.normal)
    reason = Component(Reading, value="not read yet", kind=Kind.normal)

    calibration_points = Component(Reading, value=0, kind=Kind.config)
    acid_slope = Component(Reading, value=math.nan, units="%", kind=Kind.config)
    base_slope = Component(Reading, value=math.nan, units="%", kind=Kind.config)
    offset = Component(Reading, value=math.nan, units="mV", kind=Kind.config)

    Settings: ClassVar[type[LinkSettings]] = AtlasEzoPhSettings
    models = ("PH",)
    role: ClassVar[str] = "ph"

    def __init__(self, context: DeviceContext, **kwargs: Any) -> None:
        super().__init__(context, **kwargs)
        self._temperature_c: float = self.settings.temperature.value
        self._fresh = True

    def compensate(self, temperature_c: float) -> Status:
        """Tell the meter the temperature of the liquid in degC; done when read back. RefusedError outside its range."""
        low, high = LIMITS_C
        if isinstance(temperature_c, bool) or not isinstance(temperature_c, int | float):
            raise RefusedError(f"{self.name}: {temperature_c!r} is no temperature in degC")
        if not low <= temperature_c <= high:
            raise RefusedError(
                f"{self.name}: {temperature_c!r} degC is refused, it compensates {low:g} to {high:g} degC"
            )
        return self._link.submit(lambda: self._compensate(float(temperature_c)))

    def stage(self) -> list[Any]:
        """Read the state of the calibration."""
        staged: list[Any] = super().stage()
        try:
            self._link.call(self._read_calibration)
        except DeviceError:
            super().unstage()
            raise
        return staged

    # ---- the wire, in the worker

    def _ask(self, command: str, *, prefix: str | None = None) -> tuple[str, list[str]]:
        """Send a command; return its data (what follows ``?prefix,``; the last line without prefix) and all lines.

        DeviceError where the circuit refuses it, or where no line of the reply answers it.
        """
        *lines, code = self._link.exchange(command).split(BAR)
        if any(line.upper() in RESTARTS for line in lines):
            self._restarted()
        if code.upper() != "*OK":
            raise DeviceError(self.name, "refuses this command", sent=command, received=code)
        if prefix is None:
            return lines[-1] if lines else "", lines
        wanted = f"?{prefix},"
        for line in reversed(lines):
            if line.upper().startswith(wanted.upper()):
                return line[len(wanted) :], lines
        raise self._garbled(command, lines)

    def _garbled(self, command: str, lines: Sequence[str]) -> DeviceError:
        self._link.mistrust()
        return DeviceError(self.name, "sent a reply that cannot be understood", sent=command, received=BAR.join(lines))

    def _restarted(self) -> None:
        """Have the line opened anew before the next exchange: the audit then tells the temperature again."""
        self._fresh = True
        self._link.mistrust()

    def _number(self, command: str, prefix: str) -> float:
        text, lines = self._ask(command, prefix=prefix)
        try:
            return float(text)
        except ValueError:
            raise self._garbled(command, lines) from None

    def _compensate(self, temperature_c: float) -> None:
        self._ask(f"T,{temperature_c:.1f}")
        has = self._number("T,?", "T")
        if abs(has - temperature_c) > 0.051:
            raise DeviceError(
                self.name, f"did not take {temperature_c:.1f} degC, it compensates for {has:g} degC", sent="T,?"
            )
        self._temperature_c = temperature_c
        self._update({"compensation": has})

    # ---- reading

    def _measure(self) -> None:
        if self._fresh:
            self._fresh = False
            self._ask("R")  # the first reading after power-up is none
        text, lines = self._ask("R")
        if not _PH.fullmatch(text):
            raise self._garbled("R", lines)
        reason = self._doubt(float(text), lines)
        self._update(
            {
                "value": math.nan if reason else float(text), "compensation": self._temperature_c,
                "valid": int(not reason), "reason": reason,
            }
        )  # fmt: skip

    def _doubt(self, ph: float, lines: Sequence[str]) -> str:
        """Return why a reading is none, empty where it is one."""
        if self._fresh:
            return "the circuit restarted just now and forgot its temperature; it is told again before the next reading"
        supply = [words for code, words in SUPPLY.items() if code in lines]
        if supply:
            return supply[0]
        if not LOWEST_PH <= ph <= HIGHEST_PH:
            return f"pH {ph:.3f} is the end of the range: the probe is dry, broken or unplugged"
        if not self.calibration_points.get():
            return "the meter is not calibrated"
        return ""

    # ---- identity, calibration, audit, health (in the worker)

    def _make_transport(self) -> Transport:
        quiet_s = QUIET_S if self.context.wall_clock else QUIET_CREDITED_S
        return EzoTransport(self.context.address, quiet_s)

    def _read_identity(self) -> dict[str, str]:
        text, lines = self._ask("i", prefix="i")
        kind, _, version = text.partition(",")
        if not version:
            raise self._garbled("i", lines)
        return self._checked_identity({"maker": "Atlas Scientific", "model": kind, "serial": "", "firmware": version})

    def _configure(self) -> None:
        self._fresh = True
        self._compensate(self.settings.temperature.value)
        self._read_calibration()

    def _read_calibration(self) -> None:
        points = self._number("Cal,?", "Cal")
        text, lines = self._ask("Slope,?", prefix="Slope")
        try:
            # older firmware tells no offset
            acid, base, *offset = (float(part) for part in text.split(","))
        except ValueError:
            raise self._garbled("Slope,?", lines) from None
        self._update(
            {
                "calibration_points": int(points), "acid_slope": acid, "base_slope": base,
                "offset": offset[0] if offset else math.nan,
            }
        )  # fmt: skip

    def _audit(self) -> None:
        super()._audit()
        # lost at power-down; told again whether it was or not
        self._compensate(self._temperature_c)

    def _health_looks(self) -> Sequence[tuple[str, Callable[[], str], str]]:
        def calibration() -> str:
            self._read_calibration()
            points, acid, base = (
                getattr(self, name).get() for name in ("calibration_points", "acid_slope", "base_slope")
            )
            least = 100.0 * self.settings.min_slope.value
            if points < 2 or min(acid, base) < least:
                raise DeviceError(
                    self.name,
                    f"{points} points, slopes {acid:g} % (acid) and {base:g} % (base); 2 points and {least:g} % are wanted",
                )
            return f"{points} points, slopes {acid:g} % (acid) and {base:g} % (base)"

        def supply() -> str:
            text, _lines = self._ask("Status", prefix="Status")
            why, _, volts = text.partition(",")
            return f"{volts} V, last restart: {WHY_RESTARTED.get(why, why)}"

        def reading() -> str:
            self._measure()
            if not self.valid.get():
                raise DeviceError(self.name, str(self.reason.get()))
            return f"pH {self.value.get():.3f} compensated for {self.compensation.get():g} degC"

        return (
            ("calibration", calibration, "Calibrate with fresh buffers (mid, low, high), or change the probe."),
            ("supply", supply, "Look at the cable and the supply of the circuit."),
            ("reading", reading, "Wet the probe and look at its plug."),
        )
