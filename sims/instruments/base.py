"""What every simulated instrument is: bytes in, replies out, faults by name, and a world behind it.

An instrument (`InstrumentSimulator`) is the state of one box; a `Session` is one client's connection to it.
The server (`sims.server`) owns sockets and time; nothing here opens a port, waits, or knows the wall clock.

Time. The server advances the world, then calls `tick()` of every instrument. An instrument that needs to be
ticked at a moment of its own (a scan, a ramp) puts that lab time into `due_s`. Where `wall_s_per_lab_s` is 0
(the bench runs at full speed) exposures and conversions take no time: they are credited, not waited for.
An instrument that is about the wall clock and not about lab time (a dead-man timer) puts the monotonic time of
its next moment into `due_wall_s`; the server then calls `wall_tick()`, after whatever has arrived by then.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from nanolab.errors import nearest

LINK_FAULTS: Mapping[str, str] = {
    "garbled_line": "noise on the line: characters of every reply are replaced by others",
    "half_line": "every reply is cut in the middle and its end never comes",
    "fragmented_reply": "every reply arrives in many small pieces (harmless to a careful reader)",
    "slow_reply": "every reply comes long after any sane deadline (30 s of wall time unless set otherwise)",
    "dropped_reply": "the next reply is lost, and every tenth after it; commands are still carried out",
    "silent": "hears nothing and answers nothing, as if hung with its port still open",
    "port_vanishes": "all connections are closed and new ones refused, as if the cable were pulled",
}
"""What can go wrong with any link. What is in `GONE` is carried out by the server, the others by `spoil`."""

GONE = frozenset({"port_vanishes", "power_off"})
"""Faults during which the instrument's ports are closed."""

_NOISE = b"~#?{}|^\x7f\x01@"


class BenchWorld(Protocol):
    """The part of the world that instruments touch; see `sims.world` for what each call means."""

    meter_position: Any

    @property
    def time_s(self) -> float:
        """Lab time, s."""

    def set_diode(self, current_a: float, case_temperature_c: float) -> None:
        """Let this current flow in the laser diode from now on."""

    def set_gate(self, closed: bool) -> None:
        """Close or open the contact in the laser's interlock loop or TTL line; open, no current flows."""

    def set_shutter(self, is_open: bool) -> None:
        """Open or close the shutter in the beam; closed, no light reaches the bench."""

    def diode_voltage_v(self) -> float:
        """Voltage over the diode, V."""

    def diode_current_for(self, power_w: float) -> float:
        """Current, A, that gives this power at the sample plane by the diode's threshold line. ValueError beyond it."""

    def photodiode_power_w(self) -> float:
        """Power by the controller's own photodiode, W."""

    def read_temperature(self, probe: str, noise_k: float) -> float:
        """Temperature a thermocouple shows, degC, with extra white noise of `noise_k` rms."""

    def read_meter_power(self, wavelength_nm: float) -> float:
        """Power the meter's head shows, W."""

    def read_counts(self, integration_s: float, lamp_on: bool, averages: int = 1) -> npt.NDArray[np.float64]:
        """One spectrum, shape (n_pixels,), counts."""

    def set_lamp(self, on: bool) -> None:
        """Let the assay light be on or off from now on."""

    def set_plunger(self, mm_per_s: float, lost_share: float = 0.0) -> None:
        """Move the plunger of the syringe at this speed, positive into the cuvette; a share of the liquid is lost."""

    def plunger_travel_left_mm(self) -> float:
        """How far the plunger can still go forward, mm."""

    def fit_peltier_holder(self) -> None:
        """Have the cuvette stand in the Peltier holder."""

    def set_holder_heat(self, power_w: float) -> None:
        """Let the Peltier element pump this heat into the block from now on, W."""

    def set_stirring(self, rpm: float) -> None:
        """Let the holder's stirrer turn at this speed from now on."""

    def read_holder(self) -> tuple[float, float, float]:
        """Temperatures of the holder's block, of its probe in the liquid, and of its heat exchanger, degC."""

    def fit_electrode(self) -> None:
        """Hang the pH electrode into the liquid."""

    def read_electrode_mv(self) -> float | None:
        """Voltage of the pH electrode, mV; None where it hangs dry."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Bytes for the client, `after_wall_s` of wall time from now; then close the connection if asked."""

    data: bytes
    after_wall_s: float = 0.0
    close: bool = False


