"""The pictures of a source, page by page."""

from collections.abc import Callable

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.background import computed
from app.data.choice import Opened
from workbench.sources.browse import Page, Sample, read_page
from workbench.sources.pictures import broken_card, card_grid, sample_card
from workbench.sources.seen import Eyes, Returned, and_back, tokens_of
from workbench.work import Work

PER_PAGE = (12, 24, 48)
WITHIN = 5_000
"""Captions that are searched for words: the first ones of a shard."""
LEGEND = (
    "Chips are tokens with their ids: dashed orange is a byte of a word that the vocabulary does not know, "
    "struck through in blue is what lies behind the end of what the model reads. Errors of pictures are "
    "differences of 8-bit levels (0 to 255): the mean and the greatest."
)
Turner = tuple[DeltaGenerator, DeltaGenerator]
"""Where the buttons go that turn the page."""


def show_cards(opened: Opened, eyes: Eyes) -> None:
    """A page of samples with their tokens and what the image tokenizer leaves of them."""
    shard, wanted, per, turner = _choose(opened)
    size = eyes.config.image.size
    start = (st.session_state["in.data.page"] - 1) * per
    identity = (*opened.identity, shard, start, per, wanted, size)
    page = computed(
        "data.page",
        identity,
        "Reading the page",
        lambda work: read_page(opened.browsed, shard, start, per, size, wanted=wanted, within=WITHIN, check=work.check),
    )
    if page is None:
        return
    _turn(turner, page, start)
    if not page.found:
        st.info(_nothing(wanted, start))
        return
    good = [sample for sample in page.found if isinstance(sample, Sample)]
    back = _returned(identity, eyes, good) if good else None
    places = {sample.name: row for row, sample in enumerate(good)}
    parts = [
        sample_card(found, tokens_of(eyes.tokenizer, found.caption), back, places[found.name])
        if isinstance(found, Sample)
        else broken_card(found)
        for found in page.found
    ]
    st.html(card_grid(parts))


def first_page() -> None:
    """Back to the first page, as another source, split, shard or filter wants it."""
    st.session_state["in.data.page"] = 1


def _choose(opened: Opened) -> tuple[int, str, int, Turner]:
    shards = opened.browsed.shards
    one = len(shards) == 1
    columns = st.columns([4, 1.2, 0.6, 1.3, 0.6] if one else [3, 3, 1.2, 0.6, 1.3, 0.6], vertical_alignment="bottom")
    if st.session_state.get("in.data.shard") not in range(len(shards)):
        st.session_state["in.data.shard"] = 0
    if not one:
        columns[0].selectbox(
            "Shard",
            range(len(shards)),
            key="in.data.shard",
            format_func=shards.__getitem__,
            on_change=first_page,
            help="A part of the source; only the one looked at is read.",
        )
    wanted = columns[-5].text_input(
        "Caption contains",
        key="in.data.wanted",
        on_change=first_page,
        help=f"Only samples whose caption has these letters, among the first {WITHIN:,} of the shard.",
    )
    st.session_state.setdefault("in.data.per", PER_PAGE[0])
    per = columns[-4].selectbox(
        "Per page", PER_PAGE, key="in.data.per", on_change=first_page, help="Samples on a page."
    )
    st.session_state.setdefault("in.data.page", 1)
    columns[-2].number_input("Page", min_value=1, step=1, key="in.data.page", help="Counts from 1.")
    return st.session_state["in.data.shard"], wanted.strip(), per, (columns[-3], columns[-1])


def _turn(turner: Turner, page: Page, start: int) -> None:
    """The buttons that turn the page, and where the reader is."""
    turner[0].button(
        "‹", key="do.data.earlier", on_click=_step(-1), disabled=start == 0, width="stretch", help="The page before."
    )
    turner[1].button(
        "›", key="do.data.later", on_click=_step(1), disabled=not page.more, width="stretch", help="The next page."
    )
    of = f" of {page.total:,}" if page.total is not None else ""
    if page.found:
        st.caption(f"Samples {start + 1:,} to {start + len(page.found):,}{of}", help=LEGEND)


def _step(by: int) -> Callable[[], None]:
    def move() -> None:
        st.session_state["in.data.page"] = max(1, st.session_state["in.data.page"] + by)

    return move


def _nothing(wanted: str, start: int) -> str:
    if start:
        return "There are not so many samples: go back to page 1."
    if wanted:
        return f"No caption among the first {WITHIN:,} of this shard contains “{wanted}”."
    return "This shard has no sample that can be read; the list of broken samples says why."


def _returned(identity: tuple[object, ...], eyes: Eyes, good: list[Sample]) -> Returned | None:
    pixels = np.stack([sample.pixels for sample in good])
    if eyes.exact:
        return and_back(eyes.image_tokenizer, pixels)

    def through(work: Work[Returned]) -> Returned:
        parts = []
        for number in range(len(pixels)):
            work.tell(number / len(pixels), "pictures to tokens and back")
            parts.append(and_back(eyes.image_tokenizer, pixels[number : number + 1]))
        return Returned(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    return computed("data.back", (*identity, eyes.name), "The image tokenizer's work", through)
