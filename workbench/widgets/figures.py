"""Live figures in a notebook: displayed once, then redrawn in place without flicker."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from workbench.figures.style import themed
from workbench.widgets.live_figure import LiveFigure

KEPT = ("width", "autosize", "uirevision", "template")
"""Properties of a layout that a redraw keeps."""
OWN = ("type", "uid")
"""Properties of a trace that a redraw keeps."""


def live(figure: go.Figure, theme: str = "light", height: int | None = None) -> go.FigureWidget:
    """Returns the figure as a widget in a theme; a redraw keeps the reader's zoom."""
    shown = LiveFigure(themed(_sendable(figure), theme))
    shown._config = {**shown._config, "responsive": True}  # adapts when the window is resized
    return shown.update_layout(uirevision="kept", **({"height": height} if height else {}))


def redraw(shown: go.FigureWidget, figure: go.Figure) -> None:
    """Replaces the contents of a live figure in one message to the browser."""
    figure = _sendable(figure)
    with shown.batch_update():
        if _kinds(shown) == _kinds(figure):
            for before, after in zip(shown.data, figure.data, strict=True):
                _overwrite(before, after.to_plotly_json(), OWN)
        else:
            shown.data = []
            shown.add_traces(list(figure.data))
        _overwrite(shown.layout, figure.layout.to_plotly_json(), KEPT)


def _sendable(figure: go.Figure) -> go.Figure:
    """Replaces NaN in heat maps by None: widgets send nested lists as JSON, which has no NaN."""
    for trace in figure.data:
        z = getattr(trace, "z", None)
        if isinstance(z, np.ndarray) and z.dtype.kind == "f" and np.isnan(z).any():
            gapped = z.astype(object)
            gapped[np.isnan(z)] = None
            trace.z = gapped.tolist()
    return figure


def _kinds(figure: go.Figure) -> list[str]:
    return [trace.type for trace in figure.data]


def _overwrite(target: Any, wanted: dict[str, Any], kept: tuple[str, ...]) -> None:
    """Gives a trace or a layout exactly these properties, except the `kept` ones."""
    removed = {name: None for name in target.to_plotly_json() if name not in wanted}
    changed = {name: value for name, value in {**removed, **wanted}.items() if name not in kept}
    target.update(changed, overwrite=True)
