"""The dead-man box over a link: its questions, arming, and the settings of its port. Protocol: docs/deadman-box.md.

The toggles that keep the contact closed are not sent here: the guardian sends them.
"""

import time
from typing import Annotated, Self

from pydantic import model_validator

from devices.link import Link
from devices.linked import LinkSettings, quantity
from devices.serial_line import SerialLine, SerialTransport
from nanolab.errors import DeviceError, RefusedError
from nanolab.quantities import Quantity
from nanolab.safety.deadman import (
    BAUDRATE,
    IDENTITY,
    OPEN,
    STATE,
    TIMEOUT_S,
    BoxState,
    arm_line,
    parse_identity,
    parse_state,
)

CONTACT_MOVES_WITHIN_S = 0.3
"""Wall time in which a contact must have followed its coil (a relay takes about 10 ms)."""

LOOK_EVERY_S = 0.01

LINE = SerialLine(baudrate=BAUDRATE, write=b"\n", read=b"\n")


class BoxSettings(LinkSettings):
    """What concerns the port of the box."""

    deadline: Annotated[Quantity, quantity("s", 0.0, 60.0, above=True)] = Quantity(4.0, "s")
    """Longest wait for one exchange, wall time; longer than `boot`."""
    boot: Annotated[Quantity, quantity("s", 0.0, 30.0)] = Quantity(2.0, "s")
    """How long the board needs after its port was opened, which resets it (UNSURE: depends on the boot loader)."""

    @model_validator(mode="after")
    def _boots_in_time(self) -> Self:
        if self.boot.value >= self.deadline.value:
            raise ValueError(f"deadline {self.deadline} must be longer than boot {self.boot}")
        return self


class BoxTransport(SerialTransport):
    """A port whose opening resets the board: wait until it listens. Not needed on ``tcp://``."""

    def __init__(self, address: str, boot_s: float) -> None:
        super().__init__(address, LINE)
        self._boot_s = 0.0 if "://" in address else boot_s

    def open(self, deadline_s: float) -> None:
        """Open the port and wait for the board; ConnectionError with words."""
        super().open(deadline_s)
        if self._boot_s > 0.0:
            time.sleep(self._boot_s)


class BoxWire:
    """Questions and commands, each answered by one checked line. All of it in the link's worker."""

    def __init__(self, link: Link, name: str) -> None:
        self._link = link
        self._name = name

    def identity(self) -> dict[str, str]:
        """Return maker, model, serial and firmware."""
        reply = self._link.exchange(IDENTITY)
        try:
            return parse_identity(reply)
        except ValueError as error:
            raise self._senseless(IDENTITY, reply, error) from error

    def look(self) -> BoxState:
        """Return the state, once coil and contact agree (a contact takes about 10 ms) or will not."""
        limit = time.monotonic() + CONTACT_MOVES_WITHIN_S
        state = self._ask(STATE)
        while state.coil != state.contact_closed and state.state != "FAULT" and time.monotonic() < limit:
            self._link.rest(LOOK_EVERY_S)
            state = self._ask(STATE)
        return state

    def open(self) -> BoxState:
        """Open the contact and return the state, in which the contact may still be on its way."""
        return self._ask(OPEN)

    def arm(self) -> BoxState:
        """Close the contact, seen. RefusedError where the box refuses, DeviceError where the contact does not close."""
        state = self._ask(arm_line())
        if not state.accepted:
            raise RefusedError(f"{self._name}: the dead-man box does not close: {refusal(state) or state.why()}")
        limit = time.monotonic() + CONTACT_MOVES_WITHIN_S
        while not state.contact_closed:
            if state.state != "CLOSED" or time.monotonic() >= limit:
                raise DeviceError(
                    self._name, f"the dead-man box was told to close, and {says(state)}", remedy="Look at its relays."
                )
            self._link.rest(LOOK_EVERY_S)
            state = self.look()
        return state

    def _ask(self, line: str) -> BoxState:
        reply = self._link.exchange(line)
        try:
            state = parse_state(reply)
        except ValueError as error:
            raise self._senseless(line, reply, error) from error
        if not state.understood:
            raise self._senseless(line, reply, ValueError("it did not understand, and has opened its contact"))
        return state

    def _senseless(self, sent: str, reply: str, error: ValueError) -> DeviceError:
        self._link.mistrust()
        return DeviceError(
            self._name,
            f"the dead-man box: {error}",
            sent=sent,
            received=reply,
            remedy="Check the cable and the address.",
        )


def says(state: BoxState) -> str:
    """Return the read-back in words; it is about the contact, not about light."""
    contact = "closed" if state.contact_closed else "open"
    return f"the box reads its contact back as {contact} ({state.state}, coil {'driven' if state.coil else 'released'})"


def refusal(state: BoxState) -> str:
    """Return why the contact cannot be closed now, with what to do; empty where nothing is in the way."""
    if state.state == "FAULT":
        return "its contact does not follow its coil. Take the laser off the mains and look at the relays"
    if not state.door_closed:
        return "its door loop is open. Close the door"
    if state.state != "CLOSED" and state.toggle_age_ms > TIMEOUT_S * 1000:
        return "no toggles arrive at it. Start the guardian, which sends them"
    return ""
