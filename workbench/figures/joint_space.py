"""The joint space as a table of cosines: one column per picture, one row per caption."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from workbench import palette
from workbench.figures import style
from workbench.pictures import edged, image_url
from workbench.pictures import enlarged as enlarge

ROW_PIXELS, PICTURE_PIXELS = 44, 90


def plot_similarity_table(
    cosines: NDArray[np.floating], captions: Sequence[str], pictures: NDArray[np.uint8]
) -> go.Figure:
    """Shows the cosine (C, P) of every caption with every picture (P, 3, S, S).

    With captions in the order of their pictures, matching pairs lie on the diagonal.
    """
    title = "Cosine between captions and pictures"
    if not cosines.size:
        return style.empty(title, "There are no pictures or no captions.")
    rows, columns = cosines.shape
    figure = style.themed(go.Figure())
    figure.add_heatmap(
        z=cosines,
        x=list(range(columns)),
        y=list(range(rows)),
        zmin=-1,
        zmax=1,
        colorscale=palette.DIVERGING,
        xgap=2,
        ygap=2,
        texttemplate="%{z:.2f}",
        colorbar={"title": {"text": "cosine"}, "thickness": 12},
        customdata=[[style.figure_text(caption)] * columns for caption in captions],
        hovertemplate="%{customdata}<br>picture %{x}: cosine %{z:.3f}<extra></extra>",
    )
    for place, pixels in enumerate(pictures):
        figure.add_layout_image(
            source=image_url(edged(enlarge(pixels, 2 * PICTURE_PIXELS))),
            xref="x",
            yref="paper",
            x=place,
            y=1.02,
            sizex=0.86,
            sizey=PICTURE_PIXELS / (rows * ROW_PIXELS),
            xanchor="center",
            yanchor="bottom",
            sizing="contain",
        )
    figure.update_xaxes(title="picture", dtick=1, showgrid=False, range=[-0.5, columns - 0.5])
    figure.update_yaxes(
        tickvals=list(range(rows)),
        ticktext=[_broken(caption) for caption in captions],
        showgrid=False,
        range=[rows - 0.5, -0.5],
        tickfont={"size": 11},
    )
    height = rows * ROW_PIXELS + PICTURE_PIXELS + 50 + 56
    return figure.update_layout(
        title={"text": title, "y": 1, "yref": "container", "pad": {"t": 14}},
        height=height,
        margin={"t": PICTURE_PIXELS + 50, "b": 56, "l": 20, "r": 10},
    )


def _broken(caption: str, most: int = 34) -> str:
    """Breaks the caption into lines of about `most` characters."""
    lines = [""]
    for word in caption.split():
        if lines[-1] and len(lines[-1]) + len(word) >= most:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "<br>".join(map(style.figure_text, lines))
