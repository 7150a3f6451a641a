"""Evaluate: measures of models with their intervals, beside the paper's; started, followed and shown."""

import streamlit as st

from app.evaluate.ask import prefer, show_evaluation_form
from app.evaluate.jobs import show_earlier, show_jobs
from app.evaluate.results import show_nothing, show_results
from app.handing_over import handed
from workbench.evaluate.results import result_folders
from workbench.jobs.queue import wake
from workbench.workspace import open_workspace

RESULTS, MEASURE = "Results", "Measure"
PART = "in.evaluate.part"


def render() -> None:
    """Show the page: what runs, then the results or the form that asks for new ones."""
    here = open_workspace()
    given = handed("evaluate")
    if given.get("models"):
        prefer(given["models"])
    folders = result_folders(here)
    st.title("Evaluate")
    st.caption(
        "What models can do, in numbers: each measure with its 95 % interval, models side by side, and the "
        "paper's figure beside it where it reports the same one."
    )
    wake(here)
    show_jobs(here)
    st.session_state.setdefault(PART, RESULTS)
    part = st.segmented_control(
        "Part",
        [RESULTS, MEASURE],
        key=PART,
        required=True,
        label_visibility="collapsed",
        help="What was measured, or the form that starts a measurement.",
    )
    if part == MEASURE:
        show_evaluation_form(here)
    elif not folders:
        show_nothing(here)
    else:
        show_results(here, folders)
    show_earlier(here)


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
