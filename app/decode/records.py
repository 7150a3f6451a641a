"""Stored decodes on the Decode page: a list with search, to open or delete."""

import streamlit as st

from app.decode.stage import LINKED_DECODE, SHOWN, STAGE, show_instead
from app.failures import guarded
from app.keys import DECODE, TILES
from app.links import LINKED, link, linked
from app.reveal import bring_into_view
from app.stored import show_damaged, show_thumbnail
from app.text import as_text
from dream.errors import InputError
from workbench.store import StoredDecode, delete_stored, list_stored, open_stored
from workbench.workspace import open_workspace

QUERY, MORE = DECODE.input("query"), DECODE.name("records_shown")
AT_FIRST, MORE_AT_A_TIME = 8, 12
CARD_WIDTH = 228
"""Width in pixels; as many cards share a row as fit."""


def take_first() -> bool:
    """Chooses what a tab shows first: the decode in the address, else the newest; returns whether there is neither."""
    if SHOWN in st.session_state:
        return False
    newest = next((stored.id for stored in list_stored(open_workspace(), "decode")), "")
    st.session_state[SHOWN] = linked(LINKED_DECODE) or newest
    return not st.session_state[SHOWN]


def shown_decode() -> StoredDecode | None:
    """The decode that the page shows, which the address then names; None, with a message, if it is gone."""
    id = st.session_state.get(SHOWN)
    link(LINKED_DECODE, id or "")
    if not id:
        return None
    try:
        return open_stored(open_workspace(), id)
    except InputError as error:
        show_instead("")
        link(LINKED_DECODE, "")
        st.info(f"The decode shown is gone: {as_text(error)}.")
        return None


def show_records() -> None:
    """Draws the list, newest first."""
    title, search = st.columns([2, 1], vertical_alignment="bottom")
    title.subheader("Stored decodes", anchor=False)
    query = search.text_input(
        "Search",
        key=QUERY,
        bind=LINKED,
        placeholder="words of the prompt, a model, seed 5 ...",
        label_visibility="collapsed",
        help="All words must occur in the prompt, the model or the settings.",
    )
    matches = list_stored(open_workspace(), query=query)
    if not matches:
        st.caption(
            f"No stored decode matches '{as_text(query)}'."
            if query
            else "Nothing is stored yet. Every decode is stored automatically."
        )
    count = st.session_state.get(MORE, AT_FIRST)
    shelf = st.container(horizontal=True, gap="small", key=f"{TILES}{DECODE.name('stored')}")
    for stored in matches[:count]:
        with shelf.container(border=True, width=CARD_WIDTH):
            _card(stored)
    if count < len(matches):
        key = DECODE.action("more")
        st.button(f"Show more ({len(matches) - count} left)", key=key, on_click=_more, help="Shows older decodes.")
    show_damaged()


def _more() -> None:
    st.session_state[MORE] = st.session_state.get(MORE, AT_FIRST) + MORE_AT_A_TIME


def _card(stored: StoredDecode) -> None:
    show_thumbnail(stored, st.container(), 144, f"Decode of: {stored.prompt}")
    st.markdown(as_text(stored.prompt if len(stored.prompt) <= 120 else f"{stored.prompt[:120]}…"))
    facts = [f"seed {stored.about.get('seed')}", str(stored.about.get("model", "")), stored.when]
    if stored.kind == "trajectories":
        facts.insert(0, "choice")
    if stored.about.get("parent"):
        facts.insert(0, f"fork after step {stored.about.get('fork_step')}")
    st.caption(as_text(" · ".join(facts)))
    left, right = st.columns(2, gap="small")
    left.button(
        "Open",
        key=DECODE.action("open", stored.id),
        on_click=_open,
        args=(stored.id,),
        width="stretch",
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
    show_instead(id)
    bring_into_view(STAGE)


def _delete(id: str) -> None:
    with guarded():
        delete_stored(open_workspace(), id)
    if st.session_state.get(SHOWN) == id:
        show_instead("")
