"""The guardian's loop, in this process: what it is told, when it trips, what it does then."""

import contextlib
import json
import os
import runpy
import signal
import socket
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nanolab import __version__
from nanolab.errors import NanolabError
from nanolab.safety import guard_loop, guardian
from nanolab.safety.door import ask, file_for, published
from nanolab.safety.guard_config import AT_THE_DOOR, GuardConfig, digest, make_toggler
from nanolab.safety.guard_loop import Guardian
from nanolab.testing.guarded import FakeLaser, Wire, words_for

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the guardian needs POSIX so far")


class Guarded:
    """A guardian in a thread, and this test as its run. It gets a heartbeat only when told so."""

    def __init__(self, config: GuardConfig) -> None:
        near, far = socket.socketpair()
        near.settimeout(10.0)
        self.run_side, self.far = near, far
        self._lines = near.makefile("rb")
        self._number = 0
        self.events: list[dict[str, Any]] = []
        try:
            self.guardian = Guardian(far, config)
        except BaseException:
            self.hang_up()
            far.close()
            raise
        self.greeting = self.read()
        self.code: int | None = None
        self._thread = threading.Thread(target=self._run, name="guardian")
        self._thread.start()

    def _run(self) -> None:
        with self.far, contextlib.closing(self.guardian):
            self.code = self.guardian.run()

    def read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._lines.readline())
        return found

    def say(self, wanted: str, **fields: Any) -> int:
        self._number += 1
        self.run_side.sendall(json.dumps({"n": self._number, "do": wanted, **fields}).encode() + b"\n")
        return self._number

    def ask(self, wanted: str, **fields: Any) -> dict[str, Any]:
        number = self.say(wanted, **fields)
        while (reply := self.read()).get("n") != number:
            self.events.append(reply)
        return reply

    def event(self, name: str = "off") -> dict[str, Any]:
        """Return the next event of this kind."""
        while True:
            found = self.events.pop(0) if self.events else self.read()
            if found.get("event") == name:
                return found

    def hang_up(self) -> None:
        self._lines.close()
        self.run_side.close()

    def join(self) -> int | None:
        self._thread.join(20.0)
        assert not self._thread.is_alive()
        return self.code


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def laser() -> Iterator[FakeLaser]:
    with FakeLaser() as fake:
        yield fake


@pytest.fixture
def guard(laser: FakeLaser, tmp_path: Path) -> Iterator[Callable[..., Guarded]]:
    """Make guardians of the fake laser; a heartbeat may be a minute old unless the test says otherwise."""
    made: list[Guarded] = []

    def make(*, recipe: dict[str, Any] | None = None, **options: Any) -> Guarded:
        words = words_for(laser.address, **{"confirm_within_s": 0.2, **(recipe or {})})
        options = {"heartbeat_s": 60.0, "insist_s": 5.0, "log": str(tmp_path / "guardian.jsonl"), **options}
        made.append(Guarded(GuardConfig(words, **options)))
        return made[-1]

    yield make
    laser.stuck = laser.silent = False
    for one in made:
        one.hang_up()
        one.join()


def entries(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "guardian.jsonl").read_text().splitlines()]


# ---- the start


def test_it_greets_after_having_seen_the_laser_off(guard: Callable[..., Guarded], laser: FakeLaser) -> None:
    one = guard()
    greeting = one.greeting
    assert greeting["ready"] is True
    assert greeting["version"] == __version__
    assert greeting["recipe_sha256"] == digest(one.guardian.config.recipe)
    assert greeting["probe"] == ["OUTP1? 0", "STAT:OPER:COND? 0", "MEAS:CURR? 0.0001"]
    assert greeting["problems"] == []
    assert laser.received == ["OUTP1?", "STAT:OPER:COND?", "MEAS:CURR?"]


def test_a_laser_that_is_on_is_told_to_go_off_and_not_guarded(laser: FakeLaser, tmp_path: Path) -> None:
    laser.on = True
    with pytest.raises(NanolabError, match=r"did not read off at the start \(OUTP1\? 1; .*told to go off: confirmed"):
        Guarded(GuardConfig(words_for(laser.address), log=str(tmp_path / "guardian.jsonl")))
    assert not laser.on
    assert [entry["event"] for entry in entries(tmp_path)] == ["refused"]
    laser.on = laser.stuck = True
    with pytest.raises(NanolabError, match=r"NOT CONFIRMED: OUTP1\? 1; .* Turn the key"):
        Guarded(GuardConfig(words_for(laser.address, confirm_within_s=0.1)))


