"""One picture and one text: contributions of patches and words to their cosine, and the effect of hiding."""

import streamlit as st

from app.background import computed
from app.figures import show_figure
from app.keys import SEARCH
from app.links import LINKED
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
ABOUT = f"""
The contribution of a patch is the drop of the cosine when the patch is hidden; orange raises it, blue lowers it.

- **{WAYS["shapley"]}**: the mean over random orders in which patches are hidden one by one (the Shapley value). The
  contributions add up to the cosine of the whole picture minus that of a fully hidden one.
- **{WAYS["hide"]}**: only this patch is hidden, in addition to the hidden share set above. Near 0 where other patches
  carry the same information.
- **{WAYS["show"]}**: everything else is hidden, which gives the contribution of the patch alone.

No gradients are used, and the model was trained on masked pictures. The map of a **word** shows which patches account
for that word's contribution (the drop of the cosine when the word is left out).
"""


def show_pair(there: Ready, picture: Looked, text: str, ratio: float) -> None:
    """Shows all figures of the pair; until they are computed, the progress."""
    who = (there.pretrained.model_id, picture.name, picture.pixels.tobytes())
    walks = computed(
        SEARCH.name("walk"),
        who,
        "Encoding the picture",
        lambda work: features_along(there.pretrained, picture.tokens, work.tell),
    )
    if walks is None:
        return
    about = computed(
        SEARCH.name("words"),
        (there.pretrained.model_id, text),
        "Encoding the text",
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
            SEARCH.name("words"),
            alt="Bar chart: drop of the cosine when each word of the text is left out",
        )
    others = other_captions(there.index, text)
    show_figure(
        plot_cosine_curve(cosine_curve(walks, about.whole, others), ratio),
        SEARCH.name("curve"),
        alt="Cosine of picture and text by hidden share, compared with other captions",
    )


def _numbers(walks: Walks, about: TextParts, ratio: float) -> None:
    first, *columns = st.columns(4 if ratio else 3)
    first.metric(
        "Cosine, all visible",
        f"{cosine_at(walks, about.whole, 0.0):.3f}",
        help="Cosine of picture and text in the joint space, from -1 to 1.",
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
        help="Cosine of the text with a fully hidden picture.",
    )
    columns[-1].metric(
        "Standard error",
        f"± {error_of_walks(walks, about.whole):.3f}",
        help=f"Standard error of a patch's contribution ({WAYS['shapley']}) over {len(walks.orders)} random orders.",
    )


def _map(there: Ready, picture: Looked, walks: Walks, about: TextParts, ratio: float, who: tuple[object, ...]) -> None:
    way, word = _choose(about)
    parts = parts_of_walks(walks)
    if way != "shapley":
        at = ratio if way == "hide" else 1.0
        in_context = computed(
            SEARCH.name("context"),
            (*who, at),
            "Hiding patches one at a time",
            lambda work: parts_in_context(there.pretrained, picture.tokens, at, work.tell),
        )
        if in_context is None:
            return
        parts = in_context
    number = None if word == WHOLE else next(n for n, name in enumerate(_named(about)) if name == word)
    title = f"Contribution of each patch: {WAYS[way]}" + ("" if number is None else f", “{about.words[number]}”")
    show_figure(
        plot_patch_map(patch_map(parts, about, number), picture.pixels, title),
        SEARCH.name("map"),
        alt="Map of the contribution of each patch to the cosine with the text",
    )


def _choose(about: TextParts) -> tuple[Way, str]:
    way, word = st.columns(2)
    chosen = way.selectbox(
        "Patch contribution", list(WAYS), key=SEARCH.input("way"), bind=LINKED, format_func=WAYS.__getitem__, help=ABOUT
    )
    options = [WHOLE, *_named(about)]
    if st.session_state.get(SEARCH.input("word"), WHOLE) not in options:
        del st.session_state[SEARCH.input("word")]  # that of another text
    which = word.selectbox(
        "Text",
        options,
        key=SEARCH.input("word"),
        bind=LINKED,
        help="The whole text, or one word to locate in the picture.",
    )
    return chosen, which


def _named(about: TextParts) -> list[str]:
    return [f"{number}. {word}" for number, word in enumerate(about.words, start=1)]
