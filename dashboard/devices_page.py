"""The instruments as the run folder knows them: who they are, what they answered last, how long ago. Nothing is opened."""

import streamlit as st

from dashboard import frame
from dashboard.device_rows import device_rows
from dashboard.store import Current


def page() -> None:
    """Draw the page."""
    devices()
    st.markdown("Read from the run folder: this page opens no instrument. `nanolab bench doctor` asks them all.")


@st.fragment(run_every=1.0)
def devices() -> None:
    """Draw the table, once a second."""
    found: Current = frame.current()
    frame.mount(frame.header_now(found), path=None if found.run is None else found.run.path)
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
