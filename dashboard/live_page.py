"""The live page: banner, tiles, curves; notes; starting a run."""

import contextlib

import streamlit as st

from dashboard import frame
from dashboard.live_view import live_view
from dashboard.start_run import SPEEDS, Offer, command_line, offer, parameters_of, start, words_of
from nanolab.errors import NanolabError
from nanolab.journal.notes import add_note


def page() -> None:
    """Draw the page."""
    st.fragment(live, run_every=frame.settings().refresh_s)()
    if frame.settings().read_only:
        st.markdown("Read-only: this page stops a run and shows everything; it takes no notes and starts nothing.")
        return
    below()


@st.fragment
def below() -> None:
    """Draw the note and the form that starts a run."""
    left, right = st.columns([3, 2])
    with left:
        note_form()
    # a toggle and no expander: what is in an expander is made even while it is closed, and this imports every plan
    with right:
        if frame.REUSE in st.session_state:
            st.session_state["start"] = True
        if st.toggle("Start a run", key="start"):
            start_form()


def live() -> None:
    """Draw what changes."""
    found = frame.current()
    if found.run is None:
        frame.mount(frame.empty_header(found.words))
    else:
        path = found.run.path
        view = live_view(found.run, found.status, asked=frame.store().desk.answers(path))
        frame.mount(frame.with_desk(view.header, path), view.panels, path)
        if found.words:
            st.warning(found.words)
    for words in frame.store().problems():
        st.warning(words)


def note_form() -> None:
    """Ask for a note; it goes into the run folder with the time."""
    with st.form("note", clear_on_submit=True, border=False):
        text, button = st.columns([5, 1], vertical_alignment="bottom")
        words = text.text_input("Note (goes into the run folder, with the time)", max_chars=500)
        sent = button.form_submit_button("Add note", width="stretch")
    if not sent:
        return
    found = frame.current()
    if found.run is None:
        st.warning("There is no run to which a note could be added.")
        return
    try:
        add_note(found.run.path, words)
    except NanolabError as error:
        st.warning(str(error))


def start_form() -> None:
    """Ask which run, with what; start it on a simulated bench, else show what to type."""
    settings = frame.settings()
    offered = offer(settings.bench)
    st.markdown(offered.words)
    if not offered.plans:
        return
    names = list(offered.plans)
    taken = _take_over(offered)
    wanted = taken or "photothermal"
    if taken:
        st.session_state["plan"] = taken
    plan = st.selectbox("Plan", names, index=names.index(wanted) if wanted in names else 0, key="plan")
    st.markdown(offered.plans[plan].summary)
    values = _values(offered, plan)
    blank, speed, seed = "run", None, None
    if plan == "photothermal":
        blank = st.text_input("Blank: 'run' measures one, 'none', or the UID of an earlier run", "run")
    if offered.may_start:
        speed = st.selectbox("Speed of the simulated bench / lab seconds per second", SPEEDS, index=1)
        seed = int(st.number_input("Seed of its noise", min_value=0, value=0, step=1))
    words = words_of(plan, values, settings.data, settings.bench, speed, seed, blank.strip() or "run")
    st.code(command_line(words), language="sh", wrap_lines=True)
    if not offered.may_start:
        st.markdown("Type this line in a terminal on the bench computer.")
        return
    if st.button("Start on the simulated bench"):
        _start(words)


def _take_over(offered: Offer) -> str:
    """Put the parameters of an old run into the form; return its plan, empty where there is nothing to take over."""
    path = st.session_state.pop(frame.REUSE, None)
    if path is None:
        return ""
    try:
        plan, values = parameters_of(path, offered.plans)
    except NanolabError as error:
        st.warning(f"The parameters cannot be taken over: {error}")
        return ""
    for name, text in values.items():
        st.session_state[f"{plan}.{name}"] = text
    st.info(f"Parameters taken over from {path.name}.")
    return plan


def _values(offered: Offer, plan: str) -> dict[str, str]:
    values = {}
    columns = st.columns(2)
    for index, parameter in enumerate(offered.plans[plan].parameters()):
        unit = "" if parameter.unit == "1" else f" / {parameter.unit}"
        default = "by rule" if parameter.default is None else str(parameter.default)
        with columns[index % 2]:
            values[parameter.name] = st.text_input(
                f"{parameter.name}{unit}", placeholder=default, help=parameter.meaning, key=f"{plan}.{parameter.name}"
            )
    return values


def _start(words: list[str]) -> None:
    store, data = frame.store(), frame.settings().data
    with contextlib.suppress(NanolabError):
        if store.current(data).status == "running":
            st.warning("A run is going on: stop it, or wait for its end.")
            return
    store.forget()
    try:
        store.started.append(start(words, data))
    except OSError as error:
        st.warning(f"The run could not be started: {error}.")
        return
    st.success("Started. It appears above with its first document; it goes on when this page is closed.")
