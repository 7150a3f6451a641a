"""The router: declares the pages, keeps what was typed on them, and runs the one that was asked for.

Start it with `make app`.
"""

import streamlit as st

from app.session import guarded, keep_inputs

PAGES = {
    "": [("home", "Home")],
    "Understand": [("masking", "Masking"), ("decode", "Decode"), ("trajectories", "Trajectories")],
    "Train": [("train", "Train"), ("runs", "Runs"), ("checkpoints", "Checkpoints")],
    "Look": [("search", "Search"), ("data", "Data"), ("evaluate", "Evaluate")],
}
"""The file of each page in views/ and its title, by section."""

st.set_page_config(page_title="DREAM workbench", page_icon="🌙", layout="wide")
keep_inputs()
sections = {
    section: [st.Page(f"views/{file}.py", title=title, default=file == "home") for file, title in pages]
    for section, pages in PAGES.items()
}
chosen = st.navigation(sections, expanded=True)
order = [page for pages in sections.values() for page in pages]
with st.sidebar:
    back, forth = st.columns(2)
    at = order.index(chosen) if chosen in order else 0
    if back.button("‹ Back", key="do.page.back", shortcut="Alt+PageUp", disabled=at == 0, width="stretch"):
        st.switch_page(order[at - 1])
    if forth.button(
        "Next ›", key="do.page.next", shortcut="Alt+PageDown", disabled=at == len(order) - 1, width="stretch"
    ):
        st.switch_page(order[at + 1])
with guarded():
    chosen.run()
