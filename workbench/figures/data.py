"""Figures of a data source: caption lengths, picture sizes, words and attributes."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from workbench import palette
from workbench.figures import panels, style

TOKENS, WORDS = palette.OBJECTIVES["dream"], palette.OBJECTIVES["clip"]
Counts = NDArray[np.int64]


def plot_lengths(tokens: Counts, words: Counts, context: int) -> go.Figure:
    """Plots caption lengths in tokens and in words, with the length that the model reads."""
    title = "Caption lengths"
    if not len(tokens):
        return style.empty(title, "No captions were read.")
    figure = style.themed(go.Figure())
    for name, values, colour in (("words", words, WORDS), ("tokens", tokens, TOKENS)):
        lengths, counts = np.unique(values, return_counts=True)
        figure.add_bar(
            x=lengths,
            y=counts,
            name=name,
            marker_color=colour,
            opacity=0.75,
            hovertemplate=f"%{{x}} {name}: %{{y:,}} captions<extra></extra>",
        )
    figure.add_vline(
        x=context + 0.5,
        line={"color": palette.NEUTRAL, "width": 2, "dash": "dash"},
        annotation_text=f"the model reads {context} tokens",
        annotation_position="top right",
    )
    figure.update_layout(title=title, barmode="overlay", height=490, margin={"t": 84, "b": 56})
    figure.update_xaxes(title="length (words, or tokens with begin and end)")
    return figure.update_yaxes(title="captions")


def plot_sizes(widths: Counts, heights: Counts, size: int) -> go.Figure:
    """Plots pictures by width and height before cropping; larger dots stand for more pictures."""
    title = "Picture sizes before cropping"
    if not len(widths):
        return style.empty(title, "No pictures were read.")
    pairs, counts = np.unique(np.stack([widths, heights]), axis=1, return_counts=True)
    figure = style.themed(go.Figure())
    figure.add_scatter(
        x=pairs[0],
        y=pairs[1],
        mode="markers",
        name="pictures",
        customdata=counts,
        marker={"color": TOKENS, "opacity": 0.6, "size": 6 + 22 * np.sqrt(counts / counts.max()), "line": {"width": 0}},
        hovertemplate="%{x} x %{y} pixels: %{customdata:,} pictures<extra></extra>",
    )
    top = float(max(pairs.max(), size)) * 1.12
    figure.add_scatter(
        x=[0, top],
        y=[0, top],
        mode="lines",
        name="square",
        line={"color": palette.NEUTRAL, "dash": "dot"},
        hoverinfo="skip",
    )
    figure.add_shape(type="rect", x0=0, y0=0, x1=size, y1=size, line={"color": WORDS, "width": 1.5}, layer="below")
    figure.add_annotation(
        x=0,
        y=size,
        text=f" model: {size} x {size}",
        showarrow=False,
        xanchor="left",
        yanchor="bottom",
        font={"size": 11, "color": WORDS},
    )
    figure.update_layout(title=title, height=340, margin={"t": 84, "b": 56}, showlegend=False)
    figure.update_xaxes(title="width (pixels)", range=[0, top])
    return figure.update_yaxes(title="height (pixels)", range=[0, top])


def plot_aspects(widths: Counts, heights: Counts) -> go.Figure:
    """Plots the aspect ratios of the pictures; the further from 1:1, the more the square crop removes."""
    title = "Aspect ratio"
    if not len(widths):
        return style.empty(title, "No pictures were read.")
    ratio = widths / np.maximum(heights, 1)
    figure = style.themed(go.Figure())
    figure.add_histogram(
        x=np.log2(ratio),
        xbins={"start": -3.05, "end": 3.05, "size": 0.1},
        marker_color=TOKENS,
        name="pictures",
        hovertemplate="%{y:,} pictures<extra></extra>",
    )
    ticks = [1 / 4, 1 / 3, 1 / 2, 2 / 3, 1, 3 / 2, 2, 3, 4]
    names = ["1:4", "1:3", "1:2", "2:3", "1:1", "3:2", "2:1", "3:1", "4:1"]
    figure.update_layout(title=title, height=340, bargap=0.03, margin={"t": 84, "b": 56})
    figure.update_xaxes(
        title="width : height before cropping", tickvals=np.log2(ticks), ticktext=names, range=[-2.2, 2.2]
    )
    return figure.update_yaxes(title="pictures")


def plot_frequent(words: Sequence[tuple[str, int]], most: int = 20) -> go.Figure:
    """Plots the most frequent words in the captions."""
    title = "Most frequent words"
    if not words:
        return style.empty(title, "No words were read.")
    names, counts = zip(*words[:most], strict=True)
    figure = style.themed(go.Figure())
    figure.add_bar(
        x=counts,
        y=[style.figure_text(name[:24]) for name in names],
        orientation="h",
        marker_color=WORDS,
        name="words",
        hovertemplate="“%{y}”: %{x:,} times<extra></extra>",
    )
    figure.update_layout(title=title, height=110 + 19 * len(names), margin={"t": 84, "b": 56, "l": 110})
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    return figure.update_xaxes(title="occurrences")


def plot_attributes(attributes: Mapping[str, Mapping[str, int]]) -> go.Figure:
    """Plots how often each attribute value occurs in the drawn pictures, one panel per attribute."""
    title = "Attributes of the drawn pictures"
    shown = {name: counts for name, counts in attributes.items() if len(counts) > 1}
    if not shown:
        return style.empty(title, "No pictures were drawn.")
    columns = min(3, len(shown))
    figure = panels.panel_grid(list(shown), columns, 150, legend=False)
    for number, (name, counts) in enumerate(shown.items()):
        whole = sum(counts.values())
        figure.add_bar(
            x=[style.figure_text(value) for value in counts],
            y=list(counts.values()),
            name=name,
            marker_color=palette.candidate_colour(number),
            customdata=[100 * count / whole for count in counts.values()],
            hovertemplate="%{x}: %{y:,} (%{customdata:.1f} %)<extra></extra>",
            **panels.panel_cell(number, columns),
        )
    figure.update_yaxes(matches=None, showticklabels=True, title=None)
    for row in range(-(-len(shown) // columns)):
        figure.update_yaxes(title="count", row=row + 1, col=1)
    figure.update_xaxes(type="category", showgrid=False)
    return panels.titled(
        figure, title, "counts of pictures (for number of objects, background, layout) or of objects"
    ).update_layout(showlegend=False)
