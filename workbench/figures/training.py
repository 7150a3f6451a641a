"""Figures of one training: losses, mask ratios, pictures counted, retrieval, gradients and speed.

Each takes curves (`workbench.runs.curves`) and returns a plotly Figure.
"""

from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dream.config import DreamConfig
from workbench import palette
from workbench.figures.training_parts import (
    CurveLine,
    add_line,
    add_remark,
    compact,
    line_end,
    name_lines,
    pale_and_smooth,
    percent,
    ratio_colour,
    scale,
    waiting,
)
from workbench.palette import CONTRAST, GENERATION
from workbench.runs.curves import AXES, Axis, Curves, Numbers, drawn_by_step, smoothed

FIGURES = {
    "losses": "Both losses",
    "by_ratio": "Losses by mask ratio",
    "ratios": "Mask ratios drawn over the training",
    "shares": "Share of pictures that counted in each loss",
    "retrieval": "Share of captions that find their picture",
    "gradients": "Gradient norm and learning rate",
    "speed": "Pictures per second and milliseconds per step",
}
"""Description of each figure of a training, by the name that `plot_training` takes."""
BY_RATIO = 330
"""Height of the figure of losses by mask ratio, in pixels."""
MARKED = "lines+markers"
"""Mode of curves with few points."""
TEXT_TO_IMAGE, IMAGE_TO_TEXT = palette.OBJECTIVES["dream"], palette.OBJECTIVES["clip"]


def plot_training(
    name: str,
    curves: Curves,
    config: DreamConfig | None = None,
    axis: Axis = "steps",
    smoothing: float = 0.8,
    log: bool = True,
) -> go.Figure:
    """Plots the figure with this name; `config` is that of the run (default: published) and sets the bounds."""
    objective, clip = (config or DreamConfig()).objective, config.train.clip if config else None
    plots: dict[str, Callable[[], go.Figure]] = {
        "losses": lambda: plot_losses(curves, axis, smoothing, log),
        "by_ratio": lambda: plot_by_ratio(curves, axis, smoothing, log),
        "ratios": lambda: plot_ratios(curves, objective.min_masked, 1 - objective.min_visible, axis),
        "shares": lambda: plot_counted_shares(curves, axis, smoothing),
        "retrieval": lambda: plot_retrieval(curves, axis),
        "gradients": lambda: plot_gradients(curves, clip, axis, smoothing),
        "speed": lambda: plot_speed(curves, axis),
    }
    return plots[name]()


def plot_losses(curves: Curves, axis: Axis = "steps", smoothing: float = 0.8, log: bool = True) -> go.Figure:
    """Plots both losses side by side: smoothed, and unsmoothed (pale)."""
    if not len(curves.steps):
        return waiting("Losses")
    figure = make_subplots(1, 2, subplot_titles=("Contrastive loss", "Generative loss"), horizontal_spacing=0.11)
    for column, (key, colour) in enumerate((("contrastive_loss", CONTRAST), ("generative_loss", GENERATION)), 1):
        x, y = curves.at(curves.steps, axis), curves.train[key]
        name = key.replace("_", " ")
        unit = "loss (nats)" if column == 1 else "loss (head's units)"
        figure.update_yaxes(title_text=unit, row=1, col=column, **scale(log))
        for trace in pale_and_smooth(CurveLine(x, y, name, colour, axis), smoothing):
            figure.add_trace(trace, row=1, col=column)
        if not np.isfinite(y).any():
            add_remark(figure, "not trained", column)
    if np.isfinite(curves.train["contrastive_loss"]).any():
        _add_chance(figure, 1, curves.at(curves.steps, axis), curves.chance, axis)
    return compact(figure, "", axis, height=300)


