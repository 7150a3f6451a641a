"""Figures of a checkpoint's values: norms, magnitudes, histogram, distances, optimiser moments, training history.

Each takes plain data from `workbench.checkpoints`. `checkpoint_tree` has the treemap, `checkpoint_positions` the
position tables.
"""

import itertools
import math
from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench import palette
from workbench.checkpoints.difference import Distance
from workbench.checkpoints.history import History
from workbench.checkpoints.optimizer import OptimizerMoments
from workbench.checkpoints.statistics import Layer, TensorStatistics, edges, magnitude_centres
from workbench.figures import style

BLUE, ORANGE, GREEN = palette.OBJECTIVES["clip"], palette.OBJECTIVES["dream"], palette.OBJECTIVES["fluid"]
VISIBLE = 0.0005
"""Magnitudes whose share is below this in every layer are cut off."""
ROW_PIXELS = 17
FRAME_PIXELS = 120


def plot_norms(layers: Sequence[Layer]) -> go.Figure:
    """Plots RMS, largest magnitude and absolute mean of the values of every layer."""
    if not layers:
        return style.empty("Norms by layer", "No floating-point tensor was measured.")
    names = [style.figure_text(layer.name) for layer in layers]
    figure = go.Figure()
    for label, values, colour, symbol in (
        ("RMS", [layer.rms for layer in layers], BLUE, "circle"),
        ("largest", [layer.largest for layer in layers], ORANGE, "diamond"),
        ("|mean|", [abs(layer.mean) for layer in layers], GREEN, "line-ns-open"),
    ):
        figure.add_scatter(
            x=[_positive(value) for value in values],
            y=names,
            name=label,
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 9},
            hovertemplate="%{y}<br>" + label + " %{x:.4g}<extra></extra>",
        )
    return _rows(figure, names, "Norms by layer", "value (log scale)", log=True)


def plot_magnitudes(layers: Sequence[Layer]) -> go.Figure:
    """Plots the share of values in each band of magnitudes, per layer."""
    counted = [layer for layer in layers if sum(layer.magnitudes)]
    if not counted:
        return style.empty("Magnitudes by layer", "All measured values are zero.")
    shares = [[n / sum(layer.magnitudes) for n in layer.magnitudes] for layer in counted]
    used = [i for i, column in enumerate(zip(*shares, strict=True)) if max(column) >= VISIBLE]
    first, last = used[0], used[-1] + 1
    shares = [row[first:last] for row in shares]
    top = max((max(row) for row, layer in zip(shares, counted, strict=True) if layer.count > 64), default=1)
    names = [style.figure_text(layer.name) for layer in counted]
    figure = go.Figure(
        go.Heatmap(
            x=[math.log10(value) for value in magnitude_centres()[first:last]],
            y=names,
            z=shares,
            zmin=0,
            zmax=top,
            colorscale=palette.SHADES,
            colorbar={"title": {"text": "share"}, "tickformat": ".0%", "thickness": 10},
            hovertemplate="%{y}<br>%{z:.1%} of the values near 10^%{x:.2f}<extra></extra>",
        )
    )
    _rows(figure, names, "Magnitudes by layer", "magnitude (without zeros)")
    marks = list(range(math.floor(-12 + first / 4), math.ceil(-12 + last / 4) + 1))
    return figure.update_xaxes(tickvals=marks, ticktext=[f"10<sup>{mark}</sup>" for mark in marks])


def plot_histogram(one: TensorStatistics, log: bool = False) -> go.Figure:
    """Plots the distribution of the values of one tensor, with its RMS on both sides of zero."""
    if one.rms != one.rms:
        return style.empty(style.figure_text(one.name), "This tensor has no finite values.")
    bounds = edges(one)
    width = (bounds[-1] - bounds[0]) / len(one.histogram) or 1.0
    centres = [(a + b) / 2 for a, b in itertools.pairwise(bounds)]
    figure = go.Figure(
        go.Bar(
            x=centres,
            y=list(one.histogram),
            width=width,
            marker={"color": BLUE, "line": {"width": 0}},
            name="values",
            hovertemplate="%{y:,} values near %{x:.4g}<extra></extra>",
        )
    )
    for at in (-one.rms, one.rms):
        if bounds[0] <= at <= bounds[-1]:
            figure.add_vline(at, line={"color": ORANGE, "dash": "dot", "width": 1.5})
    style.themed(figure).update_layout(
        height=280,
        showlegend=False,
        bargap=0,
        margin={"t": 46, "b": 50},
        title={"text": "Distribution of values · dotted: ± RMS", "font": {"size": 14}},
    )
    figure.update_xaxes(title="value")
    scale = style.LOG_AXIS if log else {"type": "linear"}
    return figure.update_yaxes(title="count (log scale)" if log else "count", **scale)


