"""What every page has: the banner with STOP at its top, drawn by the one canvas component.

A page is two fragments: this one, which a timer draws anew, and its content. Without the second a whole page that is drawn
anew while the timer strikes can lose what stands below the banner (Streamlit 1.67).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.banner import header_of
from dashboard.jobs import Job
from dashboard.look import Look
from dashboard.payload import Zooms, pack
from dashboard.settings import Settings
from dashboard.store import Current, Store
from nanolab.page import Panel

KEY = "bench"
LIVE_PAGE = "live_page"
REUSE = "reuse"
PENDING = "pending"
"""In the session: the live page, the run whose parameters the form on it takes over, the job that a page waits for."""

# one definition; the assets lie beside the package that Streamlit looks them up by, in nanolab/live_component
_component: Callable[..., Any] | None = None


def component() -> Callable[..., Any]:
    """Return the canvas component, registered when it is first asked for."""
    global _component
    if _component is None:
        _component = st.components.v2.component("nanolab.bench", js="index.js", css="style.css")
    return _component


@st.cache_resource
def store() -> Store:
    """Return what all sessions share."""
    return Store()


def settings() -> Settings:
    """Return what the call of `nanolab dashboard` said."""
    return Settings.from_environment()


def current() -> Current:
    """Return the run of the bench screen."""
    return store().current(settings().data)


def empty_header(words: str) -> dict[str, Any]:
    """Return the banner of a page without a run."""
    import time

    return {
        "run": "",
        "now": time.time(),
        "newest": None,
        "running": False,
        "banner": {"state": "none", "words": "NO RUN", "facts": [words], "simulated": False},
        "late": 0.0,
        "stop": None,
        "stoppable": False,
        "stopped": {},
        "tiles": [],
        "notes": [],
    }


def panels_only() -> dict[str, Any]:
    """Return the header of a component that shows panels and no banner: there is one STOP on a page."""
    return {**empty_header(""), "bare": True}


def is_dark() -> bool:
    """Say whether the page is dark."""
    return bool(st.get_option("theme.base") != "light")


def svg(picture: bytes, words: str) -> None:
    """Draw a figure; `words` say for those who do not see it what it shows."""
    import base64
    import html

    encoded = base64.b64encode(picture).decode("ascii")
    st.html(
        f'<img src="data:image/svg+xml;base64,{encoded}" alt="{html.escape(words)}" style="width:100%;max-width:1200px;height:auto">'
    )


def header_now(found: Current) -> dict[str, Any]:
    """Return banner and STOP for a run, or for none."""
    import time

    if found.run is None:
        return empty_header(found.words)
    with found.run.lock:
        header = header_of(Look(found.run, found.status, time.time(), store().desk.answers(found.run.path)))
    if not header["running"] and not header["stoppable"]:
        header["notes"] = []  # of a run that is over they stand on the live page, and not above another run's analysis
    return with_desk(header, found.run.path)


def with_desk(header: dict[str, Any], path: Path) -> dict[str, Any]:
    """Add to a header where this server takes a STOP."""
    return {**header, "desk": store().desk.address(path) if header["stoppable"] else None}


def mount(header: dict[str, Any], panels: Sequence[Panel] = (), path: Path | None = None, key: str = KEY) -> None:
    """Draw the component. `path` is the run that its STOP stops."""
    component()(
        data=pack(header, panels, zooms(key)),
        key=key,
        on_stop_change=lambda: stop(path),
        on_zoom_change=lambda: None,
    )


def zooms(key: str = KEY) -> Zooms:
    """Return the ranges of x that the panels are zoomed to, as the browser told last."""
    state = st.session_state.get(key)
    found = getattr(state, "zoom", None) or {}
    return {name: (float(low), float(high)) for name, (low, high) in dict(found).items()}


def stop(path: Path | None) -> None:
    """Pass a STOP on: the third way, for a browser that reaches this server only (through ssh)."""
    if path is not None:
        store().desk.ask(path)


@st.fragment(run_every=1.0)
def banner() -> None:
    """Draw the banner on a page that has no live panels of its own; draw the page anew when its job is done."""
    found = current()
    mount(header_now(found), path=None if found.run is None else found.run.path, key="banner")
    rerun_when_done()


def wait_for(job: Job | None) -> None:
    """Have the page drawn anew when this job is done; None: it waits for nothing."""
    st.session_state[PENDING] = job


def rerun_when_done() -> None:
    """Draw the page anew if the job that it waits for is done."""
    job = st.session_state.get(PENDING)
    if job is not None and job.wait(0.0):
        wait_for(None)
        st.rerun()
