"""DREAM in three pictures, on the Home page; the models that ship paint two of them once."""

from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from app.background import computed, is_running
from app.figures import show_figure
from app.keys import HOME
from dream.config import MaskingConfig, ObjectiveConfig
from dream.pretrained import load_pretrained
from workbench import pictures_of_dream as dream_shown
from workbench.figures import home as figures
from workbench.masking.study import Schedule, over_training
from workbench.pictures_of_dream import ShownDecode
from workbench.work import Work
from workbench.workspace import open_workspace

WORK = HOME.name("pictures")
TIMES = [0.12, 0.37, 0.63, 0.88]
"""Shares of the training at which the first picture shows how much is hidden."""


def three_pictures() -> None:
    """Draws the three, each with a caption; placeholders while the model still paints."""
    columns = st.columns(3)
    with st.container():
        painted = _painted()
    with columns[0].container(border=True, height="stretch"):
        st.markdown("**1 · It learns from half-hidden pictures**")
        show_figure(
            _hiding(),
            HOME.name("hiding"),
            name="masking-warmup",
            alt="Mask ratio over the training: on average a third is hidden at first, two thirds in the end.",
        )
        st.caption(
            "Matching captions needs most of a picture visible, painting needs most of it hidden. Masking Warmup "
            "hides more and more of each picture, so that one model learns both."
        )
    for column, heading, show, words in (
        (
            columns[1],
            "2 · It paints a few tokens at a time",
            _show_steps,
            f"Everything is hidden at first; each step reveals a few tokens, guided by “{dream_shown.PROMPT}”. "
            "Above each picture: the share of tokens decoded.",
        ),
        (
            columns[2],
            "3 · It chooses before it has finished",
            _show_choice,
            f"The model itself scores unfinished candidates for “{dream_shown.CHOICE_PROMPT}” (cosine of picture and "
            "caption). Only the best one, framed, goes on. Below: what each would have become.",
        ),
    ):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{heading}**")
            if painted is None:
                _placeholder()
            else:
                show(painted)
            st.caption(words)


def _painted() -> ShownDecode | None:
    """Decode shown in pictures 2 and 3: read if it was stored, else painted; None until it is there."""
    path = dream_shown.kept_place(open_workspace().own)
    stored = _kept(str(path), path.stat().st_mtime_ns) if path.is_file() else None
    if stored is not None:
        return stored

    def paint(running: Work[ShownDecode]) -> ShownDecode:
        painted = dream_shown.paint_example(load_pretrained("demo"), load_pretrained("emoji"), running)
        dream_shown.save_shown(painted, path)
        return painted

    return computed(
        WORK, str(path), "Painting pictures 2 and 3", paint, cancelled="Stopped before pictures 2 and 3 were painted."
    )


def _placeholder() -> None:
    if is_running(WORK):
        with st.container(height=figures.HEIGHT, border=False):
            st.markdown("The model that ships is painting this ...")
    else:
        st.markdown("Not painted yet.")


def _show_steps(painted: ShownDecode) -> None:
    show_figure(
        figures.plot_steps(painted),
        HOME.name("steps"),
        name="decode-steps",
        alt=f"“{dream_shown.PROMPT}” after {', '.join(f'{share:.0%}' for share in painted.decoded)} of the "
        "tokens are decoded.",
    )


def _show_choice(painted: ShownDecode) -> None:
    show_figure(
        figures.plot_choice(painted),
        HOME.name("choice"),
        name="choice",
        alt=f"{len(painted.candidates)} candidates at {painted.compared_at:.0%} of the tokens with scores "
        f"{', '.join(f'{score:.3f}' for score in painted.alignment)}; candidate {painted.chosen + 1} is chosen.",
    )


@st.cache_data(max_entries=2, show_spinner=False)
def _kept(path: str, stamp: int) -> ShownDecode | None:
    return dream_shown.kept(Path(path))


@st.cache_data(max_entries=1, show_spinner=False)
def _schedule() -> tuple[Schedule, list[Any]]:
    masking, objective = MaskingConfig(), ObjectiveConfig()
    pictures = dream_shown.hidden_more_and_more(masking, objective, TIMES)
    return over_training(masking, objective, 256, moments=41, bins=40), pictures


def _hiding() -> go.Figure:
    schedule, pictures = _schedule()
    return figures.plot_hiding(schedule, TIMES, pictures)
