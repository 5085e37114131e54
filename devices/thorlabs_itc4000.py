"""Thorlabs ITC4001 and ITC4005 laser diode controllers with TEC (pyvisa, SCPI).

The value of the laser is its optical power at the sample plane, by the calibration in bench.toml:
P = slope * (I - threshold). Emission needs: a power within the limits, permission from outside (`may_emit`), no
protection active, limit and current read back, and OUTP1? and the operation word saying on.

`set` is done as soon as the read-back says that the output is on. The current then still ramps (about a second of
lab time), and the diode's temperature may still settle: a plan waits for that by polling ``laser_current`` and
``laser_temperature``. A driver never waits for lab time, because on a virtual clock nobody would advance it.
"""

import contextlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ophyd import Component, Kind

from devices.instrument import ScpiInstrument
from devices.itc4000_settings import ITC4001Settings, ITC4005Settings
from devices.itc4000_wire import LOOK_EVERY_S, OFF, ITC4000Wire
from devices.itc4000_words import Look, words
from devices.link import GaveWayError, HungError
from devices.linked import LinkSettings
from devices.signals import Reading
from devices.status import Status
from nanolab.errors import DeviceError, NanolabError, OffNotConfirmedError, RefusedError
from nanolab.interfaces import DeviceContext, OffReport

OFF_CONFIRMED_WITHIN_S = 1.0
"""Wall time in which the read-back must say off; the current of a real diode takes a moment to fall."""

SOFT_START_S = 3.0
"""Lab time after which the measured current must agree with the set one (soft start takes about 1 s)."""

DARK_SHARE = 0.01
"""Below this share of full scale (and below half the threshold) a measured current is no emission."""

_log = logging.getLogger(__name__)


