"""How every figure looks: colours, symbols, fonts, hover texts and the two templates. It draws nothing.

A model, an objective and a candidate keep their colour in every figure. All colours have a contrast of 3 or
more on white and on the dark page, and none differs from another by red and green alone; symbols say the same
as colours once more.
"""

from collections.abc import Sequence

import plotly.graph_objects as go

from workbench.palette import OBJECTIVES

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "triangle-down", "pentagon", "star")
COUNTS = ("#7A6FD0", "#2F7FC1", "#1A94A8", "#2E9E5B", "#A47A00", "#D55E00", "#D0578F")
"""Colours of something that is counted, as the number of candidates, from few to many."""
PAPER = "#7F8790"
"""Colour of published figures."""

FONT = '"Source Sans", Inter, Helvetica Neue, Helvetica, Arial, sans-serif'
BACKGROUND = {"light": "#ffffff", "dark": "#14171c"}
TEXT = {"light": "#1b1f24", "dark": "#e8ebef"}
GRID = {"light": "#e4e7eb", "dark": "#343a43"}
ESTIMATE = "%{customdata[0]} [%{customdata[1]}, %{customdata[2]}]"
"""Hover text of a number with its interval, which are the first three custom data."""


def model_colours(models: Sequence[tuple[str, str]]) -> dict[str, str]:
    """A colour for each model (name, objective): its name's, else its objective's, else a free one.

    No two of up to eight models share one.
    """
    found: dict[str, str] = {}
    for name, _ in models:
        if name in OBJECTIVES:
            found[name] = OBJECTIVES[name]
    for name, objective in models:
        wanted = OBJECTIVES.get(objective)
        if name not in found and wanted and wanted not in found.values():
            found[name] = wanted
    free = [colour for colour in OBJECTIVES.values() if colour not in found.values()]
    for number, name in enumerate(name for name, _ in models if name not in found):
        found[name] = (free or list(OBJECTIVES.values()))[number % len(free or OBJECTIVES)]
    return found


def model_symbols(names: Sequence[str]) -> dict[str, str]:
    """A marker for each model, in their order."""
    return {name: SYMBOLS[i % len(SYMBOLS)] for i, name in enumerate(names)}


def count_colours(counts: Sequence[int]) -> dict[int, str]:
    """A colour for each count, spread from few to many."""
    ordered = sorted(set(counts))
    last = max(1, len(ordered) - 1)
    return {count: COUNTS[round(i * (len(COUNTS) - 1) / last)] for i, count in enumerate(ordered)}


def faded(colour: str, alpha: float) -> str:
    """A `#rrggbb` colour as rgba with this opacity, for bands."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {alpha:g})"


def number(value: float) -> str:
    """A number as figures show it: three significant places, `-` for what is none."""
    if value != value:
        return "-"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def template(theme: str = "light") -> go.layout.Template:
    """The template of a theme, `light` or `dark`; with a background of its own, so it is legible anywhere."""
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
    """The same figure in a theme, changed in place."""
    if figure.layout.template.layout.paper_bgcolor != BACKGROUND[theme]:  # else it is in that theme
        figure.layout.template = template(theme)
    return figure


def empty(title: str, why: str) -> go.Figure:
    """A figure that says that there is nothing to draw, and what to do."""
    figure = themed(go.Figure()).update_layout(title=title, height=240)
    figure.update_xaxes(visible=False).update_yaxes(visible=False)
    return figure.add_annotation(text=why, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)
