"""A diode laser with a knob: its supply is always on, and a contact in its TTL line lets the light out or not.

Two kinds of contact: the dead-man box (`GatedLaserSimulator`) and a plain relay board on a serial line
(`RelayLaserSimulator`), which has no dead-man: it stays as it is when its host dies. The laser itself has no line to
talk to; the port is that of the contact.
"""

from collections.abc import Mapping

import numpy as np

from sims.instruments.base import LINK_FAULTS, BenchWorld, InstrumentSimulator, Reply, Session
from sims.instruments.deadman_box import BOX_FAULTS, DeadmanBoxSimulator

KNOB_CURRENT_A = 1.0
"""Where the knob stands on the example bench, A on the supply's display."""

_CASE_C = 25.0
_INPUT_LIMIT = 64

KNOB_FAULTS: Mapping[str, str] = {
    "knob_turned": "somebody has turned the knob up by 20 %: nothing on the line tells",
    "supply_off": "the laser's own supply is off: the contact closes and no light comes out",
}

RELAY_FAULTS: Mapping[str, str] = {
    **LINK_FAULTS,
    **KNOB_FAULTS,
    "relay_welded": "the relay's contact has welded: once closed it stays closed, and the read-back says so",
    "power_off": "the relay board has no supply: its contact is open and its port is gone",
}


class _Knob:
    """The supply's knob and switch."""

    def __init__(self, world: BenchWorld, current_a: float) -> None:
        self._world = world
        self._current_a = current_a
        self.look(set())

    def look(self, active: set[str]) -> None:
        """Let the current that is set now flow (while the contact is closed)."""
        turned = 1.2 if "knob_turned" in active else 1.0
        self._world.set_diode(0.0 if "supply_off" in active else self._current_a * turned, _CASE_C)


class GatedLaserSimulator(DeadmanBoxSimulator):
    """A laser with a knob behind the dead-man box.

    Parameters
    ----------
    knob_current_a : float
        Diode current that the knob sets, A.
    """

    driver = "gated_laser"
    role = "laser"
    faults: Mapping[str, str] = {**BOX_FAULTS, **KNOB_FAULTS}

    def __init__(
        self,
        world: BenchWorld,
        rng: np.random.Generator,
        *,
        knob_current_a: float = KNOB_CURRENT_A,
        slow_reply_s: float = 30.0,
    ) -> None:
        super().__init__(world, rng, slow_reply_s=slow_reply_s)
        self._knob = _Knob(world, knob_current_a)

    def fault_changed(self, name: str, on: bool) -> None:
        """Turn the knob, or let the box feel what has happened to it."""
        super().fault_changed(name, on)
        self._knob.look(self.active)


class _RelaySession(Session):
    def __init__(self, board: "RelayLaserSimulator") -> None:
        self._board = board
        self._buffer = b""

    def feed(self, data: bytes) -> list[Reply]:
        if self._board.deaf:
            return []
        *lines, rest = (self._buffer + data).split(b"\r")
        self._buffer = rest[-_INPUT_LIMIT:]
        return [reply for line in lines for reply in self._board.obey(line.strip(b"\n"))]

    def clear(self) -> None:
        self._buffer = b""


class RelayLaserSimulator(InstrumentSimulator):
    """A laser with a knob behind a plain relay board: ``RLY11``, ``RLY10``, ``RLY1?``, each ended by CR.

    UNSURE: boards differ; this is the shape of many of them, not one maker's. On and off are not answered, the
    question is, and what is not understood is ignored. The contact stays as it is whatever happens to the host.
    """

    driver = "gated_laser_relay"
    role = "laser"
    serial = True
    faults = RELAY_FAULTS

    def __init__(
        self,
        world: BenchWorld,
        rng: np.random.Generator,
        *,
        knob_current_a: float = KNOB_CURRENT_A,
        slow_reply_s: float = 30.0,
    ) -> None:
        super().__init__(world, rng, slow_reply_s=slow_reply_s)
        self._closed = False
        world.set_gate(False)
        self._knob = _Knob(world, knob_current_a)

    def connection(self) -> Session:
        """Return a session with an input buffer of its own."""
        return _RelaySession(self)

    def obey(self, line: bytes) -> list[Reply]:
        """Carry out one line and return what is answered."""
        if line == b"RLY1?":
            return self.spoil(Reply(b"RLY1%d\r\n" % self._closed))
        if line in {b"RLY11", b"RLY10"}:
            self._move(line == b"RLY11")
        return []

    def fault_changed(self, name: str, on: bool) -> None:
        """Turn the knob, or drop the relay where its supply is gone."""
        if name == "power_off" or (name == "relay_welded" and not on):
            self._move(False)
        self._knob.look(self.active)

    def _move(self, closed: bool) -> None:
        self._closed = closed or (self._closed and "relay_welded" in self.active)
        self.world.set_gate(self._closed)
