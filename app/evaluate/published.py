"""The Evaluate page of a workspace without results: the paper's numbers, and buttons that measure ours."""

import streamlit as st

from app.evaluate.ask import prefer, queue_plan
from app.figures import show_panels
from app.keys import EVALUATE
from dream.console import duration
from dream.evaluation.paper import SOURCE
from dream.evaluation.tasks import TASKS
from workbench.evaluate.plan import first_look
from workbench.evaluate.table import published_rows
from workbench.figures.paper import plot_published, published_metrics
from workbench.jobs.queue import list_jobs
from workbench.workspace import Workspace


def show_published(here: Workspace) -> None:
    """Shows how to measure a model, and the paper's numbers per measure with a button that measures the same."""
    if any(job.active for job in list_jobs(here, "evaluate")):
        st.info("No results yet. A task's numbers appear here as soon as it is done.")
    else:
        _start(here)
    show_panels(
        plot_published(),
        EVALUATE.name("published"),
        alt="The paper's five models, one mark each; higher is better unless the axis says otherwise",
        columns=3,
        height=150,
        below=_offer,
    )
    st.caption(f"{SOURCE}, models trained on CC12M. Compare the order of the models with ours, not the values.")
    with st.expander("The paper's numbers as a table"):
        st.dataframe(
            published_rows(),
            key=EVALUATE.action("published", "table"),
            hide_index=True,
            alt="One row per measure, one column per model of the paper",
        )


def _start(here: Workspace) -> None:
    """Shows the first look, and the way to the form."""
    with st.container(border=True):
        st.markdown(
            "**This workspace has no results yet.** A first look measures the shipped demo model on drawn pictures: "
            "retrieval and losses by mask ratio, edited captions, classes. It takes about two minutes."
        )
        with st.container(horizontal=True):
            st.button(
                "Measure the demo model",
                key=EVALUATE.action("first"),
                type="primary",
                on_click=queue_plan,
                args=(here, first_look()),
                help="Continues if you leave this page; its progress is shown here.",
            )
            st.button(
                "Choose models and tasks",
                key=EVALUATE.action("own"),
                on_click=prefer,
                args=(["demo"],),
                help="Opens the form.",
            )


def _offer(number: int) -> None:
    """Shows the button below a measure's panel."""
    metric = published_metrics()[number]
    st.button(
        "Measure yours",
        key=EVALUATE.action("yours", number),
        on_click=prefer,
        args=(["demo"], [metric.task]),
        help=f"Opens the form with the task {metric.task}, which takes about {duration(TASKS[metric.task].seconds)}.",
    )
