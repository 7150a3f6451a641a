"""Runs of the workspace as cards, on the Home page."""

from datetime import datetime

import streamlit as st

from app.handing_over import hand_over
from app.keys import HOME
from app.text import as_text
from workbench.runs.folders import RunSummary, list_runs, picture_file
from workbench.workspace import open_workspace

CARDS = 6
"""Runs shown; the Runs page has all."""
ACTIVE = ("starting", "running")
SECONDS = 5.0
"""Time between refreshes while a run is active."""


def show_runs() -> None:
    """Draws the newest runs, refreshed while one is active."""
    active = any(run.status in ACTIVE for run in list_runs(open_workspace().runs))
    st.fragment(_cards, run_every=SECONDS if active else None)()


def _cards() -> None:
    here = open_workspace()
    runs = list_runs(here.runs)
    if not runs:
        st.info(
            f"No runs in {as_text(here.runs)} yet. A small model learns to draw shapes in ten minutes on two cores: "
            "press **Train your own** above."
        )
        return
    for row in range(0, min(len(runs), CARDS), 3):
        for column, run in zip(st.columns(3), runs[row : min(row + 3, CARDS)], strict=False):
            with column.container(border=True, height="stretch"):
                _card(run)
    if len(runs) > CARDS and st.button(
        f"Show all {len(runs)} runs", key=HOME.action("runs"), help="Opens the Runs page, which compares them."
    ):
        hand_over("runs")


def _card(run: RunSummary) -> None:
    here = open_workspace()
    name = str(run.path.relative_to(here.runs))
    st.markdown(f"**{as_text(name)}**")
    if run.problem:
        st.warning(f"Damaged: {as_text(run.problem)}.")
        return
    of = f" of {run.end:,}" if run.end else ""
    when = datetime.fromtimestamp(run.changed)
    st.caption(f"{run.status} · step {run.step:,}{of} · {when:%Y-%m-%d %H:%M}")
    if run.status in ACTIVE and run.end:
        st.progress(min(1.0, run.step / run.end))
    sheet = picture_file(run.sheet) if run.sheet is not None else None
    if sheet is None:
        st.markdown("No samples yet.")
    else:
        st.image(sheet, alt=f"Newest sample sheet of {name}", width="stretch")
    with st.container(horizontal=True):
        if st.button("Show curves", key=HOME.action("curves", name), help="Opens the run on the Runs page."):
            hand_over("runs", runs=[name])
        saved = any(run.path.glob("checkpoints/*/state.json"))
        if st.button(
            "Paint with it",
            key=HOME.action("paint", name),
            disabled=not saved,
            help="Paints with the run's newest checkpoint on the Decode page; needs a checkpoint.",
        ):
            hand_over("decode", model=here.shown(run.path), paint=True)
