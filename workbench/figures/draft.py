"""A figure's parts, gathered as plain values and checked by plotly once, all together.

Each line or note that is added to a plotly figure has it check all that are there again: many small additions
cost their square. It chooses no looks.
"""

from typing import Any

import plotly.graph_objects as go

from workbench.figures import style


class FigureDraft:
    """What a figure on one pair of axes will hold; `figure` makes it."""

    def __init__(self, heading: str, **layout: Any) -> None:
        self.heading = heading
        self._layout: dict[str, Any] = layout
        self._traces: list[dict[str, Any]] = []
        self._shapes: list[dict[str, Any]] = []
        self._notes: list[dict[str, Any]] = []

    def add(self, kind: str, **values: Any) -> None:
        """A trace of that kind: `scatter`, `bar`, `heatmap`."""
        self._traces.append({"type": kind, **values})

    def add_upright(self, at: float, **line: Any) -> None:
        """An upright line as high as the figure."""
        self._shapes.append(upright(at, line))

    def add_level(self, at: float, **line: Any) -> None:
        """A level line as wide as the figure."""
        self._shapes.append(level(at, line))

    def add_note(self, text: str, **values: Any) -> None:
        """Words at a place, without an arrow."""
        self._notes.append({"text": text, "showarrow": False, **values})

    def figure(self, **layout: Any) -> go.Figure:
        """The figure, in the light theme; `layout` goes before what the draft began with, key by key."""
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
    """The shape of an upright line as high as the panel of these axes."""
    return {"type": "line", "x0": at, "x1": at, "xref": x, "y0": 0, "y1": 1, "yref": f"{y} domain", "line": line}


def level(at: float, line: dict[str, Any], x: str = "x", y: str = "y") -> dict[str, Any]:
    """The shape of a level line as wide as the panel of these axes."""
    return {"type": "line", "x0": 0, "x1": 1, "xref": f"{x} domain", "y0": at, "y1": at, "yref": y, "line": line}
