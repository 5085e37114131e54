"""Going off by a recipe: what is sent first, what counts as off, and what is done where nothing does."""

import time
from collections.abc import Iterator

import pytest

from nanolab.safety import off
from nanolab.safety.off import LaserLine, OffSeen, go_off, longest_s, make_safe, probe
from nanolab.safety.ports import Port
from nanolab.safety.recipe import LineRecipe, OffCheck, OffRecipe, OffStep
from nanolab.testing.guarded import FakeLaser, words_for
from nanolab.testing.wire import LineServer, ScriptedServer


@pytest.fixture
def laser() -> Iterator[FakeLaser]:
    with FakeLaser(on=True) as fake:
        yield fake


def turn_off(recipe: OffRecipe, *, opened: bool = False) -> OffSeen:
    line = LaserLine(recipe)
    if opened:
        line.open()
    seen = go_off(line, "a test")
    line.close()
    return seen


def test_off_is_sent_drained_and_seen(laser: FakeLaser) -> None:
    before = time.monotonic()
    seen = turn_off(words_for(laser.address))
    assert seen.confirmed
    assert (seen.why, seen.by_hand, seen.device) == ("a test", "", "laser")
    assert seen.detail == "OUTP1? 0; STAT:OPER:COND? 0; MEAS:CURR? 0.0001"
    assert laser.received == ["@@@", "OUTP1 OFF", "OUTP1?", "STAT:OPER:COND?", "MEAS:CURR?"]
    assert seen.sent_monotonic_s is not None
    assert before < seen.sent_monotonic_s < laser.changes[0][1] + 1.0
    assert seen.as_dict()["checks"][0] == {"ask": "OUTP1?", "answer": "0", "off": True}


def test_the_reaction_counts_from_the_moment_the_reason_was_noticed(laser: FakeLaser) -> None:
    line = LaserLine(words_for(laser.address))
    line.open()
    seen = go_off(line, "a test", noticed_s=time.monotonic() - 7.0)
    line.close()
    assert seen.reaction_ms is not None
    assert seen.reaction_ms >= 7000.0
    assert seen.confirm_ms > seen.reaction_ms


def test_without_junk_the_steps_come_first(laser: FakeLaser) -> None:
    assert turn_off(words_for(laser.address, flush="")).confirmed
    assert laser.received[0] == "OUTP1 OFF"


@pytest.mark.parametrize("fault", ["stuck", "garbled", "silent", "chatter"])
def test_what_does_not_read_off_is_not_confirmed(laser: FakeLaser, fault: str) -> None:
    setattr(laser, fault, True)
    seen = turn_off(words_for(laser.address, confirm_within_s=0.1))
    assert not seen.confirmed
    assert seen.by_hand == "Turn the key of the laser to off."
    assert laser.received.count("OUTP1 OFF") >= 1, "said again in every round: the first may have been swallowed"
    expected = {
        "stuck": "OUTP1? 1; STAT:OPER:COND? 2048; MEAS:CURR? 0.35",
        "garbled": "OUTP1? ~#?{}; STAT:OPER:COND? ~#?{}; MEAS:CURR? ~#?{}",
        "silent": "OUTP1? (no answer); STAT:OPER:COND? (no answer); MEAS:CURR? (no answer)",
        "chatter": "it sends what was not asked for",
    }
    assert expected[fault] in seen.detail


def test_a_laser_that_obeys_late_is_confirmed_late(laser: FakeLaser) -> None:
    laser.stuck = True
    line = LaserLine(words_for(laser.address, confirm_within_s=10.0))

    def wait(port: Port, until_s: float) -> None:
        laser.stuck = laser.received.count("MEAS:CURR?") < 3
        off.wait_on(port, until_s)

    seen = go_off(line, "a test", wait=wait)
    line.close()
    assert seen.confirmed
    assert laser.received.count("OUTP1 OFF") >= 3
    assert laser.received.count("@@@") == 1


