"""Figures of one training, redrawn only when there are new numbers."""

from pathlib import Path
from typing import Any, cast

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.figures import show_figure
from app.keys import TRAIN
from app.links import LINKED, link, linked
from app.text import as_text
from dream.decoding.pictures import read_about
from dream.errors import InputError
from dream.plain_text import whole_number
from workbench.figures.training import FIGURES, plot_training
from workbench.runs.curves import AXES, Axis, Curves
from workbench.runs.feed import RunFeed, broken_data
from workbench.runs.folders import list_sheets, picture_file, sheet_step
from workbench.runs.trainings import Training
from workbench.runs.words import chance_words, losses_alt, run_readings

CurveSettings = tuple[Axis, float, bool]
"""Axis, smoothing, and whether losses have a logarithmic scale."""
LINKED_SHEET = TRAIN.input("sheet")
"""Where the address holds the step of the sample sheet, unless it is the latest."""
ROWS = (("losses",), ("by_ratio",), ("ratios",), ("shares", "retrieval"), ("gradients", "speed"))
"""Figures by row."""
DRAWN, DRAWN_OF = TRAIN.name("figures"), TRAIN.name("figures.of")
"""Session keys of the latest figures, and of what they were drawn from."""


@st.cache_resource(max_entries=64, show_spinner=False)
def run_feed(path: str) -> RunFeed:
    """The feed of a run, shared by all tabs."""
    return RunFeed(Path(path))


def show_numbers(training: Training) -> None:
    """Shows the current numbers."""
    curves = run_feed(str(training.path)).curves()[1]
    _numbers(training, curves)
    if warning := chance_words(training, curves):
        st.warning(warning)


def show_run(training: Training, settings: CurveSettings) -> None:
    """Shows the figures, the sample sheets and the broken samples of the data."""
    feed = run_feed(str(training.path))
    version, curves = feed.curves()
    _figures(feed, (str(training.path), version, *settings), curves)
    _sheets(training)
    _broken(training)


def _numbers(training: Training, curves: Curves) -> None:
    readings = run_readings(training, curves)
    for column, reading in zip(st.columns(len(readings)), readings, strict=True):
        column.metric(reading.name, reading.value, help=reading.help)


def curve_controls() -> CurveSettings:
    """Shows the controls of the curves and returns their values.

    They must stay outside the fragment that reruns every second: a widget that is sent twice before the browser has
    received it loses its value.
    """
    left, middle, right = st.columns([3, 3, 2], vertical_alignment="bottom")
    axis = axis_control(left, TRAIN.input("axis"))
    smoothing = middle.slider(
        "Smoothing",
        0.0,
        0.99,
        0.8,
        step=0.01,
        key=TRAIN.input("smoothing"),
        bind=LINKED,
        help="Weight of earlier values; the unsmoothed values stay visible as faint lines.",
    )
    about = "Equal ratios are equally far apart."
    log = right.toggle("Logarithmic losses", True, key=TRAIN.input("log"), help=about, bind=LINKED)
    return axis, smoothing, log


def axis_control(place: DeltaGenerator, key: str) -> Axis:
    """Shows the choice of the curves' horizontal axis and returns it."""
    chosen = place.segmented_control(
        "Horizontal axis",
        list(AXES),
        default="steps",
        key=key,
        required=True,
        help="Unit of the horizontal axis.",
        bind=LINKED,
    )
    return cast(Axis, chosen)


def _figures(feed: RunFeed, of: tuple[Any, ...], curves: Curves) -> None:
    if st.session_state.get(DRAWN_OF) != of:
        st.session_state[DRAWN], st.session_state[DRAWN_OF] = _draw(feed, of, curves), of
    drawn = st.session_state[DRAWN]
    for row in ROWS:
        for column, name in zip(st.columns(len(row)), row, strict=True):
            figure, alt = drawn[name]
            with column:
                show_figure(figure, TRAIN.name("figure", name), alt=alt, name=f"{curves.name}-{name}")


def _draw(feed: RunFeed, of: tuple[Any, ...], curves: Curves) -> dict[str, tuple[Any, str]]:
    _, _, axis, smoothing, log = of
    alts = dict(FIGURES, losses=losses_alt(curves))
    return {name: (plot_training(name, curves, feed.config, axis, smoothing, log), alt) for name, alt in alts.items()}


def _sheets(training: Training) -> None:
    sheets = {sheet_step(path): path for path in list_sheets(training.path)}
    if not sheets:
        st.caption("No sample sheets yet. The first one is painted before the first step.")
        return
    st.markdown("**Samples** · the same prompts and seed throughout the training")
    step = _sheet_step(training, list(sheets))
    content = picture_file(sheets[step])
    if content is None and sheets[step].exists():
        st.warning(f"The sheet of step {step:,} is damaged: {as_text(sheets[step])} is not a picture.")
    if content is None:
        return
    if _parts(sheets[step]):
        st.caption(
            "The averaged weights are still young here, so the sheet shows both: averaged above, as they are below."
        )
    st.image(content, alt=f"Sample sheet of {training.name} at step {step}", width="content")


def _sheet_step(training: Training, steps: list[int]) -> int:
    """Shows the choice of the sheet and returns its step; while the latest is shown, moves on to each new one."""
    seen = st.session_state.get(TRAIN.name("sheet"))
    if seen is None:  # the address of a reload or of another tab
        seen = (whole_number(linked(LINKED_SHEET)), None)
    step = seen[0] if seen[0] in steps and seen[0] != seen[1] else steps[-1]
    if len(steps) > 1:
        step = st.select_slider(
            "Step",
            steps,
            step,
            key=TRAIN.action("sheet", training.name, len(steps)),
            format_func=lambda value: f"{value:,}",
            help="Step at which the sheet was painted. Arrow keys move between sheets.",
        )
    st.session_state[TRAIN.name("sheet")] = step, steps[-1]
    link(LINKED_SHEET, "" if step == steps[-1] else str(step))
    return step


def _parts(sheet: Path) -> bool:
    """Whether the sheet shows averaged weights and the weights as they are."""
    try:
        return len(read_about(sheet).get("weights", [])) > 1
    except (InputError, OSError, TypeError, AttributeError):
        return False


def _broken(training: Training) -> None:
    report = broken_data(training.path)
    if report.get("problems"):
        with st.expander(f"Broken samples in the data, skipped in training: {report['problems']:,}"):
            st.dataframe(
                [
                    {"kind": kind, "shard": shard, "count": entry.get("count"), "first": _first(entry)}
                    for kind, shards in report.get("kinds", {}).items()
                    for shard, entry in shards.items()
                ],
                hide_index=True,
                key=TRAIN.action("broken"),
                alt="Broken samples in the data",
            )


def _first(entry: dict[str, Any]) -> str:
    return ", ".join(str(item.get("key")) for item in entry.get("first", [])[:3])
