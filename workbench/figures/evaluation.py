"""Figures of results: models side by side, by mask ratio, what selection gains, and the paper beside ours.

Each takes results as they are read (`dream.evaluation.results`) and returns a plotly Figure; the arithmetic
is in `*_info`. It opens no file and no model.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from dream.evaluation.paper import MODELS, PUBLISHED, Metric, metric_of
from dream.evaluation.results import Results
from dream.evaluation.statistics import Measure
from workbench.figures import style
from workbench.figures.panels import Panel, Point, add_lines, bars, cell, grid, hover, point_of, titled


class Wanted(NamedTuple):
    """A measure that a figure shows: the first that has this task, name and conditions."""

    title: str
    axis: str
    """What the numbers are, with their unit."""
    task: str
    name: str
    """Or several, `A or B`."""
    where: dict[str, Any] = {}
    better: str = "higher"

    def fits(self, measure: Measure) -> bool:
        """Whether this is such a measure; a condition that it does not mention is no obstacle."""
        if measure.task != self.task or measure.name not in self.name.split(" or "):
            return False
        return all(measure.where.get(key, value) == value for key, value in self.where.items())


MAIN = (
    Wanted("Caption finds picture", "R@1 (share)", "retrieval", "text to image R@1", {"mask_ratio": 0.0}),
    Wanted(
        "Caption finds picture, 75 % hidden", "R@1 (share)", "retrieval", "text to image R@1",
        {"mask_ratio": 0.75},
    ),
    Wanted(
        "Things swapped in the caption", "true caption wins (share)", "edits", "swapped",
        {"mask_ratio": 0.0, "combination": "all"},
    ),
    Wanted("Zero-shot classes", "accuracy (share)", "zero_shot", "accuracy", {"mask_ratio": 0.0}),
    Wanted("Nearest neighbours", "accuracy (share)", "knn", "accuracy"),
    Wanted("Linear probe", "accuracy (share)", "probe", "accuracy", {"form": "lars"}),
    Wanted("Few shots", "accuracy (share)", "few_shot", "accuracy"),
    Wanted("Fine-tuned", "accuracy (share)", "fine_tune", "accuracy"),
    Wanted(
        "Unseen combinations", "accuracy (share)", "robustness", "accuracy", {"shift": "unseen"}
    ),
    Wanted("Segmentation", "mIoU (share)", "segmentation", "mIoU"),
    Wanted("Depth", "RMSE (depth units)", "depth", "RMSE", better="lower"),
    Wanted(
        "Prompts painted right", "pictures (share)", "prompts", "every attribute right",
        {"combination": "unseen", "things": "all"},
    ),
    Wanted(
        "Painted against real", "Fréchet distance", "generation", "FID or Frechet distance", better="lower"
    ),
    Wanted(
        "Gain from selection at 30 %", "share of prompts", "selection", "gain of the choice",
        {"headline": True, "malformed_refused": False},
    ),
)  # fmt: skip
"""The main table in small."""

CURVES = (
    Wanted("Caption finds picture", "R@1 (share)", "retrieval", "text to image R@1"),
    Wanted("Picture finds caption", "R@1 (share)", "retrieval", "image to text R@1"),
    Wanted(
        "Things swapped in the caption",
        "true caption wins (share)",
        "edits",
        "swapped",
        {"combination": "all"},
    ),
    Wanted("Shape edited", "true caption wins (share)", "edits", "shape", {"combination": "all"}),
    Wanted("Zero-shot classes", "accuracy (share)", "zero_shot", "accuracy"),
    Wanted("Contrastive loss", "loss (nats)", "losses", "contrastive loss", better="lower"),
    Wanted("Generative loss", "loss (head's units)", "losses", "generative loss", better="lower"),
    Wanted("Alignment gap", "cosine, own less other captions", "losses", "alignment gap"),
)
"""What is shown over the mask ratio."""


# models side by side


def comparison_info(results: Sequence[Results]) -> list[Panel]:
    """A panel for each main measure and data set that a model has, with a point a model."""
    panels = []
    sources = _sources(results)
    for wanted in MAIN:
        for source in sources:
            points = []
            for result in results:
                found = [m for m in _measures(result, source) if wanted.fits(m)]
                points += [point_of(result.name, found[0])] if found else []
            if points:
                title = wanted.title if len(sources) == 1 else f"{wanted.title}, {_short(source)}"
                panels.append(Panel(title, f"{wanted.axis}, {wanted.better} is better", points))
    return panels


def plot_comparison(results: Sequence[Results], title: str = "Models side by side") -> go.Figure:
    """Small multiples: a panel a measure, a row a model, each number with its 95 % interval."""
    panels = comparison_info(results)
    if not panels:
        return style.empty(title, "Nothing measured yet: <b>dream evaluate</b> does it.")
    names, look = [result.name for result in results], _Look.of(results)
    columns = min(4, len(panels))
    figure = grid([panel.title for panel in panels], columns, 26 + 30 * len(names), legend=False)
    for i, panel in enumerate(panels):
        for point in panel.points:
            figure.add_trace(_dot(point, panel, look), **cell(i, columns))
        figure.update_xaxes(title_text=panel.axis, nticks=5, range=_span(panel.points), **cell(i, columns))
    figure.update_yaxes(
        categoryorder="array", categoryarray=names[::-1], range=[-0.6, len(names) - 0.4], tickvals=names
    )
    note = "95 % intervals; where a model has no mark, it was not measured, or was not trained for it"
    return titled(figure, title, note)


def _span(points: Sequence[Point]) -> list[float]:
    """Ends of an axis that shows all intervals, and never so little that the last digits look large."""
    low, high = min(p.low for p in points), max(p.high for p in points)
    margin = max(0.08 * (high - low), 0.02 * max(abs(low), abs(high)), 1e-3)
    return [low - margin, high + margin]


def _dot(point: Point, panel: Panel, look: "_Look") -> go.Scatter:
    text = f"<b>{point.name}</b><br>{panel.title}<br>{style.ESTIMATE}<br>mean of %{{customdata[3]}}"
    return go.Scatter(
        x=[point.value], y=[point.name], mode="markers", name=point.name, marker=look.marker(point.name),
        error_x=bars([point], look.colours[point.name]), customdata=[hover(point)],
        hovertemplate=f"{text}<extra></extra>", showlegend=False,
    )  # fmt: skip


# over the mask ratio


def mask_ratio_info(results: Sequence[Results]) -> list[Panel]:
    """A panel for each measure that was taken at several mask ratios; `at` is the ratio."""
    panels = []
    for wanted in CURVES:
        points = []
        for result in results:
            curve: dict[float, Point] = {}
            for measure in _measures(result):
                ratio = measure.where.get("mask_ratio")
                if wanted.fits(measure) and isinstance(ratio, (int, float)):
                    curve.setdefault(float(ratio), point_of(result.name, measure, float(ratio)))
            points += [curve[ratio] for ratio in sorted(curve)] if len(curve) > 1 else []
        if points:
            panels.append(Panel(wanted.title, wanted.axis, points))
    return panels


def plot_by_mask_ratio(results: Sequence[Results], title: str = "How much may be hidden") -> go.Figure:
    """A panel a measure, a line a model over the share of hidden tokens, with its 95 % interval as a band."""
    panels = mask_ratio_info(results)
    if not panels:
        return style.empty(
            title, "Nothing measured by mask ratio yet: <b>dream evaluate --tasks retrieval,edits</b>"
        )
    columns = min(3, len(panels))
    figure = grid([panel.title for panel in panels], columns, 330)
    look = _Look.of(results)
    add_lines(figure, panels, columns, look.colours, look.symbols)
    for i, panel in enumerate(panels):
        where = cell(i, columns)
        figure.update_yaxes(title_text=panel.axis, **where)
        figure.update_xaxes(title_text="mask ratio (share of tokens hidden)", tickformat=".2~f", **where)
    return titled(figure, title, "bands: 95 % intervals")


# selection


HEADLINE = 0.3
"""Decoded share of the headline's choice."""
SELECTION = (
    Wanted("Gain over a random candidate", "share of prompts", "selection", "gain of the choice"),
    Wanted("AUC of the partial score", "AUC (0.5 = chance)", "selection", "AUC"),
    Wanted("Rank correlation with the final score", "Spearman's rho", "selection", "rank correlation"),
)


