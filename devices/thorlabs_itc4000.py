"""Thorlabs ITC4001 and ITC4005 laser diode controllers with TEC (pyvisa, SCPI).

The value of the laser is its optical power at the sample plane, by the calibration in bench.toml:
P = slope * (I - threshold). Emission needs: a power within the limits, permission from outside (`may_emit`), no
protection active, limit and current read back, and OUTP1? and the operation word saying on.

`set` is done as soon as the read-back says that the output is on. The current then still ramps (about a second of
lab time), and the diode's temperature may still settle: a plan waits for that by polling ``laser_current`` and
``laser_temperature``. A driver never waits for lab time, because on a virtual clock nobody would advance it.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ophyd import Component, Kind

from devices.instrument import ScpiInstrument, ScpiSettings
from devices.itc4000_settings import ITC4001Settings, ITC4005Settings
from devices.itc4000_words import LASER_ON, PREVENTS_EMISSION, TEC_ON, Look, remedy, words
from devices.link import GaveWayError
from devices.signals import Reading
from devices.status import Status
from nanolab.errors import DeviceError, NanolabError, OffNotConfirmedError, RefusedError
from nanolab.interfaces import DeviceContext, OffReport

OFF_CONFIRMED_WITHIN_S = 1.0
"""Wall time in which the read-back must say off; the current of a real diode takes a moment to fall."""

LOOK_EVERY_S = 0.05
"""Wall time between two looks while off (or on) is being confirmed."""

SOFT_START_S = 3.0
"""Lab time after which the measured current must agree with the set one (soft start takes about 1 s)."""

READ_BACK_SHARE = 1e-3
"""A read-back may differ by this share of full scale: the resolution of the controller."""

DARK_SHARE = 0.01
"""Below this share of full scale (and below half the threshold) a measured current is no emission."""

OFF = "OUTP1 OFF;:SOUR:CURR 0"
"""OUTP1 OFF comes first: were the message cut short, this is the part that counts."""

QUERIES = ("OUTP1?", "STAT:OPER:COND?", "STAT:MEAS:COND?", "MEAS:CURR1?", "MEAS:TEMP?")

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

    Settings: ClassVar[type[ScpiSettings]] = ITC4001Settings

    def __init__(self, context: DeviceContext, **kwargs: Any) -> None:
        super().__init__(context, **kwargs)
        settings = self.settings
        self.wavelength_nm: float = settings.wavelength.value
        self.max_power_w: float = settings.max_power.value
        self.off_report: OffReport | None = None
        """What was seen when the laser last went off."""
        self._dark_a = min(DARK_SHARE * settings.full_scale_a, max(0.5 * settings.threshold_current.value, 1e-3))
        self._tolerance_a = READ_BACK_SHARE * settings.full_scale_a
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
        return self._link.submit(lambda: self._emit(power, ticket), gives_way=True)

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
        look = self._link.call(self._look)
        self._refuse_protected(look)
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
        self._link.call(self._restore)
        return unstaged

    def disconnect(self) -> None:
        """Turn emission off, verified, and close the link. Never raises."""
        if self._link.is_open:
            self._off_now()
        super().disconnect()

    # ---- off

    def _off_now(self) -> OffReport:
        self._ticket += 1
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
                look, reported = self._say_off()
            except DeviceError as error:
                problem = str(error)
                failures += 1
                if failures == 2:
                    return self._not_off(problem)
                continue
            self._note(look)
            if not look.emitting(self._dark_a) and math.isfinite(look.current_a):
                detail = f"off: {look.says()}"
                return OffReport(True, detail + (f"; the error queue said {reported}" if reported else ""))
            if time.monotonic() >= limit:
                return self._not_off(f"told to go off, and still {look.says()}")
            self._link.rest(LOOK_EVERY_S)

    def _say_off(self) -> tuple[Look, str]:
        message = ";:".join((OFF, *QUERIES, "SYST:ERR?"))
        reply = self._link.exchange(message)
        fields = self._scpi.fields(reply, len(QUERIES) + 1, message)
        entry = fields.pop()
        return self._parse(fields), "" if entry.startswith(("+0,", "0,")) else entry

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
        self._refuse_protected(self._look())
        try:
            self._prepare_emission()
            current = self.settings.current_for(power_w)
            self._write_checked("SOUR:CURR", current, self._tolerance_a)
            self._give_way(ticket)
            self._commanded_w, self._commanded_at = power_w, self.context.lab_time()
            self._switch_on(ticket)
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

    def _prepare_emission(self) -> None:
        settings = self.settings
        self._write_checked("SOUR:CURR:LIM", settings.current_limit.value, self._tolerance_a)
        mode, shape, modulation, output = self._scpi.ask(
            "SOUR:FUNC:MODE?", "SOUR:FUNC:SHAP?", "SOUR:AM:STAT?", "OUTP1?"
        )
        if (mode.strip(), shape.strip(), modulation.strip()) != ("CURR", "DC", "0"):
            if self._scpi.switch(output, "OUTP1?"):
                raise DeviceError(self.name, f"emits in mode {mode} {shape}, not with constant current")
            self._scpi.ask("SOUR:FUNC:MODE CURR", "SOUR:FUNC:SHAP DC", "SOUR:AM:STAT 0")
        temperature = self._start_tec()
        distance = abs(temperature - settings.tec_temperature.value)
        if not distance <= settings.tec_tolerance.value:
            raise RefusedError(
                f"{self.name}: emission is refused: the diode is at {temperature:.1f} degC, "
                f"{settings.tec_temperature} is wanted; the TEC is on: wait until it has settled"
            )

    def _start_tec(self) -> float:
        """Set the diode's temperature and start the TEC, read back; return the temperature now in degC."""
        wanted = self.settings.tec_temperature.value
        setpoint, output, operation, now = self._scpi.ask(
            f"SOUR2:TEMP {wanted:.3f}", "OUTP2 ON", "SOUR2:TEMP?", "OUTP2?", "STAT:OPER:COND?", "MEAS:TEMP?"
        )
        if abs(self._scpi.number(setpoint, "SOUR2:TEMP?") - wanted) > 0.02:
            raise DeviceError(self.name, f"the TEC was set to {wanted:g} degC and says {setpoint}", sent="SOUR2:TEMP?")
        if not (self._scpi.switch(output, "OUTP2?") and self._scpi.word(operation, "STAT:OPER:COND?") & TEC_ON):
            raise DeviceError(
                self.name,
                "the TEC does not start",
                sent="OUTP2 ON",
                received=output,
                remedy="Check its cable and limits.",
            )
        return self._scpi.measured(now, "MEAS:TEMP?")

    def _write_checked(self, header: str, value: float, tolerance: float) -> None:
        (back,) = self._scpi.ask(f"{header} {value:.5f}", f"{header}?")
        if abs(self._scpi.number(back, f"{header}?") - value) > tolerance:
            raise DeviceError(
                self.name,
                f"did not take {value:.5f} A",
                sent=f"{header} {value:.5f}",
                received=back,
                remedy="Compare current_limit in bench.toml with the limits set at the controller.",
            )

    def _switch_on(self, ticket: int) -> None:
        try:
            output, operation = self._scpi.ask("OUTP1 ON", "OUTP1?", "STAT:OPER:COND?")
            for _look in range(4):
                if self._scpi.switch(output, "OUTP1?") and self._scpi.word(operation, "STAT:OPER:COND?") & LASER_ON:
                    return
                self._link.rest(LOOK_EVERY_S)
                self._give_way(ticket)
                output, operation = self._scpi.ask("OUTP1?", "STAT:OPER:COND?")
        except GaveWayError:
            raise
        except DeviceError:
            # an error in the queue often means an interlock that has just opened: say that
            self._refuse_protected(self._look())
            raise
        self._refuse_protected(self._look())
        raise DeviceError(
            self.name,
            "was told to emit, and its read-back does not say so",
            sent="OUTP1 ON",
            received=f"OUTP1? {output}, STAT:OPER:COND? {operation}",
        )

    def _refuse_protected(self, look: Look) -> None:
        active = look.condition & PREVENTS_EMISSION
        if active:
            raise RefusedError(f"{self.name}: emission is refused: {words(active)}. {remedy(active)}".rstrip())

    # ---- reading

    def _parse(self, fields: Sequence[str]) -> Look:
        scpi = self._scpi
        return Look(
            scpi.switch(fields[0], "OUTP1?"),
            scpi.word(fields[1], "STAT:OPER:COND?"),
            scpi.word(fields[2], "STAT:MEAS:COND?"),
            scpi.measured(fields[3], "MEAS:CURR1?"),
            scpi.measured(fields[4], "MEAS:TEMP?"),
        )

    def _look(self) -> Look:
        return self._parse(self._scpi.ask(*QUERIES))

    def _measure(self) -> None:
        self._note(self._look())

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
        if emitting and settled and abs(look.current_a - set_a) > max(0.02 * set_a, 3 * self._tolerance_a):
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
        self._start_tec()

    def _restore(self) -> None:
        if self._before is not None:
            limit, setpoint = self._before
            self._before = None
            self._scpi.ask(f"SOUR:CURR:LIM {limit:.5f}", f"SOUR2:TEMP {setpoint:.3f}")

    def _audit(self) -> None:
        super()._audit()
        look = self._look()
        self._note(look)
        if look.output != (self._commanded_w > 0.0):
            believed = f"{self._commanded_w:g} W was set" if self._commanded_w > 0.0 else "it was off"
            self._link.blurt(OFF)
            raise DeviceError(
                self.name, f"after reconnecting its output is {'on' if look.output else 'off'}, but {believed}"
            )

    def _health_looks(self) -> Sequence[tuple[str, Callable[[], str], str]]:
        def protections() -> str:
            look = self._look()
            if look.condition:
                raise DeviceError(self.name, words(look.condition))
            return "none active"

        def output() -> str:
            look = self._look()
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
