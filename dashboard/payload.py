"""Panels as the canvas component takes them: a header in JSON, then all numbers as float32, in one piece of bytes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dashboard.decimate import as_bytes, inside, min_max
from nanolab.page import Array, Panel, Trace

FEW, ROOM = 150, 0.01
"""Points that are drawn large are not cut in half at the ends: room on either side as a share of the range."""
POINTS = 1200
"""Budget of one curve: about one point a pixel of a wide panel, lowest and highest of each bucket."""

Zooms = Mapping[str, tuple[float, float]]


def pack(header: Mapping[str, Any], panels: Sequence[Panel], zooms: Zooms | None = None, budget: int = POINTS) -> bytes:
    """Return the payload. Curves are thinned to `budget` points, within the range of x that a panel is zoomed to."""
    described, body = [], []
    for panel in panels:
        shown, numbers = _panel(panel, None if zooms is None else zooms.get(panel.key), budget)
        described.append(shown)
        body.extend(numbers)
    head = json.dumps({**header, "panels": described}, allow_nan=False).encode("utf-8")
    padding = b"\0" * (-(4 + len(head)) % 4)
    return b"".join([len(head).to_bytes(4, "little"), head, padding, *body])


def _panel(panel: Panel, zoom: tuple[float, float] | None, budget: int) -> tuple[dict[str, Any], list[bytes]]:
    body: list[bytes] = []
    traces = []
    for trace in panel.traces:
        shown, numbers = _trace(trace, zoom, budget)
        traces.append(shown)
        body.append(numbers)
    described: dict[str, Any] = {
        "id": panel.key,
        "title": panel.title,
        "x": panel.x,
        "y": panel.y,
        "area": panel.area,
        "link": panel.link,
        "symmetric": panel.symmetric,
        "words": panel.words,
        "alt": panel.alt or panel.title,
        "empty": panel.empty,
        "newest": panel.newest,
        "stale": panel.stale_s,
        "points": sum(trace.x.size for trace in panel.traces),
        "traces": traces,
        "full": _full_range(panel),
        "spans": [list(span) for span in panel.spans],
        "marks": [list(mark) for mark in panel.marks],
        "hlines": [{"y": level.y, "label": level.label, "always": level.always} for level in panel.levels],
    }
    if panel.heat is not None:
        heat = panel.heat
        # newest row first: pictures begin at the top
        pixels, low, high = as_bytes(heat.values[::-1])
        described["heat"] = {
            "w": pixels.shape[1], "h": pixels.shape[0], "x0": heat.x0, "x1": heat.x1, "y0": heat.y0, "y1": heat.y1,
            "low": low, "high": high,
        }  # fmt: skip
        body.append(pixels.tobytes() + b"\0" * (-pixels.size % 4))
    return described, body


def _full_range(panel: Panel) -> list[float] | None:
    """Return the abscissae between which all curves lie, whatever of them is sent; None where there are none."""
    ends = [float(x) for trace in panel.traces if trace.x.size for x in (trace.x[0], trace.x[-1])]
    if not ends or min(ends) >= max(ends):
        return None
    few = any(trace.style == "points" and trace.x.size <= FEW for trace in panel.traces)
    room = ROOM * (max(ends) - min(ends)) if few else 0.0
    return [min(ends) - room, max(ends) + room]


def _trace(trace: Trace, zoom: tuple[float, float] | None, budget: int) -> tuple[dict[str, Any], bytes]:
    if trace.lower is not None and trace.upper is not None:
        # a band comes from a model on a grid of its own, a few hundred points: nothing to thin out
        columns: list[Array] = [trace.x, trace.y, trace.lower, trace.upper]
    else:
        columns = list(min_max(*inside(trace.x, trace.y, zoom), budget))
    described = {
        "label": trace.label,
        "role": trace.role,
        "style": trace.style,
        "n": int(columns[0].size),
        "band": len(columns) == 4,
    }
    return described, b"".join(np.ascontiguousarray(column, dtype="<f4").tobytes() for column in columns)
