"""What tests of the guardian and of off recipes need: a small laser that misbehaves on demand, and a way to be its run.

The laser speaks the words of an off recipe that is written out here; it is no instrument.
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from nanolab.safety.recipe import LineRecipe, OffCheck, OffRecipe, OffStep
from nanolab.testing.wire import CLOSE, LineServer

WORDS = OffRecipe(
    device="laser",
    address="",
    line=LineRecipe(kind="visa", write="\n", read="\n"),
    steps=(OffStep("OUTP1 OFF"),),
    checks=(
        OffCheck("OUTP1?", equals=("0",)),
        OffCheck("STAT:OPER:COND?", bit_clear=11),
        OffCheck("MEAS:CURR?", below=0.02),
    ),
    by_hand="Turn the key of the laser to off.",
    flush="@@@",
)
"""Off for a Thorlabs ITC4000, and for `FakeLaser`."""


def words_for(address: str, **changes: Any) -> OffRecipe:
    """Return `WORDS` for a laser at `address`, on a plain socket unless ``line`` says otherwise."""
    line = changes.pop("line", replace(WORDS.line, kind="serial"))
    return replace(WORDS, address=address, line=line, **changes)


class FakeLaser(LineServer):
    """A laser on a TCP port. Attributes are switched by the test while it is served.

    ``stuck``: off has no effect. ``garbled``: replies make no sense. ``silent``: no replies. ``deaf``: hears nothing.
    ``closing``: hangs up on every line. ``chatter``: a line nobody asked for before every reply.
    """

    def __init__(self, *, on: bool = False) -> None:
        super().__init__(self._say)
        self.on = on
        self.stuck = self.garbled = self.silent = self.deaf = self.closing = self.chatter = False
        self.changes: list[tuple[bool, float]] = []
        """Every change of emission and its moment, `time.monotonic`."""

    def hang_up(self, connection: int = -1) -> None:
        """End one of the connections."""
        # shutting down wakes the server, which closing alone would not
        self.connections[connection].shutdown(socket.SHUT_RDWR)

    def _say(self, line: str) -> bytes | None:
        if self.closing:
            return CLOSE
        if self.deaf:
            return b""
        reply = self._carry_out(line)
        if reply is None or self.silent:
            return b""
        text = "~#?{}" if self.garbled else reply
        return (b"*RS\n" if self.chatter else b"") + text.encode() + b"\n"

    def _carry_out(self, line: str) -> str | None:
        if line == "OUTP1 ON":
            self._switch(True)
        elif line == "OUTP1 OFF":
            self._switch(self.on and self.stuck)
        return {
            "OUTP1?": str(int(self.on)),
            "STAT:OPER:COND?": str(2048 * self.on),
            "MEAS:CURR?": "0.35" if self.on else "0.0001",
            "*IDN?": "FAKE,LASER,1,1",
        }.get(line)

    def _switch(self, on: bool) -> None:
        if on != self.on:
            self.on = on
            self.changes.append((on, time.monotonic()))


class Wire:
    """A plain client: lines out, lines in, each within ten seconds."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=10.0)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = self.socket.makefile("rb")

    def send(self, text: str) -> None:
        """Send text as it is."""
        self.socket.sendall(text.encode())

    def ask(self, line: str) -> str:
        """Send a line and return the one that answers it; ConnectionError at the end."""
        self.send(line + "\n")
        return self.read()

    def read(self) -> str:
        """Return the next line; ConnectionError at the end."""
        line = self._lines.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("the connection has ended")
        return line.decode().strip()

    def close(self) -> None:
        """Close."""
        self._lines.close()
        self.socket.close()


@dataclass
class ServedBench:
    """A simulated bench in a process of its own, in real time, with its truth port."""

    ready: dict[str, Any]

    @property
    def laser(self) -> str:
        """Address of the laser."""
        return f"tcp://{self.ready['instruments']['laser']['tcp']}"

    @property
    def control(self) -> str:
        """Control port as HOST:PORT."""
        return str(self.ready["control"])

    def ask(self, port: str, **request: Any) -> dict[str, Any]:
        """Send one request to the control or the truth port."""
        wire = Wire(self.ready[port])
        try:
            reply: dict[str, Any] = json.loads(wire.ask(json.dumps(request)))
            return reply
        finally:
            wire.close()

    def fault(self, name: str, on: bool = True) -> None:
        """Switch a fault of the laser."""
        self.ask("control", op="fault", instrument="laser", fault=name, on=on)

    def emissions(self) -> list[tuple[bool, float]]:
        """Return every change of emission and its moment, `time.monotonic`."""
        changes = self.ask("truth", op="emissions")["emissions"]
        return [(bool(change["emitting"]), float(change["monotonic_s"])) for change in changes]


@contextmanager
def served_bench() -> Iterator[ServedBench]:
    """Serve a simulated bench with a laser alone; it ends with the block."""
    words = [sys.executable, "-m", "nanolab", "sim", "serve", "--json", "--speed", "1"]
    words += ["--instrument", "laser=thorlabs_itc4005"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the pipes were asked for")
        yield ServedBench(json.loads(process.stdout.readline()))
        process.stdin.close()
        process.wait(20)
