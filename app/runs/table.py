"""Table of all runs in the workspace with their best numbers and tags."""

from datetime import datetime
from pathlib import Path
from typing import Any

import streamlit as st

from app.handing_over import switch_page
from app.keys import RUNS, TRAIN
from app.text import as_text
from app.train.live import run_feed
from workbench.runs.compare import Glance, glance
from workbench.runs.notes import read_note
from workbench.runs.trainings import Training, delete_trainings
from workbench.runs.words import sentence
from workbench.workspace import open_workspace

REFUSED = RUNS.name("refused")
"""Session key of why runs were not deleted, to be shown once."""
COLUMNS = {
    "run": st.column_config.TextColumn("run", width=150, help="Name of its folder under runs/.", pinned=True),
    "state": st.column_config.TextColumn("state", help="Current state."),
    "step": st.column_config.NumberColumn("step", format="localized", help="Optimiser steps done."),
    "of": st.column_config.NumberColumn("of", format="localized", help="Planned optimiser steps."),
    "loss": st.column_config.NumberColumn(
        "validation loss", format="%.4f", help="Lowest of the run; smaller is better."
    ),
    "R@1": st.column_config.NumberColumn("R@1", format="%.2f", help="Best share of captions that find their picture."),
    "R@1 hidden": st.column_config.NumberColumn("R@1, 75 % hidden", format="%.2f", help="The same with 75 % hidden."),
    "pictures/s": st.column_config.NumberColumn("pictures/s", format="%.0f", help="At the last logged step."),
    "preset": st.column_config.TextColumn("preset", help="Size and objective at the start."),
    "data": st.column_config.TextColumn("data", help="Training data."),
    "tags": st.column_config.ListColumn("tags", help="Edited below the table."),
    "changed": st.column_config.DatetimeColumn("changed", format="YYYY-MM-DD HH:mm", help="Last heartbeat."),
}


def show_runs_table(trainings: list[Training]) -> None:
    """Shows the table, whose rows open, compare and delete runs, with a warning below for each damaged run."""
    event = st.dataframe(
        [_row(training) for training in trainings],
        hide_index=True,
        key=RUNS.action("table", len(trainings)),  # another number of runs: the selected rows would be others
        on_select="rerun",
        selection_mode=["multi-row", "single-cell"],
        column_config=COLUMNS,
        alt="All runs with their state and best numbers",
        height=min(400, 38 + 35 * len(trainings)),
    )
    if event.selection.cells:
        _open(trainings[event.selection.cells[0][0]])
    _actions([trainings[row] for row in event.selection.rows])
    for name in st.session_state.pop(REFUSED, []):
        st.error(as_text(sentence(name)))
    for training in trainings:
        if training.state == "damaged":
            st.warning(f"**{as_text(training.name)}** is damaged: {as_text(training.sentence)}")


def _open(training: Training) -> None:
    """Opens the run on the Train page."""
    st.session_state[TRAIN.name("started")] = training.name
    switch_page("train/page.py")


def _actions(ticked: list[Training]) -> None:
    """Shows what can be done with the ticked runs."""
    if not ticked:
        return
    count = f"{len(ticked)} run{'s' * (len(ticked) > 1)}"
    with st.container(horizontal=True):
        usable = [training.name for training in ticked if training.run is not None]
        about = "Shows the ticked runs below, and no others."
        if st.button(f"Compare {count}", key=RUNS.action("compare"), disabled=not usable, help=about):
            st.session_state[RUNS.input("chosen")] = usable
        with st.popover(f"Delete {count} …", help="Asks for confirmation first."):
            _delete(ticked)


def _delete(ticked: list[Training]) -> None:
    active = [training.name for training in ticked if training.active]
    others = [training for training in ticked if not training.active]
    if active:
        st.warning(f"Being trained or queued, so not deleted: {as_text(', '.join(active))}. Stop them first.")
    if not others:
        return
    names = ", ".join(training.name for training in others)
    st.markdown(
        f"Permanently delete **{as_text(names)}**? Checkpoints, samples, logs, tags and notes of these runs go, "
        "other files in their folders stay."
    )
    if st.button("Delete permanently", key=RUNS.action("delete"), type="primary", help="Cannot be undone."):
        deleted, st.session_state[REFUSED] = delete_trainings(open_workspace(), others)
        if deleted:
            st.toast(f"Deleted: {as_text(', '.join(deleted))}.")
        st.rerun()


def _row(training: Training) -> dict[str, Any]:
    run, numbers = training.run, _glance_at(training.path)
    record = run_feed(str(training.path)).record
    return {
        "run": training.name,
        "state": training.state,
        "step": run.step if run else 0,
        "of": run.end if run and run.end else None,
        "loss": numbers.validation_loss,
        "R@1": numbers.text_to_image,
        "R@1 hidden": numbers.text_to_image_hidden,
        "pictures/s": numbers.pictures_per_second,
        "preset": record.get("preset"),
        "data": record.get("source"),
        "tags": list(read_note(open_workspace(), training.name).tags),
        "changed": datetime.fromtimestamp(run.changed) if run else None,
    }


def _glance_at(folder: Path) -> Glance:
    metrics = folder / "metrics.jsonl"
    try:
        about = metrics.stat()
    except OSError:
        return Glance()
    return _glance(str(metrics), about.st_mtime_ns, about.st_size)


@st.cache_data(max_entries=512, show_spinner=False)
def _glance(path: str, stamp: int, size: int) -> Glance:
    return glance(Path(path))
