"""The interlock: judges every reading where it arrives, and turns the laser off before it says why.

Drivers hand it each reading in their own worker (`DeviceContext.judge`), so that it judges in any RunEngine and whatever a
plan does with its data; a timer (`nanolab.safety.watch`) looks when nobody reads. The order is: off, seen off, written
down, raised.

No safety function in the sense of a standard: the hardware interlock of the laser is.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nanolab.errors import LimitTripError, NanolabError
from nanolab.interfaces import OffReport, Reading
from nanolab.safety.forecast import Forecast
from nanolab.safety.heating import DisagreeingProbes, FallingWhileHeating, HeatingWithoutRise
from nanolab.safety.latch import RESET, Latch
from nanolab.safety.limits import InterlockSettings
from nanolab.safety.readings import LaserReading, channels_in, error_in, laser_in
from nanolab.safety.rules import (
    Finding,
    FrozenTemperature,
    ImplausibleRate,
    InfiniteTemperature,
    InvalidTemperature,
    MaxEnergy,
    MaxPower,
    MaxTemperature,
    MaxThermalDose,
    MaxTimeOn,
    ReadError,
    Rule,
    StaleTemperature,
)
from nanolab.safety.scene import Budget, Moment, Scene
from nanolab.safety.trip import Trip

LOCK_WITHIN_S = 1.0
"""The timer waits so long, wall time, for a judgement in hand; longer means that the judging itself hangs."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Watched:
    """Names of the devices whose readings count, as in their keys."""

    thermometer: str = "thermocouple"
    laser: str = "laser"


def standard_rules(settings: InterlockSettings) -> list[Rule]:
    """Return every rule with the numbers of the bench; the first that finds something names the trip."""
    limits, numbers = settings.limits, settings.rules
    rules: list[Rule] = [
        MaxTemperature(limits.max_temperature_c),
        InvalidTemperature(),
        InfiniteTemperature(),
        ReadError(),
        StaleTemperature(numbers.max_reading_age_s),
        ImplausibleRate(numbers.max_rate_k_per_s),
        Forecast(limits.max_temperature_c, numbers.reaction_time_s),
        DisagreeingProbes(numbers.max_disagreement_k, numbers.disagreement_s),
        FallingWhileHeating(numbers.max_fall_k, numbers.max_fall_share, numbers.fall_within_s),
        MaxPower(limits.max_power_w),
        MaxEnergy(limits.max_energy_j),
        MaxTimeOn(limits.max_time_on_s),
    ]
    if numbers.frozen_s > 0.0:
        rules.append(FrozenTemperature(numbers.frozen_s))
    if numbers.least_heating_k_per_j > 0.0:
        rules.append(HeatingWithoutRise(numbers.least_heating_k_per_j, numbers.heating_within_s))
    if limits.max_cem43_min is not None:
        rules.append(MaxThermalDose(limits.max_cem43_min))
    return rules


def _nobody(_trip: Trip) -> None:
    """Stand in where nobody wants to be told."""


