"""A real RunEngine with the journal as its first subscriber."""

import asyncio
import errno
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import event_model
import numpy as np
import pytest
from bluesky import RunEngine
from ophyd import Component as Cpt
from ophyd import Device, Signal

from nanolab.errors import JournalError
from nanolab.journal import RunWriter, open_run, replay
from nanolab.journal.files import Calls


class Spectrum(Signal):
    """A signal that shows an array and says so as our drivers do."""

    def describe(self) -> dict[str, Any]:
        described: dict[str, Any] = super().describe()
        described[self.name].update(dtype="array", shape=list(np.shape(self.get())), dtype_numpy="<f8")
        return described


class Bench(Device):
    """Temperatures, a spectrum, an invalid reading and its reason; a setting."""

    temperature = Cpt(Signal, value=np.float64(21.5))
    count = Cpt(Signal, value=np.int32(3))
    reason = Cpt(Signal, value="open couple")
    spectrum = Cpt(Spectrum, value=np.linspace(0.0, 1.0, 256))
    short = Cpt(Spectrum, value=np.array([1.0, np.nan]))
    wavelengths = Cpt(Spectrum, value=np.linspace(200.0, 1100.0, 256), kind="config")


@pytest.fixture
def engine() -> Iterator[Any]:
    loop = asyncio.new_event_loop()
    made = RunEngine({}, context_managers=[], loop=loop)
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(loop.stop)
        made._th.join(10.0)
        loop.close()


@pytest.fixture
def bench() -> Bench:
    return Bench(name="bench")


def plan(bench: Bench, md: Mapping[str, Any]) -> Any:
    """Read five times, a second signal monitored, one reading not a number."""
    monitored = Signal(name="monitored", value=1.0)

    @bpp.stage_decorator([bench])  # type: ignore[untyped-decorator]  # bluesky's decorators are untyped
    @bpp.monitor_during_decorator([monitored])  # type: ignore[untyped-decorator]  # as above
    @bpp.run_decorator(md=dict(md))  # type: ignore[untyped-decorator]  # as above
    def inner() -> Any:
        for number in range(5):
            # put, not mv: a soft signal waits for ever to become equal to NaN
            bench.temperature.put(float("nan") if number == 3 else 20.0 + number)
            bench.spectrum.put(np.linspace(0.0, 1.0, 256) * number)
            monitored.put(float(number))
            yield from bps.trigger_and_read([bench])
        yield from bps.configure(bench, {})
        yield from bps.trigger_and_read([bench], name="spectra")

    return (yield from inner())


def test_what_a_run_engine_emits_is_replayed_and_valid(tmp_path: Path, engine: Any, bench: Bench) -> None:
    emitted: list[tuple[str, Any]] = []
    metadata = {
        "plan_name": "demo",
        "sample": {"volume_ml": (1.0, 0.02)},
        "simulated": True,
        "prediction": None,
    }
    with RunWriter(tmp_path) as writer:
        engine.subscribe(writer)
        engine.subscribe(lambda name, doc: emitted.append((name, doc)))
        engine(plan(bench, metadata))
        engine(plan(bench, metadata))
        assert writer.stored == writer.durable == len(emitted) / 2
        second = writer.path
    assert second is not None
    first = next(path for path in second.parent.iterdir() if path != second)
    replayed = [*replay(first), *replay(second)]
    assert [name for name, _ in replayed] == [name for name, _ in emitted]
    for (name, doc), (_, expected) in zip(replayed, emitted, strict=True):
        np.testing.assert_equal(doc, dict(expected))
        event_model.schema_validators[event_model.DocumentNames[name]].validate(doc)
    run = open_run(second)
    assert run.status == "finished"
    assert set(run.streams) == {"primary", "spectra", "monitored_monitor"}
    table = run.table("primary")
    np.testing.assert_array_equal(table["bench_temperature"], [20.0, 21.0, 22.0, np.nan, 24.0])
    np.testing.assert_array_equal(table["bench_spectrum"][4], 4 * np.linspace(0.0, 1.0, 256))
    assert table["bench_count"].dtype == np.int32
    assert run.start["sample"] == {"volume_ml": (1.0, 0.02)}
    np.testing.assert_array_equal(run.configuration("primary")["bench_wavelengths"], np.linspace(200, 1100, 256))
    raw = np.fromfile(second / "primary-bench_spectrum.raw", "<f8").reshape(-1, 256)
    np.testing.assert_array_equal(raw, table["bench_spectrum"])


def test_a_full_disk_ends_the_run_and_the_laser_goes_off_before_the_engine_knows(
    tmp_path: Path, engine: Any, bench: Bench
) -> None:
    events = 0
    order: list[str] = []

    def write(fd: int, data: memoryview) -> int:
        if events == 3 and b'"name": "event"' in bytes(data[:60]):
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(fd, data)

    def count(name: str, _: Any) -> None:
        nonlocal events
        events += name == "event"

    @bpp.run_decorator()  # type: ignore[untyped-decorator]  # bluesky's decorators are untyped
    def guarded() -> Any:
        try:
            yield from _forever(bench)
        finally:
            order.append("plan cleans up")

    with RunWriter(tmp_path, calls=Calls(write=write), on_failure=lambda: order.append("laser off")) as writer:
        engine.subscribe(writer)
        engine.subscribe(count)
        with pytest.raises(JournalError, match="No space left"):
            engine(guarded())
        assert order[0] == "laser off"
        assert "plan cleans up" in order
        path = str(writer.path)
    run = open_run(path)
    assert len(run.table("primary")["time"]) == 3
    assert run.status == "failed", "the stop document found room"


def test_a_plan_that_fails_says_so(tmp_path: Path, engine: Any, bench: Bench) -> None:
    @bpp.run_decorator()  # type: ignore[untyped-decorator]  # bluesky's decorators are untyped
    def failing() -> Any:
        yield from bps.trigger_and_read([bench])
        raise ValueError("the plan went wrong")

    with RunWriter(tmp_path) as writer:
        engine.subscribe(writer)
        with pytest.raises(ValueError, match="went wrong"):
            engine(failing())
        assert open_run(str(writer.path)).status == "failed"
    assert not [thread for thread in threading.enumerate() if thread.name == "nanolab-journal-sync"]


def _forever(bench: Bench) -> Any:
    while True:
        yield from bps.checkpoint()
        yield from bps.trigger_and_read([bench])
