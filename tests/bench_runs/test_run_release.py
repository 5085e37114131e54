"""`nanolab run release` on the simulated bench: from the call to the report, broken off and continued, and refusals."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nanolab.discovery import PAGES, load
from nanolab.journal.reader import open_run
from nanolab.quantities import Quantity
from nanolab.simulation import Simulation
from sims.world import WorldConfig

SHORT = (
    "--set",
    "hours=8",
    "--set",
    "free_hours=4",
    "--set",
    "points=24",
    "--set",
    "cadence_s=120",
    "--set",
    "blanks=4",
)
SERVED = ("--instrument", "thermocouple=keysight_34970a", "--instrument", "spectrometer=ocean_flamex",
          "--instrument", "cuvette_holder=qnw_tc1", "--instrument", "laser=thorlabs_itc4005",
          "--instrument", "powermeter=thorlabs_pm100d")  # fmt: skip


def truth_of(name: str) -> float:
    config = WorldConfig()
    owner = config.membrane if name == "membrane_rate" else config.carrier
    return float(getattr(owner, name))


@pytest.mark.slow
def test_a_passive_release_ends_in_the_rates_of_the_world(nanolab: Callable[..., Any], tmp_path: Path) -> None:
    done = nanolab("run", "release", "--seed", 3, "--json", *SHORT)
    assert done.code == 0, done.err
    document = done.json
    assert [run["role"] for run in document["runs"]] == ["reference", "free", "sample"]
    result = document["result"]
    for name in ("k_burst", "burst", "membrane_rate"):
        found = Quantity.from_json(result[name])
        assert found.standard_uncertainty is not None
        assert abs(found.value - truth_of(name)) < 3.0 * found.standard_uncertainty, name
    # eight hours see the rate of the sustained part but not where it ends: one or the other is told honestly
    if result["k_release"] is not None:
        low, high = result["k_release"]["interval_95"]
        assert low < truth_of("k_release") < high
    folder = Path(document["run"]["path"])
    assert document["run"]["simulated"]
    assert {"prediction.json", "result.json", "figure.svg"} <= {file.name for file in folder.iterdir()}
    run = open_run(folder)
    assert run.start["prediction"] == json.loads((folder / "prediction.json").read_text(encoding="utf-8"))
    lamp = run.table("primary")
    assert len(lamp["run_state_lab_time"]) > 200
    looks = run.table("spectra")
    assert looks["run_state_phase"].tolist() == ["dark", "light"] * 24
    assert looks["spectrometer_lamp_on"].tolist() == [0, 1] * 24
    assert result["photometry"]["integration_times_tried_s"][0] == 0.02
    assert 0.0 < result["photometry"]["lod"]["value"] < 0.05
    page = load(PAGES, "release").view(folder)
    assert (page.stored, page.problems, page.verdict[0]) == (True, (), document["verdict"]["word"])
    assert [trace.x.size for trace in page.panels[1].traces] == [24, 24]
    assert run.start["follows"] == "spectra"
    again = nanolab("analyze", "release", folder, "--json").json
    assert again["result"]["k_burst"] == result["k_burst"]
    assert again["verdict"] == document["verdict"]


@pytest.mark.slow
def test_a_release_that_broke_off_goes_on_at_its_next_time_point(
    nanolab: Callable[..., Any], serve: Callable[..., Any]
) -> None:
    server = serve("--speed", "max", "--seed", "4", *SERVED)
    bench = Path("bench.toml")
    nanolab("bench", "init")
    text = bench.read_text(encoding="utf-8")
    start = text.index("## [cuvette_holder]")
    end = text.index("## [ph]")
    holder = "\n".join(line.removeprefix("## ") for line in text[start:end].splitlines() if line.startswith("## "))
    bench.write_text(f"{text[: text.index('[limits]')]}\n{holder}\n{text[text.index('[limits]') :]}", encoding="utf-8")
    control = Simulation(server.control)
    # it breaks off in the control with free cargo, goes on, breaks off in the sample's course, and goes on to the end
    control.fault("spectrometer", "nack_spectrum", at_s=700.0 + 2 * 3600.0)
    first = nanolab("run", "release", "--sim", server.control, "--json", *SHORT)
    control.fault("spectrometer", "nack_spectrum", on=False)
    assert first.code != 0
    assert first.json["result"] is None
    assert [run["role"] for run in first.json["runs"]] == ["reference", "free"]
    free = first.json["run"]["uid"]
    control.fault("spectrometer", "nack_spectrum", at_s=700.0 + 4 * 3600.0 + 3 * 3600.0)
    broken = nanolab("run", "release", "--sim", server.control, "--continue", free, "--json", *SHORT)
    control.fault("spectrometer", "nack_spectrum", on=False)
    control.close()
    assert broken.code != 0
    assert [run["role"] for run in broken.json["runs"]] == ["free", "sample"]
    uid = broken.json["run"]["uid"]
    done = nanolab("run", "release", "--sim", server.control, "--continue", uid, "--json", *SHORT)
    assert done.code == 0, done.err
    document = done.json
    assert [run["role"] for run in document["runs"]] == ["sample"]
    run = open_run(document["run"]["path"])
    references = run.start["references"]
    assert (references["continued_free_1"], references["continued_1"]) == (free, uid)
    assert references["free"] == broken.json["runs"][0]["uid"]
    before, after = open_run(broken.json["run"]["path"]).table("spectra"), run.table("spectra")
    looks = sum(table["run_state_phase"].tolist().count("light") for table in (before, after))
    assert looks >= 23  # the look that failed may be lost, none of the others
    gaps = [caution["text"] for caution in document["cautions"] if caution["code"] == "gap"]
    assert len(gaps) == 2
    assert len(document["result"]["gaps_h"]) == 1
    found = Quantity.from_json(document["result"]["membrane_rate"])
    assert found.value == pytest.approx(1.6, rel=0.05)
    again = nanolab("run", "release", "--sim", server.control, "--continue", run.uid, *SHORT)
    assert again.code == 2
    assert "only one that broke off can go on" in again.err


def test_what_cannot_be_run_is_refused_in_a_sentence(nanolab: Callable[..., Any]) -> None:
    for words, sentence in (
        (("--set", "hours=-1"), "hours=-1: it must be at least"),
        (("--set", "points=3"), "points=3: it must be at least"),
        (("--continue", "abc"), "no run in"),
        (("--set", "temperature_c=70"), "it must be at most 60"),
    ):
        done = nanolab("run", "release", *words)
        assert done.code != 0
        assert sentence in done.err
        assert done.err.strip().count("\n") == 0
    done = nanolab("run", "photothermal", "--continue", "abc")
    assert done.code == 2
    assert "begins anew each time" in done.err


def test_a_dry_run_tells_the_steps(nanolab: Callable[..., Any]) -> None:
    out = nanolab("run", "release", "--dry-run").out
    assert "free: load 'free'" in out
    assert "laser off, dark and light spectrum" in out
