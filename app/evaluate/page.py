"""The Evaluate page: starts and follows measurements of models, and shows results next to the paper's."""

import streamlit as st

from app.evaluate.ask import prefer, show_evaluation_form
from app.evaluate.jobs import show_earlier, show_jobs
from app.evaluate.results import show_nothing, show_results
from app.handing_over import handed
from app.keys import EVALUATE
from workbench.evaluate.results import result_folders
from workbench.jobs.queue import wake
from workbench.workspace import open_workspace

RESULTS, MEASURE = "Results", "Measure"
PART = EVALUATE.input("part")


def render() -> None:
    """Shows the page: running jobs, then the results or the form for new ones."""
    here = open_workspace()
    given = handed("evaluate")
    if given.get("models"):
        prefer(given["models"])
    folders = result_folders(here)
    st.title("Evaluate")
    st.caption(
        "What models can do, in numbers: each measure with its 95 % interval if there are enough rows for one, models "
        "side by side, next to the paper's figure if it reports the same measure."
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
        help="Show the results, or the form that starts a measurement.",
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