def plot_by_ratio(curves: Curves, axis: Axis = "steps", smoothing: float = 0.8, log: bool = True) -> go.Figure:
    """Plots the generative loss in training by band of the mask ratio, and both validation losses by mask ratio."""
    if not len(curves.steps):
        return waiting("Losses by mask ratio")
    titles = ("Generative, training", "Generative, validation", "Contrastive, validation")
    figure = make_subplots(1, 3, subplot_titles=titles, horizontal_spacing=0.14)
    for column, unit in ((1, "loss (head's units)"), (2, "loss (head's units)"), (3, "loss (nats)")):
        figure.update_yaxes(title_text=unit, row=1, col=column, **scale(log))
    x, checked = curves.at(curves.steps, axis), curves.at(curves.checked, axis)
    smooth = {name: smoothed(values, smoothing) for name, values in curves.by_ratio.items()}
    tables = ((x, smooth, "lines"), (checked, curves.generative_at, MARKED), (checked, curves.contrastive_at, MARKED))
    for column, (at, table, mode) in enumerate(tables, 1):
        ends = []
        for name, values in table.items():
            colour = ratio_colour(float(name.partition("-")[0]))
            short = "–".join(percent(end) for end in name.split("-"))
            add_line(figure, column, CurveLine(at, values, f"{short} % hidden", colour, axis, mode=mode))
            ends.append(line_end(figure.data[-1], f"{short} %", colour))
        if not table:
            add_remark(figure, "not measured yet", column)
        name_lines(figure, column, [end for end in ends if end is not None], BY_RATIO - 82, log)
    if curves.contrastive_at and curves.among:
        _add_chance(figure, 3, checked, np.full(len(checked), np.log(curves.among)), axis)
    compact(figure, "", axis, height=BY_RATIO)
    return figure.update_xaxes(range=_span(curves, axis)).update_layout(margin={"r": 60})