BY_SIZE = "Gain by K"
DECODED, SIZES = "decoded when chosen (share of tokens)", "candidates (K)"


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
    for measure in _measures(result):
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
    results: Sequence[Results], malformed_refused: bool = False, title: str = "When does choosing pay?"
) -> go.Figure:
    """By decoded share: gain, AUC and rank correlation of the choice, a colour for each number of candidates.

    `malformed_refused` counts pictures right only if nothing in them is malformed.
    """
    panels = selection_info(results, malformed_refused)
    if not panels:
        return style.empty(title, "Nothing measured yet: <b>dream evaluate --tasks selection</b>")
    sizes = sorted({int(point.name) for panel in panels for point in panel.points})
    colours = {str(size): colour for size, colour in style.count_colours(sizes).items()}
    symbols = style.model_symbols([str(size) for size in sizes])
    columns = min(len(panels), 4)
    figure = grid([panel.title for panel in panels], columns, 360)
    add_lines(figure, panels, columns, colours, symbols, "K = {}")
    figure.for_each_trace(lambda trace: trace.update(legendrank=int(trace.name.removeprefix("K = "))))
    for i, panel in enumerate(panels):
        where = cell(i, columns)
        figure.update_yaxes(title_text=panel.axis, **where)
        span = [-0.02, 1.02] if panel.across == DECODED else [min(sizes) - 0.5, max(sizes) + 0.5]
        figure.update_xaxes(title_text=panel.across, range=span, **where)
        chance = 0.5 if panel.axis.startswith("AUC") else 0.0
        figure.add_hline(y=chance, line={"color": style.PAPER, "width": 1, "dash": "dot"}, **where)
    counted = "are refused" if malformed_refused else "count as what they resemble"
    return titled(figure, title, f"bands: 95 % intervals over prompts; malformed things {counted}")


