"""Prompts to choose from on the Decode page: those of stored decodes, then examples."""

import streamlit as st

from app.keys import DECODE
from app.reading import suggestions_of
from app.text import as_text
from workbench.prompts import example_prompts
from workbench.store import list_stored
from workbench.workspace import open_workspace

RECENT = 8
"""Most prompts of stored decodes in the menu."""
SHOWN = 120
"""Most characters of a prompt in the menu."""


def recent_prompts() -> list[str]:
    """Prompts of the stored decodes, newest first, each once."""
    return list(dict.fromkeys(stored.prompt for stored in list_stored(open_workspace())))[:RECENT]


def show_prompts(model: str, source: str) -> None:
    """Draws the menu; `source` is what the model was trained on, whose vocabulary the examples must be in."""
    with st.popover("Prompts to choose from", width="stretch"):
        _known_words(model)
        if recent := recent_prompts():
            st.caption("Painted before")
            _choices("recent", recent)
        if examples := example_prompts(source):
            st.caption("Examples in the model's vocabulary")
            _choices("example", tuple(examples.values()))
        else:
            st.caption(f"This model was trained on {as_text(source)}; the Data page shows its captions.")


def _known_words(model: str) -> None:
    """Draws what the model's captions name, to be put together to a prompt; nothing if the model kept none."""
    known = suggestions_of(model)
    if not known.starts:
        return
    start, ending = DECODE.action("known", "start"), DECODE.action("known", "ending")

    def fill() -> None:
        if chosen := st.session_state[start]:
            _take(known.prompt(chosen, st.session_state.get(ending) or ""))

    st.selectbox(
        f"Among {len(known.starts):,} that it knows",
        sorted(known.starts, key=str.casefold),
        index=None,
        placeholder="Type to find one",
        key=start,
        on_change=fill,
    )
    if known.endings:
        st.pills("in the style", known.endings, key=ending, on_change=fill, default=known.endings[0])


def _choices(kind: str, prompts: tuple[str, ...] | list[str]) -> None:
    for number, prompt in enumerate(prompts):
        short = prompt if len(prompt) <= SHOWN else f"{prompt[:SHOWN]}…"
        key = DECODE.action(kind, number)
        st.button(as_text(short), key=key, type="tertiary", on_click=_take, args=(prompt,), help="Fills in the prompt.")


def _take(prompt: str) -> None:
    st.session_state[DECODE.input("prompt")] = prompt
