"""The guardian's one loop: what it hears from the run, when it acts, and what it does then. See `nanolab.safety.guardian`."""

import contextlib
import json
import math
import os
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any

from nanolab import __version__
from nanolab.errors import ExitCode, NanolabError
from nanolab.safety.door import Door
from nanolab.safety.guard_config import AT_THE_DOOR, LONGEST_LEASE_S, GuardConfig, Toggler, digest, make_toggler
from nanolab.safety.guard_log import GuardLog
from nanolab.safety.off import POLL_S, LaserLine, go_off, make_safe, probe
from nanolab.safety.ports import Port
from nanolab.safety.relay import Relay

FRAME_EVERY_S = 0.15
"""Wall time between two frames of a dead-man line."""

STALL_S = 0.1
"""A turn that comes later than this has stalled (the machine was busy, or we were stopped)."""

GRACE_S = 0.3
"""After a stall of our own the run has so long to say something before it is judged."""

AGAIN_S = 1.0
"""Wall time between two attempts where off is not confirmed."""

STAND_WATCH_S = 0.5
"""How often a laser that the run can still reach by itself is looked at after a trip."""

IDLE_S = 1.0

IDLE_BEATS = 10.0
"""While the laser is off a heartbeat may be so many times older."""

Answer = Callable[[dict[str, Any]], None]


