"""Takes a figure of several panels apart, so that a page can place the panels in as many columns as it has room for."""

import html
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import plotly.graph_objects as go

from workbench import palette

HEAD, FOOT = 34, 46
"""Pixels above a panel (its title) and below it (ticks and the title of its x axis)."""
MARKS = {"square": "■", "diamond": "◆", "triangle-up": "▲", "triangle-down": "▼", "cross": "✚", "x": "✖", "star": "★"}
"""Characters for marker symbols."""


class LegendEntry(NamedTuple):
    """A line of a legend."""

    name: str
    colour: str
    mark: str
    """A character that looks like the marker."""


def heading_of(figure: go.Figure) -> tuple[str, str]:
    """Returns title and note of a figure as plain text, as `panels.titled` wrote them."""
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
    """Returns one figure per panel of `panels.panel_grid`, `height` pixels high without its title and its ticks."""
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
