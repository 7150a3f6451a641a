"""Runs page: all runs of the workspace, and a comparison of their curves, configurations and samples."""

import streamlit as st

from app.credits import show_credits
from app.handing_over import handed, switch_page
from app.keys import RUNS
from app.runs import compare as runs_compare
from app.runs import table as runs_table
from app.text import as_text
from app.train.live import run_feed
from workbench.runs.trainings import Training, list_trainings
from workbench.workspace import open_workspace


def render() -> None:
    """Shows the page."""
    st.title("Runs")
    st.caption("All training runs of this workspace: press a row to open its run, tick rows to compare or delete them.")
    trainings = list_trainings(open_workspace())
    if not trainings:
        st.info("No runs yet. Start the first one on the Train page.")
        if st.button("Open Train", key=RUNS.action("train"), type="primary", help="Opens the Train page."):
            switch_page("train/page.py")
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
    show_credits(*(str(run_feed(str(training.path)).record.get("source") or "") for training in chosen))


def _chosen(trainings: list[Training]) -> list[Training]:
    """Shows the choice of runs to compare: those handed over or in the address, at first the two latest."""
    by_name = {training.name: training for training in trainings}
    given, key = handed("runs").get("runs"), RUNS.input("chosen")
    wanted = given or st.session_state.get(key)
    if wanted is None:
        latest = [training.name for training in trainings if training.state != "damaged"][:2]
        wanted = list(filter(None, st.query_params.get_all(key))) if key in st.query_params else latest
    if gone := [name for name in wanted if name not in by_name]:
        are = "are no longer there: they were" if len(gone) > 1 else "is no longer there: it was"
        st.warning(f"{as_text(', '.join(gone))} {are} deleted or renamed.")
    names = [name for name in wanted if name in by_name]
    if names != st.session_state.get(key):
        st.session_state[key] = names
    names = st.multiselect("Compare", list(by_name), key=key, help="Runs to compare.")
    if st.query_params.get_all(key) != (names or [""]):
        st.query_params[key] = names or ""  # not bound to the box: its first choice belongs into the address too
    return [by_name[name] for name in names]


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
