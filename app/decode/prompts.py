"""Prompts to choose from on the Decode page: those of stored decodes, then examples."""

import streamlit as st

from app.keys import DECODE
from app.text import as_text
from workbench.store import list_stored
from workbench.workspace import open_workspace

EXAMPLES = (
    "a red circle left of a blue square on a white background",
    "a green triangle above a yellow cross on a black background",
    "a purple cross on a grey background",
    "a yellow square right of a purple circle on a grey background",
    "a blue triangle below a red triangle on a white background",
    "a black background with an orange circle",
)
"""Prompts in the vocabulary of the drawn shapes."""
RECENT = 8
"""Most prompts of stored decodes in the menu."""
SHOWN = 120
"""Most characters of a prompt in the menu."""


def recent_prompts() -> list[str]:
    """Prompts of the stored decodes, newest first, each once."""
    return list(dict.fromkeys(stored.prompt for stored in list_stored(open_workspace())))[:RECENT]


def show_prompts(source: str) -> None:
    """Draws the menu; `source` is what the model was trained on, whose vocabulary the examples must be in."""
    with st.popover("Earlier prompts and examples", width="stretch"):
        if recent := recent_prompts():
            st.caption("Painted before")
            _choices("recent", recent)
        if source == "shapes":
            st.caption("Examples in the model's vocabulary")
            _choices("example", EXAMPLES)
        else:
            st.caption(f"This model was trained on {as_text(source)}; the Data page shows its captions.")


def _choices(kind: str, prompts: tuple[str, ...] | list[str]) -> None:
    for number, prompt in enumerate(prompts):
        short = prompt if len(prompt) <= SHOWN else f"{prompt[:SHOWN]}…"
        key = DECODE.action(kind, number)
        st.button(as_text(short), key=key, type="tertiary", on_click=_take, args=(prompt,), help="Fills in the prompt.")


def _take(prompt: str) -> None:
    st.session_state[DECODE.input("prompt")] = prompt
