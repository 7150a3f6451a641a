"""Figure of several trainings overlaid: both losses and retrieval.

It takes curves (`workbench.runs.curves`) and returns a plotly Figure.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench import palette
from workbench.figures import style
from workbench.figures.training_parts import CurveLine, compact, pale_and_smooth, scale
from workbench.runs.curves import Axis, Curves, Numbers

DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


class OverlayPanel(NamedTuple):
    """Contents of one panel of an overlay of runs."""

    title: str
    axis: str
    """Title of the y axis, with the unit."""
    pick: Callable[[Curves], tuple[Numbers, Numbers]]
    """Returns (steps, values) of a run."""
    log: bool = False
    marks: bool = False
    """Whether the few points get markers and are not smoothed."""


MEASURES = (
    OverlayPanel(
        "Contrastive loss", "loss (nats)", lambda c: (c.steps, c.train.get("contrastive_loss", c.steps)), True
    ),
    OverlayPanel(
        "Generative loss", "loss (head's units)", lambda c: (c.steps, c.train.get("generative_loss", c.steps)), True
    ),
    OverlayPanel(
        "Caption to picture, nothing hidden",
        "R@1 (share)",
        lambda c: (c.checked, c.validation.get("text_to_image_r1_at_0.00", c.checked)),
        marks=True,
    ),
    OverlayPanel(
        "Caption to picture, 75 % hidden",
        "R@1 (share)",
        lambda c: (c.checked, c.validation.get("text_to_image_r1_at_0.75", c.checked)),
        marks=True,
    ),
)


def plot_runs(
    runs: Sequence[Curves],
    colours: dict[str, str],
    axis: Axis = "steps",
    smoothing: float = 0.8,
    log: bool = True,
    raw: bool = True,
) -> go.Figure:
    """Plots both losses and retrieval of several runs, overlaid; `raw` adds the unsmoothed values, pale."""
    if not runs:
        return style.empty("Runs", "Select runs in the table.")
    figure = make_subplots(
        2, 2, subplot_titles=[m.title for m in MEASURES], horizontal_spacing=0.09, vertical_spacing=0.2
    )
    for place, measure in enumerate(MEASURES):
        where = {"row": place // 2 + 1, "col": place % 2 + 1}
        for number, curves in enumerate(runs):
            for trace in _run_traces(curves, measure, colours[curves.name], number, axis, smoothing, raw):
                trace.showlegend = place == 0 and trace.showlegend is not False
                figure.add_trace(trace, **where)
        span = {"range": [-0.03, 1.05]} if measure.marks else scale(log and measure.log)
        figure.update_yaxes(title_text=measure.axis, **span, **where)
    return compact(figure, "", axis, height=640, legend=True)


def _run_traces(
    curves: Curves, measure: OverlayPanel, colour: str, number: int, axis: Axis, smoothing: float, raw: bool
) -> list[go.Scatter]:
    steps, values = measure.pick(curves)
    x, dash = curves.at(steps, axis), DASHES[number // len(palette.OBJECTIVES) % len(DASHES)]
    line = CurveLine(x, values, curves.name, colour, axis, dash)
    if measure.marks or not len(steps):
        symbol = style.SYMBOLS[number % len(style.SYMBOLS)]
        traces = [replace(line, mode="lines+markers", symbol=symbol).trace()]
    else:
        traces = pale_and_smooth(line, smoothing, pale=raw)
    for trace in traces:
        trace.legendgroup = curves.name
    traces[-1].showlegend = True
    return traces
