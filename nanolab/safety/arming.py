"""Arming: a step of its own between "connected" and "may emit", with conditions in words and, for real light, a person.

The hardware interlock of the laser is the safety function; arming is none. It keeps a laser from being switched on by a
script, a slip, or on a bench whose watchers are not there.
"""

import datetime
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from nanolab.errors import RefusedError
from nanolab.interfaces import Reading
from nanolab.safety.conditions import (
    Condition,
    GuardianLike,
    approved,
    dark,
    limits_set,
    not_needed,
    of_reason,
    probes_alive,
)

if TYPE_CHECKING:
    from nanolab.bench.config import BenchConfig, LaserSafetyConfig

WORD = "arm"
COUNTDOWN_S = 5
NOBODY_THERE = (
    "a real laser is armed by a person at a terminal, and there is none; a script gives --yes, which needs an approval in "
    "[laser_safety] that has not expired"
)


class InterlockLike(Protocol):
    """What arming asks of the interlock."""

    def latched(self) -> str | None:
        """Return the trip that nobody has released, or None."""

    def may_emit(self) -> str | None:
        """Return why emission is refused, or None."""


class AwakeLike(Protocol):
    """What arming asks of the inhibition of sleep."""

    def held(self) -> str | None:
        """Return None while the computer is kept awake, else why not."""


@dataclass(frozen=True)
class Person:
    """Whoever confirms at the terminal; a test puts its own functions here.

    ``ask`` shows a prompt and returns what is typed, ``say`` shows a line, ``wait`` waits wall seconds, ``today`` is the
    calendar, ``terminal`` whether anybody is there.
    """

    ask: Callable[[str], str] = input
    say: Callable[[str], object] = lambda line: sys.stderr.write(line + "\n")
    wait: Callable[[float], object] = time.sleep
    today: Callable[[], datetime.date] = datetime.date.today
    terminal: Callable[[], bool] = lambda: sys.stdin.isatty()


AT_THE_TERMINAL = Person()


@dataclass(frozen=True)
class Safeguards:
    """What stands behind an armed laser; ``guardian`` may be missing where the laser is simulated."""

    interlock: InterlockLike
    awake: AwakeLike
    guardian: GuardianLike | None = None

    def guardian_verified(self) -> str | None:
        """Return why the guardian is not to be relied on, or None."""
        return "there is no guardian" if self.guardian is None else self.guardian.verified()


@dataclass
class Arming:
    """A laser that was armed; `may_emit` is what `DeviceContext.may_emit` asks, before every emission."""

    real: bool
    safeguards: Safeguards
    conditions: tuple[Condition, ...] = ()
    _disarmed: str | None = field(default=None, repr=False)

    def may_emit(self) -> str | None:
        """Return why emission is refused, or None: what can change is looked at again each time."""
        if self._disarmed is not None:
            return self._disarmed
        refusal = self.safeguards.interlock.may_emit()
        if refusal is None and self.real:
            refusal = self.safeguards.guardian_verified()
            refusal = None if refusal is None else f"the guardian is not to be relied on: {refusal}"
        if refusal is None and self.real:
            asleep = self.safeguards.awake.held()
            refusal = None if asleep is None else f"this computer may fall asleep: {asleep}"
        return refusal

    def disarm(self, why: str = "it is not armed any more") -> None:
        """Refuse every further emission; the laser itself is turned off by whoever calls this."""
        self._disarmed = why


def conditions(
    config: "BenchConfig",
    *,
    real: bool,
    safeguards: Safeguards,
    read_probes: Callable[[], Reading],
    read_meter: Callable[[], Reading] | None = None,
    to_sample_plane: float = 1.0,
    today: datetime.date,
    scripted: bool = True,
) -> list[Condition]:
    """Look at every condition; none is left out because another is not met.

    `scripted`: no person types at the terminal, so that an approval has to stand in the bench file.
    """
    limits = config.limits
    found = [
        limits_set(
            not real or "limits" in config.model_fields_set,
            f"{limits.max_power.value:g} W, {limits.max_temperature.value:g} degC, {limits.max_time_on.value:g} s, "
            f"{limits.max_energy.value:g} J",
        ),
        probes_alive(read_probes),
    ]
    if read_meter is not None:
        found.append(dark(read_meter, config.interlock.dark_power.value, to_sample_plane))
    found.append(of_reason("no latched trip", safeguards.interlock.latched(), "none"))
    if not real:
        return [*found, *(not_needed(name) for name in ("guardian", "computer stays awake", "laser-safety approval"))]
    return [
        *found,
        of_reason("guardian", safeguards.guardian_verified(), "alive, and has seen off", "Start it, and look at its own way to the laser"),
        of_reason("computer stays awake", safeguards.awake.held(), "sleep is inhibited", "Use a computer that can be kept awake"),
        approved(config.laser_safety, today) if scripted else not_needed("laser-safety approval", "a person who types"),
    ]  # fmt: skip


def refuse_unattended(safety: "LaserSafetyConfig", *, yes: bool, person: Person = AT_THE_TERMINAL) -> None:
    """Raise RefusedError, before anything is opened, where nobody could arm a real laser later on."""
    if yes:
        approval = approved(safety, person.today())
        if not approval.met:
            raise RefusedError(
                f"real emission is refused: --yes needs an approval: {approval.words}. {approval.remedy}"
            )
    elif not person.terminal():
        raise RefusedError(f"real emission is refused: {NOBODY_THERE}")


def arm(
    found: Sequence[Condition],
    *,
    real: bool,
    safeguards: Safeguards,
    what: str,
    yes: bool = False,
    person: Person = AT_THE_TERMINAL,
) -> Arming:
    """Arm a laser, or raise RefusedError with every condition that is not met.

    A real laser is armed by a person who types the word at a terminal, then counts down with it; `yes` stands for the typing
    (scripts), never for a condition. A simulated laser arms without typing. Ctrl-C at any moment leaves it disarmed.

    Parameters
    ----------
    what : str
        What is about to emit, in words: "the laser of bench X, up to 1.6 W at 808 nm".
    """
    missing = [condition for condition in found if not condition.met]
    if missing:
        lines = "".join(f"\n  {condition.line()}" for condition in missing)
        raise RefusedError(f"the laser is not armed, {len(missing)} of {len(found)} conditions are not met:{lines}")
    if real:
        _confirm(found, what, yes, person)
    return Arming(real, safeguards, tuple(found))


def _confirm(found: Sequence[Condition], what: str, yes: bool, person: Person) -> None:
    for condition in found:
        person.say(condition.line())
    if not yes:
        if not person.terminal():
            raise RefusedError(f"the laser is not armed: {NOBODY_THERE}")
        try:
            typed = person.ask(f"About to arm {what}. Eyewear on, door closed? Type '{WORD}' to go on: ")
        except EOFError:
            typed = ""
        if typed.strip().lower() != WORD:
            raise RefusedError(f"the laser is not armed: '{WORD}' was not typed")
    for left in range(COUNTDOWN_S, 0, -1):
        person.say(f"{what} is armed in {left} s; Ctrl-C stops")
        person.wait(1.0)
