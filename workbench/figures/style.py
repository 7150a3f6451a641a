"""Look of every figure: colours of models, symbols, fonts, hover texts, the two templates; figures as plain values.

A model, an objective and a candidate keep their colour in every figure. All colours have a contrast of at least
3 on the light and the dark page, and no two differ by red and green alone; symbols repeat what colours say.
"""

import html
import itertools
import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from workbench.palette import BACKGROUND, GRID, OBJECTIVES, ORDERED, TEXT

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "triangle-down", "pentagon", "star")
FONT = '"Source Sans", Inter, Helvetica Neue, Helvetica, Arial, sans-serif'
ESTIMATE = "%{customdata[0]}%{customdata[1]}%{customdata[2]}"
"""Hover text of a number, its interval and the kind of interval; takes the first three custom data."""

LOG_AXIS: dict[str, Any] = {"type": "log", "nticks": 3, "tickformat": ".6~g"}
"""Layout of a logarithmic axis, which carries numbers whatever its range.

Three ticks wanted make plotly label 1, 2, 5 within some powers of ten, and even steps within one power; the format
writes each number out where plotly alone would write a small `2` for 0.02.
"""


def figure_text(text: object) -> str:
    """Text for a figure that shows `text` as it is written, in titles, labels, legends and hover texts.

    Plotly reads text as HTML of its own, `%{x}` in hover templates as a value, and `$` as TeX where a page has MathJax.
    """
    escaped = html.escape(" ".join(str(text).split()), quote=False)
    return escaped.replace("%{", "&#37;{").replace("$", "&#36;")


def model_colours(models: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Returns a colour per model (name, objective): that of its name, else of its objective, else a free one.

    Up to eight models all get different colours.
    """
    colours: dict[str, str] = {}
    for name, _ in models:
        if name in OBJECTIVES:
            colours[name] = OBJECTIVES[name]
    for name, objective in models:
        wanted = OBJECTIVES.get(objective)
        if name not in colours and wanted and wanted not in colours.values():
            colours[name] = wanted
    free = [colour for colour in OBJECTIVES.values() if colour not in colours.values()]
    for number, name in enumerate(name for name, _ in models if name not in colours):
        colours[name] = (free or list(OBJECTIVES.values()))[number % len(free or OBJECTIVES)]
    return colours


def model_symbols(names: Sequence[str]) -> dict[str, str]:
    """Returns a marker symbol per model."""
    return {name: SYMBOLS[i % len(SYMBOLS)] for i, name in enumerate(names)}


def count_colours(counts: Sequence[int]) -> dict[int, str]:
    """Returns a colour per count, spread from few to many."""
    ordered = sorted(set(counts))
    last = max(1, len(ordered) - 1)
    return {count: ORDERED[round(i * (len(ORDERED) - 1) / last)] for i, count in enumerate(ordered)}


def faded(colour: str, alpha: float) -> str:
    """Returns a `#rrggbb` colour as rgba with this opacity, for bands."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {alpha:g})"


def number(value: float) -> str:
    """Returns a number with three significant digits; `-` for NaN."""
    if value != value:
        return "-"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def spaced(values: Sequence[float], least: float, lowest: float = -math.inf) -> list[float]:
    """Returns places near the values, at least `least` apart and not below `lowest`, for labels next to lines."""
    places = list(values)
    order = sorted(range(len(values)), key=lambda i: -values[i])
    for above, below in itertools.pairwise(order):
        places[below] = min(places[below], places[above] - least)
    for number, i in enumerate(reversed(order)):
        places[i] = max(places[i], lowest + number * least)
    return places


def template(theme: str = "light") -> go.layout.Template:
    """Returns the template of a theme, `light` or `dark`; it sets its own background, so it is legible anywhere."""
    axis = {
        "gridcolor": GRID[theme],
        "zerolinecolor": GRID[theme],
        "linecolor": GRID[theme],
        "ticks": "outside",
        "tickcolor": GRID[theme],
        "ticklen": 4,
        "automargin": True,
        "title": {"font": {"size": 13}, "standoff": 8},
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": TEXT[theme]},
            "title": {"font": {"size": 18}, "x": 0.01, "xanchor": "left", "yanchor": "top"},
            "paper_bgcolor": BACKGROUND[theme],
            "plot_bgcolor": BACKGROUND[theme],
            "colorway": list(OBJECTIVES.values()),
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {"font": {"family": FONT, "size": 13}, "align": "left"},
            "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom"},
            "margin": {"l": 70, "r": 30, "t": 110, "b": 60},
        }  # type: ignore[arg-type]
    )


def themed(figure: go.Figure, theme: str = "light") -> go.Figure:
    """Puts a figure into a theme, in place, and returns it."""
    if figure.layout.template.layout.paper_bgcolor != BACKGROUND[theme]:  # else it has that theme already
        figure.layout.template = template(theme)
    return figure


def empty(title: str, why: str) -> go.Figure:
    """Returns a figure without data that says why and what to do; `why` may hold plotly's HTML."""
    figure = themed(go.Figure()).update_layout(title=figure_text(title), height=240)
    figure.update_xaxes(visible=False).update_yaxes(visible=False)
    return figure.add_annotation(text=why, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)


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
            "template": template(),
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
