"""Two decodes of one model next to each other, on the Decode page."""

from typing import Any

import streamlit as st

from app.decode.stage import data_of
from app.keys import DECODE
from app.links import LINKED, link, linked
from app.player import show_player
from app.text import as_text
from workbench.decode.sides import compare_data, compared_pictures, differences_html, painted_differently, side_names
from workbench.store import StoredDecode, list_stored
from workbench.workspace import open_workspace

OTHER, SIDE = DECODE.input("compare_with"), DECODE.input("compare_as")
SIDES = {"slider": "Slider", "players": "Two players"}
SLIDER_WIDTH = 340  # pixels
LISTED = 40
"""Most decodes to choose from."""


def show_compare(stored: StoredDecode) -> None:
    """Draws this decode (B) next to another (A), by default its parent if it is a fork."""
    others = {other.id: other for other in _others(stored)}
    if not others:
        st.info("There is no other decode by this model yet: fork this one, or decode another prompt.")
        return
    first_choice = next(iter(others))
    if st.session_state.get(OTHER) not in others:
        st.session_state[OTHER] = linked(OTHER) if linked(OTHER) in others else first_choice
    other = st.selectbox(
        "Compare with",
        list(others),
        format_func=lambda id: _name(others[id], stored),
        key=OTHER,
        help="A: this decode, on the left. B: the decode shown above.",
    )
    link(OTHER, "" if other == first_choice else other)
    side = st.segmented_control(
        "View",
        list(SIDES),
        default="slider",
        format_func=SIDES.__getitem__,
        key=SIDE,
        bind=LINKED,
        required=True,
        label_visibility="collapsed",
        help="Both finished pictures under one slider, or both decodes step by step.",
    )
    first, second = data_of(others[other]), data_of(stored)
    if side == "players":
        sides = zip(st.columns(2), "AB", side_names(others[other], stored), (first, second), strict=True)
        for column, letter, name, data in sides:
            with column:
                st.markdown(f"**{as_text(name)}**")
                show_player(data, DECODE.name("compare", letter), events=())
    else:
        _slider(first, second, others[other], stored)


def _slider(first: dict[str, Any], second: dict[str, Any], a: StoredDecode, b: StoredDecode) -> None:
    row = st.container(horizontal=True, gap="large")
    with row.container(width=SLIDER_WIDTH):
        show_player(compare_data(first, second, a, b), DECODE.name("compare", "slider"), events=())
    with row.container(width="stretch"):
        names, different = side_names(a, b), painted_differently(a, b)
        st.markdown(f"**{as_text(names.a)}**  \n**{as_text(names.b)}**")
        st.caption(compared_pictures(first, second))
        if different:
            st.html(differences_html(different))
        else:
            st.caption("Prompt and settings are equal.")


def _others(stored: StoredDecode) -> list[StoredDecode]:
    """Decodes of the same model: the parent first, then forks of this one, then the newest."""
    model = stored.about.get("model_id")
    others = [one for one in list_stored(open_workspace()) if one.id != stored.id]
    others = [one for one in others if one.about.get("model_id") == model and model]
    parent = stored.about.get("parent")
    others.sort(key=lambda one: (one.id != parent, one.about.get("parent") != stored.id))
    return others[:LISTED]


def _name(other: StoredDecode, stored: StoredDecode) -> str:
    kin = " (parent)" if stored.about.get("parent") == other.id else ""
    kin = kin or (" (fork of this)" if other.about.get("parent") == stored.id else "")
    return f"{other.prompt} · seed {other.about.get('seed')} · {other.when}{kin}"
