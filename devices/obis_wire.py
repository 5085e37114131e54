"""What is said to a Coherent OBIS and how its answers are checked; everything here runs in the link's worker.

With handshake on, a command is answered by OK or ERR and a query by its value and then OK or ERR: a reader that takes one
line for every command is out of step for ever.
"""

import re
import time
from collections.abc import Callable

from devices.laser import LOOK_EVERY_S
from devices.laser_head import HeadLook, Pace
from devices.link import Link
from devices.obis_settings import ObisSettings
from devices.obis_words import CDRH_DELAY, EMISSION, READY, WARM_UP, error_words, trouble
from devices.serial_line import SerialTransport
from devices.transport import NoReplyError
from nanolab.errors import DeviceError, RefusedError

SEPARATOR = "|"
"""Between the lines of one answer as the transport returns them; no OBIS reply contains it."""

MOST_LINES = 8

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_ERROR = re.compile(r"ERR\s*([+-]?\d+)")


class HandshakeTransport(SerialTransport):
    """A serial line whose answers end with a line OK or ERR..."""

    def read_line(self, deadline_s: float) -> bytes:
        """Return all lines of one answer, joined; NoReplyError where its handshake does not come in time."""
        limit = time.monotonic() + deadline_s
        lines: list[bytes] = []
        while len(lines) < MOST_LINES:
            try:
                line = super().read_line(max(0.0, limit - time.monotonic()))
            except NoReplyError as error:
                raise NoReplyError(SEPARATOR.encode().join([*lines, error.partial])) from None
            if line:
                lines.append(line)
            if line == b"OK" or line.startswith(b"ERR"):
                break
        return SEPARATOR.encode().join(lines)


class ObisReportedError(DeviceError):
    """The laser answered with ERR and this code."""

    def __init__(self, device: str, code: int, sent: str, received: str) -> None:
        super().__init__(device, f"reports an error: {error_words(code)}", sent=sent, received=received)
        self.code = code


