"""Figures of selection: gains and costs of choosing an unfinished candidate.

Both are drawn over the moment of the choice and the number of candidates (K). Opens no file and no model.
"""

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from dream.evaluation.results import Results
from dream.evaluation.statistics import Measure
from workbench import palette
from workbench.figures import style
from workbench.figures.measured import Wanted, current_measures, end_names, fit_at_ends, span_of, with_room
from workbench.figures.panels import Panel, Point, axes, composed, lines, panel_grid, point_of, titled
from workbench.figures.style import level

HEADLINE = 0.3
"""Decoded share at which the headline number is measured."""
SELECTION = (
    Wanted("Gain over a random candidate", "share of prompts", "selection", "gain of the choice"),
    Wanted("AUC of the partial score", "AUC (0.5 = chance)", "selection", "AUC"),
    Wanted("Rank correlation with the final score", "Spearman's rho", "selection", "rank correlation"),
)


BY_SIZE = "Gain by K"
DECODED, SIZES = "decoded when chosen (share of tokens)", "candidates (K)"
ACCURACY, REGRET = "Accuracy of the choice", "Regret against the best candidate"
COST, BY_COST = "Cost of the choice", "Gain by cost"
COSTS = "cost (relative to one plain sample)"
NAMED = "K = {}"
DASHES = ("dot", "dash", "dashdot")


def selection_info(results: Sequence[Results], malformed_refused: bool = False) -> list[Panel]:
    """Returns gain, AUC and rank correlation by decoded share, and gain by K, for each model.

    The `name` of a point is its K. Only numbers of candidates measured at several shares have lines.
    """
    panels = []
    measured = [r for r in results if any(e.task == "selection" and e.measures for e in r.entries)]
    for result in measured:
        prefix = "" if len(measured) == 1 else f"{result.name}: "
        points_by_measure = [_by_place(result, wanted, malformed_refused) for wanted in SELECTION]
        for wanted, points in zip(SELECTION, points_by_measure, strict=True):
            sizes = [point.name for point in points]
            lines = [point for point in points if sizes.count(point.name) > 1]
            panels += [Panel(prefix + wanted.title, wanted.axis, lines, DECODED)] if lines else []
        panels += _by_size(prefix, points_by_measure[0])
    return panels


def _by_place(result: Results, wanted: Wanted, malformed_refused: bool) -> list[Point]:
    """Returns the points of a measure by K and decoded share (`at`), the first of each."""
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
    """Returns the gain by number of candidates, at the decoded share with the most measurements."""
    shares = [point.at for point in gains]
    if not gains or len({point.name for point in gains}) < 2:
        return []
    most = max(shares, key=lambda share: (shares.count(share), -abs(share - HEADLINE)))
    points = [point._replace(at=float(point.name)) for point in gains if point.at == most]
    return [Panel(f"{prefix}{BY_SIZE}, {100 * most:.0f} % decoded", SELECTION[0].axis, points, SIZES)]


def plot_selection(
    results: Sequence[Results],
    malformed_refused: bool = False,
    title: str = "When does selection pay off?",
    columns: int = 4,
) -> go.Figure:
    """Plots gain, AUC and rank correlation of the choice by decoded share, one colour per number of candidates.

    With `malformed_refused` a picture is right only if nothing in it is malformed. A row has at most `columns` panels.
    """
    panels = selection_info(results, malformed_refused)
    if not panels:
        return style.empty(title, "Nothing measured yet. Run <b>dream evaluate --tasks selection</b>.")
    sizes = sorted({int(point.name) for panel in panels for point in panel.points})
    colours = {str(size): colour for size, colour in style.count_colours(sizes).items()}
    symbols = style.model_symbols([str(size) for size in sizes])
    columns = min(len(panels), columns)
    across, upwards, shapes, notes = [], [], [], []
    drawn = list(dict.fromkeys(point.name for panel in panels if panel.across == DECODED for point in panel.points))
    at_lines = fit_at_ends(drawn)
    for i, panel in enumerate(panels):
        x, y = axes(i)
        chance = 0.5 if panel.axis.startswith("AUC") else 0.0
        span = [-0.02, 1.02] if panel.across == DECODED else [min(sizes) - 0.5, max(sizes) + 0.5]
        across.append({"title": {"text": panel.across}, "range": span})
        height = span_of(panel.points, [chance])
        upwards.append({"title": {"text": panel.axis}, "range": height})
        if at_lines and panel.across == DECODED:
            notes += end_names(i, panel, colours, height, NAMED)
            across[-1]["range"] = with_room([-0.02, 1.0], drawn, NAMED)
        shapes.append(level(chance, {"color": palette.NEUTRAL, "width": 1, "dash": "dot"}, x, y))
        if not any(math.isfinite(point.value) for point in panel.points):
            text = "undefined: no prompt has both<br>right and wrong candidates"
            place = {"x": 0.5, "xref": x, "y": chance, "yref": y, "yshift": 28}
            notes.append({"text": text, "showarrow": False, **place})
    traces = lines(panels, colours, symbols, NAMED, {str(size): size for size in sizes})
    empty = panel_grid([panel.title for panel in panels], columns, 360)
    figure = composed(empty, traces, across, upwards, shapes, notes).update_layout(
        showlegend=len(drawn) > 1 and not at_lines
    )
    counted = "count as wrong" if malformed_refused else "count as the object they resemble"
    whose = f"lines: K = {drawn[0]}; " if len(drawn) == 1 else ""
    return titled(figure, title, f"{whose}bands: 95 % intervals over prompts; malformed objects {counted}")


