"""Pictures of a source, page by page."""

from collections.abc import Callable
from typing import Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.background import computed
from app.data.choice import Opened
from app.keys import DATA
from app.links import LINKED
from app.number_fields import NumberFields
from app.text import as_text
from workbench.sources.browse import Page, Sample, read_page
from workbench.sources.pictures import broken_card, card_grid, sample_card
from workbench.sources.seen import Eyes, Returned, and_back, tokens_of
from workbench.work import Work

PER_PAGE = (12, 24, 48)
MOST_PAGES = 10**9
WITHIN = 5_000
"""Number of captions searched for words, from the start of the shard."""
LEGEND = (
    "Chips are tokens with their ids. Dashed orange: a byte of a word outside the vocabulary. Struck through in blue: "
    "a token beyond the context length, which the model does not read. Picture errors are differences of 8-bit levels "
    "(0 to 255): the mean and the maximum."
)
Pager = tuple[DeltaGenerator, DeltaGenerator]
"""Places of the buttons for the previous and the next page."""


def show_cards(opened: Opened, eyes: Eyes) -> None:
    """Shows a page of samples with their caption tokens and their reconstruction by the image tokenizer."""
    shard, wanted, per, number, pager = _choose(opened)
    size = eyes.config.image.size
    start = (number - 1) * per
    identity = (*opened.identity, shard, start, per, wanted, size)
    page = computed(
        DATA.name("page"),
        identity,
        "Reading the page",
        lambda work: read_page(opened.browsed, shard, start, per, size, wanted=wanted, within=WITHIN, check=work.check),
    )
    if page is None:
        return
    _show_pager(pager, page, start)
    if not page.found:
        st.info(_why_empty(wanted, start))
        return
    good = [sample for sample in page.found if isinstance(sample, Sample)]
    back = _returned(identity, eyes, good) if good else None
    places = {sample.name: row for row, sample in enumerate(good)}
    cards = [
        sample_card(item, tokens_of(eyes.tokenizer, item.caption), back, places[item.name])
        if isinstance(item, Sample)
        else broken_card(item)
        for item in page.found
    ]
    st.html(card_grid(cards))


def first_page() -> None:
    """Returns to the first page, after a change of source, split, shard or filter."""
    st.session_state[DATA.input("page")] = 1.0


def _choose(opened: Opened) -> tuple[int, str, int, int, Pager]:
    shards, shard, numbers = opened.browsed.shards, 0, NumberFields()
    if st.session_state.get(DATA.input("shard"), 0) not in range(len(shards)):
        del st.session_state[DATA.input("shard")]  # that of another source
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(shards) > 1:
            shard = st.selectbox(
                "Shard",
                range(len(shards)),
                key=DATA.input("shard"),
                bind=LINKED,
                format_func=shards.__getitem__,
                on_change=first_page,
                help="Part of the source; only the chosen one is read.",
            )
        wanted = st.text_input(
            "Caption contains",
            key=DATA.input("wanted"),
            bind=LINKED,
            on_change=first_page,
            help=f"Only samples whose caption contains this text, among the first {WITHIN:,} of the shard.",
        )
        options: dict[str, Any] = {"key": DATA.input("per"), "bind": LINKED, "on_change": first_page, "width": 110}
        per = st.selectbox("Per page", PER_PAGE, **options, help="Samples per page.")
        before, field, after = (st.container(width=width) for width in (48, 130, 48))
        key = DATA.input("page")
        page = numbers.whole(field, "Page", 1, MOST_PAGES, key=key, bind=LINKED, help="Counts from 1.")
    numbers.require()
    return shard, wanted.strip(), per, page, (before, after)


def _show_pager(pager: Pager, page: Page, start: int) -> None:
    """Shows the buttons for the previous and next page, and the range of samples shown."""
    pager[0].button(
        "‹", key=DATA.action("earlier"), on_click=_step(-1), disabled=start == 0, width="stretch", help="Previous page."
    )
    pager[1].button(
        "›", key=DATA.action("later"), on_click=_step(1), disabled=not page.more, width="stretch", help="Next page."
    )
    of = f" of {page.total:,}" if page.total is not None else ""
    if page.found:
        st.caption(f"Samples {start + 1:,} to {start + len(page.found):,}{of}", help=LEGEND)


def _step(by: int) -> Callable[[], None]:
    def move() -> None:
        st.session_state[DATA.input("page")] = max(1.0, st.session_state[DATA.input("page")] + by)

    return move


def _why_empty(wanted: str, start: int) -> str:
    if start:
        return "There are no more samples: go back to page 1."
    if wanted:
        return f"None of the first {WITHIN:,} captions of this shard contains “{as_text(wanted)}”."
    return "This shard has no readable sample; see Broken samples for the reasons."


def _returned(identity: tuple[object, ...], eyes: Eyes, good: list[Sample]) -> Returned | None:
    pixels = np.stack([sample.pixels for sample in good])
    if eyes.exact:
        return and_back(eyes.image_tokenizer, pixels)

    def through(work: Work[Returned]) -> Returned:
        results = []
        for number in range(len(pixels)):
            work.tell(number / len(pixels), "encoding and decoding pictures")
            results.append(and_back(eyes.image_tokenizer, pixels[number : number + 1]))
        return Returned(*(np.concatenate(arrays) for arrays in zip(*results, strict=True)))

    return computed(DATA.name("back"), (*identity, eyes.name), "Running the image tokenizer", through)