# the paper


class Beside(NamedTuple):
    """One measure, ours and the paper's, each relative to its own reference model."""

    metric: Metric
    reference: tuple[str, str]
    """Our model and the paper's that the values are relative to."""
    ours: list[tuple[str, str, Point]]
    """The paper's name of the objective, our model, its relative value with interval; `at` is the value."""
    paper: list[tuple[str, float, float]]
    """The paper's name of the objective, its relative value, its value."""


def paper_info(results: Sequence[Results]) -> list[Beside]:
    """Every measure that both have. Relative values are above 1 where a model is better than the reference.

    The reference is DREAM where we have measured it, else the first of our models.
    """
    found: dict[Metric, dict[str, tuple[str, Measure]]] = {}
    for result in results:
        for entry in result.current().entries:
            for measure in entry.measures:
                metric, objective = metric_of(measure), MODELS.get(entry.objective)
                if metric and objective:
                    found.setdefault(metric, {}).setdefault(result.name, (objective, measure))
    return [beside for metric, ours in found.items() if (beside := _beside(metric, ours))]


def _beside(metric: Metric, ours: dict[str, tuple[str, Measure]]) -> Beside | None:
    published = {p.model: p.value for p in PUBLISHED if p.metric == metric}
    known = {name: pair for name, pair in ours.items() if pair[0] in published and pair[1].estimate.value > 0}
    if not known:
        return None
    reference = next(
        (name for name, (objective, _) in known.items() if objective == "DREAM"), next(iter(known))
    )
    objective, measure = known[reference]
    ratio = _ratio(metric, measure.estimate.value)
    mine = [(o, name, _relative(name, m, ratio)) for name, (o, m) in known.items()]
    theirs = [(o, _ratio(metric, published[objective])(v), v) for o, v in published.items()]
    return Beside(metric, (reference, objective), mine, theirs)


