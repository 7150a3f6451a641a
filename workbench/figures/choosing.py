"""Figure of the study of choosing: what each score gains over one sample, against the time that it takes.

Opens no file and no model.
"""

from collections.abc import Sequence
from typing import NamedTuple

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
TIME, GAIN = "CPU time (one plain sample = 1)", "gain over one sample (share of prompts)"
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
        if measure.name == "gain of the choice" and where["candidates"] == most:
            points.append(point_of(where["score"], measure, where["time"]))
        elif measure.name == "gain of finishing all and choosing":
            points.append(point_of(FINISHED, measure, where["time"]))
        elif measure.name == "gain of another way":
            points.append(point_of(where["way"], measure, where["time"]))
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

    The grey line finishes 2, 3 .. candidates and takes the best by the paper's score.
    """
    found = choosing_info(results, outcome)
    if not found:
        return style.empty(title, f"Nothing measured yet. Run <b>{COMMANDS}</b>.")
    panels = [each.panel for each in found]
    names = list(dict.fromkeys(point.name for panel in panels for point in panel.points))
    scores = [name for name in names if name != FINISHED]
    colours = {name: palette.CANDIDATES[i % len(palette.CANDIDATES)] for i, name in enumerate(scores)}
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
        lines(panels, colours, symbols),
        [{"title": {"text": panel.across}, "rangemode": "tozero"} for panel in panels],
        [{"title": {"text": panel.axis}, "range": span_of(panel.points, [0.0])} for panel in panels],
        shapes,
        notes,
    )
    shown = outcome or OUTCOME
    note = f"bands: 95 % intervals over prompts; right: {shown if shown in outcomes_of(results) else 'as asked'}"
    return titled(figure, title, style.figure_text(note))
