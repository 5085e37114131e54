"""The run's side of the guardian: starts it, keeps it fed, watches it in return, and goes off by itself where it is lost.

One thread sends a heartbeat every 100 ms, reads what comes back and judges the guardian: its end-of-file shows at once, a
guardian that is stopped by a heartbeat that it does not answer. Either way it is killed (so that it holds nothing any
more), the laser is opened by its recipe, told to go off and looked at, and ``on_lost`` is told.

No locks: every method may be called from any thread and from a signal handler, in the middle of another one.

No safety function in the sense of a standard: the hardware interlock of the laser is.
"""

import contextlib
import itertools
import json
import logging
import os
import queue
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from nanolab import __version__
from nanolab.errors import RefusedError
from nanolab.safety.guard_config import BEAT_EVERY_S, HEARTBEAT_S, INSIST_S, LEASE_S, GuardConfig, digest
from nanolab.safety.guard_log import GuardLog
from nanolab.safety.off import LaserLine, go_off, longest_s, make_safe
from nanolab.safety.ports import load_library
from nanolab.safety.recipe import OffRecipe

START_WITHIN_S = 20.0
"""Wall time from starting the guardian to its greeting (a busy machine, a cold VISA)."""

ANSWERED_WITHIN_S = 1.0
"""While the laser emits, a guardian that leaves a heartbeat unanswered for so long is dead or stopped."""

ANSWERED_IDLE_S = 10.0
"""The same while the laser is off: a busy computer is no danger then."""

ENDED_WITHIN_S = 2.0

POSIX = os.name == "posix"

_log = logging.getLogger(__name__)

Report = dict[str, Any]
"""What came of going off: ``confirmed``, ``why``, ``detail``, ``by_hand``, ``reaction_ms``, ``confirm_ms``, ``checks``."""


