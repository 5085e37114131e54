"""The daily proof test: the laser emits a little, a person opens its hardware interlock, and the emission is seen to drop.

It tries the one safety function that there is, which is not ours. What it cannot see: whether a light beside the laser's own
read-back (and the power meter, where there is one) went out too.
"""

import datetime
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nanolab.errors import DeviceError, JournalError, NanolabError, RefusedError

if TYPE_CHECKING:
    from nanolab.bench.connect import Bench

FILE = "prooftests.jsonl"
"""In the data folder; one line a test."""

SHARE = 0.1
"""Of the highest power that the laser takes: the least that a person would want in the room during a test."""

SETTLES_S = 3.0
"""Lab time for the emission to be steady before the interlock is opened."""

LOOK_EVERY_S = 0.2

METER_SETTLES_S = 15.0
"""Lab time after the drop for a thermopile to follow."""


class Hand(Protocol):
    """Whoever opens and closes the interlock: a person, or the control port of a simulated bench."""

    def open(self) -> None:
        """Open it, or ask for it."""

    def close(self) -> None:
        """Close it, or ask for it."""


@dataclass(frozen=True)
class ProofTest:
    """What a test has shown. ``dropped_s`` is wall time from the request to the first read-back without emission."""

    time: str
    laser: str
    simulated: bool
    by: str
    power_w: float
    emitted: bool
    dropped: bool
    dropped_s: float | None
    refused_while_open: bool
    off_confirmed: bool
    meter_before_w: float | None
    meter_after_w: float | None

    @property
    def passed(self) -> bool:
        """Whether emission dropped, and could not be switched on again while the interlock was open."""
        return self.emitted and self.dropped and self.refused_while_open and self.off_confirmed


def power_for(laser: Any) -> float:
    """Return the power of the test in W: a tenth of the laser's highest, or the only one that it has."""
    return float(getattr(laser, "powers_w", (SHARE * laser.max_power_w,))[0])


def prove(
    bench: "Bench", hand: Hand, *, by: str, within_s: float, rest: Callable[[float], None], say: Callable[[str], object]
) -> ProofTest:
    """Emit, have the interlock opened, see the drop, see that emission is refused, go off.

    Parameters
    ----------
    bench : Bench
        Open and armed.
    hand : Hand
        Opens and closes the interlock.
    by : str
        Who tests.
    within_s : float
        Wall time for the drop.
    rest : callable
        Lets so many seconds of lab time pass.
    say : callable
        Shows a line.
    """
    laser, thermometer = bench.instruments["laser"], bench.instruments["thermocouple"]
    meter = bench.instruments.get("powermeter")
    power = power_for(laser)
    dropped_s = after_w = None
    refused = False

    def look() -> bool:
        """Read thermometer and laser (who emits has to show a temperature); return whether it emits."""
        thermometer.trigger().wait(30.0)
        laser.trigger().wait(30.0)
        return bool(laser.read()["laser_emitting"]["value"])

    thermometer.trigger().wait(30.0)
    laser.set(power).wait(30.0)
    try:
        emitted = _steady(look, rest)
        before_w = _meter(meter)
        say(f"the laser emits {power:.3g} W; open its interlock (door, plug) now")
        begun = time.monotonic()
        hand.open()
        while dropped_s is None and time.monotonic() - begun < within_s:
            rest(LOOK_EVERY_S)
            if not look():
                dropped_s = time.monotonic() - begun
        if dropped_s is not None:
            refused = _refuses(laser, power)
            rest(METER_SETTLES_S)
            after_w = _meter(meter)
    finally:
        off = bench.emergency_off()
        hand.close()
    return ProofTest(
        datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), laser.identity().get("model", ""),
        bench.simulated["laser"], by, power, emitted, dropped_s is not None,
        None if dropped_s is None else round(dropped_s, 3), refused, off.confirmed, before_w, after_w,
    )  # fmt: skip


def _steady(look: Callable[[], bool], rest: Callable[[float], None]) -> bool:
    emits = False
    for _ in range(round(SETTLES_S / LOOK_EVERY_S)):
        emits = look()
        rest(LOOK_EVERY_S)
    if not emits:
        raise DeviceError("laser", "it was switched on and does not emit, so that its interlock cannot be tested")
    return emits


def _meter(meter: Any) -> float | None:
    """Return what the power meter reads now, W, as it reads; None where there is none or it does not answer."""
    if meter is None:
        return None
    try:
        meter.trigger().wait(30.0)
        return float(meter.read()["powermeter_power"]["value"])
    except (NanolabError, KeyError, RuntimeError):
        return None


def _refuses(laser: Any, power_w: float) -> bool:
    """Return whether the laser refuses to emit while its interlock is open."""
    try:
        laser.set(power_w).wait(30.0)
    except (RefusedError, DeviceError):
        return True
    except Exception as error:  # noqa: BLE001 - a status that failed: bluesky and ophyd wrap what the driver said
        return isinstance(getattr(error.args[0], "exception", lambda: None)(), NanolabError) if error.args else False
    return False


def keep(folder: Path, test: ProofTest) -> Path:
    """Append a test to the log of the data folder and return its path; JournalError where it cannot be written."""
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as log:
            log.write(json.dumps({**asdict(test), "passed": test.passed}) + "\n")
    except OSError as error:
        raise JournalError(f"{path}: the proof test could not be written down ({error.strerror})") from error
    return path
