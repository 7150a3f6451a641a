"""The table of results on the Evaluate page: search, tasks, one folded section per task, downloads."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from app.keys import EVALUATE
from app.links import LINKED
from app.text import as_text
from dream.evaluation.paper import SOURCE
from dream.evaluation.results import Results
from dream.evaluation.tasks import TASKS
from workbench.evaluate import table
from workbench.evaluate.results import tasks_in

QUERY, PICKED = EVALUATE.input("query"), EVALUATE.input("picked")
ROWS_PIXELS = 35
MOST_PIXELS = 420


def show_table(results: Sequence[Results]) -> None:
    """Shows all numbers of these results, those of one task in a section each."""
    search, *downloads = st.columns([4, 1, 1, 1], vertical_alignment="bottom")
    query = search.text_input(
        "Search the table",
        key=QUERY,
        bind=LINKED,
        placeholder="R@1, mask ratio 0.75, AUC ...",
        help="Words that a row or its heading must contain.",
    )
    for column, (label, suffix, mime, make) in zip(
        downloads,
        (
            ("Markdown", "md", "text/markdown", table.table_markdown),
            ("CSV", "csv", "text/csv", table.table_csv),
            ("JSON", "json", "application/json", table.table_json),
        ),
        strict=True,
    ):
        column.download_button(
            label,
            data=partial(make, results),
            file_name=f"results.{suffix}",
            mime=mime,
            key=EVALUATE.action("table", suffix),
            on_click="ignore",
            width="stretch",
            help="Downloads all rows of the chosen models and data, whether or not they match the search.",
        )
    tasks = _picked_tasks(results)
    shown = [section for section in table.sections(results, query) if section.task in tasks]
    if not shown:
        st.caption("No row contains all of these words.")
    for number, section in enumerate(shown):
        _section(section, number)
    if any(table.PAPER in section.columns for section in shown):
        st.caption(f"The paper's figures ({SOURCE}) are for its own data and model sizes: compare orders, not values.")


def _picked_tasks(results: Sequence[Results]) -> list[str]:
    """Shows the measured tasks; returns those that are picked, or all."""
    measured = [name for name in TASKS if name in tasks_in(results)]
    if not set(held := st.session_state.get(PICKED, [])) <= set(measured):
        st.session_state[PICKED] = [name for name in held if name in measured]
    picked = st.pills(
        "Tasks",
        measured,
        key=PICKED,
        bind=LINKED,
        selection_mode="multi",
        wrap=True,
        label_visibility="collapsed",
        help="Show only these tasks; pick none to show all.",
    )
    return picked or measured


def _section(section: table.ResultSection, number: int) -> None:
    task, _, rest = section.heading.partition(",")
    st.markdown(f"**{as_text(task)}** :gray[{as_text(rest)}]")
    if section.rows:
        height = min(MOST_PIXELS, ROWS_PIXELS * (len(section.rows) + 1) + 2)
        widths = {table.MEASURE: st.column_config.Column(width="large")}
        st.dataframe(
            list(section.rows),
            key=EVALUATE.action("section", number),
            hide_index=True,
            height=height,
            column_config=widths,
            alt=f"{section.heading}: one row per measure, one column per model",
        )
    for note in section.notes:
        st.caption(as_text(note))
