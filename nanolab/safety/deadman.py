"""The dead-man box's protocol as plain bytes: what keeps its relay closed, and what it answers.

Standard library only, so that the guardian can use it. The protocol is described in ``docs/deadman-box.md``. Send
`toggle_frame` with counters that rise by one, every `TOGGLE_EVERY_S`; a valid toggle is never answered, so that it may go
between another's question and its answer.

No safety function in the sense of a standard: the hardware interlock of the laser is.
"""

import re
from dataclasses import dataclass

BAUDRATE = 115200

TOGGLE_EVERY_S = 0.15
"""Wall seconds between two toggles."""

TIMEOUT_S = 0.5
"""Wall seconds after the last toggle at which the box opens its contact."""

OPEN = "O"
"""Line that opens the contact; it needs no check."""

STATE = "?"
"""Line that asks for the state."""

IDENTITY = "I"
"""Line that asks for maker, model, serial number and firmware."""

NO_TOGGLE_MS = 65535
"""Age of the last toggle where none came within 65 s."""

_LINE = re.compile(r"(.+)\*([0-9A-F]{2})", re.ASCII)
_STATE = re.compile(r"([SRN]),(OPEN|CLOSED|FAULT),([A-Z]+),(\d{1,5}),(\d{1,5}),([01]),([01]),([01])", re.ASCII)

REASONS = {
    "RESET": "it was reset or has just been powered",
    "COMMAND": "it was told to open",
    "TIMEOUT": "no toggle came in time",
    "MALFORMED": "something came that it does not understand",
    "SEQUENCE": "a toggle came out of sequence",
    "INTERLOCK": "the door loop was opened",
    "CONTACT": "its contact does not follow its coil",
}
"""Why the contact opened last, in words."""


@dataclass(frozen=True)
class BoxState:
    """What the box says of itself. ``contact_closed`` is its read-back of the relays, not of any light."""

    understood: bool
    accepted: bool
    state: str
    reason: str
    trips: int
    toggle_age_ms: int
    coil: bool
    contact_closed: bool
    door_closed: bool

    @property
    def may_pass_light(self) -> bool:
        """True where coil or contact do not say that the loop is open."""
        return self.coil or self.contact_closed or self.state == "CLOSED"

    def why(self) -> str:
        """Return in words why the contact opened last."""
        return REASONS.get(self.reason, self.reason)


def crc8(data: bytes) -> int:
    """Return the CRC-8 of the protocol: polynomial 0x07, start 0x00; b"123456789" gives 0xF4."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _bit in range(8):
            crc = (crc << 1) ^ 0x107 if crc & 0x80 else crc << 1
    return crc


def toggle_frame(counter: int) -> bytes:
    """Return one toggle, terminator included. ValueError where the counter is not 0 to 255."""
    if not 0 <= counter <= 255:
        raise ValueError(f"the counter of a toggle is 0 to 255, not {counter}")
    return checked(f"T{counter:02X}").encode() + b"\n"


def next_counter(counter: int) -> int:
    """Return the counter of the toggle that follows."""
    return (counter + 1) & 0xFF


def arm_line() -> str:
    """Return the line that closes the contact, without terminator."""
    return checked("A")


def checked(text: str) -> str:
    """Return a line with its check behind it."""
    return f"{text}{crc8(text.encode('ascii')):02X}"


def parse_state(line: str) -> BoxState:
    """Read a state line (without its terminator). ValueError, with words, where it is none or its check is wrong."""
    found = _STATE.fullmatch(_body(line))
    if found is None:
        raise ValueError(f"{line!r} is no state of a dead-man box")
    kind, state, reason, trips, age, coil, contact, door = found.groups()
    return BoxState(
        understood=kind != "N",
        accepted=kind == "S",
        state=state,
        reason=reason,
        trips=int(trips),
        toggle_age_ms=int(age),
        coil=coil == "1",
        contact_closed=contact == "1",
        door_closed=door == "1",
    )


def parse_identity(line: str) -> dict[str, str]:
    """Read an identity line: maker, model, serial, firmware. ValueError, with words, where it is none."""
    words = _body(line).split(",")
    if len(words) != 5 or words[0] != "I":
        raise ValueError(f"{line!r} is no identity of a dead-man box")
    return dict(zip(("maker", "model", "serial", "firmware"), words[1:], strict=True))


def _body(line: str) -> str:
    found = _LINE.fullmatch(line)
    if found is None or not found[1].isascii():
        raise ValueError(f"{line!r} is no line of a dead-man box")
    if crc8(found[1].encode("ascii")) != int(found[2], 16):
        raise ValueError(f"the check of {line!r} is wrong: it was garbled on the way")
    return found[1]
