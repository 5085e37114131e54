"""The guardian: a small process that turns the laser off when the run dies, hangs or is stopped.

``python -P -m nanolab.safety.guardian``, with a socket of the run as standard input. One `selectors` loop, no threads;
standard library, pyserial where the laser is on a serial port, pyvisa where it is reached by VISA. It lives in a session of
its own and ignores what a terminal sends; SIGTERM means off, verify, exit.

The run sends a line of configuration (`GuardConfig`), then JSON lines ``{"n": 17, "do": …}``: ``beat``, ``lease`` (seconds),
``emitting`` (on), ``off``, ``status``, ``quit``; each is answered under its number. Off follows on: the end of the control
socket, a heartbeat that is too old, a lease that has run out while emitting, ``off``, SIGTERM, the loss of the laser's
connection, a dead-man line that cannot be fed. Whatever tripped, it latches: only a new guardian can arm again.

No safety function in the sense of a standard: the hardware interlock of the laser is.
"""

import contextlib
import json
import selectors
import signal
import socket
import sys
from collections.abc import Iterator

from nanolab.errors import ExitCode, NanolabError
from nanolab.safety.guard_config import GuardConfig
from nanolab.safety.guard_loop import Guardian

CONFIGURED_WITHIN_S = 10.0
"""A guardian that nobody configures ends after this."""


def configured(control: socket.socket) -> tuple[GuardConfig, bytes]:
    """Wait for the configuration; return it and what came behind it. NanolabError, OSError."""
    control.settimeout(CONFIGURED_WITHIN_S)
    received = b""
    while b"\n" not in received:
        data = control.recv(1 << 16)
        if not data:
            raise NanolabError("the run has gone before it said what is to be guarded")
        received += data
    line, _, rest = received.partition(b"\n")
    return GuardConfig.from_line(line), rest


@contextlib.contextmanager
def terminated(guardian: Guardian) -> Iterator[None]:
    """Within the block SIGTERM ends the guardian: off, verify, exit."""
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    guardian.selector.register(near, selectors.EVENT_READ, lambda _events: near.recv(64))
    # the byte wakes the loop, which would otherwise go on waiting after the handler has run
    before = signal.set_wakeup_fd(far.fileno(), warn_on_full_buffer=False)
    handler = signal.signal(signal.SIGTERM, lambda *_: guardian.end("it was told to end (SIGTERM)"))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
        signal.set_wakeup_fd(before)
        near.close()
        far.close()


def main(descriptor: int = 0) -> int:
    """Guard the laser that the socket at `descriptor` (standard input) says, and close it; return the exit code."""
    for name in ("SIGINT", "SIGHUP", "SIGQUIT", "SIGTSTP", "SIGPIPE"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    try:
        # the descriptor itself, no copy: the run must see the end as soon as we have closed it
        control = socket.socket(fileno=descriptor)
    except OSError:
        sys.stderr.write("the guardian is started by a run: its standard input is a socket\n")
        return int(ExitCode.USAGE)
    with control:
        try:
            config, rest = configured(control)
            guardian = Guardian(control, config, rest)
        except (NanolabError, OSError) as error:
            with contextlib.suppress(OSError):
                control.send(json.dumps({"ready": False, "error": str(error)}).encode() + b"\n")
            return int(ExitCode.DEVICE_SILENT)
        with contextlib.closing(guardian), terminated(guardian):
            return guardian.run()


if __name__ == "__main__":
    sys.exit(main())
