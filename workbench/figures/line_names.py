"""Names at the right ends of lines, instead of a legend, for figures with few lines."""

import math
from collections.abc import Sequence
from typing import Any

from workbench.figures.panels import Panel, axes
from workbench.figures.style import apart, figure_text

MOST_LINES, MOST_LETTERS = 4, 14
"""Numbers of lines, and of letters in a name, up to which names fit next to the lines."""
LINE_PIXELS, LETTER_PIXELS, PANEL_PIXELS = 16, 7, 280
"""Height and width of a name, and the usual size of a panel."""


def fit_at_ends(names: Sequence[str]) -> bool:
    """Returns whether these names fit next to their lines; a single one needs none."""
    return 1 < len(names) <= MOST_LINES and max(map(len, names)) <= MOST_LETTERS


def end_names(
    number: int, panel: Panel, colours: dict[str, str], span: Sequence[float], named: str = "{}"
) -> list[dict[str, Any]]:
    """Returns the names at the ends of the lines of a panel, whose y axis has the range `span`."""
    ends: dict[str, Any] = {}
    for point in sorted(panel.points, key=lambda point: point.at):
        if math.isfinite(point.value):
            ends[point.name] = point
    x, y = axes(number)
    least = LINE_PIXELS / PANEL_PIXELS * (span[1] - span[0])
    places = apart([point.value for point in ends.values()], least, span[0] + least / 2)
    return [
        {
            "text": named.format(figure_text(name)),
            "showarrow": False,
            "xref": x,
            "x": point.at,
            "xanchor": "left",
            "xshift": 8,
            "yref": y,
            "y": place,
            "font": {"color": colours[name], "size": 12},
        }
        for (name, point), place in zip(ends.items(), places, strict=True)
    ]


def with_room(span: Sequence[float], names: Sequence[str], named: str = "{}") -> list[float]:
    """Returns the range of an x axis, widened so that the names fit at its right end."""
    letters = max((len(named.format(name)) for name in names), default=0)
    share = min(0.45, (LETTER_PIXELS * letters + LINE_PIXELS) / PANEL_PIXELS)
    return [span[0], span[1] + share / (1 - share) * (span[1] - span[0])]
