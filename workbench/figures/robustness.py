"""Accuracy on the same classes in shifted pictures: one row per kind of shift, one marker per model."""

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from dream.evaluation.results import Results
from dream.evaluation.statistics import Measure
from workbench import palette
from workbench.figures import style
from workbench.figures.measured import ModelStyles, chance_of, current_measures, short_name, sources_of
from workbench.figures.panels import Point, bars, hover, panel_cell, panel_grid, point_of, titled

APART = 0.22
"""Distance between the markers of two models in a row, in rows."""
KINDS = {
    "none": "as in training",
    "unseen": "unseen combinations",
    "worn": "worn",
    "noise": "noise",
    "blur": "blur",
    "outlines": "outlines only",
}
"""Labels of the rows for drawn pictures."""


class Shifts(NamedTuple):
    """The kinds of pictures of one data set, in the order they were measured."""

    title: str
    kinds: list[str]
    points: dict[str, list[Point]]
    """By kind: one point per model."""
    chance: dict[str, float]
    """By kind: accuracy of the best constant answer."""


def robustness_info(results: Sequence[Results]) -> list[Shifts]:
    """Returns the accuracies by kind of picture for each data set; `accuracy unshifted` is left out."""
    by_source = []
    for source in sources_of(results):
        shifts = Shifts(short_name(source), [], {}, {})
        for result in results:
            for measure in current_measures(result, source):
                if (measure.task, measure.name) == ("robustness", "accuracy"):
                    _add(shifts, result.name, str(measure.where.get("shift", "none")), measure)
        by_source += [shifts] if shifts.points else []
    return by_source


def _add(shifts: Shifts, model: str, kind: str, measure: Measure) -> None:
    points = shifts.points.setdefault(kind, [])
    if kind not in shifts.kinds:
        shifts.kinds.append(kind)
    if model not in {point.name for point in points}:  # the first one has the default settings
        points.append(point_of(model, measure))
    chance = chance_of(measure)
    if chance is not None:
        shifts.chance.setdefault(kind, chance)


def plot_robustness(
    results: Sequence[Results], title: str = "Accuracy on shifted pictures", look: ModelStyles | None = None
) -> go.Figure:
    """Plots one row per kind of picture, the one in training first; markers are models with 95 % intervals."""
    by_source = robustness_info(results)
    if not by_source:
        return style.empty(title, "Nothing measured yet. Run <b>dream evaluate --tasks robustness</b>.")
    columns, rows = min(2, len(by_source)), max(len(shifts.kinds) for shifts in by_source)
    figure = panel_grid([shifts.title for shifts in by_source], columns, 60 + 44 * rows)
    look = look or ModelStyles.of(results)
    for i, shifts in enumerate(by_source):
        where = panel_cell(i, columns)
        for model in dict.fromkeys(p.name for points in shifts.points.values() for p in points):
            figure.add_trace(_marks(shifts, model, [r.name for r in results], look), **where)
        figure.add_trace(_guessing(shifts), **where)
        labels = [_label(kind) for kind in shifts.kinds]
        figure.update_yaxes(
            tickvals=list(range(len(labels))), ticktext=labels, range=[len(labels) - 0.5, -0.5], **where
        )
        figure.update_xaxes(title_text="accuracy (share of pictures)", range=[-0.02, 1.02], **where)
    seen: set[str] = set()
    for trace in figure.data:
        trace.showlegend = trace.name not in seen
        seen.add(trace.name)
    return titled(figure, title, "one classifier on frozen features; 95 % intervals; grey: best constant answer")


def _marks(shifts: Shifts, model: str, models: Sequence[str], look: ModelStyles) -> go.Scatter:
    points = [(row, p) for row, kind in enumerate(shifts.kinds) for p in shifts.points[kind]]
    mine = [(row, point) for row, point in points if point.name == model]
    offset = min(APART, 0.8 / len(models)) * (models.index(model) - (len(models) - 1) / 2)
    scatter = go.Scatter(
        x=[point.value for _, point in mine],
        y=[row + offset for row, _ in mine],
        mode="markers",
        name=style.figure_text(model),
        legendgroup=model,
        marker=look.marker(model),
        customdata=[[*hover(point), _label(shifts.kinds[row])] for row, point in mine],
        hovertemplate=f"<b>{style.figure_text(model)}</b>, %{{customdata[4]}}<br>{style.ESTIMATE}<br>"
        "mean of %{customdata[3]}<extra></extra>",
    )
    scatter.error_x = bars([point for _, point in mine], look.colours[model])
    return scatter


def _label(kind: str) -> str:
    """Returns the name of a row: our words for a kind of drawn picture, else the folder of the data."""
    return KINDS.get(kind) or style.figure_text(kind)


def _guessing(shifts: Shifts) -> go.Scatter:
    rows = [(row, shifts.chance[kind]) for row, kind in enumerate(shifts.kinds) if kind in shifts.chance]
    return go.Scatter(
        x=[chance for _, chance in rows],
        y=[row for row, _ in rows],
        mode="markers",
        name="constant answer",
        legendgroup="constant answer",
        marker={"symbol": "line-ns", "size": 22, "line": {"width": 2, "color": palette.NEUTRAL}},
        hovertemplate="constant answer: %{x:.3f}<extra></extra>",
    )
