"""Figures of position tables: three components as colours, single components, and similarity maps.

A click on a cell of a similarity figure selects the invisible marker above it; its custom data is the position.
"""

import numpy as np
import plotly.graph_objects as go

from workbench import palette
from workbench.checkpoints.positions import Table, similarity_map
from workbench.figures import style

SIDE = 380
"""Height of a square figure in pixels."""


def plot_colours(colours: np.ndarray, table: Table, variance: np.ndarray) -> go.Figure:
    """Shows the first three principal components (rows, columns, 3) of the positions as red, green and blue."""
    share = float(variance[:3].sum())
    figure = go.Figure(go.Image(z=colours, hovertemplate="row %{y}, column %{x}<br>R, G, B %{z}<extra></extra>"))
    return _square(figure, table, f"Positions as colours · {share:.0%} of the variance")


def plot_component(scores: np.ndarray, table: Table, label: str) -> go.Figure:
    """Shows one component (rows * columns,) of the positions on the grid."""
    return _square(_map(scores.reshape(table.rows, table.columns), None), table, label)


def plot_similarity(cosines: np.ndarray, table: Table, position: int) -> go.Figure:
    """Shows the cosine of one position (outlined) to all others; a click on a cell selects it."""
    figure = _map(similarity_map(cosines, table, position), 1.0, "cosine")
    row, column = table.place(position)
    figure.add_scatter(
        x=[column],
        y=[row],
        mode="markers",
        hoverinfo="skip",
        showlegend=False,
        marker={
            "symbol": "square-open",
            "size": max(8, min(36, SIDE // max(table.columns, 1) // 2)),
            "color": palette.TEXT["light"],
            "line": {"width": 2.5},
        },
    )
    where = f"position {column}" if table.rows == 1 else f"row {row}, column {column}"
    _clickable(figure, table, np.arange(len(cosines)), SIDE // max(table.rows, table.columns))
    return _square(figure, table, f"Cosine to {where}")


def plot_mosaic(tiles: np.ndarray, table: Table) -> go.Figure:
    """Shows the similarity map of every position at the place of that position."""
    figure = _map(tiles, 1.0, "cosine")
    figure.update_traces(hoverinfo="skip", hovertemplate=None)
    rows, columns = (np.arange(side) * (side + 1) + (side - 1) / 2 for side in (table.rows, table.columns))
    xs, ys = np.meshgrid(columns, rows)
    _clickable(figure, table, np.arange(xs.size), SIDE // max(table.rows, table.columns), xs, ys)
    _square(figure, table, "All similarity maps")
    height, width = tiles.shape
    figure.update_xaxes(visible=False, range=[-0.5, width - 0.5])
    return figure.update_yaxes(visible=False, range=[height - 0.5, -0.5])


def plot_pairs(cosines: np.ndarray, label: str) -> go.Figure:
    """Shows the cosine between all pairs of positions on a line (N, N)."""
    figure = _map(cosines, 1.0, "cosine")
    style.themed(figure).update_layout(title=label, height=SIDE + 60, margin={"t": 50, "b": 50})
    figure.update_xaxes(title="position", constrain="domain")
    return figure.update_yaxes(title="position", autorange="reversed", scaleanchor="x", constrain="domain")


def _map(values: np.ndarray, limit: float | None, unit: str = "value") -> go.Figure:
    finite = np.abs(values[np.isfinite(values)])
    limit = limit or float(finite.max(initial=0.0)) or 1.0
    return go.Figure(
        go.Heatmap(
            z=values,
            zmin=-limit,
            zmax=limit,
            colorscale=palette.DIVERGING,
            hoverongaps=False,
            colorbar={"title": {"text": unit}, "thickness": 10, "len": 0.9},
            hovertemplate="row %{y}, column %{x}<br>%{z:.3f}<extra></extra>",
        )
    )


def _clickable(
    figure: go.Figure,
    table: Table,
    positions: np.ndarray,
    size: int,
    xs: np.ndarray | None = None,
    ys: np.ndarray | None = None,
) -> None:
    """Adds invisible markers, because Streamlit reports clicks on points only."""
    places = [table.place(int(position)) for position in positions]
    figure.add_scatter(
        x=[column for _, column in places] if xs is None else xs.ravel(),
        y=[row for row, _ in places] if ys is None else ys.ravel(),
        customdata=positions,
        mode="markers",
        showlegend=False,
        opacity=0,
        marker={"size": max(6, size), "symbol": "square"},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        text=[f"row {row}, column {column}" for row, column in places],
        hovertemplate="%{text}<extra></extra>",
    )


def _square(figure: go.Figure, table: Table, title: str) -> go.Figure:
    """Lays out square cells with the first row on top."""
    line = table.rows == 1
    style.themed(figure).update_layout(
        title={"text": title, "font": {"size": 15}},
        height=170 if line else SIDE,
        hovermode="closest",
        margin={"l": 46, "r": 10, "t": 46, "b": 46},
        dragmode=False,
    )
    if line:
        figure.update_traces(showscale=False, selector={"type": "heatmap"})
    figure.update_xaxes(
        range=[-0.5, table.columns - 0.5],
        title="position" if line else "column",
        constrain="domain",
        showgrid=False,
        zeroline=False,
        dtick=1 if table.columns <= 16 else None,
    )
    figure.update_yaxes(
        title="" if line else "row",
        range=[table.rows - 0.5, -0.5],
        visible=not line,
        showgrid=False,
        zeroline=False,
        dtick=1 if table.rows <= 16 else None,
    )
    return figure if line else figure.update_yaxes(scaleanchor="x", constrain="domain")
