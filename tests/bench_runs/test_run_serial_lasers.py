"""Whole commands on a bench whose laser is a simulated Cobolt or OBIS."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nanolab.bench.template import bench_template
from nanolab.journal.reader import open_run
from nanolab.simulation import Simulation

QUICK = ("--blank", "none", "--set", "baseline_s=20", "--set", "heat_s=60", "--set", "cool_s=20")


def bench_file(folder: Path, driver: str, more: str = "") -> Path:
    """Write the example bench with this laser."""
    table = (
        f'[laser]\ndriver = "{driver}"\naddress = "simulated"\nwavelength = "808 nm"\nmax_power = "0.8 W"\n'
        f'transmission = "0.874±0.02"\ncalibration_date = 2026-03-01\n{more}\n\n'
    )
    text, count = re.subn(r"\[laser\].*?(?=^\[thermocouple\])", table, bench_template(), flags=re.S | re.M)
    assert count == 1
    path = folder / "bench.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["cobolt_06_mld", "coherent_obis"])
def test_the_assay_runs_and_the_heating_begins_with_the_light(
    nanolab: Callable[..., Any], tmp_path: Path, driver: str
) -> None:
    bench = bench_file(tmp_path, driver)
    doctor = nanolab("bench", "doctor", "--bench", bench)
    assert doctor.code == 0, doctor.out
    assert "interlock, key and other protections" in doctor.out
    done = nanolab("run", "photothermal", "--json", "--bench", bench, *QUICK)
    assert done.code in {0, 7}, done.err
    assert "laser: OFF (" in done.err
    table = open_run(tmp_path / done.json["run"]["path"]).table("primary")
    on = np.asarray(table["laser_emitting"]) == 1
    assert on.sum() == 60
    heating = np.asarray([phase == "heating" for phase in table["run_state_phase"]])
    assert np.array_equal(on, heating)
    assert np.all(np.asarray(table["laser_valid"]) == 1)
    assert np.asarray(table["laser_power"])[on] == pytest.approx(0.5)
    # what the head says of itself, by the calibration of the bench file: 0.3 % noise in each reading
    assert np.asarray(table["laser_measured_power"])[on][5:] == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize(
    ("driver", "fault", "code", "words"),
    [
        ("cobolt_06_mld", "laser.interlock_open@40", 6, "the interlock is open"),
        ("cobolt_06_mld", "laser.over_temperature@40", 6, "temperature fault"),
        ("cobolt_06_mld", "laser.emission_stuck@40", 8, "OFF NOT CONFIRMED"),
        ("cobolt_06_mld", "laser.silent@40", 8, "OFF NOT CONFIRMED"),
        ("cobolt_06_mld", "laser.garbled_line@40", 8, "OFF NOT CONFIRMED"),
        ("cobolt_06_mld", "laser.cdrh", 5, "its autostart is enabled"),
        ("coherent_obis", "laser.interlock_open", 5, "emission is refused: the interlock is open"),
        ("coherent_obis", "laser.key_off@40", 6, "turn its key on"),
        ("coherent_obis", "laser.emission_stuck@40", 8, "OFF NOT CONFIRMED"),
        ("coherent_obis", "laser.power_off@40", 8, "OFF NOT CONFIRMED"),
        ("coherent_obis", "laser.autostart", 5, "its autostart is enabled"),
    ],
)
def test_a_fault_is_a_sentence_and_an_exit_code(
    nanolab: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    driver: str,
    fault: str,
    code: int,
    words: str,
) -> None:
    # every way out looks for off this long: nothing here needs it, because the simulated light falls at once
    monkeypatch.setattr("devices.laser_head.OFF_CONFIRMED_WITHIN_S", 0.2)
    # a deadline above the 0.3 s that closing a socket takes
    bench = bench_file(tmp_path, driver, 'deadline = "1 s"')
    done = nanolab("run", "photothermal", "--json", "--bench", bench, *QUICK, "--fault", fault)
    assert done.code == code, done.err
    assert words in done.json["error"]["message"]
    if code != 8:
        assert "laser: OFF (" in done.err


@pytest.mark.slow
def test_a_unit_with_a_key_runs_by_its_own_sequence(
    nanolab: Callable[..., Any], serve: Callable[..., Any], tmp_path: Path
) -> None:
    server = serve("--speed", "max", "--instrument", "laser=cobolt_06_mld", "--instrument",
                   "thermocouple=keysight_34970a", "--instrument", "powermeter=thorlabs_pm100d",
                   "--instrument", "spectrometer=ocean_flamex")  # fmt: skip
    bench = bench_file(tmp_path, "cobolt_06_mld", 'autostart = "sequence"')
    control = Simulation(server.control)
    control.fault("laser", "cdrh")
    control.close()
    done = nanolab("run", "photothermal", "--json", "--bench", bench, "--sim", server.control, *QUICK)
    assert done.code in {0, 7}, done.err
    table = open_run(tmp_path / done.json["run"]["path"]).table("primary")
    assert (np.asarray(table["laser_emitting"]) == 1).sum() == 60
    assert np.all(np.asarray(table["laser_valid"]) == 1)