def plot_paper_beside(results: Sequence[Results], title: str = "Our models beside the paper's") -> go.Figure:
    """A panel a measure: filled markers are ours, hollow ones the paper's, each relative to its own DREAM.

    Data sets and sizes differ, so only the order and the gaps between objectives can be compared.
    """
    panels = paper_info(results)
    if not panels:
        return style.empty(
            title, "No measure that the paper reports: <b>dream evaluate --tasks probe,few_shot</b>"
        )
    order = list(MODELS.values())
    columns = min(3, len(panels))
    figure = grid([f"{b.metric.title} (paper: {b.metric.data})" for b in panels], columns, 300)
    look = _Look.of(results)
    for i, beside in enumerate(panels):
        where = cell(i, columns)
        figure.add_trace(_paper_trace(beside, order), **where)
        for objective, model, point in beside.ours:
            alike = [name for o, name, _ in beside.ours if o == objective]
            place = order.index(objective) + 0.16 * (alike.index(model) - (len(alike) - 1) / 2)
            figure.add_trace(_our_trace(place, model, point, look), **where)
        figure.add_hline(y=1, line={"color": style.PAPER, "width": 1, "dash": "dot"}, **where)
        figure.update_xaxes(
            tickvals=list(range(len(order))), ticktext=order, range=[-0.5, len(order) - 0.5], **where
        )
        figure.update_yaxes(title_text=f"relative to {beside.reference[1]} (ratio)", **where)
    seen: set[str] = set()
    for trace in figure.data:
        trace.showlegend = trace.legendgroup not in seen
        seen.add(trace.legendgroup)
    note = "each relative to its own DREAM, above 1 is better; data sets and model sizes are not the same"
    return titled(figure, title, note)


def _paper_trace(beside: Beside, order: Sequence[str]) -> go.Scatter:
    return go.Scatter(
        x=[order.index(objective) for objective, _, _ in beside.paper],
        y=[ratio for _, ratio, _ in beside.paper],
        mode="markers", name="the paper", legendgroup="the paper",
        marker={"symbol": "diamond-open", "size": 14, "color": style.PAPER, "line": {"width": 2.5}},
        customdata=[[objective, style.number(value)] for objective, _, value in beside.paper],
        hovertemplate=f"<b>%{{customdata[0]}}</b>, the paper<br>{beside.metric.title}, {beside.metric.data}"
        "<br>%{customdata[1]}<extra></extra>",
    )  # fmt: skip


def _our_trace(place: float, model: str, point: Point, look: "_Look") -> go.Scatter:
    return go.Scatter(
        x=[place], y=[point.value], mode="markers", name=model, legendgroup=model,
        marker=look.marker(model), error_y=bars([point], look.colours[model]),
        customdata=[[style.number(point.at)]],
        hovertemplate=f"<b>{model}</b>, ours<br>%{{customdata[0]}}<extra></extra>",
    )  # fmt: skip


def _ratio(metric: Metric, reference: float) -> Callable[[float], float]:
    """A value over the reference, or the reference over it where lower is better."""
    return lambda value: reference / value if metric.better == "lower" else value / reference


def _relative(model: str, measure: Measure, ratio: Callable[[float], float]) -> Point:
    estimate = measure.estimate
    ends = sorted(ratio(end) for end in (estimate.low, estimate.high) if end > 0)
    low, high = (ends[0], ends[-1]) if ends else (ratio(estimate.value),) * 2
    return Point(model, ratio(estimate.value), low, high, estimate.count, estimate.value)


# shared


class _Look(NamedTuple):
    """Colours and symbols of the models."""

    colours: dict[str, str]
    symbols: dict[str, str]

    @classmethod
    def of(cls, results: Sequence[Results]) -> "_Look":
        objectives = [(r.name, next((e.objective for e in r.entries), "")) for r in results]
        return cls(style.model_colours(objectives), style.model_symbols([name for name, _ in objectives]))

    def marker(self, model: str) -> dict[str, Any]:
        """The model's marker."""
        return {"color": self.colours[model], "size": 10, "symbol": self.symbols[model]}


def _measures(result: Results, source: str | None = None) -> list[Measure]:
    """A model's current measures (on one source), those with unusual settings last."""
    entries = sorted(result.current().entries, key=lambda e: bool(e.group[2]))
    return [m for e in entries if source in (None, e.data) for m in e.measures if m.estimate.count]


def _sources(results: Sequence[Results]) -> list[str]:
    return list(dict.fromkeys(e.data for r in results for e in r.current().entries if e.measures))


def _short(source: str) -> str:
    return source.rstrip("/").rpartition("/")[2] or source
