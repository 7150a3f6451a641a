"""Search page: pictures nearest to a text, captions and pictures nearest to a picture, and details of one pair.

A pair is explained by the patches and words that contribute to its similarity. Everything works at any mask ratio.
"""

import streamlit as st

from app.background import computed
from app.failures import guarded
from app.handing_over import handed
from app.keys import SEARCH
from app.links import link, linked
from app.reading import show_reading
from app.search.choice import SearchChoice, choose_search, has_features, ready
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
from app.text import as_text
from workbench.sources.browse import first_captions

EXAMPLES = 3


def render() -> None:
    """Shows the page."""
    st.title("Search")
    st.caption("Texts and pictures that are similar in a model's joint space, with any share of the pictures hidden.")
    for name, value in handed("search").items():
        st.session_state[SEARCH.input(name)] = value
    chosen = None
    with st.container(border=True), guarded():
        chosen = choose_search()
    if chosen is not None:
        with guarded():
            _search(chosen)


def _search(chosen: SearchChoice) -> None:
    text, ratio = ask()
    if text:
        show_reading(chosen.model, [text], paints=False)
    query, results = st.columns([1, 3], gap="medium")
    with query:
        ask_picture()
        picture_at = st.container()
    with results:
        if not (text or chosen_picture() or linked(WANTED)):
            _invite(chosen)
            return
        there = ready(chosen)
        if there is None or not has_features(there, ratio):
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
            st.caption("Click a picture for similar ones, and for the patches that contribute to the similarity.")
        elif picture is not None and view == NEAR:
            show_for_picture(there, picture, ratio)
            st.caption("Click a caption, or type a text, for the patches that contribute to the similarity.")
        elif picture is not None:
            show_pair(there, picture, text, ratio)
        if there.index.skipped:
            st.caption(f"{there.index.skipped:,} broken samples were skipped; the Data page lists them.")


def _invite(chosen: SearchChoice) -> None:
    st.info(
        f"Type a text, drop a picture, or begin with one of these captions. The first search reads and encodes up to "
        f"{chosen.count:,} pictures of {as_text(chosen.opened.typed)}; later searches are quick."
    )
    captions = computed(
        SEARCH.name("examples"),
        chosen.opened.identity,
        "Reading captions",
        lambda work: first_captions(chosen.opened.browsed, EXAMPLES),
    )
    for number, caption in enumerate(captions or []):
        st.button(
            as_text(caption),
            key=SEARCH.action("example", number),
            on_click=take_text,
            args=(caption,),
            help="Searches for this caption.",
        )
    st.button(
        "Show pictures",
        key=SEARCH.action("read"),
        type="primary",
        on_click=_want,
        help="Reads the pictures now and shows the first ones to click.",
    )


def _want() -> None:
    link(WANTED, "yes")


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
