"""`nanolab run release` with aliquots on the simulated bench: broken off, continued, and held against what the world lost."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nanolab.journal.reader import open_run
from nanolab.quantities import Quantity
from nanolab.report.build import gather_content
from nanolab.simulation import Simulation

WORLD = """
[carrier]
k_release = 0.5
"""
SETTINGS = ("hours=5", "free_hours=2", "points=24", "cadence_s=120", "blanks=1", "sample_ml=0.1", "samples=6")
SERVED = ("--instrument", "thermocouple=keysight_34970a", "--instrument", "spectrometer=ocean_flamex",
          "--instrument", "cuvette_holder=qnw_tc1", "--instrument", "laser=thorlabs_itc4005",
          "--instrument", "powermeter=thorlabs_pm100d")  # fmt: skip
TRUE_ML = 0.1004


def with_holder(bench: Path) -> None:
    """Take the comment signs off the holder's table, as the file says one does."""
    text = bench.read_text(encoding="utf-8")
    start, end, limits = text.index("## [cuvette_holder]"), text.index("## [ph]"), text.index("[limits]")
    holder = "\n".join(line.removeprefix("## ") for line in text[start:end].splitlines() if line.startswith("## "))
    bench.write_text(f"{text[:limits]}\n{holder}\n{text[limits:]}", encoding="utf-8")


def taken(folder: str) -> list[tuple[float, float]]:
    """Lab time and mL of the aliquots of a run; each was replaced by as much."""
    table = open_run(folder).table("marks")
    rows = list(
        zip(table["mark_lab_time"].tolist(), table["mark_what"].tolist(), table["mark_value"].tolist(), strict=True)
    )
    sampled = [(time, ml) for time, what, ml in rows if what == "sampled"]
    assert [(time, ml) for time, what, ml in rows if what == "replaced"] == sampled
    return sampled


@pytest.mark.slow
def test_aliquots_are_taken_once_followed_by_the_fit_and_balanced(
    nanolab: Callable[..., Any], serve: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "world.toml").write_text(WORLD, encoding="utf-8")
    server = serve("--speed", "max", "--seed", "6", "--world", "world.toml", *SERVED)
    nanolab("bench", "init")
    with_holder(Path("bench.toml"))
    settings = [word for one in SETTINGS for word in ("--set", one)]
    control = Simulation(server.control)
    control.fault("spectrometer", "nack_spectrum", at_s=3600.0 * (2.0 + 1.7) + 1200.0)
    broken = nanolab("run", "release", "--sim", server.control, "--json", *settings).json
    assert broken["result"] is None
    before = taken(broken["run"]["path"])
    assert 0 < len(before) < 6
    control.fault("spectrometer", "nack_spectrum", on=False)
    control.close()
    done = nanolab("run", "release", "--sim", server.control, "--continue", broken["run"]["uid"], "--json", *settings)
    assert done.code == 0, done.err
    truth = Simulation(server.ready["truth"])
    true = truth.call("truth")["truth"]
    truth.close()
    both = [*before, *taken(done.json["run"]["path"])]
    assert [ml for _, ml in both] == [0.1] * 6
    assert len({time for time, _ in both}) == 6
    assert true["aliquots"]["withdrawn_ml"] == pytest.approx(6 * TRUE_ML, abs=1e-9)
    result = done.json["result"]
    for name, value in (("k_release", 0.5), ("membrane_rate", 1.6)):
        low, high = result[name]["interval_95"]
        assert low < value < high, name
    balance = result["mass_balance"]
    dose = 12.2 * 0.99
    removed = Quantity.from_json(balance["removed"])
    assert removed.standard_uncertainty is not None
    assert removed.value == pytest.approx(
        100.0 * true["aliquots"]["removed_nmol"] / dose, abs=3.0 * removed.standard_uncertainty
    )
    assert removed.standard_uncertainty < 0.05 * removed.value
    remaining = Quantity.from_json(balance["remaining"])
    bound = 100.0 * true["release"]["cargo_nmol"]["bound"] / dose
    assert remaining.value == pytest.approx(bound, abs=3.0 * (remaining.standard_uncertainty or 0.0))
    # nothing is lost: what went, what is left, what the assay light bleached
    cargo = true["release"]["cargo_nmol"]
    assert cargo["bound"] + cargo["inside"] + cargo["free"] + true["aliquots"]["removed_nmol"] == pytest.approx(
        dose, rel=2e-3
    )
    assert "aliquots_missed" not in [caution["code"] for caution in done.json["cautions"]]
    # what was believed of the volumes has its share in the budget
    assert {"withdrawal", "volume", "insert"} <= result["budget"]["k_release"].keys()
    content = gather_content(Path(done.json["run"]["path"]))
    assert (
        "6 samples of 0.1 mL were withdrawn and replaced by fresh medium; the control was handled alike"
        in content.chapter.methods
    )
    entries = {(entry.group, entry.name): entry.value for entry in content.entries}
    assert entries["Mass balance", "samples"] == "6 samples of 0.1 mL were withdrawn and replaced by fresh medium"


def test_too_much_is_refused_before_anything_is_done(nanolab: Callable[..., Any], tmp_path: Path) -> None:
    done = nanolab("run", "release", "--set", "sample_ml=0.1", "--set", "replace=no")
    assert done.code == 5
    assert "0.176 of 1 mL would be left" in done.err
    assert done.err.strip().count("\n") == 0
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_names_the_aliquots(nanolab: Callable[..., Any]) -> None:
    out = nanolab("run", "release", "--set", "sample_ml=0.1", "--dry-run").out
    control, sample = out.split("sample: load")
    # the control is handled as the sample is
    assert "0.1 mL withdrawn and replaced at 480 min" in control
    assert "0.1 mL withdrawn and replaced at" in sample
