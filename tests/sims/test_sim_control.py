"""The control port: every operation, its refusals, and who holds the clock."""

import json
from typing import Any

import numpy as np
import pytest

from sims.control import ControlDesk, LineSession
from sims.instruments.thorlabs_pm100d import PM100DSimulator
from sims.pace import LabClock
from sims.testing import StillWorld


class Desk:
    def __init__(self, speed: float | None = None) -> None:
        self.world = StillWorld()
        self.meter = PM100DSimulator(self.world, np.random.default_rng(0))
        self.meter.role = "powermeter"
        self.switched: list[str] = []
        self.cleared: list[str] = []
        clock = LabClock(self.world, [self.meter], speed)
        self.desk = ControlDesk(
            clock,
            self.world,
            {"powermeter": self.meter},
            fault_switched=self.switched.append,
            cleared=self.cleared.append,
            places=lambda: {"powermeter": {"tcp": "127.0.0.1:1"}},
        )

    def session(self) -> LineSession:
        return self.desk.session()


def ask(session: LineSession, request: Any) -> dict[str, Any]:
    line = request if isinstance(request, bytes) else json.dumps(request).encode()
    (reply,) = session.feed(line + b"\n")
    assert reply.data.endswith(b"\n")
    answer: dict[str, Any] = json.loads(reply.data)
    assert isinstance(answer["ok"], bool)
    assert {"time_s", "speed"} <= answer.keys()
    assert answer["ok"] != ("error" in answer)
    return answer


def test_time_and_advance() -> None:
    session = Desk().session()
    assert ask(session, {"op": "time"}) == {"ok": True, "time_s": 0.0, "speed": "max"}
    assert ask(session, {"op": "advance", "seconds": 1.25}) == {"ok": True, "time_s": 1.25, "speed": "max"}
    assert ask(session, {"op": "advance", "seconds": 0}) == {"ok": True, "time_s": 1.25, "speed": "max"}


def test_only_the_holder_advances_until_it_disconnects() -> None:
    desk = Desk()
    first, second = desk.session(), desk.session()
    assert ask(first, {"op": "advance", "seconds": 1})["ok"]
    refused = ask(second, {"op": "advance", "seconds": 1})
    assert "another client moves the clock" in refused["error"]
    assert refused["time_s"] == 1.0
    assert ask(second, {"op": "load", "cuvette": "blank"})["ok"]  # all else is open to everybody
    second.closed()
    assert ask(first, {"op": "advance", "seconds": 1})["ok"]
    first.closed()
    assert ask(desk.session(), {"op": "advance", "seconds": 1})["time_s"] == 3.0


@pytest.mark.parametrize(
    "line",
    [
        b'{"op": "advance", "seconds": NaN}',
        b'{"op": "advance", "seconds": Infinity}',
        b'{"op": "advance", "seconds": -1}',
        b'{"op": "advance", "seconds": 1e9}',
        b'{"op": "advance", "seconds": true}',
        b'{"op": "advance", "seconds": "1"}',
        b'{"op": "advance"}',
        b'{"op": "advanced", "seconds": 1}',
        b'{"op": 5}',
        b'{"no": "op"}',
        b"[]",
        b"advance 5",
        b"\xff\xfe",
        b'{"op": "load", "cuvette": "samples"}',
        b'{"op": "load"}',
        b'{"op": "load", "cuvette": ["sample"]}',
        b'{"op": "withdraw"}',
        b'{"op": "withdraw", "ml": "0.1"}',
        b'{"op": "withdraw", "ml": true}',
        b'{"op": "withdraw", "ml": NaN}',
        b'{"op": "withdraw", "ml": -0.1}',
        b'{"op": "withdraw", "ml": 0.1, "replace": "yes"}',
        b'{"op": "fault", "instrument": "laser", "fault": "x", "on": true}',
        b'{"op": "fault", "instrument": ["laser"], "fault": "x", "on": true}',
        b'{"op": "fault", "instrument": "powermeter", "fault": "x", "on": true}',
        b'{"op": "fault", "instrument": "powermeter", "fault": "silent", "on": 1}',
        b'{"op": "fault", "instrument": "powermeter"}',
        b'{"op": "clear"}',
    ],
)
def test_bad_requests_get_a_sentence_and_change_nothing(line: bytes) -> None:
    desk = Desk()
    answer = ask(desk.session(), line)
    assert not answer["ok"]
    assert len(answer["error"].split()) > 3
    assert answer["time_s"] == 0.0
    assert desk.world.cuvette == "sample"
    assert desk.meter.active == set()
    assert desk.world.withdrawn == []
    # a refused advance takes no lease
    assert ask(desk.session(), {"op": "advance", "seconds": 1})["ok"]


