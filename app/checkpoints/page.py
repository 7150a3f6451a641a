"""Checkpoints page: inspect any file of weights, of this workbench or foreign, without loading it whole."""

import streamlit as st

from app.checkpoints.common import location, opened_checkpoint, pick, show_problems
from app.checkpoints.difference import show_averaged, show_difference
from app.checkpoints.layers import show_layers
from app.checkpoints.optimizer import show_history, show_optimizer
from app.checkpoints.positions import show_positions
from app.checkpoints.tensors import show_tensors
from app.failures import guarded
from app.handing_over import hand_over, handed
from app.keys import CHECKPOINTS
from app.links import LINKED
from app.text import as_text
from workbench.checkpoints.files import Checkpoint
from workbench.checkpoints.words import size_words
from workbench.workspace import open_workspace

PATH, SECTION = CHECKPOINTS.input("path"), CHECKPOINTS.input("section")
SECTIONS = {
    "Parameters": show_tensors,
    "Layers": show_layers,
    "Averaged": show_averaged,
    "Difference": show_difference,
    "Optimiser": show_optimizer,
    "Positions": show_positions,
    "Training": show_history,
}
MOST_FACTS = 200


def render() -> None:
    """Shows the page."""
    st.title("Checkpoints")
    st.caption("What a file or folder of weights holds, whether its values are sound, and how it differs from another.")
    given = handed("checkpoints").get("path")
    if given:
        st.session_state[PATH] = open_workspace().shown(given)
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    with left:
        chosen = pick(PATH, "Checkpoint")
    found = opened_checkpoint(chosen)
    if right.button(
        "Decode with it",
        key=CHECKPOINTS.action("decode"),
        width="stretch",
        disabled=not found.paintable,
        help="Opens the Decode page with this model; only for checkpoints of this workbench.",
    ):
        hand_over("decode", model=chosen)
    with guarded():
        show_problems(found)
    _show_facts(found)
    _show_section(found)


@st.fragment
def _show_section(found: Checkpoint) -> None:
    """Shows the chosen section; a click in it draws no other part of the page again."""
    section = st.segmented_control(
        "Section",
        list(SECTIONS),
        default="Parameters",
        key=SECTION,
        bind=LINKED,
        required=True,
        label_visibility="collapsed",
        help="Section to show.",
    )
    with guarded():
        SECTIONS[section or "Parameters"](found)


def _show_facts(found: Checkpoint) -> None:
    part = found.weights
    when = "epoch" if "epoch" in found.facts and "step" not in found.facts else "step"
    types = sorted({entry.dtype for entry in part.entries})
    cells = (
        ("Values", _count(part.count), f"{part.count:,} in '{as_text(part.name)}', including buffers."),
        ("Tensors", f"{len(part.entries):,}", f"In '{as_text(part.name)}'."),
        ("Size", size_words(sum(p.bytes for p in found.parts)), "Size of all parts together."),
        ("Type", as_text(types[0]) if len(types) == 1 else f"{len(types)} types", as_text(", ".join(types))),
        ("Parts", str(len(found.parts)), as_text(", ".join(p.name for p in found.parts))),
        (when.capitalize(), as_text(found.facts.get(when, "-")), "Length of the training so far."),
    )
    with st.container(horizontal=True):
        for label, value, help in cells:
            st.metric(label, value, help=help, width=130)
    facts_line = " · ".join(f"{name} {value}" for name, value in found.facts.items() if found.paintable)
    st.caption(as_text(f"{found.kind} · {location(found)}" + (f" · {facts_line}" if facts_line else "")))
    if found.facts and not found.paintable:
        with st.expander(f"Other values in the file: {len(found.facts):,}"):
            facts = list(found.facts.items())[:MOST_FACTS]
            st.dataframe(
                {"name": [name for name, _ in facts], "value": [value for _, value in facts]},
                hide_index=True,
                key=CHECKPOINTS.action("facts"),
                alt="Values in the file other than tensors",
            )


def _count(count: int) -> str:
    for unit, one in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= one:
            return f"{count / one:.3g} {unit}"
    return str(count)


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