def test_a_laser_that_is_not_there_is_not_guarded() -> None:
    with pytest.raises(ConnectionError, match="cannot be opened"):
        Guarded(GuardConfig(words_for("tcp://127.0.0.1:9")))


def test_problems_with_log_and_file_are_told(
    guard: Callable[..., Guarded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nanolab").write_text("in the way")
    one = guard(log=str(tmp_path / "nanolab" / "log"))
    log, file = one.greeting["problems"]
    assert "log" in log
    assert "`nanolab laser off` will not find it" in file
    assert one.ask("off")["report"]["confirmed"]


# ---- what the run says


def test_every_message_is_answered_under_its_number(guard: Callable[..., Guarded]) -> None:
    one = guard()
    assert one.ask("beat", at=time.monotonic()) == {"n": 1, "tripped": None, "ok": True}
    assert one.ask("lease", seconds=2.0) == {"n": 2, "tripped": None, "ok": True}
    assert one.ask("emitting", on=True) == {"n": 3, "tripped": None, "ok": True}
    status = one.ask("status")
    assert (status["emitting"], status["report"]) == (True, None)
    assert one.ask("emitting", on=False)["ok"]
    assert one.ask("dance") == {"n": 6, "tripped": None, "ok": False, "error": "unknown: 'dance'"}
    for seconds in (0, -1.0, 1e6, "2", True, None):
        answer = one.ask("lease", seconds=seconds)
        assert not answer["ok"]
        assert "up to 120" in answer["error"]
    for junk in (b"junk\n", b"[1]\n", b"\n"):
        one.run_side.sendall(junk)
    assert one.read()["error"] == one.read()["error"] == "this line is no JSON object"


def test_off_is_sent_first_then_everything_is_drained_and_asked(
    guard: Callable[..., Guarded], laser: FakeLaser
) -> None:
    one = guard()
    laser.on = True
    laser.received.clear()
    reply = one.ask("off")
    assert reply["ok"]
    report = reply["report"]
    assert report["confirmed"]
    assert report["why"] == reply["tripped"] == "the run asked for it"
    assert report["checks"][0] == {"ask": "OUTP1?", "answer": "0", "off": True}
    # no junk before it: on a line that carries whole lines only, no half command can be there
    assert laser.received == ["OUTP1 OFF", "OUTP1?", "STAT:OPER:COND?", "MEAS:CURR?"]
    # seen off: with drain and rounds that is some 30 ms, here without a bound on a busy machine
    assert 0 <= report["reaction_ms"] < report["confirm_ms"]


def test_after_off_nothing_is_allowed_any_more(guard: Callable[..., Guarded], laser: FakeLaser) -> None:
    one = guard()
    wire = Wire(one.greeting["relay"])
    assert wire.ask("*IDN?") == "FAKE,LASER,1,1"
    one.ask("off")
    for answer in (one.ask("emitting", on=True), one.ask("lease", seconds=1.0)):
        assert not answer["ok"]
        assert "start a new one" in answer["error"]
    assert one.ask("beat")["ok"]
    with contextlib.suppress(OSError):
        wire.send("OUTP1 ON\n")
    with pytest.raises(OSError):
        wire.read()
    with pytest.raises(ConnectionRefusedError):
        Wire(one.greeting["relay"])
    wire.close()
    assert one.ask("off")["report"]["confirmed"], "asked again, it looks again"
    assert not laser.on


def test_quit_goes_off_answers_and_ends(guard: Callable[..., Guarded], laser: FakeLaser, tmp_path: Path) -> None:
    one = guard()
    laser.on = True
    path = file_for(laser.address)
    assert path.exists()
    assert one.ask("quit")["report"]["confirmed"]
    assert one.join() == 0
    assert not laser.on
    assert not path.exists()
    assert [entry["event"] for entry in entries(tmp_path)] == ["armed", "off", "end"]
    assert entries(tmp_path)[0]["wall"] == pytest.approx(time.time(), abs=60.0)


def test_quit_that_is_not_confirmed_says_so_and_ends(guard: Callable[..., Guarded], laser: FakeLaser) -> None:
    one = guard()
    laser.on = laser.stuck = True
    assert not one.ask("quit")["report"]["confirmed"]
    assert one.join() == 8


# ---- trips


def test_the_end_of_the_socket_trips(guard: Callable[..., Guarded], laser: FakeLaser, tmp_path: Path) -> None:
    one = guard()
    laser.on = True
    one.hang_up()
    assert one.join() == 0
    assert not laser.on
    assert entries(tmp_path)[1]["report"]["why"] == "the run is gone: its control socket is closed"


def test_an_end_of_the_socket_with_an_error_trips(
    guard: Callable[..., Guarded], laser: FakeLaser, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = guard()

    class Broken:
        def recv(self, _size: int) -> bytes:
            raise ConnectionResetError

        def __getattr__(self, name: str) -> Any:
            return getattr(control, name)

    control = one.guardian._control
    monkeypatch.setattr(one.guardian, "_control", Broken())
    one.say("beat")
    assert one.join() == 0
    assert "control socket" in str(one.guardian.tripped)


def test_a_run_that_floods_it_is_heard_a_piece_at_a_time(guard: Callable[..., Guarded]) -> None:
    one = guard()
    control = one.guardian._control

    class Flooded:
        recv = staticmethod(lambda _size: b'{"n": 0, "do": "beat"}\n')
        send = control.send

    one.guardian._control = Flooded()  # type: ignore[assignment]  # as if there were always more
    one.guardian._read_control(0)
    one.guardian._control = control
    assert [one.read()["n"], one.read()["n"]] == [0, 0]
    assert one.ask("status")["n"] == 1


def test_lines_that_came_with_the_end_are_not_handed_on(
    guard: Callable[..., Guarded], laser: FakeLaser, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = guard()
    wire = Wire(one.greeting["relay"])
    assert wire.ask("*IDN?") == "FAKE,LASER,1,1"
    held, go = threading.Event(), threading.Event()
    # so that both arrive in one turn
    monkeypatch.setattr(one.guardian, "_turn", _held(one.guardian._turn, held, go))
    one.say("beat")
    assert held.wait(10.0)
    wire.send("OUTP1 ON\n")
    one.hang_up()
    go.set()
    assert one.join() == 0
    assert "OUTP1 ON" not in laser.received
    wire.close()


def _held(turn: Callable[[float], None], held: threading.Event, go: threading.Event) -> Callable[[float], None]:
    def hold(until_s: float) -> None:
        held.set()
        assert go.wait(10.0)
        turn(until_s)

    return hold


def test_a_heartbeat_that_is_too_old_trips(guard: Callable[..., Guarded], laser: FakeLaser) -> None:
    one = guard(heartbeat_s=0.15)
    one.ask("emitting", on=True)
    one.ask("lease", seconds=60.0)
    event = one.event()
    assert event["tripped"].startswith("no heartbeat of the run for 0.")
    assert event["report"]["confirmed"]


def test_while_the_laser_is_off_a_heartbeat_may_be_ten_times_older(guard: Callable[..., Guarded]) -> None:
    one = guard(heartbeat_s=0.05)
    silent_s = float(one.event()["tripped"].removeprefix("no heartbeat of the run for ").removesuffix(" s"))
    assert silent_s > 0.5


def test_heartbeats_and_leases_are_as_old_as_they_say(guard: Callable[..., Guarded]) -> None:
    one = guard()
    one.ask("emitting", on=True)
    one.ask("beat", at=time.monotonic() - 3600.0)
    assert one.ask("lease", seconds=60.0)["tripped"] is None
    one.say("lease", seconds=60.0, at=time.monotonic() - 3600.0)
    assert "lease" in one.event()["tripped"]


def test_other_words_are_no_heartbeat(guard: Callable[..., Guarded]) -> None:
    one = guard(heartbeat_s=0.3)
    while (reply := one.ask("status"))["tripped"] is None:
        time.sleep(0.01)
    assert reply["tripped"].startswith("no heartbeat")


def test_a_lease_counts_only_while_emitting(guard: Callable[..., Guarded], laser: FakeLaser) -> None:
    one = guard(lease_s=0.1)
    one.ask("emitting", on=True)
    assert one.ask("emitting", on=False)["tripped"] is None
    time.sleep(0.15)
    assert one.ask("status")["tripped"] is None
    laser.on = True
    one.ask("emitting", on=True)
    one.ask("emitting", on=True)
    assert one.event()["tripped"] == "the acquisition loop did not renew its lease while the laser was on"
    assert not laser.on


def test_after_a_stall_of_its_own_it_looks_again(
    guard: Callable[..., Guarded], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = guard(heartbeat_s=0.4)
    real = one.guardian.selector.select

    def late(timeout: float | None = None) -> Any:
        time.sleep(0.6)  # as if the machine had had no time for us
        monkeypatch.undo()
        return real(timeout)

    monkeypatch.setattr(one.guardian.selector, "select", late)
    one.say("beat", at=time.monotonic())
    time.sleep(0.65)
    reply = one.ask("beat", at=time.monotonic())
    assert reply["tripped"] is None, "its heartbeat was old when it woke, but the run was there at once"
    assert one.event()["tripped"].startswith("no heartbeat")


def test_an_end_in_the_second_look_is_what_counts(
    guard: Callable[..., Guarded], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = guard(heartbeat_s=0.2)
    look = one.guardian._second_look

    def slow() -> None:
        one.hang_up()
        look()

    monkeypatch.setattr(one.guardian, "_second_look", slow)
    assert one.join() == 0
    assert one.guardian.tripped == "the run is gone: its control socket is closed"


def test_the_loss_of_the_laser_trips_and_one_new_connection_is_tried(
    guard: Callable[..., Guarded], laser: FakeLaser
) -> None:
    one = guard()
    laser.on = True
    laser.hang_up(0)
    event = one.event()
    assert event["tripped"] == "the connection to the laser is lost: the laser closed the connection"
    assert event["report"]["confirmed"]
    assert len(laser.connections) == 2
    assert not laser.on


def test_a_laser_that_is_lost_for_good_is_not_confirmed(guard: Callable[..., Guarded], laser: FakeLaser) -> None:
    one = guard(insist_s=0.1)
    laser.refuse()
    report = one.event()["report"]
    assert not report["confirmed"]
    assert "cannot be opened" in report["detail"]
    assert report["detail"].endswith("nothing could be sent to it")
    assert report["reaction_ms"] is None
    assert report["by_hand"] == "Turn the key of the laser to off."
    one.hang_up()
    assert one.join() == 8


def test_off_that_is_not_confirmed_is_tried_again(
    guard: Callable[..., Guarded], laser: FakeLaser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard_loop, "AGAIN_S", 0.02)
    one = guard()
    laser.on = laser.stuck = True
    assert not one.ask("off")["report"]["confirmed"]
    laser.stuck = False
    while not (event := one.event())["report"]["confirmed"]:
        pass
    assert event["report"]["why"] == "off was not confirmed, and is tried again"
    assert event["tripped"] == "the run asked for it"


def test_sigterm_after_the_run_is_gone_ends_the_insisting(guard: Callable[..., Guarded], laser: FakeLaser) -> None:
    one = guard(insist_s=600.0)
    laser.on = laser.stuck = True
    one.hang_up()
    while one.guardian.report is None:
        time.sleep(0.01)
    one.guardian.end("the run is gone once more", 600.0)
    assert one.guardian._ending is not None
    assert one.guardian._ending[0] == "the run is gone: its control socket is closed"
    one.guardian.end("it was told to end (SIGTERM)")
    assert one.join() == 8


def test_a_mistake_of_its_own_turns_the_laser_off(
    guard: Callable[..., Guarded], laser: FakeLaser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = guard()
    laser.on = True
    monkeypatch.setattr(one.guardian, "_message", lambda line: 1 / 0)
    one.say("beat")
    assert one.join() == 0
    assert not laser.on
    assert entries(tmp_path)[1]["report"]["why"].startswith("the guardian failed: ZeroDivisionError")


# ---- beside the run


def test_where_the_run_reaches_the_laser_by_itself_it_is_watched_after_a_trip(
    guard: Callable[..., Guarded], laser: FakeLaser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard_loop, "STAND_WATCH_S", 0.02)
    one = guard(recipe={"several_clients": True})
    assert one.greeting["relay"] is None
    own = Wire(laser.address)
    laser.push(b"unasked\n", 0)  # on the guardian's own connection: thrown away
    assert one.ask("off")["report"]["confirmed"]
    looked = laser.received.count("MEAS:CURR?")
    while laser.received.count("MEAS:CURR?") < looked + 2:
        time.sleep(0.005)
    own.send("OUTP1 ON\n")
    event = [one.event(), one.event()][-1]
    assert event["report"]["why"] == "it did not read off any more after it had gone off"
    assert event["report"]["confirmed"]
    assert laser.changes[-1][0] is False
    laser.hang_up(0)
    assert one.event()["report"]["confirmed"], "and where its connection breaks, it is looked at through a new one"
    own.close()


# ---- what belongs to it


def test_heater_and_pump_are_made_safe_after_the_laser(guard: Callable[..., Guarded], laser: FakeLaser) -> None:
    with FakeLaser(on=True) as heater:
        one = guard(make_safe=(words_for(heater.address, device="heater"),))
        one.say("off")
        assert one.event()["report"]["device"] == "laser"
        [report] = one.event("made_safe")["reports"]
        assert (report["device"], report["confirmed"]) == ("heater", True)
        assert not heater.on
        assert one.ask("off")["report"]["confirmed"]
        assert heater.received.count("OUTP1 OFF") == 1


class Fed:
    """A dead-man line that counts, and breaks when it is told so."""

    made: "Fed"

    def __init__(self, send: Callable[[bytes], object], broken: bool = False) -> None:
        Fed.made = self
        self.send = send
        self.frames: list[float] = []
        self.broken = broken
        self.closed = False

    def frame(self) -> None:
        if self.broken:
            raise OSError("the cable is out")
        self.frames.append(time.monotonic())

    def close(self) -> None:
        self.closed = True


TOGGLER = {"make": "fed_for_the_test:Fed"}


@pytest.fixture
def fed(monkeypatch: pytest.MonkeyPatch) -> None:
    # the module of a test file has a name that nobody can import
    module = types.ModuleType("fed_for_the_test")
    monkeypatch.setattr(module, "Fed", Fed, raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(guard_loop, "FRAME_EVERY_S", 0.02)


@pytest.mark.usefixtures("fed")
def test_a_dead_man_line_is_fed_only_while_emission_is_wanted_and_the_lease_holds(
    guard: Callable[..., Guarded],
) -> None:
    one = guard(toggler=TOGGLER)
    one.ask("status")
    assert Fed.made.frames == []
    one.ask("emitting", on=True)
    while len(Fed.made.frames) < 3:
        one.ask("lease", seconds=5.0)
    one.ask("emitting", on=False)
    count = len(Fed.made.frames)
    for _ in range(10):
        one.ask("status")
        time.sleep(0.005)
    assert len(Fed.made.frames) == count
    one.ask("quit")
    one.join()
    assert Fed.made.closed


@pytest.mark.usefixtures("fed")
def test_a_dead_man_line_that_cannot_be_fed_trips(guard: Callable[..., Guarded]) -> None:
    one = guard(toggler={**TOGGLER, "settings": {"broken": True}})
    one.say("emitting", on=True)
    assert one.event()["tripped"] == "the dead-man line cannot be fed: the cable is out"


@pytest.mark.parametrize("table", [{}, {"make": "nowhere:x"}, {"make": "json:nothing"}, {"make": "json:loads"}])
def test_a_dead_man_line_that_cannot_be_made_is_said(table: dict[str, Any]) -> None:
    with pytest.raises(NanolabError, match="the dead-man line cannot be made"):
        make_toggler(table, print)


def test_the_door_lets_off_and_status_in(guard: Callable[..., Guarded], laser: FakeLaser) -> None:
    one = guard()
    laser.on = True
    found = published(file_for(laser.address))
    assert found is not None
    assert (found.device, found.address, found.pid) == ("laser", laser.address, os.getpid())
    assert ask(found, "status", 10.0)["tripped"] is None
    assert ask(found, "on", 10.0) == {"ok": False, "error": "unknown: 'on'"}
    assert ask(found, "off", 10.0)["report"]["confirmed"]
    assert one.event()["tripped"] == AT_THE_DOOR
    assert not laser.on


def test_a_port_that_cannot_be_waited_on_is_asked(guard: Callable[..., Guarded], laser: FakeLaser) -> None:
    one = guard()
    port = one.guardian._line.port
    assert port is not None
    port.fileno = lambda: None  # type: ignore[method-assign]  # as on USB
    wire = Wire(one.greeting["relay"])
    assert wire.ask("*IDN?") == "FAKE,LASER,1,1"
    laser.on = True
    assert one.ask("off")["report"]["confirmed"]
    wire.close()


# ---- the process


def test_the_configuration_is_one_line_and_only_that() -> None:
    config = GuardConfig(words_for("tcp://127.0.0.1:1"), make_safe=(words_for("tcp://127.0.0.1:2"),), log="x")
    assert GuardConfig.from_line(config.to_line()) == config
    for wrong in (b"{}", b"junk", b"[1]", config.to_line().replace(b"insist_s", b"insists")):
        with pytest.raises(NanolabError, match="the guardian's configuration cannot be read"):
            GuardConfig.from_line(wrong)
    with pytest.raises(NanolabError, match=r"the run is nanolab 9\.9"):
        GuardConfig.from_line(config.to_line().replace(__version__.encode(), b"9.9"))
    with pytest.raises(NanolabError, match="lease_s is a positive number of seconds, not -1"):
        GuardConfig(words_for("tcp://127.0.0.1:1"), lease_s=-1)
    with pytest.raises(NanolabError, match="does not say how its lines end"):
        GuardConfig(words_for("tcp://127.0.0.1:1", line=type(config.recipe.line)(write="")))


@pytest.fixture
def as_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Let `main` find a socket at standard input, and put the signals back afterwards."""
    near, far = socket.socketpair()
    near.settimeout(10.0)
    monkeypatch.setattr(os, "dup", lambda _descriptor: far.detach())
    numbers = [signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE, signal.SIGTERM]
    before = {number: signal.getsignal(number) for number in numbers}
    yield near
    for number, handler in before.items():
        signal.signal(number, handler)
    near.close()


def test_main_guards_until_sigterm(as_process: socket.socket, laser: FakeLaser) -> None:
    as_process.sendall(GuardConfig(words_for(laser.address)).to_line() + b'{"n": 1, "do": "status"}\n')

    def terminate() -> None:
        lines = as_process.makefile("rb")
        assert json.loads(lines.readline())["ready"]
        assert json.loads(lines.readline())["n"] == 1
        lines.close()
        os.kill(os.getpid(), signal.SIGINT)  # ignored
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=terminate)
    thread.start()
    assert guardian.main() == 0
    thread.join()


@pytest.mark.parametrize(
    ("sent", "words"),
    [(b"junk\n", "the guardian's configuration cannot be read"), (b"", "the run has gone before it said")],
)
def test_main_says_why_it_does_not_guard(as_process: socket.socket, sent: bytes, words: str) -> None:
    as_process.sendall(sent)
    as_process.shutdown(socket.SHUT_WR)
    assert guardian.main() == 4
    assert words in json.loads(as_process.recv(4096))["error"]


def test_main_needs_a_socket(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = [signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE]
    before = {number: signal.getsignal(number) for number in numbers}
    with Path(os.devnull).open("rb") as nothing:
        monkeypatch.setattr(os, "dup", lambda _descriptor: nothing.fileno())
        # a name that this system does not have is passed over
        monkeypatch.delattr(signal, "SIGTSTP")
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(guardian.__file__), run_name="__main__")
    assert ended.value.code == 2
    assert "the guardian is started by a run" in capsys.readouterr().err
    monkeypatch.undo()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_the_log_goes_on_where_the_run_says(guard: Callable[..., Guarded], tmp_path: Path) -> None:
    one = guard()
    assert one.ask("log", path=str(tmp_path / "run" / "guardian.jsonl"))["ok"]
    assert not one.ask("log", path=str(tmp_path))["ok"]
    one.ask("quit")
    one.join()
    events = [json.loads(line)["event"] for line in (tmp_path / "run" / "guardian.jsonl").read_text().splitlines()]
    assert events[-2:] == ["off", "end"]
