"""Drivers, simulators, worlds and assays: found by name through entry points, ours exactly as anybody's."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from nanolab.errors import NanolabError, UsageError, nearest

ANALYSES = "nanolab.analyses"
DEVICES = "nanolab.devices"
OFF = "nanolab.off"
PLANS = "nanolab.plans"
SIMULATORS = "nanolab.sims"
WORLDS = "nanolab.worlds"
PAGES = "nanolab.pages"
DASHBOARD = "nanolab.dashboard"

_WORDS = {
    ANALYSES: "analysis of files",
    DASHBOARD: "live page",
    DEVICES: "driver",
    OFF: "off recipe",
    PAGES: "page of an assay",
    PLANS: "plan",
    SIMULATORS: "simulated instrument",
    WORLDS: "simulated world",
}


@cache
def entry_points_of(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name, in alphabetical order."""
    return {point.name: point for point in sorted(entry_points(group=group), key=lambda point: point.name)}


def load(group: str, name: str) -> Any:
    """Import what an entry point names.

    UsageError, naming the nearest, where the name is unknown; NanolabError where it is known but cannot be
    imported.
    """
    known = entry_points_of(group)
    word = _WORDS.get(group, "entry point")
    if name not in known:
        raise UsageError(f"there is no {word} '{name}'; {nearest(name, list(known))}")
    point = known[name]
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise NanolabError(
            f"the {word} '{name}' ({point.value}) cannot be loaded: {error}. "
            "Run `nanolab bench doctor`; a file of yours may hide a package, or an extra is not installed"
        ) from error
