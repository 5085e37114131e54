"""Quantum Northwest TC 1 and qpod: a cuvette holder with Peltier element and stirrer, over a serial line.

The value is the target of the holder's block in degC. The controller does not answer sets, so that each is read back,
and errors are asked for after it. `set` is done when target and control read back; the temperature comes with lab time, and
the liquid lags behind the block: a plan polls and lets it soak (`plans.thermostat`).

The controller has no watchdog: it goes on heating when this computer dies. Its targets are limited here, disconnecting
switches control off, and a person has to look where off was not confirmed.
"""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from ophyd import Component, Kind
from pydantic import model_validator

from devices.linked import LinkedInstrument, LinkSettings, quantity
from devices.qnw_frames import QnwTransport
from devices.qnw_wire import CONTROL_OFF, MODELS, HolderStatus, QnwWire
from devices.serial_line import SerialLine
from devices.serial_settings import UnnumberedSettings
from devices.signals import Reading
from devices.status import Status
from devices.transport import Transport
from nanolab.errors import DeviceError, RefusedError
from nanolab.interfaces import DeviceContext, OffReport
from nanolab.quantities import Quantity

LINE = SerialLine(baudrate=19200, write=b"", read=b"]")
RAMP_K_PER_MIN = (0.01, 10.0)
HOLDS_WITHIN_K = 1.0
"""A block this near to its target is left alone by `stop`."""
BY_HAND = "Switch the temperature controller off, and mind that holder and cuvette may be hot."

_log = logging.getLogger(__name__)


