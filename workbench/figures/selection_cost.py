"""What choosing an unfinished candidate costs and gets: accuracy, regret and cost by the moment of the choice
and the number of candidates. It opens no file and no model.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from dream.evaluation.results import Results
from dream.evaluation.statistics import Measure
from workbench.figures import style
from workbench.figures.draft import level
from workbench.figures.measured import current_measures, span_of
from workbench.figures.panels import Panel, Point, axes, composed, lines, panel_grid, point_of, titled
from workbench.figures.selection_curves import DECODED

ACCURACY, REGRET = "Chosen picture right", "Lost against the best of all"
COST, BY_COST = "Cost of choosing", "Gain by its cost"
COSTS = "cost (decoding steps, in plain samples)"
DASHES = ("dot", "dash", "dashdot")


class WorthPanel(NamedTuple):
    """One of a model's panels, with the levels that it is to be compared with."""

    panel: Panel
    levels: dict[str, float]
    """Heights of lines, by what they are."""


def selection_cost_info(results: Sequence[Results], malformed_refused: bool = False) -> list[WorthPanel]:
    """For each model its accuracy, regret and cost by decoded share, and the gain by cost.

    A point's `name` is its K. The accuracy of a choice is that of a random candidate plus the gain, and its
    interval is the gain's. Data without right and wrong have regret and cost only.
    """
    found = []
    for result in results:
        measures = [m for m in current_measures(result) if m.task == "selection"]
        counted = [m for m in measures if bool(m.where.get("malformed_refused")) == malformed_refused]
        panels = [_accuracy(counted), _regret(measures), _cost(measures), _gain_by_cost(counted)]
        found += [(result.name, worth) for worth in panels if worth is not None]
    alone = len({name for name, _ in found}) == 1
    return [
        worth if alone else worth._replace(panel=worth.panel._replace(title=f"{name}: {worth.panel.title}"))
        for name, worth in found
    ]


def _named(measures: Sequence[Measure], name: str) -> list[Measure]:
    return [m for m in measures if m.name == name]


def _by_share(measures: Sequence[Measure], name: str) -> list[Point]:
    """Points by K and decoded share, the first of each."""
    points: dict[tuple[int, float], Point] = {}
    for measure in _named(measures, name):
        if "decoded_fraction" in measure.where:
            size, decoded = int(measure.where["candidates"]), float(measure.where["decoded_fraction"])
            points.setdefault((size, decoded), point_of(str(size), measure, decoded))
    return [points[key] for key in sorted(points)]


def _accuracy(measures: Sequence[Measure]) -> WorthPanel | None:
    plain = _named(measures, "random candidate right")
    gains = _by_share(measures, "gain of the choice")
    if not plain or not gains:
        return None
    base = plain[0].estimate.value
    sizes = [gain.name for gain in gains]
    points = [
        p._replace(value=base + p.value, low=max(0.0, base + p.low), high=min(1.0, base + p.high))
        for p in gains
        if sizes.count(p.name) > 1
    ]
    levels = {"random candidate": base}
    for measure in measures:
        if measure.name == "reranked candidate right":
            levels.setdefault("all finished", measure.estimate.value)
        if any_of := re.fullmatch(r"any of \d+ right", measure.name):
            levels.setdefault(any_of[0], measure.estimate.value)
    return WorthPanel(Panel(ACCURACY, "right (share of prompts)", points, DECODED), levels)


def _regret(measures: Sequence[Measure]) -> WorthPanel | None:
    points = _by_share(measures, "regret in alignment")
    if not points:
        return None
    random = _named(measures, "regret in alignment of a random candidate")
    levels = {"random candidate": random[0].estimate.value} if random else {}
    return WorthPanel(Panel(REGRET, "regret in alignment (cosine)", points, DECODED), levels)


