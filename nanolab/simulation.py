"""Client of a simulated bench: its control port, its server process, and the clock that keeps its time."""

import contextlib
import json
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from nanolab.engine.clock import Clock, ScaledClock, VirtualClock
from nanolab.errors import DeviceError, FileInvalidError, NanolabError, RefusedError, UsageError

CALL_DEADLINE_S = 10.0
"""Wall time that the server has for one call."""

START_DEADLINE_S = 30.0
"""Wall time from starting a server to its ready line (a cold Python with scipy takes a few seconds)."""

ENDING_S = 5.0
"""Wall time that a server has to end by itself."""

LONGEST_STEP_S = 300.0
"""Lab time advanced in one call: a server must answer each within its deadline."""

_OWN_SESSION: dict[str, Any] = {"start_new_session": True}
if sys.platform == "win32":
    _OWN_SESSION = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}

NAME = "simulated bench"
_REMEDY = "Start it again with `nanolab sim serve`"


class Simulation:
    """One connection to a control port. One exchange at a time; each has a deadline that is kept.

    Parameters
    ----------
    address : str
        ``host:port`` of the control port.
    deadline_s : float
        Wall time for connecting and for each call.
    """

    def __init__(self, address: str, deadline_s: float = CALL_DEADLINE_S) -> None:
        self.address = address
        self._deadline_s = deadline_s
        self._lock = threading.Lock()
        self._rest = b""
        self._advance_line: tuple[float, bytes] = (0.0, b'{"op": "advance", "seconds": 0.0}\n')
        host, port = parse_address(address)
        try:
            self._socket: socket.socket | None = socket.create_connection((host, port), timeout=deadline_s)
        except OSError as error:
            raise DeviceError(NAME, f"no control port answers at {address} ({error})", remedy=_REMEDY) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self, op: str, **fields: Any) -> dict[str, Any]:
        """Carry out one operation and return the reply. RefusedError where the server says no."""
        reply: dict[str, Any] = json.loads(self._exchange(json.dumps({"op": op, **fields}).encode() + b"\n"))
        if reply.get("ok") is not True:
            raise RefusedError(f"{NAME}: {reply.get('error', 'the operation was refused')}")
        return reply

    def time_s(self) -> float:
        """Return lab time in s."""
        return float(self.call("time")["time_s"])

    def speed(self) -> float | str:
        """Return lab seconds per wall second, or ``"max"``."""
        speed = self.call("time")["speed"]
        return "max" if speed == "max" else float(speed)

    def advance(self, seconds: float) -> float:
        """Let `seconds` of lab time pass and return the new lab time.

        RefusedError where another client holds the clock, or time runs by itself.
        """
        while seconds > LONGEST_STEP_S:
            self._advance(LONGEST_STEP_S)
            seconds -= LONGEST_STEP_S
        return self._advance(seconds)

    def _advance(self, seconds: float) -> float:
        if seconds != self._advance_line[0]:
            self._advance_line = (seconds, b'{"op": "advance", "seconds": %r}\n' % seconds)
        reply = json.loads(self._exchange(self._advance_line[1]))
        if reply.get("ok") is not True:
            raise RefusedError(f"{NAME}: {reply.get('error', 'the clock was not advanced')}")
        return float(reply["time_s"])

    def load(self, cuvette: str) -> None:
        """Put this cuvette into the holder."""
        self.call("load", cuvette=cuvette)

    def add(self, what: str) -> None:
        """Pipette ``enzyme`` or ``surfactant`` into the cuvette."""
        self.call("add", what=what)

    def withdraw(self, ml: float, replace: bool = True) -> None:
        """Take `ml` of the liquid outside the insert, and put as much fresh medium in unless told not to."""
        self.call("withdraw", ml=ml, replace=replace)

    def faults(self) -> dict[str, Any]:
        """Return what can go wrong (``faults``: instrument, fault, words) and what is on (``active``)."""
        reply = self.call("faults")
        return {"faults": reply["faults"], "active": reply["active"]}

    def fault(self, instrument: str, fault: str, on: bool = True, at_s: float | None = None) -> None:
        """Switch a fault on or off, now or when lab time reaches `at_s`."""
        when = {} if at_s is None else {"at_s": at_s}
        self.call("fault", instrument=instrument, fault=fault, on=on, **when)

    def instruments(self) -> dict[str, Any]:
        """Return role, driver and addresses of every instrument, as in the server's ready line."""
        instruments: dict[str, Any] = self.call("instruments")["instruments"]
        return instruments

    def clock(self) -> Clock:
        """Return the clock that keeps the server's time."""
        reply = self.call("time")
        if reply["speed"] == "max":
            return VirtualClock(float(reply["time_s"]), self.advance)
        return ScaledClock(float(reply["time_s"]), float(reply["speed"]))

    def close(self) -> None:
        """Close the connection; a clock that it held is free again."""
        with self._lock:
            self._drop()

    def _exchange(self, line: bytes) -> bytes:
        with self._lock:
            if self._socket is None:
                raise DeviceError(NAME, f"the connection to {self.address} is closed", remedy=_REMEDY)
            try:
                self._socket.sendall(line)
                return self._read_line()
            except OSError as error:
                self._drop()  # what was half read would be taken for the next answer
                problem = "no answer in time" if isinstance(error, TimeoutError) else f"the connection broke ({error})"
                raise DeviceError(
                    NAME, f"{problem} at {self.address}", sent=line.decode().strip(), remedy=_REMEDY
                ) from error

    def _read_line(self) -> bytes:
        link = self._socket
        if link is None:
            raise ConnectionError("closed")
        data = link.recv(65536)
        if data.endswith(b"\n") and not self._rest:
            return data
        limit = time.monotonic() + self._deadline_s
        self._rest += data
        while b"\n" not in self._rest:
            if not data:
                raise ConnectionError("closed by the server")
            if time.monotonic() > limit:
                raise TimeoutError
            data = link.recv(65536)
            self._rest += data
        reply, _, self._rest = self._rest.partition(b"\n")
        return reply

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def parse_address(address: str) -> tuple[str, int]:
    """Split ``host:port``; UsageError where it is none."""
    host, separator, port = address.rpartition(":")
    if not separator or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"--sim {address}: write HOST:PORT, the control port that `nanolab sim serve` prints")
    return host.strip("[]") or "127.0.0.1", int(port)


