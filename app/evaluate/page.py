"""The Evaluate page: starts and follows measurements of models, and shows results next to the paper's."""

import streamlit as st

from app.evaluate.ask import prefer, show_evaluation_form
from app.evaluate.jobs import show_earlier, show_jobs
from app.evaluate.published import show_published
from app.evaluate.results import show_results
from app.handing_over import handed
from app.keys import EVALUATE
from app.links import LINKED
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
    st.caption("What models can do as the mask ratio moves, with 95 % intervals, next to the paper's numbers.")
    wake(here)
    show_jobs(here)
    part = st.segmented_control(
        "Part",
        [RESULTS, MEASURE],
        default=RESULTS,
        key=PART,
        bind=LINKED,
        required=True,
        label_visibility="collapsed",
        help="Show the results, or the form that starts a measurement.",
    )
    if part == MEASURE:
        show_evaluation_form(here)
    elif not folders:
        show_published(here)
    else:
        show_results(here, folders)
    show_earlier(here)


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
