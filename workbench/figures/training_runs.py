"""Several trainings over each other: both losses and retrieval.

It takes curves (`workbench.runs.curves`) and returns a plotly Figure. It opens no file and no run.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench import palette
from workbench.figures import style
from workbench.figures.training_parts import compact, line_of, pale_and_smooth, scale
from workbench.runs.curves import Axis, Curves, Numbers

DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


class OverlayPanel(NamedTuple):
    """What an overlay of runs shows in one panel."""

    title: str
    axis: str
    """What the numbers are, with their unit."""
    pick: Callable[[Curves], tuple[Numbers, Numbers]]
    """(steps, values) of a run."""
    log: bool = False
    marks: bool = False
    """Few numbers, each a mark; they are not smoothed."""


MEASURES = (
    OverlayPanel(
        "Contrastive loss", "loss (nats)", lambda c: (c.steps, c.train.get("contrastive_loss", c.steps)), True
    ),
    OverlayPanel(
        "Generative loss", "loss (head's units)", lambda c: (c.steps, c.train.get("generative_loss", c.steps)), True
    ),
    OverlayPanel(
        "Caption finds picture, nothing hidden",
        "R@1 (share)",
        lambda c: (c.checked, c.validation.get("text_to_image_r1_at_0.00", c.checked)),
        marks=True,
    ),
    OverlayPanel(
        "Caption finds picture, 75 % hidden",
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
    """Both losses and retrieval of several runs over each other; what was logged is pale (`raw`)."""
    if not runs:
        return style.empty("Runs", "Choose runs in the table.")
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
    if measure.marks or not len(steps):
        look: dict[str, Any] = {"mode": "lines+markers", "marker": {"symbol": style.SYMBOLS[number % 9]}}
        traces = [line_of(x, values, curves.name, colour, axis, dash=dash, **look)]
    else:
        traces = pale_and_smooth(x, values, curves.name, colour, smoothing, axis, dash=dash, pale=raw)
    for trace in traces:
        trace.legendgroup = curves.name
    traces[-1].showlegend = True
    return traces