class Guardian:
    """Guards one laser over one control socket, which its maker closes.

    ConnectionError where the laser cannot be reached, NanolabError where it does not read off (it is then told to go off)
    or the dead-man line cannot be made.
    """

    def __init__(self, control: socket.socket, config: GuardConfig, rest: bytes = b"") -> None:
        self.config = config
        self.log = GuardLog(config.log)
        self.selector: selectors.BaseSelector = selectors.DefaultSelector()
        self._control = control
        self._received = rest
        self._line = LaserLine(config.recipe)
        self._registered: tuple[Port, int, int] | None = None
        self._relay: Relay | None = None
        self._door: Door | None = None
        self._toggler: Toggler | None = None
        self._reading_itself = False
        self._turn_ended_s = self._stalled_s = -math.inf
        self._beat_s = math.inf
        self._emitting = False
        self._lease_until_s = 0.0
        self._frame_due_s = 0.0
        self._act_on: tuple[str, float] | None = None
        self._ending: tuple[str, float] | None = None
        self._insist_until_s = math.inf
        self._said_goodbye = False
        self._again_s = math.inf
        self._waiting: list[Answer] = []
        self.tripped: str | None = None
        self.report: dict[str, Any] | None = None
        control.setblocking(False)
        self.selector.register(control, selectors.EVENT_READ, self._read_control)
        try:
            self._arm()
        except BaseException:
            self.close()  # the control socket stays open: the run has to be told why
            raise

    # ---- start and end

    def _arm(self) -> None:
        recipe = self.config.recipe
        if self.config.toggler is not None:
            self._toggler = make_toggler(self.config.toggler, lambda data: self._line.held().send(data))
        self._line.open()
        checks = probe(self._line)
        if not all(seen.off for seen in checks):
            seen = go_off(self._line, "it did not read off when the guardian came")
            self.log.note("refused", report=seen.as_dict())
            words = "; ".join(check.words() for check in checks)
            outcome = "confirmed" if seen.confirmed else f"NOT CONFIRMED: {seen.detail}. {seen.by_hand}"
            raise NanolabError(
                f"{recipe.device}: did not read off at the start ({words}); it was told to go off: {outcome}"
            )
        if not recipe.several_clients:
            self._relay = Relay(self.selector, self._line, self._lost)
        self._door = Door(
            self.selector,
            lambda wanted, answer: self._asked(wanted, answer, AT_THE_DOOR),
            device=recipe.device,
            address=recipe.address,
            by_hand=recipe.by_hand,
        )
        self._beat_s = time.monotonic()
        greeting = {
            "ready": True,
            "version": __version__,
            "pid": os.getpid(),
            "recipe_sha256": digest(recipe),
            "relay": None if self._relay is None else self._relay.address,
            "probe": [check.words() for check in checks],
            "problems": [problem for problem in (self.log.problem, self._door.problem) if problem],
        }
        self.log.note("armed", device=recipe.device, address=recipe.address, **greeting)
        self._tell(greeting)

    def run(self) -> int:
        """Guard until the run is over and the laser is seen to be off; return the exit code (8: not confirmed)."""
        try:
            self._take(b"")
            while not self._done():
                self._turn(self._due_s())
                self._act()
                self._feed()
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not leave the laser on
            why = f"the guardian failed: {type(error).__name__}: {error}"
            self.report = go_off(self._line, why).as_dict()
            self.log.note("failed", report=self.report)
        confirmed = self.report is not None and bool(self.report["confirmed"])
        self.log.note("end", confirmed=confirmed, why=self._ending)
        return int(ExitCode.OK if confirmed else ExitCode.OFF_NOT_CONFIRMED)

    def end(self, why: str, insist_s: float = 0.0) -> None:
        """Have `run` turn the laser off, verify, and return; where off is not confirmed, try on for `insist_s`."""
        if self._ending is None:
            now = time.monotonic()
            self._ending = (why, now)
            self._insist_until_s = now + insist_s
        elif not insist_s:
            self._insist_until_s = 0.0

    def _done(self) -> bool:
        if not self._said_goodbye or self.report is None:
            return False
        return bool(self.report["confirmed"]) or time.monotonic() >= self._insist_until_s

    def close(self) -> None:
        """Close everything but the control socket. Never raises."""
        if self._toggler is not None:
            self._toggler.close()
        if self._door is not None:
            self._door.close()
        if self._relay is not None:
            self._relay.fence()
        self._line.close()
        self.selector.close()
        self.log.close()

    # ---- the loop

    def _turn(self, until_s: float) -> None:
        """Wait for something until this moment, and do it: what the run says first, then the rest."""
        start = time.monotonic()
        polled = self._watch_port()
        wait_s = max(0.0, until_s - start)
        events = self.selector.select(min(wait_s, POLL_S) if polled else wait_s)
        now = time.monotonic()
        if start - self._turn_ended_s > STALL_S or now - max(start, until_s) > STALL_S:
            self._stalled_s = now
        before = (self._ending, self._act_on)
        # the end of the run must be seen, and acted on, before anything that it still has under way is handed on
        for key, mask in sorted(events, key=lambda event: event[0].fileobj is not self._control):
            key.data(mask)
            # a descriptor that was closed just now may be given out again at once
            self._watch_port()
            if (self._ending, self._act_on) != before:
                break
        if polled:
            self._port_ready(0)
        self._turn_ended_s = time.monotonic()

    def _watch_port(self) -> bool:
        """Select on the laser's port as it is now; True where it has to be asked instead."""
        port = self._line.port
        descriptor = None if port is None else port.fileno()
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if port is not None and port.owes else 0)
        wanted = None if port is None or descriptor is None else (port, descriptor, events)
        if wanted != self._registered:
            if self._registered is not None:
                with contextlib.suppress(KeyError):
                    self.selector.unregister(self._registered[1])
            if wanted is not None:
                self.selector.register(wanted[1], events, self._port_ready)
            self._registered = wanted
        return port is not None and descriptor is None

    def _due_s(self) -> float:
        moments = [time.monotonic() + IDLE_S, self._again_s, self._insist_until_s]
        if self.tripped is None:
            moments.append(self._beat_s + self._patience_s())
            if self._emitting:
                moments += [self._lease_until_s, self._frame_due_s if self._toggler is not None else math.inf]
        return min(moments)

    def _port_ready(self, _events: int) -> None:
        port = self._line.port
        if port is None or self._reading_itself:
            return
        try:
            port.flush()
            data = port.receive()
        except ConnectionError as error:
            self._lost(str(error))
            return
        if data and self._relay is not None:
            self._relay.deliver(data)

    def _lost(self, words: str) -> None:
        self._line.close()
        if self.tripped is None:
            self._act_on = (f"the connection to the laser is lost: {words}", time.monotonic())

    def _feed(self) -> None:
        toggler, now = self._toggler, time.monotonic()
        if toggler is None or not self._emitting or now > self._lease_until_s or now < self._frame_due_s:
            return
        self._frame_due_s = now + FRAME_EVERY_S
        try:
            toggler.frame()
        except OSError as error:
            self._act_on = (f"the dead-man line cannot be fed: {error}", now)

    # ---- judging and acting

    def _patience_s(self) -> float:
        """Return how old a heartbeat may be: without emission a busy computer, loading a library, is no danger."""
        return self.config.heartbeat_s * (1.0 if self._emitting else IDLE_BEATS)

    def _suspect(self) -> str | None:
        now = time.monotonic()
        if now - self._beat_s > self._patience_s():
            return f"no heartbeat of the run for {now - self._beat_s:.2f} s"
        if self._emitting and now > self._lease_until_s:
            return "the acquisition loop did not renew its lease while the laser was on"
        return None

    def _act(self) -> None:
        if self._ending is not None and not self._said_goodbye:
            self._said_goodbye = True
            self._go_off(*self._ending)
        elif self._act_on is not None:
            reason, self._act_on = self._act_on, None
            self._go_off(*reason)
        elif self.tripped is not None:
            if time.monotonic() >= self._again_s:
                self._look_again()
        elif self._suspect() is not None:
            self._second_look()
            why = self._suspect()
            if why is not None and self._ending is None and self._act_on is None:
                self._go_off(why, time.monotonic())

    def _second_look(self) -> None:
        """Hear what came in while we were not looking; after a stall of our own, give the run a moment to speak."""
        now = time.monotonic()
        until = now + GRACE_S if now - self._stalled_s < GRACE_S else now
        self._turn(now)
        while time.monotonic() < until and self._suspect() is not None and self._ending is None:
            self._turn(until)

    def _look_again(self) -> None:
        """Try on where off was not confirmed; where the run still reaches the laser by itself, see that it stays off."""
        if self.report is not None and self.report["confirmed"]:
            self._again_s = time.monotonic() + STAND_WATCH_S
            with contextlib.suppress(ConnectionError):
                if all(seen.off for seen in self._alone(lambda: probe(self._line, wait=self._wait))):
                    return
            self._go_off("it did not read off any more after it had gone off", time.monotonic())
        else:
            self._go_off("off was not confirmed, and is tried again", time.monotonic())

    def _go_off(self, why: str, noticed_s: float) -> None:
        owed = False
        # the relay passes whole lines on, and nobody else has this connection
        port, relay = self._line.port, self._relay
        whole = relay is not None and port is not None and not port.owes
        if relay is not None:
            owed = relay.owed
            relay.fence()
        first = self.tripped is None
        self.tripped = self.tripped or why
        self._emitting = False
        recipe, wait = self.config.recipe, self._wait
        seen = self._alone(lambda: go_off(self._line, why, wait=wait, noticed_s=noticed_s, owed=owed, whole=whole))
        self.report = seen.as_dict()
        self.log.note("off" if seen.confirmed else "OFF NOT CONFIRMED", report=self.report)
        self._tell({"event": "off", "tripped": self.tripped, "report": self.report, "problem": self.log.problem})
        waiting, self._waiting = self._waiting, []
        for answer in waiting:
            answer({"ok": True, "report": self.report})
        now = time.monotonic()
        watch = now + STAND_WATCH_S if recipe.several_clients and self._ending is None else math.inf
        self._again_s = watch if seen.confirmed else now + AGAIN_S
        if first and self.config.make_safe:
            others = self._alone(lambda: make_safe(self.config.make_safe, why, wait=wait))
            self.log.note("made safe", reports=others)
            self._tell({"event": "made_safe", "reports": others})

    def _alone(self, work: Callable[[], Any]) -> Any:
        """Do work that reads the laser's port itself, while the loop goes on answering the run."""
        self._reading_itself = True
        try:
            return work()
        finally:
            self._reading_itself = False

    def _wait(self, _port: Port, until_s: float) -> None:
        self._turn(until_s)

    # ---- what is said to it

    def _read_control(self, _events: int) -> None:
        # twice: an end right behind the last words must be seen now; without end would be wrong where the run floods us
        for _again in range(2):
            try:
                data = self._control.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.selector.unregister(self._control)
                self.end("the run is gone: its control socket is closed", self.config.insist_s)
                return
            self._take(data)

    def _take(self, data: bytes) -> None:
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            if line.strip():
                self._message(line)

    def _message(self, line: bytes) -> None:
        try:
            message = json.loads(line)
            number, wanted = message.get("n"), message.get("do")
        except (ValueError, AttributeError):
            self._tell({"n": None, "ok": False, "error": "this line is no JSON object"})
            return

        def answer(reply: dict[str, Any]) -> None:
            self._tell({"n": number, "tripped": self.tripped, **reply})

        if wanted == "log":
            answer({"ok": self.log.follow(str(message.get("path")))})
        elif wanted in {"beat", "lease", "emitting"}:
            answer(self._of_the_run(wanted, message))
        elif wanted == "quit":
            self._waiting.append(answer)
            self.end("the run is over")
        else:
            self._asked(str(wanted), answer, "the run asked for it")

    def _of_the_run(self, wanted: str, message: dict[str, Any]) -> dict[str, Any]:
        """Take a heartbeat, a lease, or the word that emission begins or ends; return the answer."""
        now = time.monotonic()
        at = message.get("at")
        # what waited in the socket while we were stalled is as old as it is
        said_s = min(now, at) if isinstance(at, float) else now
        if wanted == "beat":
            self._beat_s = max(self._beat_s, said_s)
            return {"ok": True}
        if self.tripped is not None or self._ending is not None:
            return {"ok": False, "error": f"this guardian has turned the laser off ({self.tripped}); start a new one"}
        if wanted == "emitting":
            on = message.get("on") is True
            if on and not self._emitting:
                self._lease_until_s, self._frame_due_s = said_s + self.config.lease_s, now
            self._emitting = on
            self.log.note("emitting", on=on)
            return {"ok": True}
        seconds = message.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST_LEASE_S:
            return {"ok": False, "error": f"a lease is a number of seconds up to {LONGEST_LEASE_S:g}, not {seconds!r}"}
        self._lease_until_s = said_s + seconds
        return {"ok": True}

    def _asked(self, wanted: str, answer: Answer, why: str) -> None:
        if wanted == "off":
            self._waiting.append(answer)
            self._act_on = self._act_on or (why, time.monotonic())
        elif wanted == "status":
            answer({"ok": True, "tripped": self.tripped, "emitting": self._emitting, "report": self.report})
        else:
            answer({"ok": False, "error": f"unknown: {wanted!r}"})

    def _tell(self, message: dict[str, Any]) -> None:
        # a run that is stopped reads nothing: what does not fit is lost, and the log has it
        with contextlib.suppress(OSError):
            self._control.send(json.dumps(message, default=str).encode() + b"\n")
