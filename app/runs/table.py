"""All runs of the workspace in a table, with what they reached and the tags that they were given."""

from datetime import datetime
from pathlib import Path
from typing import Any

import streamlit as st

from app.train.live import run_feed
from workbench.runs.compare import Glance, glance
from workbench.runs.notes import read_note
from workbench.runs.trainings import Training
from workbench.workspace import open_workspace

COLUMNS = {
    "run": st.column_config.TextColumn("run", help="Its folder under runs/.", pinned=True),
    "state": st.column_config.TextColumn("state", help="How it stands."),
    "step": st.column_config.NumberColumn("step", format="localized", help="Optimiser steps done."),
    "of": st.column_config.NumberColumn("of", format="localized", help="Steps planned."),
    "loss": st.column_config.NumberColumn("validation loss", format="%.4f", help="The best; smaller is better."),
    "R@1": st.column_config.NumberColumn("R@1", format="%.2f", help="Best share of captions that find their picture."),
    "R@1 hidden": st.column_config.NumberColumn("R@1, 75 % hidden", format="%.2f", help="The same with 75 % hidden."),
    "pictures/s": st.column_config.NumberColumn("pictures/s", format="%.0f", help="At the last line of the log."),
    "preset": st.column_config.TextColumn("preset", help="Size and objective it started from."),
    "data": st.column_config.TextColumn("data", help="What it learns from."),
    "tags": st.column_config.ListColumn("tags", help="Given below."),
    "changed": st.column_config.DatetimeColumn("changed", format="YYYY-MM-DD HH:mm", help="Its last sign."),
}


def show_runs_table(trainings: list[Training]) -> None:
    """Show the table; damaged runs are in it, with a sentence below."""
    st.dataframe(
        [_row(training) for training in trainings],
        hide_index=True,
        key="do.runs.table",
        column_config=COLUMNS,
        alt="All runs with their state and best numbers",
        height=min(400, 38 + 35 * len(trainings)),
    )
    for training in trainings:
        if training.state == "damaged":
            st.warning(f"**{training.name}** is damaged: {training.sentence}")


def _row(training: Training) -> dict[str, Any]:
    run, found = training.run, _glance_at(training.path)
    record = run_feed(str(training.path)).record
    return {
        "run": training.name,
        "state": training.state,
        "step": run.step if run else 0,
        "of": run.end if run and run.end else None,
        "loss": found.validation_loss,
        "R@1": found.text_to_image,
        "R@1 hidden": found.text_to_image_hidden,
        "pictures/s": found.pictures_per_second,
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
