"""Taking a masking along: to the Train page, as a command, as Python."""

import streamlit as st

from app.handing_over import hand_over
from app.masking.controls import KEY
from dream.presets import SIZES
from workbench.masking.form import Settings
from workbench.masking.settings import assignments, command, preset_config, python


def take_along(settings: Settings) -> None:
    """The button and the two texts."""
    st.session_state.setdefault(KEY + "size", "tiny")
    left, right = st.columns([1, 2.2], gap="large")
    with left:
        size = st.selectbox(
            "Model to train",
            list(SIZES),
            key=KEY + "size",
            help="The preset that these settings change: tiny learns shapes in ten minutes on two cores.",
        )
        changes = assignments(settings.masking, settings.objective, preset_config(size))
        count = len(changes)
        st.caption(
            f"{count} setting{'s' * (count != 1)} differ{'s' * (count == 1)} from the preset."
            if changes
            else "Exactly the preset's own masking."
        )
        if st.button(
            "Train with this",
            key="do.masking.train",
            type="primary",
            width="stretch",
            help="Opens the Train page with these settings filled in; nothing starts yet.",
        ):
            hand_over("train", assignments=changes, preset=size, source="shapes")
    with right:
        as_command, as_python = st.tabs(["As command", "As Python"])
        as_command.code(command(changes, size), language="bash", wrap_lines=True)
        as_python.code(python(settings.masking, settings.objective, size), language="python", wrap_lines=True)
