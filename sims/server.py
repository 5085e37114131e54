"""The simulated bench as one process: a world, an instrument on a port each, a control port, a truth port.

Single-threaded: one `selectors` loop owns every socket. When ready it prints exactly one line on standard
output and serves until standard input closes (where that is a pipe), or SIGTERM or Ctrl-C comes; then it
exits with 0.
"""

import contextlib
import heapq
import json
import math
import os
import selectors
import signal
import socket
import stat
import sys
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np

from nanolab.errors import NanolabError, UsageError, nearest
from sims.control import ControlDesk, ControlledWorld, truth_session
from sims.endpoints import Connection, PtyEndpoint, TcpEndpoint
from sims.instruments.base import GONE, BenchWorld, InstrumentSimulator
from sims.pace import LabClock, MovableWorld

DEFAULT_INSTRUMENTS: Mapping[str, str] = {
    "laser": "thorlabs_itc4005",
    "thermocouple": "keysight_34970a",
    "spectrometer": "ocean_flamex",
    "powermeter": "thorlabs_pm100d",
}
"""The bench that is served when nothing else is asked for: role and driver."""


class ServedWorld(BenchWorld, MovableWorld, ControlledWorld, Protocol):
    """All that the server and its instruments ask of a world."""

    def truth(self) -> dict[str, Any]:
        """Return everything that is true now."""


