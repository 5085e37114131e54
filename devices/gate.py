"""The contact in a laser's interlock loop or TTL line, as the gated laser uses it: the dead-man box, or a plain relay."""

import codecs
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from devices.deadman_box import BY_HAND, box_health, doubt, seen
from devices.deadman_wire import BoxTransport, BoxWire, refusal
from devices.guarded import Seen
from devices.link import Link
from devices.serial_line import SerialLine, SerialTransport
from devices.transport import Transport
from nanolab.errors import DeviceError, RefusedError
from nanolab.safety.deadman import OPEN

CONTACT_MOVES_WITHIN_S = 0.3
LOOK_EVERY_S = 0.01

TOGGLES_WITHIN_S = 0.6
"""Wall time in which the guardian, told that emission begins, has sent the toggles that the box wants before it closes."""

HealthLooks = Sequence[tuple[str, Callable[[], str], str]]


class RelaySettings(BaseModel):
    r"""A relay board on a serial line without a dead-man. UNSURE throughout: boards differ; read its maker's sheet.

    Commands and answers may hold escapes such as ``\xA0`` for bytes that are no text. The board must answer `ask`: a
    contact that cannot be read back cannot confirm off.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    baudrate: int = Field(9600, ge=300, le=1000000)
    """Baud rate, 8 data bits, no parity, 1 stop bit."""
    on: str = Field("RLY11", min_length=1)
    """Command that closes the contact."""
    off: str = Field("RLY10", min_length=1)
    """Command that opens the contact."""
    ask: str = Field("RLY1?", min_length=1)
    """Question for the state of the contact, answered by one line."""
    says_on: str = Field("RLY11", min_length=1)
    """Answer while the contact is closed."""
    says_off: str = Field("RLY10", min_length=1)
    """Answer while the contact is open."""
    write_end: str = "\r"
    """What ends a command."""
    read_end: str = Field("\n", min_length=1)
    """What ends an answer."""
    answered: bool = False
    """Whether `on` and `off` are answered by a line too."""
    junk: str = "@@@"
    """What the board rejects: sent before an emergency off, so that a half-sent command is not completed by it."""
    junk_answers: int = Field(0, ge=0, le=5)
    """How many lines the board says to that."""


class Gate(Protocol):
    """A contact that is told to close and open, and is read back. All but `transport` in the link's worker."""

    off_line: str
    by_hand: str

    def identity(self) -> dict[str, str]:
        """Return maker, model, serial and firmware."""

    def look(self) -> Seen:
        """Read the contact back."""

    def tell_open(self) -> Seen:
        """Tell it to open, and look."""

    def close(self) -> Seen:
        """Close it, seen; DeviceError, RefusedError."""

    def refusal(self) -> str:
        """Return why it cannot be closed now, empty where nothing is in the way."""

    def doubt(self, seen: Seen, wanted: bool) -> str:
        """Return why the contact is not as it was commanded, empty where it is."""

    def health(self) -> HealthLooks:
        """Return what the doctor looks at."""


class BoxGate:
    """The dead-man box as gate."""

    off_line = OPEN
    by_hand = BY_HAND

    def __init__(self, link: Link, name: str) -> None:
        self._link = link
        self._wire = BoxWire(link, name)
        self._name = name

    def identity(self) -> dict[str, str]:
        """Return the box's identity."""
        return self._wire.identity()

    def look(self) -> Seen:
        """Read the contact back."""
        return seen(self._wire.look())

    def tell_open(self) -> Seen:
        """Open, and look."""
        return seen(self._wire.open())

    def close(self) -> Seen:
        """Arm the box; done when its contact reads closed. It wants two toggles first, which begin with emission."""
        limit = time.monotonic() + TOGGLES_WITHIN_S
        while True:
            try:
                return seen(self._wire.arm())
            except RefusedError:
                if time.monotonic() >= limit:
                    raise
            self._link.rest(CONTACT_MOVES_WITHIN_S / 10)

    def refusal(self) -> str:
        """Ask the box whether it would close."""
        return refusal(self._wire.look())

    def doubt(self, seen: Seen, wanted: bool) -> str:
        """Compare what the box says with what was commanded."""
        return doubt(seen.raw, wanted)

    def health(self) -> HealthLooks:
        """Return the looks at contact and door loop."""
        return box_health(self._name, self._wire)


