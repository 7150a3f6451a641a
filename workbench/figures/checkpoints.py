"""Figures of a checkpoint's values: norms, magnitudes, a histogram, distances, moments, the past.

Each takes plain data of `workbench.checkpoint_*` and opens nothing. The tree is in
`checkpoint_tree`, position tables are in `checkpoint_positions`.
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
SHADES = "Cividis"
"""Colours of shares, from few to many; told apart by the colour-blind."""
VISIBLE = 0.0005
"""Magnitudes that no layer has a larger share of are cut off."""
ROW_PIXELS = 17
FRAME_PIXELS = 120


def plot_norms(layers: Sequence[Layer]) -> go.Figure:
    """RMS, largest magnitude and magnitude of the mean of every layer's values."""
    if not layers:
        return style.empty("Norms by layer", "No tensor of floating-point numbers was measured.")
    names = [layer.name for layer in layers]
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
    """How large the values of every layer are: the share of them in each band of magnitudes."""
    counted = [layer for layer in layers if sum(layer.magnitudes)]
    if not counted:
        return style.empty("Magnitudes by layer", "No values other than zero were measured.")
    shares = [[n / sum(layer.magnitudes) for n in layer.magnitudes] for layer in counted]
    used = [i for i, column in enumerate(zip(*shares, strict=True)) if max(column) >= VISIBLE]
    first, last = used[0], used[-1] + 1
    shares = [row[first:last] for row in shares]
    top = max((max(row) for row, layer in zip(shares, counted, strict=True) if layer.count > 64), default=1)
    names = [layer.name for layer in counted]
    figure = go.Figure(
        go.Heatmap(
            x=[math.log10(value) for value in magnitude_centres()[first:last]],
            y=names,
            z=shares,
            zmin=0,
            zmax=top,
            colorscale=SHADES,
            colorbar={"title": {"text": "share"}, "tickformat": ".0%", "thickness": 10},
            hovertemplate="%{y}<br>%{z:.1%} of the values near 10^%{x:.2f}<extra></extra>",
        )
    )
    _rows(figure, names, "Magnitudes by layer", "magnitude of a value, zeros left out")
    marks = list(range(math.floor(-12 + first / 4), math.ceil(-12 + last / 4) + 1))
    return figure.update_xaxes(tickvals=marks, ticktext=[f"10<sup>{mark}</sup>" for mark in marks])


def plot_histogram(one: TensorStatistics, log: bool = False) -> go.Figure:
    """How the values of one tensor are spread, with its RMS on both sides of zero."""
    if one.rms != one.rms:
        return style.empty(one.name, "No value of this tensor is finite.")
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
        title={"text": "Values · dotted: ± RMS", "font": {"size": 14}},
    )
    figure.update_xaxes(title="value")
    return figure.update_yaxes(title="values (log)" if log else "values", type="log" if log else "linear")


def plot_distances(distances: Sequence[Distance]) -> go.Figure:
    """How far each layer (or tensor) of B is from A: relative L2 distance, and one minus the cosine."""
    if not distances:
        return style.empty("Distance by layer", "The two have no tensor of one name and shape.")
    names = [distance.name for distance in distances]
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
    _rows(figure, names, "How far B is from A", "")
    figure.update_xaxes(title="L2 norm of the change / that of A (log)", row=1, col=1)
    figure.update_xaxes(title="1 − cosine (log; equal layers left out)", row=1, col=2)
    return _log(figure)


def plot_moments(rows: Sequence[OptimizerMoments]) -> go.Figure:
    """Momentum and size of recent gradients of every row, a parameter or a layer."""
    if not rows:
        return style.empty("Optimiser state", "The optimiser keeps no momentum.")
    names = [row.parameter for row in rows]
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
    """Losses over the training, with a line where the checkpoint stands."""
    figure = go.Figure()
    for label, key, rows, colour, dash in (
        ("generative", "generative_loss", past.train, ORANGE, "solid"),
        ("contrastive", "contrastive_loss", past.train, BLUE, "solid"),
        ("validation, both", "loss", past.validation, GREEN, "dot"),
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
        return style.empty("Losses", "This training left no metrics.jsonl.")
    figure.add_vline(
        past.step,
        line={"color": style.PAPER, "width": 1.5},
        annotation_text="this checkpoint ",
        annotation_position="top left",
    )
    style.themed(figure).update_layout(
        title={"text": "Losses over the training", "font": {"size": 15}}, height=380, margin={"t": 80}
    )
    figure.update_xaxes(title="optimiser step")
    return figure.update_yaxes(title="loss (log scale)", type="log", dtick=1)


def plot_scales(past: History) -> go.Figure:
    """The factor on the cosines of the contrastive loss in every checkpoint that is left."""
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
    """The figure as high as its rows need, the first row on top."""
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
    figure.update_xaxes(title=axis, exponentformat="power")
    return _log(figure) if log else figure


def _log(figure: go.Figure) -> go.Figure:
    """Log x axes; with ticks at powers of ten only where there are several."""
    values = [x for trace in figure.data for x in trace.x if x]
    wide = bool(values) and max(values) > 100 * min(values)
    return figure.update_xaxes(type="log", dtick=1 if wide else None)


def _positive(value: float) -> float | None:
    """What a log axis can show."""
    return value if 0 < value < math.inf else None
