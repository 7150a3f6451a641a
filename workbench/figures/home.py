"""The three pictures of the Home page: the mask ratio over a training, a decode step by step, and the choice
among candidates.
"""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench import palette
from workbench.figures import style
from workbench.figures.masking import CONTRAST, DENSITY, GENERATION, MEAN, TIME
from workbench.masking.study import Schedule
from workbench.pictures import exact_url
from workbench.pictures_of_dream import ShownDecode

HEIGHT = 300
"""Of each of the three, in pixels."""
ENDS = ((0.04, "little hidden: contrast", CONTRAST), (0.96, "much hidden: generation", GENERATION))
"""Words at a mask ratio, with their colour."""


def plot_hiding(schedule: Schedule, times: Sequence[float], pictures: Sequence[np.ndarray]) -> go.Figure:
    """Density and mean of the mask ratio over the training, below the pictures hidden as much at `times`."""
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
        colorscale=[[0, style.faded(DENSITY, 0)], [1, DENSITY]],
        zmin=0,
        hovertemplate="%{x:.0f} % done, ratio %{y:.2f}: density %{z:.2f}<extra></extra>",
    )
    figure.add_scatter(
        x=100 * schedule.progress,
        y=schedule.mean,
        mode="lines",
        name="mean",
        line={"color": MEAN, "width": 3},
        hovertemplate="%{x:.0f} % done: on average %{y:.0%} hidden<extra></extra>",
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
    """The chosen candidate at some moments of its decode, with the share of its tokens that is decoded."""
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
    _plain(figure)
    return figure.update_layout(height=HEIGHT, margin={"l": 8, "r": 8, "t": 26, "b": 8})


def plot_choice(painted: ShownDecode, columns: int = 2) -> go.Figure:
    """The candidates as they were compared, with their scores; the chosen one is framed."""
    rows = -(-len(painted.candidates) // columns)
    figure = make_subplots(
        rows,
        columns,
        horizontal_spacing=0.06,
        vertical_spacing=0.14,
        subplot_titles=[_score(painted, number) for number in range(len(painted.candidates))],
    )
    style.themed(figure)
    for number, pixels in enumerate(painted.candidates):
        colour = palette.candidate_colour(number)
        place = {"row": number // columns + 1, "col": number % columns + 1}
        figure.layout.annotations[number].font = {"size": 13, "color": colour}
        name = f"candidate {number + 1}, alignment {painted.alignment[number]:.3f}"
        figure.add_trace(_picture(pixels, name), **place)
        if number == painted.chosen:
            side = pixels.shape[1]
            figure.add_shape(
                x0=-0.5, y0=-0.5, x1=side - 0.5, y1=side - 0.5, line={"color": colour, "width": 4}, **place
            )
    _plain(figure)
    return figure.update_layout(height=HEIGHT, margin={"l": 8, "r": 8, "t": 26, "b": 8})


def _score(painted: ShownDecode, number: int) -> str:
    words = f"{number + 1}: {painted.alignment[number]:.3f}"
    return f"<b>★ {words}</b>" if number == painted.chosen else words


def _picture(pixels: np.ndarray, name: str) -> go.Image:
    return go.Image(z=pixels.transpose(1, 2, 0), name=name, hovertemplate=f"{name}<extra></extra>")


def _plain(figure: go.Figure) -> None:
    figure.update_xaxes(visible=False).update_yaxes(visible=False)