def test_an_aliquot_is_withdrawn_and_replaced_unless_told_otherwise() -> None:
    desk = Desk()
    answer = ask(desk.session(), {"op": "withdraw", "ml": 0.1})
    assert (answer["ml"], answer["replace"]) == (0.1, True)
    assert ask(desk.session(), {"op": "withdraw", "ml": 0.2, "replace": False})["ok"]
    assert desk.world.withdrawn == [(0.1, True), (0.2, False)]


def test_unknown_operation_names_the_nearest() -> None:
    assert "did you mean 'advance'?" in ask(Desk().session(), {"op": "advanced"})["error"]


def test_advance_is_refused_where_time_runs_by_itself() -> None:
    answer = ask(Desk(speed=4.0).session(), {"op": "advance", "seconds": 1})
    assert answer["speed"] == 4.0
    assert "speed 4" in answer["error"]


def test_faults_are_listed_switched_and_shown() -> None:
    desk = Desk()
    session = desk.session()
    listed = ask(session, {"op": "faults"})
    assert listed["active"] == []
    assert listed["faults"]["powermeter"]["over_range"].startswith("more light than")
    assert all(len(words.split()) > 4 for words in listed["faults"]["powermeter"].values())
    switch = {"op": "fault", "instrument": "powermeter", "fault": "over_range", "on": True}
    assert ask(session, switch)["ok"]
    assert desk.switched == ["powermeter"]
    active = ask(session, {"op": "faults"})["active"]
    assert active == [{"instrument": "powermeter", "fault": "over_range"}]
    assert ask(session, {**switch, "on": False})["ok"]
    assert ask(session, {"op": "faults"})["active"] == []


def test_faults_by_the_clock() -> None:
    desk = Desk()
    session = desk.session()
    switch = {"op": "fault", "instrument": "powermeter", "fault": "silent"}
    assert ask(session, {**switch, "on": False, "at_s": 2.7})["at_s"] == 2.7
    assert ask(session, {**switch, "at_s": 1.3})["ok"]
    seen = []
    for _ in range(8):
        ask(session, {"op": "advance", "seconds": 0.5})
        seen.append((desk.world.time_s, "silent" in desk.meter.active))
    assert [on for _, on in seen] == [False, False, True, True, True, False, False, False]
    assert desk.switched == ["powermeter"] * 2
    for wrong, words in ((1.0, "past"), (True, "lab time"), ("soon", "lab time")):
        assert words in ask(session, {**switch, "at_s": wrong})["error"]


def test_instruments_are_told_with_their_places() -> None:
    answer = ask(Desk().session(), {"op": "instruments"})
    assert answer["instruments"] == {"powermeter": {"tcp": "127.0.0.1:1"}}


def test_add() -> None:
    desk = Desk()
    assert ask(desk.session(), {"op": "add", "what": "enzyme"})["what"] == "enzyme"
    assert desk.world.added == ["enzyme"]
    assert "did you mean 'surfactant'" in ask(desk.session(), {"op": "add", "what": "surfactent"})["error"]


def test_load_and_clear() -> None:
    desk = Desk()
    session = desk.session()
    assert ask(session, {"op": "load", "cuvette": "empty"})["cuvette"] == "empty"
    assert desk.world.cuvette == "empty"
    assert ask(session, {"op": "clear", "instrument": "powermeter"})["ok"]
    assert desk.cleared == ["powermeter"]


def test_lines_in_any_pieces_and_an_endless_one() -> None:
    session = Desk().session()
    assert session.feed(b'{"op":') == []
    assert len(session.feed(b' "time"}\r\n\n{"op": "time"}\n{"o')) == 2
    assert len(session.feed(b'p": "time"}\n')) == 1
    (last,) = session.feed(b"x" * 70000)
    assert last.close
    assert "65536 bytes" in json.loads(last.data)["error"]
