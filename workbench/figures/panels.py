"""Small multiples: panels in a grid, with points that have intervals, and the panels of a figure as single figures."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dream.evaluation.statistics import Measure
from workbench import palette
from workbench.figures import style

TOP, BOTTOM = 90, 70
"""Pixels above the panels (title, note, a panel's title) and below them (an axis title)."""
TITLE_SIZE = 14
"""Font size of a panel's title in `composed`, in pixels."""
GAP = 105
"""Pixels between two rows of panels: an axis title and a panel's title."""
HEAD, FOOT = 34, 46
"""Pixels above a panel (its title) and below it (ticks and the title of its x axis)."""
MARKS = {"square": "■", "diamond": "◆", "triangle-up": "▲", "triangle-down": "▼", "cross": "✚", "x": "✖", "star": "★"}
"""Characters for marker symbols."""


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


# the panels as single figures, so that a page can place them in as many columns as it has room for


class LegendEntry(NamedTuple):
    """A line of a legend."""

    name: str
    colour: str
    mark: str
    """A character that looks like the marker."""


def heading_of(figure: go.Figure) -> tuple[str, str]:
    """Returns title and note of a figure as plain text, as `titled` wrote them."""
    title, _, note = (figure.layout.title.text or "").partition("<br>")
    return html.unescape(title), html.unescape(re.sub("<[^>]*>", "", note))


def legend_of(figure: go.Figure) -> list[LegendEntry]:
    """Returns the names of the legend once each, in its order."""
    if figure.layout.showlegend is False:
        return []
    shown = [trace for trace in figure.data if trace.showlegend is not False and trace.name]
    ranked = sorted(shown, key=lambda trace: trace.legendrank or 1000)
    entries = {trace.name: LegendEntry(trace.name, _colour(trace), _mark(trace)) for trace in ranked}
    return list(entries.values())


def pieces_of(figure: go.Figure, height: int) -> list[go.Figure]:
    """Returns one figure per panel of `panel_grid`, `height` pixels high without its title and its ticks."""
    tree = figure.to_dict()
    layout = tree["layout"]
    notes = layout.get("annotations", [])
    titles = [note for note in notes if note.get("xref") == "paper"]
    numbers = sorted(int(key[5:] or 1) for key in layout if re.fullmatch(r"xaxis\d*", key) and "domain" in layout[key])
    pieces = []
    for number, title in zip(numbers, titles, strict=False):
        end = str(number) if number > 1 else ""
        pieces.append(
            go.Figure(
                [
                    {**trace, "xaxis": "x", "yaxis": "y", "showlegend": False}
                    for trace in tree["data"]
                    if trace.get("xaxis", "x") == f"x{end}"
                ],
                {
                    "template": layout["template"],
                    "title": {
                        "text": title["text"],
                        "font": {"size": 14},
                        "y": 1,
                        "yref": "container",
                        "pad": {"t": 10},
                    },
                    "height": height + HEAD + FOOT,
                    "margin": {"l": 20, "r": 12, "t": HEAD, "b": FOOT},
                    "showlegend": False,
                    "xaxis": _axis(layout[f"xaxis{end}"], "y"),
                    "yaxis": _axis(layout[f"yaxis{end}"], "x"),
                    "annotations": list(_moved(notes, end)),
                    "shapes": list(_moved(layout.get("shapes", []), end)),
                },
            )
        )
    return pieces


def _axis(axis: dict[str, Any], anchor: str) -> dict[str, Any]:
    kept = {key: value for key, value in axis.items() if key not in ("domain", "matches", "anchor")}
    return {**kept, "anchor": anchor, "showticklabels": True}


def _moved(marks: Iterable[dict[str, Any]], end: str) -> Iterable[dict[str, Any]]:
    """Yields the notes or shapes of the panel with these axes, on the first axes."""
    for mark in marks:
        if mark.get("xref", "x").split()[0] == f"x{end}" and mark.get("yref", "y").split()[0] == f"y{end}":
            yield {
                **mark,
                "xref": mark.get("xref", "x").replace(f"x{end}", "x", 1),
                "yref": mark.get("yref", "y").replace(f"y{end}", "y", 1),
            }


def _colour(trace: Any) -> str:
    line = trace.line.color if "line" in trace else None
    return str(trace.marker.color or line or palette.NEUTRAL)


def _mark(trace: Any) -> str:
    symbol = trace.marker.symbol
    return MARKS.get(symbol, "●") if isinstance(symbol, str) and "open" not in symbol else "◇" if symbol else "●"
