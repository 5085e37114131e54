"""The laser's own driver through the guardian: nothing of it knows that a process stands between it and the laser."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.thorlabs_itc4000 import ThorlabsITC4005
from nanolab.interfaces import DeviceContext
from nanolab.safety.guard_client import GuardClient
from nanolab.testing.guarded import WORDS, ServedBench, served_bench, words_for

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the guardian needs POSIX so far")


@pytest.fixture(scope="module")
def bench() -> Iterator[ServedBench]:
    with served_bench() as served:
        yield served


@pytest.fixture
def guard(bench: ServedBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GuardClient]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    client = GuardClient.start(words_for(bench.laser, line=WORDS.line))
    yield client
    assert client.close()["confirmed"]


@pytest.fixture
def laser(guard: GuardClient) -> Iterator[ThorlabsITC4005]:
    table = {
        "wavelength": "808 nm",
        "max_power": "1.5 W",
        "slope": "0.9 W/A",
        "threshold_current": "0.3 A",
        "current_limit": "2.5 A",
    }
    settings = ThorlabsITC4005.Settings.model_validate(table)
    context = DeviceContext(
        name="laser",
        address=guard.relay_address,
        settings=settings,
        simulated=True,
        lab_time=lambda: 0.0,
        may_emit=guard.may_emit,
    )
    device = ThorlabsITC4005(context)
    device.connect()
    yield device
    device.disconnect()


def emit(laser: ThorlabsITC4005, guard: GuardClient) -> None:
    guard.emitting(True)
    guard.renew(60.0)
    laser.set(0.5).wait(20.0)


def test_the_driver_emits_reads_and_goes_off_through_the_guardian(
    laser: ThorlabsITC4005, guard: GuardClient, bench: ServedBench
) -> None:
    assert laser.identity()["model"] == "ITC4005"
    emit(laser, guard)
    assert bench.emissions()[-1][0]
    laser.trigger().wait(20.0)
    assert laser.read()["laser_emitting"]["value"] == 1
    report = laser.off()
    assert report.confirmed, report.detail
    assert not bench.emissions()[-1][0]


def test_a_reply_that_comes_late_is_not_taken_for_another_ones(
    laser: ThorlabsITC4005, guard: GuardClient, bench: ServedBench
) -> None:
    bench.fault("dropped_reply")
    with pytest.raises(Exception, match="no whole reply"):
        laser.trigger().wait(30.0)
    bench.fault("dropped_reply", on=False)
    laser.trigger().wait(20.0)
    assert laser.read()["laser_valid"]["value"] == 1


def test_after_the_guardian_went_off_the_driver_cannot_emit(
    laser: ThorlabsITC4005, guard: GuardClient, bench: ServedBench
) -> None:
    emit(laser, guard)
    assert guard.off()["confirmed"]
    with pytest.raises(Exception, match="start anew"):
        laser.set(0.5).wait(20.0)
    assert not bench.emissions()[-1][0]