class SimulationServer:
    """Serves one world and its instruments.

    Parameters
    ----------
    world : ServedWorld
        The world; owned by this server from now on.
    instruments : mapping of str to InstrumentSimulator
        By role.
    speed : float or None
        Lab seconds per wall second; None for full speed.
    truth : bool
        Whether to open the truth port.
    ports : mapping of str to int
        Fixed ports, by role, ``control`` or ``truth``; otherwise the system chooses.
    """

    def __init__(
        self,
        world: ServedWorld,
        instruments: Mapping[str, InstrumentSimulator],
        speed: float | None,
        *,
        truth: bool = False,
        ports: Mapping[str, int] | None = None,
    ) -> None:
        ports = {} if ports is None else ports
        self.selector: selectors.BaseSelector = selectors.DefaultSelector()
        self.clock = LabClock(world, list(instruments.values()), speed)
        self._instruments = dict(instruments)
        self._late: list[tuple[float, int, Connection]] = []
        self._sequence = 0
        self._waiting: set[Connection] = set()
        self._stopping = False
        self._own: list[TcpEndpoint] = []
        self._endpoints: dict[str, list[TcpEndpoint | PtyEndpoint]] = {}
        self._desk = ControlDesk(
            self.clock,
            world,
            instruments,
            fault_switched=self._fault_switched,
            cleared=self._device_clear,
            places=lambda: self.addresses()["instruments"],
        )
        try:
            self._own.append(TcpEndpoint(self, self._desk.session, ports.get("control", 0)))
            if truth:
                port = ports.get("truth", 0)
                self._own.append(TcpEndpoint(self, lambda: truth_session(self.clock, world.truth), port))
            for role, instrument in self._instruments.items():
                self._endpoints[role] = self._open(role, instrument, ports.get(role, 0))
        except OSError:
            self.close()
            raise
        self.clock.start()

    def _open(self, role: str, instrument: InstrumentSimulator, port: int) -> list[TcpEndpoint | PtyEndpoint]:
        endpoints: list[TcpEndpoint | PtyEndpoint] = [
            TcpEndpoint(self, instrument.connection, port, alone=instrument.one_client)
        ]
        if instrument.serial and hasattr(os, "openpty"):
            endpoints.append(PtyEndpoint(self, instrument.connection, role))
        return endpoints

    def addresses(self) -> dict[str, Any]:
        """Return what the ready line says: where control, truth and every instrument are."""
        instruments = {}
        for role, (tcp, *pty) in self._endpoints.items():
            instruments[role] = {
                "driver": self._instruments[role].driver,
                "tcp": tcp.address if isinstance(tcp, TcpEndpoint) else None,
                "pty": pty[0].path if pty and isinstance(pty[0], PtyEndpoint) else None,
            }
        control, *truth = [listener.address for listener in self._own]
        return {"control": control, "truth": truth[0] if truth else None, "instruments": instruments}

    # --- the loop ---------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Serve until `stop` is called."""
        while not self._stopping:
            self.step(None)

    def stop(self) -> None:
        """Make `serve` return after the step that it is in."""
        self._stopping = True

    def step(self, longest_wait_s: float | None) -> None:
        """Wait for something to do, at most `longest_wait_s` (None: as long as it takes), and do it."""
        ready = self.selector.select(self._wait_s(longest_wait_s))
        looked_s = time.monotonic()
        for key, events in ready:
            key.data(events)
        if self._late:
            self._send_late()
        self._tick_by_the_wall(looked_s)
        if self.clock.speed is not None:
            self.clock.catch_up()
            if self._waiting:
                self._resume()

    def _wait_s(self, longest_wait_s: float | None) -> float | None:
        waits = [self.clock.wall_s_until_due(), longest_wait_s]
        if self._late:
            waits.append(max(self._late[0][0] - time.monotonic(), 0.0))
        due = min((instrument.due_wall_s for instrument in self._instruments.values()), default=math.inf)
        if due < math.inf:
            waits.append(max(due - time.monotonic(), 0.0))
        return min((wait for wait in waits if wait is not None), default=None)

    def _send_late(self) -> None:
        now = time.monotonic()
        while self._late and self._late[0][0] <= now:
            heapq.heappop(self._late)[2].flush()

    def _tick_by_the_wall(self, looked_s: float) -> None:
        # what had arrived by then has been taken in; what came during a step that took long has not, and must not look
        # like a client that was silent
        for instrument in self._instruments.values():
            if instrument.due_wall_s <= looked_s:
                instrument.wall_tick(looked_s)

    def _resume(self) -> None:
        for connection in list(self._waiting):
            connection.deliver(connection.session.resume())
            if not connection.session.waiting:
                self._waiting.discard(connection)

    def before_exchange(self) -> None:
        """Bring lab time up to date (where it runs by itself)."""
        if self.clock.speed is not None:
            self.clock.catch_up()

    def after_exchange(self, connection: Connection) -> None:
        """Let sessions that wait for the instruments see what has changed."""
        if connection.session.waiting:
            self._waiting.add(connection)
        if self._waiting:
            self._resume()

    def schedule(self, wall_s: float, connection: Connection) -> None:
        """Flush this connection when its reply is due."""
        self._sequence += 1
        heapq.heappush(self._late, (wall_s, self._sequence, connection))

    def forget(self, connection: Connection) -> None:
        """Drop a connection that has ended."""
        self._waiting.discard(connection)

    # --- what the control desk asks for -----------------------------------------------------------------

    def _fault_switched(self, role: str) -> None:
        instrument = self._instruments[role]
        try:
            for endpoint in self._endpoints[role]:
                if instrument.active & GONE:
                    endpoint.close()
                else:
                    endpoint.open()
        except OSError:  # somebody else took the port meanwhile: it stays away, and `faults` says so
            instrument.active.add("port_vanishes")

    def _device_clear(self, role: str) -> None:
        for endpoint in self._endpoints[role]:
            for connection in endpoint.connections():
                connection.session.clear()
                connection.drop_replies()

    def close(self) -> None:
        """Close everything."""
        for endpoints in self._endpoints.values():
            for endpoint in endpoints:
                endpoint.close()
                if isinstance(endpoint, PtyEndpoint):
                    endpoint.remove()
        for listener in self._own:
            listener.close()
        self.selector.close()


def build_instruments(world: BenchWorld, drivers: Mapping[str, str], seed: int) -> dict[str, InstrumentSimulator]:
    """Build the simulated instrument of every role through the entry points of group ``nanolab.sims``.

    Each role has a source of noise of its own, from `seed` and its name alone: leaving one instrument out
    does not change what the others read. UsageError where a driver has no simulator.
    """
    known = {point.name: point for point in entry_points(group="nanolab.sims")}
    instruments = {}
    for role, driver in drivers.items():
        if driver not in known:
            raise UsageError(f"{role}: there is no simulator for '{driver}'; {nearest(driver, list(known))}")
        rng = np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(role.encode())]))
        instrument: InstrumentSimulator = known[driver].load()(world, rng)
        instrument.role, instrument.driver = role, driver
        instruments[role] = instrument
    return instruments


