"""The dead-man box: a relay in the laser's interlock loop that stays closed only while toggles arrive.

Written from ``docs/deadman-box.md``. Its time-outs run on wall time, whatever the lab's speed: they are about a
program that hangs, not about the experiment.

Deviations from hardware. The relay takes 5 ms each way and does not bounce. Over TCP several clients may come, each
with a line buffer of its own, as behind a program that owns the port and passes whole lines on; over the pty there is
one. Time-outs are judged when the server has taken in all that had arrived, so that a step of lab time that takes the
server long does not look like a sender that was silent. Opening the port does not reset the box. While its supply or its
USB cable is away it is reset and its contact is open.
"""

import time
from collections.abc import Callable, Mapping
from math import inf

import numpy as np

from sims.instruments.base import LINK_FAULTS, BenchWorld, InstrumentSimulator, Reply, Session

BOX_FAULTS: Mapping[str, str] = {
    **LINK_FAULTS,
    "relay_welded": "the relay's contact has welded: once closed it stays closed, and the read-back sees it",
    "relay_welded_unseen": "the contact has welded and its second pole does not follow: the box says open, light comes out",
    "relay_dead": "the relay does not pull in: its coil or its supply is broken",
    "interlock_open": "the door is open: the laser's own interlock and the box's door loop are open",
    "brown_out": "the supply of the box dips: it is held in reset and forgets everything",
    "firmware_hangs": "the program of the box hangs: its hardware watchdog resets it after 120 ms, again and again",
    "power_off": "the box has no supply: its contact is open and its port is gone",
}

_TOGGLE_TIMEOUT_MS = 500
_CONTACT_SETTLE_MS = 50
_RELAY_MS = 5
_WATCHDOG_MS = 120
_LONGEST_LINE = 8
_LONGEST_AGE_MS = 65000
_WITHOUT_POWER = {"power_off", "port_vanishes", "brown_out"}
_WELDED = {"relay_welded", "relay_welded_unseen"}


def _remainder(value: int) -> int:
    """Return the remainder of one byte by long division in GF(2), polynomial x^8 + x^2 + x + 1."""
    left = value << 8
    for bit in range(15, 7, -1):
        if left >> bit & 1:
            left ^= 0x107 << (bit - 8)
    return left


_REMAINDERS = tuple(_remainder(value) for value in range(256))


def check_digits(text: bytes) -> bytes:
    """Return the check of a line as two upper-case hexadecimal digits."""
    crc = 0
    for byte in text:
        crc = _REMAINDERS[crc ^ byte]
    return b"%02X" % crc


class _BoxSession(Session):
    """Splits what arrives into lines, and tells the box of what is no line at once."""

    def __init__(self, box: "DeadmanBoxSimulator") -> None:
        self._box = box
        self._line = bytearray()
        self._bad = False
        self._return = False

    def feed(self, data: bytes) -> list[Reply]:
        """Take bytes one by one, as the real box does."""
        if self._box.deaf:
            return []
        replies: list[Reply] = []
        for byte in data:
            if byte == 0x0A:
                replies += self._end_of_line()
            elif not self._bad:
                self._take(byte)
        return replies

    def clear(self) -> None:
        """Forget a half-received line."""
        self._line.clear()
        self._bad = self._return = False

    def _take(self, byte: int) -> None:
        if self._return or (byte != 0x0D and (not 0x20 <= byte <= 0x7E or len(self._line) == _LONGEST_LINE)):
            self._bad = True
            self._box.misunderstood()
        elif byte == 0x0D:
            self._return = True
        else:
            self._line.append(byte)

    def _end_of_line(self) -> list[Reply]:
        line, bad = bytes(self._line), self._bad
        self.clear()
        answer = self._box.state_line(b"N") if bad else self._box.obey(line)
        return [] if answer is None else self._box.spoil(Reply(answer))


