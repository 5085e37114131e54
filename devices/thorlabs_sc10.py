"""Thorlabs SC10 shutter controller (pyserial): manual mode, the blade read back.

``ens`` toggles, it does not set. It is therefore sent only after ``ens?`` has said that the state is the other one, once,
and never again because an answer was lost: the state is asked first. "Enabled" is not "open": what counts is the blade
sensor (``closed?``). There is no communication watchdog: the shutter stays as it is when this computer dies.

A shutter in the beam is no safety function in the sense of a standard, and closing it does not turn the laser off: the
laser's hardware interlock is the safety function.

The text of refusals, the blade's transit time, the state after power-up and what an open interlock does to ``ens`` are UNSURE.
"""

import contextlib
import re
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar

from ophyd import Component, Kind

from devices.guarded import LOOK_EVERY_S, GuardedInstrument, Seen
from devices.linked import LinkSettings, quantity
from devices.serial_line import SerialLine, SerialTransport
from devices.signals import Reading
from devices.status import Status
from devices.transport import Transport
from nanolab.errors import DeviceError, RefusedError
from nanolab.interfaces import DeviceContext, OffReport
from nanolab.quantities import Quantity

LINE = SerialLine(baudrate=9600, write=b"\r", read=b"> ")
SEPARATOR = "|"
"""Between echo and value once the line's own CR are taken out: a link's replies are printable."""

MANUAL = "1"


class ThorlabsSC10Settings(LinkSettings):
    """The shutter's table of bench.toml; quantities as text with units."""

    transit: Annotated[Quantity, quantity("s", 0.0, 5.0)] = Quantity(0.5, "s")
    """Wall time in which the blade must have moved (an SH05 takes about 10 ms, UNSURE)."""


class PromptTransport(SerialTransport):
    """Reads up to the prompt ``> `` and gives echo and value as one line."""

    def __init__(self, address: str) -> None:
        super().__init__(address, LINE)

    def read_line(self, deadline_s: float) -> bytes:
        """Return what came before the prompt, its CR replaced by `SEPARATOR`."""
        raw = super().read_line(deadline_s)
        return raw.removesuffix(LINE.read).strip(b"\r\n").replace(b"\r", SEPARATOR.encode())


