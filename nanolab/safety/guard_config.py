"""What a guardian is told when it starts: one line of JSON on its control socket."""

import hashlib
import importlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

from nanolab import __version__
from nanolab.errors import NanolabError
from nanolab.safety.recipe import OffRecipe

BEAT_EVERY_S = 0.1
"""Wall time between two heartbeats of the run."""

HEARTBEAT_S = 1.0
"""While the laser emits a heartbeat older than this trips; ten times older at any time. Less gives false trips under load (GIL held for 0.4 s, all cores busy)."""

LEASE_S = 1.3
"""Length of the first lease, which begins with emission; the acquisition loop renews it."""

LONGEST_LEASE_S = 120.0
"""A lease asked for is at most so long: the longest exposure, and a margin."""

AT_THE_DOOR = "`nanolab laser off` or a STOP asked for it"
"""Why the guardian went off where a person outside the run wished so: no fault, and nothing to be released."""

INSIST_S = 60.0
"""After the run's end, off that is not confirmed is tried again for so long, every second."""


class Toggler(Protocol):
    """A dead-man line: hardware that lets the laser emit only while it is fed. Made by `make_toggler`.

    The guardian feeds it every 150 ms while emission is wanted and the lease holds, and at no other time.
    """

    def frame(self) -> None:
        """Feed it once, at once; never waits. OSError where that cannot be done: the guardian then goes off."""

    def close(self) -> None:
        """Feed no more and let the port go. Never raises."""


def make_toggler(table: Mapping[str, Any], send: Callable[[bytes], object]) -> Toggler:
    """Make the toggler that ``{"make": "module:function", "settings": {...}}`` names; NanolabError, OSError.

    The function is given the settings and `send`, which puts bytes on the laser's own line (a box that is the laser's gate).
    """
    try:
        module, _, function = str(table["make"]).partition(":")
        made: Toggler = getattr(importlib.import_module(module), function)(send, **dict(table.get("settings", {})))
    except (KeyError, ImportError, AttributeError, TypeError, ValueError) as error:
        raise NanolabError(f"the dead-man line cannot be made: {error}") from error
    return made


def digest(recipe: OffRecipe) -> str:
    """Return the SHA-256 of a recipe, by which run and guardian know that they mean the same."""
    return hashlib.sha256(recipe.to_json().encode()).hexdigest()


@dataclass(frozen=True)
class GuardConfig:
    """One laser to guard. Times in wall seconds; ``log`` None writes none; ``toggler`` None feeds none."""

    recipe: OffRecipe
    make_safe: tuple[OffRecipe, ...] = ()
    heartbeat_s: float = HEARTBEAT_S
    lease_s: float = LEASE_S
    insist_s: float = INSIST_S
    log: str | None = None
    toggler: Mapping[str, Any] | None = None
    version: str = __version__

    def __post_init__(self) -> None:
        if not self.recipe.line.write or not self.recipe.line.read:
            raise NanolabError(f"the off recipe of '{self.recipe.device}' does not say how its lines end")
        for name in ("heartbeat_s", "lease_s", "insist_s"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
                raise NanolabError(f"the guardian's {name} is a positive number of seconds, not {value!r}")
        if self.version != __version__:
            raise NanolabError(f"the run is nanolab {self.version} and the guardian {__version__}: install one of them")

    def to_line(self) -> bytes:
        """Return it as one line of JSON."""
        table = {
            **vars(self),
            "recipe": self.recipe.to_json(),
            "make_safe": [recipe.to_json() for recipe in self.make_safe],
        }
        return json.dumps(table).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Read such a line; NanolabError where it is none, or of another version."""
        try:
            table = json.loads(line)
            recipes = tuple(OffRecipe.from_json(text) for text in table.pop("make_safe"))
            return cls(recipe=OffRecipe.from_json(table.pop("recipe")), make_safe=recipes, **table)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NanolabError(f"the guardian's configuration cannot be read: {error}") from error
