"""Interlock, guardian and arming as a bench binds them: on the simulated bench, through the commands and in Python."""

import datetime
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nanolab.bench.connect import Bench, open_bench
from nanolab.bench.defaults import simulated_bench
from nanolab.bench.template import bench_template
from nanolab.errors import LimitTripError, RefusedError
from nanolab.journal.reader import open_run
from nanolab.safety import arming, guard_client
from nanolab.safety.door import ask, file_for, published
from nanolab.safety.guard_client import GuardClient
from nanolab.safety.guard_config import AT_THE_DOOR
from nanolab.safety.sleep import Awake
from nanolab.safety.trip import Trip

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the guardian needs POSIX so far")

SHORT = (
    "--blank",
    "none",
    "--set",
    "spectrum=none",
    "--set",
    "baseline_s=20",
    "--set",
    "heat_s=60",
    "--set",
    "cool_s=20",
)


def guard_of(bench: Bench) -> GuardClient:
    assert bench.safeguard is not None
    assert bench.safeguard.guard is not None
    return bench.safeguard.guard


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    config = simulated_bench()
    config = config.model_copy(update={"bench": config.bench.model_copy(update={"data": tmp_path / "runs"})})
    with open_bench(config) as opened:
        yield opened


def emit(bench: Bench, power_w: float = 0.4) -> Any:
    laser = bench.instruments["laser"]
    bench.instruments["thermocouple"].trigger().wait(20.0)
    laser.set(power_w).wait(20.0)
    return laser


def wait_for(done: Callable[[], object]) -> None:
    limit = time.monotonic() + 20.0
    while not done():
        assert time.monotonic() < limit, "it did not come"


def test_the_laser_speaks_through_a_guardian_that_knows_when_it_emits(bench: Bench, tmp_path: Path) -> None:
    laser = emit(bench)
    assert laser.context.address == guard_of(bench).relay_address != guard_of(bench).config.recipe.address
    assert guard_of(bench).config.recipe.line.kind == "visa", "as a laser on USB, which nothing else reaches"
    laser.set(0.0).wait(20.0)
    assert bench.close().confirmed
    entries = [json.loads(line) for line in (tmp_path / "runs" / "guardian.jsonl").read_text().splitlines()]
    assert [entry["event"] for entry in entries] == ["armed", "emitting", "emitting", "off", "off", "end"]
    assert [entry["on"] for entry in entries if entry["event"] == "emitting"] == [True, False]


def test_after_an_emergency_everything_reads_off_and_nothing_emits(bench: Bench) -> None:
    laser = emit(bench)
    report = bench.emergency_off()
    assert report.confirmed
    assert report.detail.startswith("OUTP1? 0")
    laser.trigger().wait(20.0)
    assert laser.read()["laser_emitting"]["value"] == 0
    with pytest.raises(RefusedError, match="start anew"):
        laser.set(0.4)
    assert bench.emergency_off().confirmed


def test_a_guardian_that_is_killed_is_a_trip_that_no_reading_has_raised(bench: Bench, tmp_path: Path) -> None:
    assert bench.safeguard is not None
    told: list[Trip] = []
    bench.safeguard.on_untold = told.append
    laser = emit(bench)
    os.kill(json.loads((tmp_path / "runs" / "guardian.jsonl").read_text().splitlines()[0])["pid"], signal.SIGKILL)
    wait_for(lambda: told)
    assert (told[0].rule, told[0].text, told[0].off_confirmed) == ("guardian", "the guardian is gone", True)
    with pytest.raises(LimitTripError, match="the guardian is gone"):
        bench.instruments["thermocouple"].trigger().wait(20.0)
    assert "reset-trip" in str(laser.context.may_emit())
    last = json.loads((tmp_path / "runs" / "guardian.jsonl").read_text().splitlines()[-1])
    assert (last["by"], last["report"]["confirmed"]) == ("the run itself", True)


def test_off_by_request_ends_the_run_and_leaves_nothing_to_be_released(bench: Bench, tmp_path: Path) -> None:
    assert bench.safeguard is not None
    told: list[Trip] = []
    bench.safeguard.on_untold = told.append
    emit(bench)
    guardian = published(file_for(guard_of(bench).config.recipe.address))
    assert guardian is not None
    assert ask(guardian, "off", 10.0)["report"]["confirmed"]
    wait_for(lambda: told)
    assert told[0].text == AT_THE_DOOR
    assert not (tmp_path / "runs" / "interlock.jsonl").exists()


def test_a_guardian_that_cannot_be_started_lets_nothing_emit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_client, "POSIX", False)
    config = simulated_bench()
    config = config.model_copy(update={"bench": config.bench.model_copy(update={"data": tmp_path})})
    with open_bench(config) as opened:
        assert opened.instruments["laser"].identity()["model"] == "ITC4005"
        with pytest.raises(RefusedError, match="the guardian runs on Linux and macOS so far"):
            emit(opened)


