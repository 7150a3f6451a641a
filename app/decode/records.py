"""Stored decodes on the Decode page: a list with search, to open or delete."""

import streamlit as st

from app.decode.stage import SHOWN
from app.failures import guarded
from app.keys import DECODE
from dream.errors import InputError
from workbench.store import StoredDecode, count_damaged, delete_stored, list_stored, open_stored
from workbench.workspace import open_workspace

QUERY, MORE = DECODE.input("query"), DECODE.name("records_shown")
AT_FIRST, MORE_AT_A_TIME = 8, 12
CARD_WIDTH = 228
"""Width in pixels; as many cards share a row as fit."""


def shown_decode() -> StoredDecode | None:
    """The decode that the page shows; None, with a message, if it was deleted elsewhere."""
    id = st.session_state.get(SHOWN)
    if not id:
        return None
    try:
        return open_stored(open_workspace(), id)
    except InputError as error:
        del st.session_state[SHOWN]
        st.info(f"The decode shown is gone: {error}.")
        return None


def show_records() -> None:
    """Draws the list, newest first."""
    here = open_workspace()
    title, search = st.columns([2, 1], vertical_alignment="bottom")
    title.subheader("Stored decodes", anchor=False)
    query = search.text_input(
        "Search",
        key=QUERY,
        placeholder="words of the prompt, a model, seed 5 ...",
        label_visibility="collapsed",
        help="All words must occur in the prompt, the model or the settings.",
    )
    matches, damaged = list_stored(here, query=query), count_damaged(here)
    if not matches:
        st.caption(
            f"No stored decode matches '{query}'."
            if query
            else "Nothing is stored yet. Every decode is stored automatically."
        )
    count = st.session_state.get(MORE, AT_FIRST)
    shelf = st.container(horizontal=True, gap="small")
    for stored in matches[:count]:
        with shelf.container(border=True, width=CARD_WIDTH):
            _card(stored)
    if count < len(matches):
        key = DECODE.action("more")
        st.button(f"Show more ({len(matches) - count} left)", key=key, on_click=_more, help="Shows older decodes.")
    if damaged:
        st.caption(f"{damaged} damaged folder(s) in {here.shown(here.decodes)} are left out.")


def _more() -> None:
    st.session_state[MORE] = st.session_state.get(MORE, AT_FIRST) + MORE_AT_A_TIME


def _card(stored: StoredDecode) -> None:
    if stored.thumbnail is not None:
        st.image(str(stored.thumbnail), alt=f"Decode of: {stored.prompt}", width=144)
    st.markdown(stored.prompt.replace("[", "\\[").replace("*", "\\*")[:120])
    facts = [f"seed {stored.about.get('seed')}", str(stored.about.get("model", "")), stored.when]
    if stored.kind == "trajectories":
        facts.insert(0, "choice")
    if stored.about.get("parent"):
        facts.insert(0, f"fork after step {stored.about.get('fork_step')}")
    st.caption(" · ".join(facts))
    left, right = st.columns(2, gap="small")
    left.button(
        "Open",
        key=DECODE.action("open", stored.id),
        on_click=_open,
        args=(stored.id,),
        width="stretch",
        disabled=st.session_state.get(SHOWN) == stored.id,
        help="Shows it above.",
    )
    with right.popover("Delete", width="stretch", help="Asks for confirmation first."):
        st.markdown("Delete this decode? This cannot be undone.")
        st.button(
            "Delete",
            key=DECODE.action("delete", stored.id),
            on_click=_delete,
            args=(stored.id,),
            type="primary",
            help="Deletes its record, picture and settings.",
        )


def _open(id: str) -> None:
    st.session_state[SHOWN] = id


def _delete(id: str) -> None:
    with guarded():
        delete_stored(open_workspace(), id)
    if st.session_state.get(SHOWN) == id:
        del st.session_state[SHOWN]
