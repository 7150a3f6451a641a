"""Figures of one decode: the order in which tokens were revealed, and the alignment with the prompt by step."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench import palette
from workbench.figures import style

TOKENS, ALIGNMENT, GUIDANCE = palette.NEUTRAL, palette.OBJECTIVES["dream"], palette.OBJECTIVES["clip"]


class Course(NamedTuple):
    """Numbers of a decode, one per step."""

    step: list[int]
    decoded: list[float]
    """Percentage of the tokens visible after the step."""
    revealed: list[int]
    alignment: list[float | None]
    guidance: list[float]


def plot_order(player: Mapping[str, Any]) -> go.Figure:
    """Maps the step at which each token was revealed, from the player data of a decode."""
    grid, steps = player["grid"], player["steps"]
    number = np.array([np.nan if at < 0 else steps[at]["step"] for at in player["order"]]).reshape(grid, grid)
    text = np.array(["given" if at < 0 else f"step {steps[at]['step']}" for at in player["order"]])
    figure = style.themed(go.Figure())
    figure.add_heatmap(
        z=number,
        x=list(range(1, grid + 1)),
        y=list(range(1, grid + 1)),
        xgap=1,
        ygap=1,
        colorscale=palette.SHADES,
        zmin=1,
        zmax=max(2, steps[-1]["of"]),
        customdata=text.reshape(grid, grid),
        colorbar={"title": {"text": "reveal step"}, "thickness": 12},
        hovertemplate="row %{y}, column %{x}<br>%{customdata}<extra></extra>",
    )
    figure.update_xaxes(title="column (tokens)", constrain="domain", showgrid=False, dtick=_tick(grid))
    figure.update_yaxes(
        title="row (tokens)",
        range=[grid + 0.5, 0.5],
        scaleanchor="x",
        constrain="domain",
        showgrid=False,
        dtick=_tick(grid),
    )
    return figure.update_layout(title="Reveal order", height=400, margin={"t": 60})


def plot_course(player: Mapping[str, Any]) -> go.Figure:
    """Plots tokens revealed, guidance and alignment by step, from the player data of a decode."""
    course = _course(player)
    hover = [f"step {s}, {d:.0f} % decoded" for s, d in zip(course.step, course.decoded, strict=True)]
    figure = style.themed(make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.09))
    scored = any(score is not None for score in course.alignment)
    figure.add_bar(
        x=course.step,
        y=course.revealed,
        name="tokens revealed",
        marker={"color": TOKENS},
        row=2,
        col=1,
        customdata=hover,
        hovertemplate="%{customdata}<br>%{y} tokens<extra></extra>",
    )
    figure.add_scatter(
        x=course.step,
        y=course.guidance,
        name="guidance scale",
        mode="lines",
        row=2,
        col=1,
        line={"color": GUIDANCE, "dash": "dot"},
        customdata=hover,
        hovertemplate="%{customdata}<br>guidance %{y:.2f}<extra></extra>",
    )
    if scored:
        figure.add_scatter(
            x=course.step,
            y=course.alignment,
            name="alignment with the prompt",
            mode="lines+markers",
            line={"color": ALIGNMENT},
            marker={"size": 6},
            customdata=hover,
            row=1,
            col=1,
            hovertemplate="%{customdata}<br>alignment %{y:.3f}<extra></extra>",
        )
    else:
        figure.add_annotation(
            text="This model has no joint space, so there are no scores.",
            x=0.5,
            y=0.8,
            xref="paper",
            yref="paper",
            showarrow=False,
        )
    figure.update_yaxes(title="alignment (cosine)", row=1, col=1)
    figure.update_yaxes(title="tokens or scale", row=2, col=1, rangemode="tozero")
    figure.update_xaxes(title="step", row=2, col=1)
    return figure.update_layout(
        title="Decode by step", height=400, margin={"t": 60, "b": 110}, legend={"y": -0.28, "yanchor": "top"}
    )


def _course(player: Mapping[str, Any]) -> Course:
    steps = player["steps"]
    return Course(
        [step["step"] for step in steps],
        [100 * step["decoded"] for step in steps],
        [len(step["revealed"]) for step in steps],
        [step["alignment"] for step in steps],
        [step["guidance"] for step in steps],
    )


def _tick(grid: int) -> int:
    return max(1, grid // 5)