class Interlock:
    """Judges readings against its rules; latched after the first that breaks one.

    Parameters
    ----------
    settings : InterlockSettings
        Limits and numbers of the rules.
    off : callable
        Turns the laser off and reads it back; returns an OffReport and does not raise.
    lab_time : callable
        Lab time in s, for what the timer sees.
    latch : Latch or None
        Where trips stay until a person releases them; None: in this object only.
    simulated : bool
        Whether the laser is simulated; written into every trip.
    on_trip : callable
        Told of each trip once the laser was told to go off (the run writes it into its journal). What it raises is logged.
    on_untold : callable
        Told of a trip that no reading has raised (the timer, the guardian): the plan may never read again.
    watched : Watched
        Names of thermometer and laser.
    rules : sequence of Rule or None
        In place of `standard_rules`.
    monotonic, wall : callable
        Wall time in s: one that never jumps, and the time of day.
    """

    def __init__(
        self,
        settings: InterlockSettings,
        off: Callable[[], OffReport],
        *,
        lab_time: Callable[[], float],
        latch: Latch | None = None,
        simulated: bool = False,
        on_trip: Callable[[Trip], object] = _nobody,
        on_untold: Callable[[Trip], object] = _nobody,
        watched: Watched = Watched(),
        rules: Sequence[Rule] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.scene = Scene(settings.limits)
        self.trips: list[Trip] = []
        self._off = off
        self._lab_time = lab_time
        self._latch = latch
        self._simulated = simulated
        self._on_trip = on_trip
        self._on_untold = on_untold
        self._watched = watched
        self._rules = list(standard_rules(settings) if rules is None else rules)
        self._monotonic = monotonic
        self._wall = wall
        self._lock = threading.Lock()
        self._inbox: deque[LaserReading] = deque()
        self._budgets: dict[str, Budget] = {}
        self._tripped: Finding | None = None
        self._untold: Finding | None = None
        self._stored = True

    # ---- where readings arrive

    def judge(self, reading: Reading) -> None:
        """Judge one reading of thermometer, laser, or both, in whatever thread it arrives.

        LimitTripError, after the laser was told to go off and read back, where a rule is broken. What is said of a laser that
        is off never waits and never raises: turning off must not hang on a judgement.
        """
        arrived_s = self._monotonic()
        try:
            laser = laser_in(reading, self._watched.laser, arrived_s)
            if laser is not None:
                self._inbox.append(laser)
            if laser is not None and not laser.emitting and not _has_temperature(reading, self._watched.thermometer):
                return
            with self._lock:
                finding, again = self._judged(reading, arrived_s)
        except Exception as error:  # noqa: BLE001 - a judge that fails must end in off, like a broken limit
            finding, again = self._claim(_failed("the judge", error)), False
        if finding is not None:
            if again:
                self._command_off()
            else:
                self._fire(finding, arrived_s, _stamp(reading, self._lab_time))
            if finding.rule != ReadError.name:
                raise self._error(finding)  # a driver whose reading failed raises its own error, which says more

    def look(self) -> None:
        """Look at what time alone breaks: stale readings, budgets. For the timer; turns the laser off and does not raise.

        The next reading that is judged raises then, so that the plan learns of it too.
        """
        now_s = self._monotonic()
        if not self._lock.acquire(timeout=LOCK_WITHIN_S):
            hangs = self._claim(_failed("the judge", TimeoutError("it does not come back")))
            self._tell(self._on_untold, self._fire(hangs, now_s, self._lab_time()))
            return
        try:
            self._take_inbox()
            finding = None if self._tripped else self._first(Moment(self._lab_time(), now_s), timed_only=True)
            if finding is not None:
                self._tripped = self._untold = finding
        finally:
            self._lock.release()
        if finding is not None:
            self._tell(self._on_untold, self._fire(finding, now_s, self._lab_time()))

    def trip(self, rule: str, text: str, *, latch: bool = True) -> None:
        """Trip on what no rule sees: the guardian turned the laser off, or somebody asked for it. Does not raise.

        The next reading that is judged raises. `latch` False: it holds in this process only, and nobody has to release it.
        """
        finding = Finding(rule, math.nan, math.nan, "1", text)
        with self._lock:
            first = self._tripped is None
            if first:
                self._tripped = self._untold = finding
        if first:
            self._tell(self._on_untold, self._fire(finding, self._monotonic(), self._lab_time(), latch=latch))

    # ---- permission

    def may_emit(self) -> str | None:
        """Return why emission is refused, or None: a trip that nobody has released, a budget that is used up."""
        with self._lock:
            self._take_inbox()
            held = self._held()
            return held if held is not None else self._used_up()

    def latched(self) -> str | None:
        """Return the trip that nobody has released, in words, or None."""
        with self._lock:
            return self._held()

    def begin(self, sample: str, *, expects_heating: bool) -> None:
        """Begin with a sample: its budgets go on where they were; what the cuvette before did is forgotten.

        `expects_heating` arms the rule `heating_without_rise`; a blank or an empty cuvette does not heat.
        """
        with self._lock:
            self._take_inbox()
            self.scene.new_sample(expects_heating, self._budgets.setdefault(sample, Budget()))

    def release(self, reason: str, by: str | None = None) -> None:
        """Let go of the trips; a person does this, and says why. UsageError without a reason."""
        if self._latch is not None:
            self._latch.release(reason, by)
        with self._lock:
            self._tripped = self._untold = None
            self._stored = True

    # ---- under the lock

    def _judged(self, reading: Reading, arrived_s: float) -> tuple[Finding | None, bool]:
        """Return what this reading breaks, and whether it only repeats a trip that stands."""
        self._take_inbox()
        channels = channels_in(reading, self._watched.thermometer, arrived_s)
        if channels:
            self.scene.take_temperatures(channels)
        error = error_in(reading, self._watched.thermometer) or error_in(reading, self._watched.laser)
        if error:
            self.scene.error = error
        untold, self._untold = self._untold, None
        if untold is not None:
            return untold, True
        if self._tripped is not None:
            # a laser that emits after a trip is told to go off again; a sample that cools may be watched
            return (self._tripped, True) if self.scene.emitting else (None, False)
        now = Moment(_stamp(reading, self._lab_time), arrived_s)
        self._tripped = self._first(now, timed_only=not channels)
        return self._tripped, False

    def _take_inbox(self) -> None:
        while self._inbox:
            self.scene.take_laser(self._inbox.popleft())

    def _first(self, now: Moment, *, timed_only: bool) -> Finding | None:
        for rule in self._rules:
            if timed_only and not rule.timed:
                continue
            try:
                finding = rule.look(self.scene, now)
            except Exception as error:  # noqa: BLE001 - a rule that fails sees nothing: as bad as a broken limit
                finding = _failed(f"the rule '{rule.name}'", error)
            if finding is not None:
                return finding
        return None

    def _held(self) -> str | None:
        on_file = None if self._latch is None else self._latch.words()
        if self._tripped is None or on_file is not None:
            return on_file
        if self._latch is not None and self._stored:
            self._tripped = self._untold = None  # released by a person, from another process
            return None
        return f"the interlock has tripped ({self._tripped.rule}: {self._tripped.text}); {RESET}"

    def _used_up(self) -> str | None:
        budget, limits = self.scene.budget, self.settings.limits
        dose = math.inf if limits.max_cem43_min is None else limits.max_cem43_min
        for what, spent, limit, unit in (
            ("energy", budget.energy_j, limits.max_energy_j, "J"),
            ("time with the laser on", budget.time_on_s, limits.max_time_on_s, "s"),
            ("thermal dose", budget.dose.minutes, dose, "min (CEM43)"),
        ):
            if spent >= limit:
                return f"the sample's budget of {what} is used up: {spent:.4g} of {limit:g} {unit}; take a new sample, or change [limits]"
        return None

    # ---- off, then the rest

    def _claim(self, finding: Finding) -> Finding:
        """Latch without the lock: whoever holds it does not come back, or failed."""
        self._tripped = self._tripped or finding
        return finding

    def _command_off(self) -> OffReport:
        try:
            return self._off()
        except Exception as error:  # noqa: BLE001 - a laser that cannot even be asked is one whose off is not confirmed
            return OffReport(False, f"the laser could not be asked: {error}", "Turn it off at its key switch")

    def _fire(self, finding: Finding, arrived_s: float, lab_s: float, *, latch: bool = True) -> Trip:
        commanded_s = self._monotonic()
        report = self._command_off()
        off_s = self._monotonic() - commanded_s if report.confirmed else math.nan
        trip = Trip(
            finding.rule, finding.value, finding.limit, finding.unit, finding.text, lab_s, self._wall(),
            commanded_s - arrived_s, off_s, report.confirmed, report.words(), self._simulated,
        )  # fmt: skip
        self.trips.append(trip)
        _log.error("%s; %s", trip.words(), trip.off_detail)
        if latch:
            self._keep(trip)
        else:
            self._stored = False
        self._tell(self._on_trip, trip)
        return trip

    @staticmethod
    def _tell(listener: Callable[[Trip], object], trip: Trip) -> None:
        try:
            listener(trip)
        except Exception:  # noqa: BLE001 - the laser is off and the trip is latched; whoever listens fails alone
            _log.exception("what should happen on a trip failed")

    def _keep(self, trip: Trip) -> None:
        if self._latch is None:
            return
        try:
            self._latch.keep(trip)
        except NanolabError as error:
            self._stored = False
            _log.error("%s; it holds in this process only", error)

    def _error(self, finding: Finding) -> LimitTripError:
        for trip in reversed(self.trips):
            if trip.rule == finding.rule:
                return trip.error()
        return LimitTripError(f"stopped by limit {finding.rule}: {finding.text}; the laser was told to go off")


def _has_temperature(reading: Reading, thermometer: str) -> bool:
    return any(key.startswith(f"{thermometer}_") for key in reading)


def _stamp(reading: Reading, lab_time: Callable[[], float]) -> float:
    """Return the newest lab time in a reading; now, where it has none that can be read."""
    stamps = [entry.get("timestamp") for entry in reading.values()]
    return max((float(stamp) for stamp in stamps if isinstance(stamp, int | float)), default=lab_time())


def _failed(what: str, error: Exception) -> Finding:
    return Finding("judge_failed", math.nan, math.nan, "1", f"{what} failed ({type(error).__name__}: {error})")