class _ITC4000(ScpiInstrument):
    """What both models share. Keeps `nanolab.interfaces.Laser`."""

    power = Component(Reading, value=math.nan, units="W", kind=Kind.hinted, instead="move the laser itself")
    emitting = Component(Reading, value=0, kind=Kind.normal, instead="set the laser's power, or call off()")
    current = Component(Reading, value=math.nan, units="A", kind=Kind.normal, instead="set the laser's power")
    temperature = Component(Reading, value=math.nan, units="degC", kind=Kind.normal)
    valid = Component(Reading, value=0, kind=Kind.normal)
    reason = Component(Reading, value="not read yet", kind=Kind.normal)

    wavelength = Component(Reading, value=math.nan, units="nm", kind=Kind.config)
    max_power = Component(Reading, value=math.nan, units="W", kind=Kind.config)
    current_limit = Component(Reading, value=math.nan, units="A", kind=Kind.config)
    threshold_current = Component(Reading, value=math.nan, units="A", kind=Kind.config)
    slope = Component(Reading, value=math.nan, units="W/A", kind=Kind.config)
    tec_temperature = Component(Reading, value=math.nan, units="degC", kind=Kind.config)
    calibration_date = Component(Reading, value="", kind=Kind.config)
    serial = Component(Reading, value="", kind=Kind.config)

    Settings: ClassVar[type[LinkSettings]] = ITC4001Settings

    def __init__(self, context: DeviceContext, **kwargs: Any) -> None:
        super().__init__(context, **kwargs)
        settings = self.settings
        self.wavelength_nm: float = settings.wavelength.value
        self.max_power_w: float = settings.max_power.value
        self.off_report: OffReport | None = None
        """What was seen when the laser last went off."""
        self._dark_a = min(DARK_SHARE * settings.full_scale_a, max(0.5 * settings.threshold_current.value, 1e-3))
        self._wire = ITC4000Wire(self._scpi, settings)
        self._commanded_w = 0.0
        self._commanded_at = 0.0
        self._held: str | None = None
        self._ticket = 0
        self._before: tuple[float, float] | None = None

    # ---- limits and moving

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest power in W."""
        return (0.0, self.max_power_w)

    def check_value(self, power_w: float) -> None:
        """Raise RefusedError where this power in W is outside the limits, or no number."""
        if isinstance(power_w, bool) or not isinstance(power_w, int | float):
            raise RefusedError(f"{self.name}: {power_w!r} is no power in W")
        if not 0.0 <= power_w <= self.max_power_w:
            raise RefusedError(
                f"{self.name}: {power_w:g} W is refused, the limits are 0 and {self.max_power_w:g} W (max_power)"
            )

    def set(self, power_w: float) -> Status:
        """Emit this power in W, or go off and verify it (0). Done when the read-back agrees.

        RefusedError before the first byte where the power is outside the limits, the laser was paused or turned off
        by `off()` and not armed again, or permission is missing. The status fails with RefusedError where the
        instrument's own protections forbid emission, with DeviceError where the instrument misbehaves (the laser is
        then told to go off), with OffNotConfirmedError where off was not seen.
        """
        self.check_value(power_w)
        power = float(power_w)
        if power == 0.0:
            self._ticket += 1
            return self._link.submit(self._off_or_raise, urgent=True)
        if self._held is not None:
            raise RefusedError(f"{self.name}: {self._held}; stage it, or call resume(), which checks the interlock")
        forbidden = self.context.may_emit()
        if forbidden is not None:
            raise RefusedError(f"{self.name}: emission is refused: {forbidden}")
        ticket = self._ticket
        status = self._link.submit(lambda: self._emit(power, ticket), gives_way=True)
        status.add_callback(self._off_if_hung)
        return status

    def off(self) -> OffReport:
        """Turn emission off at once and read it back. Never raises; nothing is emitted again until armed.

        Waits for an exchange in hand at most until that one's deadline. Armed again by `resume` or `stage`.
        """
        self._held = "it was turned off"
        return self._off_now()

    def stop(self, *, success: bool = False) -> None:
        """Turn emission off, verified; a pending `set` fails. Does not raise: see `off_report`."""
        self._off_now()

    def pause(self) -> None:
        """Turn emission off, verified, and emit nothing until `resume`. Does not raise: see `off_report`."""
        self._held = "it is paused"
        self._off_now()

    def resume(self) -> None:
        """Allow emission again after a fresh look at interlock and key; RefusedError, DeviceError where not well."""
        look = self._link.call(self._wire.look)
        self._wire.refuse_protected(look)
        self._held = None

    # ---- staging and leaving

    def stage(self) -> list[Any]:
        """Remember the settings, go off, start the TEC, and arm: whatever held emission back is forgotten."""
        staged: list[Any] = super().stage()
        try:
            self._link.call(self._stage_settings)
        except NanolabError:
            super().unstage()
            raise
        self._held = None
        return staged

    def unstage(self) -> list[Any]:
        """Turn off and give the controller back its current limit and set temperature; the TEC stays on.

        OffNotConfirmedError where off was not seen.
        """
        unstaged: list[Any] = super().unstage()
        report = self._off_now()
        if not report.confirmed:
            raise OffNotConfirmedError(f"{self.name}: {report.detail}. {report.by_hand}")
        self._give_back(self._restore)
        return unstaged

    def disconnect(self) -> None:
        """Turn emission off, verified, and close the link. Never raises."""
        if self._link.is_open:
            self._off_now()
        super().disconnect()

    # ---- off

    def _off_if_hung(self, status: Status) -> None:
        # nobody knows how far a set that hung has got, and its own worker cannot undo it any more
        if isinstance(status.exception(), HungError):
            self._ticket += 1
            with contextlib.suppress(DeviceError):
                self._link.submit(self._go_off, urgent=True)

    def _off_now(self) -> OffReport:
        self._ticket += 1
        last = self.off_report
        if not self._link.is_open and last is not None and last.confirmed:
            # nothing can have been emitted through a link that was closed when the laser was off
            return last
        patience = 3 * self._link.deadline_s + OFF_CONFIRMED_WITHIN_S + 1.0
        try:
            report: OffReport = self._link.call(self._go_off, urgent=True, timeout_s=patience)
        except Exception as error:  # noqa: BLE001 - off never raises: what went wrong is in the report
            report = self._not_off(str(error))
        self.off_report = report
        return report

    def _off_or_raise(self) -> None:
        self.off_report = report = self._go_off()
        if not report.confirmed:
            raise OffNotConfirmedError(f"{self.name}: {report.detail}. {report.by_hand}")

    def _go_off(self) -> OffReport:
        """Send off, then look until it is seen or the time is up. In the worker."""
        self._commanded_w = 0.0
        self._link.insist()
        if not self._link.trusted:
            # something went wrong before: off first, then mend the connection, then look
            self._link.blurt(OFF)
        limit = time.monotonic() + OFF_CONFIRMED_WITHIN_S
        problem = "it was not seen to be off"
        failures = 0
        while True:
            try:
                look, reported = self._wire.say_off()
            except DeviceError as error:
                problem = str(error)
                failures += 1
                if failures == 2:
                    return self._not_off(problem)
                continue
            self._note(look)
            if not look.emitting(self._dark_a) and math.isfinite(look.current_a):
                self.context.went_off()
                detail = f"off: {look.says()}"
                return OffReport(True, detail + (f"; the error queue said {reported}" if reported else ""))
            if time.monotonic() >= limit:
                return self._not_off(f"told to go off, and still {look.says()}")
            self._link.rest(LOOK_EVERY_S)

    def _not_off(self, detail: str) -> OffReport:
        by_hand = (
            f"OFF NOT CONFIRMED. Turn the key of the {self._identity.get('model', 'laser controller')} to off or open "
            "its interlock, and make sure that no light comes out before going near."
        )
        _log.error("%s: off not confirmed: %s", self.name, detail)
        return OffReport(False, detail, by_hand)

    # ---- on

    def _emit(self, power_w: float, ticket: int) -> None:
        self._give_way(ticket)
        self._wire.refuse_protected(self._wire.look())
        try:
            self._wire.prepare_emission()
            self._wire.write_current(self.settings.current_for(power_w))
            self._give_way(ticket)
            self._commanded_w, self._commanded_at = power_w, self.context.lab_time()
            self.context.about_to_emit(power_w)
            self._wire.switch_on(lambda: self._give_way(ticket))
        except GaveWayError:
            raise  # what it gave way to goes off
        except BaseException as error:
            report = self._go_off()
            self.off_report = report
            if not report.confirmed:
                raise OffNotConfirmedError(f"{error} Then: {report.detail}. {report.by_hand}") from error
            raise

    def _give_way(self, ticket: int) -> None:
        if ticket != self._ticket:
            raise GaveWayError(self.name, "the set was given up: a command to go off came in")

    # ---- reading

    def _measure(self) -> None:
        self._note(self._wire.look())

    def _note(self, look: Look) -> None:
        emitting = look.emitting(self._dark_a)
        reason = self._doubt(look, emitting)
        power = (math.nan if reason else self._commanded_w) if emitting else 0.0
        self._update(
            {
                "power": power, "emitting": int(emitting), "current": look.current_a, "temperature": look.temperature_c,
                "valid": int(not reason), "reason": reason,
            }
        )  # fmt: skip

    def _doubt(self, look: Look, emitting: bool) -> str:
        """Return why the reading is not what was commanded, empty where it is."""
        wanted = self._commanded_w
        if not math.isfinite(look.current_a):
            return "the diode current cannot be read"
        if emitting and wanted == 0.0:
            return f"emits though it is told to be off ({look.says()})"
        if wanted > 0.0 and not look.output:
            return words(look.condition) or f"its output is off though {wanted:g} W is set"
        if emitting and look.condition:
            return words(look.condition)
        settled = self.context.lab_time() - self._commanded_at > SOFT_START_S
        set_a = self.settings.current_for(wanted)
        if emitting and settled and abs(look.current_a - set_a) > max(0.02 * set_a, 3 * self._wire.tolerance_a):
            return f"the diode current is {look.current_a:.4f} A, {set_a:.4f} A is set"
        return ""

    # ---- settings, audit, health (in the worker)

    def _configure(self) -> None:
        settings = self.settings
        self._scpi.ask("UNIT:TEMP C")
        date = settings.calibration_date
        self._update(
            {
                **{
                    name: getattr(settings, name).value
                    for name in (
                        "wavelength",
                        "max_power",
                        "current_limit",
                        "threshold_current",
                        "slope",
                        "tec_temperature",
                    )
                },
                "calibration_date": date.isoformat() if date is not None else "",
                "serial": self._identity["serial"],
            }
        )

    def _stage_settings(self) -> None:
        limit, setpoint = self._scpi.ask("SOUR:CURR:LIM?", "SOUR2:TEMP?")
        self._before = (self._scpi.number(limit, "SOUR:CURR:LIM?"), self._scpi.number(setpoint, "SOUR2:TEMP?"))
        self._off_or_raise()
        self._wire.start_tec()

    def _restore(self) -> None:
        if self._before is not None:
            limit, setpoint = self._before
            self._before = None
            self._scpi.ask(f"SOUR:CURR:LIM {limit:.5f}", f"SOUR2:TEMP {setpoint:.3f}")

    def _audit(self) -> None:
        super()._audit()
        look = self._wire.look()
        self._note(look)
        if look.output != (self._commanded_w > 0.0):
            believed = f"{self._commanded_w:g} W was set" if self._commanded_w > 0.0 else "it was off"
            self._link.blurt(OFF)
            raise DeviceError(
                self.name, f"after reconnecting its output is {'on' if look.output else 'off'}, but {believed}"
            )

    def _health_looks(self) -> Sequence[tuple[str, Callable[[], str], str]]:
        def protections() -> str:
            look = self._wire.look()
            if look.condition:
                raise DeviceError(self.name, words(look.condition))
            return "none active"

        def output() -> str:
            look = self._wire.look()
            if look.emitting(self._dark_a):
                raise DeviceError(self.name, f"it emits ({look.says()})")
            return f"off ({look.says()})"

        return (
            ("interlock, key and other protections", protections, "Look at the controller's display."),
            ("output", output, "Turn the laser off."),
        )


class ThorlabsITC4001(_ITC4000):
    """Thorlabs ITC4001: 1 A laser diode controller with TEC. Keeps `nanolab.interfaces.Laser`."""

    Settings = ITC4001Settings
    models = ("ITC4001",)


class ThorlabsITC4005(_ITC4000):
    """Thorlabs ITC4005: 5 A laser diode controller with TEC. Keeps `nanolab.interfaces.Laser`."""

    Settings = ITC4005Settings
    models = ("ITC4005",)
