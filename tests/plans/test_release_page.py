"""Pages and reports of the release assays: the stored numbers, the analysis made again without them, refusals in words."""

import base64
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.synthetic_release import CONTROLS, RATE_PER_H, write_release
from nanolab.discovery import PAGES, load
from nanolab.errors import AnalysisRefusesError, FileInvalidError
from nanolab.gap import sigmas
from nanolab.journal.catalog import find_runs
from nanolab.page import AssayPage, AssayView, Panel
from nanolab.quantities import Quantity
from nanolab.report.build import gather_content, html_of
from plans.release.page_words import shown

KEYS = {"release": "rate at 37 °C", "release_ph": "rate by acid", "release_enzyme": "turnover",
        "release_triggered": "middle of the transition", "encapsulation": "encapsulation efficiency"}  # fmt: skip


def page_of(name: str) -> AssayPage:
    found: AssayPage = load(PAGES, name)
    assert isinstance(found, AssayPage)
    return found


def panels_of(view: AssayView) -> dict[str, Panel]:
    return {panel.key: panel for panel in view.panels}


def role_folder(sample: Path, role: str) -> Path:
    return next(info.path for info in find_runs(sample.parent) if info.role == role)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One finished run of each assay, with its controls and a stored result."""
    return {name: write_release(tmp_path_factory.mktemp(name), name) for name in CONTROLS}


@pytest.mark.parametrize("name", CONTROLS)
def test_the_page_tells_the_stored_result_beside_its_prediction(samples: dict[str, Path], name: str) -> None:
    view = page_of(name).view(samples[name])
    document = json.loads((samples[name] / "result.json").read_bytes())
    assert view.headline.startswith(f"{KEYS[name]} = ")
    assert (view.stored, view.simulated, view.problems, view.cautions) == (True, True, (), ["a caution"])
    assert view.verdict == ("agrees", 0.5)
    first = view.parameters[0]
    assert first.name.startswith(f"{KEYS[name]} / ")
    assert first.measured == Quantity.from_json(document["result"][document["verdict"]["quantity"]])
    assert first.z == pytest.approx(sigmas(first.measured, first.predicted))
    assert first.z == pytest.approx(0.5 / np.hypot(1.0, 0.2))
    assert all(" / " in panel.x and " / " in panel.y for panel in view.panels)


@pytest.mark.parametrize("name", ["release", "release_ph", "release_enzyme", "release_triggered"])
def test_measured_fitted_band_and_residuals_of_sample_and_control(samples: dict[str, Path], name: str) -> None:
    panels = panels_of(page_of(name).view(samples[name]))
    traces = {trace.label: trace for trace in panels["released"].traces}
    band = traces["predicted before the run, 95 %"]
    assert band.lower is not None
    assert band.upper is not None
    assert np.all(band.lower <= band.upper)
    assert (traces["sample"].style, traces["sample, fitted"].style) == ("points", "line")
    assert traces["control"].role != traces["sample"].role
    for trace in panels["residuals"].traces:
        np.testing.assert_allclose(trace.y, 0.1, atol=1e-9)
    assert panels["released"].link == panels["residuals"].link == panels["liquid"].link
    assert panels["liquid"].traces[0].y[0] == pytest.approx(37.0)


def test_absorbance_is_that_of_the_cargo_at_the_first_and_last_look(samples: dict[str, Path]) -> None:
    first, last = panels_of(page_of("release").view(samples["release"]))["absorbance"].traces
    assert np.nanmax(first.y) < 0.01
    assert last.x[np.nanargmax(last.y)] == pytest.approx(485.0, abs=10.0)
    assert last.label == "after 24 h"


def test_what_was_done_is_marked_and_the_laser_shaded(samples: dict[str, Path]) -> None:
    acid = panels_of(page_of("release_ph").view(samples["release_ph"]))
    assert acid["released"].marks == [(12.0, "pH 5.5")]
    assert set(np.round(acid["ph"].traces[0].y, 1)) == {7.4, 5.5}
    enzyme = panels_of(page_of("release_enzyme").view(samples["release_enzyme"]))
    assert [words for _, words in enzyme["released"].marks] == ["enzyme", "surfactant"]
    assert enzyme["absorbance"].traces[-1].label == "dissolved"
    heat = panels_of(page_of("release_triggered").view(samples["release_triggered"]))
    [(start, end)] = heat["released"].spans
    assert [start, end] == pytest.approx([24.0 * 30 / 119, 24.0 * 60 / 119])
    at = heat["against-temperature"].traces[0].x
    assert np.all(np.diff(at) >= 0.0)
    assert [at[0], at[-1]] == pytest.approx([37.0, 41.0])


def test_encapsulation_shows_every_filling(samples: dict[str, Path]) -> None:
    view = page_of("encapsulation").view(samples["encapsulation"])
    panels = panels_of(view)
    batch, standard, filtrate = panels["fillings"].traces
    assert np.nanmean(batch.y) > np.nanmean(standard.y) > np.nanmean(filtrate.y)
    assert {trace.label for trace in panels["absorbance"].traces} == {"dissolved batch", "standard", "filtrate", ""}


def test_models_are_listed_with_weights_and_those_that_cannot_be_told_apart(samples: dict[str, Path]) -> None:
    rows = page_of("release").compare_models(samples["release"])
    assert [row.name for row in rows] == ["biphasic", "weibull", "first order", "Korsmeyer-Peppas"]
    assert rows[0].value == Quantity(0.6, "1")
    assert rows[0].quantity == "AICc weight / 1"
    assert ["cannot be told apart" in row.words for row in rows] == [True, True, False, False]
    assert (rows[3].value, rows[3].words) == (None, "not ranked")
    acid = page_of("release_ph").compare_models(samples["release_ph"])
    assert [row.name for row in acid] == ["specific acid", "protonation switch", "a rate of its own at each pH"]
    weights = [row.value.value for row in acid if row.value is not None]
    expected = np.exp(-0.5 * np.array([0.0, 2.0, 9.0]))
    assert weights == pytest.approx((expected / expected.sum()).tolist(), abs=6e-4)
    assert ["cannot be told apart" in row.words for row in acid] == [True, True, False]
    with pytest.raises(AnalysisRefusesError, match="there is one model here"):
        page_of("encapsulation").compare_models(samples["encapsulation"])


def test_without_a_stored_result_the_runs_are_analysed_again(tmp_path: Path) -> None:
    sample = write_release(tmp_path, stored=False)
    view = page_of("release").view(sample)
    assert not view.stored
    rows = {row.name: row for row in view.parameters}
    rate, membrane = rows["rate at 37 °C / (1/h)"].measured, rows["rate of the membrane / (1/h)"].measured
    assert rate is not None
    assert rate.interval_95 is not None
    assert rate.interval_95[0] < RATE_PER_H < rate.interval_95[1]
    assert membrane is not None
    assert membrane.value == pytest.approx(1.6, rel=0.03)
    assert view.verdict is not None
    assert view.verdict[0] == "agrees"
    assert {trace.label for trace in panels_of(view)["residuals"].traces} == {"free cargo", "carriers"}
    assert view.models[0].name == "biphasic"
    html = html_of(gather_content(sample))
    assert "Made again for this report" in html
    assert "data:image/svg+xml" in html
    shutil.rmtree(role_folder(sample, "free"))
    with pytest.raises(FileInvalidError, match="its free is needed, which is not in the data folder"):
        page_of("release").view(sample)


def test_a_prediction_that_differs_takes_the_verdict_away(tmp_path: Path) -> None:
    sample = write_release(tmp_path, stored=False, prediction_sha256="0" * 64)
    view = page_of("release").view(sample)
    assert view.verdict is None
    assert "predicts otherwise" in view.problems[0]


def test_a_result_that_is_damaged_is_not_taken(tmp_path: Path) -> None:
    sample = write_release(tmp_path, "release_ph")
    shutil.rmtree(role_folder(sample, "reference"))
    view = page_of("release_ph").view(sample)
    assert "its reference (00000001) is not in the data folder" in view.problems[0]
    assert list(panels_of(view)) == ["released", "residuals"]
    (sample / "result.json").write_text('{"result": {"k_acid": ')
    with pytest.raises(FileInvalidError, match="there is no result of this run in its folder"):
        page_of("release_ph").view(sample)


def test_what_was_not_identified_or_not_recorded_is_said(tmp_path: Path) -> None:
    sample = write_release(tmp_path)
    document = json.loads((sample / "result.json").read_bytes())
    document["verdict"] = None
    document["result"] |= {"k_release": None, "gaps_h": [[3.0, 4.5]], "photometry": {}}
    del document["result"]["temperature"]
    (sample / "result.json").write_text(json.dumps(document))
    (sample / "figure.svg").unlink()
    content = gather_content(sample)
    view = content.chapter.view
    assert view is not None
    assert view.headline == "rate at 37 °C not identified: see the cautions"
    assert (view.verdict, view.explanations, list(content.chapter.figures)) == (None, [], [])
    assert (view.parameters[0].measured, view.parameters[0].z) == (None, None)
    entries = {entry.name: entry.value for entry in content.entries}
    assert entries["not recorded, the run broke off"] == "3.00 to 4.50 h"
    assert entries["looks"] is None
    assert entries["temperature of the liquid"] == "37 °C as set at the holder"


def test_controls_and_windows_are_refused_in_words(samples: dict[str, Path]) -> None:
    page, sample = page_of("release"), samples["release"]
    with pytest.raises(FileInvalidError, match="this is the free of a release"):
        page.view(role_folder(sample, "free"))
    with pytest.raises(FileInvalidError, match="no window to choose"):
        page.view(sample, (0.0, 100.0))
    content = gather_content(role_folder(sample, "reference"))
    assert "this is the reference of a release" in content.chapter.problem


@pytest.mark.parametrize("name", CONTROLS)
def test_the_report_stands_alone_and_names_what_is_missing(samples: dict[str, Path], name: str) -> None:
    content = gather_content(samples[name])
    html = html_of(content)
    assert html == html_of(gather_content(samples[name]))
    assert content.chapter.problem == ""
    assert "http" not in html
    [picture] = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', html)
    assert b"<svg" in base64.b64decode(picture)
    entries = {(entry.group, entry.name): entry.value for entry in content.entries}
    assert entries["Read-out", "limit of detection, 3.3 s of the blanks"] == "0.0215 µmol/L"
    missing = {entry.name for entry in content.missing}
    assert "limit of quantification, 10 s" in missing
    assert ("pH" in missing) == (name != "release_ph")
    assert entries["Laser", "laser"] == "the plan does not use it"
    said = content.chapter.methods
    for words in (
        "1.000 ± 0.010 mL of water",
        "looks of a dark and a light spectrum",
        "the assay light was on for 19 s",
    ):
        assert words in said or name == "encapsulation"
    assert f"(run {'00000002'})" in said
    assert "was stored" in said or "and stored" in said


def test_methods_tell_membrane_acid_enzyme_and_laser(samples: dict[str, Path], tmp_path: Path) -> None:
    said = {name: gather_content(path).chapter.methods for name, path in samples.items()}
    assert "dialysis insert" in said["release"]
    assert "It was stirred at 800 rpm." in said["release"]
    assert "37.12 °C (standard deviation 0.04 K) (pH not measured)" in said["release"]
    assert "brought by acid from the pump to 5.50" in said["release_ph"]
    assert "Enzyme (0.01000 ± 0.00050 µmol/L in the cuvette) was added after 15 min" in said["release_enzyme"]
    assert "a surfactant dissolved it at the end" in said["release_enzyme"]
    assert "no laser was used" in said["release_triggered"]
    assert "37.0 to 41.0 °C" in said["release_triggered"]
    assert "each filled in anew 4 times" in said["encapsulation"]
    lit = write_release(tmp_path, "release_triggered", settings=("trigger=laser",))
    content = gather_content(lit)
    assert "The laser warmed it in pulses of 240 s at 0.25, 0.35, 0.45, 0.6 W" in content.chapter.methods
    entries = {entry.name: entry for entry in content.entries}
    assert entries["powers of the laser, as set"].value == "0.25, 0.35, 0.45, 0.6 W"
    assert entries["power at the sample P"].value is None


def test_the_probe_against_the_indicator_is_one_line_of_page_and_report(samples: dict[str, Path]) -> None:
    [note] = page_of("release_ph").view(samples["release_ph"]).notes
    assert note.startswith("In the medium the probe shows pH 7.385 ± 0.030, the indicator 7.410 ± 0.032: they agree")
    assert "apart by -0.025, 0.6 standard uncertainties; wavelengths shifted by +0.12 nm" in note
    content = gather_content(samples["release_ph"])
    entries = {entry.name: entry.value for entry in content.entries}
    assert "they agree" in str(entries["medium with a pH indicator, to check the probe"])
    assert page_of("release").view(samples["release"]).notes == []


def test_aliquots_stand_on_the_curve_in_the_methods_and_in_the_balance(tmp_path: Path) -> None:
    sample = write_release(tmp_path, settings=("sample_ml=0.1",))
    plain = page_of("release").view(sample)
    assert "aliquot withdrawn" not in [trace.label for trace in panels_of(plain)["released"].traces]
    document = json.loads((sample / "result.json").read_bytes())
    amount = Quantity(12.0, "%", 0.5).to_json()
    taken = [{"time_h": at, "withdrawn_ml": 0.1, "replaced_ml": 0.1, "removed": amount} for at in (1.0, 6.0)]
    parts = dict.fromkeys(("released", "removed", "outside", "insert", "remaining"), amount)
    document["result"]["mass_balance"] = {"samples": taken, **parts}
    document["result"]["controls"]["free"]["removed_percent"] = 20.0
    (sample / "result.json").write_text(json.dumps(document))
    view = page_of("release").view(sample)
    panel = panels_of(view)["released"]
    trace = next(trace for trace in panel.traces if trace.label == "aliquot withdrawn")
    curve = next(trace for trace in panel.traces if trace.label == "sample")
    assert trace.x.tolist() == [1.0, 6.0]
    np.testing.assert_allclose(trace.y, np.interp([1.0, 6.0], curve.x, curve.y))
    assert "2 samples of 0.1 mL were withdrawn and replaced by fresh medium" in panel.words
    rows = {row.name: row.measured for row in view.parameters}
    assert rows["removed with the samples / %"] == Quantity.from_json(amount)
    content = gather_content(sample)
    assert "replaced by fresh medium; the control was handled alike; the fit follows each" in content.chapter.methods
    assert "12.00 ± 0.50 % was in carriers by the fit" in content.chapter.methods
    entries = {(entry.group, entry.name): entry.value for entry in content.entries}
    assert entries["Mass balance", "removed with each sample"] == "12 % at 1 h; 12 % at 6 h"
    assert entries["Mass balance", "released in all, of the dose"] == "12.00 ± 0.50 %"


def test_a_control_that_came_after_the_sample_is_found(tmp_path: Path) -> None:
    from benchmarks.synthetic_release import start_of, write_course

    sample = write_release(tmp_path, "release_triggered", settings=("trigger=laser",))
    own = json.loads((sample / "docs.jsonl").read_text().splitlines()[0])["doc"]
    before = {**own["references"], "sample": own["uid"]}
    later = start_of("release_triggered", "same_temperature", before, 9, ["trigger=laser"])
    write_course(tmp_path, later, np.array([0.1, 0.2]), {})
    entries = {entry.name: entry.value for entry in gather_content(sample).entries}
    assert entries["carriers at the sample's temperatures, laser off"] == "run 00000009"


def test_quantities_bear_their_units() -> None:
    assert shown(Quantity(1.5, "umol/L", 0.1)) == "1.50 ± 0.10 µmol/L"
    assert shown(Quantity(41.0, "degC", 0.1)) == "41.00 ± 0.10 °C"
    assert shown(Quantity(0.0215259, "umol/L")) == "0.0215 µmol/L"
    assert shown(Quantity(0.5, "1", 0.1)) == "0.50 ± 0.10"
