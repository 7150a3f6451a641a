"""The Masking page: the schedule of the mask ratio, what it does to training, and a training with it.

The page is one fragment, so that a control reruns it without the router; in it, what the moment of the training moves
is another, so that the slider redraws no other control. Figures that few need are drawn when unfolded.
"""

import streamlit as st

from app.failures import guarded
from app.handing_over import hand_over
from app.keys import MASKING
from app.links import LINKED
from app.masking.controls import masking_controls, moment_slider
from app.masking.instrument import pick_run, show_details, show_instrument
from dream.presets import SIZES
from workbench.masking.drawn import DrawnRatios
from workbench.masking.form import Settings
from workbench.masking.settings import assignments, check_masking, command, preset_config, python


def render() -> None:
    """Draws the page."""
    st.title("Masking")
    st.caption(
        "Masking Warmup hides little of each picture at first and much at the end, so that one training learns "
        "contrast and generation."
    )
    _show()


@st.fragment
def _show() -> None:
    with guarded():  # a fragment that runs alone has no router around it
        with st.container(border=True):
            settings, view, drawn = masking_controls(pick_run)
        check_masking(settings.masking, settings.objective)
        _at_a_moment(settings, view, drawn)
        _take_along(settings)


@st.fragment
def _at_a_moment(settings: Settings, view: str, drawn: DrawnRatios | None) -> None:
    with guarded():
        moment_slider()
        show_instrument(settings, view, drawn)
        more = st.expander("Draws, objectives and batches", key=MASKING.input("more"), on_change="rerun", bind=LINKED)
        if more.open:
            with more:
                show_details(settings, drawn)


def _take_along(settings: Settings) -> None:
    """Draws a button to the Train page, and the settings as a command and as Python."""
    left, middle, _ = st.columns([1, 1, 1.6], vertical_alignment="bottom")
    size = left.selectbox(
        "Model to train",
        list(SIZES),
        index=list(SIZES).index("tiny"),
        key=MASKING.input("size"),
        bind=LINKED,
        help="The preset that these settings change: tiny learns shapes in ten minutes on two cores.",
    )
    changes = assignments(settings.masking, settings.objective, preset_config(size))
    if middle.button(
        "Train with this",
        key=MASKING.action("train"),
        type="primary",
        width="stretch",
        help="Opens the Train page with these settings filled in; nothing starts yet.",
    ):
        hand_over("train", assignments=changes, preset=size, source="shapes")
    written = st.expander("As command and as Python", key=MASKING.input("written"), on_change="rerun", bind=LINKED)
    if written.open:
        with written:
            as_command, as_python = st.tabs(["Command", "Python"])
            as_command.code(command(changes, size), language="bash", wrap_lines=True)
            as_python.code(python(settings.masking, settings.objective, size), language="python", wrap_lines=True)


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
