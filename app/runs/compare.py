"""Comparison of the chosen runs: curves, configuration differences, samples, tags and notes."""

import streamlit as st

from app.figures import show_figure
from app.handing_over import hand_over, switch_page
from app.keys import RUNS, TILES, TRAIN
from app.links import LINKED
from app.text import as_text
from app.train.live import axis_control, run_feed
from workbench.figures import style
from workbench.figures.training_parts import middle_cut
from workbench.figures.training_runs import MEASURES, RunsLook, plot_runs_measure
from workbench.runs.compare import SheetOf, common_prompts, differences, sheet_at, sheet_steps
from workbench.runs.folders import picture_file, record_or_problem
from workbench.runs.notes import Note, all_tags, change_note, read_note
from workbench.runs.trainings import Training
from workbench.workspace import open_workspace

ALL = "all four"
"""The metric that stands for all of them."""
TABLE_WIDTH = 1000
"""Pixels that the columns of the table of differences share."""
MOST_COLUMNS = 4
"""Most runs whose samples fit side by side."""


def curves(chosen: list[Training]) -> None:
    """Shows both losses and retrieval of all chosen runs, or one of these large."""
    metric, look = _controls()
    shown, objectives = [], []
    for training in chosen:
        feed = run_feed(str(training.path))
        shown.append(feed.named_curves(training.name))
        preset = str(feed.record.get("preset") or "")
        objectives.append((training.name, preset.partition("-")[2] or "dream"))
    colours, names = style.model_colours(objectives), ", ".join(training.name for training in chosen)
    titles = [measure.title for measure in MEASURES] if metric == ALL else [metric]
    for first in range(0, len(titles), 2):
        row = titles[first : first + 2]
        for column, title in zip(st.columns(len(row)), row, strict=True):
            with column:
                key = RUNS.name("curves", [m.title for m in MEASURES].index(title))
                figure = plot_runs_measure(title, shown, colours, look)
                show_figure(figure, key, alt=f"{title} of {names}", name=f"runs-{title.lower().replace(' ', '-')}")


def _controls() -> tuple[str, RunsLook]:
    """Shows the controls of the curves; returns the metric and how it is shown."""
    left, over, smooth, toggles = st.columns([3, 3, 3, 3], vertical_alignment="bottom")
    options = [ALL, *(measure.title for measure in MEASURES)]
    metric = left.selectbox("Metric", options, key=RUNS.input("metric"), help="What is plotted.", bind=LINKED)
    axis = axis_control(over, RUNS.input("axis"))
    about = "Weight of earlier values."
    smoothing = smooth.slider("Smoothing", 0.0, 0.99, 0.8, 0.01, key=RUNS.input("smoothing"), help=about, bind=LINKED)
    about = "Equal ratios are equally far apart."
    log = toggles.toggle("Logarithmic losses", True, key=RUNS.input("log"), help=about, bind=LINKED)
    about = "Adds the logged values as faint lines."
    raw = toggles.toggle("Show unsmoothed", True, key=RUNS.input("raw"), help=about, bind=LINKED)
    return metric, RunsLook(axis, smoothing, log, raw, height=240 if metric == ALL else 420)