def _cost(measures: Sequence[Measure]) -> WorthPanel | None:
    """Cost by share for every K up to the largest: 1 + (K - 1) s / S after s of S steps."""
    largest = max((int(m.where["candidates"]) for m in measures if "candidates" in m.where), default=0)
    places = {
        float(m.where["decoded_fraction"]): (float(m.where["cost"]) - 1) / (largest - 1)
        for m in measures
        if "decoded_fraction" in m.where and "cost" in m.where and m.where["candidates"] == largest
    }
    if not places:
        return None
    points = [
        Point(str(size), cost := 1 + (size - 1) * share, cost, cost, 1, at)
        for size in _shown_sizes(largest)
        for at, share in sorted(places.items())
    ]
    return WorthPanel(Panel(COST, COSTS, points, DECODED), {"one plain sample": 1.0})


def _shown_sizes(largest: int) -> list[int]:
    """2, 4, 8 ... and the largest."""
    sizes = [2**i for i in range(1, largest.bit_length()) if 2**i < largest]
    return [*sizes, largest]


def _gain_by_cost(measures: Sequence[Measure]) -> WorthPanel | None:
    points: dict[tuple[int, float], Point] = {}
    for measure in _named(measures, "gain of the choice"):
        if "cost" in measure.where:
            size, cost = int(measure.where["candidates"]), float(measure.where["cost"])
            points.setdefault((size, cost), point_of(str(size), measure, cost))
    if not points:
        return None
    panel = Panel(BY_COST, "gain (share of prompts)", [points[key] for key in sorted(points)], COSTS)
    return WorthPanel(panel, {"no gain": 0.0})


def plot_selection_cost(
    results: Sequence[Results],
    malformed_refused: bool = False,
    title: str = "What choosing gets, loses and costs",
    columns: int = 4,
) -> go.Figure:
    """By decoded share: accuracy, regret and cost of the choice, a colour for each number of candidates; and
    its gain by cost. Grey lines are what it is compared with; `columns` panels at most stand in a row.
    """
    found = selection_cost_info(results, malformed_refused)
    if not found:
        return style.empty(title, "Nothing measured yet: <b>dream evaluate --tasks selection</b>")
    panels = [worth.panel for worth in found]
    sizes = sorted({int(point.name) for panel in panels for point in panel.points})
    colours = {str(size): colour for size, colour in style.count_colours(sizes).items()}
    columns = min(len(panels), columns)
    symbols = style.model_symbols(list(map(str, sizes)))
    marks = [mark for i, worth in enumerate(found) for mark in _levels(i, worth)]
    figure = composed(
        panel_grid([panel.title for panel in panels], columns, 360),
        lines(panels, colours, symbols, "K = {}", {str(size): size for size in sizes}),
        [_across(panel) for panel in panels],
        [_upwards(worth) for worth in found],
        [shape for shape, _ in marks],
        [note for _, note in marks],
    )
    counted = "are refused" if malformed_refused else "count as what they resemble"
    return titled(figure, title, f"bands: 95 % intervals over prompts; malformed things {counted}")


def _across(panel: Panel) -> dict[str, Any]:
    span = {"range": [-0.02, 1.02]} if panel.across == DECODED else {}
    return {"title": {"text": panel.across}, **span}


def _upwards(worth: WorthPanel) -> dict[str, Any]:
    span = span_of(worth.panel.points, list(worth.levels.values()))
    return {"title": {"text": worth.panel.axis}, "range": span}


def _levels(number: int, worth: WorthPanel) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Shape and name of each level line of a panel."""
    x, y = axes(number)
    found = []
    merged = _merged(worth.levels, worth.panel)
    for dash, (height, name) in zip(DASHES, merged.items(), strict=False):
        line = {"color": style.PAPER, "width": 1.5, "dash": dash}
        note = {
            "text": name,
            "showarrow": False,
            "font": {"size": 11, "color": style.PAPER},
            "xref": f"{x} domain",
            "x": 1,
            "xanchor": "right",
            "yref": y,
            "y": height,
            "yanchor": "bottom",
        }
        found.append((level(height, line, x, y), note))
    return found


def _merged(levels: dict[str, float], panel: Panel) -> dict[float, str]:
    """Names by height; levels that would lie on each other are named together."""
    low, high = span_of(panel.points, list(levels.values()))
    found: dict[float, str] = {}
    for name, height in levels.items():
        near = next((other for other in found if abs(other - height) < 0.06 * (high - low)), None)
        if near is None:
            found[height] = name
        else:
            found[near] += f", {name}"
    return found
