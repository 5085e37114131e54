"""What stands between a bench and the light of its laser: interlock, guardian, wakefulness, arming, bound to one bench.

Made by `nanolab.bench.connect.open_bench` before the drivers are built: the laser's driver speaks through the guardian. Every
reading of laser and thermometer comes by here in the driver's own worker, whatever engine runs: it is judged, and a valid
temperature renews the guardian's lease.

No safety function in the sense of a standard: the hardware interlock of the laser is.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nanolab.bench.config import BenchConfig
from nanolab.discovery import OFF, entry_points_of
from nanolab.engine.clock import Clock
from nanolab.errors import NanolabError, UsageError
from nanolab.interfaces import OffReport, Reading
from nanolab.safety.arming import AT_THE_TERMINAL, Arming, Person, Safeguards, arm, conditions
from nanolab.safety.guard_client import GuardClient, Report
from nanolab.safety.guard_config import AT_THE_DOOR, LEASE_S
from nanolab.safety.interlock import Interlock
from nanolab.safety.latch import Latch
from nanolab.safety.limits import InterlockSettings
from nanolab.safety.note import TripNote
from nanolab.safety.readings import channels_in, laser_in
from nanolab.safety.recipe import OffRecipe
from nanolab.safety.recipes import recipe_for
from nanolab.safety.scene import SAMPLE
from nanolab.safety.sleep import Awake
from nanolab.safety.trip import Trip
from nanolab.safety.watch import Watch

LEASE_WITHOUT_WALL_CLOCK_S = 15.0
"""Where lab time is not wall time a busy computer is no plan that hangs, and no real sample heats."""

GOING_OFF_S = 3.0
"""Wall time for a driver to see off, from when it sends it: a Cobolt wants 0.1 s between two commands."""

MADE_SAFE = ("cuvette_holder", "pump")
"""What the guardian brings to rest after the laser, where the driver has an off recipe (a pump may have a watchdog of its own)."""

_log = logging.getLogger(__name__)


class Safeguard:
    """Interlock, guardian and arming of one bench.

    Parameters
    ----------
    config : BenchConfig
        The bench; the latch is in its data folder.
    clock : Clock
        Lab time.
    off : callable
        Turns the laser off and reads it back; returns an OffReport and does not raise.
    """

    def __init__(self, config: BenchConfig, clock: Clock, off: Callable[[], OffReport]) -> None:
        laser = config.laser
        self.simulated = laser is None or laser.simulated
        self.config = config
        self.note = TripNote(clock.now)
        self._lab_time = clock.now
        self.guard: GuardClient | None = None
        self.on_untold: Callable[[Trip], object] = lambda _trip: None
        """Told of a trip that no reading has raised (the timer, the guardian): whoever runs a plan ends it then."""
        latch = Latch(config.bench.data, self.simulated)
        settings = InterlockSettings.from_config(config, wall_clock=clock.wall)
        self.interlock = Interlock(
            settings, off, lab_time=clock.now, latch=latch, simulated=self.simulated, on_trip=self.note,
            on_untold=lambda trip: self.on_untold(trip),
        )  # fmt: skip
        self._lease_s = LEASE_S if clock.wall else LEASE_WITHOUT_WALL_CLOCK_S
        self._watch = Watch(self.interlock)
        self._awake = Awake()
        self._armed: Arming | None = None
        self._emitting = False
        self._unguarded: str | None = "no guardian was started"
        self._stack = contextlib.ExitStack()

    # ---- start and end

    def start(self, address_of: Callable[[str], str]) -> None:
        """Start the guardian and the timer, before any driver connects. Where there is no guardian, no laser may emit.

        `address_of` returns where the instrument of a role really is.
        """
        laser = self.config.laser
        if laser is not None:
            self._start_guardian(laser.driver, address_of)
        self._stack.enter_context(self._watch)
        if not self.simulated:
            self._stack.enter_context(self._awake)

    def _start_guardian(self, driver: str, address_of: Callable[[str], str]) -> None:
        if driver not in entry_points_of(OFF):
            self._unguarded = (
                f"the driver '{driver}' has no off recipe (entry point group nanolab.off), by which it is guarded"
            )
            if self.simulated:
                _log.warning("the simulated laser is not guarded: %s", self._unguarded)
                self._unguarded = None
            return
        try:
            self.guard = GuardClient.start(
                self._recipe("laser", address_of),
                log=self.config.bench.data / "guardian.jsonl",
                make_safe=self._made_safe(address_of),
                on_lost=self._lost,
                lease_s=self._lease_s,
                toggler=self._toggler(),
            )
        except NanolabError as error:
            # the drivers still connect: where the laser is silent they say it better, and other instruments can be used
            self._unguarded = str(error)
            _log.warning("%s", error)

    def _recipe(self, role: str, address_of: Callable[[str], str]) -> OffRecipe:
        device = self.config.devices[role]
        settings = device.model_dump(mode="json")
        return recipe_for(device.driver, address_of(role), settings, role)

    def _made_safe(self, address_of: Callable[[str], str]) -> list[OffRecipe]:
        with_recipe = entry_points_of(OFF)
        devices = self.config.devices
        return [
            self._recipe(role, address_of)
            for role in MADE_SAFE
            if role in devices and devices[role].driver in with_recipe
        ]

    def _toggler(self) -> Mapping[str, Any] | None:
        """Return what feeds the dead-man box that lets this laser out, None where there is none."""
        laser = self.config.laser
        gate = None if laser is None else getattr(laser.settings, "gate", None)
        return {"make": "nanolab.safety.deadman:Toggles"} if gate == "box" else None

    def off(self) -> OffReport | None:
        """Have the guardian turn the laser off at once, for good; None where there is none. Never raises."""
        if self.guard is None:
            return None
        report = as_off_report(self.guard.off())
        if report.confirmed:
            self._seen_off()
        return report

    def close(self) -> OffReport | None:
        """End everything, the guardian last; return what it saw last, None where there was none. Never raises."""
        self._armed = None
        self._stack.close()
        return None if self.guard is None else as_off_report(self.guard.close())

    # ---- what the drivers are given

    def relayed(self, role: str, address: str) -> str:
        """Return where the driver of a role finds its instrument: the laser behind the guardian, where that owns its line."""
        guard = self.guard
        if role != "laser" or guard is None or guard.config.recipe.several_clients:
            return address
        return guard.relay_address

    def hooks(self, role: str) -> dict[str, Any]:
        """Return what the `DeviceContext` of a role is given."""
        if role == "laser":
            return {
                "may_emit": self.may_emit, "judge": self.judge, "seen_off": self.seen_off, "going_off": self.going_off,
            }  # fmt: skip
        return {"judge": self.judge} if role == "thermocouple" else {"may_emit": self.may_emit}

    def begin(self, cuvette: str) -> None:
        """Take note of what is in the holder: each has budgets of its own, and the sample alone is expected to heat."""
        self.interlock.begin(cuvette, expects_heating=cuvette == "sample")

    def may_emit(self) -> str | None:
        """Return why emission is refused, or None. A simulated laser arms itself; a real one is armed by `arm`."""
        if self._armed is None and self.simulated:
            self._armed = Arming(False, self._safeguards())
        if self._armed is None:
            return "the laser is not armed; call arm() of the bench, or use `nanolab run`"
        return self._armed.may_emit() or self.verified()

    def judge(self, reading: Reading) -> None:
        """Judge a reading of laser or thermometer, keep the guardian told of emission, renew its lease.

        LimitTripError where a limit is broken, the laser being off by then; RefusedError where the guardian does not
        agree that emission begins.
        """
        self.interlock.judge(reading)
        guard = self.guard
        if guard is None:
            return
        laser = laser_in(reading, "laser", 0.0)
        if laser is not None and laser.emitting != self._emitting and guard.ended is None:
            self._emitting = laser.emitting
            guard.emitting(laser.emitting)
        if self._emitting and any(
            channel.known and channel.channel.startswith(SAMPLE)
            for channel in channels_in(reading, "thermocouple", 0.0)
        ):
            guard.renew(self._lease_s)

    def going_off(self) -> None:
        """Give the driver the time to see the laser off that it has just turned off; the lease runs out after that."""
        if self.guard is not None and self._emitting:
            self.guard.renew(max(self._lease_s, GOING_OFF_S))

    def seen_off(self, within_s: float) -> OffReport | None:
        """Return what the guardian saw when it turned the laser off for good; None while the driver's own way is open.

        Waits up to so many wall seconds for that.
        """
        guard = self.guard
        if guard is None or guard.config.recipe.several_clients or not guard.over.wait(within_s):
            return None
        return None if guard.report is None else as_off_report(guard.report)

    # ---- arming

    def verified(self) -> str | None:
        """Return why the guardian is not to be relied on, or None."""
        return self._unguarded if self.guard is None else self.guard.may_emit()

    def arm(
        self,
        instruments: Mapping[str, Any],
        *,
        yes: bool = False,
        person: Person = AT_THE_TERMINAL,
        what: str = "the laser",
    ) -> None:
        """Look at every condition and arm the laser; a real one asks a person. RefusedError names what is not met.

        `yes` stands for the typing in scripts, never for a condition.
        """
        real = not self.simulated
        meter = instruments.get("powermeter")
        found = conditions(
            self.config,
            real=real,
            safeguards=self._safeguards(),
            read_probes=lambda: fresh(instruments, "thermocouple"),
            read_meter=None if meter is None or not real else lambda: fresh(instruments, "powermeter"),
            today=person.today(),
            scripted=yes,
        )
        self._armed = arm(found, real=real, safeguards=self._safeguards(), what=what, yes=yes, person=person)

    def _safeguards(self) -> Safeguards:
        return Safeguards(self.interlock, self._awake, self)

    # ---- what happens by itself

    def follow(self, folder: Path) -> None:
        """Have the guardian write into this run folder from now on."""
        if self.guard is not None:
            self.guard.log_to(folder / "guardian.jsonl")

    def _lost(self, report: Report) -> None:
        """The laser was turned off and the run had not asked for it, or the guardian was lost."""
        guard = self.guard
        ended = (guard.ended if guard is not None else None) or str(report.get("why"))
        if report["confirmed"]:
            self._seen_off()
        self.interlock.trip("guardian", ended, latch=ended != AT_THE_DOOR)

    def _seen_off(self) -> None:
        self._emitting = False
        self.interlock.judge({"laser_emitting": {"value": 0, "timestamp": self._lab_time()}})


def fresh(instruments: Mapping[str, Any], role: str) -> Reading:
    """Read one instrument now, in its worker. NanolabError where it does not answer, or is missing."""
    device = instruments.get(role)
    if device is None:
        raise UsageError(f"the bench has no {role}")
    device.trigger().wait(30.0)
    reading: Reading = device.read()
    return reading


def as_off_report(report: Report) -> OffReport:
    """Return a guardian's report as the bench tells it."""
    return OffReport(bool(report["confirmed"]), str(report["detail"]), str(report.get("by_hand", "")))
