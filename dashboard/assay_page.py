"""One page for each assay that has one: measured on top of the prediction, parameters, verdict, cautions, what explains the gap."""

import html
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import frame
from dashboard.catalogue import catalogue, when_words
from dashboard.jobs import Job
from dashboard.live_view import with_areas
from dashboard.payload import pack
from dashboard.tables import explanation_rows, model_rows, parameter_rows
from nanolab.discovery import PAGES, load
from nanolab.errors import AnalysisRefusesError, NanolabError
from nanolab.journal.catalog import RunInfo
from nanolab.page import AssayPage, AssayView

MOST_LISTED = 200
SHORT_S = 0.5
"""Wall time for which a page waits for an analysis before it is drawn without."""


def words_of(name: str) -> str:
    """Return how an assay is called on the pages."""
    return " ".join("pH" if word == "ph" else word for word in name.split("_"))


def page(name: str) -> None:
    """Draw the page of one assay."""
    frame.banner()
    content(name)


@st.fragment
def content(name: str) -> None:
    """Draw all but the banner."""
    frame.wait_for(_content(name))


def _content(name: str) -> Job | None:
    """Draw all but the banner; return the job that it waits for, if it does."""
    st.header(f"Assay: {words_of(name)}")
    try:
        shown: AssayPage = load(PAGES, name)
    except NanolabError as error:
        st.warning(str(error))
        return None
    runs = [run for run in catalogue(frame.settings().data).runs if run.plan == name and run.status != "unreadable"]
    runs = [run for run in runs if run.role in {"", "sample"}][::-1]
    if not runs:
        st.info(f"There is no {name} run in {frame.settings().data} yet. Start one: nanolab run {name}")
        return None
    listed = runs[:MOST_LISTED]
    finished = next((index for index, run in enumerate(listed) if run.status != "running"), 0)
    run = st.selectbox("Run", listed, index=finished, format_func=label)
    if run.status == "running":
        st.info("This run is going on: see the live page. The analysis is made when it has ended.")
        return None
    window = _window(run)
    job = frame.store().jobs.get(("view", run.path, _stamp(run.path), window), lambda: shown.view(run.path, window))
    if not job.wait(SHORT_S):
        st.info("Analysing the run …")
        return job
    if job.error is not None:
        st.warning(f"There is no analysis of this run: {explained(job.error)}")
        return None
    draw(job.value)
    _fit_window(run, job.value)
    pending = _models(shown, run.path)
    downloads(run.path)
    return pending


def label(run: RunInfo) -> str:
    """Return how a run is called in lists."""
    return f"{when_words(run.time_s)}  {run.sample or run.plan}  {run.uid[:8]}  ({run.status})"


def draw(view: AssayView) -> None:
    """Draw the view of one run."""
    stamp = "SIMULATED  " if view.simulated else ""
    made = "" if view.stored else "  (made for looking: not what stands in the run folder)"
    st.subheader(f"{stamp}{view.headline}{made}")
    if view.verdict is not None:
        st.markdown(f"**Against the prediction made before the run: {verdict_words(*view.verdict)}**")
    frame.component()(data=pack(frame.panels_only(), with_areas(view.panels), frame.zooms("assay")), key="assay",
                      on_zoom_change=lambda: None)  # fmt: skip
    for words in view.problems:
        st.warning(words)
    for words in view.notes:
        st.markdown(words)
    left, right = st.columns([3, 2])
    with left:
        st.subheader("Parameters")
        st.table(parameter_rows(view.parameters))
    with right:
        st.subheader("Cautions")
        st.markdown("\n".join(f"- {text}" for text in view.cautions) or "No cautions.")
        if view.explanations:
            st.subheader("What would explain the gap")
            st.markdown("One input alone, all others as believed:")
            st.table(explanation_rows(view.explanations))


def verdict_words(word: str, z: float) -> str:
    """Return the verdict with its distance in standard uncertainties, on which side where there is one."""
    side = "" if abs(z) < 0.05 else " above" if z > 0 else " below"
    return f"{word}, {abs(z):.1f} σ{side}"


def _stamp(path: Path) -> float:
    """Time at which the result was last written: what is cached is good until then."""
    try:
        return (path / "result.json").stat().st_mtime
    except OSError:
        return 0.0


def _window(run: RunInfo) -> tuple[float, float] | None:
    chosen = st.session_state.get(f"window.{run.uid}")
    limits = st.session_state.get(f"limits.{run.uid}")
    return None if chosen is None or chosen == limits else (float(chosen[0]), float(chosen[1]))


def _fit_window(run: RunInfo, view: AssayView) -> None:
    if view.limits is None:
        return
    st.session_state[f"limits.{run.uid}"] = view.limits
    st.slider(
        "Fit window / s (drag; the stored result stays as it is)", *view.limits, value=view.window or view.limits,
        key=f"window.{run.uid}", format="%.0f",
    )  # fmt: skip


def _models(shown: AssayPage, path: Path) -> Job | None:
    st.subheader("The same data under other models")
    if not st.toggle("Compare models and conventions (takes a few seconds)"):
        return None
    job = frame.store().jobs.get(("models", path, _stamp(path)), lambda: shown.compare_models(path))
    if not job.wait(SHORT_S):
        st.info("Comparing models …")
        return job
    if isinstance(job.error, AnalysisRefusesError):  # nothing is amiss
        st.info(f"{str(job.error)[:1].upper()}{str(job.error)[1:]}.")
    elif job.error is not None:
        st.warning(f"The models cannot be compared: {explained(job.error)}")
    else:
        st.table(model_rows(job.value))
    return None


def explained(error: Exception) -> str:
    """Return an error in a sentence."""
    if isinstance(error, NanolabError):
        return str(error)
    return f"its readings are not what the analysis expects ({type(error).__name__}: {error}); is the run cut short?"


def downloads(path: Path) -> None:
    """Offer what lies in the run folder."""
    place = st.container(horizontal=True)
    offered = [("Figure (SVG)", "figure.svg", "image/svg+xml"), ("Result (JSON)", "result.json", "application/json")]
    for words, name, kind in offered:
        if (path / name).is_file():
            place.download_button(words, (path / name).read_bytes(), f"{path.name}-{name}", kind, on_click="ignore")
    report_button(place, path)


def report_button(place: Any, path: Path) -> None:
    """Offer the report of a run; it is made when it is asked for."""
    place.download_button(
        "Report (HTML)", partial(report_of, path), f"{path.name}-report.html", "text/html", key=f"report.{path}",
        on_click="ignore",
    )  # fmt: skip


def report_of(path: Path) -> bytes:
    """Return the report of a run as one HTML file; a run that is none is said in a sentence."""
    from nanolab.report.build import gather_content, html_of

    try:
        return html_of(gather_content(path)).encode("utf-8")
    except (NanolabError, OSError) as error:
        return f"<!DOCTYPE html><p>There is no report of this run: {html.escape(str(error))}</p>".encode()
