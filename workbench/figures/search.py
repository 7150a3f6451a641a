"""Figures of the joint space: cosines of an index, and contributions of patches and words to the cosine of a pair.

Contributions are orange where they raise the cosine and blue where they lower it.
"""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from PIL import Image

from workbench import palette
from workbench.figures import style
from workbench.pictures import image_url
from workbench.search.pair import Curve

RAISES, LOWERS = palette.OBJECTIVES["dream"], palette.OBJECTIVES["clip"]
Array = NDArray[np.float64]


def plot_cosines(cosines: Array, marked: Sequence[tuple[str, float]] = ()) -> go.Figure:
    """Plots a histogram of the cosine between the query and every picture of an index, with some of them marked."""
    if not len(cosines):
        return style.empty("Cosine of every picture", "The index has no pictures.")
    figure = style.themed(go.Figure())
    figure.add_histogram(
        x=cosines,
        nbinsx=40,
        name="pictures",
        marker_color=palette.NEUTRAL,
        showlegend=False,
        hovertemplate="cosine %{x}: %{y:,} pictures<extra></extra>",
    )
    for label, value in marked:
        figure.add_vline(
            x=value,
            line={"color": RAISES, "width": 2},
            annotation_text=style.figure_text(label),
            annotation_position="top",
            annotation_font_size=12,
        )
    figure.update_layout(height=230, bargap=0.04, margin={"t": 34, "b": 50, "l": 60, "r": 20})
    figure.update_xaxes(title="cosine with the query", range=_padded(cosines))
    return figure.update_yaxes(title="pictures")


def plot_patch_map(parts: Array, pixels: NDArray[np.uint8], title: str) -> go.Figure:
    """Maps the contribution of each patch to the cosine over the grey picture (3, S, S); zero is transparent."""
    grid = len(parts)
    bound = max(float(np.abs(parts).max(initial=0.0)), 1e-6)
    figure = style.themed(go.Figure())
    figure.add_layout_image(
        source=_grey(pixels),
        x=-0.5,
        y=-0.5,
        xref="x",
        yref="y",
        sizex=grid,
        sizey=grid,
        sizing="stretch",
        layer="below",
        xanchor="left",
        yanchor="top",
    )
    figure.add_heatmap(
        z=parts,
        zmin=-bound,
        zmax=bound,
        colorscale=_diverging(),
        xgap=1,
        ygap=1,
        colorbar={
            "title": {"text": "drop in cosine when hidden", "side": "bottom", "font": {"size": 13}},
            "thickness": 12,
            "tickformat": "+.3~f",
            "orientation": "h",
            "y": -0.02,
            "yanchor": "top",
            "nticks": 5,
        },
        hovertemplate="row %{y}, column %{x}<br>%{z:+.4f}<extra></extra>",
        name="contribution to the cosine",
    )
    figure.update_layout(title={"text": style.figure_text(title), "font": {"size": 15}}, height=460, dragmode=False)
    figure.update_layout(margin={"t": 44, "b": 74, "l": 16, "r": 16})
    figure.update_xaxes(visible=False, range=[-0.5, grid - 0.5], constrain="domain")
    return figure.update_yaxes(visible=False, range=[grid - 0.5, -0.5], scaleanchor="x", constrain="domain")


def plot_word_parts(words: Sequence[str], parts: Array) -> go.Figure:
    """Plots the drop in cosine when each word is left out, in the order of the text."""
    title = "Effect of leaving out each word"
    if not len(words):
        return style.empty(title, "The text has no words.")
    labels = [f"{number}. {style.figure_text(_short(word))}" for number, word in enumerate(words, start=1)]
    figure = style.themed(go.Figure())
    figure.add_bar(
        x=parts,
        y=labels,
        orientation="h",
        name="contribution to the cosine",
        marker_color=[RAISES if part >= 0 else LOWERS for part in parts],
        text=[f"{part:+.3f}" for part in parts],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="without “%{y}” the cosine changes by %{customdata:+.4f}<extra></extra>",
        customdata=-parts,
    )
    figure.update_layout(title={"text": title, "font": {"size": 15}}, showlegend=False)
    figure.update_layout(height=max(460, 90 + 24 * len(words)), margin={"t": 44, "b": 74, "l": 90, "r": 20})
    figure.update_yaxes(autorange="reversed", showgrid=False)
    low, high = min(0.0, float(parts.min())), max(0.0, float(parts.max()))
    room = 0.26 * max(high - low, 1e-3)  # for the numbers at the ends of the bars
    figure.update_xaxes(range=[low - room * bool((parts < 0).any()), high + room])
    return figure.update_xaxes(title="drop in cosine without the word", zeroline=True, zerolinewidth=2)


def plot_cosine_curve(curve: Curve, ratio: float = 0.0) -> go.Figure:
    """Plots the cosine of a pair by mask ratio, with its band over masks; a `ratio` above 0 is marked."""
    figure = style.themed(go.Figure())
    x = curve.ratios * 100
    figure.add_scatter(
        x=[*x, *x[::-1]],
        y=[*curve.high, *curve.low[::-1]],
        fill="toself",
        mode="lines",
        line={"width": 0},
        fillcolor=style.faded(RAISES, 0.2),
        name="80 % of the masks",
        hoverinfo="skip",
    )
    hover = "%{x:.0f} % hidden: %{y:.3f}<extra>%{fullData.name}</extra>"
    figure.add_scatter(
        x=x,
        y=curve.mean,
        mode="lines+markers",
        name="this text, mean over masks",
        hovertemplate=hover,
        line={"color": RAISES, "width": 2.5},
        marker={"size": 5},
    )
    if curve.others is not None:
        figure.add_scatter(
            x=x,
            y=curve.others,
            mode="lines",
            name="other captions, mean over masks",
            hovertemplate=hover,
            line={"color": palette.NEUTRAL, "width": 2, "dash": "dash"},
        )
    if ratio:
        figure.add_vline(x=100 * ratio, line={"color": palette.NEUTRAL, "width": 1, "dash": "dot"})
    figure.update_layout(height=330, margin={"t": 52, "b": 56, "l": 64, "r": 20})
    figure.update_xaxes(title="mask ratio (% of patches hidden)", range=[-1, 101])
    return figure.update_yaxes(title="cosine between picture and text")


def _grey(pixels: NDArray[np.uint8]) -> str:
    """Returns a picture in light grey as a data URL, so that colours on top stay legible."""
    luma = np.asarray(Image.fromarray(pixels.transpose(1, 2, 0)).convert("L"), np.float64)
    pale = Image.fromarray((175 + 0.31 * luma).astype(np.uint8))
    side = pale.width * max(1, 360 // pale.width)
    return image_url(pale.resize((side, side), Image.Resampling.NEAREST))


def _diverging() -> list[tuple[float, str]]:
    """Returns a colour scale from LOWERS over transparent to RAISES."""
    steps = (1.0, 0.85, 0.6, 0.3)
    low = [(0.5 - share / 2, style.faded(LOWERS, 0.92 * share)) for share in steps]
    high = [(0.5 + share / 2, style.faded(RAISES, 0.92 * share)) for share in reversed(steps)]
    return [*low, (0.5, style.faded(palette.NEUTRAL, 0)), *high]


def _padded(values: Array) -> list[float]:
    low, high = float(values.min()), float(values.max())
    pad = 0.05 * max(high - low, 0.1)
    return [low - pad, high + pad]


def _short(text: str, most: int = 16) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
