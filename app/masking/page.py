"""The Masking page: the schedule of the mask ratio, what it does to training, and a training with it."""

import streamlit as st

from app.failures import guarded
from app.handing_over import hand_over
from app.keys import MASKING
from app.masking.controls import masking_controls
from app.masking.instrument import progress_shown, show_instrument
from app.masking.pictures import masked_pictures
from dream.presets import SIZES
from workbench.masking.form import Settings
from workbench.masking.settings import assignments, check_masking, command, preset_config, python


def render() -> None:
    """Draws the page."""
    st.title("Masking")
    st.caption(
        "Contrast learns from pictures that are mostly visible, generation from pictures that are mostly "
        "hidden. Masking Warmup raises the hidden share over the training, so that every batch has some of "
        "both. Change the controls and see which loss each drawn ratio counts for."
    )
    left, right = st.columns([1, 2.9], gap="medium")
    with left.container(border=True):
        settings = masking_controls()
    with right, guarded():
        check_masking(settings.masking, settings.objective)
        show_instrument(settings)
        masked_pictures(settings, progress_shown())
        st.subheader("Training with these settings")
        _take_along(settings)


def _take_along(settings: Settings) -> None:
    """Draws a button to the Train page, and the settings as a command and as Python."""
    st.session_state.setdefault(MASKING.input("size"), "tiny")
    left, right = st.columns([1, 2.2], gap="large")
    with left:
        size = st.selectbox(
            "Model to train",
            list(SIZES),
            key=MASKING.input("size"),
            help="The preset that these settings change: tiny learns shapes in ten minutes on two cores.",
        )
        changes = assignments(settings.masking, settings.objective, preset_config(size))
        count = len(changes)
        st.caption(
            f"{count} setting{'s' * (count != 1)} differ{'s' * (count == 1)} from the preset."
            if changes
            else "The same masking as the preset."
        )
        if st.button(
            "Train with this",
            key=MASKING.action("train"),
            type="primary",
            width="stretch",
            help="Opens the Train page with these settings filled in; nothing starts yet.",
        ):
            hand_over("train", assignments=changes, preset=size, source="shapes")
    with right:
        as_command, as_python = st.tabs(["Command", "Python"])
        as_command.code(command(changes, size), language="bash", wrap_lines=True)
        as_python.code(python(settings.masking, settings.objective, size), language="python", wrap_lines=True)


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