def test_an_old_answer_in_the_buffer_does_not_pass_for_off(laser: FakeLaser) -> None:
    laser.stuck = True
    line = LaserLine(words_for(laser.address, confirm_within_s=0.1))
    line.open()
    line.say("*IDN?")
    while not line.lines():
        off.wait_on(line.held(), time.monotonic() + 1.0)
    laser.push(b"0\n0\n0.0\n0\n0\n0.0\n")
    assert not go_off(line, "a test").confirmed
    line.close()


def test_an_old_answer_that_comes_late_makes_the_round_count_for_nothing(laser: FakeLaser) -> None:
    # a reply too many, behind the drain: all answers are one question late, and each of them says off
    laser.on = False
    line = LaserLine(words_for(laser.address, confirm_within_s=5.0, checks=(OffCheck("OUTP1?", equals=("0",)),)))
    line.open()
    pushed: list[str] = []

    def wait(port: Port, until_s: float) -> None:
        if laser.received[-1:] == ["OUTP1?"] and not pushed:
            pushed.append("0")
            laser.push(b"0\n")
        off.wait_on(port, until_s)

    seen = go_off(line, "a test", wait=wait)
    line.close()
    assert seen.confirmed
    assert laser.received.count("OUTP1?") >= 2


def test_replies_to_the_steps_are_waited_for_and_not_believed() -> None:
    script = [("@@@", b"Syntax error\n"), ("p 0", b"OK\n"), ("l0", b"0\n"), ("l?", b"0\n"), ("status", b"A\noff\n")]
    with ScriptedServer(script) as server:
        words = words_for(
            server.address,
            steps=(OffStep("p 0", 1), OffStep("l0", 1)),
            checks=(OffCheck("l?", equals=("0",)), OffCheck("status", lines=2, reply=1, pattern="OFF|off")),
            flush_reply=1,
            confirm_within_s=5.0,
        )
        seen = turn_off(words)
    assert seen.detail == "l? 0; status off"
    assert seen.confirmed


