"""What is said to a Cobolt 06-MLD and how its answers are checked; everything here runs in the link's worker.

Powers on the wire are in W and currents in mA (the legacy commands of the 06 series; a second-generation unit counts in
mW and is refused by the driver).
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from devices.cobolt_settings import CoboltSettings
from devices.laser import LOOK_EVERY_S
from devices.laser_head import HeadLook, Pace
from devices.link import Link
from nanolab.errors import DeviceError, RefusedError

OFF = "l0"
STOP_SEQUENCE = "@cob0"
START_SEQUENCE = "@cob1"
"""Never sent to a laser that emits: it would run the sequence again and wait for the key."""

FAULTS = {
    1: "temperature fault (fault 1): let it cool and look at its base plate",
    3: "the interlock is open or was opened (fault 3). Close the interlock.",
    4: "the constant power is not reached (fault 4)",
}
STATES = {0: "it warms up", 1: "it waits for the key: turn it off and on again", 2: "it is about to emit"}
"""What an autostart state of the 06-MLD means while no emission is reported. Other series number differently."""
FAULT_STATE = 5
ABORTED_STATE = 6
CONSTANT_POWER = 1
"""Reply to ``gam?``."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class NotTakenError(DeviceError):
    """The laser answered a command with an error text."""


@dataclass
class CoboltUnit:
    """What was read of the unit: its autostart, its key switch (None: not told), its largest power, its thermometer."""

    autostart: bool = False
    key_switch: bool | None = None
    max_head_w: float = math.nan
    has_temperature: bool = False


