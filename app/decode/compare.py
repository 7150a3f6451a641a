"""Two decodes of one model next to each other, on the Decode page."""

from typing import Any

import streamlit as st

from app.decode.stage import data_of
from app.keys import DECODE
from app.player import show_player
from workbench.decode.recall import changes
from workbench.decode.request import stretches
from workbench.decode.sides import compare_data
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
    if st.session_state.get(OTHER) not in others:
        st.session_state[OTHER] = next(iter(others))
    other = st.selectbox(
        "Compare with",
        list(others),
        format_func=lambda id: _name(others[id], stored),
        key=OTHER,
        help="A: this decode, on the left. B: the decode shown above.",
    )
    st.session_state.setdefault(SIDE, "slider")
    side = st.segmented_control(
        "View",
        list(SIDES),
        format_func=SIDES.__getitem__,
        key=SIDE,
        required=True,
        label_visibility="collapsed",
        help="Both finished pictures under one slider, or both decodes step by step.",
    )
    first, second = data_of(others[other]), data_of(stored)
    if side == "slider":
        _slider(first, second, others[other], stored)
    else:
        for column, name, data in zip(st.columns(2), "AB", (first, second), strict=True):
            with column:
                st.markdown(f"**{name}** · {data['title']}")
                show_player(data, DECODE.name("compare", name), events=())


def _slider(first: dict[str, Any], second: dict[str, Any], a: StoredDecode, b: StoredDecode) -> None:
    row = st.container(horizontal=True, gap="large")
    with row.container(width=SLIDER_WIDTH):
        show_player(compare_data(first, second, a, b), DECODE.name("compare", "slider"), events=())
    with row.container(width="stretch"):
        different = changes(_settings(a), _settings(b))
        same = sum(x == y for x, y in zip(first["frames"], second["frames"], strict=False))
        if "parent" in b.about and b.about["parent"] == a.id:
            st.caption(f"B was forked from A after step {b.about['fork_step']}; {same} pictures are the same.")
        if different:
            rows = [{"setting": change.name, "A": change.now, "B": change.then} for change in different]
            st.table(rows, hide_index=True, border="horizontal")
        else:
            st.caption("Prompt and settings are the same.")


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


def _settings(stored: StoredDecode) -> dict[str, Any]:
    last = stretches(stored)[-1]
    return {"prompt": last.prompt, **last.settings.to_dict()}