class WorthPanel(NamedTuple):
    """A panel of a model, with reference levels to compare it with."""

    panel: Panel
    levels: dict[str, float]
    """Height of each horizontal line, by its label."""


def selection_cost_info(results: Sequence[Results], malformed_refused: bool = False) -> list[WorthPanel]:
    """Returns accuracy, regret and cost by decoded share, and gain by cost, for each model.

    The `name` of a point is its K. The accuracy of a choice is that of a random candidate plus the gain, with the
    interval of the gain. Data without right and wrong have regret and cost only.
    """
    named = []
    for result in results:
        measures = [m for m in current_measures(result) if m.task == "selection"]
        counted = [m for m in measures if bool(m.where.get("malformed_refused")) == malformed_refused]
        panels = [_accuracy(counted), _regret(measures), _cost(measures), _gain_by_cost(counted)]
        named += [(result.name, worth) for worth in panels if worth is not None]
    alone = len({name for name, _ in named}) == 1
    return [
        worth if alone else worth._replace(panel=worth.panel._replace(title=f"{name}: {worth.panel.title}"))
        for name, worth in named
    ]


def _named(measures: Sequence[Measure], name: str) -> list[Measure]:
    return [m for m in measures if m.name == name]


def _by_share(measures: Sequence[Measure], name: str) -> list[Point]:
    """Returns points by K and decoded share, the first of each."""
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
        p._replace(
            value=base + p.value, low=float(np.maximum(0, base + p.low)), high=float(np.minimum(1, base + p.high))
        )
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
    """Returns the cost by decoded share for each K up to the largest: 1 + (K - 1) s / S after s of S steps."""
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
    """Returns 2, 4, 8 ... and the largest."""
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
    title: str = "Accuracy, regret and cost of selection",
    columns: int = 4,
) -> go.Figure:
    """Plots accuracy, regret and cost of the choice by decoded share, and its gain by cost.

    Each number of candidates has a colour; grey lines are references. A row has at most `columns` panels.
    """
    worths = selection_cost_info(results, malformed_refused)
    if not worths:
        return style.empty(title, "Nothing measured yet. Run <b>dream evaluate --tasks selection</b>.")
    panels = [worth.panel for worth in worths]
    sizes = sorted({int(point.name) for panel in panels for point in panel.points})
    colours = {str(size): colour for size, colour in style.count_colours(sizes).items()}
    columns = min(len(panels), columns)
    symbols = style.model_symbols(list(map(str, sizes)))
    marks = [mark for i, worth in enumerate(worths) for mark in _levels(i, worth)]
    figure = composed(
        panel_grid([panel.title for panel in panels], columns, 360),
        lines(panels, colours, symbols, NAMED, {str(size): size for size in sizes}),
        [_across(panel) for panel in panels],
        [_upwards(worth) for worth in worths],
        [shape for shape, _ in marks],
        [note for _, note in marks],
    ).update_layout(showlegend=len(sizes) > 1)
    counted = "count as wrong" if malformed_refused else "count as the object they resemble"
    return titled(figure, title, f"bands: 95 % intervals over prompts; malformed objects {counted}")


def _across(panel: Panel) -> dict[str, Any]:
    span = {"range": [-0.02, 1.02]} if panel.across == DECODED else {}
    return {"title": {"text": panel.across}, **span}


def _upwards(worth: WorthPanel) -> dict[str, Any]:
    span = span_of(worth.panel.points, list(worth.levels.values()))
    return {"title": {"text": worth.panel.axis}, "range": span}


def _levels(number: int, worth: WorthPanel) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Returns (shape, label) of each reference line of a panel."""
    x, y = axes(number)
    lines_and_notes = []
    merged = _merged(worth.levels, worth.panel)
    for dash, (height, name) in zip(DASHES, merged.items(), strict=False):
        line = {"color": palette.NEUTRAL, "width": 1.5, "dash": dash}
        note = {
            "text": name,
            "showarrow": False,
            "font": {"size": 11, "color": palette.NEUTRAL},
            "xref": f"{x} domain",
            "x": 1,
            "xanchor": "right",
            "yref": y,
            "y": height,
            "yanchor": "bottom",
        }
        lines_and_notes.append((level(height, line, x, y), note))
    return lines_and_notes


def _merged(levels: dict[str, float], panel: Panel) -> dict[float, str]:
    """Returns labels by height; levels that would overlap share a label."""
    low, high = span_of(panel.points, list(levels.values()))
    labels: dict[float, str] = {}
    for name, height in levels.items():
        near = next((other for other in labels if abs(other - height) < 0.06 * (high - low)), None)
        if near is None:
            labels[height] = name
        else:
            labels[near] += f", {name}"
    return labels
