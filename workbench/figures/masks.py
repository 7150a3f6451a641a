"""Figure of masks on a picture, side by side."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from workbench import palette
from workbench.figures import style
from workbench.masking.strip import COLOURS, trains
from workbench.masking.study import DrawnMask


def plot_masks(masks: Sequence[DrawnMask], picture: str, columns: int = 4) -> go.Figure:
    """Shows a picture (PNG data URL) under each mask, with the ratio above and the objective it trains below."""
    if not masks:
        return style.empty("Masks", "There are no groups.")
    grid, columns = len(masks[0].hidden), min(columns, len(masks))
    wide, high = 1.06 * grid, 1.4 * grid
    rows, images, notes, traces = -(-len(masks) // columns), [], [], []
    for number, mask in enumerate(masks):  # one pair of axes for all: one per mask takes five times as long
        left, top = wide * (number % columns), high * (number // columns)
        words = trains(mask)
        images.append(
            {
                "source": picture,
                "xref": "x",
                "yref": "y",
                "x": left,
                "y": top,
                "sizex": grid,
                "sizey": grid,
                "sizing": "stretch",
                "layer": "below",
            }
        )
        middle = {"x": left + grid / 2, "showarrow": False}
        notes.append({**middle, "y": top, "yanchor": "bottom", "text": f"{mask.ratio:.2f}"})
        notes.append(
            {**middle, "y": top + grid, "yanchor": "top", "text": words, "font": {"color": COLOURS[words], "size": 12}}
        )
        traces.append(
            {
                "type": "heatmap",
                "x": left + np.arange(grid) + 0.5,
                "y": top + np.arange(grid) + 0.5,
                "z": mask.hidden.astype(int),
                "zmin": 0,
                "zmax": 1,
                "showscale": False,
                "name": f"group {number + 1}: ratio {mask.ratio:.3f}",
                "hovertemplate": "hidden %{z}<extra></extra>",
                "colorscale": [[0, "rgba(0,0,0,0)"], [1, palette.HIDDEN]],
            }
        )
    bare = {"visible": False, "constrain": "domain"}
    layout = {
        "template": style.template(),
        "images": images,
        "annotations": notes,
        "height": 80 + 200 * rows,
        "title": {"text": "Masks of a batch's groups, on one picture", "font": {"size": 16}},
        "margin": {"l": 10, "r": 10, "t": 50, "b": 10},
        "xaxis": {"range": [0, wide * columns - 0.06 * grid], **bare},
        "yaxis": {"range": [high * rows - 0.15 * grid, -0.22 * grid], "scaleanchor": "x", **bare},
    }
    return go.Figure(traces, layout)
