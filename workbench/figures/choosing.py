"""Figure of the study of choosing: what each score gains over one sample, against the time that it takes.

Opens no file and no model.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from dream.evaluation.results import Results
from dream.evaluation.statistics import Measure
from workbench import palette
from workbench.figures import style
from workbench.figures.measured import current_measures, span_of
from workbench.figures.panels import Panel, Point, axes, composed, lines, panel_grid, point_of, titled
from workbench.figures.style import level

TASK = "choosing"
OUTCOME = "thing among five"
"""What the picture has to show, if the results have it."""
FINISHED = "finish some, then choose"
PAPERS = "cosine"
TIME, GAIN = "CPU time (one plain sample = 1)", "more right pictures, of 100"
COMMANDS = "dream evaluate --data emoji --tasks choosing"


class ChoosingPanel(NamedTuple):
    """One kind of prompts of one model."""

    panel: Panel
    """Points named by score, or FINISHED, or another way to spend the time, at their time."""
    words: str
    """Share of single samples that are right, and of prompts with any right one."""


def outcomes_of(results: Sequence[Results]) -> list[str]:
    """Returns what the measured pictures were asked to show, in the order of the judge."""
    wheres = [m.where for r in results for m in current_measures(r) if m.task == TASK]
    return list(dict.fromkeys(where["outcome"] for where in wheres if "outcome" in where))


def choosing_info(results: Sequence[Results], outcome: str = "") -> list[ChoosingPanel]:
    """Returns gains by time of each score among all candidates, of finishing fewer of them, and of other ways.

    One panel per model and kind of prompts. Without `outcome` it is OUTCOME, or the first that was measured.
    """
    known = outcomes_of(results)
    chosen = outcome or (OUTCOME if OUTCOME in known else next(iter(known), ""))
    panels = []
    for result in results:
        measures = [m for m in current_measures(result) if m.task == TASK and m.where.get("outcome") == chosen]
        for kind in dict.fromkeys(m.where["combination"] for m in measures):
            own = [m for m in measures if m.where["combination"] == kind]
            title = f"{kind} combinations" if len(results) == 1 else f"{result.name}: {kind} combinations"
            panels.append(ChoosingPanel(Panel(title, GAIN, _points(own), TIME), _words(own)))
    return panels


def _points(measures: Sequence[Measure]) -> list[Point]:
    most = max((m.where["candidates"] for m in measures), default=0)
    points = []
    for measure in measures:
        where = measure.where
        name = {
            "gain of the choice": where.get("score", "") if where["candidates"] == most else "",
            "gain of finishing all and choosing": FINISHED,
            "gain of another way": where.get("way", ""),
        }.get(measure.name, "")
        if name:
            point = point_of(name, measure, where["time"])
            points.append(point._replace(value=100 * point.value, low=100 * point.low, high=100 * point.high))
    order = list(dict.fromkeys(point.name for point in points))
    return sorted(points, key=lambda point: (order.index(point.name), point.at))


def _words(measures: Sequence[Measure]) -> str:
    by_name = {m.name: m.estimate.value for m in measures}
    plain = by_name.get("a sample right")
    anyone = next((name for name in by_name if name.startswith("any of ")), "")
    return "" if plain is None else f"one sample right: {plain:.0%}, {anyone}: {by_name[anyone]:.0%}"


def plot_choosing(
    results: Sequence[Results],
    outcome: str = "",
    title: str = "What does choosing among unfinished candidates gain for its time?",
    columns: int = 2,
) -> go.Figure:
    """Plots gain against CPU time: a line per score (a point per step of the choice), and the line to beat in grey.

    The grey line finishes 2, 3 .. candidates and takes the best by the paper's score. That score and the grey line have
    their intervals as bands; the other scores are thin, so that the two can be told apart.
    """
    found = choosing_info(results, outcome)
    if not found:
        return style.empty(title, f"Nothing measured yet. Run <b>{COMMANDS}</b>.")
    panels = [each.panel for each in found]
    points = [point for panel in panels for point in panel.points]
    names = list(dict.fromkeys(point.name for point in points))
    scores = [name for name in names if name != FINISHED]
    colours = {name: palette.candidate_colour(i) for i, name in enumerate(scores)}
    colours[FINISHED] = palette.NEUTRAL
    symbols = style.model_symbols(names)
    columns = min(columns, len(panels))
    shapes, notes = [], []
    for i, each in enumerate(found):
        x, y = axes(i)
        shapes.append(level(0.0, {"color": palette.NEUTRAL, "width": 1, "dash": "dot"}, x, y))
        corner = {"xref": f"{x} domain", "x": 0, "xanchor": "left", "yref": f"{y} domain", "y": 1, "yanchor": "top"}
        notes.append({"text": each.words, "showarrow": False, "font": {"size": 12}, **corner})
    figure = composed(
        panel_grid([panel.title for panel in panels], columns, 380),
        [quiet for trace in lines(panels, colours, symbols) if (quiet := _quietened(trace)) is not None],
        [{"title": {"text": panel.across}, "rangemode": "tozero"} for panel in panels],
        [{"title": {"text": panel.axis}, "range": span_of(points, [0.0])} for panel in panels],
        shapes,
        notes,
    )
    shown = outcome or OUTCOME
    counted = shown if shown in outcomes_of(results) else "as asked"
    return titled(figure, title, style.figure_text(f"bands and bars: 95 % intervals over prompts; right: {counted}"))


def _quietened(trace: dict[str, Any]) -> dict[str, Any] | None:
    """The trace as it is, thin without its band, or None for a band that is left out."""
    if trace["name"] in (PAPERS, FINISHED):
        return trace
    if trace["mode"] == "lines":
        return None
    thin = {"line": {**trace["line"], "width": 1}, "marker": {**trace["marker"], "size": 6}, "opacity": 0.8}
    bars = trace["error_y"] and {"error_y": {**trace["error_y"], "thickness": 0.8, "width": 2}}
    return {**trace, **thin, **(bars or {})}