class QuantumNorthwestTC1Settings(UnnumberedSettings):
    """The cuvette holder's table of bench.toml; quantities as text with units."""

    max_temperature: Annotated[Quantity, quantity("degC", -30.0, 110.0)] = Quantity(60.0, "degC")
    """Highest target, degC: nothing stops the controller when this computer dies, so keep it where the sample survives."""
    min_temperature: Annotated[Quantity, quantity("degC", -30.0, 110.0)] = Quantity(4.0, "degC")
    """Lowest target, degC; below the dew point of the room the windows fog."""
    probe: bool = False
    """Whether a probe hangs in the liquid; without one the temperature of the liquid is not known here."""
    when_stopped: Literal["hold", "off"] = "hold"
    """What a stop or a pause does on the way to a target: hold the temperature that is reached, or switch off."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.min_temperature.value >= self.max_temperature.value:
            raise ValueError(
                f"min_temperature {self.min_temperature} is not below max_temperature {self.max_temperature}"
            )
        return self


class QuantumNorthwestTC1(LinkedInstrument):
    """Cuvette holder. Keeps `nanolab.interfaces.TemperatureController`."""

    temperature = Component(Reading, value=math.nan, units="degC", kind=Kind.hinted, instead="move the holder itself")
    target = Component(Reading, value=math.nan, units="degC", kind=Kind.normal, instead="move the holder itself")
    probe = Component(Reading, value=math.nan, units="degC", kind=Kind.normal)
    stable = Component(Reading, value=0, kind=Kind.normal)
    controlling = Component(Reading, value=0, kind=Kind.normal, instead="call off(), or move the holder")
    stirring = Component(Reading, value=0.0, units="rpm", kind=Kind.normal, instead="call stir()")
    valid = Component(Reading, value=0, kind=Kind.normal)
    reason = Component(Reading, value="not read yet", kind=Kind.normal)

    max_temperature = Component(Reading, value=math.nan, units="degC", kind=Kind.config)
    min_temperature = Component(Reading, value=math.nan, units="degC", kind=Kind.config)

    Settings: ClassVar[type[LinkSettings]] = QuantumNorthwestTC1Settings
    role: ClassVar[str] = "cuvette_holder"

    def __init__(self, context: DeviceContext, **kwargs: Any) -> None:
        super().__init__(context, **kwargs)
        self.off_report: OffReport | None = None
        """What was seen when it was last switched off."""
        self._wire = QnwWire(self._link, context.name)
        self._range_c = (self.settings.min_temperature.value, self.settings.max_temperature.value)
        self._speeds_rpm = (0.0, math.inf)
        self._wanted: tuple[float, float | None] | None = None
        self._interrupted: tuple[float, float | None] | None = None
        self._paused = False
        self._speed_rpm = 0
        self._trouble = ""
        self._ticket = 0

    # ---- limits and moving

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest target, degC: of bench.toml, and of the instrument once it is connected."""
        return self._range_c

    def check_value(self, target_c: float) -> None:
        """Raise RefusedError where this temperature in degC is outside the limits, or no number."""
        low, high = self._range_c
        if isinstance(target_c, bool) or not isinstance(target_c, int | float) or not low <= target_c <= high:
            raise RefusedError(
                f"{self.name}: {target_c!r} degC is refused, the limits are {low:g} and {high:g} degC "
                "(min_temperature, max_temperature)"
            )

    def set(self, target_c: float, *, ramp_k_per_min: float | None = None) -> Status:
        """Control to this temperature in degC, at full drive or at a rate in K/min; done when read back.

        RefusedError before the first byte where it is outside the limits; the status fails with DeviceError where the
        controller does not take it (no coolant: control stays off).
        """
        self.check_value(target_c)
        if ramp_k_per_min is not None and not RAMP_K_PER_MIN[0] <= ramp_k_per_min <= RAMP_K_PER_MIN[1]:
            raise RefusedError(f"{self.name}: {ramp_k_per_min!r} K/min is refused, a ramp has 0.01 to 10 K/min")
        ticket = self._ticket
        return self._link.submit(lambda: self._go_to(float(target_c), ramp_k_per_min, ticket))

    def stir(self, speed_rpm: float) -> Status:
        """Stir at this speed in rpm, or not (0); done when read back. RefusedError outside the stirrer's limits."""
        low, high = self._speeds_rpm
        if speed_rpm != 0.0 and not low <= speed_rpm <= high:
            raise RefusedError(
                f"{self.name}: {speed_rpm!r} rpm is refused, the stirrer turns at {low:g} to {high:g} rpm"
            )
        return self._link.submit(lambda: self._stir(round(speed_rpm)))

    def off(self) -> OffReport:
        """Switch temperature control and stirrer off and read it back. Never raises."""
        self._ticket += 1
        last = self.off_report
        if not self._link.is_open and last is not None and last.confirmed:
            return last
        try:
            report: OffReport = self._link.call(self._go_off, urgent=True, timeout_s=3 * self._link.deadline_s + 1.0)
        except Exception as error:  # noqa: BLE001 - off never raises: what went wrong is in the report
            _log.error("%s: off not confirmed: %s", self.name, error)
            report = OffReport(False, str(error), BY_HAND)
        self.off_report = report
        return report

    def stop(self, *, success: bool = False) -> None:
        """Hold the temperature that is reached (or go off, as bench.toml says); never raises.

        A block that is on its target already is left alone.
        """
        self._ticket += 1
        if not self._link.is_open or self._wanted is None:
            return
        if self.settings.when_stopped == "off":
            self._interrupted = self._wanted
            self.off()
            return
        try:
            self._link.call(self._hold, urgent=True, timeout_s=4 * self._link.deadline_s + 1.0)
        except Exception as error:  # noqa: BLE001 - a stop never raises: what went wrong is in the reading
            _log.error("%s: it could not be told to hold: %s", self.name, error)
            self._trouble = f"it could not be told to hold ({error})"
            self._update({"valid": 0, "reason": self._trouble})

    def pause(self) -> None:
        """Stop, and remember the target. Does not raise."""
        self.stop()
        self._paused = True

    def resume(self) -> None:
        """Go on to the target that `pause` interrupted; DeviceError where that cannot be."""
        before, paused = self._interrupted, self._paused
        self._interrupted, self._paused = None, False
        if before is not None and paused:
            ticket = self._ticket
            self._link.call(lambda: self._go_to(*before, ticket))

    def trigger(self) -> Status:
        """Take one reading; the status is finished by the link's worker."""
        if not self._paused:
            self._interrupted = None  # whoever goes on reading after a stop has left that target behind
        return super().trigger()

    def disconnect(self) -> None:
        """Switch temperature control and stirrer off, read back, and close the link. Never raises."""
        if self._link.is_open:
            self.off()
        super().disconnect()

    # ---- in the worker

    def _go_to(self, target_c: float, ramp_k_per_min: float | None, ticket: int) -> None:
        wire = self._wire
        wire.errors()
        if ticket != self._ticket:
            raise RefusedError(f"{self.name}: the target was given up: a stop came in before it was set")
        self._interrupted, self._paused, self._trouble = None, False, ""
        wire.restarted = False
        # what armed a ramp may be left from before, and whether one must be armed anew is unsure: always said
        wire.ask("RR ?", "RR S 0")
        if ramp_k_per_min is not None:
            wire.write("RR", f"{ramp_k_per_min:.2f}")
        wire.write("TT", f"{target_c:.2f}")
        self._wanted = (target_c, ramp_k_per_min)
        status = wire.status("TC +")
        problems = wire.errors() if status.errors else []
        if problems or not status.controlling:
            self._trouble = ", ".join(problems) or "temperature control stays off"
            raise DeviceError(self.name, self._trouble, remedy="Look at the coolant and at the controller's display.")
        self._measure()

    def _stir(self, speed_rpm: int) -> None:
        if speed_rpm:
            self._wire.write("SS", str(speed_rpm))
        status = self._wire.status("SS +" if speed_rpm else "SS -")
        self._speed_rpm = speed_rpm
        if status.stirring != bool(speed_rpm):
            raise DeviceError(
                self.name, f"its stirrer {'stands' if speed_rpm else 'turns'} though it was told otherwise"
            )
        self._measure()

    def _hold(self) -> None:
        self._link.insist()
        self._measure()
        wanted = self._wanted
        if wanted is None or not self.controlling.get():
            return
        now = float(self.temperature.get())
        low, high = self._range_c
        if abs(now - wanted[0]) > HOLDS_WITHIN_K:
            self._go_to(round(min(max(now, low), high), 2), None, self._ticket)
            self._interrupted = wanted

    def _go_off(self) -> OffReport:
        self._link.insist()
        self._wanted, self._speed_rpm = None, 0
        if not self._link.trusted:
            # something went wrong before: off first, then mend the connection, then look
            self._link.blurt(CONTROL_OFF)
        status = self._wire.status("TC -", "SS -")
        self._measure()
        seen = f"control {'on' if status.controlling else 'off'}, stirrer {'on' if status.stirring else 'off'}"
        confirmed = not status.controlling and not status.stirring
        return OffReport(confirmed, f"{seen}, block at {self.temperature.get():.1f} degC", "" if confirmed else BY_HAND)

    def _measure(self) -> None:
        wire = self._wire
        status = wire.status()
        if status.errors:
            self._trouble = ", ".join(wire.errors()) or self._trouble
        block, target = wire.number("CT ?"), wire.number("TT ?")
        probe = wire.probe_c() if self.settings.probe else None
        speed = wire.number("SS ?") if status.stirring else 0.0
        reason = self._doubt(status, block, target, probe)
        self._update(
            {
                "temperature": block if math.isfinite(block) and -50.0 < block < 150.0 else math.nan,
                "target": target, "probe": math.nan if probe is None else probe,
                "stable": int(status.stable and status.controlling), "controlling": int(status.controlling),
                "stirring": speed, "valid": int(not reason), "reason": reason,
            }
        )  # fmt: skip

    def _doubt(self, status: HolderStatus, block: float, target: float, probe: float | None) -> str:
        """Return why the reading is not as it should be, empty where it is."""
        if self._wire.restarted:
            return "the controller was switched off and on: target, control and stirrer must be set again"
        if self._trouble:
            return self._trouble
        if not -50.0 < block < 150.0:
            return f"its block cannot be at {block:g} degC"
        wanted = self._wanted
        if wanted is not None and not status.controlling:
            return f"temperature control is off though {wanted[0]:g} degC is set"
        if wanted is not None and abs(target - wanted[0]) > 0.0051:
            return f"its target is {target:g} degC, {wanted[0]:g} degC was set"
        if self._speed_rpm and not status.stirring:
            return f"the stirrer stands though {self._speed_rpm} rpm are set"
        if self.settings.probe and probe is None:
            return "there is no probe in the liquid"
        return ""

    # ---- identity, audit, health (in the worker)

    def _make_transport(self) -> Transport:
        return QnwTransport(self.context.address, LINE)

    def _read_identity(self) -> dict[str, str]:
        # reports of an earlier program would come between
        code = self._wire.ask("ID ?", "XX R-").removeprefix("ID ")
        model = MODELS.get(int(code), f"type {code}") if code.isdigit() else f"type {code}"
        version = self._wire.ask("VN ?").removeprefix("VN ")
        return self._checked_identity({"maker": "Quantum Northwest", "model": model, "serial": "", "firmware": version})

    def _configure(self) -> None:
        wire, settings = self._wire, self.settings
        highest, lowest = wire.number("MT ?"), wire.number("LT ?")
        self._range_c = (
            max(settings.min_temperature.value, lowest), min(settings.max_temperature.value, highest),
        )  # fmt: skip
        self._speeds_rpm = (wire.number("LS ?"), wire.number("MS ?"))
        wire.errors()  # of an earlier program
        self._wanted, self._speed_rpm, self._trouble = None, 0, ""
        wire.restarted = False
        self._measure()
        self._update({"min_temperature": self._range_c[0], "max_temperature": self._range_c[1]})

    def _audit(self) -> None:
        super()._audit()
        status = self._wire.status()
        if status.controlling and self._wanted is None:
            self._go_off()
            raise DeviceError(self.name, "was heating after reconnecting though nothing was set; it was switched off")

    def _health_looks(self) -> Sequence[tuple[str, Callable[[], str], str]]:
        def exchanger() -> str:
            hot, limit = self._wire.number("HT ?"), self._wire.number("HL ?")
            if hot >= limit:
                raise DeviceError(self.name, f"the heat exchanger is at {hot:g} degC, its limit is {limit:g} degC")
            return f"heat exchanger at {hot:g} degC, limit {limit:g} degC"

        def holder() -> str:
            self._measure()
            if self.reason.get():
                raise DeviceError(self.name, str(self.reason.get()))
            return f"block at {self.temperature.get():.2f} degC, control {'on' if self.controlling.get() else 'off'}"

        return (
            ("coolant", exchanger, "Look whether coolant flows."),
            ("holder", holder, "Look at the controller's display; set the target again."),
        )
