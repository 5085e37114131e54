"""Panels of long runs against hours: nobody reads 60,000 s at an axis."""

from collections.abc import Sequence
from dataclasses import replace

from dashboard.look import Look
from nanolab.page import Panel

LONG_S = 3.0 * 3600.0
SECONDS, HOURS = "t / s", "t / h"


def is_long(look: Look) -> bool:
    """Say whether a run is expected to take hours, or, where nothing is expected of it, has taken them."""
    return float(look.run.start.get("expected_s") or look.elapsed_s) > LONG_S


def in_hours(panels: Sequence[Panel]) -> list[Panel]:
    """Return the panels with times in h; those along time get keys of their own, so that no zoom in s is kept for them."""
    return [_along(panel) if panel.x == SECONDS else _up(panel) for panel in panels]


def _along(panel: Panel) -> Panel:
    return replace(
        panel,
        key=f"{panel.key}-hours",
        x=HOURS,
        traces=[replace(trace, x=trace.x / 3600.0) for trace in panel.traces],
        spans=[(begin / 3600.0, end / 3600.0) for begin, end in panel.spans],
        marks=[(at / 3600.0, words) for at, words in panel.marks],
    )


def _up(panel: Panel) -> Panel:
    """A heat map has its times upwards."""
    if panel.heat is None or panel.y != SECONDS:
        return panel
    return replace(panel, y=HOURS, heat=replace(panel.heat, y0=panel.heat.y0 / 3600.0, y1=panel.heat.y1 / 3600.0))
