"""The figures of one training, drawn anew only where there are new numbers."""

from typing import Any, cast

import streamlit as st

from app.figures import show_figure
from workbench.figures.training import FIGURES, plot_training
from workbench.runs.curves import AXES, Axis, Curves
from workbench.runs.feed import RunFeed, broken_data
from workbench.runs.folders import is_picture, list_sheets, sheet_step
from workbench.runs.trainings import Training
from workbench.runs.words import losses_said, run_readings

Look = tuple[Axis, float, bool]
"""Axis, smoothing, and whether losses are on a logarithmic scale."""
ROWS = (("losses",), ("by_ratio",), ("ratios",), ("shares", "retrieval"), ("gradients", "speed"))
"""The figures, row by row."""
KEPT = "train.figures"
"""Where this tab keeps the figures of the numbers that it saw last."""


@st.cache_resource(max_entries=64, show_spinner=False)
def run_feed(path: str) -> RunFeed:
    """What a run has told so far; one for all tabs."""
    from pathlib import Path

    return RunFeed(Path(path))


def show_numbers(training: Training) -> None:
    """Show the numbers of now."""
    _numbers(training, run_feed(str(training.path)).curves()[1])


def show_run(training: Training, look: Look) -> None:
    """Show the figures, the sample sheets and what is broken in the data."""
    feed = run_feed(str(training.path))
    version, curves = feed.curves()
    _figures(feed, (str(training.path), version, *look), curves)
    _sheets(training)
    _broken(training)


def _numbers(training: Training, curves: Curves) -> None:
    found = run_readings(training, curves)
    for column, reading in zip(st.columns(len(found)), found, strict=True):
        column.metric(reading.name, reading.value, help=reading.help)


def curve_controls() -> Look:
    """What the curves are drawn over, and how.

    Not inside of what is drawn every second: a widget that is sent twice before the browser has it forgets
    the value that it was given.
    """
    st.session_state.setdefault("in.train.axis", "steps")
    st.session_state.setdefault("in.train.smoothing", 0.8)
    st.session_state.setdefault("in.train.log", True)
    left, middle, right = st.columns([3, 3, 2], vertical_alignment="bottom")
    axis = left.segmented_control(
        "Over", list(AXES), key="in.train.axis", required=True, help="What the curves are drawn over."
    )
    smoothing = middle.slider(
        "Smoothing",
        0.0,
        0.99,
        step=0.01,
        key="in.train.smoothing",
        help="Weight of what came before; what was logged stays visible, pale.",
    )
    log = right.toggle("Logarithmic losses", key="in.train.log", help="Equal ratios are equally far apart.")
    return cast(Axis, axis), smoothing, log


def _figures(feed: RunFeed, of: tuple[Any, ...], curves: Curves) -> None:
    if st.session_state.get(f"{KEPT}.of") != of:
        st.session_state[KEPT], st.session_state[f"{KEPT}.of"] = _draw(feed, of, curves), of
    drawn = st.session_state[KEPT]
    for row in ROWS:
        for column, name in zip(st.columns(len(row)), row, strict=True):
            figure, alt = drawn[name]
            with column:
                show_figure(figure, f"train.figure.{name}", alt=alt, name=f"{curves.name}-{name}")


def _draw(feed: RunFeed, of: tuple[Any, ...], curves: Curves) -> dict[str, tuple[Any, str]]:
    _, _, axis, smoothing, log = of
    said = dict(FIGURES, losses=losses_said(curves))
    return {name: (plot_training(name, curves, feed.config, axis, smoothing, log), alt) for name, alt in said.items()}


def _sheets(training: Training) -> None:
    sheets = {sheet_step(path): path for path in list_sheets(training.path)}
    if not sheets:
        st.caption("Sample sheets: none yet. The first is painted before the first step, others over the training.")
        return
    steps, seen = list(sheets), st.session_state.get("train.sheet", (None, None))
    st.markdown("**Samples**, the same prompts and seed over the training")
    step = steps[-1]  # whoever looked at the newest goes on to the next
    if seen[0] in sheets and seen[0] != seen[1]:
        step = seen[0]
    if len(steps) > 1:
        step = st.select_slider(
            "Painted at step",
            steps,
            step,
            key=f"do.train.sheet.{training.name}.{len(steps)}",
            format_func=lambda value: f"{value:,}",
            help="Arrow keys go from sheet to sheet.",
        )
    st.session_state["train.sheet"] = step, steps[-1]
    if not is_picture(sheets[step]):
        st.warning(f"The sheet of step {step:,} is damaged: {sheets[step]} is no picture.")
        return
    st.image(str(sheets[step]), alt=f"Sample sheet of {training.name} at step {step}", width="content")


def _broken(training: Training) -> None:
    report = broken_data(training.path)
    if report.get("problems"):
        with st.expander(f"Broken in the data: {report['problems']:,}; what they touch is skipped"):
            st.dataframe(
                [
                    {"kind": kind, "where": shard, "count": found.get("count"), "first": _first(found)}
                    for kind, shards in report.get("kinds", {}).items()
                    for shard, found in shards.items()
                ],
                hide_index=True,
                key="do.train.broken",
                alt="What is broken in the data",
            )


def _first(found: dict[str, Any]) -> str:
    return ", ".join(str(item.get("key")) for item in found.get("first", [])[:3])