def plot_ratios(curves: Curves, min_masked: float, max_hidden: float, axis: Axis = "steps") -> go.Figure:
    """Plots the histogram of the mask ratios drawn over the training, and the latest draws.

    A picture counts in generation from `min_masked` up, in contrast up to `max_hidden` (dotted).
    """
    if not any(curves.ratios):
        return waiting("Mask ratios drawn")
    latest = curves.ratios[-max(20, len(curves.ratios) // 20) :]
    titles = ("Mask ratios drawn", f"Latest {sum(map(len, latest)):,} draws")
    figure = make_subplots(
        1, 2, subplot_titles=titles, column_widths=[0.7, 0.3], shared_yaxes=True, horizontal_spacing=0.12
    )
    edges, middles, shares = drawn_by_step(curves)
    figure.add_heatmap(
        x=curves.at((edges[1:] + edges[:-1]) / 2, axis),
        y=middles,
        z=shares,
        colorscale="Viridis",
        zmin=0,
        name="share of draws",
        colorbar={"title": "share", "thickness": 10, "x": 0.62, "len": 1.0},
        hovertemplate=f"{AXES[axis]} %{{x:,.0f}}<br>ratio %{{y:.2f}}<br>%{{z:.1%}} of draws<extra></extra>",
        row=1,
        col=1,
    )
    counts, _ = np.histogram([r for row in latest for r in row], bins=len(middles), range=(0, 1))
    figure.add_bar(
        x=counts / max(1, counts.sum()),
        y=middles,
        orientation="h",
        name="latest draws",
        showlegend=False,
        marker_color=palette.NEUTRAL,
        hovertemplate="ratio %{y:.2f}<br>%{x:.1%} of draws<extra></extra>",
        row=1,
        col=2,
    )
    for at, colour in ((min_masked, GENERATION), (max_hidden, CONTRAST)):
        figure.add_hline(y=at, line={"color": colour, "dash": "dot", "width": 2})
    figure.update_yaxes(title_text="mask ratio (share of tokens hidden)", range=[0, 1], row=1, col=1)
    compact(figure, "", axis, height=300)
    return figure.update_xaxes(title_text="share of draws", tickformat=".0%", row=1, col=2)


def plot_counted_shares(curves: Curves, axis: Axis = "steps", smoothing: float = 0.8) -> go.Figure:
    """Plots the share of a batch's pictures that counted in each loss."""
    if not len(curves.steps):
        return waiting("Pictures that counted in each loss")
    figure, x = make_subplots(1, 1), curves.at(curves.steps, axis)
    for key, name, colour in (
        ("contrastive_share", "in contrast", CONTRAST),
        ("generative_share", "in generation", GENERATION),
    ):
        line = CurveLine(x, curves.train[key], name, colour, axis)
        for trace in pale_and_smooth(line, smoothing, legend=True):
            figure.add_trace(trace, row=1, col=1)
    figure.update_yaxes(title_text="share of the batch", range=[-0.02, 1.02], tickformat=".0%")
    return compact(figure, "Pictures that counted in each loss", axis, legend=True)


def plot_retrieval(curves: Curves, axis: Axis = "steps") -> go.Figure:
    """Plots R@1 from captions to validation pictures and from pictures to captions; chance is dotted."""
    if not len(curves.checked):
        return waiting("Retrieval", "The first validation runs at the start, more follow during the training.")
    figure, x = make_subplots(1, 1), curves.at(curves.checked, axis)
    for key, values in curves.validation.items():
        if key == "loss" or not np.isfinite(values).any():
            continue
        way = "captions" if key.startswith("text") else "pictures"
        hidden = "0 % hidden" if key.endswith("0.00") else "75 % hidden"
        colour = TEXT_TO_IMAGE if key.startswith("text") else IMAGE_TO_TEXT
        dash = "solid" if key.endswith("0.00") else "dot"
        add_line(figure, 1, CurveLine(x, values, f"{way}, {hidden}", colour, axis, dash, mode=MARKED))
    if curves.among:
        figure.add_hline(y=1 / curves.among, line={"color": palette.NEUTRAL, "width": 1, "dash": "dot"})
    figure.update_yaxes(title_text="R@1 (share)", range=[-0.03, 1.05])
    among = f" among {curves.among}" if curves.among else ""
    compact(figure, f"Retrieval, R@1{among}", axis, legend=True)
    return figure.update_xaxes(range=_span(curves, axis))


def plot_gradients(
    curves: Curves, clip: float | None = None, axis: Axis = "steps", smoothing: float = 0.8
) -> go.Figure:
    """Plots the gradient norm before clipping and the learning rate; norms above `clip` are scaled down to it."""
    if not len(curves.steps):
        return waiting("Gradients and learning rate")
    figure = make_subplots(1, 2, subplot_titles=("Gradient norm", "Learning rate"), horizontal_spacing=0.2)
    x = curves.at(curves.steps, axis)
    norm = CurveLine(x, curves.train["grad_norm"], "gradient norm", palette.ORDERED[0], axis)
    for trace in pale_and_smooth(norm, smoothing):
        figure.add_trace(trace, row=1, col=1)
    if clip is not None:
        figure.add_hline(y=clip, line={"color": palette.NEUTRAL, "dash": "dot", "width": 2}, row=1, col=1)
    add_line(figure, 2, CurveLine(x, curves.train["lr"], "learning rate", palette.ORDERED[2], axis))
    figure.update_yaxes(title_text="norm before clipping", row=1, col=1, **scale(True))
    figure.update_yaxes(title_text="learning rate (AdamW)", exponentformat="e", rangemode="tozero", row=1, col=2)
    figure.update_traces(showlegend=False)
    return compact(figure, "", axis)


def plot_speed(curves: Curves, axis: Axis = "steps", smoothing: float = 0.5) -> go.Figure:
    """Plots pictures per second and milliseconds per step, without validations and checkpoints."""
    if not len(curves.steps):
        return waiting("Speed")
    figure = make_subplots(1, 2, subplot_titles=("Throughput", "Time per step"), horizontal_spacing=0.2)
    x, speed = curves.at(curves.steps, axis), curves.train["samples_per_second"]
    milliseconds = 1000 * curves.batch_size / np.where(speed > 0, speed, np.nan)
    for column, (values, name) in enumerate(((speed, "pictures per second"), (milliseconds, "time per step")), 1):
        for trace in pale_and_smooth(CurveLine(x, values, name, palette.ORDERED[3], axis), smoothing):
            figure.add_trace(trace, row=1, col=column)
    figure.update_yaxes(title_text="pictures per second", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text="milliseconds", rangemode="tozero", row=1, col=2)
    return compact(figure, "", axis)


def _add_chance(figure: go.Figure, column: int, x: Numbers, chance: Numbers, axis: Axis) -> None:
    """Draws the contrastive loss of guessing, dotted, with its name."""
    known = np.isfinite(chance)
    if not known.any():
        return
    line = CurveLine(
        x[known], smoothed(chance[known], 0.9), "chance: ln(pictures compared)", palette.NEUTRAL, axis, "dot"
    )
    add_line(figure, column, line)
    number = "" if column == 1 else str(column)
    figure.add_annotation(
        x=float(line.x[0]),
        y=float(np.log10(line.y[0])) if figure.layout[f"yaxis{number}"].type == "log" else float(line.y[0]),
        xref=f"x{number}",
        yref=f"y{number}",
        text="chance",
        showarrow=False,
        xanchor="left",
        yanchor="bottom",
        font={"color": palette.NEUTRAL, "size": 12},
    )


def _span(curves: Curves, axis: Axis) -> list[float]:
    """Returns the range of an x axis as long as the training so far, even with few validations."""
    steps = np.concatenate([curves.steps, curves.checked])
    return [0.0, 1.03 * float(curves.at(steps, axis).max(initial=0.0)) or 1.0]
