"""The pages of `nanolab dashboard`, as Streamlit runs them."""

import streamlit as st

from dashboard import live_page

st.set_page_config(page_title="nanolab", layout="wide")
st.html("<style>.stMainBlockContainer{padding:4.2rem 1.6rem 2rem;max-width:none}</style>")
st.navigation([st.Page(live_page.page, title="Live", url_path="live", default=True)], position="top").run()
