"""Search page: pictures nearest to a text, captions and pictures nearest to a picture, and details of one pair.

A pair is explained by the patches and words that contribute to its similarity. Everything works at any mask ratio.
"""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.background import computed
from app.credits import show_credits
from app.failures import guarded
from app.handing_over import handed
from app.keys import SEARCH
from app.links import link, linked
from app.models import state_of
from app.reading import show_reading
from app.search.choice import Ready, SearchChoice, choose_search, has_features, ready
from app.search.pair import show_pair
from app.search.query import (
    NEAR,
    TEXT,
    TYPED,
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
from dream.data.emoji.corpus import SOURCE as EMOJI
from dream.evaluation.tasks import SHAPES
from workbench.prompts import example_prompts
from workbench.sources.browse import first_captions

EXAMPLES, AMONG = 4, 480  # captions that are offered, and the first captions of the source that they are spread over
LONGEST = 80  # characters of a caption on a button
OPENED = SEARCH.name("opened")  # session key: there once the page has been asked something in this tab


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
    examples, ours = _examples(chosen), chosen.opened.typed in (SHAPES, EMOJI)
    asked = bool(st.session_state.get(TYPED) or linked(TYPED) or chosen_picture() or linked(WANTED))
    if ours and examples and not asked and OPENED not in st.session_state:
        take_text(examples[0])
        asked = True
    if asked:
        st.session_state[OPENED] = True
    text, ratio = ask(next(iter(example_prompts(chosen.opened.typed).values()), "words of a caption"))
    _offer(examples)
    if text:
        show_reading(chosen.model, [text], paints=False)
    query, results = st.columns([1, 3], gap="medium")
    with query:
        ask_picture()
        picture_at = st.container()
    with results:
        if not (asked or ours):
            _invite(chosen)
        elif (there := ready(chosen)) is not None and has_features(there, ratio):
            _show(there, text, ratio, picture_at)
    show_credits(chosen.opened.source, state_of(chosen.model).source)


def _show(there: Ready, text: str, ratio: float, picture_at: DeltaGenerator) -> None:
    """Shows the results of the query, and the picture that is part of it at its place."""
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


def _examples(chosen: SearchChoice) -> list[str]:
    """Captions of the pictures to search, far apart in their order; none while they are read."""
    among = min(AMONG, chosen.count)
    captions = computed(
        SEARCH.name("examples"),
        (chosen.opened.identity, among),
        "Reading captions",
        lambda work: first_captions(chosen.opened.browsed, among),
    )
    return captions[:: -(-len(captions) // EXAMPLES)] if captions else []


def _offer(captions: list[str]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for number, caption in enumerate(captions):
            st.button(
                as_text(caption if len(caption) <= LONGEST else f"{caption[:LONGEST]}…"),
                key=SEARCH.action("example", number),
                on_click=take_text,
                args=(caption,),
                help="Searches for this caption.",
            )


def _invite(chosen: SearchChoice) -> None:
    st.info(
        f"Type a text, drop a picture, or begin with one of the captions above. The first search reads and encodes up "
        f"to {chosen.count:,} pictures of {as_text(chosen.opened.typed)}; later searches are quick."
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
