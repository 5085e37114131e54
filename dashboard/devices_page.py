"""The instruments as the run folder knows them: who they are, what they answered last, how long ago. Nothing is opened."""

import time

import streamlit as st

from dashboard import frame
from dashboard.device_rows import device_rows
from dashboard.doctor import Examined, examine
from dashboard.jobs import Job
from dashboard.store import Current

ASKED = "doctor"


def page() -> None:
    """Draw the page."""
    devices()
    content()


@st.fragment(run_every=1.0)
def devices() -> None:
    """Draw the table, once a second; draw the page anew when the doctor has answered."""
    found: Current = frame.current()
    frame.mount(frame.header_now(found), path=None if found.run is None else found.run.path)
    frame.rerun_when_done()
    st.header("Devices")
    if found.run is None:
        st.info(found.words)
        return
    with found.run.lock:
        cells = device_rows(found.run, found.status)
    if not cells["device"]:
        st.info("This run names no instruments.")
        return
    st.table(cells)


@st.fragment
def content() -> None:
    """Draw all but the table."""
    st.markdown("Read from the run folder: this page opens no instrument.")
    st.header("What the doctor says")
    frame.wait_for(doctor())


def doctor() -> Job | None:
    """Draw the doctor's last table, and the button that asks him; return the job that is under way."""
    settings, running = frame.settings(), frame.current().status == "running"
    if settings.read_only:
        st.markdown("Read-only: ask `nanolab bench doctor` at the command line.")
        return None
    if running:
        st.markdown("A run is going on, and the doctor would talk to its instruments: ask again when it has ended.")
    elif st.button("Ask `nanolab bench doctor` (looks at every instrument; the laser is not switched on)"):
        st.session_state[ASKED] = time.time()
    asked = st.session_state.get(ASKED)
    if asked is None:
        return None
    job = frame.store().jobs.get((ASKED, asked), lambda: examine(settings.bench))
    if not job.wait(0.5):
        st.info("The doctor is looking …")
        return job
    if job.error is not None:
        st.warning(f"The doctor could not be asked: {job.error}")
    else:
        _show(job.value)
    return None


def _show(examined: Examined) -> None:
    if examined.words:
        st.warning(examined.words)
        return
    st.markdown(f"Asked at {time.strftime('%H:%M:%S', time.localtime(examined.asked))}.")
    st.table(examined.cells)