class RelayGate:
    """A plain relay or TTL line: it stays as it is when this computer dies."""

    by_hand = (
        "Turn the laser off at its key or its mains switch, and make sure that no light comes out before going near."
    )

    def __init__(self, link: Link, name: str, relay: RelaySettings) -> None:
        self._link = link
        self._name = name
        self._relay = relay
        self.off_line = relay.off

    def identity(self) -> dict[str, str]:
        """Return that it is a relay which answers; such boards tell no serial number."""
        self.look()
        return {"maker": "", "model": "relay", "serial": "", "firmware": ""}

    def look(self) -> Seen:
        """Ask for the contact; DeviceError where the answer is neither on nor off."""
        answer = self._link.exchange(self._relay.ask).strip()
        if answer.lower() not in {self._relay.says_on.lower(), self._relay.says_off.lower()}:
            self._link.mistrust()
            raise DeviceError(
                self._name,
                f"the relay answers neither {self._relay.says_on!r} nor {self._relay.says_off!r}",
                sent=self._relay.ask,
                received=answer,
                remedy="Check the cable, and the [laser.relay] table against the board's own sheet.",
            )
        is_open = answer.lower() == self._relay.says_off.lower()
        return Seen(is_open, f"the relay reads its contact back as {'open' if is_open else 'closed'}")

    def tell_open(self) -> Seen:
        """Open, and look."""
        return self._tell(self._relay.off)

    def close(self) -> Seen:
        """Close, and look until it is seen."""
        found = self._tell(self._relay.on)
        limit = time.monotonic() + CONTACT_MOVES_WITHIN_S
        while found.safe:
            if time.monotonic() >= limit:
                raise DeviceError(self._name, f"the relay was told to close, and {found.says}")
            self._link.rest(LOOK_EVERY_S)
            found = self.look()
        return found

    def refusal(self) -> str:
        """Return nothing: a plain relay knows of no interlock."""
        self.look()
        return ""

    def doubt(self, seen: Seen, wanted: bool) -> str:
        """Compare the read-back with what was commanded."""
        if seen.safe == wanted:
            return f"{seen.says}, though it was told to be {'closed' if wanted else 'open'}"
        return ""

    def health(self) -> HealthLooks:
        """Return the look at the contact."""

        def contact() -> str:
            found = self.look()
            if not found.safe:
                raise DeviceError(self._name, found.says)
            return found.says

        return (("contact of the relay", contact, "Switch it off."),)

    def _tell(self, command: str) -> Seen:
        if self._relay.answered:
            self._link.exchange(command)
        elif not self._link.trusted or not self._link.blurt(command):
            self.look()  # mends the connection
            self._link.blurt(command)
        return self.look()


class RelayTransport(SerialTransport):
    """Lines that may hold bytes which are no text: escaped on our side, as they are on the wire."""

    def write(self, data: bytes) -> None:
        """Send one line, its escapes made bytes."""
        super().write(codecs.decode(data[:-1].decode("ascii"), "unicode_escape").encode("latin-1") + b"\n")

    def read_line(self, deadline_s: float) -> bytes:
        """Return one line, bytes that are no text made escapes."""
        return super().read_line(deadline_s).decode("latin-1").encode("unicode_escape")


def gate_transport(address: str, boot_s: float, relay: RelaySettings | None) -> Transport:
    """Return the transport of the box, or of a relay board where one is described."""
    if relay is None:
        return BoxTransport(address, boot_s)
    ends = (relay.write_end.encode("latin-1"), relay.read_end.encode("latin-1"))
    return RelayTransport(address, SerialLine(baudrate=relay.baudrate, write=ends[0], read=ends[1]))