class DeadmanBoxSimulator(InstrumentSimulator):
    """The box; its contact is the gate of the world's laser.

    Parameters
    ----------
    serial_number : str
        What it answers to ``I``.
    wall : callable
        Wall time in seconds, monotonic.
    """

    driver = "deadman_box"
    role = "deadman"
    serial = True
    faults = BOX_FAULTS

    def __init__(
        self,
        world: BenchWorld,
        rng: np.random.Generator,
        *,
        serial_number: str = "0001",
        wall: Callable[[], float] = time.monotonic,
        slow_reply_s: float = 30.0,
    ) -> None:
        super().__init__(world, rng, slow_reply_s=slow_reply_s)
        self._serial_number = serial_number
        self._wall = wall
        self._contact = self._armature = False
        self._moves_ms: int | None = None
        self._reset()
        world.set_gate(False)

    def connection(self) -> Session:
        """Return a session with a line buffer of its own; the relay is the box's."""
        return _BoxSession(self)

    @property
    def deaf(self) -> bool:
        """True while nothing that arrives is heard."""
        return super().deaf or bool(self.active & {*_WITHOUT_POWER, "firmware_hangs"})

    @property
    def contact_closed(self) -> bool:
        """Whether current can really pass, whatever the box says."""
        return self._contact

    # --- lines ------------------------------------------------------------------------------------------

    def obey(self, line: bytes) -> bytes | None:
        """Carry out one line (without its terminator) and return the answer, None for a toggle."""
        kind = b"S"
        if line == b"O":
            self._open("COMMAND")
        elif line == b"I":
            return self._closed_off(b"I,nanolab,deadman-box,%s,1.0" % self._serial_number.encode("ascii"))
        elif line[:1] == b"A" and line[1:] == check_digits(b"A"):
            kind = b"S" if self._arm() else b"R"
        elif len(line) == 5 and line[:1] == b"T" and _is_hex(line[1:3]) and line[3:] == check_digits(line[:3]):
            self._toggled(int(line[1:3], 16))
            return None
        elif line != b"?":
            self.misunderstood()
            kind = b"N"
        self._settle()
        return self.state_line(kind)

    def misunderstood(self) -> None:
        """React to something that is not of the protocol: the contact opens, the sequence of toggles is over."""
        self._in_sequence = 0
        self._open("MALFORMED")
        self._settle()

    def state_line(self, kind: bytes) -> bytes:
        """Return a state line."""
        age = self._age_ms()
        fields = (
            kind.decode(), self._state, self._reason, str(self._trips), str(65535 if age is None else age),
            str(int(self._coil)), str(int(self._read_back())), str(int(self._door_closed())),
        )  # fmt: skip
        return self._closed_off(",".join(fields).encode("ascii"))

    @staticmethod
    def _closed_off(text: bytes) -> bytes:
        return text + b"*" + check_digits(text) + b"\n"

    # --- what lines and time do ---------------------------------------------------------------------------

    def _now_ms(self) -> int:
        return _ms(self._wall())

    def _age_ms(self) -> int | None:
        if self._last_ms is None:
            return None
        age = self._now_ms() - self._last_ms
        return None if age > _LONGEST_AGE_MS else age

    def _reset(self) -> None:
        self._state, self._reason = "OPEN", "RESET"
        self._trips = 0
        self._in_sequence = 0
        self._counter = 0
        self._last_ms: int | None = None
        self._disagree_ms: int | None = None
        self._watchdog_ms: int | None = None

    @property
    def _coil(self) -> bool:
        return self._state == "CLOSED"

    def _open(self, reason: str) -> None:
        if self._coil:
            self._state, self._reason = "OPEN", reason
            if reason != "COMMAND":
                self._trips = min(self._trips + 1, 65535)

    def _arm(self) -> bool:
        if self._state == "OPEN" and self._in_sequence >= 2 and self._door_closed():
            self._state = "CLOSED"
        return self._coil

    def _toggled(self, counter: int) -> None:
        if self._in_sequence and counter == (self._counter + 1) % 256:
            self._in_sequence += 1
        else:
            self._open("SEQUENCE")
            self._in_sequence = 1
        self._counter = counter
        self._last_ms = self._now_ms()
        self._settle()

    def wall_tick(self, now_s: float) -> None:
        """Judge the time-outs; first the relay moves, which does not wait for a server that was busy."""
        self._settle()
        now = _ms(now_s)
        if self._watchdog_ms is not None and now - self._watchdog_ms >= _WATCHDOG_MS:
            self._reset()
        hung = "firmware_hangs" in self.active
        if self._in_sequence and self._last_ms is not None and now - self._last_ms > _TOGGLE_TIMEOUT_MS and not hung:
            self._in_sequence = 0
            self._open("TIMEOUT")
        if self._disagree_ms is not None and now - self._disagree_ms > _CONTACT_SETTLE_MS and not hung:
            self._open("CONTACT")
            self._state, self._reason = "FAULT", "CONTACT"
        self._settle()

    # --- the relay and what it is in ------------------------------------------------------------------------

    def _door_closed(self) -> bool:
        return "interlock_open" not in self.active

    def _move_relay(self, now: int) -> None:
        drawn = self._coil and "relay_dead" not in self.active
        if drawn == self._armature:
            self._moves_ms = None
        elif self._moves_ms is None:
            self._moves_ms = now + _RELAY_MS
        elif now >= self._moves_ms:
            self._armature, self._moves_ms = drawn, None
        self._contact = self._armature or (self._contact and bool(self.active & _WELDED))

    def _read_back(self) -> bool:
        return self._contact if "relay_welded" in self.active else self._armature

    def fault_changed(self, name: str, on: bool) -> None:
        """Let the box and the relay feel what has happened to them."""
        if name in _WITHOUT_POWER:
            self._reset()
        if name == "interlock_open" and on:
            self._open("INTERLOCK")
        if name == "firmware_hangs":
            self._watchdog_ms = self._now_ms() if on else None
        self._settle()

    def _settle(self) -> None:
        """Move the contact, tell the world, and note when to look again."""
        now = self._now_ms()
        self._move_relay(now)
        self.world.set_gate(self._contact and self._door_closed())
        if self._state == "FAULT" or self._read_back() == self._coil:
            self._disagree_ms = None
        elif self._disagree_ms is None:
            self._disagree_ms = now
        self.due_wall_s = self._next_look_s()

    def _next_look_s(self) -> float:
        looks = [inf] if self._moves_ms is None else [self._moves_ms / 1000.0]
        if "firmware_hangs" in self.active:
            return min(looks[0], inf if self._watchdog_ms is None else (self._watchdog_ms + _WATCHDOG_MS) / 1000.0)
        if self._in_sequence and self._last_ms is not None:
            looks.append((self._last_ms + _TOGGLE_TIMEOUT_MS + 1) / 1000.0)
        if self._disagree_ms is not None:
            looks.append((self._disagree_ms + _CONTACT_SETTLE_MS + 1) / 1000.0)
        return min(looks)


def _ms(seconds: float) -> int:
    return int(seconds * 1000.0 + 1e-6)


def _is_hex(digits: bytes) -> bool:
    return all(digit in b"0123456789ABCDEF" for digit in digits)
