"""What a contact, a shutter and a laser behind a contact share: they let light pass or not, and going safe is seen.

*Safe* is what ends the light here: contact open, shutter closed. Going safe is never vetoed, goes before all that
waits, and is believed only from the read-back. Letting light pass asks for permission (`may_emit`), is refused while
held back by `pause` or by a command to go safe, and is verified too.

No safety function in the sense of a standard: the laser's hardware interlock is.
"""

import contextlib
import logging
import math
import time
from dataclasses import dataclass
from typing import Any

from devices.fenced import FENCED_WITHIN_S, look_or_believe
from devices.link import GaveWayError, HungError
from devices.linked import LinkedInstrument
from devices.status import Status
from nanolab.errors import DeviceError, NanolabError, OffNotConfirmedError, RefusedError
from nanolab.interfaces import DeviceContext, OffReport

CONFIRMED_WITHIN_S = 1.0
"""Wall time in which the read-back must say safe."""

LOOK_EVERY_S = 0.02
"""Wall time between two looks at a contact or blade that moves."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """One look: whether the read-back says safe, the read-back in words, and what the subclass wants to keep of it."""

    safe: bool
    says: str
    raw: Any = None


class GuardedInstrument(LinkedInstrument):
    """Subclasses implement `_look`, `_tell_safe`, `_switch_on`, `_refuse_unless_ready`, `_note` and `_by_hand`.

    ``safe_message`` is a line that makes safe without being read first, None where there is none (a toggle).
    """

    safe_message: str | None = None

    def __init__(self, context: DeviceContext, **kwargs: Any) -> None:
        super().__init__(context, **kwargs)
        self.off_report: OffReport | None = None
        """What was seen when it last went safe."""
        self._wanted = False
        self._held: str | None = None
        self._ticket = 0

    # ---- bluesky

    def stop(self, *, success: bool = False) -> None:
        """Go safe, verified; a pending `set` fails. Does not raise: see `off_report`."""
        self._safe_now()

    def pause(self) -> None:
        """Go safe, verified, and let no light pass until `resume`. Does not raise: see `off_report`."""
        self._held = "it is paused"
        self._safe_now()

    def resume(self) -> None:
        """Allow light again after a fresh look; RefusedError, DeviceError where not well. Nothing is switched on."""
        forbidden = self.context.may_emit()
        if forbidden is not None:
            raise RefusedError(f"{self.name}: emission is refused: {forbidden}")
        self._link.call(self._refuse_unless_ready)
        self._held = None

    def stage(self) -> list[Any]:
        """Go safe, verified, and arm: whatever held the light back is forgotten. OffNotConfirmedError, DeviceError."""
        staged: list[Any] = super().stage()
        try:
            self._link.call(self._safe_or_raise)
        except NanolabError:
            super().unstage()
            raise
        self._held = None
        return staged

    def unstage(self) -> list[Any]:
        """Go safe. OffNotConfirmedError where that was not seen."""
        unstaged: list[Any] = super().unstage()
        report = self._safe_now()
        if not report.confirmed:
            raise self._not_confirmed(report)
        return unstaged

    def disconnect(self) -> None:
        """Go safe, verified, and close the link. Never raises."""
        if self._link.is_open:
            self._safe_now()
        super().disconnect()

    # ---- for subclasses

    def _hold(self) -> OffReport:
        """Go safe at once and let no light pass until armed by `stage` or `resume`. Never raises."""
        self._held = "it was turned off"
        return self._safe_now()

    def _move(self, on: bool) -> Status:
        """Let light pass, or go safe. RefusedError before the first byte where held back or not permitted."""
        if not on:
            self._ticket += 1
            return self._link.submit(self._safe_or_raise, urgent=True)
        if self._held is not None:
            raise RefusedError(f"{self.name}: {self._held}; stage it, or call resume(), which looks at the interlock")
        forbidden = self.context.may_emit()
        if forbidden is not None:
            raise RefusedError(f"{self.name}: emission is refused: {forbidden}")
        ticket = self._ticket
        status = self._link.submit(lambda: self._let_through(ticket), gives_way=True)
        status.add_callback(self._safe_if_hung)
        return status

    _power_let_through_w: float = math.nan
    """Optical power that is let through, W; NaN where it is not known here."""

    def _look(self) -> Seen:
        raise NotImplementedError

    def _tell_safe(self) -> Seen:
        """Tell it to go safe and look. In the worker; may be called again until it is seen."""
        raise NotImplementedError

    def _switch_on(self) -> Seen:
        """Let light pass, verified; DeviceError, RefusedError. In the worker."""
        raise NotImplementedError

    def _refuse_unless_ready(self) -> None:
        """Raise RefusedError where something keeps light from being let through. In the worker."""
        raise NotImplementedError

    def _note(self, seen: Seen) -> None:
        raise NotImplementedError

    def _by_hand(self) -> str:
        """Say what a person must do where safe is not confirmed."""
        raise NotImplementedError

    # ---- going safe

    def _safe_now(self) -> OffReport:
        self._ticket += 1
        last = self.off_report
        if not self._link.is_open and last is not None and last.confirmed:
            # nothing can have been let through by way of a link that was closed when it was safe
            return last
        patience = 3 * self._link.deadline_s + CONFIRMED_WITHIN_S + 1.0
        try:
            report: OffReport = self._link.call(self._go_safe, urgent=True, timeout_s=patience)
        except Exception as error:  # noqa: BLE001 - going safe never raises: what went wrong is in the report
            report = self._not_safe(str(error))
        self.off_report = report
        return report

    def _safe_or_raise(self) -> None:
        self.off_report = report = self._go_safe()
        if not report.confirmed:
            raise self._not_confirmed(report)

    def _not_confirmed(self, report: OffReport) -> OffNotConfirmedError:
        return OffNotConfirmedError(f"{self.name}: {report.detail}. {report.by_hand}")

    def _go_safe(self) -> OffReport:
        """Send, then look until it is seen or the time is up. In the worker."""
        if self._wanted:
            self.context.going_off()
        self._wanted = False
        elsewhere = self.context.seen_off(0.0)
        if elsewhere is not None:
            return self._noted_off(elsewhere)
        self._link.insist()
        if self.safe_message is not None and not self._link.trusted:
            # something went wrong before: safe first, then mend the connection, then look
            self._link.blurt(self.safe_message)
        limit = time.monotonic() + CONFIRMED_WITHIN_S
        failures = 0
        while True:
            try:
                seen = self._tell_safe()
            except DeviceError as error:
                failures += 1
                elsewhere = self.context.seen_off(FENCED_WITHIN_S)
                if elsewhere is not None:
                    return self._noted_off(elsewhere)
                if failures == 2:
                    return self._not_safe(str(error))
                continue
            self._note(seen)
            if seen.safe:
                self.context.went_off()
                return OffReport(True, seen.says)
            if time.monotonic() >= limit:
                return self._not_safe(f"told to go off, and still {seen.says}")
            self._link.rest(LOOK_EVERY_S)

    def _not_safe(self, detail: str) -> OffReport:
        _log.error("%s: off not confirmed: %s", self.name, detail)
        return OffReport(False, detail, f"OFF NOT CONFIRMED. {self._by_hand()}")

    def _safe_if_hung(self, status: Status) -> None:
        # nobody knows how far a set that hung has got, and its own worker cannot undo it any more
        if isinstance(status.exception(), HungError):
            self._ticket += 1
            with contextlib.suppress(DeviceError):
                self._link.submit(self._go_safe, urgent=True)

    # ---- letting light through

    def _let_through(self, ticket: int) -> None:
        self._give_way(ticket)
        # first: a dead-man box is fed from here on, and closes only then
        self.context.about_to_emit(self._power_let_through_w)
        try:
            self._refuse_unless_ready()
            self._give_way(ticket)
        except NanolabError:
            self.context.went_off()
            raise
        try:
            self._wanted = True
            self._note(self._switch_on())
        except GaveWayError:
            raise  # what it gave way to goes safe
        except BaseException as error:
            self.off_report = report = self._go_safe()
            if not report.confirmed:
                raise OffNotConfirmedError(f"{error} Then: {report.detail}. {report.by_hand}") from error
            raise

    def _give_way(self, ticket: int) -> None:
        if ticket != self._ticket:
            raise GaveWayError(self.name, "the set was given up: a command to go off came in")

    # ---- reading

    def _measure(self) -> None:
        seen = look_or_believe(self.context, lambda: self._note(self._look()))
        if seen is not None:
            self._noted_off(seen)

    def _noted_off(self, report: OffReport) -> OffReport:
        """Read what the guardian saw: nobody else reaches the instrument any more."""
        return report

    def _audit(self) -> None:
        super()._audit()
        seen = self._look()
        self._note(seen)
        if seen.safe == self._wanted:
            if self.safe_message is not None:
                self._link.blurt(self.safe_message)
            believed = "it was on" if self._wanted else "it was off"
            raise DeviceError(self.name, f"after reconnecting {seen.says}, but {believed}")
