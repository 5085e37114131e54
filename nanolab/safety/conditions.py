"""What must be true before a laser is armed: each condition with its words and what to do where it is not met."""

import datetime
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from nanolab.errors import NanolabError
from nanolab.interfaces import Reading
from nanolab.safety.readings import channels_in
from nanolab.safety.scene import SAMPLE

if TYPE_CHECKING:
    from nanolab.bench.config import LaserSafetyConfig

TESTED_WITHIN_DAYS = 366
"""A hardware interlock that nobody has tried for a year is not known to work."""


class GuardianLike(Protocol):
    """The process that turns the laser off when this one cannot."""

    def verified(self) -> str | None:
        """Return None where it lives and has seen its own way to off work, else why not."""


@dataclass(frozen=True)
class Condition:
    """One condition of arming: its name, whether it is met, what was found, what to do."""

    name: str
    met: bool
    words: str
    remedy: str = ""

    def line(self) -> str:
        """Say it in one line."""
        mark = "ok " if self.met else "NO "
        return f"{mark} {self.name}: {self.words}" + (f". {self.remedy}" if self.remedy and not self.met else "")


def of_reason(name: str, reason: str | None, words: str, remedy: str = "") -> Condition:
    """Return a condition that is met where there is no reason against it."""
    return Condition(name, reason is None, words if reason is None else reason, remedy)


def not_needed(name: str, whom: str = "a simulated laser") -> Condition:
    """Return a condition that need not be met."""
    return Condition(name, True, f"not needed for {whom}")


def limits_set(stated: bool, words: str) -> Condition:
    """Limits that a person has written into the bench file: those of nobody's choosing protect no real sample."""
    found = words if stated else "the bench file has no [limits]"
    return Condition("limits", stated, found, "Write [limits] with the highest power and temperature of this bench")


def probes_alive(read: Callable[[], Reading], name: str = "thermocouple") -> Condition:
    """Read the thermometer now: every probe in the sample must give a temperature."""
    remedy = "Look at the probe and its cable"
    try:
        probes = [probe for probe in channels_in(read(), name, 0.0) if probe.channel.startswith(SAMPLE)]
    except NanolabError as error:
        return Condition("probes alive", False, str(error), remedy)
    dead = [f"'{probe.channel}' ({probe.reason})" for probe in probes if not probe.known]
    if dead or not probes:
        return Condition(
            "probes alive", False, f"no temperature from {', '.join(dead) or 'any probe in the sample'}", remedy
        )
    return Condition("probes alive", True, ", ".join(f"{probe.channel} {probe.value_c:.2f} degC" for probe in probes))


def dark(read: Callable[[], Reading], limit_w: float, to_sample_plane: float, name: str = "powermeter") -> Condition:
    """Read the power meter now, the laser being off: at most `limit_w` in the sample plane."""
    remedy = "Find the light: room light, another laser, or a meter that wants a dark zero"
    try:
        reading = read()
        power_w = float(reading[f"{name}_power"]["value"]) * to_sample_plane
    except (NanolabError, KeyError, TypeError, ValueError) as error:
        return Condition("dark before arming", False, f"the power meter cannot be read ({error})", remedy)
    if not math.isfinite(power_w):
        reason = reading.get(f"{name}_reason", {}).get("value") or "no valid reading"
        return Condition("dark before arming", False, f"the power meter gives no power ({reason})", remedy)
    words = f"{power_w * 1e3:.2g} mW in the sample plane, at most {limit_w * 1e3:g} mW is dark"
    return Condition("dark before arming", abs(power_w) <= limit_w, words, remedy)


def approved(safety: "LaserSafetyConfig", today: datetime.date) -> Condition:
    """Approval of the person responsible: named, not expired, beam enclosed, hardware interlock tested within a year."""
    problems = []
    if not safety.name.strip():
        problems.append("nobody has approved this laser (name)")
    if safety.expires is None or safety.expires < today:
        ended = "has no last day (expires)" if safety.expires is None else f"ended on {safety.expires.isoformat()}"
        problems.append(f"the approval {ended}")
    if not safety.enclosed_beam:
        problems.append("the beam is not said to be enclosed (enclosed_beam)")
    tested = safety.interlock_tested
    if tested is None or not datetime.timedelta(0) <= today - tested <= datetime.timedelta(TESTED_WITHIN_DAYS):
        when = "never" if tested is None else f"on {tested.isoformat()}"
        problems.append(f"the hardware interlock was tested {when}, and not within the year before today")
    if problems:
        remedy = "Have whoever is responsible for laser safety fill in [laser_safety] of the bench file"
        return Condition("laser-safety approval", False, "; ".join(problems), remedy)
    return Condition("laser-safety approval", True, f"by {safety.name.strip()}, until {safety.expires}")
