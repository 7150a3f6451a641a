"""The results on the Evaluate page: what is chosen of them, and the table beside the paper's figures."""

from collections.abc import Mapping, Sequence

import streamlit as st

from app.evaluate.ask import prefer, queue_plan, tick_tasks
from app.evaluate.figures import FIGURES
from app.failures import error_sentence
from dream.errors import InputError
from dream.evaluation.paper import SOURCE
from dream.evaluation.results import Results
from dream.evaluation.tasks import TASKS
from workbench.evaluate import table
from workbench.evaluate.plan import first_look
from workbench.evaluate.results import Shelf, Standing, read_shelf, selected, sources_in, standing, tasks_in
from workbench.figures.measured import ModelStyles
from workbench.jobs.queue import list_jobs
from workbench.workspace import Workspace

FOLDER, SHOWN, SOURCE_KEY = "in.evaluate.folder", "in.evaluate.shown", "in.evaluate.source"
VIEW, QUERY = "in.evaluate.view", "in.evaluate.query"
PICKED = "in.evaluate.picked"
EVERYWHERE = "all data"
ROWS_PIXELS = 35
MOST_PIXELS = 420
TABLE = "Table"
VIEWS = {
    TABLE: "",
    "Side by side": "",
    "Selection": "selection",
    "Edits": "edits",
    "Losses": "losses",
    "Retrieval": "retrieval",
    "Robustness": "robustness",
    "Beside the paper": "",
}
"""What can be shown, and the task that it needs (any if empty)."""


def show_nothing(here: Workspace) -> None:
    """What to do where nothing was measured yet, or what to wait for."""
    if any(job.active for job in list_jobs(here, "evaluate")):
        st.info("Nothing is measured yet. A task's numbers appear here as soon as it is done.")
        return
    with st.container(border=True):
        st.markdown("**Nothing was measured in this workspace yet.**")
        st.markdown(
            "A first look measures the model that comes with the workbench on drawn pictures: its losses by "
            "mask ratio, whether captions find their pictures, whether a picture notices one wrong word, and "
            "how well classes are told apart. It takes about two minutes."
        )
        look, own = st.columns(2)
        look.button(
            "Measure the demo model",
            key="do.evaluate.first",
            type="primary",
            width="stretch",
            on_click=queue_plan,
            args=(here, first_look()),
            help="Runs on without this page, which shows how far it is.",
        )
        own.button(
            "Choose models and tasks",
            key="do.evaluate.own",
            width="stretch",
            on_click=prefer,
            args=(["demo"],),
            help="Opens the form.",
        )


def show_results(here: Workspace, folders: Sequence[str]) -> None:
    """The choice of what is shown, and the view of it."""
    shelf = _folder(here, folders)
    _damaged(here, shelf)
    if not shelf.results:
        st.info("No results file of this folder can be read. Measuring anew makes others.")
        return
    standings = {result.name: standing(here, result) for result in shelf.results}
    _changed(shelf, standings)
    found = _chosen(shelf)
    if not any(result.entries for result in found):
        st.info("Nothing of what is chosen was measured: choose another model or other data above.")
        return
    st.session_state.setdefault(VIEW, TABLE)
    view = st.segmented_control(
        "View",
        list(VIEWS),
        key=VIEW,
        required=True,
        label_visibility="collapsed",
        help="The numbers as a table, or as one of the figures.",
    )
    if VIEWS[view] and VIEWS[view] not in tasks_in(found):
        _offer(found, VIEWS[view])
    elif view == TABLE:
        _table(found)
    else:
        FIGURES[view](found, ModelStyles.of(shelf.results))
    _weights(standings)


def _folder(here: Workspace, folders: Sequence[str]) -> Shelf:
    if st.session_state.get(FOLDER) not in folders:
        st.session_state[FOLDER] = folders[0]
    if len(folders) == 1:
        return read_shelf(here.root / folders[0])
    folder = st.selectbox("Results of", list(folders), key=FOLDER, help="Folders of this workspace that hold results.")
    return read_shelf(here.root / folder)


def _damaged(here: Workspace, shelf: Shelf) -> None:
    for path, why in shelf.damaged:
        st.warning(f"{here.shown(path)} is left out: {why.replace(str(path), 'it')}.")


def _changed(shelf: Shelf, standings: Mapping[str, Standing]) -> None:
    """Says which models have changed since they were measured, and offers to measure them again."""
    changed = [result for result in shelf.results if standings[result.name].state == "changed"]
    for result in changed:
        st.warning(error_sentence(InputError(standings[result.name].sentence)))
    if changed:
        st.button(
            "Measure these again",
            key="do.evaluate.stale",
            on_click=_again,
            args=(changed,),
            help="Opens the form with these models and the tasks that were measured.",
        )


