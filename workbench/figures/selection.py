"""Figures of selection: gains and costs of choosing an unfinished candidate.

Both are drawn over the moment of the choice and the number of candidates (K). Opens no file and no model.
"""

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from dream.evaluation.results import Results
from dream.evaluation.statistics import Measure
from workbench.figures import style
from workbench.figures.draft import level
from workbench.figures.measured import Wanted, current_measures, span_of
from workbench.figures.panels import Panel, Point, axes, composed, lines, panel_grid, point_of, titled

HEADLINE = 0.3
"""Decoded share of the headline's choice."""
SELECTION = (
    Wanted("Gain over a random candidate", "share of prompts", "selection", "gain of the choice"),
    Wanted("AUC of the partial score", "AUC (0.5 = chance)", "selection", "AUC"),
    Wanted("Rank correlation with the final score", "Spearman's rho", "selection", "rank correlation"),
)


BY_SIZE = "Gain by K"
DECODED, SIZES = "decoded when chosen (share of tokens)", "candidates (K)"
ACCURACY, REGRET = "Chosen picture right", "Lost against the best of all"
COST, BY_COST = "Cost of choosing", "Gain by its cost"
COSTS = "cost (decoding steps, in plain samples)"
DASHES = ("dot", "dash", "dashdot")


def selection_info(results: Sequence[Results], malformed_refused: bool = False) -> list[Panel]:
    """For each model the gain, AUC and rank correlation by decoded share, and the gain by K.

    A point's `name` is its K. Only numbers of candidates that were looked at at several shares have lines.
    """
    panels = []
    askable = [r for r in results if any(e.task == "selection" and e.measures for e in r.entries)]
    for result in askable:
        prefix = "" if len(askable) == 1 else f"{result.name}: "
        found = [_by_place(result, wanted, malformed_refused) for wanted in SELECTION]
        for wanted, points in zip(SELECTION, found, strict=True):
            sizes = [point.name for point in points]
            lines = [point for point in points if sizes.count(point.name) > 1]
            panels += [Panel(prefix + wanted.title, wanted.axis, lines, DECODED)] if lines else []
        panels += _by_size(prefix, found[0])
    return panels


def _by_place(result: Results, wanted: Wanted, malformed_refused: bool) -> list[Point]:
    """A measure's points by K and decoded share (`at`), the first of each."""
    points: dict[tuple[int, float], Point] = {}
    for measure in current_measures(result):
        where = measure.where
        if not wanted.fits(measure) or "decoded_fraction" not in where:
            continue
        judged = wanted.name != "rank correlation"
        if judged and bool(where.get("malformed_refused")) != malformed_refused:
            continue
        size, decoded = int(where["candidates"]), float(where["decoded_fraction"])
        points.setdefault((size, decoded), point_of(str(size), measure, decoded))
    return [points[key] for key in sorted(points)]


def _by_size(prefix: str, gains: Sequence[Point]) -> list[Panel]:
    """The gain over the number of candidates, at the share where most numbers were looked at."""
    shares = [point.at for point in gains]
    if not gains or len({point.name for point in gains}) < 2:
        return []
    most = max(shares, key=lambda share: (shares.count(share), -abs(share - HEADLINE)))
    points = [point._replace(at=float(point.name)) for point in gains if point.at == most]
    return [Panel(f"{prefix}{BY_SIZE}, {100 * most:.0f} % decoded", SELECTION[0].axis, points, SIZES)]


def plot_selection(
    results: Sequence[Results],
    malformed_refused: bool = False,
    title: str = "When does choosing pay?",
    columns: int = 4,
) -> go.Figure:
    """By decoded share: gain, AUC and rank correlation of the choice, a colour for each number of candidates.

    `malformed_refused` counts pictures right only if nothing in them is malformed; `columns` panels at most
    stand in a row.
    """
    panels = selection_info(results, malformed_refused)
    if not panels:
        return style.empty(title, "Nothing measured yet: <b>dream evaluate --tasks selection</b>")
    sizes = sorted({int(point.name) for panel in panels for point in panel.points})
    colours = {str(size): colour for size, colour in style.count_colours(sizes).items()}
    symbols = style.model_symbols([str(size) for size in sizes])
    columns = min(len(panels), columns)
    across, upwards, shapes, notes = [], [], [], []
    for i, panel in enumerate(panels):
        x, y = axes(i)
        chance = 0.5 if panel.axis.startswith("AUC") else 0.0
        span = [-0.02, 1.02] if panel.across == DECODED else [min(sizes) - 0.5, max(sizes) + 0.5]
        across.append({"title": {"text": panel.across}, "range": span})
        upwards.append({"title": {"text": panel.axis}, "range": span_of(panel.points, [chance])})
        shapes.append(level(chance, {"color": style.PAPER, "width": 1, "dash": "dot"}, x, y))
        if not any(math.isfinite(point.value) for point in panel.points):
            text = "undefined: no prompt has right<br>and wrong candidates"
            place = {"x": 0.5, "xref": x, "y": chance, "yref": y, "yshift": 28}
            notes.append({"text": text, "showarrow": False, **place})
    traces = lines(panels, colours, symbols, "K = {}", {str(size): size for size in sizes})
    empty = panel_grid([panel.title for panel in panels], columns, 360)
    figure = composed(empty, traces, across, upwards, shapes, notes)
    counted = "are refused" if malformed_refused else "count as what they resemble"
    return titled(figure, title, f"bands: 95 % intervals over prompts; malformed things {counted}")


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
