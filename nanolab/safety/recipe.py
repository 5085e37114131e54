"""How one laser is told to go off and seen to be off: plain data, so that a process that imports no driver can do it.

A driver offers its recipe as the entry point ``nanolab.off``: a function of (role, address, settings of the device's table
in bench.toml) in a module that imports neither ophyd nor bluesky. The recipe names no secrets and no callables; it travels as
JSON to the guardian and to ``nanolab laser off``.

No safety function in the sense of a standard: the hardware interlock of the laser is.
"""

import json
import math
import re
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from nanolab.errors import NanolabError, UsageError


@dataclass(frozen=True)
class LineRecipe:
    """How bytes travel: serial settings (of no meaning on sockets) and the terminators of commands and replies."""

    kind: str = "serial"
    """``serial`` (pyserial; ``tcp://host:port`` is a plain socket) or ``visa`` (pyvisa: USBTMC, GPIB)."""
    baudrate: int = 9600
    write: str = "\r"
    read: str = "\n"
    pause_s: float = 0.0
    """Least time between a reply and the next command, wall seconds."""


@dataclass(frozen=True)
class OffCheck:
    """One read-back. The reply (surrounding blanks removed) must keep every rule that is given, else it is not off.

    ``equals`` one of these texts (case does not matter); ``below`` a number less than this; ``bit_clear`` a whole
    number in which this bit is 0; ``pattern`` a regular expression for the whole reply. ``reply`` is which line of the
    answer counts, and ``lines`` how many come.
    """

    ask: str
    equals: tuple[str, ...] = ()
    below: float | None = None
    bit_clear: int | None = None
    pattern: str | None = None
    lines: int = 1
    reply: int = 0

    def says_off(self, answer: str) -> bool:
        """Return whether this reply says off; whatever cannot be understood does not."""
        text = answer.strip()
        try:
            return (
                (not self.equals or text.lower() in {word.lower() for word in self.equals})
                and (self.below is None or _less(float(text), self.below))
                and (self.bit_clear is None or not int(float(text)) >> self.bit_clear & 1)
                and (self.pattern is None or re.fullmatch(self.pattern, text) is not None)
            )
        except (ValueError, OverflowError):
            return False


@dataclass(frozen=True)
class OffStep:
    """One command on the way to off. ``reply`` is how many lines come back; they are drained, never believed.

    Where ``unless`` is given the command is a toggle: ask first, and send it only where the answer does not say off.
    Sent blindly it may switch on. Where the question is not answered, open a new connection and ask again.
    """

    send: str
    reply: int = 0
    unless: OffCheck | None = None


def _less(value: float, limit: float) -> bool:
    return math.isfinite(value) and value < limit


@dataclass(frozen=True)
class OffRecipe:
    """All that is needed to turn one laser off and to see it off.

    ``flush`` is sent first: junk with a terminator, which the instrument rejects, so that a command that a dying process
    had half sent is not completed (a bare terminator would carry it out). ``steps`` are sent next, before anything is read.
    Every one of ``checks`` must say off. ``by_hand`` is what to do where off cannot be confirmed. ``several_clients`` says
    whether the instrument takes a second connection beside that of the run.
    """

    device: str
    address: str
    line: LineRecipe
    steps: tuple[OffStep, ...]
    checks: tuple[OffCheck, ...]
    by_hand: str
    flush: str = ""
    flush_reply: int = 0
    several_clients: bool = False
    confirm_within_s: float = 1.0

    def __post_init__(self) -> None:
        if not self.steps or not self.checks:
            raise UsageError(f"the off recipe of '{self.device}' needs at least one command and one read-back")
        for check in (*self.checks, *(step.unless for step in self.steps if step.unless is not None)):
            if not check.equals and check.below is None and check.bit_clear is None and check.pattern is None:
                raise UsageError(f"the off recipe of '{self.device}': the read-back {check.ask!r} has no rule")

    def to_json(self) -> str:
        """Return the recipe as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a recipe; NanolabError where it is none."""
        try:
            raw = json.loads(text)
            unknown = set(raw) - {entry.name for entry in fields(cls)}
            if unknown:
                raise ValueError(f"unknown keys {sorted(unknown)}")
            raw["line"] = LineRecipe(**raw["line"])
            raw["steps"] = tuple(_step(step) for step in raw["steps"])
            raw["checks"] = tuple(_check(check) for check in raw["checks"])
            return cls(**raw)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise NanolabError(f"an off recipe cannot be read: {error}") from error


def _step(raw: dict[str, Any]) -> OffStep:
    unless = raw.get("unless")
    return OffStep(**{**raw, "unless": None if unless is None else _check(unless)})


def _check(raw: dict[str, Any]) -> OffCheck:
    return OffCheck(**{**raw, "equals": tuple(raw["equals"])})