class ThorlabsSC10(GuardedInstrument):
    """A shutter in the beam. Keeps `nanolab.interfaces.Shutter`.

    Readings: ``open`` (0 or 1, by the blade sensor), ``enabled``, ``interlock`` (1: closed, well), ``valid``, ``reason``.
    """

    open = Component(Reading, value=0, kind=Kind.hinted, instead="move the shutter itself, or call shut()")
    enabled = Component(Reading, value=0, kind=Kind.normal, instead="move the shutter itself")
    interlock = Component(Reading, value=0, kind=Kind.normal)
    valid = Component(Reading, value=0, kind=Kind.normal)
    reason = Component(Reading, value="not read yet", kind=Kind.normal)
    mode = Component(Reading, value="", kind=Kind.config)
    serial = Component(Reading, value="", kind=Kind.config)

    Settings: ClassVar[type[LinkSettings]] = ThorlabsSC10Settings
    models = ("SC10",)
    role = "shutter"

    def __init__(self, context: DeviceContext, **kwargs: Any) -> None:
        super().__init__(context, **kwargs)
        self._spoken = False

    # ---- nanolab.interfaces.Shutter

    def check_value(self, is_open: float) -> None:
        """Raise RefusedError where this is neither 1 (open) nor 0 (closed)."""
        if is_open not in (0, 1):
            raise RefusedError(f"{self.name}: {is_open!r} is refused: a shutter is 1 (open) or 0 (closed)")

    def set(self, is_open: float) -> Status:
        """Open (1) or close (0); done when the blade sensor agrees.

        RefusedError before the first byte where opening is held back (`pause`, `shut`) or not permitted; the status fails
        with RefusedError where the interlock is open, with DeviceError where it misbehaves (it is then closed), with
        OffNotConfirmedError where it was not seen closed. Closing is never refused.
        """
        self.check_value(is_open)
        return self._move(bool(is_open))

    def shut(self) -> OffReport:
        """Close at once and read the blade back. Never raises; opens again only after `stage` or `resume`."""
        return self._hold()

    # ---- in the worker

    def _make_transport(self) -> Transport:
        return PromptTransport(self.context.address)

    def _read_identity(self) -> dict[str, str]:
        if not self._spoken:
            self._spoken = True
            # the first command after the port was opened is often lost or mutilated: what becomes of it does not matter
            with contextlib.suppress(DeviceError):
                self._link.exchange("id?")
        text = self._ask("id?")
        found = re.search(r"\bSC10\b\S*", text, re.IGNORECASE)
        firmware = text[found.end() :].strip() if found else ""
        model = "SC10" if found else text
        return self._checked_identity({"maker": "Thorlabs", "model": model, "serial": "", "firmware": firmware})

    def _configure(self) -> None:
        self._manual_mode()
        self._update({"serial": self._identity["serial"]})

    def _manual_mode(self) -> None:
        if self._ask("mode?") != MANUAL:
            # another mode may run a pattern: it is stopped before the mode is changed
            self._toggle_unless("0")
            self._say(f"mode={MANUAL}")
            mode = self._ask("mode?")
            if mode != MANUAL:
                raise DeviceError(self.name, "did not take the manual mode", sent="mode=1", received=mode)
        self._update({"mode": "manual"})

    def _look(self) -> Seen:
        blade, enabled, interlock = self._flag("closed?"), self._flag("ens?"), self._flag("interlock?")
        words = f"its blade sensor says {'closed' if blade else 'open'}, ens? {int(enabled)}"
        return Seen(blade and not enabled, words, (blade, enabled, interlock))

    def _tell_safe(self) -> Seen:
        self._toggle_unless("0")
        return self._look()

    def _switch_on(self) -> Seen:
        self._manual_mode()
        self._toggle_unless("1")
        limit = time.monotonic() + self.settings.transit.value
        while True:
            seen = self._look()
            blade, enabled, interlock = seen.raw
            if enabled and not blade:
                return seen
            if interlock:
                raise RefusedError(f"{self.name}: its interlock opened, and it stays closed. Close the interlock")
            if time.monotonic() >= limit:
                raise DeviceError(self.name, f"was told to open, and {seen.says}", remedy="Look at the blade.")
            self._link.rest(LOOK_EVERY_S)

    def _toggle_unless(self, wanted: str) -> None:
        """Send the toggle once, only where `ens?` says the other state; read it back whatever became of the answer."""
        if self._ask("ens?") == wanted:
            return
        problem: DeviceError | None = None
        try:
            self._say("ens")
        except DeviceError as error:
            problem = error  # it may have been obeyed all the same: only ens? knows
        if self._ask("ens?") != wanted:
            raise problem or DeviceError(
                self.name, "did not obey", sent="ens", remedy="Look at its interlock and mode."
            )

    def _refuse_unless_ready(self) -> None:
        if self._flag("interlock?"):
            raise RefusedError(f"{self.name}: its interlock is open. Close it")

    def _by_hand(self) -> str:
        return "The shutter may be open: turn the laser off, and make sure that no light comes out before going near."

    def _note(self, seen: Seen) -> None:
        blade, enabled, interlock = seen.raw
        reason = ""
        if self._wanted and blade:
            reason = "it is closed though it was opened" + ("; its interlock is open" if interlock else "")
        elif not self._wanted and not seen.safe:
            reason = f"it is not closed though it was told to be ({seen.says})"
        elif self._wanted and not enabled:
            reason = "it is open though it is not enabled"
        self._update(
            {
                "open": int(not blade), "enabled": int(enabled), "interlock": int(not interlock),
                "valid": int(not reason), "reason": reason,
            }
        )  # fmt: skip

    def _health_looks(self) -> Sequence[tuple[str, Callable[[], str], str]]:
        def interlock() -> str:
            if self._flag("interlock?"):
                raise DeviceError(self.name, "its interlock is open")
            return "closed"

        def blade() -> str:
            seen = self._look()
            if not seen.safe:
                raise DeviceError(self.name, seen.says)
            return seen.says

        return (
            ("interlock of the shutter", interlock, "Close it."),
            ("blade of the shutter", blade, "Close the shutter at its controller."),
        )

    # ---- the line

    def _flag(self, question: str) -> bool:
        answer = self._ask(question)
        if answer not in {"0", "1"}:
            raise self._senseless(question, answer, "neither 0 nor 1")
        return answer == "1"

    def _ask(self, question: str) -> str:
        """Return the one value that answers a question."""
        values = self._exchange(question)
        if len(values) != 1 or not values[0]:
            raise self._senseless(question, SEPARATOR.join(values), "one value is wanted")
        return values[0]

    def _say(self, command: str) -> None:
        """Send a command that has no value."""
        values = self._exchange(command)
        if values:
            raise self._senseless(command, SEPARATOR.join(values), "no value is wanted")

    def _exchange(self, line: str) -> list[str]:
        reply = self._link.exchange(line)
        echo, *values = reply.split(SEPARATOR)
        if echo.strip() != line:
            raise self._senseless(line, reply, "its echo is another line")
        error = next((value for value in values if "CMD_" in value), None)
        if error is not None:
            # an answer like any other: the line is in step
            raise DeviceError(self.name, "refuses", sent=line, received=error)
        return [value.strip() for value in values]

    def _senseless(self, sent: str, received: str, problem: str) -> DeviceError:
        self._link.mistrust()
        return DeviceError(
            self.name, f"makes no sense: {problem}", sent=sent, received=received, remedy="Check the cable."
        )
