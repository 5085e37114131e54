"""The triggered release assays on the simulated bench: acid, enzyme, heat, laser, and what is inside a batch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nanolab.discovery import PAGES, load
from nanolab.journal.reader import open_run
from nanolab.quantities import Quantity
from sims.world import WorldConfig

WORLD = WorldConfig()
TRUTH: dict[str, float] = {
    "k_acid": WORLD.carrier.k_acid,
    "k_release": WORLD.carrier.k_release,
    "kcat": WORLD.enzyme.kcat,
    "michaelis_constant": WORLD.enzyme.michaelis_constant,
    "transition_temperature": WORLD.carrier.transition_temperature,
    "transition_width": WORLD.carrier.transition_width,
    "encapsulation_efficiency": WORLD.preparation.encapsulation_efficiency,
}


def near_truth(result: dict[str, Any], *names: str) -> None:
    for name in names:
        found = Quantity.from_json(result[name])
        assert found.standard_uncertainty is not None
        assert abs(found.value - TRUTH[name]) < 3.0 * found.standard_uncertainty, (name, str(found))


@pytest.mark.slow
def test_acid_in_steps_gives_k_of_ph_and_the_steps_are_kept(nanolab: Callable[..., Any]) -> None:
    done = nanolab("run", "release_ph", "--seed", 5, "--json", "--set", "stage_h=2", "--set", "points=9",
                   "--set", "free_hours=4", "--set", "blanks=1", "--set", "cadence_s=120")  # fmt: skip
    assert done.code == 0, done.err
    assert [run["role"] for run in done.json["runs"]] == ["reference", "indicator", "free", "sample"]
    result = done.json["result"]
    near_truth(result, "k_acid")
    check = result["controls"]["optical_ph"]
    # the medium is at pH 7.40 at 25 degC and loses 0.0028 per kelvin; 0.03 is the pK's uncertainty
    assert check["optical"]["value"] == pytest.approx(7.40 - 12.0 * 0.0028, abs=0.05)
    assert check["probe"]["value"] == pytest.approx(check["optical"]["value"], abs=0.09)
    assert abs(check["sigmas"]) < 2.0
    assert "ph_disagrees" not in [caution["code"] for caution in done.json["cautions"]]
    [note] = load(PAGES, "release_ph").view(Path(done.json["run"]["path"])).notes
    assert "they agree" in note
    kept = result["controls"]["ph"]
    assert [step["wanted"] for step in kept] == [6.5, 5.5, 5.0]
    for step in kept:
        assert step["first"] == pytest.approx(step["wanted"], abs=0.05)
    models = result["controls"]["models"]
    assert models["preferred"] in {None, "specific_acid", "free"}
    assert models["aicc_differences"]["specific_acid"] < models["aicc_differences"]["switch"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("world", "fault", "code", "words", "last"),
    [
        ("", "ph.probe_dry@6000", 6, "the pH cannot be read", "sample"),
        # less liquid than the electrode reaches into: known before hours are spent on controls
        ("[cuvette]\nvolume_ml = 0.25\n", "", 6, "the probe is dry", "reference"),
        # the syringe is at its end in the middle of the first step of acid
        ("[dosing]\nsyringe_ml = 0.03\n", "", 6, "refill or free the syringe, then go on with --continue", "sample"),
        ("", "cuvette_holder.no_coolant@3000", 6, "cuvette_holder", ""),
        # the lamp grows by 60 % an hour: said in the control, not after the run
        ("[spectrometer]\nlamp_drift_per_h = 0.6\n", "", 6, "3 spectra in a row are saturated", "free"),
    ],
)
def test_a_fault_of_the_wet_side_is_a_sentence_and_the_data_stay(
    nanolab: Callable[..., Any], tmp_path: Path, world: str, fault: str, code: int, words: str, last: str
) -> None:
    (tmp_path / "world.toml").write_text(world)
    done = nanolab("run", "release_ph", "--json", "--set", "stage_h=0.25", "--set", "points=4", "--set", "free_hours=0.5",
                   "--set", "blanks=1", "--world", "world.toml", *(("--fault", fault) if fault else ()))  # fmt: skip
    assert done.code == code, done.err
    document = done.json
    assert words in document["error"]["message"]
    assert "\n" not in document["error"]["message"]
    assert document["result"] is None
    assert not last or document["runs"][-1]["role"] == last
    assert open_run(tmp_path / document["run"]["path"]).status == "failed"


@pytest.mark.slow
def test_an_enzyme_gives_its_constants_and_beats_first_order(nanolab: Callable[..., Any]) -> None:
    done = nanolab(
        "run", "release_enzyme", "--seed", 5, "--json", "--set", "hours=4", "--set", "points=30", "--set", "blanks=1"
    )
    assert done.code == 0, done.err
    document = done.json
    assert [run["role"] for run in document["runs"]] == ["reference", "control", "sample"]
    near_truth(document["result"], "kcat", "michaelis_constant")
    assert document["result"]["controls"]["models"]["preferred"] == "michaelis_menten"
    marks = open_run(document["run"]["path"]).table("marks")["mark_what"].tolist()
    assert marks == ["begun", "enzyme", "surfactant"]


@pytest.mark.slow
def test_heat_in_stairs_gives_the_transition(nanolab: Callable[..., Any]) -> None:
    done = nanolab("run", "release_triggered", "--seed", 5, "--json", "--set", "blanks=1", "--set", "look_every_s=30")
    assert done.code == 0, done.err
    near_truth(done.json["result"], "transition_temperature", "transition_width")
    assert done.json["result"]["light_energy"] is None


@pytest.mark.slow
def test_a_laser_opens_the_carriers_by_its_warmth_alone(nanolab: Callable[..., Any]) -> None:
    done = nanolab("run", "release_triggered", "--seed", 5, "--json", "--set", "trigger=laser", "--set", "blanks=1",
                   "--set", "look_every_s=30")  # fmt: skip
    assert done.code == 0, done.err
    document = done.json
    roles = [run["role"] for run in document["runs"]]
    assert roles == ["reference", "dark", "no_carrier", "sample", "same_temperature"]
    assert document["run"]["uid"] == document["runs"][3]["uid"]
    assert (Path(document["run"]["path"]) / "result.json").is_file()
    result = document["result"]
    near_truth(result, "transition_temperature")
    assert result["light_energy"]["value"] == pytest.approx(240.0 * (0.25 + 0.35 + 0.45 + 0.6), rel=0.05)
    assert result["controls"]["same_temperature"]["rms_percent"] < 3.0
    assert abs(result["controls"]["no_carrier"]["change_percent"]) < 3.0
    again = nanolab("analyze", "release_triggered", document["run"]["path"], "--json")
    # the control at the same temperatures came after the sample, and is found all the same
    assert {run["role"] for run in again.json["runs"]} == set(roles)
    assert again.json["result"]["k_light"] == result["k_light"]
    looks = open_run(document["run"]["path"]).table("spectra")
    counts = looks["spectrometer_counts"]
    # the laser's line is in no spectrum: it is gated off while the assay light reads
    assert float(counts[looks["run_state_phase"] == "dark"].max()) < 5000.0


@pytest.mark.slow
def test_a_batch_gives_its_encapsulation(nanolab: Callable[..., Any]) -> None:
    done = nanolab("run", "encapsulation", "--seed", 5, "--json")
    assert done.code == 0, done.err
    near_truth(done.json["result"], "encapsulation_efficiency")
    assert done.json["verdict"]["quantity"] == "encapsulation_efficiency"
    assert [caution["code"] for caution in done.json["cautions"]] == ["particles_missing"]


def test_stairs_above_the_holders_limit_are_refused_before_the_start(nanolab: Callable[..., Any]) -> None:
    done = nanolab("run", "release_triggered", "--set", "temperatures_c=65")
    assert done.code == 5
    assert "max_temperature" in done.err
