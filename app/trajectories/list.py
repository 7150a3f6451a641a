"""Stored choices and studies of the Trajectories page: a list with search, to open or delete."""

import streamlit as st

from app.keys import TRAJECTORIES
from app.links import LINKED
from app.stored import show_damaged, show_thumbnail
from app.text import as_text
from app.trajectories.many import STUDIED
from app.trajectories.shown import SHOWN, delete_choice
from dream.decoding.settings import DecodeSettings
from dream.errors import InputError
from workbench.store import StoredDecode, list_stored
from workbench.trajectories.kept import has_finished, prompts_of
from workbench.trajectories.race import KIND
from workbench.trajectories.shown import settings_words
from workbench.workspace import open_workspace

VIEW, QUERY, MOST_SHOWN = (TRAJECTORIES.input(name) for name in ("view", "query", "most"))
PAGE_LENGTH = 12


def render_list() -> None:
    """Draws the list, newest first."""
    st.session_state.setdefault(QUERY, "")
    query = st.text_input(
        "Search",
        key=QUERY,
        bind=LINKED,
        placeholder="words of the prompt, the model, seed 5 ...",
        help="All words must occur in the prompt, the model or the settings.",
    )
    matches = list_stored(open_workspace(), KIND, query)
    show_damaged()
    if not matches:
        st.info("Nothing stored matches." if query.strip() else "Nothing is stored yet: paint something first.")
        return
    st.session_state.setdefault(MOST_SHOWN, PAGE_LENGTH)
    for stored in matches[: st.session_state[MOST_SHOWN]]:
        _row(stored)
    if len(matches) > st.session_state[MOST_SHOWN]:
        key = TRAJECTORIES.action("more")
        st.button(f"Show more of {len(matches)}", key=key, on_click=_more, help=f"Shows {PAGE_LENGTH} more.")


def _more() -> None:
    st.session_state[MOST_SHOWN] += PAGE_LENGTH


def _row(stored: StoredDecode) -> None:
    many = prompts_of(stored) > 1
    with st.container(border=True):
        picture, text, buttons = st.columns([1, 6, 2], vertical_alignment="center")
        show_thumbnail(stored, picture, 72, f"Painted for: {stored.prompt}")
        text.markdown(f"**{as_text(stored.prompt)}**")
        finished = ["all finished"] if has_finished(stored) else []
        facts = [stored.when, str(stored.about.get("model")), *_settings(stored), *finished]
        text.caption(as_text(" · ".join(facts)))
        with buttons.container(horizontal=True, horizontal_alignment="right"):
            st.button(
                "Open",
                key=TRAJECTORIES.action("open", stored.id),
                on_click=_open,
                args=(stored.id, many),
                help="Shows it again; nothing is painted.",
            )
            with st.popover("Delete", help="Asks for confirmation first."):
                st.button(
                    "Delete permanently",
                    key=TRAJECTORIES.action("delete", stored.id),
                    on_click=delete_choice,
                    args=(stored.id,),
                    help="Cannot be undone.",
                )


def _settings(stored: StoredDecode) -> list[str]:
    try:
        return settings_words(DecodeSettings.from_dict(stored.about.get("settings", {})))
    except InputError:
        return ["its settings are damaged"]


def _open(id: str, many: bool) -> None:
    st.session_state[STUDIED if many else SHOWN] = id
    st.session_state[VIEW] = "many" if many else "one"
