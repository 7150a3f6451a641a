"""Collects traces, lines and notes as plain values, so that plotly validates them once, together.

Each line or note added to a plotly figure makes it validate all existing ones again: the cost is quadratic.
"""

from typing import Any

import plotly.graph_objects as go

from workbench.figures import style


class FigureDraft:
    """Contents of a figure with one pair of axes; `figure` builds it."""

    def __init__(self, heading: str, **layout: Any) -> None:
        self.heading = heading
        self._layout: dict[str, Any] = layout
        self._traces: list[dict[str, Any]] = []
        self._shapes: list[dict[str, Any]] = []
        self._notes: list[dict[str, Any]] = []

    def add(self, kind: str, **values: Any) -> None:
        """Adds a trace of a kind: `scatter`, `bar` or `heatmap`."""
        self._traces.append({"type": kind, **values})

    def add_upright(self, at: float, **line: Any) -> None:
        """Adds a vertical line as high as the figure."""
        self._shapes.append(upright(at, line))

    def add_level(self, at: float, **line: Any) -> None:
        """Adds a horizontal line as wide as the figure."""
        self._shapes.append(level(at, line))

    def add_note(self, text: str, **values: Any) -> None:
        """Adds text at a place, without an arrow."""
        self._notes.append({"text": text, "showarrow": False, **values})

    def figure(self, **layout: Any) -> go.Figure:
        """Builds the figure in the light theme; keys of `layout` override those given at the start."""
        whole = {
            "template": style.template(),
            "title": {"text": self.heading},
            "shapes": self._shapes,
            "annotations": self._notes,
        }
        for given in (self._layout, layout):
            for key, value in given.items():
                known = whole.get(key)
                whole[key] = {**known, **value} if isinstance(known, dict) else value
        return go.Figure(self._traces, whole)


def upright(at: float, line: dict[str, Any], x: str = "x", y: str = "y") -> dict[str, Any]:
    """Returns the shape of a vertical line as high as the panel of these axes."""
    return {"type": "line", "x0": at, "x1": at, "xref": x, "y0": 0, "y1": 1, "yref": f"{y} domain", "line": line}


def level(at: float, line: dict[str, Any], x: str = "x", y: str = "y") -> dict[str, Any]:
    """Returns the shape of a horizontal line as wide as the panel of these axes."""
    return {"type": "line", "x0": 0, "x1": 1, "xref": f"{x} domain", "y0": at, "y1": at, "yref": y, "line": line}
