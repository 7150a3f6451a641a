"""Task settings on the Evaluate page: a text box for TASK.FIELD=VALUE, checked at once, and a list of all settings."""

from collections.abc import Sequence

import streamlit as st

from app.failures import error_sentence
from app.keys import EVALUATE
from app.links import LINKED
from app.text import as_text
from dream.errors import InputError
from dream.evaluation.tasks import TASKS
from workbench.evaluate.fields import all_settings, matching
from workbench.evaluate.plan import QUICK_SETTINGS, complaints, split_assignments

SETTINGS, SEARCH = EVALUATE.input("settings"), EVALUATE.input("search")


def show_settings(tasks: Sequence[str]) -> tuple[str, ...]:
    """Shows the text box with its problems and the list of all settings; returns the assignments of these tasks."""
    text = st.text_area(
        "Settings (TASK.FIELD=VALUE, one per line)",
        value="\n".join(QUICK_SETTINGS),
        key=SETTINGS,
        bind=LINKED,
        height=110,
        placeholder="retrieval.pool=32\nprompts.count=100",
        help="All other settings keep their defaults. Lines of tasks that are not selected are ignored.",
    )
    lines = split_assignments(text)
    idle = [line for line in lines if line.partition(".")[0] in TASKS and line.partition(".")[0] not in tasks]
    used = [line for line in lines if line not in idle]
    if wrong := complaints(tasks, used):
        st.error("\n\n".join(error_sentence(InputError(complaint)) for complaint in wrong))
    if idle:
        st.caption(f"Ignored, because their tasks are not selected or do not fit: {as_text(', '.join(idle))}")
    listed = st.expander("All settings and their defaults", key=EVALUATE.action("fields.open"), on_change="rerun")
    if listed.open:
        with listed:
            _all_settings(tasks)
    return tuple(used)


def _all_settings(tasks: Sequence[str]) -> None:
    """Shows the searchable list; the selected row can be added to the text box."""
    query = st.text_input(
        "Search",
        key=SEARCH,
        placeholder="mask ratio, pool, candidates ...",
        help="Words that a setting's name or description must contain. Settings of selected tasks come first.",
    )
    found = matching(all_settings(), query)
    found.sort(key=lambda setting: setting.task not in tasks)
    if not found:
        st.caption("No setting contains all of these words.")
        return
    rows = [{"setting": s.key, "default": s.default, "takes": s.kind, "what it is": s.about} for s in found]
    event = st.dataframe(
        rows,
        key=EVALUATE.action("fields"),
        hide_index=True,
        height=260,
        on_select="rerun",
        selection_mode="single-row",
        column_config={"what it is": st.column_config.Column(width="large")},
        alt="All settings of the tasks with default, type and meaning",
    )
    picked = [found[row] for row in event["selection"]["rows"] if row < len(found)]
    st.button(
        f"Add {picked[0].key}" if picked else "Add",
        key=EVALUATE.action("add"),
        disabled=not picked,
        on_click=_add,
        args=[picked[0].assignment if picked else ""],
        help="Adds the selected setting with its default to the text box above.",
    )


def _add(assignment: str) -> None:
    lines = st.session_state.get(SETTINGS, "").rstrip()
    st.session_state[SETTINGS] = f"{lines}\n{assignment}".lstrip()
