"""Search: pictures of a source nearest to a text, captions and pictures nearest to a picture, and for one
pair the patches and words that carry the similarity; at any mask ratio.
"""

import streamlit as st

from app.background import computed
from app.failures import guarded
from app.handing_over import handed
from app.search.choice import SearchChoice, choose_search, ready, seen_at
from app.search.pair import show_pair
from app.search.query import (
    NEAR,
    TEXT,
    WANTED,
    ask,
    ask_picture,
    asked_picture,
    choose_view,
    chosen_picture,
    show_picture,
    take_text,
)
from app.search.results import show_first, show_for_picture, show_for_text
from workbench.sources.browse import first_captions

EXAMPLES = 3


def render() -> None:
    """Show the page."""
    st.title("Search")
    st.caption(
        "What a model holds to be similar: texts and pictures in its joint space, by their cosine (-1 to "
        "1), with as much of the pictures hidden as you like."
    )
    for name, value in handed("search").items():
        st.session_state[f"in.search.{name}"] = value
    chosen = None
    with st.container(border=True), guarded():
        chosen = choose_search()
    if chosen is not None:
        with guarded():
            _search(chosen)


def _search(chosen: SearchChoice) -> None:
    text, ratio = ask()
    query, found = st.columns([1, 3], gap="medium")
    with query:
        ask_picture()
        picture_at = st.container()
    with found:
        if not (text or chosen_picture() or st.session_state.get(WANTED)):
            _invite(chosen)
            return
        there = ready(chosen)
        if there is None or not seen_at(there, ratio):
            return
        picture = asked_picture(there)
        if picture is not None:
            with picture_at:
                show_picture(there, picture, ratio)
        view = choose_view(text, picture)
        if view is None:
            show_first(there)
        elif view == TEXT:
            show_for_text(there, text, ratio, picture)
            st.caption("Click a picture to see what is like it, and which of its patches carry the similarity.")
        elif picture is not None and view == NEAR:
            show_for_picture(there, picture, ratio)
            st.caption("Click a caption, or type a text, to see which patches of the picture carry the similarity.")
        elif picture is not None:
            show_pair(there, picture, text, ratio)
        if there.index.skipped:
            st.caption(f"{there.index.skipped:,} broken samples were passed over; Data lists them.")


def _invite(chosen: SearchChoice) -> None:
    st.info(
        f"Type a text or drop a picture. The first search reads up to {chosen.count:,} pictures of "
        f"{chosen.opened.typed} and looks at each of them once; the ones after it are quick."
    )
    captions = computed(
        "search.examples",
        chosen.opened.identity,
        "Reading captions",
        lambda work: first_captions(chosen.opened.browsed, EXAMPLES),
    )
    for number, caption in enumerate(captions or []):
        st.button(
            caption,
            key=f"do.search.example.{number}",
            on_click=take_text,
            args=(caption,),
            help="Searches for this caption of the source.",
        )
    st.button(
        "Read the pictures",
        key="do.search.read",
        type="primary",
        on_click=_want,
        help="Reads them now and shows the first ones, to click.",
    )


def _want() -> None:
    st.session_state[WANTED] = True


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
