"""Search results: nearest pictures and captions, and the distribution of all cosines."""

from collections.abc import Sequence

import streamlit as st
from torch import Tensor

from app.figures import show_figure
from app.keys import SEARCH
from app.search.choice import Ready
from app.search.hits import Item, show_hits
from app.search.query import take_place, take_text
from workbench.figures.search import plot_cosines
from workbench.pictures import exact_url
from workbench.search.hits import hits_csv
from workbench.search.index import (
    Hit,
    Looked,
    cosines,
    looked_features,
    nearest,
    places_with_caption,
    ranks_of,
    text_features,
)
from workbench.sources.pictures import SMALL

SHOWN = 15
NEIGHBOURS = 12
CAPTIONS = 8
LISTED = 1_000
"""Number of hits in the CSV."""


def show_first(there: Ready) -> None:
    """Shows the first pictures of the index to click."""
    index = there.index
    st.markdown("**The first pictures** · type a text, drop a picture, or click one of these")
    hits = [Hit(place + 1, place, float("nan")) for place in range(min(2 * SHOWN, len(index.names)))]
    _pictures(there, hits, "first", None)


def show_for_text(there: Ready, text: str, ratio: float, picture: Looked | None) -> None:
    """Shows the pictures nearest to a text, with the rank of those that have it as caption."""
    features, query = there.index.features[ratio], text_features(there.pretrained, text)
    title, save = st.columns([4, 1], vertical_alignment="center")
    title.markdown(f"**Pictures nearest to the text**{_own_rank(there, features, query, text)}")
    save.download_button(
        "Download CSV",
        data=lambda: hits_csv(there.index, nearest(features, query, LISTED)),
        file_name="hits.csv",
        mime="text/csv",
        key=SEARCH.action("csv"),
        on_click="ignore",
        width="stretch",
        help=f"Rank, cosine, name and caption of the {LISTED:,} nearest pictures.",
    )
    hits = nearest(features, query, SHOWN)
    _pictures(there, hits, "text", picture)
    all_cosines = cosines(features, query)
    marked = [("nearest", hits[0].cosine)] if hits else []
    with st.expander("Cosines of all pictures"):
        show_figure(
            plot_cosines(all_cosines, marked),
            SEARCH.name("cosines"),
            alt=f"Histogram of the cosines of {len(all_cosines):,} pictures with the text",
        )


def show_for_picture(there: Ready, picture: Looked, ratio: float) -> None:
    """Shows the captions and pictures nearest to a picture."""
    index, query = there.index, looked_features(there.pretrained, picture, ratio)
    captions, pictures = st.columns([2, 3], gap="medium")
    with captions:
        own = index.captions[picture.place] if picture.place is not None else ""
        hits = nearest(index.caption_features, query, CAPTIONS)
        st.markdown(f"**Captions nearest to the picture** · of {len(index.different):,}")
        _captions(index.different, hits, own)
    with pictures:
        st.markdown("**Pictures nearest to the picture**")
        _pictures(there, nearest(index.features[ratio], query, NEIGHBOURS, picture.place), "picture", None)


def _pictures(there: Ready, hits: Sequence[Hit], name: str, chosen: Looked | None) -> None:
    index = there.index
    items = [
        Item(
            id=hit.place,
            picture=exact_url(index.pixels[hit.place]),
            title=index.captions[hit.place],
            left=f"{hit.rank}",
            right=f"{hit.cosine:.3f}" if hit.cosine == hit.cosine else "",
            hover=f"{index.names[hit.place]}: search for this picture",
            share=0,
            chosen=chosen is not None and hit.place == chosen.place,
        )
        for hit in hits
    ]
    show_hits(
        items,
        SEARCH.action("hits", name),
        "Pictures, nearest first",
        lambda place: take_place(there, place),
        cells=index.pixels.shape[-1] <= SMALL,
    )


def _captions(captions: Sequence[str], hits: Sequence[Hit], own: str) -> None:
    named = {hit.place: captions[hit.place] + " (its own)" * (captions[hit.place] == own) for hit in hits}
    items = [
        Item(
            id=hit.place,
            picture="",
            title=named[hit.place],
            left=f"{hit.rank}",
            right=f"{hit.cosine:.3f}",
            hover="Search for this caption",
            share=max(0.0, 100 * hit.cosine),
            chosen=captions[hit.place] == own,
        )
        for hit in hits
    ]
    show_hits(
        items,
        SEARCH.action("hits.captions"),
        "Captions, nearest first",
        lambda place: take_text(captions[place]),
        cells=False,
    )


def _own_rank(there: Ready, features: Tensor, query: Tensor, text: str) -> str:
    own = places_with_caption(there.index, text)
    if not own:
        return f" · of {len(there.index.names):,}; none has exactly this caption"
    best = min(ranks_of(features, query, own))
    which = "the one" if len(own) == 1 else f"the best of {len(own)}"
    return f" · of {len(there.index.names):,}; {which} with this caption has rank {best}"
