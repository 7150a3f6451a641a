"""Results on the Evaluate page: the choice of models, data and view, and the table next to the paper's figures."""

from collections.abc import Mapping, Sequence

import streamlit as st

from app.evaluate.ask import prefer, tick_tasks
from app.evaluate.figures import FIGURES
from app.evaluate.numbers import show_table
from app.failures import error_sentence
from app.keys import EVALUATE
from app.links import LINKED
from app.text import as_text
from dream.errors import InputError
from dream.evaluation.results import Results
from workbench.evaluate.results import Shelf, Standing, read_shelf, selected, sources_in, standing, tasks_in
from workbench.figures.measured import ModelStyles
from workbench.workspace import Workspace

FOLDER, SHOWN, SOURCE_KEY = EVALUATE.input("folder"), EVALUATE.input("shown"), EVALUATE.input("source")
VIEW = EVALUATE.input("view")
EVERYWHERE = "all data"
TABLE = "Table"
VIEWS = {
    "Mask ratio": ("retrieval", "losses"),
    "Selection": ("selection",),
    "Edits": ("edits",),
    "Fewer steps": ("front",),
    "Robustness": ("robustness",),
    "Side by side": (),
    "Next to the paper": (),
    "Retrieval": ("retrieval",),
    "Losses": ("losses",),
    TABLE: (),
}
"""Views, and the tasks of which each needs one (any if empty); a page opens with the first that has its task."""


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
    view = _view(tasks_in(chosen))
    if VIEWS[view] and not set(VIEWS[view]) & set(tasks_in(chosen)):
        _offer(chosen, VIEWS[view][0])
    elif view == TABLE:
        show_table(chosen)
    else:
        FIGURES[view](chosen, ModelStyles.of(shelf.results))
    _weights(standings)


def _view(tasks: Sequence[str]) -> str:
    """Shows the choice of a view; returns the one chosen, at first the first that has something to show."""
    first = next(view for view, needed in VIEWS.items() if not needed or set(needed) & set(tasks))
    chosen = st.segmented_control(
        "View",
        list(VIEWS),
        default=first,
        key=VIEW,
        bind=LINKED,
        required=True,
        label_visibility="collapsed",
        help="Show the numbers as a figure or as a table.",
    )
    return chosen or first


def _folder(here: Workspace, folders: Sequence[str]) -> Shelf:
    if len(folders) == 1:
        return read_shelf(here.root / folders[0])
    if st.session_state.get(FOLDER, folders[0]) not in folders:
        st.session_state[FOLDER] = folders[0]
    folder = st.selectbox(
        "Results of", list(folders), key=FOLDER, bind=LINKED, help="Folders of this workspace with results."
    )
    return read_shelf(here.root / folder)


def _damaged(here: Workspace, shelf: Shelf) -> None:
    for path, why in shelf.damaged:
        st.warning(as_text(f"{here.shown(path)} is skipped: {why.replace(str(path), 'it')}."))


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
    if kept != st.session_state.get(SHOWN, names) or not kept:
        st.session_state[SHOWN] = kept or names
    sources = sources_in(shelf.results)
    left, right = st.columns([3, 1])
    shown = left.pills(
        "Models",
        names,
        default=names,
        key=SHOWN,
        bind=LINKED,
        selection_mode="multi",
        format_func=as_text,
        wrap=True,
        help="Models that tables and figures show.",
    )
    source = None
    if len(sources) > 1:
        if st.session_state.get(SOURCE_KEY, EVERYWHERE) not in (EVERYWHERE, *sources):
            st.session_state[SOURCE_KEY] = EVERYWHERE
        source = right.selectbox(
            "Data", [EVERYWHERE, *sources], key=SOURCE_KEY, bind=LINKED, help="Show only results on this data."
        )
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
