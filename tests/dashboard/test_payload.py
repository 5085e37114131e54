"""What the canvas gets, read back as the browser reads it."""

import json
from typing import Any

import numpy as np

from dashboard.payload import pack
from nanolab.page import Heat, Level, Panel, Trace


def unpack(payload: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(payload[:4], "little")
    body = 4 + length + (-(4 + length) % 4)
    return json.loads(payload[4 : 4 + length]), payload[body:]


def test_numbers_follow_the_header_as_float32_at_a_multiple_of_four() -> None:
    x = np.array([0.0, 1.0, 2.0])
    band = Trace("model", x, x, "predicted", "dashed", x - 1.0, x + 1.0)
    panel = Panel("a", "A", "t / s", "T / °C", [Trace("m", x, x * 2.0), band], [(0.0, 1.0)], [(1.0, "note")],
                  [Level(5.0, "full scale", True)])  # fmt: skip
    header, body = unpack(pack({"now": 1.0}, [panel]))
    assert header["now"] == 1.0
    [shown] = header["panels"]
    assert [trace["n"] for trace in shown["traces"]] == [3, 3]
    assert [trace["band"] for trace in shown["traces"]] == [False, True]
    assert shown["spans"] == [[0.0, 1.0]]
    assert shown["marks"] == [[1.0, "note"]]
    assert shown["hlines"] == [{"y": 5.0, "label": "full scale", "always": True}]
    assert np.frombuffer(body, "<f4").tolist() == [0, 1, 2, 0, 2, 4, 0, 1, 2, 0, 1, 2, -1, 0, 1, 1, 2, 3]


def test_few_points_have_room_at_the_ends_and_many_begin_at_the_frame() -> None:
    few, many = np.linspace(0.0, 10.0, 5), np.linspace(0.0, 10.0, 200)
    shown = [Panel("p", "P", "t / s", "T / °C", [Trace("", x, x, "measured", "points")]) for x in (few, many)]
    line = Panel("l", "L", "t / s", "T / °C", [Trace("", few, few, "measured", "line")])
    header, _ = unpack(pack({}, [*shown, line]))
    assert [panel["full"] for panel in header["panels"]] == [[-0.1, 10.1], [0.0, 10.0], [0.0, 10.0]]


def test_a_map_comes_newest_row_first_and_is_padded() -> None:
    panel = Panel(
        "h", "H", "λ / nm", "t / s", heat=Heat(np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]), 1.0, 3.0, 0.0, 9.0)
    )
    header, body = unpack(pack({}, [panel]))
    assert (header["panels"][0]["heat"]["w"], header["panels"][0]["heat"]["h"]) == (3, 2)
    assert list(body) == [255, 255, 255, 0, 0, 0, 0, 0]


def test_a_long_curve_keeps_to_the_budget_and_a_zoomed_one_shows_every_reading() -> None:
    x = np.arange(100_000.0)
    panel = Panel("t", "T", "t / s", "T / °C", [Trace("m", x, np.sin(x))])
    whole, _ = unpack(pack({}, [panel], budget=1000))
    assert whole["panels"][0]["traces"][0]["n"] <= 1002
    assert whole["panels"][0]["points"] == 100_000
    near, body = unpack(pack({}, [panel], {"t": (500.0, 900.0)}, budget=1000))
    assert near["panels"][0]["traces"][0]["n"] == 403
    assert np.frombuffer(body, "<f4")[:3].tolist() == [499.0, 500.0, 501.0]
