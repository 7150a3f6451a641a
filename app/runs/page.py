"""Runs page: all runs of the workspace, and a comparison of their curves, configurations and samples."""

import streamlit as st

from app.handing_over import handed
from app.keys import RUNS
from app.runs import compare as runs_compare
from app.runs import table as runs_table
from workbench.runs.trainings import Training, list_trainings
from workbench.workspace import open_workspace


def render() -> None:
    """Shows the page."""
    st.title("Runs")
    st.caption("All training runs of this workspace. Choose runs below the table to compare them.")
    trainings = list_trainings(open_workspace())
    if not trainings:
        st.info("No runs yet. Start the first one on the Train page.")
        if st.button("Open Train", key=RUNS.action("train"), type="primary", help="Opens the Train page."):
            st.switch_page("train/page.py")
        return
    runs_table.show_runs_table(trainings)
    chosen = _chosen([training for training in trainings if training.run is not None])
    if not chosen:
        st.caption("No runs chosen.")
        return
    runs_compare.curves(chosen)
    runs_compare.configurations(chosen)
    runs_compare.samples(chosen)
    runs_compare.notes(chosen)


def _chosen(trainings: list[Training]) -> list[Training]:
    """Shows the choice of runs to compare: those handed over, at first the two latest."""
    by_name = {training.name: training for training in trainings}
    given, key = handed("runs").get("runs"), RUNS.input("chosen")
    if given or key not in st.session_state:
        usable = [training.name for training in trainings if training.state != "damaged"]
        st.session_state[key] = [name for name in given or usable[:2] if name in by_name]
    st.session_state[key] = [name for name in st.session_state[key] if name in by_name]  # some may be deleted
    names = st.multiselect("Compare", list(by_name), key=key, help="Runs to compare.")
    return [by_name[name] for name in names]


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
