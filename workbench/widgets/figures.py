"""Figures that live in a notebook: shown once, then redrawn in place without flicker. It draws nothing."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from workbench.figures.style import themed
from workbench.widgets.live_figure import LiveFigure

KEPT = ("width", "autosize", "uirevision", "template")
"""Of a layout: what a redraw leaves as it is."""
OWN = ("type", "uid")
"""The same of a trace."""


def live(figure: go.Figure, theme: str = "light", height: int | None = None) -> go.FigureWidget:
    """The figure as a widget in a theme; what a reader zooms stays when it is redrawn."""
    shown = LiveFigure(themed(_sendable(figure), theme))
    shown._config = {**shown._config, "responsive": True}  # it measures its place when the window says so
    return shown.update_layout(uirevision="kept", **({"height": height} if height else {}))


def redraw(shown: go.FigureWidget, figure: go.Figure) -> None:
    """Makes a live figure show another one, of any kind, in one message to the browser."""
    figure = _sendable(figure)
    with shown.batch_update():
        if _kinds(shown) == _kinds(figure):
            for before, after in zip(shown.data, figure.data, strict=True):
                _become(before, after.to_plotly_json(), OWN)
        else:
            shown.data = []
            shown.add_traces(list(figure.data))
        _become(shown.layout, figure.layout.to_plotly_json(), KEPT)


def _sendable(figure: go.Figure) -> go.Figure:
    """The same with gaps in tables of numbers as None: a widget sends these as JSON, which has no NaN."""
    for trace in figure.data:
        z = getattr(trace, "z", None)
        if isinstance(z, np.ndarray) and z.dtype.kind == "f" and np.isnan(z).any():
            gapped = z.astype(object)
            gapped[np.isnan(z)] = None
            trace.z = gapped.tolist()
    return figure


def _kinds(figure: go.Figure) -> list[str]:
    return [trace.type for trace in figure.data]


def _become(part: Any, wanted: dict[str, Any], kept: tuple[str, ...]) -> None:
    """Gives a trace or a layout exactly these properties, but for those that are kept."""
    gone = {name: None for name in part.to_plotly_json() if name not in wanted}
    changed = {name: value for name, value in {**gone, **wanted}.items() if name not in kept}
    part.update(changed, overwrite=True)
