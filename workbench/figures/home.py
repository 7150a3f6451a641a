"""The three figures of the Home page: masking over the training, decode steps, choice among candidates."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench import palette
from workbench.figures import style
from workbench.figures.masking import CONTRAST, GENERATION, MEAN, TIME
from workbench.masking.study import Schedule
from workbench.pictures import exact_url
from workbench.pictures_of_dream import ShownDecode

HEIGHT = 300
"""Height of each figure in pixels."""
HAIRLINE = "rgba(128, 128, 128, 0.5)"
"""Colour of the frame that a white picture needs on a white page."""
ENDS = ((0.04, "few tokens hidden: contrast", CONTRAST), (0.96, "most tokens hidden: generation", GENERATION))
"""Labels: (mask ratio, text, colour)."""


def plot_hiding(schedule: Schedule, times: Sequence[float], pictures: Sequence[np.ndarray]) -> go.Figure:
    """Plots density and mean of the mask ratio over the training, below pictures masked as at `times`."""
    middles = (schedule.edges[1:] + schedule.edges[:-1]) / 2
    figure = style.themed(go.Figure()).update_layout(
        height=HEIGHT, margin={"l": 48, "r": 16, "t": 72, "b": 48}, showlegend=False
    )
    figure.add_heatmap(
        x=100 * schedule.progress,
        y=middles,
        z=np.round(schedule.density.T, 4),
        name="density",
        showscale=False,
        colorscale=[[0, style.faded(palette.DENSITY, 0)], [1, palette.DENSITY]],
        zmin=0,
        hovertemplate="at %{x:.0f} % of training, ratio %{y:.2f}: density %{z:.2f}<extra></extra>",
    )
    figure.add_scatter(
        x=100 * schedule.progress,
        y=schedule.mean,
        mode="lines",
        name="mean",
        line={"color": MEAN, "width": 3},
        hovertemplate="at %{x:.0f} % of training: %{y:.0%} hidden on average<extra></extra>",
    )
    for time, pixels in zip(times, pictures, strict=True):
        figure.add_layout_image(
            source=exact_url(pixels[:, ::2, ::2]),
            xref="x",
            yref="paper",
            x=100 * time,
            y=1.04,
            sizex=24,
            sizey=0.4,
            xanchor="center",
            yanchor="bottom",
            sizing="contain",
        )
    for y, words, colour in ENDS:
        figure.add_annotation(
            x=98,
            y=y,
            text=f"<b>{words}</b>",
            showarrow=False,
            xanchor="right",
            yanchor="bottom" if y < 0.5 else "top",
            font={"color": colour, "size": 12},
            bgcolor="rgba(255, 255, 255, 0.75)",
        )
    figure.update_xaxes(title=TIME, range=[0, 100], dtick=25)
    return figure.update_yaxes(title="mask ratio", range=[0, 1], dtick=0.5)


def plot_steps(painted: ShownDecode, columns: int = 3) -> go.Figure:
    """Shows the chosen candidate at several moments of its decode, with the share of tokens decoded."""
    rows = -(-len(painted.frames) // columns)
    figure = make_subplots(
        rows,
        columns,
        horizontal_spacing=0.03,
        vertical_spacing=0.14,
        subplot_titles=[f"{share:.0%}" for share in painted.decoded],
    )
    style.themed(figure).update_annotations(font={"size": 12})
    for number, frame in enumerate(painted.frames):
        place = {"row": number // columns + 1, "col": number % columns + 1}
        figure.add_trace(_picture(frame, f"{painted.decoded[number]:.0%} decoded"), **place)
        _frame(figure, frame, place, color=HAIRLINE, width=1)
    _plain(figure)
    return figure.update_layout(height=HEIGHT, margin={"l": 8, "r": 8, "t": 26, "b": 8})


def plot_choice(painted: ShownDecode) -> go.Figure:
    """Shows the candidates when they were compared, with their scores, above what each becomes; the best is framed."""
    count = len(painted.candidates)
    figure = make_subplots(
        2,
        count,
        horizontal_spacing=0.03,
        vertical_spacing=0.14,
        subplot_titles=[_score(painted, number) for number in range(count)] + ["becomes"] * count,
    )
    style.themed(figure).update_annotations(font={"size": 12})
    for row, pictures in enumerate((painted.candidates, painted.finished), 1):
        for number, pixels in enumerate(pictures):
            place = {"row": row, "col": number + 1}
            what = f"cosine {painted.alignment[number]:.3f}" if row == 1 else "finished"
            figure.add_trace(_picture(pixels, f"candidate {number + 1}, {what}"), **place)
            wins = number == painted.chosen
            colour = palette.candidate_colour(number) if wins else HAIRLINE
            _frame(figure, pixels, place, color=colour, width=4 if wins else 1)
    _plain(figure)
    return figure.update_layout(height=HEIGHT, margin={"l": 8, "r": 8, "t": 26, "b": 8})


def _frame(figure: go.Figure, pixels: np.ndarray, place: dict[str, int], **line: Any) -> None:
    side = pixels.shape[1]
    figure.add_shape(x0=-0.5, y0=-0.5, x1=side - 0.5, y1=side - 0.5, line=line, **place)


def _score(painted: ShownDecode, number: int) -> str:
    words = f"{number + 1}: {painted.alignment[number]:.3f}"
    return f"<b>★ {words}</b>" if number == painted.chosen else words


def _picture(pixels: np.ndarray, name: str) -> go.Image:
    return go.Image(z=pixels.transpose(1, 2, 0), name=name, hovertemplate=f"{name}<extra></extra>")


def _plain(figure: go.Figure) -> None:
    figure.update_xaxes(visible=False).update_yaxes(visible=False)
