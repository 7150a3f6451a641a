"""Shared by figures of results: which measures they show, how models look, and names at the ends of few lines."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from dream.evaluation.results import Results
from dream.evaluation.statistics import Measure
from workbench.figures import style
from workbench.figures.panels import Panel, Point, axes

MOST_LINES, MOST_LETTERS = 4, 16
"""Numbers of lines, and of letters in a name, up to which names fit next to the lines."""
LINE_PIXELS, LETTER_PIXELS, PANEL_PIXELS = 16, 7, 280
"""Height and width of a name, and the usual size of a panel."""


class Wanted(NamedTuple):
    """A measure that a figure shows: the first with this task, name and conditions."""

    title: str
    axis: str
    """Axis title, with the unit."""
    task: str
    name: str
    """Name of the measure, or several: `A or B`."""
    where: Mapping[str, Any] = MappingProxyType({})
    better: str = "higher"

    def fits(self, measure: Measure) -> bool:
        """Returns whether the measure matches; it may lack a condition unless that has to be true."""
        if measure.task != self.task or measure.name not in self.name.split(" or "):
            return False
        return all(
            measure.where.get(key, value if value is not True else False) == value for key, value in self.where.items()
        )


class ModelStyles(NamedTuple):
    """Colours and symbols of the models."""

    colours: dict[str, str]
    symbols: dict[str, str]

    @classmethod
    def of(cls, results: Sequence[Results]) -> "ModelStyles":
        """Returns the styles of these models; figures of a subset take those of all, so that colours stay."""
        objectives = [(r.name, next((e.objective for e in r.entries), "")) for r in results]
        return cls(style.model_colours(objectives), style.model_symbols([name for name, _ in objectives]))

    def marker(self, model: str) -> dict[str, Any]:
        """Returns the marker of a model."""
        return {"color": self.colours[model], "size": 10, "symbol": self.symbols[model]}


def current_measures(result: Results, source: str | None = None) -> list[Measure]:
    """Returns the current measures of a model (on one source), those with unusual settings last."""
    entries = sorted(result.current().entries, key=lambda e: bool(e.group[2]))
    return [m for e in entries if source in (None, e.data) for m in e.measures if m.estimate.count]


def chance_of(measure: Measure) -> float | None:
    """Returns the value of a measure by chance, if known."""
    pool = measure.where.get("pool")
    if measure.task == "retrieval" and pool:
        return int(measure.name.rpartition("@")[2]) / pool
    if measure.name == "contrastive loss" and pool:
        return math.log(pool)
    return 0.5 if measure.task == "edits" else measure.where.get("chance")


def sources_of(results: Sequence[Results]) -> list[str]:
    """Returns the data sets with current measures, in the order they were measured."""
    return list(dict.fromkeys(e.data for r in results for e in r.current().entries if e.measures))


def short_name(source: str) -> str:
    """Returns the last part of the path of a source."""
    return source.rstrip("/").rpartition("/")[2] or source


def span_of(points: Sequence[Point], also: Sequence[float] = ()) -> list[float]:
    """Returns the range of an axis that shows all intervals and the values `also`.

    It has a minimum width, so that differences in the last digits do not look large.
    """
    ends = [value for point in points for value in (point.low, point.value, point.high)]
    known = [value for value in (*ends, *also) if math.isfinite(value)] or [0.0]
    low, high = min(known), max(known)
    margin = max(0.08 * (high - low), 0.02 * max(abs(low), abs(high)), 1e-3)
    return [low - margin, high + margin]


# names at lines


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
    places = style.spaced([point.value for point in ends.values()], least, span[0] + least / 2)
    return [
        {
            "text": named.format(style.figure_text(name)),
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