class Session(ABC):
    """One client's connection: it keeps what has arrived until a whole message is there."""

    waiting: bool = False
    """True while an answer depends on something yet to happen; the server then calls `resume` after ticks."""

    @abstractmethod
    def feed(self, data: bytes) -> list[Reply]:
        """Take bytes in whatever pieces they come and return the replies, in order."""

    def resume(self) -> list[Reply]:
        """Return what a waiting session can say by now (also what an instrument sends unasked)."""
        return []

    def clear(self) -> None:  # noqa: B027 - an empty default on purpose: a session without a buffer has nothing to do
        """Forget a half-received message and unread answers: what a device clear does."""

    def closed(self) -> None:  # noqa: B027 - an empty default on purpose
        """Told once when the connection has ended."""


class InstrumentSimulator(ABC):
    """One simulated instrument.

    Parameters
    ----------
    world : BenchWorld
        The world it measures and acts on.
    rng : numpy.random.Generator
        Its own source of noise (one for each role; spawn one for each quantity).
    slow_reply_s : float
        Wall time by which `slow_reply` delays, s.
    """

    role: str = ""
    driver: str = ""
    serial: ClassVar[bool] = False
    """True where the real instrument is on a serial port: the server then offers a pty beside TCP (POSIX)."""
    one_client: ClassVar[bool] = False
    """True where a second client on TCP is hung up on while there is a first, as on a serial port behind a server."""
    faults: Mapping[str, str] = LINK_FAULTS

    def __init__(self, world: BenchWorld, rng: np.random.Generator, *, slow_reply_s: float = 30.0) -> None:
        self.world = world
        self.rng = rng
        self.slow_reply_s = slow_reply_s
        self.active: set[str] = set()
        self.due_s: float = inf
        self.due_wall_s: float = inf
        self.wall_s_per_lab_s: float = 0.0
        self._replies_to_drop = 0

    @abstractmethod
    def connection(self) -> Session:
        """Return a session for a client that has just connected."""

    def tick(self) -> None:
        """React to the time that has passed; called after the world has advanced. Must set `due_s` anew."""
        self.due_s = inf

    def wall_tick(self, now_s: float) -> None:
        """React to wall time that has passed, once `due_wall_s` has come. Must set `due_wall_s` anew.

        `now_s` is the monotonic time up to which everything that had arrived has been taken in.
        """
        self.due_wall_s = inf

    def set_fault(self, name: str, on: bool) -> None:
        """Switch a fault on or off. ValueError, naming the nearest, where there is no such fault."""
        if name not in self.faults:
            raise ValueError(f"{self.role or self.driver} has no fault '{name}'; {nearest(name, list(self.faults))}")
        if on:
            self.active.add(name)
        else:
            self.active.discard(name)
        if name == "dropped_reply":
            self._replies_to_drop = 0
        self.fault_changed(name, on)

    def fault_changed(self, name: str, on: bool) -> None:  # noqa: B027 - most faults only need to be looked up
        """Carry out what a fault does the moment it is switched."""

    @property
    def deaf(self) -> bool:
        """True while nothing that arrives is heard."""
        return "silent" in self.active

    def spoil(self, reply: Reply) -> list[Reply]:
        """Return what of a reply really leaves the instrument while faults of the link are on."""
        active = self.active
        if not active:
            return [reply]
        if "silent" in active or ("dropped_reply" in active and self._drops()):
            return []
        data, after = reply.data, reply.after_wall_s
        if "garbled_line" in active:
            data = garbled(data)
        if "half_line" in active:
            data = data[: len(data) // 2]
        if "slow_reply" in active:
            after += self.slow_reply_s
        if "fragmented_reply" in active:
            return [
                Reply(data[at : at + 3], after + 0.0005 * (at // 3), reply.close and at + 3 >= len(data))
                for at in range(0, len(data), 3)
            ]
        return [Reply(data, after, reply.close)]

    def _drops(self) -> bool:
        lost = self._replies_to_drop == 0
        self._replies_to_drop = (self._replies_to_drop + 1) % 10
        return lost


def garbled(data: bytes) -> bytes:
    """Return `data` with every third byte replaced by one that no number has; the line end survives."""
    noisy = bytearray(data)
    end = len(data) - 1 if data.endswith(b"\n") else len(data)
    for count, at in enumerate(range(0, end, 3)):
        noisy[at] = _NOISE[count % len(_NOISE)]
    return bytes(noisy)
