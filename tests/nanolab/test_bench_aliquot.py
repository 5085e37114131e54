"""Aliquots by hand: done at once on the simulated bench, asked of a person on a real one."""

import threading
from collections.abc import Callable

import pytest
from bluesky.protocols import Movable, Readable, Stoppable

from nanolab.bench.aliquot import AliquotTaker
from nanolab.errors import UsageError


def test_the_simulated_bench_does_it_at_once() -> None:
    taken: list[tuple[float, bool]] = []
    device = AliquotTaker(lambda: 7.0, lambda ml, replace: taken.append((ml, replace)))
    assert isinstance(device, Movable)
    assert isinstance(device, Readable)
    assert isinstance(device, Stoppable)
    assert device.read()["aliquot"]["value"] == 0.0
    device.set(0.1).wait(1)
    device.set(0.2, replace=False).wait(1)
    assert taken == [(0.1, True), (0.2, False)]
    assert device.read() == {"aliquot": {"value": 0.2, "timestamp": 7.0}}
    assert device.describe()["aliquot"] == {"source": "simulation", "dtype": "number", "shape": [], "units": "mL"}
    assert device.simulated
    for ml in (0.0, -0.1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="must be above 0"):
            device.set(ml)
    assert len(taken) == 2


def test_a_person_is_told_how_much_to_take_and_to_put_back_and_it_counts_when_confirmed() -> None:
    prompts: list[str] = []
    enter = threading.Event()

    def ask(prompt: str) -> Callable[[float], bool]:
        prompts.append(prompt)
        return enter.wait

    device = AliquotTaker(lambda: 7.0, ask=ask)
    status = device.set(0.15)
    assert "Withdraw 0.15 mL" in prompts[0]
    assert "put 0.15 mL of fresh MEDIUM back, then press Enter" in prompts[0]
    assert not status.done
    assert device.read()["aliquot"]["value"] == 0.0
    enter.set()
    status.wait(5)
    assert device.read()["aliquot"]["value"] == 0.15
    device.set(0.15, replace=False).wait(5)
    assert "put NOTHING back" in prompts[1]
    assert device.describe()["aliquot"]["source"] == "operator"