class CoboltWire:
    """The wire side of the driver: powers in W, currents in A. Keeps `devices.laser.LaserWire`."""

    off_line = OFF

    def __init__(self, link: Link, name: str, settings: CoboltSettings, pace: Pace) -> None:
        self.link = link
        self.name = name
        self.settings = settings
        self.unit = CoboltUnit()
        self.serial = ""
        self._dark = (settings.dark_power.value, settings.dark_current.value)
        self._pace = pace
        self._started = False

    # ---- one exchange

    def ask(self, command: str, *, at_once: bool = False) -> str:
        """Send one command and return its reply; NotTakenError where that speaks of an error."""
        (self._pace.skip if at_once else self._pace.rest)()
        try:
            reply = self.link.exchange(command)
        finally:
            self._pace.replied()
        if "error" in reply.lower():
            raise NotTakenError(self.name, "does not take a command", sent=command, received=reply)
        return reply

    def tell(self, command: str, *, at_once: bool = False) -> None:
        """Send a command that is answered with OK."""
        reply = self.ask(command, at_once=at_once)
        if reply.upper() != "OK":
            raise self._garbled(command, reply, "OK is wanted")

    def number(self, command: str) -> float:
        """Ask for a number."""
        reply = self.ask(command)
        if not _NUMBER.fullmatch(reply):
            raise self._garbled(command, reply, "a number is wanted")
        return float(reply)

    def whole(self, command: str) -> int:
        """Ask for a whole number, not negative."""
        reply = self.ask(command)
        if not reply.isdecimal():
            raise self._garbled(command, reply, "a whole number is wanted")
        return int(reply)

    def switch(self, command: str) -> bool:
        """Ask for 0 or 1."""
        reply = self.ask(command)
        if reply not in {"0", "1"}:
            raise self._garbled(command, reply, "0 or 1 is wanted")
        return reply == "1"

    def known(self, command: str) -> str | None:
        """Ask what not every firmware knows: None where it does not."""
        try:
            return self.ask(command)
        except NotTakenError:
            return None

    def _garbled(self, command: str, reply: str, wanted: str) -> DeviceError:
        # an answer to something else may be in the line: nothing is believed before it has been cleared
        self.link.mistrust()
        return DeviceError(self.name, f"answers what it was not asked ({wanted})", sent=command, received=reply)

    # ---- looking

    def look(self) -> HeadLook:
        """Return emission flag, measured power, current, fault, state of the autostart, temperature."""
        on = self.switch("l?")
        power_w = self.number("pa?")
        current_a = self.number("i?") / 1e3
        trouble = self._fault_words(self.whole("f?"))
        under_way, waits_for = False, ""
        if self.unit.autostart and not on:
            state = self.whole("gom?")
            if state in {FAULT_STATE, ABORTED_STATE} and self._started and not trouble:
                trouble = "its start was given up" if state == ABORTED_STATE else "its start ended in a fault"
            # state 0 is off as well as warming up: what was asked for tells them apart
            under_way = state in STATES and (state != 0 or self._started)
            waits_for = STATES.get(state, "")
        temperature = self.number("rtect?") if self.unit.has_temperature else math.nan
        return HeadLook(
            on, under_way, power_w, current_a, temperature, trouble, waits_for if under_way else "", *self._dark
        )

    def protections(self) -> str:
        """Return interlock and fault in words, empty where all is well."""
        if self.switch("ilk?"):
            return "the interlock is open. Close the interlock."
        return self._fault_words(self.whole("f?"))

    def _fault_words(self, fault: int) -> str:
        return "" if fault == 0 else FAULTS.get(fault, f"fault {fault}")

    # ---- off

    def say_off(self) -> tuple[HeadLook, str]:
        """Send l0 at once, stop the autostart sequence, then look; remarks on the commands are returned."""
        stale = not self.link.trusted
        self._started = False
        remark = self._try(OFF, at_once=True)
        if self.unit.autostart:
            # else the sequence would go on, and emit when somebody turns the key
            remark = "; ".join(filter(None, (remark, self._try(STOP_SEQUENCE))))
        if stale:
            self._resynchronise()
        return self.look(), remark

    def _try(self, command: str, *, at_once: bool = False) -> str:
        """Send a command and return what was remarked on it: whether it went off is told by the read-back alone."""
        try:
            self.tell(command, at_once=at_once)
        except NotTakenError as error:
            return str(error)
        return ""

    def _resynchronise(self) -> None:
        """Ask for the serial number until it is what comes back: an old `0` in the line could otherwise pass for off."""
        if self.known("gsn?") != self.serial:
            self.link.mistrust()
            reply = self.ask("gsn?")
            if reply != self.serial:
                raise self._garbled("gsn?", reply, f"its serial number {self.serial} is wanted")

    # ---- on

    def refuse_protected(self, look: HeadLook) -> None:
        """Refuse while the interlock is open, a fault stays, or the way of starting is not allowed.

        A fault that is over (an interlock that was closed again) is cleared.
        """
        self.refuse_start()
        if self.switch("ilk?"):
            raise self._refused("the interlock is open. Close the interlock.")
        if look.trouble and not look.emitting:
            self.tell("cf")
            fault = self.whole("f?")
            if fault:
                raise self._refused(self._fault_words(fault))
        if self.unit.autostart and self.known("@cobasks?") == "0":
            raise self._refused("the key is off. Turn the key on.")

    def read_start(self) -> None:
        """Ask anew for autostart and key switch: both can be changed by another program."""
        key_switch = self.known("gkses?")
        self.unit.key_switch = None if key_switch is None else key_switch == "1"
        self.unit.autostart = self.known("@cobas?") == "1"

    def refuse_start(self) -> None:
        """Refuse where neither way of starting is right for this unit."""
        self.read_start()
        if self.unit.autostart:
            if self.settings.autostart != "sequence":
                raise self._refused(
                    "its autostart is enabled, as on units with a key switch: it may emit whenever its mains come back. "
                    'Write autostart = "sequence" in bench.toml to start it by its own sequence (@cob1)'
                )
            return
        key_switch = self.unit.key_switch if self.unit.key_switch is not None else self.settings.key_switch
        if key_switch is None:
            raise self._refused("it does not tell whether it has a key switch: write key_switch in bench.toml")
        if key_switch:
            raise self._refused(
                "it has a key switch and its autostart is off: l1 would bypass the key. Enable autostart"
            )

    def prepare(self, power_w: float) -> None:
        """Make sure of constant power and write the power at the head; both are read back."""
        mode = self.whole("gam?")
        if mode != CONSTANT_POWER:
            if self.switch("l?"):
                raise DeviceError(self.name, f"emits in mode {mode}, not with constant power", sent="gam?")
            self.tell("cp")
            if self.whole("gam?") != CONSTANT_POWER:
                raise DeviceError(self.name, "does not go to constant power", sent="cp")
        command = f"p {self.settings.head_power_w(power_w):.6f}"
        wanted = float(command.split()[1])
        self.tell(command)
        back = self.number("p?")
        if abs(back - wanted) > 1e-4 + 1e-3 * wanted:
            raise DeviceError(self.name, f"did not take {wanted:.6f} W", sent=command, received=f"{back:g}")

    def switch_on(self, give_way: Callable[[], None]) -> None:
        """Switch on by l1, or by the autostart sequence where that is enabled; a laser that emits is left alone."""
        if self.switch("l?"):
            return
        if self.unit.autostart:
            if not self._started:
                give_way()
                self._started = True  # before the command: one whose reply is lost must not be sent again
                self.tell(START_SEQUENCE)
            return
        give_way()
        self.tell("l1")
        for _look in range(4):
            if self.switch("l?"):
                return
            self.link.rest(LOOK_EVERY_S)
            give_way()
        problem = self.protections()
        if problem:
            raise self._refused(problem)
        raise DeviceError(self.name, "was told to emit, and its read-back does not say so", sent="l1", received="l? 0")

    def _refused(self, why: str) -> RefusedError:
        return RefusedError(f"{self.name}: emission is refused: {why}")
