"""Settings of tasks on the Evaluate page: a box for TASK.FIELD=VALUE, checked at once, and a list of all."""

from collections.abc import Sequence

import streamlit as st

from app.failures import error_sentence
from dream.errors import InputError
from dream.evaluation.tasks import TASKS
from workbench.evaluate.fields import all_settings, matching
from workbench.evaluate.plan import QUICK_SETTINGS, complaints, split_assignments

SETTINGS, SEARCH = "in.evaluate.settings", "in.evaluate.search"


def show_settings(tasks: Sequence[str]) -> tuple[str, ...]:
    """The box of assignments with what is wrong in it, and the list of all; those that are to be used."""
    st.session_state.setdefault(SETTINGS, "\n".join(QUICK_SETTINGS))
    text = st.text_area(
        "Settings, TASK.FIELD=VALUE, one a line",
        key=SETTINGS,
        height=110,
        placeholder="retrieval.pool=32\nprompts.count=100",
        help="What is not said keeps its default. Lines of tasks that are not ticked are left out.",
    )
    lines = split_assignments(text)
    idle = [line for line in lines if line.partition(".")[0] in TASKS and line.partition(".")[0] not in tasks]
    used = [line for line in lines if line not in idle]
    if wrong := complaints(tasks, used):
        st.error("\n\n".join(error_sentence(InputError(complaint)) for complaint in wrong))
    if idle:
        st.caption(f"Left out, since their tasks are not ticked or do not fit: {', '.join(idle)}")
    listed = st.expander("All settings, with their defaults", key="do.evaluate.fields.open", on_change="rerun")
    if listed.open:
        with listed:
            _all_settings(tasks)
    return tuple(used)


def _all_settings(tasks: Sequence[str]) -> None:
    """The searchable list; a chosen row can be added to the settings."""
    query = st.text_input(
        "Search",
        key=SEARCH,
        placeholder="mask ratio, pool, candidates ...",
        help="Words that a setting's name or text must have. Settings of ticked tasks come first.",
    )
    found = matching(all_settings(), query)
    found.sort(key=lambda setting: setting.task not in tasks)
    if not found:
        st.caption("No setting has all of these words.")
        return
    rows = [{"setting": s.key, "default": s.default, "takes": s.kind, "what it is": s.about} for s in found]
    event = st.dataframe(
        rows,
        key="do.evaluate.fields",
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
        key="do.evaluate.add",
        disabled=not picked,
        on_click=_add,
        args=[picked[0].assignment if picked else ""],
        help="Puts the chosen row's line into the settings above, with its default to be changed.",
    )


def _add(assignment: str) -> None:
    lines = st.session_state.get(SETTINGS, "").rstrip()
    st.session_state[SETTINGS] = f"{lines}\n{assignment}".lstrip()
