"""What every laser driver shares: limits, permission, off that is seen, and what holds emission back until it is armed.

A driver adds its signals, its settings and a *wire* (`devices.laser_wire.LaserWire`): what is said to the instrument and how its answers are
checked. All of this is no safety function in the sense of a standard: the hardware interlock of the laser is.

`set` is done as soon as the instrument itself says that it emits, or that its start is under way. A driver never waits
for lab time, because on a virtual clock nobody would advance it.
"""

import contextlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from ophyd import Component, Kind

from devices.fenced import FENCED_WITHIN_S, look_or_believe
from devices.laser_wire import LaserWire
from devices.link import GaveWayError, HungError
from devices.linked import LinkedInstrument
from devices.signals import Reading
from devices.status import Status
from nanolab.errors import DeviceError, NanolabError, OffNotConfirmedError, RefusedError
from nanolab.interfaces import DeviceContext, OffReport

LOOK_EVERY_S = 0.05
"""Wall time between two looks while off (or on) is being confirmed."""

_log = logging.getLogger(__name__)


class LaserInstrument(LinkedInstrument):
    """A laser over one link. Keeps `nanolab.interfaces.Laser`.

    Subclasses make the ``_wire`` and say why a reading is not what was commanded (``_doubt``).
    """

    power = Component(Reading, value=math.nan, units="W", kind=Kind.hinted, instead="move the laser itself")
    emitting = Component(Reading, value=0, kind=Kind.normal, instead="set the laser's power, or call off()")
    current = Component(Reading, value=math.nan, units="A", kind=Kind.normal, instead="set the laser's power")
    temperature = Component(Reading, value=math.nan, units="degC", kind=Kind.normal)
    valid = Component(Reading, value=0, kind=Kind.normal)
    reason = Component(Reading, value="not read yet", kind=Kind.normal)

    wavelength = Component(Reading, value=math.nan, units="nm", kind=Kind.config)
    max_power = Component(Reading, value=math.nan, units="W", kind=Kind.config)
    calibration_date = Component(Reading, value="", kind=Kind.config)
    serial = Component(Reading, value="", kind=Kind.config)

    _wire: LaserWire

    def __init__(self, context: DeviceContext, **kwargs: Any) -> None:
        super().__init__(context, **kwargs)
        self.wavelength_nm: float = self.settings.wavelength.value
        self.max_power_w: float = self.settings.max_power.value
        self.off_report: OffReport | None = None
        """What was seen when the laser last went off."""
        self._commanded_w = 0.0
        self._commanded_at = 0.0
        self._held: str | None = None
        self._ticket = 0

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
        """Allow emission again after a fresh look at permission, interlock and key; RefusedError, DeviceError where not well."""
        forbidden = self.context.may_emit()
        if forbidden is not None:
            raise RefusedError(f"{self.name}: emission is refused: {forbidden}")
        look = self._link.call(self._wire.look)
        self._link.call(lambda: self._wire.refuse_protected(look))
        self._held = None

    # ---- staging and leaving

    def stage(self) -> list[Any]:
        """Remember the settings, go off, verified, and arm: whatever held emission back is forgotten."""
        staged: list[Any] = super().stage()
        try:
            self._link.call(self._stage_settings)
        except NanolabError:
            super().unstage()
            raise
        self._held = None
        return staged

    def unstage(self) -> list[Any]:
        """Turn off and give the instrument its settings back.

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

    # ---- for subclasses

    @property
    def _off_confirmed_within_s(self) -> float:
        """Wall time in which the read-back must say off, s."""
        raise NotImplementedError

    _look_every_s = LOOK_EVERY_S
    _drain_s = 0.0
    """Wall time left to what answers an off that was sent into a doubtful connection, before that is opened anew."""

    def _doubt(self, look: Any) -> str:
        """Return why the reading is not what was commanded, empty where it is."""
        raise NotImplementedError

    def _way_by_hand(self) -> str:
        """Return how a person turns this laser off, as the beginning of a sentence."""
        return f"Turn the key of the {self._identity.get('model', 'laser controller')} to off or open its interlock"

    def _more(self, look: Any) -> dict[str, Any]:
        """Return the values of further signals of a reading, by attribute."""
        return {}

    def _starting(self, look: Any) -> bool:
        """Return True where the laser does not emit yet and its start is under way."""
        return False

    def _stage_settings(self) -> None:
        self._off_or_raise()

    def _restore(self) -> None:
        """Write back what staging has changed."""

    def _publish(self, *names: str) -> None:
        """Put these quantities of the settings, date and serial number into the configuration signals."""
        date = self.settings.calibration_date
        self._update(
            {
                **{name: getattr(self.settings, name).value for name in ("wavelength", "max_power", *names)},
                "calibration_date": date.isoformat() if date is not None else "",
                "serial": self._identity["serial"],
            }
        )

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
        patience = 3 * self._link.deadline_s + self._off_confirmed_within_s + 1.0
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
        if self._commanded_w > 0.0:
            self.context.going_off()
        self._commanded_w = 0.0
        seen = self.context.seen_off(0.0)
        if seen is not None:
            return self._noted_off(seen)
        self._link.insist()
        # where something went wrong before: off first, then mend the connection, then look
        if not self._link.trusted and self._link.blurt(self._wire.off_line):
            self._link.rest(self._drain_s)
        limit = time.monotonic() + self._off_confirmed_within_s
        failures = 0
        while True:
            try:
                look, remark = self._wire.say_off()
            except DeviceError as error:
                failures += 1
                seen = self.context.seen_off(FENCED_WITHIN_S)
                if seen is not None:
                    return self._noted_off(seen)
                if failures == 2:
                    return self._not_off(str(error))
                continue
            self._note(look)
            if look.dark:
                self.context.went_off()
                return OffReport(True, f"off: {look.says()}" + (f"; {remark}" if remark else ""))
            if time.monotonic() >= limit:
                return self._not_off(f"told to go off, and still {look.says()}")
            self._link.rest(self._look_every_s)

    def _not_off(self, detail: str) -> OffReport:
        by_hand = f"OFF NOT CONFIRMED. {self._way_by_hand()}, and make sure that no light comes out before going near."
        _log.error("%s: off not confirmed: %s", self.name, detail)
        return OffReport(False, detail, by_hand)

    # ---- on

    def _emit(self, power_w: float, ticket: int) -> None:
        self._give_way(ticket)
        self._wire.refuse_protected(self._wire.look())
        try:
            self._wire.prepare(power_w)
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

    # ---- reading, audit, health (in the worker)

    def _measure(self) -> None:
        seen = look_or_believe(self.context, lambda: self._note(self._wire.look()))
        if seen is not None:
            self._noted_off(seen)

    def _noted_off(self, seen: OffReport) -> OffReport:
        """Read what the guardian saw: nobody else reaches the laser any more."""
        words = "" if seen.confirmed else seen.words()
        self._update(
            {
                "power": 0.0 if seen.confirmed else math.nan, "emitting": int(not seen.confirmed), "current": math.nan,
                "valid": int(seen.confirmed), "reason": words,
            }
        )  # fmt: skip
        return seen

    def _note(self, look: Any) -> None:
        more = self._more(look)
        reason = self._doubt(look)
        power = (math.nan if reason else self._commanded_w) if look.emitting else 0.0
        self._update(
            {
                "power": power, "emitting": int(look.emitting), "current": look.current_a,
                "temperature": look.temperature_c, "valid": int(not reason), "reason": reason, **more,
            }
        )  # fmt: skip

    def _audit(self) -> None:
        super()._audit()
        look = self._wire.look()
        self._note(look)
        wanted = self._commanded_w > 0.0
        if look.emitting != wanted and not (wanted and self._starting(look)):
            believed = f"{self._commanded_w:g} W was set" if wanted else "it was off"
            self._link.blurt(self._wire.off_line)
            raise DeviceError(
                self.name, f"after reconnecting its output is {'on' if look.emitting else 'off'}, but {believed}"
            )

    def _health_looks(self) -> Sequence[tuple[str, Callable[[], str], str]]:
        def protections() -> str:
            active = self._wire.protections()
            if active:
                raise DeviceError(self.name, active)
            return "none active"

        def output() -> str:
            look = self._wire.look()
            if look.emitting:
                raise DeviceError(self.name, f"it emits ({look.says()})")
            return f"off ({look.says()})"

        return (
            ("interlock, key and other protections", protections, "Look at the laser and its controller."),
            ("output", output, "Turn the laser off."),
        )
