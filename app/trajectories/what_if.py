"""The comparison with finishing all candidates of a stored choice, on the Trajectories page."""

from pathlib import Path

import streamlit as st

from app.figures import show_panels
from app.keys import TRAJECTORIES
from app.text import as_text
from workbench.figures.trajectories import plot_worth
from workbench.store import StoredDecode, open_stored
from workbench.trajectories.finished import Finished
from workbench.trajectories.kept import FILE, open_finished, open_finished_race
from workbench.trajectories.race import Race
from workbench.trajectories.shown import explained, made_at
from workbench.trajectories.worth import COLUMNS, Worth, random_regret, worth_by_step, worth_csv, worth_table
from workbench.workspace import open_workspace

METRIC_WIDTH = 176


def metric_columns(count: int) -> list[st.delta_generator.DeltaGenerator]:
    """Containers for `count` metrics in a row, which wraps on a narrow page."""
    with st.container(horizontal=True, gap="small"):
        return [st.container(width=METRIC_WIDTH) for _ in range(count)]


def opened_finished(stored: StoredDecode) -> tuple[Finished, list[Worth], Race]:
    """Finished candidates, the worth of choosing at each step, and the race of the first prompt; cached."""
    return _opened(str(stored.path), stored.id, (stored.path / FILE).stat().st_mtime_ns)


@st.cache_resource(max_entries=16, show_spinner=False)
def _opened(path: str, id: str, stamp: int) -> tuple[Finished, list[Worth], Race]:
    assert Path(path).name == id
    stored = open_stored(open_workspace(), id)
    finished = open_finished(stored)
    return finished, worth_by_step(finished), open_finished_race(stored)


def show_choice_numbers(stored: StoredDecode, race: Race) -> None:
    """Draws the worth of the choice that was made, and of choosing at each step."""
    finished, rows, _ = opened_finished(stored)
    index = made_at(finished, race)
    st.markdown(as_text(explained(finished, race, index)))
    _worth_metrics(finished, rows[index])
    show_panels(
        plot_worth(finished, rows, rows[index].decoded),
        TRAJECTORIES.name("worth"),
        name=f"{stored.id}-worth",
        alt="Rank correlation, regret and cost of choosing at each step, over the share of tokens decoded",
    )
    show_worth_table(rows, stored.id)


def show_worth_table(rows: list[Worth], name: str) -> None:
    """Draws the numbers behind the figure, with their download."""
    cells = worth_table(rows)
    columns = {column: [row[i] for row in cells] for i, column in enumerate(COLUMNS)}
    st.dataframe(columns, hide_index=True, key=TRAJECTORIES.action("table"))
    st.download_button(
        "Save table as CSV",
        data=worth_csv(rows),
        file_name=f"{name}.csv",
        mime="text/csv",
        on_click="ignore",
        key=TRAJECTORIES.action("csv"),
        help="One row per step; low and high are the ends of 95 % intervals over prompts.",
    )


def _worth_metrics(finished: Finished, row: Worth) -> None:
    columns = metric_columns(5)
    columns[0].metric(
        "Rank correlation",
        _number(row.rank.value),
        help="Spearman's rank correlation of the scores at the choice and at the end.",
    )
    columns[1].metric(
        "Regret (cosine)",
        _number(row.regret.value),
        help="Best final score minus that of the chosen candidate; a random choice has a regret of "
        f"{random_regret(finished):.3f}.",
    )
    columns[2].metric(
        "AUC",
        _number(row.auc.value) if row.auc else "-",
        help="How well the score at the choice separates right from wrong candidates; empty if all are alike.",
    )
    columns[3].metric(
        "Time, one finished",
        f"{row.seconds:.2f} s",
        help=f"Measured: all {finished.candidates} up to the choice, then one; {row.slower:.2f} times one plain "
        f"picture. Counted in steps it is {row.picture_steps:.2f} times.",
    )
    columns[4].metric(
        "Time, all or plain",
        f"{row.seconds_all:.2f} or {row.seconds_plain:.2f} s",
        help="Finishing all, or painting one picture without a choice; measured once, on this machine.",
    )


def _number(value: float) -> str:
    return f"{value:.3f}" if value == value else "-"
