"""The emoji by group and style, on the Data page."""

import streamlit as st

from app.data.choice import Opened
from app.keys import DATA
from app.links import LINKED
from dream.data.emoji.table import built_emoji
from workbench.sources.emoji_world import MEANINGS, count_table, groups_of, things_of, world_table
from workbench.sources.seen import Eyes

PER_PAGE = 12
EVERY = "all of it"
PAGE = DATA.input("emoji_page")


def show_world(opened: Opened, eyes: Eyes) -> None:
    """Shows things of a group in all styles, then how many there are."""
    drawings = built_emoji()
    groups = groups_of(drawings)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        group = st.selectbox("Group", list(groups), key=DATA.input("group"), bind=LINKED)
        choices = [EVERY, *groups[group]]
        if st.session_state.get(DATA.input("subgroup")) not in (None, *choices):
            del st.session_state[DATA.input("subgroup")]  # that of another group
        subgroup = st.selectbox("Part", choices, key=DATA.input("subgroup"), bind=LINKED)
        things = things_of(drawings, group, "" if subgroup == EVERY else subgroup)
        pages = -(-len(things) // PER_PAGE)
        if not 1 <= st.session_state.get(PAGE, 1) <= pages:
            del st.session_state[PAGE]  # that of another group
        number = st.selectbox(f"Page of {pages}", range(1, pages + 1), key=PAGE, bind=LINKED)
    shown = list(things.items())[(number - 1) * PER_PAGE : number * PER_PAGE]
    st.html(world_table(dict(shown)))
    st.caption(
        "Framed in orange: held out as `val`, "
        f"{MEANINGS['val']}. Framed in blue: held out as `unseen`, {MEANINGS['unseen']}. "
        "Everything else is learned from. A dot: this artist has not drawn it."
    )
    with st.expander("How many there are"):
        st.html(count_table(drawings))