class GuardClient:
    """A guardian that is running and was seen to reach the laser and to find it off. Made by `start`."""

    def __init__(self, config: GuardConfig, on_lost: Callable[[Report], object]) -> None:
        self.config = config
        self.report: Report | None = None
        """The last report of going off, whoever did it."""
        self.ended: str | None = None
        """Why this guardian can allow no emission any more; None while it can."""
        self._log_path = config.log
        self.over = threading.Event()
        """Set once there is a report of going off."""
        self.relay_address = config.recipe.address
        """Where the driver finds the laser: the guardian's own port, or the laser where it takes several clients."""
        self._on_lost = on_lost
        self._told = False
        self._emitting = False
        self._off_asked = False
        self._numbers = itertools.count(1)
        self._slots: dict[int, queue.SimpleQueue[Report]] = {}
        self._asked: queue.SimpleQueue[queue.SimpleQueue[Report] | None] = queue.SimpleQueue()
        self._beats: dict[int, float] = {}
        self._received = b""
        self._lost = False
        self._closing = False
        self._closed = False
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the guardian
        self._control, theirs = socket.socketpair()
        try:
            words = [sys.executable, "-P", "-m", "nanolab.safety.guardian"]
            self._process = subprocess.Popen(
                words, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=self._errors, start_new_session=True
            )
        except BaseException:
            self._control.close()
            self._errors.close()
            raise
        finally:
            theirs.close()
        self._thread = threading.Thread(target=self._watch, name="nanolab-guard", daemon=True)

    @classmethod
    def start(
        cls,
        recipe: OffRecipe,
        *,
        log: Path | None = None,
        make_safe: Sequence[OffRecipe] = (),
        on_lost: Callable[[Report], object] = lambda _report: None,
        heartbeat_s: float = HEARTBEAT_S,
        lease_s: float = LEASE_S,
        insist_s: float = INSIST_S,
        toggler: Mapping[str, Any] | None = None,
    ) -> "GuardClient":
        """Start a guardian for the laser of `recipe`, before the driver connects, and verify it.

        Parameters
        ----------
        recipe : OffRecipe
            The laser, with its real address.
        log : Path or None
            ``guardian.jsonl`` in the run folder or the data root.
        make_safe : sequence of OffRecipe
            Heaters and pumps to bring to rest after the laser.
        on_lost : callable
            Told the report, once, in the guard's own thread, when the laser has been turned off without the run asking
            (a trip), or the guardian was lost and the run itself went off.
        heartbeat_s, lease_s, insist_s : float
            Wall seconds, see `nanolab.safety.guard_config`.
        toggler : mapping or None
            The dead-man line: ``{"make": "module:function", "settings": {...}}``.

        Raises
        ------
        RefusedError
            Where the guardian does not start, does not reach the laser, does not find it off, or is another version.
        """
        if not POSIX:
            raise RefusedError("the guardian runs on Linux and macOS so far; without it a real laser is not turned on")
        place = None if log is None else str(log.resolve())
        config = GuardConfig(recipe, tuple(make_safe), heartbeat_s, lease_s, insist_s, place, toggler)
        client = cls(config, on_lost)
        try:
            with contextlib.suppress(OSError):  # a guardian that has died already is told of below, with its last words
                client._control.sendall(config.to_line())
            # both load it at the same time, and whoever has to go off later need not
            load_library(recipe.line)
            client._verify(client._greeting())
        except BaseException:
            client._kill()
            client._control.close()
            client._errors.close()
            raise
        client._control.setblocking(False)
        client._thread.start()
        return client

    # ---- start

    def _greeting(self) -> dict[str, Any]:
        self._control.settimeout(START_WITHIN_S)
        greeting: dict[str, Any] = {}
        try:
            while b"\n" not in self._received:
                data = self._control.recv(1 << 16)
                if not data:
                    break
                self._received += data
            line, _, self._received = self._received.partition(b"\n")
            greeting = json.loads(line)
        except (OSError, ValueError) as error:
            raise RefusedError(f"the guardian did not start: {self._last_words() or error}") from error
        return greeting

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = [line for line in self._errors.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else ""

    def _verify(self, greeting: Mapping[str, Any]) -> None:
        if greeting.get("ready") is not True:
            raise RefusedError(f"the guardian cannot guard the laser: {greeting.get('error')}")
        same = (greeting.get("version"), greeting.get("recipe_sha256")) == (__version__, digest(self.config.recipe))
        if not same:
            raise RefusedError("the guardian that started is not the one that was meant; is another nanolab installed?")
        for problem in greeting.get("problems", ()):
            _log.warning("%s", problem)
        self.relay_address = greeting.get("relay") or self.config.recipe.address

    # ---- from any thread, and from signal handlers

    def may_emit(self) -> str | None:
        """Return None where the guardian is there and answers, else why emission is refused."""
        if self.ended is not None:
            return f"the guardian has turned the laser off ({self.ended}); start anew"
        if self._silent_s() > ANSWERED_WITHIN_S / 2:
            return "the guardian does not answer"
        return None

    def emitting(self, on: bool) -> None:
        """Say that emission is about to begin (the first lease with it), or has ended; returns when it is known.

        RefusedError where the guardian does not agree that it begins. Ending is never refused.
        """
        self._emitting = on
        reply = self._request({"do": "emitting", "on": on}, ANSWERED_WITHIN_S)
        if on and (reply is None or reply.get("ok") is not True):
            raise RefusedError(str((reply or {}).get("error") or "the guardian does not answer; the laser stays off"))

    def renew(self, seconds: float) -> None:
        """Renew the lease from now on: off, unless renewed within `seconds`. For the acquisition loop alone."""
        self._send({"do": "lease", "seconds": float(seconds)})

    def log_to(self, path: Path) -> None:
        """Have what the guardian does from now on written into this file: that of the run that begins."""
        self._log_path = str(path.resolve())
        self._send({"do": "log", "path": self._log_path})

    def off(self) -> Report:
        """Have the laser turned off at once and looked at; return the report. Latches. Never raises."""
        self._off_asked = True
        if threading.current_thread() is self._thread:
            # asked for by what `on_lost` does: it has just been done, and nobody else could answer
            return self._last_report("the guard's own thread cannot ask")
        patience = longest_s(self.config.recipe) + ANSWERED_WITHIN_S + ENDED_WITHIN_S
        reply = self._request({"do": "off"}, patience)
        if reply is None:
            return self._last_report("neither the guardian nor the run's own thread answered in time")
        report: Report = reply["report"]
        return report

    def close(self) -> Report:
        """End the guard: off, verified, and everything closed; return the last report. Never raises; may be repeated."""
        if not self._closing:
            self._closing = self._off_asked = True
            if not self._lost:
                self._request({"do": "quit"}, longest_s(self.config.recipe) + ANSWERED_WITHIN_S)
            self._asked.put(None)
            self._thread.join(longest_s(self.config.recipe, self.config.make_safe) + ENDED_WITHIN_S)
            self._closed = True
            self._control.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDED_WITHIN_S)
            self._kill()
            self._errors.close()
        return self._last_report("the guardian ended without a report")

    def _last_report(self, words: str) -> Report:
        if self.report is not None and (self._closed or threading.current_thread() is self._thread):
            return self.report
        by_hand = self.config.recipe.by_hand.removeprefix("OFF NOT CONFIRMED.").strip()
        return {"confirmed": False, "why": "off was asked for", "detail": words, "by_hand": by_hand, "checks": []}

    def _request(self, message: dict[str, Any], patience_s: float) -> dict[str, Any] | None:
        """Send a message and return its answer; where the guardian is lost, the answer of the run's own thread."""
        if self._closed:
            return None
        slot: queue.SimpleQueue[Report] = queue.SimpleQueue()
        number = next(self._numbers)
        # first the slot, then the look: whoever declares the guardian lost answers all slots after having said so
        self._slots[number] = slot
        try:
            if self._lost:
                if message["do"] != "off":
                    return None
                self._asked.put(slot)
            else:
                self._send(message, number)
            return slot.get(timeout=patience_s)
        except queue.Empty:
            return None
        finally:
            self._slots.pop(number, None)

    def _send(self, message: dict[str, Any], number: int | None = None) -> None:
        number = next(self._numbers) if number is None else number
        line = json.dumps({"n": number, "at": time.monotonic(), **message}).encode() + b"\n"
        # small enough to go whole or not at all; where it does not go, the unanswered heartbeat tells
        with contextlib.suppress(OSError):
            self._control.send(line)

    # ---- the thread

    def _silent_s(self) -> float:
        beats = list(self._beats.values())
        return time.monotonic() - min(beats) if beats else 0.0

    def _watch(self) -> None:
        try:
            why = self._keep_company()
        except Exception as error:  # noqa: BLE001 - whatever went wrong here, nobody watches the guardian any more
            why = f"the guardian cannot be understood ({type(error).__name__}: {error})"
        if why is not None:
            self._take_over(why)
        while (slot := self._asked.get()) is not None:
            slot.put({"ok": True, "report": self._by_ourselves("it was asked for, and the guardian is lost")})

    def _keep_company(self) -> str | None:
        """Beat, listen and judge until the guardian ends; return why it is lost, None where it ended as it should."""
        due = time.monotonic()
        self._take(b"")  # what came behind the greeting
        while True:
            now = time.monotonic()
            if now >= due:
                number = next(self._numbers)
                self._beats[number] = now
                self._send({"do": "beat"}, number)
                due = now + BEAT_EVERY_S
            readable = bool(select.select([self._control], [], [], max(0.0, due - now))[0])
            if readable and not self._listen():
                # told to quit it ends, but not before the laser was seen to be off
                over = self._closing and self.report is not None and self.report["confirmed"]
                return None if over else "the guardian is gone"
            # only what was still unanswered after everything that is there has been read counts
            if not readable and self._silent_s() > (ANSWERED_WITHIN_S if self._emitting else ANSWERED_IDLE_S):
                return "the guardian does not answer"

    def _listen(self) -> bool:
        """Take what the guardian says; False at its end."""
        try:
            data = self._control.recv(1 << 16)
        except OSError:
            data = b""
        self._take(data)
        return bool(data)

    def _take(self, data: bytes) -> None:
        """Take every line that is whole by now."""
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "report" in message:
                self._note(message)
            self._beats.pop(message.get("n"), None)
            slot = self._slots.get(message.get("n"))
            if slot is not None:
                slot.put(message)

    def _note(self, message: Mapping[str, Any]) -> None:
        """Keep a report; tell of it where the run had not asked for off."""
        report: Report | None = message["report"]
        if report is None:
            return
        self.report = report
        self.ended = self.ended or str(message.get("tripped"))
        self.over.set()
        if message.get("event") == "off" and not self._off_asked:
            self._tell(report)

    def _tell(self, report: Report) -> None:
        if self._told:
            return
        self._told = True
        try:
            self._on_lost(report)
        except Exception:  # noqa: BLE001 - whatever it does must not end the guard's own thread
            _log.exception("What was to be told of the guardian's end has failed")

    # ---- where the guardian is lost

    def _take_over(self, why: str) -> None:
        self.ended = self.ended or why
        self._kill()
        self._lost = True
        report = self._by_ourselves(why)
        for slot in list(self._slots.values()):
            slot.put({"ok": False, "error": why, "report": report})
        self._tell(report)
        make_safe(self.config.make_safe, why)

    def _by_ourselves(self, why: str) -> Report:
        line = LaserLine(self.config.recipe)
        report = go_off(line, why).as_dict()
        line.close()
        self.report = report
        self.over.set()
        # the guardian cannot write it any more
        log = GuardLog(self._log_path)
        log.note("off" if report["confirmed"] else "OFF NOT CONFIRMED", by="the run itself", report=report)
        log.close()
        return report

    def _kill(self) -> None:
        """Make sure that the guardian holds nothing any more."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait(ENDED_WITHIN_S)