@dataclass
class SimulationHandle:
    """A simulated bench that is serving: its control client, its instruments, and its process if it is ours.

    ``instruments``: ``{role: {"driver", "tcp": "host:port", "pty": path or None}}``.
    """

    simulation: Simulation
    instruments: Mapping[str, Mapping[str, Any]]
    truth: str | None = None
    server: "ServerProcess | None" = field(default=None, repr=False)

    def close(self) -> None:
        """Let go of the clock; end the server if this process started it."""
        self.simulation.close()
        if self.server is not None:
            self.server.close()

    def __enter__(self) -> "SimulationHandle":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ServerProcess:
    """A server of our own: ends when its standard input closes, so it cannot outlive us, even killed.

    It has a session of its own: Ctrl-C must not reach it before the laser has been seen to be off.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        # -P: a file named sims.py or nanolab.py in the working directory must not be taken for ours
        command = [sys.executable, "-P", "-m", "nanolab", "sim", "serve", "--json", *arguments]
        # a file, because a pipe that nobody reads would fill and stop the server
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the server runs
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, **_OWN_SESSION
            )
        except BaseException:
            self._log.close()
            raise

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def ready(self, deadline_s: float) -> dict[str, Any]:
        """Return the ready line.

        Where the server ended, its own sentence is raised as the error that its exit code names; DeviceError where
        it is silent.
        """
        line = self._first_line(deadline_s)
        said = ""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            ready = json.loads(line)
            if isinstance(ready, dict) and {"control", "instruments"} <= ready.keys():
                return ready
            said = ready["error"]["message"]
        raise self._failure(said)

    def _first_line(self, deadline_s: float) -> bytes:
        stdout = self._process.stdout
        lines: queue.Queue[bytes] = queue.Queue()
        if stdout is None:
            return b""
        # a thread, because a pipe cannot be waited for with a deadline on every platform
        reader = threading.Thread(target=lambda: lines.put(stdout.readline()), name="simulation-ready", daemon=True)
        reader.start()
        try:
            line = lines.get(timeout=deadline_s)
        except BaseException as error:
            self._process.kill()  # the reader then sees the end of the pipe
            reader.join()
            if not isinstance(error, queue.Empty):
                raise
            raise DeviceError(NAME, f"the server was not ready within {deadline_s:g} s") from None
        reader.join()
        return line

    def _failure(self, said: str) -> NanolabError:
        try:
            code = self._process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            return DeviceError(NAME, "the server's first line does not say where its instruments are")
        for kind in (UsageError, FileInvalidError, RefusedError):
            if said and kind.exit_code == code:
                return kind(said)
        self._log.seek(0)
        lines = [line for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        words = said or (lines[-1] if lines else "it said nothing")
        return DeviceError(NAME, f"the server ended with exit code {code} before it was ready: {words}")

    def close(self) -> None:
        """Let the server end, and see to it that it does. Never raises; may be called again."""
        process = self._process
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        try:
            process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self._log.close()


def start_server(
    world: Path | None = None,
    seed: int = 0,
    speed: float | str = "max",
    meter_position: str | None = None,
    *,
    drivers: Mapping[str, str] | None = None,
    truth: bool = False,
    deadline_s: float = START_DEADLINE_S,
) -> SimulationHandle:
    """Start a server of our own and connect to its control port.

    `drivers` says which instruments to serve, by role; None: the server's own choice. UsageError, FileInvalidError
    as the server says; DeviceError where it does not come up.
    """
    arguments = ["--seed", str(seed), "--speed", str(speed)]
    if world is not None:
        arguments += ["--world", str(world)]
    if meter_position is not None:
        arguments += ["--meter-position", meter_position]
    if not truth:
        arguments.append("--no-truth")
    for role, driver in (drivers or {}).items():
        arguments += ["--instrument", f"{role}={driver}"]
    server = ServerProcess(arguments)
    try:
        ready = server.ready(deadline_s)
        return SimulationHandle(Simulation(ready["control"]), ready["instruments"], ready.get("truth"), server)
    except BaseException:
        server.close()
        raise


def attach(address: str) -> SimulationHandle:
    """Connect to a bench that somebody else serves; DeviceError where nobody answers."""
    simulation = Simulation(address)
    try:
        return SimulationHandle(simulation, simulation.instruments())
    except BaseException:
        simulation.close()
        raise