class ObisWire:
    """The wire side of the driver: powers in W, currents in A, temperatures in degC. Keeps `devices.laser.LaserWire`."""

    def __init__(self, link: Link, name: str, settings: ObisSettings, pace: Pace) -> None:
        self.link = link
        self.name = name
        self.settings = settings
        self._suffix = str(settings.channel) if settings.channel else ""
        self._dark = (settings.dark_power.value, settings.dark_current.value)
        self._pace = pace
        self.serial = ""
        self.off_line = self.at("SOUR:AM:STAT OFF")

    def at(self, command: str) -> str:
        """Return a command with the number of the laser's channel on its subsystem: SOUR:AM... is SOUR2:AM..."""
        root, colon, rest = command.partition(":")
        return f"{root}{self._suffix}{colon}{rest}"

    # ---- one exchange

    def ask(self, query: str) -> str:
        """Send a query to the laser and return its value; ObisReportedError where it answers ERR."""
        value, *rest = self._answer(self.at(query))
        if len(rest) != 1:
            raise self.garbled(query, SEPARATOR.join([value, *rest]), "a value and OK are wanted")
        return value

    def tell(self, command: str, *, at_once: bool = False) -> None:
        """Send a command to the laser, which answers OK; ObisReportedError where it answers ERR."""
        lines = self._answer(self.at(command), at_once=at_once)
        if len(lines) != 1:
            raise self.garbled(command, SEPARATOR.join(lines), "OK alone is wanted")

    def tell_controller(self, command: str) -> None:
        """Send a command that has no channel; it answers OK."""
        lines = self._answer(command)
        if len(lines) != 1:
            raise self.garbled(command, SEPARATOR.join(lines), "OK alone is wanted")

    def number(self, query: str) -> float:
        """Ask for a number; a letter for degrees Celsius behind it is left out."""
        reply = self.ask(query)
        text = reply.removesuffix("C").strip()
        if not _NUMBER.fullmatch(text):
            raise self.garbled(query, reply, "a number is wanted")
        return float(text)

    def word(self, query: str) -> int:
        """Ask for a word of 8 hexadecimal digits."""
        reply = self.ask(query)
        if not re.fullmatch(r"[0-9A-Fa-f]{1,8}", reply):
            raise self.garbled(query, reply, "a hexadecimal word is wanted")
        return int(reply, 16)

    def switch(self, query: str) -> bool:
        """Ask for ON or OFF."""
        reply = self.ask(query).upper()
        if reply not in {"ON", "OFF"}:
            raise self.garbled(query, reply, "ON or OFF is wanted")
        return reply == "ON"

    def known(self, query: str) -> str | None:
        """Ask what not every unit knows: None where it answers ERR."""
        try:
            return self.ask(query)
        except ObisReportedError:
            return None

    def garbled(self, sent: str, received: str, wanted: str) -> DeviceError:
        """Return the error for an answer that is none; the connection is not believed before it has been cleared."""
        self.link.mistrust()
        return DeviceError(self.name, f"answers what it was not asked ({wanted})", sent=sent, received=received)

    def _answer(self, command: str, *, at_once: bool = False) -> list[str]:
        (self._pace.skip if at_once else self._pace.rest)()
        try:
            reply = self.link.exchange(command)
        finally:
            self._pace.replied()
        *values, last = reply.split(SEPARATOR)
        found = _ERROR.match(last)
        if found:
            raise ObisReportedError(self.name, int(found[1]), command, reply)
        if last != "OK":
            raise self.garbled(command, reply, "OK or ERR is wanted at the end")
        return [*values, last]

    # ---- looking

    def look(self) -> HeadLook:
        """Return emission, status and fault word, measured power, current, temperature."""
        enabled = self.switch("SOUR:AM:STAT?")
        status = self.word("SYST:STAT?")
        against = trouble(status, self.word("SYST:FAUL?"))
        power_w, current_a = self.number("SOUR:POW:LEV?"), self.number("SOUR:POW:CURR?")
        temperature = self.number("SOUR:TEMP:DIOD?")
        on = bool(status & EMISSION)
        under_way = not on and (enabled or bool(status & CDRH_DELAY))
        waits = "" if not under_way else "it warms up" if status & WARM_UP else "the delay before emission (CDRH)"
        return HeadLook(on, under_way, power_w, current_a, temperature, against, waits, *self._dark)

    def protections(self) -> str:
        """Return interlock, status and faults in words, empty where all is well."""
        if self.known("SYST:LOCK?") == "OFF":  # a head without controller may not know the question
            return "the interlock is open. Close the interlock."
        return trouble(self.word("SYST:STAT?"), self.word("SYST:FAUL?"))

    # ---- off

    def say_off(self) -> tuple[HeadLook, str]:
        """Send off at once, then look; what the laser remarked on the command is returned."""
        stale, remark = not self.link.trusted, ""
        try:
            self.tell("SOUR:AM:STAT OFF", at_once=True)
        except ObisReportedError as error:
            remark = str(error)  # the read-back tells whether it went off all the same
        if stale:
            self._resynchronise()
        return self.look(), remark

    def _resynchronise(self) -> None:
        """Ask for the serial number until it is what comes back: an old `OFF` in the line could otherwise be believed."""
        if self.ask("SYST:INF:SNUM?") != self.serial:
            self.link.mistrust()
            reply = self.ask("SYST:INF:SNUM?")
            if reply != self.serial:
                raise self.garbled("SYST:INF:SNUM?", reply, f"its serial number {self.serial} is wanted")

    # ---- on

    def refuse_protected(self, look: HeadLook) -> None:
        """Refuse while interlock, key or a fault forbid emission, while it warms up, or with autostart enabled."""
        self.refuse_autostart()
        against = self.protections() or look.trouble
        if against:
            raise self._refused(against)
        if not (look.emitting or look.under_way or self.word("SYST:STAT?") & READY):
            raise self._refused("it is not ready yet (warming up). Wait until it is")

    def refuse_autostart(self) -> None:
        """Refuse where the laser would emit by itself when its mains come back, unless bench.toml allows that."""
        if self.settings.autostart == "refuse" and self.switch("SYST:AUT?"):
            raise self._refused(
                "its autostart is enabled: it emits whenever its mains come back, without any computer. Turn it off "
                '(SYST:AUT OFF), or write autostart = "allow" in bench.toml and keep a closed shutter in front'
            )

    def prepare(self, power_w: float) -> None:
        """Make sure of constant power and write the power at the head; both are read back."""
        mode = self.ask("SOUR:AM:SOUR?")
        if mode.upper() != "CWP":
            if self.switch("SOUR:AM:STAT?"):
                raise DeviceError(self.name, f"emits in mode {mode}, not with constant power", sent="SOUR:AM:SOUR?")
            self.tell("SOUR:AM:INT CWP")
            if self.ask("SOUR:AM:SOUR?").upper() != "CWP":
                raise DeviceError(self.name, "does not go to constant power", sent="SOUR:AM:INT CWP", received=mode)
        wanted = round(self.settings.head_power_w(power_w), 6)
        command = f"SOUR:POW:LEV:IMM:AMPL {wanted:.6f}"
        self.tell(command)
        back = self.number("SOUR:POW:LEV:IMM:AMPL?")
        if abs(back - wanted) > 1e-4 + 1e-3 * wanted:
            raise DeviceError(self.name, f"did not take {wanted:.6f} W", sent=command, received=f"{back:g}")

    def switch_on(self, give_way: Callable[[], None]) -> None:
        """Switch on; done when it emits, or counts down the delay before emission."""
        if not self.switch("SOUR:AM:STAT?"):
            give_way()
            self.tell("SOUR:AM:STAT ON")
        for _look in range(4):
            look = self.look()
            if (look.on or look.under_way) and not look.trouble:
                return
            self.link.rest(LOOK_EVERY_S)
            give_way()
        against = self.protections()
        if against:
            raise self._refused(against)
        raise DeviceError(
            self.name,
            "was told to emit, and its read-back does not say so",
            sent="SOUR:AM:STAT ON",
            received=look.says(),
        )

    def _refused(self, why: str) -> RefusedError:
        return RefusedError(f"{self.name}: emission is refused: {why}")
