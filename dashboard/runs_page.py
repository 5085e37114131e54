"""Past runs: find, overlay, compare, download; the control chart of the reference sample."""

import datetime
from collections import Counter
from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard import frame
from dashboard.assay_page import report_button
from dashboard.catalogue import Filter, catalogue, chosen, main_result, rows
from dashboard.comparison import (
    MOST_COMPARED,
    control_points,
    control_svg,
    control_words,
    csv_of_run,
    curves_of,
    overlay_csv,
    overlay_svg,
)
from nanolab.errors import NanolabError
from nanolab.journal.catalog import RunInfo
from nanolab.report.cells import sigma_words


def page() -> None:
    """Draw the page."""
    frame.banner()
    content()


@st.fragment
def content() -> None:
    """Draw all but the banner."""
    st.header("Runs")
    found = catalogue(frame.settings().data)
    if found.words:
        st.info(found.words)
    if not found.runs:
        st.info(f"There is no run in {frame.settings().data}.")
        return
    wanted = chosen(found.runs, _filter(found.runs))
    st.markdown(f"{len(wanted)} of {len(found.runs)} runs. Tick runs to overlay and compare them.")
    event: Any = st.dataframe(
        rows(wanted), hide_index=True, on_select="rerun", selection_mode="multi-row", key="table", height=280,
        column_config={"result": st.column_config.TextColumn(width=330)},
    )  # fmt: skip
    ticked = [wanted[index] for index in event.selection.rows if index < len(wanted)]
    if ticked:
        compare(ticked[:MOST_COMPARED])
    _control(found.runs)


def _filter(runs: Sequence[RunInfo]) -> Filter:
    text, plans, statuses, roles, days = st.columns([3, 2, 2, 2, 2])
    day = [datetime.datetime.fromtimestamp(run.time_s).date() for run in runs if run.time_s]
    span = (min(day), max(day)) if day else None
    words = text.text_input("Sample, UID or folder contains")
    plan = plans.multiselect("Assay", sorted({run.plan for run in runs if run.plan}))
    status = statuses.multiselect("Status", sorted({run.status for run in runs}))
    role = roles.multiselect("Role", sorted({run.role for run in runs if run.role}))
    range_: Any = days.date_input("From / to", span) if span else None
    whole = range_ if isinstance(range_, tuple) and len(range_) == 2 else None
    return Filter(words, plan, status, role, whole)


def compare(runs: Sequence[RunInfo]) -> None:
    """Draw runs over each other, their results side by side, and what may be downloaded of them."""
    st.subheader("Overlay")
    left, right = st.columns(2)
    at_on = left.toggle("Time from laser on", value=True)
    as_rise = right.toggle("Rise above the temperature before", value=False)
    curves, words = curves_of(runs)
    for line in words:
        st.warning(line)
    if curves:
        dark = frame.is_dark()
        svg = overlay_svg(curves, at_on, as_rise, dark)
        frame.svg(svg, "Temperature against time of the ticked runs: " + "; ".join(curve.label for curve in curves))
        place = st.container(horizontal=True)
        place.download_button(
            "Overlay (CSV)", overlay_csv(curves, at_on, as_rise), "overlay.csv", "text/csv", on_click="ignore"
        )
        place.download_button(
            "Overlay (SVG)",
            overlay_svg(curves, at_on, as_rise, False),
            "overlay.svg",
            "image/svg+xml",
            on_click="ignore",
        )
    _results(runs)
    _downloads(runs)


def _results(runs: Sequence[RunInfo]) -> None:
    found = [(run, main_result(run.path)) for run in runs]
    kept = [(run, result) for run, result in found if result is not None]
    if not kept:
        return
    st.subheader("Results side by side")
    first = kept[0][1]
    st.table(
        {
            "run": [f"{run.sample} {run.uid[:8]}" for run, _ in kept],
            "result": [result.words for _, result in kept],
            "against its prediction": [sigma_words(r.z) for _, r in kept],
            "against the first": [
                sigma_words(None if r is first else (r.value - first.value) / (r.u**2 + first.u**2) ** 0.5)
                for _, r in kept
            ],
            "cautions": [str(result.cautions) for _, result in kept],
        }
    )


def _downloads(runs: Sequence[RunInfo]) -> None:
    st.subheader("Download, or do it again")
    for run in runs:
        columns = st.columns([3, 1, 1, 1, 1])
        columns[0].markdown(f"{run.sample or run.plan} {run.role} `{run.uid[:8]}`")
        try:
            name, content = csv_of_run(run.path)
            columns[1].download_button("Readings (CSV)", content, name, key=f"csv.{run.path}", on_click="ignore")
        except (NanolabError, OSError) as error:
            columns[1].markdown(f"no CSV: {error}")
        figure = run.path / "figure.svg"
        if figure.is_file():
            columns[2].download_button("Figure (SVG)", figure.read_bytes(), f"{run.path.name}.svg", "image/svg+xml",
                                       key=f"svg.{run.path}", on_click="ignore")  # fmt: skip
        report_button(columns[3], run.path)
        if not frame.settings().read_only and columns[4].button("Use its parameters", key=f"use.{run.path}"):
            st.session_state[frame.REUSE] = run.path
            st.switch_page(st.session_state[frame.LIVE_PAGE])


def _control(runs: Sequence[RunInfo]) -> None:
    st.subheader("Control chart of the reference sample")
    kinds = Counter((run.sample, run.plan) for run in runs if run.role in {"", "sample"} and main_result(run.path))
    if not kinds:
        st.markdown("No run has a result yet: the chart begins with the first one.")
        return
    choices = [kind for kind, _ in kinds.most_common()]
    sample, assay = st.selectbox("Reference sample", choices, format_func=lambda kind: f"{kind[0]} ({kind[1]})")
    points = control_points(runs, sample, assay)[-30:]
    st.markdown(control_words(points))
    frame.svg(control_svg(points, frame.is_dark()), f"Control chart of {sample}: {control_words(points)}")
