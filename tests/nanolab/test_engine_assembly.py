"""The engine: journal first and strong, consumers that may fail, lab time, signals that turn the laser off first."""

import gc
import os
import signal
import threading
from collections.abc import Generator, Mapping
from typing import Any

import bluesky.plan_stubs as bps
import pytest
from bluesky.utils import Msg

from nanolab.engine.assembly import Engine, FanOut, stop_signals
from nanolab.engine.clock import ScaledClock, VirtualClock, WallClock
from nanolab.errors import LimitTripError, NanolabError


class Journal:
    def __init__(self) -> None:
        self.names: list[str] = []

    def write(self, name: str, _doc: Mapping[str, Any]) -> None:
        self.names.append(name)


def small_plan(inner: Any = None) -> Generator[Msg, Any, Any]:
    yield from bps.open_run()
    if inner is not None:
        yield from inner()
    yield from bps.close_run()


@pytest.fixture
def virtual() -> VirtualClock:
    time = [0.0]

    def advance(seconds: float) -> float:
        time[0] += seconds
        return time[0]

    return VirtualClock(0.0, advance)


def test_a_bound_method_as_journal_is_kept_alive(virtual: VirtualClock) -> None:
    journal = Journal()
    engine = Engine(virtual, journal.write, lambda: None)
    gc.collect()
    outcome = engine.run(small_plan())
    assert journal.names == ["start", "stop"]
    assert len(outcome.uids) == 1
    assert outcome.error is None


def test_sleep_moves_lab_time_and_nothing_else(virtual: VirtualClock) -> None:
    engine = Engine(virtual, lambda _n, _d: None, lambda: None)
    outcome = engine.run(small_plan(lambda: bps.sleep(3600.0)))
    assert outcome.error is None
    assert virtual.now() == 3600.0


def test_a_consumer_that_raises_is_left_out_and_the_run_goes_on(virtual: VirtualClock) -> None:
    engine = Engine(virtual, lambda _n, _d: None, lambda: None)
    seen: list[str] = []

    def broken(_name: str, _doc: Mapping[str, Any]) -> None:
        raise ValueError("no plot today")

    engine.fan_out.add(broken)
    engine.fan_out.add(lambda name, _doc: seen.append(name))
    assert engine.run(small_plan()).error is None
    assert seen == ["start", "stop"]
    assert len(engine.fan_out.failures) == 1
    assert "no plot today" in engine.fan_out.failures[0]


def test_removing_a_consumer_twice_is_harmless() -> None:
    fan_out = FanOut()
    seen: list[str] = []

    def consumer(name: str, _doc: Mapping[str, Any]) -> None:
        seen.append(name)

    fan_out.add(consumer)
    fan_out.remove(consumer)
    fan_out.remove(consumer)
    fan_out("start", {})
    assert seen == []


def test_a_journal_that_fails_ends_the_run(virtual: VirtualClock) -> None:
    def full(name: str, _doc: Mapping[str, Any]) -> None:
        if name == "start":
            raise OSError("disk full")

    outcome = Engine(virtual, full, lambda: None).run(small_plan())
    assert isinstance(outcome.error, OSError)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_turns_the_laser_off_first_and_closes_the_run(number: int, virtual: VirtualClock) -> None:
    order: list[str] = []
    docs: list[Mapping[str, Any]] = []

    def journal(name: str, doc: Mapping[str, Any]) -> None:
        order.append(name)
        docs.append(doc)

    engine = Engine(WallClock(), journal, lambda: order.append("off"))

    def inner() -> Generator[Msg, Any, Any]:
        yield from bps.checkpoint()
        os.kill(os.getpid(), number)
        yield from bps.sleep(30.0)

    outcome = engine.run(small_plan(inner))
    assert outcome.signal_number == number
    assert order == ["start", "off", "stop"]
    assert docs[-1]["exit_status"] == "abort"
    assert "laser was turned off first" in docs[-1]["reason"]


def test_signal_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_signals(lambda _n: None):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_further_signals_do_not_repeat_the_action() -> None:
    calls: list[int] = []
    with stop_signals(calls.append) as received:
        for _ in range(3):
            signal.raise_signal(signal.SIGTERM)
    assert calls == [signal.SIGTERM]
    assert received == [signal.SIGTERM] * 3


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    caught: list[list[int]] = []

    def work() -> None:
        with stop_signals(lambda _n: None) as received:
            caught.append(received)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert caught == [[]]


def test_scaled_clock_follows_the_server() -> None:
    wall = [100.0]
    clock = ScaledClock(5.0, 10.0, monotonic=lambda: wall[0])
    wall[0] += 2.0
    assert clock.now() == pytest.approx(25.0)
    assert not clock.wall
    assert ScaledClock(0.0, 1.0).wall
    with pytest.raises(ValueError, match="speed must be positive"):
        ScaledClock(0.0, 0.0)


def test_a_run_that_is_ended_from_a_thread_has_that_error(virtual: VirtualClock) -> None:
    engine = Engine(virtual, lambda _n, _d: None, lambda: None)
    error = LimitTripError("stopped by limit guardian: it is gone")

    def inner() -> Generator[Msg, Any, Any]:
        engine.end(error)
        while True:
            yield from bps.sleep(1.0)

    outcome = engine.run(small_plan(inner))
    assert outcome.error is error
    assert engine.RE.state == "idle"
    assert engine.run(small_plan()).error is None


def test_a_pause_that_nobody_can_end_here_is_an_error(virtual: VirtualClock) -> None:
    engine = Engine(virtual, lambda _n, _d: None, lambda: None)
    outcome = engine.run(small_plan(bps.pause))
    assert isinstance(outcome.error, NanolabError)
    assert "aborted" in str(outcome.error)


def test_a_clean_up_that_fails_is_told(virtual: VirtualClock) -> None:
    engine = Engine(virtual, lambda _n, _d: None, lambda: None)

    def inner() -> Generator[Msg, Any, Any]:
        try:
            yield from bps.pause()
        finally:
            raise RuntimeError("the clean-up fails")

    outcome = engine.run(small_plan(inner))
    assert isinstance(outcome.error, RuntimeError)
