"""Results on the Evaluate page: the choice of models, data and view, and the table next to the paper's figures."""

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from app.evaluate.ask import prefer, queue_plan, tick_tasks
from app.evaluate.figures import FIGURES
from app.failures import error_sentence
from app.keys import EVALUATE
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

FOLDER, SHOWN, SOURCE_KEY = EVALUATE.input("folder"), EVALUATE.input("shown"), EVALUATE.input("source")
VIEW, QUERY = EVALUATE.input("view"), EVALUATE.input("query")
PICKED = EVALUATE.input("picked")
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
    "Next to the paper": "",
}
"""Views, and the task that each needs (any if empty)."""


def show_nothing(here: Workspace) -> None:
    """Shows how to start, or what to wait for, in a workspace without results."""
    if any(job.active for job in list_jobs(here, "evaluate")):
        st.info("No results yet. A task's numbers appear here as soon as it is done.")
        return
    with st.container(border=True):
        st.markdown("**This workspace has no results yet.**")
        st.markdown(
            "A first look measures the shipped demo model on drawn pictures: its losses by mask ratio, whether "
            "captions find their pictures, whether one wrong word in a caption is noticed, and how well classes are "
            "recognised. It takes about two minutes."
        )
        look, own = st.columns(2)
        look.button(
            "Measure the demo model",
            key=EVALUATE.action("first"),
            type="primary",
            width="stretch",
            on_click=queue_plan,
            args=(here, first_look()),
            help="Continues if you leave this page; its progress is shown here.",
        )
        own.button(
            "Choose models and tasks",
            key=EVALUATE.action("own"),
            width="stretch",
            on_click=prefer,
            args=(["demo"],),
            help="Opens the form.",
        )


def show_results(here: Workspace, folders: Sequence[str]) -> None:
    """Shows the choice of models, data and view, then the view."""
    shelf = _folder(here, folders)
    _damaged(here, shelf)
    if not shelf.results:
        st.info("No results file of this folder can be read. Measure again to create new ones.")
        return
    standings = {result.name: standing(here, result) for result in shelf.results}
    _changed(shelf, standings)
    chosen = _chosen(shelf)
    if not any(result.entries for result in chosen):
        st.info("There are no results for this choice: choose another model or other data above.")
        return
    st.session_state.setdefault(VIEW, TABLE)
    control = st.segmented_control(
        "View",
        list(VIEWS),
        key=VIEW,
        required=True,
        label_visibility="collapsed",
        help="Show the numbers as a table or as a figure.",
    )
    view = control or TABLE
    if VIEWS[view] and VIEWS[view] not in tasks_in(chosen):
        _offer(chosen, VIEWS[view])
    elif view == TABLE:
        _table(chosen)
    else:
        FIGURES[view](chosen, ModelStyles.of(shelf.results))
    _weights(standings)


def _folder(here: Workspace, folders: Sequence[str]) -> Shelf:
    if st.session_state.get(FOLDER) not in folders:
        st.session_state[FOLDER] = folders[0]
    if len(folders) == 1:
        return read_shelf(here.root / folders[0])
    folder = st.selectbox("Results of", list(folders), key=FOLDER, help="Folders of this workspace with results.")
    return read_shelf(here.root / folder)


def _damaged(here: Workspace, shelf: Shelf) -> None:
    for path, why in shelf.damaged:
        st.warning(f"{here.shown(path)} is skipped: {why.replace(str(path), 'it')}.")


def _changed(shelf: Shelf, standings: Mapping[str, Standing]) -> None:
    """Shows which models have changed since they were measured, and a button to measure them again."""
    changed = [result for result in shelf.results if standings[result.name].state == "changed"]
    for result in changed:
        st.warning(error_sentence(InputError(standings[result.name].sentence)))
    if changed:
        st.button(
            "Measure these again",
            key=EVALUATE.action("stale"),
            on_click=_again,
            args=(changed,),
            help="Opens the form with these models and their measured tasks.",
        )


def _weights(standings: Mapping[str, Standing]) -> None:
    """Shows which weights the numbers belong to, and how many results are not shown."""
    lines = [each.sentence for each in standings.values()]
    older = sum(each.older for each in standings.values())
    if older:
        lines.append(f"{older} results of older weights or data are in the files but not shown")
    with st.expander("Weights of these numbers"):
        st.markdown("\n".join(f"- {error_sentence(InputError(line))}" for line in lines))


def _again(changed: Sequence[Results]) -> None:
    prefer([_word(result) for result in changed], tasks_in(changed))


def _word(result: Results) -> str:
    """Returns the model as the form takes it, with the name of its column."""
    return result.model if result.name == result.model else f"{result.name}={result.model}"


def _chosen(shelf: Shelf) -> list[Results]:
    names = [result.name for result in shelf.results]
    kept = [name for name in st.session_state.get(SHOWN, names) if name in names]
    st.session_state[SHOWN] = kept or names
    sources = sources_in(shelf.results)
    left, right = st.columns([3, 1])
    shown = left.pills("Models", names, key=SHOWN, selection_mode="multi", help="Models that tables and figures show.")
    source = None
    if len(sources) > 1:
        if st.session_state.get(SOURCE_KEY) not in (EVERYWHERE, *sources):
            st.session_state[SOURCE_KEY] = EVERYWHERE
        source = right.selectbox("Data", [EVERYWHERE, *sources], key=SOURCE_KEY, help="Show only results on this data.")
    return selected(shelf.results, shown, None if source in (None, EVERYWHERE) else source)


def _offer(results: Sequence[Results], task: str) -> None:
    """Shows, for a view without results, a button that opens the form with its task selected."""
    st.info(f"The task {task} was not measured for the models and data chosen above.")
    st.button(
        f"Measure {task}",
        key=EVALUATE.action("offer"),
        on_click=_ask_for,
        args=(list(results), task),
        help="Opens the form with these models and this task.",
    )


def _ask_for(results: Sequence[Results], task: str) -> None:
    prefer([_word(result) for result in results])
    tick_tasks([task])


# the table


def _table(results: Sequence[Results]) -> None:
    search, *downloads = st.columns([4, 1, 1, 1], vertical_alignment="bottom")
    query = search.text_input(
        "Search the table",
        key=QUERY,
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
    st.session_state[PICKED] = [name for name in st.session_state.get(PICKED, []) if name in measured]
    picked = st.pills(
        "Tasks",
        measured,
        key=PICKED,
        selection_mode="multi",
        label_visibility="collapsed",
        help="Show only these tasks; pick none to show all.",
    )
    return picked or measured


def _section(section: table.ResultSection, number: int) -> None:
    task, _, rest = section.heading.partition(",")
    st.markdown(f"**{task}** :gray[{rest.strip()}]")
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
        st.caption(note)
