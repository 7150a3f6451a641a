"""Our models next to those of the paper, each relative to its own DREAM."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from dream.evaluation.paper import METRICS, MODELS, PUBLISHED, Metric, metric_of
from dream.evaluation.results import Results
from dream.evaluation.statistics import Measure
from workbench import palette
from workbench.figures import style
from workbench.figures.measured import ModelStyles, span_of
from workbench.figures.panels import Point, bars, panel_cell, panel_grid, titled


class PaperMeasure(NamedTuple):
    """One measure, ours and from the paper, each relative to its own reference model."""

    metric: Metric
    reference: tuple[str, str]
    """Reference models: ours and the one of the paper."""
    ours: list[tuple[str, str, Point]]
    """(objective as in the paper, our model, its relative value with interval; `at` is the value)."""
    paper: list[tuple[str, float, float]]
    """(objective as in the paper, relative value, value)."""


def paper_info(results: Sequence[Results]) -> list[PaperMeasure]:
    """Returns every measure that both report; relative values above 1 are better than the reference.

    The reference is DREAM if we measured it, else the first of our models.
    """
    by_metric: dict[Metric, dict[str, tuple[str, Measure]]] = {}
    for result in results:
        for entry in result.current().entries:
            for measure in entry.measures:
                metric, objective = metric_of(measure), MODELS.get(entry.objective)
                if metric and objective:
                    by_metric.setdefault(metric, {}).setdefault(result.name, (objective, measure))
    return [pair for metric, ours in by_metric.items() if (pair := _paired(metric, ours))]


def _paired(metric: Metric, ours: dict[str, tuple[str, Measure]]) -> PaperMeasure | None:
    published = {p.model: p.value for p in PUBLISHED if p.metric == metric}
    known = {name: entry for name, entry in ours.items() if entry[0] in published and entry[1].estimate.value > 0}
    if not known:
        return None
    dreams = [name for name, (objective, _) in known.items() if objective == "DREAM"]
    reference = "dream" if "dream" in dreams else (dreams or list(known))[0]
    objective, measure = known[reference]
    ratio = _ratio(metric, measure.estimate.value)
    mine = [(o, name, _relative(name, m, ratio)) for name, (o, m) in known.items()]
    theirs = [(o, _ratio(metric, published[objective])(v), v) for o, v in published.items()]
    return PaperMeasure(metric, (reference, objective), mine, theirs)


def plot_paper_beside(
    results: Sequence[Results], title: str = "Our models and the paper's", look: ModelStyles | None = None
) -> go.Figure:
    """Plots one panel per measure: filled markers are ours, hollow ones the paper's, each relative to its own DREAM.

    Data sets and model sizes differ, so only the order of the objectives and their gaps can be compared.
    """
    panels = paper_info(results)
    if not panels:
        return style.empty(
            title, "No measure that the paper reports yet. Run <b>dream evaluate --tasks probe,few_shot</b>."
        )
    order = list(MODELS.values())
    columns = min(3, len(panels))
    figure = panel_grid(
        [f"{pair.metric.title} (paper: {pair.metric.data})" for pair in panels], columns, 300
    ).update_annotations(font_size=14)
    look = look or ModelStyles.of(results)
    for i, pair in enumerate(panels):
        where = panel_cell(i, columns)
        figure.add_trace(_paper_trace(pair, order), **where)
        for objective, model, point in pair.ours:
            alike = [name for o, name, _ in pair.ours if o == objective]
            place = order.index(objective) + 0.16 * (alike.index(model) - (len(alike) - 1) / 2)
            figure.add_trace(_our_trace(place, model, point, look), **where)
        figure.add_hline(y=1, line={"color": palette.NEUTRAL, "width": 1, "dash": "dot"}, **where)
        figure.update_xaxes(tickvals=list(range(len(order))), ticktext=order, range=[-0.5, len(order) - 0.5], **where)
        figure.update_yaxes(title_text=f"relative to {pair.reference[1]} (ratio)", **where)
    seen: set[str] = set()
    for trace in figure.data:
        trace.showlegend = trace.legendgroup not in seen
        seen.add(trace.legendgroup)
    note = "each relative to its own DREAM, above 1 is better; data sets and model sizes differ"
    return titled(figure, title, note)


def published_metrics() -> list[Metric]:
    """Returns the measures that the paper reports for several models, in its order."""
    return [metric for metric in METRICS if sum(p.metric == metric for p in PUBLISHED) > 1]


def plot_published(title: str = "The paper's numbers", columns: int = 3) -> go.Figure:
    """Plots the paper's numbers, one panel per measure and one row per model, each in the colour of its objective."""
    metrics, order = published_metrics(), list(MODELS.values())
    figure = panel_grid([f"{m.title} ({m.data})" for m in metrics], columns, 150, legend=False)
    for i, metric in enumerate(metrics):
        values = {p.model: p.value for p in PUBLISHED if p.metric == metric}
        figure.add_scatter(
            x=list(values.values()),
            y=list(values),
            mode="markers",
            name="the paper",
            showlegend=False,
            marker={
                "size": 12,
                "symbol": "diamond",
                "color": [palette.OBJECTIVES[objective] for objective, name in MODELS.items() if name in values],
            },
            hovertemplate="<b>%{y}</b>, the paper<br>%{x:.3~g}<extra></extra>",
            **panel_cell(i, columns),
        )
        axis = f"{metric.unit}, {metric.better} is better"
        points = [Point(name, value, value, value, 1) for name, value in values.items()]
        figure.update_xaxes(title_text=axis, nticks=5, range=span_of(points), **panel_cell(i, columns))
    figure.update_yaxes(categoryorder="array", categoryarray=order[::-1], range=[-0.6, len(order) - 0.4])
    figure.update_annotations(font_size=14)
    return titled(figure, title, "one row per objective; encoder, decoder and data are the same")


def _paper_trace(pair: PaperMeasure, order: Sequence[str]) -> go.Scatter:
    return go.Scatter(
        x=[order.index(objective) for objective, _, _ in pair.paper],
        y=[ratio for _, ratio, _ in pair.paper],
        mode="markers",
        name="the paper",
        legendgroup="the paper",
        marker={"symbol": "diamond-open", "size": 14, "color": palette.NEUTRAL, "line": {"width": 2.5}},
        customdata=[[objective, style.number(value)] for objective, _, value in pair.paper],
        hovertemplate=f"<b>%{{customdata[0]}}</b>, the paper<br>{pair.metric.title}, {pair.metric.data}"
        "<br>%{customdata[1]}<extra></extra>",
    )


def _our_trace(place: float, model: str, point: Point, look: "ModelStyles") -> go.Scatter:
    return go.Scatter(
        x=[place],
        y=[point.value],
        mode="markers",
        name=style.figure_text(model),
        legendgroup=model,
        marker=look.marker(model),
        error_y=bars([point], look.colours[model]),
        customdata=[[style.number(point.at)]],
        hovertemplate=f"<b>{style.figure_text(model)}</b>, ours<br>%{{customdata[0]}}<extra></extra>",
    )


def _ratio(metric: Metric, reference: float) -> Callable[[float], float]:
    """Returns value / reference, or reference / value if lower is better."""
    return lambda value: reference / value if metric.better == "lower" else value / reference


def _relative(model: str, measure: Measure, ratio: Callable[[float], float]) -> Point:
    estimate = measure.estimate
    ends = sorted(ratio(end) for end in (estimate.low, estimate.high) if end > 0)
    low, high = (ends[0], ends[-1]) if ends else (math.nan, math.nan)
    return Point(model, ratio(estimate.value), low, high, estimate.count, estimate.value, estimate.interval)
