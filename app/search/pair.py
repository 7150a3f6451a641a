"""One picture and one text: which patches and words carry their cosine, and what hiding does to it."""

import streamlit as st

from app.background import computed
from app.figures import show_figure
from app.search.choice import Ready
from workbench.figures.search import plot_cosine_curve, plot_patch_map, plot_word_parts
from workbench.search.index import Looked, other_captions
from workbench.search.pair import (
    WAYS,
    TextParts,
    Walks,
    Way,
    cosine_at,
    cosine_curve,
    cosine_of_nothing,
    error_of_walks,
    features_along,
    parts_in_context,
    parts_of_walks,
    patch_map,
    text_parts,
    word_parts,
)

WHOLE = "the whole text"
ABOUT = """
A patch's part is how much the cosine falls when the patch is hidden; orange raises it, blue lowers it.

- **fair share**: the mean over random orders in which the patches disappear one by one (the Shapley value).
  The parts add up to the cosine of the whole picture minus that of one with nothing visible.
- **hide one**: beside it only the hidden share set above is hidden. Near 0 where other patches say the same.
- **show one**: everything else is hidden. What the patch says alone.

No gradient is used, and masked pictures are what the model was trained on. The map of a **word** shows which
patches that word's own part (the fall of the cosine when it is left out) comes from.
"""


def show_pair(there: Ready, picture: Looked, text: str, ratio: float) -> None:
    """Everything about the pair; until the picture was looked at, progress."""
    who = (there.pretrained.model_id, picture.name, picture.pixels.tobytes())
    walks = computed(
        "search.walk",
        who,
        "Looking at the picture",
        lambda work: features_along(there.pretrained, picture.tokens, work.tell),
    )
    if walks is None:
        return
    about = computed(
        "search.words",
        (there.pretrained.model_id, text),
        "Reading the text",
        lambda work: text_parts(there.pretrained, text),
    )
    if about is None:
        return
    _numbers(walks, about, ratio)
    map_at, words_at = st.columns(2, gap="medium")
    with map_at:
        _map(there, picture, walks, about, ratio, who)
    with words_at:
        show_figure(
            plot_word_parts(about.words, word_parts(walks, about, ratio)),
            "search.words",
            alt="Bars: how much the cosine falls when each word of the text is left out",
        )
    others = other_captions(there.index, text)
    show_figure(
        plot_cosine_curve(cosine_curve(walks, about.whole, others), ratio),
        "search.curve",
        alt="Cosine of picture and text by the hidden share, beside that of other captions",
    )


def _numbers(walks: Walks, about: TextParts, ratio: float) -> None:
    first, *columns = st.columns(4 if ratio else 3)
    first.metric(
        "Cosine, all visible",
        f"{cosine_at(walks, about.whole, 0.0):.3f}",
        help="Of picture and text in the joint space, from -1 to 1.",
    )
    if ratio:
        columns[0].metric(
            f"With {100 * ratio:.0f} % hidden",
            f"{cosine_at(walks, about.whole, ratio):.3f}",
            help=f"Mean over {len(walks.orders)} random masks.",
        )
    columns[-2].metric(
        "Nothing visible",
        f"{cosine_of_nothing(walks, about.whole):.3f}",
        help="The cosine of the text with a picture of which nothing is seen.",
    )
    columns[-1].metric(
        "Error of a fair share",
        f"± {error_of_walks(walks, about.whole):.3f}",
        help=f"Standard error of a patch's fair share over {len(walks.orders)} random orders.",
    )


def _map(there: Ready, picture: Looked, walks: Walks, about: TextParts, ratio: float, who: tuple[object, ...]) -> None:
    way, word = _choose(about)
    parts = parts_of_walks(walks)
    if way != "shapley":
        at = ratio if way == "hide" else 1.0
        found = computed(
            "search.context",
            (*who, at),
            "Hiding patches one at a time",
            lambda work: parts_in_context(there.pretrained, picture.tokens, at, work.tell),
        )
        if found is None:
            return
        parts = found
    number = None if word == WHOLE else next(n for n, name in enumerate(_named(about)) if name == word)
    title = f"Each patch's part: {WAYS[way]}" + ("" if number is None else f", “{about.words[number]}”")
    show_figure(
        plot_patch_map(patch_map(parts, about, number), picture.pixels, title),
        "search.map",
        alt="Map of how much each patch of the picture raises or lowers the cosine with the text",
    )


def _choose(about: TextParts) -> tuple[Way, str]:
    st.session_state.setdefault("in.search.way", "shapley")
    way, word = st.columns(2)
    chosen = way.selectbox("A patch's part", list(WAYS), key="in.search.way", format_func=WAYS.__getitem__, help=ABOUT)
    options = [WHOLE, *_named(about)]
    if st.session_state.get("in.search.word") not in options:
        st.session_state["in.search.word"] = WHOLE
    which = word.selectbox(
        "Of", options, key="in.search.word", help="The text, or one word: where in the picture its effect is."
    )
    return chosen, which


def _named(about: TextParts) -> list[str]:
    return [f"{number}. {word}" for number, word in enumerate(about.words, start=1)]
