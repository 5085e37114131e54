"""A report: one file, the same bytes, every number from the folder, what is missing named, nothing asked of the web."""

import base64
import json
import re
import sys
from pathlib import Path

import pytest

from benchmarks.synthetic import Recipe, cut_short, documents, write_run
from nanolab import cli
from nanolab.errors import FileInvalidError, NanolabError
from nanolab.journal import RunWriter
from nanolab.journal.folder import DOCUMENTS
from nanolab.journal.notes import add_note
from nanolab.report.build import gather_content, html_of
from nanolab.report.pdf import pdf_of
from nanolab.report.provenance import hashed_files, prediction_words
from nanolab.report.svg import plain_svg

BEGUN = 1_790_000_000.0


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def run(data: Path) -> Path:
    return write_run(data, Recipe(begun_s=BEGUN, cadence_s=5.0))


def text_of(html: str) -> str:
    body = re.sub(r"<style>.*?</style>|<img[^>]*>", " ", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_the_same_folder_gives_the_same_bytes(run: Path) -> None:
    one, two = (html_of(gather_content(run)) for _ in range(2))
    assert one == two
    assert pdf_of(gather_content(run)) == pdf_of(gather_content(run))


def test_it_is_one_file_that_asks_nothing_of_anybody(run: Path) -> None:
    html = html_of(gather_content(run))
    assert len(html) < 1_000_000
    assert "http" not in html
    assert not re.search(r"<(script|link|iframe)\b", html)
    pictures = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', html)
    assert len(re.findall(r"\bsrc=", html)) == len(pictures) == 1
    svg = base64.b64decode(pictures[0]).decode()
    assert set(re.findall(r"https?://[^\"<> ]*", svg)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_verdict_parameters_cautions_and_methods_stand_in_it(run: Path) -> None:
    text = text_of(html_of(gather_content(run)))
    assert "SIMULATED η = 0.7" in text
    assert "Verdict: agrees:" in text
    assert "η, efficiency / 1" in text
    assert "predicted before the run" in text
    assert "no solvent blank is given" in text
    assert "over the light that they extinguish in the liquid" in text
    assert "1.000 ± 0.010 mL of gold nanorods 808 in water was irradiated at 808 nm" in text
    assert "in 1 cycle of heating and cooling, temperature read every 5 s" in text
    assert "begun 2026-09-21 14:13:20 UTC" in text
    assert "Made again for this report" in text


def test_what_was_not_entered_is_named_first_and_in_its_place(run: Path) -> None:
    content = gather_content(run)
    text = text_of(html_of(content))
    names = [entry.name for entry in content.missing]
    total = len(content.entries)
    assert f"{len(names)} of {total} items were not entered: {', '.join(names)}." in text
    assert "blank not entered (nanolab run without --blank none)" in text
    assert "zeta potential not entered (sample.toml, [report] zeta_potential)" in text


def test_what_is_entered_afterwards_is_called_so(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "details.toml"
    file.write_text(
        '[report]\npreparations = 3\n[beam]\nspot_diameter = "4 mm"\nspot_definition = "1/e2"\nlinewidth = "2 nm"\n'
    )
    text = text_of(html_of(gather_content(run, file)))
    assert (
        "Entered after the run, from details.toml : [report] preparations, [beam] linewidth, [beam] spot_definition"
        in text
    )
    assert "on the axis of a Gaussian beam" in text
    assert "independent preparations 3" in text
    assert "nanolab report" in text
    assert "--details details.toml" in text


def test_files_are_hashed_and_a_changed_one_changes_the_report(run: Path) -> None:
    before = {file.name: file.sha256 for file in hashed_files(run)}
    assert DOCUMENTS in before
    add_note(run, "stirrer <b>off</b>", "ab", time_s=BEGUN + 60.0)
    (run / "report.html").write_text("of yesterday")
    html = html_of(gather_content(run))
    after = {file.name: file.sha256 for file in hashed_files(run)}
    assert set(after) - set(before) == {"notes.jsonl"}
    assert after["notes.jsonl"] in html
    assert after[DOCUMENTS] == before[DOCUMENTS]
    assert "ab: stirrer &lt;b&gt;off&lt;/b&gt;" in html
    assert "2026-09-21 14:14:20 UTC" in html


def test_events_of_safety_are_told(data: Path) -> None:
    docs = list(documents(Recipe(begun_s=BEGUN, spectra=0, cadence_s=5.0)))
    uid = docs[0][1]["uid"]
    key = {"trip_text": {"source": "interlock", "dtype": "string", "shape": []}}
    described = {"uid": "o", "run_start": uid, "time": BEGUN, "name": "operator", "data_keys": key, "hints": {},
                 "configuration": {}, "object_keys": {}}  # fmt: skip
    event = {"uid": "e", "descriptor": "o", "seq_num": 1, "time": BEGUN + 9.0, "data": {"trip_text": "too hot"},
             "timestamps": {"trip_text": 9.0}, "filled": {}}  # fmt: skip
    with RunWriter(data) as writer:
        for name, doc in [*docs[:-1], ("descriptor", described), ("event", event), docs[-1]]:
            writer(name, doc)
        run = Path(str(writer.path))
    report = {"confirmed": True, "detail": "OUTP1? 0", "why": "the run is gone"}
    (run / "guardian.jsonl").write_text(f"rubbish\n{json.dumps({'wall': BEGUN + 10.0, 'report': report})}\n")
    (run / "stop_request.json").write_text(
        json.dumps({"asked_by": "the STOP", "time": BEGUN + 8.0, "words": "OFF (l? 0)"})
    )
    text = text_of(html_of(gather_content(run)))
    assert (
        "14:13:28 UTC the STOP: OFF (l? 0) 2026-09-21 14:13:29 UTC interlock: too hot 2026-09-21 14:13:30 UTC guardian: "
        "laser off, read back (OUTP1? 0); because the run is gone"
    ) in text


def test_a_prediction_that_was_changed_is_told(run: Path) -> None:
    content = gather_content(run)
    assert "unchanged since" in prediction_words(content.run)
    content.run.start["prediction"] = {"efficiency": 0.7}
    assert "NOT what was stored" in prediction_words(content.run)
    content.run.start.pop("prediction_sha256")
    assert prediction_words(content.run) == "No prediction was stored before the run."


def test_runs_that_cannot_be_analysed_still_have_a_report(data: Path) -> None:
    cut = write_run(data, Recipe(begun_s=BEGUN, exit_status=None))
    cut_short(cut, 30)
    text = text_of(html_of(gather_content(cut)))
    assert "No result" in text
    assert "interrupted" in text
    assert "the analysis" in text or "there is no analysis of this run" in text
    with RunWriter(data) as writer:
        writer("start", {"uid": "abc", "time": BEGUN + 5.0, "plan_name": "count"})
        writer("stop", {"uid": "s", "run_start": "abc", "time": BEGUN + 6.0, "exit_status": "success"})
        foreign = Path(str(writer.path))
    text = text_of(html_of(gather_content(foreign)))
    assert "does not say what the run was made from" in text
    with pytest.raises(FileInvalidError):
        gather_content(foreign, data / "none.toml")
    with pytest.raises(FileInvalidError, match="there is no such folder"):
        gather_content(data / "nowhere")


def test_a_page_that_has_nothing_for_a_report_is_named(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanolab.report.build.load", lambda group, name: object())
    assert "has nothing for a report" in gather_content(run).chapter.problem


def test_an_analysis_that_stumbles_costs_its_own_part_only(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(_self: object, _path: Path) -> None:
        raise KeyError("thermocouple_sample")

    monkeypatch.setattr("plans.photothermal.page.PhotothermalPage.chapter", stumble)
    content = gather_content(run)
    assert "the analysis cannot use these readings (KeyError: 'thermocouple_sample')" in content.chapter.problem
    assert "cuvette" in text_of(html_of(content))


def test_a_plan_without_an_analysis_reports_what_was_recorded(data: Path) -> None:
    docs = list(documents(Recipe(begun_s=BEGUN, spectra=0, cadence_s=60.0)))
    docs[0][1].update(plan_name="monitor", assay="monitor", role="")
    with RunWriter(data) as writer:
        for name, doc in docs:
            writer(name, doc)
        run = Path(str(writer.path))
    content = gather_content(run)
    assert "the plan 'monitor' has no analysis" in content.chapter.problem
    assert "cuvette" in text_of(html_of(content))
    assert pdf_of(content).startswith(b"%PDF")


def test_a_pdf_without_typst_says_what_to_install(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(NanolabError, match=r"nanolab\[report\]"):
        pdf_of(gather_content(run))


def test_markers_say_once_what_they_share_and_bands_keep_theirs() -> None:
    point = b'<use xlink:href="#m1" x="86.570165" y="257.596225" style="fill: #0072b2; stroke: #0072b2"/>'
    band = b'<use xlink:href="#m2" x="0" y="432" style="fill: #999; fill-opacity: 0.3"/>'
    svg = (
        b'<?xml version="1.0"?>\n<svg><metadata>who</metadata>\n<path id="m1" d="M 0 1" style="stroke: #0072b2"/>'
        + point + b'<path id="m2" d="M 0 2"/>' + band + b"</svg>"
    )  # fmt: skip
    assert plain_svg(svg) == (
        b'<svg><path id="m1" d="M 0 1" style="fill: #0072b2; stroke: #0072b2"/>'
        b'<use xlink:href="#m1" x="86.57" y="257.60"/><path id="m2" d="M 0 2"/>'
        b'<use xlink:href="#m2" x="0.00" y="432.00" style="fill: #999; fill-opacity: 0.3"/></svg>'
    )


# ---- the command


def test_the_command_writes_into_the_run_folder(run: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uid = gather_content(run).run.uid
    assert cli.main(["report", uid[:8], "--data", str(data), "--pdf", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["files"] == [str(run / "report.html"), str(run / "report.pdf")]
    assert told["problem"] == ""
    assert {
        "group": "Laser",
        "name": "irradiance",
        "where": "bench.toml, [beam] spot_diameter, spot_definition",
    } in told["missing"]
    assert (run / "report.pdf").read_bytes().startswith(b"%PDF")
    first = (run / "report.html").read_bytes()
    assert cli.main(["report", str(run)]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"written: {run / 'report.html'}\n"
    assert "not entered: line width, FWHM" in captured.err
    assert (run / "report.html").read_bytes() == first


def test_mistakes_of_the_call_are_sentences(run: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", "ffff", "--data", str(data)]) == 2
    assert "no run" in capsys.readouterr().err
    assert cli.main(["report", "ffff", "--data", str(data / "none")]) == 2
    assert "no such folder" in capsys.readouterr().err
    assert cli.main(["report", str(run), "--to", str(data / "none" / "r.html")]) == 5
    assert "cannot be written there" in capsys.readouterr().err
    with RunWriter(data) as writer:
        writer("start", {"uid": "abc", "time": BEGUN + 5.0, "plan_name": "count"})
        foreign = Path(str(writer.path))
    assert cli.main(["report", str(foreign)]) == 0
    assert "does not say what the run was made from" in capsys.readouterr().err
