"""What a victim does to itself when it is told to: the strikes that nobody can deal from outside. Runs in the victim only.

Each function strikes and returns the moment (`time.monotonic`) from which off is counted; one that kills the process tells
that moment before, through `Strikes.say`.
"""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

GIGABYTE = 1 << 30


class Strikes:
    """What is known of the run from inside, and what is to happen to it."""

    def __init__(self, say: Callable[[float], None], out: Path) -> None:
        self.say = say
        self.out = out
        self.engine: Any = None
        self.writer: Any = None
        self.bench: Any = None
        self.in_plan: Callable[[], None] | None = None
        """Called in the plan before its next readings, once."""
        self.in_subscriber: Callable[[], None] | None = None
        """Called in a consumer of documents with its next document, once."""
        self.verb = "abort"
        """What is done to the RunEngine once it has paused."""
        self.half = False
        """Whether the next command is to be cut in half, and the process killed."""

    # ---- deaths

    def _kill(self) -> float:
        self.say(time.monotonic())
        os.kill(os.getpid(), signal.SIGKILL)
        return time.monotonic()

    def followed_kill(self) -> float:
        """Die by SIGKILL while another process follows the folder."""
        code = (
            "import sys, itertools\nfrom nanolab.journal.follow import Follower\n"
            "follower = Follower(sys.argv[1])\n"
            "for _ in itertools.repeat(0, 400):\n    follower.poll()\n    __import__('time').sleep(0.01)\n"
        )
        words = [sys.executable, "-P", "-c", code, str(self.writer.path)]
        with (self.out / "follower.txt").open("wb") as told:
            subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=told, stderr=told, start_new_session=True)
        time.sleep(0.7)
        return self._kill()

    def huge_kill(self) -> float:
        """Die by SIGKILL with 1 GB of memory in use: its end-of-file comes late."""
        memory = np.ones(GIGABYTE // 8)
        self.say(time.monotonic() + 0.0 * float(memory[-1]))
        os.kill(os.getpid(), signal.SIGKILL)
        return time.monotonic()

    def forked_kill(self) -> float:
        """Leave a child that keeps every descriptor open, and die."""
        if os.fork() == 0:
            time.sleep(6.0)
            os._exit(0)
        return self._kill()

    def half_sent_kill(self) -> float:
        """Die in the middle of the next command."""
        self.half = True
        return 0.0

    def cut(self, send: Callable[[bytes], Any], data: bytes) -> None:
        """Send half of a command, and die."""
        send(data[: max(1, len(data) // 2)])
        self._kill()

    def out_of_memory(self) -> float:
        """Let the plan run out of memory."""

        def greedy() -> None:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            resource.setrlimit(resource.RLIMIT_AS, (used + GIGABYTE // 4, resource.RLIM_INFINITY))
            self.say(time.monotonic())
            np.ones(GIGABYTE)

        self.in_plan = greedy
        return 0.0

    # ---- mistakes

    def _raises(self, error: Exception) -> Callable[[], None]:
        def struck() -> None:
            self.say(time.monotonic())
            raise error

        return struck

    def _hangs(self) -> None:
        self.say(time.monotonic())
        time.sleep(3600.0)

    def plan_raises(self) -> float:
        """Let the plan raise."""
        self.in_plan = self._raises(RuntimeError("struck"))
        return 0.0

    def plan_hangs(self) -> float:
        """Let the plan block."""
        self.in_plan = self._hangs
        return 0.0

    def subscriber_raises(self) -> float:
        """Let a consumer of documents raise."""
        self.in_subscriber = self._raises(RuntimeError("struck"))
        return 0.0

    def fit_raises(self) -> float:
        """Let a consumer's fit fail."""

        def fit() -> None:
            self.say(time.monotonic())
            np.linalg.svd(np.full((3, 3), np.nan))

        self.in_subscriber = fit
        return 0.0

    def subscriber_hangs(self) -> float:
        """Let a consumer block, and with it the engine's loop."""
        self.in_subscriber = self._hangs
        return 0.0

    # ---- the RunEngine

    def _paused(self, verb: str) -> float:
        self.verb = verb
        begun = time.monotonic()
        self.engine.RE.request_pause(defer=False)
        return begun

    def re_abort(self) -> float:
        """Pause, then abort."""
        return self._paused("abort")

    def re_stop(self) -> float:
        """Pause, then stop."""
        return self._paused("stop")

    def re_halt(self) -> float:
        """Pause, then halt."""
        return self._paused("halt")

    def re_resume(self) -> float:
        """Pause, then resume."""
        return self._paused("resume")

    def re_suspend(self) -> float:
        """Suspend the plan for a second."""
        begun = time.monotonic()
        engine = self.engine.RE
        free = threading.Event()

        async def wait_for() -> None:
            import asyncio

            while not free.is_set():
                await asyncio.sleep(0.02)

        engine.loop.call_soon_threadsafe(lambda: engine.request_suspend(wait_for))
        threading.Timer(1.0, free.set).start()
        return begun

    def move_children(self) -> float:
        """Try to move each part of the laser by itself."""
        begun = time.monotonic()
        laser = self.bench.instruments["laser"]
        taken = []
        for name in laser.component_names:
            for verb in ("set", "put"):
                try:
                    getattr(getattr(laser, name), verb)(1)
                    taken.append(f"{name}.{verb}")
                except Exception:  # noqa: BLE001 - refused, by whatever error: what counts is that none is taken
                    continue
        (self.out / "children.txt").write_text("\n".join(taken))
        return begun

    # ---- the rest

    def _stuck(self, fault: str) -> float:
        self.bench.simulation.simulation.fault("laser", fault)
        begun = time.monotonic()
        os.kill(os.getpid(), signal.SIGTERM)
        return begun

    def stuck_then_stop(self) -> float:
        """Let the emission stick, and be told to end."""
        return self._stuck("emission_stuck")

    def welded_then_stop(self) -> float:
        """Let the contact weld, and be told to end."""
        return self._stuck("relay_welded")

    def disk_full(self) -> float:
        """Let nothing be written any more."""
        begun = time.monotonic()
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        return begun

    def laser_off(self) -> float:
        """Be turned off by `nanolab laser off`."""
        begun = time.monotonic()
        laser = self.bench.safeguard.guard.config.recipe.address
        words = [sys.executable, "-P", "-m", "nanolab", "laser", "off", "--address", laser,
                 "--driver", self.bench.config.laser.driver]  # fmt: skip
        with (self.out / "laser_off.txt").open("wb") as told:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=told, stderr=told)
            process.wait(10.0)
        return begun
