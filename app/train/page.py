"""Trainings: set one up and start it, watch it learn, stop it, go on with it; the queue of all that wait."""

import streamlit as st

from app.handing_over import handed
from app.train import setup as train_setup
from app.train import watch as train_watch
from workbench.jobs.queue import wake
from workbench.runs.trainings import list_trainings
from workbench.workspace import open_workspace

VIEWS = ("Set up", "Watch")


def render() -> None:
    """Show the page."""
    st.title("Train")
    here = open_workspace()
    wake(here)
    trainings = list_trainings(here)
    _choose_view(any(training.active for training in trainings))
    if not trainings and st.session_state["in.train.view"] == "Watch":
        st.info("No training yet. **Set up** makes the first: ten minutes on drawn shapes need no data.")
    view = st.segmented_control(
        "View",
        VIEWS,
        key="in.train.view",
        required=True,
        label_visibility="collapsed",
        help="Set up a training, or watch those that wait, run or have ended.",
    )
    if view == "Watch":
        train_watch.show_queue(trainings)
    else:
        train_setup.show_setup()


def _choose_view(active: bool) -> None:
    """What was handed over opens the form, what was just started is watched; else what runs comes first."""
    values = handed("train")
    if values:
        train_setup.take(values)
        st.session_state["in.train.view"] = "Set up"
    if name := st.session_state.pop("train.started", None):
        st.session_state["in.train.view"], st.session_state["in.train.watch"] = "Watch", name
    st.session_state.setdefault("in.train.view", "Watch" if active else "Set up")


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