def plot_distances(distances: Sequence[Distance]) -> go.Figure:
    """Plots the distance of each layer (or tensor) of B from A: relative L2, and one minus the cosine."""
    if not distances:
        return style.empty("Distance by layer", "No tensor has the same name and shape in both.")
    names = [style.figure_text(distance.name) for distance in distances]
    figure = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.04)
    for column, label, values, colour, symbol in (
        (1, "relative L2", [d.relative for d in distances], BLUE, "circle"),
        (2, "1 − cosine", [max(0.0, 1 - d.cosine) for d in distances], ORANGE, "diamond"),
    ):
        figure.add_scatter(
            x=[_positive(value) for value in values],
            y=names,
            mode="markers",
            name=label,
            marker={"color": colour, "symbol": symbol, "size": 9},
            row=1,
            col=column,
            customdata=[[d.count, d.largest, style.number(v)] for d, v in zip(distances, values, strict=True)],
            hovertemplate="%{y}<br>" + label + " %{customdata[2]}<br>largest change %{customdata[1]:.3g}"
            "<br>%{customdata[0]:,} values<extra></extra>",
        )
    _rows(figure, names, "Distance of B from A", "")
    figure.update_xaxes(title="L2 norm of the change / L2 norm of A (log scale)", row=1, col=1)
    figure.update_xaxes(title="1 − cosine (log scale, without equal layers)", row=1, col=2)
    return figure.update_xaxes(**style.LOG_AXIS)


def plot_moments(rows: Sequence[OptimizerMoments]) -> go.Figure:
    """Plots momentum and recent gradient size per parameter or layer."""
    if not rows:
        return style.empty("Optimiser state", "The optimiser stores no momentum.")
    names = [style.figure_text(row.parameter) for row in rows]
    figure = go.Figure()
    for label, values, colour, symbol in (
        ("momentum", [row.momentum for row in rows], BLUE, "circle"),
        ("recent gradients", [row.gradient for row in rows], ORANGE, "diamond"),
    ):
        figure.add_scatter(
            x=[_positive(value) for value in values],
            y=names,
            name=label,
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 8},
            hovertemplate="%{y}<br>" + label + " %{x:.3g}<extra></extra>",
        )
    return _rows(figure, names, "Momentum and gradients", "RMS (log scale)", log=True)


def plot_history(past: History) -> go.Figure:
    """Plots the losses over the training, with a line at the checkpoint."""
    figure = go.Figure()
    for label, key, rows, colour, dash in (
        ("generative", "generative_loss", past.train, palette.GENERATION, "solid"),
        ("contrastive", "contrastive_loss", past.train, palette.CONTRAST, "solid"),
        ("validation, both losses", "loss", past.validation, palette.BOTH, "dot"),
    ):
        points = [(row["step"], row[key]) for row in rows if row.get(key) is not None]
        if points:
            figure.add_scatter(
                x=[step for step, _ in points],
                y=[value for _, value in points],
                name=label,
                mode="lines" if rows is past.train else "lines+markers",
                line={"color": colour, "dash": dash},
                hovertemplate="step %{x:,}<br>" + label + " %{y:.4g}<extra></extra>",
            )
    if not figure.data:
        return style.empty("Losses", "There is no metrics.jsonl from this training.")
    figure.add_vline(
        past.step,
        line={"color": palette.NEUTRAL, "width": 1.5},
        annotation_text="this checkpoint ",
        annotation_position="top left",
    )
    style.themed(figure).update_layout(
        title={"text": "Losses over the training", "font": {"size": 15}}, height=380, margin={"t": 80}
    )
    figure.update_xaxes(title="optimiser step")
    return figure.update_yaxes(title="loss (log scale)", **style.LOG_AXIS)


def plot_scales(past: History) -> go.Figure:
    """Plots the factor on the cosines in the contrastive loss, for every checkpoint of the run."""
    if not past.scales:
        return style.empty("Logit scale", "The checkpoints have no logit scale.")
    figure = go.Figure()
    for part, colour, symbol in (("raw", BLUE, "circle"), ("averaged", ORANGE, "diamond")):
        points = [scale for scale in past.scales if scale.part == part]
        if points:
            figure.add_scatter(
                x=[scale.step for scale in points],
                y=[scale.factor for scale in points],
                name=part,
                mode="lines+markers",
                marker={"color": colour, "symbol": symbol, "size": 9},
                line={"color": colour},
                hovertemplate="step %{x:,}<br>factor %{y:.4g}<extra></extra>",
            )
    style.themed(figure).update_layout(
        title={"text": "Logit scale", "font": {"size": 15}}, height=380, margin={"t": 80}, showlegend=True
    )
    alone = len({scale.step for scale in past.scales}) == 1
    figure.update_xaxes(title="optimiser step", tickformat=",d", rangemode="tozero" if alone else "normal")
    return figure.update_yaxes(title="factor on the cosines (1 / temperature)")


def _rows(figure: go.Figure, names: Sequence[str], title: str, axis: str, log: bool = False) -> go.Figure:
    """Lays out the figure as high as its rows need, with the first row on top."""
    style.themed(figure).update_layout(
        title={"text": title, "font": {"size": 15}, "y": 1, "yref": "container", "pad": {"t": 14}},
        height=FRAME_PIXELS + ROW_PIXELS * max(6, len(names)),
        margin={"t": 74, "b": 56, "l": 20},
        legend={"y": 1, "yanchor": "bottom", "font": {"size": 12}, "x": 0},
    )
    order = list(dict.fromkeys(names))[::-1]
    figure.update_yaxes(
        categoryorder="array", categoryarray=order, tickfont={"size": 11}, dtick=1, range=[-0.7, len(order) - 0.3]
    )
    figure.update_xaxes(title=axis)
    return figure.update_xaxes(**style.LOG_AXIS) if log else figure


def _positive(value: float) -> float | None:
    """Returns the value if a log axis can show it."""
    return value if 0 < value < math.inf else None
