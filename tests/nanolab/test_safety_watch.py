"""The timer: trips a plan that stops reading, in a thread of its own, and ends with its block."""

import threading

import pytest

from nanolab.errors import LimitTripError
from nanolab.interfaces import OffReport, Reading
from nanolab.safety.interlock import Interlock
from nanolab.safety.limits import InterlockSettings, RunLimits
from nanolab.safety.watch import EVERY_S, Watch


class Steps:
    """Lets the timer look as often as a test says, each time at a later wall time."""

    def __init__(self) -> None:
        self.wall_s = 0.0
        self._go = threading.Semaphore(0)
        self._waiting = threading.Semaphore(0)
        self.ended = False

    def wait(self, ending: threading.Event, seconds: float) -> bool:
        assert seconds == EVERY_S
        self._waiting.release()
        self._go.acquire()
        return ending.is_set()

    def step(self, seconds: float) -> None:
        """Have the timer look once, `seconds` later, and wait until it is about to wait again."""
        self._waiting.acquire()
        self.wall_s += seconds
        self._go.release()
        self._waiting.acquire()
        self._waiting.release()

    def let_go(self) -> None:
        self._go.release()


def reading(values: dict[str, float]) -> Reading:
    return {key: {"value": value, "timestamp": 0.0} for key, value in values.items()}


def test_a_plan_that_stops_reading_is_tripped_by_the_timer() -> None:
    steps = Steps()
    offs: list[float] = []

    def off() -> OffReport:
        offs.append(steps.wall_s)
        return OffReport(True, "off")

    interlock = Interlock(
        InterlockSettings(RunLimits(1.0, 60.0, 100.0, 100.0)), off, lab_time=lambda: 0.0, monotonic=lambda: steps.wall_s
    )
    watch = Watch(interlock, wait=steps.wait)
    watch.start()
    interlock.judge(reading({"thermocouple_sample": 25.0}))
    interlock.judge(reading({"laser_emitting": 1, "laser_power": 0.5, "laser_announced": 1}))
    for _ in range(12):
        steps.step(EVERY_S)
    assert offs == []
    steps.step(EVERY_S)
    # within a quarter of a second after the three seconds
    assert offs == [3.25]
    assert interlock.trips[0].rule == "stale_temperature"
    with pytest.raises(LimitTripError, match=r"has not been read for 3\.25 s"):
        interlock.judge(reading({"thermocouple_sample": 25.0}))
    steps.let_go()
    watch.stop()


def test_the_timer_runs_within_its_block_only() -> None:
    looked = threading.Event()

    class Scene:
        def look(self) -> None:
            looked.set()

    watch = Watch(Scene(), every_s=0.001)
    assert not watch.running
    with watch:
        watch.start()  # nothing new
        assert watch.running
        assert looked.wait(10.0)
    assert not watch.running
    watch.stop()
