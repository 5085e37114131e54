"""The pages of `nanolab dashboard`, as Streamlit runs them."""

from functools import partial

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from dashboard import assay_page, devices_page, frame, live_page, runs_page
from nanolab.discovery import PAGES, entry_points_of

STYLE = """<style>
.stMainBlockContainer { padding: 4.2rem 1.6rem 2rem; max-width: none; }
/* its dialog "connection lost" would lie over STOP; the banner says STATE UNKNOWN in its place, and we have no dialogs */
[data-testid="stDialog"] { display: none !important; }
/* Streamlit fades what it is about to draw anew; our panels tell the age of their data themselves, and STOP must not fade */
/* words of a table take the room that their column has */
[data-testid="stTable"] td [data-testid="stMarkdownContainer"] { max-width: none !important; }
[data-stale="true"] { opacity: 1 !important; transition: none !important; }
</style>"""


def first_upper(words: str) -> str:
    """Return words with a capital letter at their beginning, the others as they are."""
    return words[:1].upper() + words[1:]


def assay_pages() -> list[StreamlitPage]:
    """Return a page for each assay that brings one; it is imported when it is first looked at."""
    return [
        st.Page(partial(assay_page.page, name), title=first_upper(assay_page.words_of(name)), url_path=name)
        for name in entry_points_of(PAGES)
    ]


def main() -> None:
    """Draw the page that the address names."""
    st.set_page_config(page_title="nanolab", layout="wide")
    st.html(STYLE)
    live = st.Page(live_page.page, title="Live", url_path="live", default=True)
    st.session_state[frame.LIVE_PAGE] = live
    pages = [
        live,
        *assay_pages(),
        st.Page(runs_page.page, title="Runs", url_path="runs"),
        st.Page(devices_page.page, title="Devices", url_path="devices"),
    ]
    st.navigation(pages, position="top").run()


main()