def _weights(standings: Mapping[str, Standing]) -> None:
    """Below everything: which weights the numbers are of, and what is kept but not shown."""
    lines = [each.sentence for each in standings.values()]
    older = sum(each.older for each in standings.values())
    if older:
        lines.append(f"{older} results of older weights or data are kept in the files and not shown")
    with st.expander("Which weights these numbers are of"):
        st.markdown("\n".join(f"- {error_sentence(InputError(line))}" for line in lines))


def _again(changed: Sequence[Results]) -> None:
    prefer([_word(result) for result in changed], tasks_in(changed))


def _word(result: Results) -> str:
    """The model as the form takes it, under the name of its column."""
    return result.model if result.name == result.model else f"{result.name}={result.model}"


def _chosen(shelf: Shelf) -> list[Results]:
    names = [result.name for result in shelf.results]
    kept = [name for name in st.session_state.get(SHOWN, names) if name in names]
    st.session_state[SHOWN] = kept or names
    sources = sources_in(shelf.results)
    left, right = st.columns([3, 1])
    shown = left.pills("Models", names, key=SHOWN, selection_mode="multi", help="Which columns and lines are shown.")
    source = None
    if len(sources) > 1:
        if st.session_state.get(SOURCE_KEY) not in (EVERYWHERE, *sources):
            st.session_state[SOURCE_KEY] = EVERYWHERE
        source = right.selectbox(
            "Data", [EVERYWHERE, *sources], key=SOURCE_KEY, help="Only what was measured on this data."
        )
    return selected(shelf.results, shown, None if source in (None, EVERYWHERE) else source)


def _offer(found: Sequence[Results], task: str) -> None:
    """Where a view has nothing to show: the form with its task ticked."""
    st.info(f"The task {task} was not measured for what is chosen above.")
    st.button(
        f"Measure {task}",
        key="do.evaluate.offer",
        on_click=_ask_for,
        args=(list(found), task),
        help="Opens the form with these models and this task.",
    )


def _ask_for(found: Sequence[Results], task: str) -> None:
    prefer([_word(result) for result in found])
    tick_tasks([task])


# the table


def _table(found: Sequence[Results]) -> None:
    search, *downloads = st.columns([4, 1, 1, 1], vertical_alignment="bottom")
    query = search.text_input(
        "Search the table",
        key=QUERY,
        placeholder="R@1, mask ratio 0.75, AUC ...",
        help="Words that a row (or its heading) must have.",
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
            data=lambda make=make: make(found),
            file_name=f"results.{suffix}",
            mime=mime,
            key=f"do.evaluate.table.{suffix}",
            on_click="ignore",
            width="stretch",
            help="All rows of what is chosen, whether or not they match the search.",
        )
    tasks = _picked_tasks(found)
    shown = [section for section in table.sections(found, query) if section.task in tasks]
    if not shown:
        st.caption("No row has all of these words.")
    for number, section in enumerate(shown):
        _section(section, number)
    if any(table.PAPER in section.columns for section in shown):
        st.caption(f"The paper's figures: {SOURCE}; on its own data and model sizes, so compare orders, not values.")


def _picked_tasks(found: Sequence[Results]) -> list[str]:
    """The tasks to show: those picked, or all."""
    measured = [name for name in TASKS if name in tasks_in(found)]
    st.session_state[PICKED] = [name for name in st.session_state.get(PICKED, []) if name in measured]
    picked = st.pills(
        "Tasks",
        measured,
        key=PICKED,
        selection_mode="multi",
        label_visibility="collapsed",
        help="Only these tasks; none picked shows all.",
    )
    return picked or measured


def _section(section: table.Section, number: int) -> None:
    task, _, rest = section.heading.partition(",")
    st.markdown(f"**{task}** :gray[{rest.strip()}]")
    if section.rows:
        height = min(MOST_PIXELS, ROWS_PIXELS * (len(section.rows) + 1) + 2)
        widths = {table.MEASURE: st.column_config.Column(width="large")}
        st.dataframe(
            list(section.rows),
            key=f"do.evaluate.section.{number}",
            hide_index=True,
            height=height,
            column_config=widths,
            alt=f"{section.heading}: a row a measure, a column a model",
        )
    for note in section.notes:
        st.caption(note)