def main(
    world_file: Path | None = None,
    seed: int = 0,
    speed: float | None = None,
    truth: bool = False,
    json_ready: bool = False,
    instruments: Mapping[str, str] | None = None,
    meter_position: str | None = None,
    ports: Mapping[str, int] | None = None,
) -> int:
    """Serve a simulated bench until standard input closes, SIGTERM or Ctrl-C; return the exit code.

    Parameters
    ----------
    world_file : Path or None
        What is true (`sims.world.load_world_config`); None for the example world.
    seed : int
        Seed of all noise, not negative.
    speed : float or None
        Lab seconds per wall second; None: as fast as clients advance it.
    truth : bool
        Whether to open the truth port.
    json_ready : bool
        Whether the ready line is JSON or text.
    instruments : mapping of str to str, or None
        Role and driver; None for `DEFAULT_INSTRUMENTS`.
    meter_position : str or None
        Where the power meter's head is; None as the world file says.
    ports : mapping of str to int, or None
        Fixed ports by role, ``control`` and ``truth``.

    FileInvalidError for a wrong world file, UsageError for everything else that is wrong with the call.
    """
    from sims.world import World, load_world_config

    if speed is not None and not (math.isfinite(speed) and speed > 0):
        raise UsageError(f"speed must be a positive number or max, not {speed:g}")
    if seed < 0:
        raise UsageError(f"seed must not be negative, but is {seed}")
    world = World(load_world_config(world_file), seed)
    if meter_position is not None:
        try:
            world.meter_position = _position(meter_position)
        except ValueError as error:
            raise UsageError(str(error)) from None
    simulators = build_instruments(world, DEFAULT_INSTRUMENTS if instruments is None else instruments, seed)
    try:
        server = SimulationServer(world, simulators, speed, truth=truth, ports=ports)
    except OSError as error:
        raise NanolabError(f"a port cannot be opened ({error.strerror}); leave it free or name another") from None
    with contextlib.closing(server), _told_to_stop(server):
        sys.stdout.write(ready_line(server.addresses(), json_ready) + "\n")
        sys.stdout.flush()
        server.serve()
    return 0


def _position(name: str) -> Any:
    from sims.world.sections import MeterPosition

    known = get_args(MeterPosition)
    if name not in known:
        raise ValueError(f"the power meter cannot be at '{name}'; {nearest(name, list(known))}")
    return name


def ready_line(addresses: Mapping[str, Any], as_json: bool) -> str:
    """Return the one line that says where everything is, for a program or for a person."""
    if as_json:
        return json.dumps(addresses)
    parts = [f"{role} {place['driver']} at {place['tcp']}" for role, place in addresses["instruments"].items()]
    if addresses["truth"] is not None:
        parts.append(f"truth at {addresses['truth']}")
    return f"simulated bench ready: control at {addresses['control']}; " + "; ".join(parts)


@contextlib.contextmanager
def _told_to_stop(server: SimulationServer) -> Iterator[None]:
    """Stop the server on SIGTERM, SIGINT or the end of standard input, and put everything back afterwards."""
    near, far = socket.socketpair()
    near.setblocking(False)
    server.selector.register(near, selectors.EVENT_READ, lambda _events: server.stop())
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            # the byte wakes select(), which would otherwise go on waiting after the handler has run
            handlers[number] = signal.signal(number, lambda *_: far.send(b"x"))
    descriptor = _watched_stdin()
    if descriptor is not None:
        _watch(server, descriptor, far)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        near.close()
        far.close()


def _watched_stdin() -> int | None:
    """Return the descriptor of standard input where its end means something: a pipe or a socket.

    A terminal is left to Ctrl-C; /dev/null and files (a service, a batch job) are at their end from the start
    and say nothing about anybody.
    """
    try:
        descriptor = sys.stdin.fileno()
        mode = os.fstat(descriptor).st_mode
    except (AttributeError, ValueError, OSError):
        return None
    return descriptor if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None


def _watch(server: SimulationServer, descriptor: int, far: socket.socket) -> None:
    def readable(_events: int = 0) -> bool:
        try:
            data = os.read(descriptor, 4096)
        except OSError:
            data = b""
        if not data:
            with contextlib.suppress(OSError):  # the server may have stopped meanwhile
                far.send(b"x")
        return bool(data)

    if sys.platform != "win32":
        server.selector.register(descriptor, selectors.EVENT_READ, readable)
    else:  # select() takes sockets only there; the thread dies with the process

        def wait_for_end() -> None:
            while readable():
                pass

        threading.Thread(target=wait_for_end, name="stdin", daemon=True).start()