def test_a_trip_holds_the_next_run_until_a_person_releases_it(nanolab: Callable[..., Any], tmp_path: Path) -> None:
    tripped = nanolab("run", "photothermal", "--json", *SHORT, "--fault", "thermocouple.open_couple@40")
    assert tripped.code == 6, tripped.err
    table = open_run(tmp_path / tripped.json["run"]["path"]).table("operator")
    assert list(table["trip_rule"]) == ["invalid_temperature"]
    assert table["trip_off_confirmed"][0] == 1
    held = nanolab("run", "photothermal", *SHORT)
    assert held.code == 5
    assert "no latched trip: the interlock has tripped (invalid_temperature" in held.err
    listed = nanolab("reset-trip")
    assert "SIMULATED trip invalid_temperature" in listed.out
    assert nanolab("reset-trip", "--reason", "probe put back").code == 0
    again = nanolab("run", "photothermal", "--json", *SHORT)
    assert again.code in {0, 7}, again.err
    log = (tmp_path / again.json["run"]["path"] / "guardian.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in log][:3] == ["armed", "emitting", "emitting"]


@pytest.fixture
def real(serve: Callable[..., Any], tmp_path: Path) -> Callable[[str], Path]:
    """Write a bench file in which a simulated laser is taken for a real one: its address is given."""
    server = serve(
        "--speed", "1", "--instrument", "laser=thorlabs_itc4005", "--instrument", "thermocouple=keysight_34970a"
    )
    places = server.ready["instruments"]

    def write(more: str) -> Path:
        text = bench_template()
        for role, driver in (("laser", "thorlabs_itc4005"), ("thermocouple", "keysight_34970a")):
            plain = f'driver = "{driver}"\naddress = "simulated"'
            assert plain in text
            text = text.replace(plain, f'driver = "{driver}"\naddress = "tcp://{places[role]["tcp"]}"')
        text = re.sub(r"^\[(spectrometer|powermeter)\].*?(?=^\[)", "", text, flags=re.S | re.M)
        path = tmp_path / "real.toml"
        path.write_text(re.sub(r"^\[laser_safety\].*?(?=^\[|\Z)", "", text, flags=re.S | re.M) + more)
        return path

    return write


APPROVED = f"""
[laser_safety]
name = "L. Officer"
expires = {datetime.date.today() + datetime.timedelta(1)}
enclosed_beam = true
interlock_tested = {datetime.date.today()}
"""


def test_a_real_laser_needs_a_person_or_an_approval_and_a_computer_that_stays_awake(
    nanolab: Callable[..., Any], real: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("run", "photothermal", "--set", "spectrum=none", "--blank", "none", "--set", "baseline_s=5")
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    alone = nanolab(*words, "--bench", real(""))
    assert alone.code == 5
    assert "armed by a person at a terminal, and there is none" in alone.err
    hurried = nanolab(*words, "--bench", real(""), "--yes")
    assert hurried.code == 5
    assert "--yes needs an approval: nobody has approved this laser" in hurried.err
    monkeypatch.setattr(Awake, "held", lambda _self: "it may fall asleep")
    sleepy = nanolab(*words, "--bench", real(APPROVED), "--yes")
    assert sleepy.code == 5, sleepy.err
    assert "computer stays awake: it may fall asleep" in sleepy.err
    assert "guardian" not in sleepy.err.split("conditions are not met")[1]


def test_a_real_laser_that_was_armed_emits_behind_its_guardian(
    real: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nanolab.bench.config import load_bench

    monkeypatch.setattr(Awake, "held", lambda _self: None)
    said: list[str] = []
    person = arming.Person(
        ask=lambda _prompt: "arm",
        say=said.append,
        wait=lambda _s: None,
        today=datetime.date.today,
        terminal=lambda: True,
    )
    with open_bench(load_bench(real(""))) as bench:
        with pytest.raises(RefusedError, match="not armed"):
            bench.instruments["laser"].set(0.1)
        bench.arm(person=person)
        laser = emit(bench, 0.1)
        laser.trigger().wait(20.0)
        assert laser.read()["laser_emitting"]["value"] == 1
    assert bench.off_report is not None
    assert bench.off_report.confirmed
    assert any("is armed in 1 s" in line for line in said)


def test_the_proof_test_sees_the_interlock_work_and_keeps_it(nanolab: Callable[..., Any], tmp_path: Path) -> None:
    done = nanolab("safety", "prooftest", "--json", "--by", "A. Student")
    assert done.code == 0, done.err
    test = done.json["test"]
    assert test["passed"] and test["dropped"] and test["refused_while_open"] and test["off_confirmed"]
    assert (test["by"], test["simulated"], test["laser"]) == ("A. Student", True, "ITC4005")
    assert test["meter_after_w"] < 0.1 * test["meter_before_w"]
    kept = json.loads((tmp_path / "runs" / "prooftests.jsonl").read_text())
    assert kept == test
    assert "proof test of the interlock passed" in nanolab("safety", "prooftest").out


def test_an_interlock_that_does_not_work_fails_the_proof_test(
    nanolab: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nanolab.commands.safety._Control.open", lambda _self: None)
    done = nanolab("safety", "prooftest", "--within", "0.5")
    assert done.code == 6
    assert "proof test of the interlock FAILED: EMISSION DID NOT DROP" in done.out
    assert "do not use the laser" in done.out
