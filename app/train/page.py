"""Train page: set up and start a training, watch, stop and resume it; the queue of waiting trainings."""

import streamlit as st

from app.handing_over import handed
from app.keys import TRAIN
from app.links import link, linked
from app.train import setup as train_setup
from app.train import watch as train_watch
from workbench.jobs.queue import wake
from workbench.runs.trainings import list_trainings
from workbench.workspace import open_workspace

VIEWS = ("Set up", "Watch")


def render() -> None:
    """Shows the page."""
    st.title("Train")
    st.caption("Train a model on drawn shapes or on your own captioned pictures; watch it, stop it, and go on later.")
    here = open_workspace()
    wake(here)
    trainings = list_trainings(here)
    _choose_view(any(training.active for training in trainings))
    view = st.segmented_control(
        "View",
        VIEWS,
        key=TRAIN.input("view"),
        required=True,
        label_visibility="collapsed",
        help="Set up a training, or watch queued, running and ended ones.",
    )
    link(TRAIN.input("view"), view or VIEWS[0])
    if not trainings and view == "Watch":
        st.info("No training yet. **Set up** starts the first one: ten minutes on drawn shapes, without any data.")
    if view == "Watch":
        train_watch.show_queue(trainings)
    else:
        link(TRAIN.input("watch"), "")
        link(TRAIN.input("sheet"), "")
        train_setup.show_setup()


def _choose_view(active: bool) -> None:
    """Chooses the view: the form for handed-over values, else the training just started, else active trainings."""
    values = handed("train")
    if values:
        train_setup.take(values)
        st.session_state[TRAIN.input("view")] = "Set up"
    if name := st.session_state.pop(TRAIN.name("started"), None):
        st.session_state[TRAIN.input("view")], st.session_state[TRAIN.input("watch")] = "Watch", name
    key = TRAIN.input("view")
    if key not in st.session_state:
        usual = "Watch" if active or linked(TRAIN.input("watch")) else "Set up"
        st.session_state[key] = linked(key) if linked(key) in VIEWS else usual


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