def test_an_instrument_that_needs_a_pause_gets_it(laser: FakeLaser, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    real = time.sleep

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        real(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    line = LineRecipe(kind="serial", write="\n", read="\n", pause_s=0.005)
    assert turn_off(words_for(laser.address, line=line)).confirmed
    # between junk and step, and between each answer and the next question
    assert len(slept) >= 3
    assert max(slept) <= 0.005


def test_a_connection_that_breaks_is_replaced_once(laser: FakeLaser) -> None:
    line = LaserLine(words_for(laser.address))
    line.open()
    line.say("*IDN?")
    while not line.lines():
        off.wait_on(line.held(), time.monotonic() + 1.0)
    laser.hang_up()
    seen = go_off(line, "a test")
    line.close()
    assert seen.confirmed
    assert len(laser.connections) == 2
    laser.closing = True
    line.open()
    seen = go_off(line, "a test")
    assert not seen.confirmed
    assert "closed" in seen.detail
    assert len(laser.connections) == 4, "one new connection, not one for every try"


def test_a_connection_on_which_nothing_is_heard_is_replaced_once(laser: FakeLaser) -> None:
    # a half-sent block swallows everything: only a new connection helps
    deaf = LineServer(lambda line: b"")
    line = LaserLine(words_for(laser.address, confirm_within_s=0.2))
    line.open()
    port = line.port
    with deaf:
        swallowed = LaserLine(words_for(deaf.address, confirm_within_s=0.2))
        swallowed.open()
        line.port, swallowed.port = swallowed.port, port
        seen = go_off(line, "a test")
        assert seen.confirmed
        assert not laser.on
        line.close()
        swallowed.close()


def test_one_that_was_opened_for_this_is_kept_though_it_is_silent(laser: FakeLaser) -> None:
    laser.silent = True
    assert not turn_off(words_for(laser.address, confirm_within_s=0.1)).confirmed
    assert len(laser.connections) == 1


def test_a_laser_that_is_not_there(laser: FakeLaser) -> None:
    laser.refuse()
    seen = turn_off(words_for(laser.address))
    assert not seen.confirmed
    assert (seen.reaction_ms, seen.sent_monotonic_s, seen.checks) == (None, None, ())
    assert seen.detail.endswith("nothing could be sent to it")


def test_words_that_no_line_can_carry_are_not_confirmed(laser: FakeLaser) -> None:
    seen = turn_off(words_for(laser.address, steps=(OffStep("µ"),)))
    assert not seen.confirmed
    assert "ascii" in seen.detail


def test_an_instrument_that_babbles_is_asked_all_the_same(laser: FakeLaser) -> None:
    line = LaserLine(words_for(laser.address, confirm_within_s=0.05))
    line.open()

    def wait(port: Port, until_s: float) -> None:
        laser.push(b"babble\n")
        off.wait_on(port, until_s)

    line.say("*IDN?")
    while not line.lines():
        off.wait_on(line.held(), time.monotonic() + 1.0)
    seen = go_off(line, "a test", wait=wait)
    limit = time.monotonic() + 10.0
    while "OUTP1?" not in laser.received:
        assert time.monotonic() < limit, "it was not asked"
    line.close()
    assert len(seen.checks) == 3


def test_a_probe_asks_and_switches_nothing(laser: FakeLaser) -> None:
    line = LaserLine(words_for(laser.address))
    line.open()
    assert [(seen.answer, seen.off) for seen in probe(line)] == [("1", False), ("2048", False), ("0.35", False)]
    assert "OUTP1 OFF" not in laser.received
    line.close()
    with pytest.raises(ConnectionError, match="there is no connection to the laser"):
        probe(line)


def test_heaters_are_made_safe_each_on_a_connection_of_its_own(laser: FakeLaser) -> None:
    with FakeLaser(on=True) as heater:
        reports = make_safe([words_for(heater.address, device="heater"), words_for(laser.address)], "a test")
    assert [(report["device"], report["confirmed"]) for report in reports] == [("heater", True), ("laser", True)]


def test_waiting_on_a_port_without_a_descriptor_is_short(laser: FakeLaser) -> None:
    line = LaserLine(words_for(laser.address))
    line.open()
    port = line.held()
    port.fileno = lambda: None  # type: ignore[method-assign]  # as on USB
    assert go_off(line, "a test").confirmed
    line.close()


def test_the_longest_way_to_off_is_bounded() -> None:
    recipe = words_for("tcp://127.0.0.1:1")
    assert longest_s(recipe) < 10.0
    assert longest_s(recipe, (recipe,)) > longest_s(recipe)


def test_without_any_time_to_drain_it_is_asked_all_the_same(laser: FakeLaser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(off, "DRAIN_WITHIN_S", 0.0)
    assert turn_off(words_for(laser.address)).confirmed


class Toggled:
    """A shutter controller that echoes, and whose only command turns what it is into the other."""

    def __init__(self, enabled: bool, hears_questions: bool = True) -> None:
        self.enabled, self.hears_questions = enabled, hears_questions
        self.toggles = 0

    def __call__(self, line: str) -> bytes:
        if line == "ens":
            self.enabled, self.toggles = not self.enabled, self.toggles + 1
            return b"ens\r"
        if not self.hears_questions:
            return b""
        return f"{line}\r{int(self.enabled)}\r".encode()


@pytest.mark.parametrize(
    ("enabled", "hears", "toggles", "confirmed"),
    [(True, True, 1, True), (False, True, 0, True), (True, False, 0, False)],
)
def test_what_only_toggles_is_asked_first_and_never_sent_blindly(
    enabled: bool, hears: bool, toggles: int, confirmed: bool
) -> None:
    shut = OffCheck("ens?", equals=("0",), lines=2, reply=1)
    controller = Toggled(enabled, hears)
    with LineServer(controller, ends=b"\r") as server:
        recipe = OffRecipe(
            "shutter", server.address, LineRecipe(write="\r", read="\r"), (OffStep("ens", reply=1, unless=shut),),
            (shut,), "Close it by hand.", confirm_within_s=0.6,
        )  # fmt: skip
        line = LaserLine(recipe)
        seen = go_off(line, "a test")
        line.close()
    assert seen.confirmed is confirmed
    assert controller.toggles == toggles
