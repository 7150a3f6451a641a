"""Small multiples: panels in a grid, with points that have intervals."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dream.evaluation.statistics import Measure
from workbench.figures import style

TOP, BOTTOM = 90, 70
"""Pixels above the panels (title, note, a panel's title) and below them (an axis title)."""
TITLE_SIZE = 14
"""Font size of a panel's title in `composed`, in pixels."""
GAP = 105
"""Pixels between two rows of panels: an axis title and a panel's title."""


class Point(NamedTuple):
    """A number with its interval, and its place on the other axis if there is one."""

    name: str
    """Name of the model, or of anything else with a colour."""
    value: float
    low: float
    high: float
    of: int
    """Number of independent samples that it is the mean of."""
    at: float = 0.0
    interval: str = ""
    """Kind of interval in words, or why there is none; low and high are then NaN."""


class Panel(NamedTuple):
    """One panel of a figure."""

    title: str
    axis: str
    """Title of the y axis, with the unit."""
    points: list[Point]
    across: str = ""
    """Title of the x axis, with the unit."""


def point_of(name: str, measure: Measure, at: float = 0.0) -> Point:
    """Returns a measure as a point."""
    e = measure.estimate
    return Point(name, e.value, e.low, e.high, e.count, at, e.interval)


def panel_grid(titles: Sequence[str], columns: int, row_pixels: int, legend: bool = True) -> go.Figure:
    """Returns a figure with empty panels, row by row, as high as they need.

    Without a legend, model names stand on the y axis that each row shares.
    """
    rows = -(-len(titles) // columns)
    inner = rows * row_pixels + (rows - 1) * GAP
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[style.figure_text(title) for title in titles],
        shared_yaxes=not legend,
        vertical_spacing=GAP / inner if rows > 1 else 0,
        horizontal_spacing=0.09 if legend else 0.04,
    )
    return style.themed(figure).update_layout(
        height=inner + TOP + BOTTOM,
        margin={"t": TOP, "b": BOTTOM},
        legend={"y": -BOTTOM / inner, "yanchor": "top"},  # below the panels: above, several lines of it reach the note
    )


def panel_cell(number: int, columns: int) -> dict[str, int]:
    """Returns row and column of a panel, as plotly counts them."""
    return {"row": number // columns + 1, "col": number % columns + 1}


def axes(number: int) -> tuple[str, str]:
    """Returns the names of a panel's axes in traces and shapes."""
    end = str(number + 1) if number else ""
    return f"x{end}", f"y{end}"


def composed(
    empty: go.Figure,
    traces: Sequence[dict[str, Any]],
    across: Sequence[dict[str, Any]],
    upwards: Sequence[dict[str, Any]],
    shapes: Sequence[dict[str, Any]] = (),
    notes: Sequence[dict[str, Any]] = (),
) -> go.Figure:
    """Fills the panels of `panel_grid` at once, because plotly validates the whole figure for each addition.

    `across` and `upwards` hold the x-axis and y-axis properties of each panel.
    """
    layout = empty.to_dict()["layout"]
    for kind, given in (("x", across), ("y", upwards)):
        for i, values in enumerate(given):
            layout[f"{kind}axis{i + 1 if i else ''}"] |= values
    titles = [{**title, "font": {"size": TITLE_SIZE}} for title in layout["annotations"]]
    return go.Figure(traces, {**layout, "shapes": list(shapes), "annotations": [*titles, *notes]})


def titled(figure: go.Figure, title: str, note: str) -> go.Figure:
    """Adds a title and, smaller, a note on how to read the figure."""
    text = f"{title}<br><span style='font-size:13px'>{note}</span>"
    return figure.update_layout(title={"text": text, "y": 1 - 22 / figure.layout.height})


def bars(points: Sequence[Point], colour: str) -> dict[str, Any]:
    """Returns the error bars of the points."""
    return {
        "type": "data",
        "symmetric": False,
        "color": colour,
        "thickness": 2,
        "width": 4,
        "array": [p.high - p.value for p in points],
        "arrayminus": [p.value - p.low for p in points],
    }


def hover(point: Point) -> list[str]:
    """Returns the custom data of a point: those of `style.ESTIMATE`, then the number of samples."""
    ends = "" if point.low != point.low else f" [{style.number(point.low)}, {style.number(point.high)}]"
    return [style.number(point.value), ends, f"<br>{point.interval}" if point.interval else "", f"{point.of:,}"]


def add_lines(
    figure: go.Figure, panels: Sequence[Panel], colours: dict[str, str], symbols: dict[str, str], named: str = "{}"
) -> None:
    """Adds a line and a band per name to each panel; each name stands in the legend once."""
    figure.add_traces(lines(panels, colours, symbols, named))


def lines(
    panels: Sequence[Panel],
    colours: dict[str, str],
    symbols: dict[str, str],
    named: str = "{}",
    ranks: Mapping[str, int] | None = None,
) -> list[dict[str, Any]]:
    """Returns the traces that `add_lines` adds; `ranks` are the places of the names in the legend."""
    seen: set[str] = set()
    traces = []
    for i, panel in enumerate(panels):
        x, y = axes(i)
        for name in dict.fromkeys(point.name for point in panel.points):
            points = [point for point in panel.points if point.name == name]
            for trace in _line(points, named.format(style.figure_text(name)), colours[name], symbols[name]):
                shown = trace["mode"] != "lines" and name not in seen
                rank = {"legendrank": ranks[name]} if ranks else {}
                traces.append({**trace, **rank, "showlegend": shown, "xaxis": x, "yaxis": y})
            seen.add(name)
    return traces


def _line(points: list[Point], name: str, colour: str, symbol: str) -> list[dict[str, Any]]:
    x = [point.at for point in points]
    outline = _outline(points)
    band: dict[str, Any] = {
        "x": [at for at, _ in outline],
        "y": [end for _, end in outline],
        "mode": "lines",
        "fill": "toself",
        "fillcolor": style.faded(colour, 0.18),
        "line": {"width": 0},
        "hoverinfo": "skip",
    }
    line: dict[str, Any] = {
        "x": x,
        "y": [p.value for p in points],
        "mode": "lines+markers",
        "line": {"color": colour, "width": 2},
        "marker": {"symbol": symbol, "size": 8},
        "error_y": bars(points, colour) if len(points) == 1 else None,
        "customdata": [hover(p) for p in points],
        "hovertemplate": f"<b>{name}</b> at %{{x:.3~f}}<br>{style.ESTIMATE}<extra></extra>",
    }
    common = {"type": "scatter", "name": name, "legendgroup": name}
    return [{**common, **trace} for trace in ([band, line] if len(points) > 1 else [line])]


def _outline(points: Sequence[Point]) -> list[tuple[float | None, float | None]]:
    """Returns the corners of the band: one polygon per run of points that have intervals, with a gap between two."""
    corners: list[tuple[float | None, float | None]] = []
    for known, run in groupby(points, lambda point: point.low == point.low):
        if known:
            some = list(run)
            corners += [(None, None)] if corners else []
            corners += [(p.at, p.high) for p in some] + [(p.at, p.low) for p in some[::-1]]
    return corners