def configurations(chosen: list[Training]) -> None:
    """Shows the configuration fields that differ."""
    st.subheader("Configuration differences")
    if len(chosen) < 2:
        st.caption("Choose a second run to compare its configuration.")
        return
    folders = {training.name: training.path for training in chosen}
    readable = {name: path for name, path in folders.items() if not record_or_problem(path)[1]}
    for name in folders.keys() - readable.keys():
        st.caption(f"{as_text(name)} is left out: its record cannot be read.")
    if len(readable) < 2:
        return
    rows = differences(readable)
    if not rows:
        st.caption(
            f"{as_text(' and '.join(readable))}: no recorded setting, source, preset or device differs. "
            "The table above says how far each was trained."
        )
        return
    width = max(90, TABLE_WIDTH // (len(readable) + 1))
    st.dataframe(
        rows,
        hide_index=True,
        key=RUNS.action("differences", *readable),
        alt=f"Fields that differ between {', '.join(readable)}",
        column_config={name: st.column_config.TextColumn(width=width) for name in ("field", *readable)},
    )


def samples(chosen: list[Training]) -> None:
    """Shows the same prompts painted by each run at about the same step."""
    st.subheader("Samples side by side")
    steps = sheet_steps([training.path for training in chosen])
    if not steps:
        st.caption("None of these runs has a sample sheet yet.")
        return
    key, about = RUNS.input("sheet"), "Each run shows its last sheet up to this step."
    if st.session_state.get(key, steps[-1]) not in steps:
        st.session_state[key] = steps[-1]
    step = steps[0] if len(steps) == 1 else st.select_slider("Step", steps, steps[-1], key=key, help=about, bind=LINKED)
    shown = chosen[:MOST_COLUMNS]
    if len(chosen) > MOST_COLUMNS:
        st.caption(f"Showing the first {MOST_COLUMNS} of {len(chosen)} runs.")
    sheets = [sheet_at(training.name, training.path, step) for training in shown]
    existing = [sheet for sheet in sheets if sheet is not None]
    prompts = common_prompts(existing)
    for training, sheet in zip(shown, sheets, strict=True):
        if sheet is None:
            st.caption(f"{as_text(training.name)} has no sample sheet.")
    if prompts:
        _grid(existing, prompts)
    else:
        _whole(existing)


def _grid(sheets: list[SheetOf], prompts: list[str]) -> None:
    seeds = {sheet.seed for sheet in sheets}
    same = "the same seed" if len(seeds) == 1 else "different seeds (train.seed differs)"
    runs = " · ".join(f"{as_text(sheet.name)} at step {sheet.step:,}" for sheet in sheets)
    st.caption(f"{len(prompts)} common prompts, painted with {same}. In this order: {runs}.")
    if len(sheets) == 1:
        _tiles(sheets[0], prompts)
        return
    for first in range(0, len(prompts), 2):
        for column, prompt in zip(st.columns(2), prompts[first : first + 2], strict=False):
            with column:
                st.caption(as_text(prompt))
                with st.container(horizontal=True, gap="small"):
                    for sheet in sheets:
                        caption, alt = as_text(middle_cut(sheet.name, 18)), f"{prompt}, by {sheet.name}"
                        st.image(sheet.tiles[prompt], caption, alt=alt, width=104)


def _tiles(sheet: SheetOf, prompts: list[str]) -> None:
    """Shows the samples of one run, each above its prompt."""
    with st.container(key=f"{TILES}{RUNS.name('samples')}"):
        for first in range(0, len(prompts), 4):
            for column, prompt in zip(st.columns(4), prompts[first : first + 4], strict=False):
                column.image(sheet.tiles[prompt], as_text(prompt), alt=f"{prompt}, by {sheet.name}", width=144)


def _whole(sheets: list[SheetOf]) -> None:
    if len(sheets) > 1:
        st.caption("The runs painted different prompts, so each sheet is shown whole.")
    for column, sheet in zip(st.columns(len(sheets)), sheets, strict=True):
        column.markdown(f"**{as_text(sheet.name)}**, step {sheet.step:,}")
        content = picture_file(sheet.path)
        if content is not None:
            column.image(content, alt=f"Sample sheet of {sheet.name}", width="stretch")
        elif sheet.path.exists():
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
    st.markdown(f"**{as_text(training.name)}** · {training.state}")
    kept = read_note(open_workspace(), training.name)
    tags, text = RUNS.input("tags", training.name), RUNS.input("text", training.name)
    before = st.session_state.get(RUNS.name("kept", training.name))
    if before is not None and tags in st.session_state and text in st.session_state:
        wanted = Note(tuple(st.session_state[tags]), st.session_state[text])
        if wanted != before:
            kept = change_note(open_workspace(), training.name, before, wanted)
    if before != kept:  # this tab has changed it, or another one
        st.session_state[RUNS.name("kept", training.name)] = kept
        st.session_state[tags], st.session_state[text] = list(kept.tags), kept.text
    st.multiselect(
        "Tags",
        sorted({*known, *kept.tags}),
        key=tags,
        accept_new_options=True,
        help="Choose or type tags; saved at once.",
    )
    st.text_area("Notes", key=text, height=68, help="Saved when you leave the box.")
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
        switch_page("train/page.py")
