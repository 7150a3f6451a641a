"""Comparison of the chosen runs: curves, configuration differences, samples, tags and notes."""

from typing import cast

import streamlit as st

from app.figures import show_figure
from app.handing_over import hand_over
from app.keys import RUNS, TRAIN
from app.train.live import run_feed
from workbench.figures import style
from workbench.figures.training_runs import plot_runs
from workbench.runs.compare import SheetOf, common_prompts, differences, sheet_at, sheet_steps
from workbench.runs.curves import AXES, Axis
from workbench.runs.folders import is_picture
from workbench.runs.notes import Note, all_tags, read_note, write_note
from workbench.runs.trainings import Training
from workbench.workspace import open_workspace

MOST_COLUMNS = 4
"""Most runs whose samples fit side by side."""


def curves(chosen: list[Training]) -> None:
    """Shows both losses and retrieval of all chosen runs in one figure."""
    st.session_state.setdefault(RUNS.input("axis"), "steps")
    st.session_state.setdefault(RUNS.input("smoothing"), 0.8)
    st.session_state.setdefault(RUNS.input("log"), True)
    st.session_state.setdefault(RUNS.input("raw"), True)
    over, smooth, toggles = st.columns([3, 3, 2], vertical_alignment="bottom")
    axis = cast(
        Axis,
        over.segmented_control(
            "Horizontal axis", list(AXES), key=RUNS.input("axis"), required=True, help="Unit of the horizontal axis."
        ),
    )
    smoothing = smooth.slider(
        "Smoothing", 0.0, 0.99, step=0.01, key=RUNS.input("smoothing"), help="Weight of earlier values."
    )
    log = toggles.toggle("Logarithmic losses", key=RUNS.input("log"), help="Equal ratios are equally far apart.")
    raw = toggles.toggle("Show unsmoothed", key=RUNS.input("raw"), help="Adds the logged values as faint lines.")
    shown, objectives = [], []
    for training in chosen:
        feed = run_feed(str(training.path))
        shown.append(feed.named_curves(training.name))
        preset = str(feed.record.get("preset") or "")
        objectives.append((training.name, preset.partition("-")[2] or "dream"))
    figure = plot_runs(shown, style.model_colours(objectives), axis, smoothing, log, raw)
    names = ", ".join(training.name for training in chosen)
    show_figure(figure, RUNS.name("curves"), alt=f"Losses and retrieval of {names}", name="runs")


def configurations(chosen: list[Training]) -> None:
    """Shows the configuration fields that differ."""
    st.subheader("Configuration differences")
    if len(chosen) < 2:
        st.caption("Choose a second run to compare its configuration.")
        return
    rows = differences({training.name: training.path for training in chosen})
    if not rows:
        st.caption("No differences: configuration, data and preset are the same.")
        return
    st.dataframe(rows, hide_index=True, key=RUNS.action("differences"), alt="Fields that differ between the runs")


def samples(chosen: list[Training]) -> None:
    """Shows the same prompts painted by each run at about the same step."""
    st.subheader("Samples side by side")
    steps = sheet_steps([training.path for training in chosen])
    if not steps:
        st.caption("None of these runs has a sample sheet yet.")
        return
    key = RUNS.input("sheet")
    if st.session_state.get(key) not in steps:
        st.session_state[key] = steps[-1]
    step = (
        steps[0]
        if len(steps) == 1
        else st.select_slider(
            "Step",
            steps,
            key=key,
            format_func=lambda value: f"{value:,}",
            help="Each run shows its last sheet up to this step.",
        )
    )
    shown = chosen[:MOST_COLUMNS]
    if len(chosen) > MOST_COLUMNS:
        st.caption(f"Showing the first {MOST_COLUMNS} of {len(chosen)} runs.")
    sheets = [sheet_at(training.name, training.path, step) for training in shown]
    existing = [sheet for sheet in sheets if sheet is not None]
    prompts = common_prompts(existing)
    for training, sheet in zip(shown, sheets, strict=True):
        if sheet is None:
            st.caption(f"{training.name} has no sample sheet.")
    if prompts:
        _grid(existing, prompts)
    else:
        _whole(existing)


def _grid(sheets: list[SheetOf], prompts: list[str]) -> None:
    seeds = {sheet.seed for sheet in sheets}
    same = "the same seed" if len(seeds) == 1 else "different seeds (train.seed differs)"
    st.caption(f"{len(prompts)} common prompts, painted with {same}.")
    widths = [2] + [1] * len(sheets)
    heads = st.columns([*widths, MOST_COLUMNS - len(sheets) + 0.01])
    for column, sheet in zip(heads[1:], sheets, strict=False):
        column.markdown(f"**{sheet.name}**  \nstep {sheet.step:,}")
    for prompt in prompts:
        row = st.columns([*widths, MOST_COLUMNS - len(sheets) + 0.01], vertical_alignment="center")
        row[0].caption(prompt)
        for column, sheet in zip(row[1:], sheets, strict=False):
            column.image(sheet.tiles[prompt], alt=f"{prompt}, by {sheet.name}", width=112)


def _whole(sheets: list[SheetOf]) -> None:
    if len(sheets) > 1:
        st.caption("The runs painted different prompts, so each sheet is shown whole.")
    for column, sheet in zip(st.columns(len(sheets)), sheets, strict=True):
        column.markdown(f"**{sheet.name}**, step {sheet.step:,}")
        if is_picture(sheet.path):
            column.image(str(sheet.path), alt=f"Sample sheet of {sheet.name}", width="stretch")
        else:
            column.warning("This sheet is damaged: it is not a picture.")


def notes(chosen: list[Training]) -> None:
    """Shows one box per run with tags, notes and links."""
    st.subheader("Tags and notes")
    known = all_tags(open_workspace())
    for first in range(0, len(chosen), 2):
        for column, training in zip(st.columns(2), chosen[first : first + 2], strict=False):
            with column.container(border=True):
                _note(training, known)


def _note(training: Training, known: list[str]) -> None:
    st.markdown(f"**{training.name}** · {training.state}")
    kept = read_note(open_workspace(), training.name)
    tags, text = RUNS.input("tags", training.name), RUNS.input("text", training.name)
    if st.session_state.get(RUNS.name("kept", training.name)) != kept:  # another tab may have changed it
        st.session_state[RUNS.name("kept", training.name)] = kept
        st.session_state[tags], st.session_state[text] = list(kept.tags), kept.text
    given = st.multiselect(
        "Tags",
        sorted({*known, *kept.tags}),
        key=tags,
        accept_new_options=True,
        help="Choose or type tags; saved at once.",
    )
    written = st.text_area("Notes", key=text, height=68, help="Saved when you leave the box.")
    wanted = Note(tuple(given), written)
    if wanted != kept:
        st.session_state[RUNS.name("kept", training.name)] = write_note(open_workspace(), training.name, wanted)
    with st.container(horizontal=True):
        _links(training)


def _links(training: Training) -> None:
    model = open_workspace().shown(training.path)
    painted = any(training.path.glob("checkpoints/*/state.json"))
    if st.button(
        "Decode with it",
        key=RUNS.action("decode", training.name),
        disabled=not painted,
        help="Opens the Decode page with this model.",
    ):
        hand_over("decode", model=model)
    if st.button(
        "Inspect weights",
        key=RUNS.action("checkpoints", training.name),
        disabled=not painted,
        help="Opens its weights on the Checkpoints page.",
    ):
        hand_over("checkpoints", path=model)
    if st.button("Watch", key=RUNS.action("watch", training.name), help="Opens it on the Train page."):
        st.session_state[TRAIN.name("started")] = training.name
        st.switch_page("train/page.py")
