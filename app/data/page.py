"""Data page: a source's pictures with captions and tokens, its statistics, and its broken samples."""

import streamlit as st

from app.credits import show_credits
from app.data.cards import first_page, show_cards
from app.data.choice import Opened, eyes_for, open_split, pick_eyes, pick_level, pick_names, pick_source, pick_split
from app.data.emoji import show_world
from app.data.statistics import show_broken, show_statistics
from app.emoji_build import emoji_missing, offer_emoji
from app.failures import guarded
from app.handing_over import hand_over, handed
from app.keys import DATA
from app.links import LINKED, linked
from dream.data.captions import USUAL
from dream.data.emoji.corpus import is_emoji
from workbench.sources.seen import Eyes

SOURCE = DATA.input("source")
WORLD = "By group and style"
VIEWS = {"Pictures": show_cards, "Statistics": show_statistics, "Broken samples": show_broken}


def render() -> None:
    """Shows the page."""
    st.title("Data")
    st.caption(
        "Captioned pictures as a model receives them: cropped, as tokens, counted, and what is broken among them."
    )
    if source := handed("data").get("source"):
        st.session_state[SOURCE] = source
    with st.container(border=True):
        chosen = _choose()
    if chosen is None:
        return
    opened, eyes = chosen
    if st.session_state.get(DATA.name("looked"), opened.identity) != opened.identity:
        first_page()
    st.session_state[DATA.name("looked")] = opened.identity
    views = {WORLD: show_world, **VIEWS} if is_emoji(opened.source) else VIEWS
    if st.session_state.get(DATA.input("view"), "Pictures") not in views:
        del st.session_state[DATA.input("view")]  # that of another source
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        name = st.segmented_control(
            "View",
            list(views),
            default="Pictures",
            key=DATA.input("view"),
            bind=LINKED,
            required=True,
            label_visibility="collapsed",
            help="Pictures page by page, statistics of the source, or samples that cannot be used.",
        )
        with st.container(horizontal=True, width="content"):
            _links(opened, eyes)
    with guarded():
        views[name or "Pictures"](opened, eyes)
    show_credits(opened.source)


def _links(opened: Opened, eyes: Eyes) -> None:
    """Shows buttons that open the source on other pages."""
    data = eyes.config.data
    names = [f"data.{key}={name}" for key, name in (("caption", data.caption), ("picture", data.picture)) if name]
    assignments = [f"data.level={data.level}"] if opened.source == "shapes" else names
    if st.button("Train on this", key=DATA.action("train"), help="Opens Train with this source."):
        hand_over("train", source=opened.typed, assignments=assignments)
    if st.button("Search in this", key=DATA.action("search"), help="Opens Search with this source."):
        hand_over("search", source=opened.typed)


def _choose() -> tuple[Opened, Eyes] | None:
    """Shows the choice of source and tokenizers; None until both are open. A failure is shown, the choice stays."""
    drawn = str(st.session_state.get(SOURCE) or linked(SOURCE) or "shapes").strip() == "shapes"
    columns = st.columns([4, 1.5, 1, 3] if drawn else [4, 2.5, 3])
    with guarded():
        with columns[0]:
            typed = pick_source(DATA.name("source"))
        if emoji_missing(typed):
            offer_emoji()
            return None
        with columns[-1]:
            whose = pick_eyes(typed)
        level = None
        if drawn:
            with columns[2]:
                level = pick_level()
        eyes = eyes_for(whose, typed, level, USUAL if drawn else pick_names())
        if eyes is None:
            return None
        split = pick_split(columns[1], DATA.name("split"), typed, eyes.config)
        if split is None:
            return None
        opened = open_split(DATA.name("open"), typed, split, eyes.config)
        return None if opened is None else (opened, eyes)
    return None


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
