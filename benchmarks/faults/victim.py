"""A process that has everything imported and forks a `nanolab run` for each line that it is told: no second of start-up each.

The fork is a whole `nanolab run` of its own session: command line, bench, guardian, journal, analysis. What is patched in it is
what a strike from inside needs (`benchmarks.faults.inside`), and, where a mutation is asked for, the safeguard that is left out.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.faults.inside import Strikes


def main() -> None:
    """Fork a run for each line on standard input; say its process id, and its exit code when it is asked for."""
    import_everything()
    sys.stdout.write('{"ready": true}\n')
    sys.stdout.flush()
    for line in sys.stdin:
        request = json.loads(line)
        answer = (
            {"pid": fork(request)} if "words" in request else {"code": code_of(request["pid"], request["within_s"])}
        )
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def import_everything() -> None:
    """Import what a run needs; threads must not be there yet."""
    import plans.photothermal.report  # noqa: F401 - for the fork
    from nanolab.discovery import DEVICES, OFF, PLANS, entry_points_of, load
    from nanolab.quantities import parse_quantity
    from nanolab.safety.ports import load_library
    from nanolab.safety.recipe import LineRecipe

    for group in (DEVICES, OFF, PLANS):
        for name in entry_points_of(group):
            load(group, name)
    parse_quantity("1 W", "W")  # reads the table of units
    load_library(LineRecipe(kind="visa"))
    load_library(LineRecipe())
    if threading.active_count() != 1:
        raise RuntimeError("a thread is there already: forking is not safe")


def fork(request: dict[str, Any]) -> int:
    """Fork a run; return its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        code = be_victim(request)
    finally:
        os._exit(code)


def code_of(pid: int, within_s: float) -> int | None:
    """Return how a run ended (negative: the signal); None where it has not, within so many seconds."""
    limit = time.monotonic() + within_s
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= limit:
            return None
        time.sleep(0.005)


def be_victim(request: dict[str, Any]) -> int:
    """Run the command line in the forked process."""
    out = Path(request["out"])
    os.setsid()
    os.chdir(out)
    with (out / "output.txt").open("wb") as told, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(told.fileno(), 1)
        os.dup2(told.fileno(), 2)
    acknowledged = os.open(out / "acknowledged.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.environ["NANOLAB_ACK_FD"] = str(acknowledged)
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(out / "strike"))
    listener.listen()
    strikes = prepared(out, request["kind"], listener)
    if request.get("mutate"):
        mutate(request["mutate"])
    patch(strikes)
    from nanolab.cli import main as nanolab

    return int(nanolab(request["words"]))


def prepared(out: Path, kind: str, listener: socket.socket) -> Strikes:
    """Return the strikes of a run, carried out when somebody connects."""
    told = threading.Event()
    one_at_a_time = threading.Lock()
    connections: list[socket.socket] = []

    def say(moment_s: float) -> None:
        with (
            one_at_a_time
        ):  # two workers may be struck at once, and the second must not kill before the first has spoken
            if not told.is_set():
                connections[0].sendall(json.dumps(moment_s).encode() + b"\n")
                told.set()

    strikes = Strikes(say, out)

    def wait_and_strike() -> None:
        connections.append(listener.accept()[0])
        moment_s = getattr(strikes, kind)()
        if moment_s:
            say(moment_s)

    if hasattr(strikes, kind):
        threading.Thread(target=wait_and_strike, name="strike", daemon=True).start()
    return strikes


def patch(strikes: Strikes) -> None:
    """Let the strikes reach what they strike."""
    import nanolab.engine.assembly as assembly
    import nanolab.engine.session as session
    import plans.stubs as stubs
    from devices.serial_line import SerialTransport
    from devices.visa import VisaTransport

    bind = session.bind_safeguard

    def bound(engine: Any, writer: Any, bench: Any) -> None:
        strikes.engine, strikes.writer, strikes.bench = engine, writer, bench
        engine.fan_out.add(lambda _name, _doc: once(strikes, "in_subscriber"))
        bind(engine, writer, bench)

    session.bind_safeguard = bound
    tick = stubs.tick

    def struck_tick(devices: Any, stream: str) -> Any:
        once(strikes, "in_plan")
        return (yield from tick(devices, stream))

    stubs.tick = struck_tick

    def verb(self: Any, reason: str) -> BaseException | None:
        arguments = {"reason": reason} if strikes.verb == "abort" else {}
        try:
            getattr(self.RE, strikes.verb)(**arguments)
        except BaseException as error:  # noqa: BLE001 - as the engine does: into the outcome
            return error
        return None

    setattr(assembly.Engine, "_aborted", verb)  # noqa: B010 - the victim's own strike, into what is private
    for transport, raw in ((VisaTransport, "_resource"), (SerialTransport, "_port")):
        transport.write = cutting(strikes, transport.write, raw)  # type: ignore[method-assign]  # the victim's own strike


def cutting(strikes: Strikes, write: Callable[..., None], raw: str) -> Callable[..., None]:
    """Return a transport's `write` that can be struck in the middle of a line."""

    def struck(self: Any, data: bytes) -> None:
        if strikes.half and self is not None:
            way = getattr(self, raw)
            strikes.cut(way.write_raw if hasattr(way, "write_raw") else way.write, data)
        write(self, data)

    return struck


def once(strikes: Strikes, name: str) -> None:
    """Do what is to happen here, once."""
    what = getattr(strikes, name)
    setattr(strikes, name, None)
    if what is not None:
        what()


def mutate(what: str) -> None:
    """Leave one safeguard out, to see that the campaign notices."""
    from dataclasses import replace

    from nanolab.bench import safeguard
    from nanolab.safety import guard_client, interlock, recipes, rules
    from nanolab.safety.recipe import OffCheck

    if what == "guardian":
        setattr(safeguard.Safeguard, "_start_guardian", unguarded)  # noqa: B010 - the mutation, of what is private
    elif what == "nan":
        standard = interlock.standard_rules
        interlock.standard_rules = lambda settings: [
            rule
            for rule in standard(settings)
            if not isinstance(rule, rules.InvalidTemperature | rules.InfiniteTemperature)
        ]
    elif what == "lease":
        renew = guard_client.GuardClient.renew
        setattr(guard_client.GuardClient, "renew", lambda self, _seconds: renew(self, 100.0))  # noqa: B010 - the mutation
    elif what == "read-back":
        made = recipes.recipe_for

        def believing(*words: Any) -> Any:
            recipe = made(*words)
            return replace(
                recipe,
                checks=tuple(
                    OffCheck(check.ask, pattern=".*", lines=check.lines, reply=check.reply) for check in recipe.checks
                ),
            )

        setattr(safeguard, "recipe_for", believing)  # noqa: B010 - the mutation
    else:
        raise ValueError(f"there is no mutation {what!r}")


def unguarded(self: Any, *_: Any) -> None:
    """Start no guardian."""
    self._unguarded = None


if __name__ == "__main__":
    main()
