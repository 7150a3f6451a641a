"""What choosing an unfinished candidate gains, by the moment of the choice and the number of candidates."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from dream.evaluation.results import Results
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
