"""The stored choices and studies of the Trajectories page: searched, opened, deleted."""

import streamlit as st

from app.trajectories.controls import PAGE, key
from app.trajectories.many import STUDIED
from app.trajectories.shown import SHOWN, delete_choice
from workbench.store import StoredDecode, list_stored
from workbench.trajectories.kept import has_finished, prompts_of
from workbench.trajectories.race import KIND
from workbench.workspace import open_workspace

VIEW = key("view")
AT_ONCE = 12


def render_list() -> None:
    """The list, newest first."""
    st.session_state.setdefault(key("query"), "")
    query = st.text_input(
        "Search",
        key=key("query"),
        placeholder="words of the prompt, the model, e.g. seed 5",
        help="All words must occur in the prompt, the model's name or the settings.",
    )
    found = list_stored(open_workspace(), KIND, query)
    if not found:
        st.info("Nothing stored matches." if query.strip() else "Nothing is stored yet: paint something first.")
        return
    st.session_state.setdefault(key("most"), AT_ONCE)
    for stored in found[: st.session_state[key("most")]]:
        _row(stored)
    if len(found) > st.session_state[key("most")]:
        st.button(f"Show more of {len(found)}", key=f"do.{PAGE}.more", on_click=_more, help="The next dozen.")


def _more() -> None:
    st.session_state[key("most")] += AT_ONCE


def _row(stored: StoredDecode) -> None:
    settings, many = stored.about.get("settings", {}), prompts_of(stored) > 1
    with st.container(border=True):
        picture, text, buttons = st.columns([1, 6, 2], vertical_alignment="center")
        if stored.thumbnail:
            picture.image(str(stored.thumbnail), width=72, alt=f"Painted for: {stored.prompt}")
        text.markdown(f"**{stored.prompt}**")
        text.caption(
            f"{stored.when} · {stored.about.get('model')} · {settings.get('candidates')} candidates"
            f"{', all finished' if has_finished(stored) else ''} · {settings.get('steps')} steps · "
            f"seed {stored.about.get('seed')}"
        )
        with buttons.container(horizontal=True, horizontal_alignment="right"):
            st.button(
                "Open",
                key=f"do.{PAGE}.open.{stored.id}",
                on_click=_open,
                args=(stored.id, many),
                help="Shows it again; nothing is painted anew.",
            )
            with st.popover("Delete", help="Removes it."):
                st.button(
                    "Delete it for good",
                    key=f"do.{PAGE}.delete.{stored.id}",
                    on_click=delete_choice,
                    args=(stored.id,),
                    help="Cannot be undone.",
                )


def _open(id: str, many: bool) -> None:
    st.session_state[STUDIED if many else SHOWN] = id
    st.session_state[VIEW] = "many" if many else "one"
