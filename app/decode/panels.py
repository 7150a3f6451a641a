"""Panels below the player of the Decode page: fork, compare, figures, settings."""

import streamlit as st

from app.decode.compare import show_compare
from app.decode.fork import show_fork
from app.decode.stage import data_of
from app.figures import show_figure
from app.handing_over import hand_over
from app.keys import DECODE
from app.links import LINKED
from workbench.figures.decoding import plot_course, plot_order
from workbench.store import StoredDecode

PANEL = DECODE.input("panel")
PANELS_BOX = DECODE.name("panels")
"""Key of the container of the panels."""
PANELS = {"fork": "Fork", "compare": "Compare", "figures": "Figures", "settings": "Settings"}


def show_panel(shown: StoredDecode) -> None:
    """Draws the choice of a panel, and that panel for the decode shown."""
    st.session_state.setdefault(PANEL, "compare" if "parent" in shown.about else "fork")
    panel = st.segmented_control(
        "Panel",
        list(PANELS),
        default="fork",
        format_func=PANELS.__getitem__,
        key=PANEL,
        bind=LINKED,
        required=True,
        label_visibility="collapsed",
        help="Continue from a step with other settings, compare with another decode, or see figures and settings.",
    )
    if panel == "fork":
        show_fork(shown)
    elif panel == "compare":
        show_compare(shown)
    elif panel == "figures":
        _figures(shown)
    else:
        _settings(shown)


def _figures(shown: StoredDecode) -> None:
    data = data_of(shown)
    left, right = st.columns(2)
    with left:
        show_figure(plot_order(data), DECODE.name("order"), alt="Map of the step that revealed each token")
    with right:
        show_figure(plot_course(data), DECODE.name("course"), alt="Tokens revealed, guidance and alignment by step")


def _settings(shown: StoredDecode) -> None:
    st.json({"id": shown.id, "prompt": shown.prompt, **shown.about})
    if st.button(
        "Choose among candidates for this prompt",
        key=DECODE.action("trajectories"),
        help="Opens the Trajectories page with this model and prompt.",
    ):
        hand_over("trajectories", model=shown.about.get("model", ""), prompt=shown.prompt)
