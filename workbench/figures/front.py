"""Figure of the task `front`: what painting in fewer steps costs in quality, against the time of a picture.

Opens no file and no model.
"""

from collections.abc import Sequence

import plotly.graph_objects as go

from dream.evaluation.results import Results
from dream.evaluation.statistics import Measure
from workbench import palette
from workbench.figures import style
from workbench.figures.measured import current_measures, span_of
from workbench.figures.panels import Panel, Point, axes, composed, lines, panel_grid, point_of, titled

TASK = "front"
TIME, DISTANCE = "CPU seconds per picture", "Frechet distance"
COMMAND = "dream evaluate --model emoji --data emoji --tasks front"


def front_info(results: Sequence[Results]) -> list[tuple[Panel, Point | None]]:
    """Returns a panel per model and measure of quality, with the point of the settings to paint with.

    Points are named by their number of decoding steps, and by way of denoising or model if these are not the model's
    own, at their time; they go from many denoising steps to few.
    """
    found = []
    for result in results:
        measures = [m for m in current_measures(result) if m.task == TASK]
        times = {_row(m): m.estimate.value for m in measures if m.name == TIME}
        for name in dict.fromkeys(m.name for m in measures if m.name.endswith(" right") or m.name == DISTANCE):
            own = [m for m in measures if m.name == name and _row(m) in times]
            points = [point_of(_line_of(m), m, times[_row(m)]) for m in own]
            chosen = next((p for p, m in zip(points, own, strict=True) if m.where.get("chosen")), None)
            title = name if len(results) == 1 else f"{result.name}: {name}"
            axis = f"{DISTANCE} (lower is better)" if name == DISTANCE else "share of the pictures"
            found.append((Panel(title, axis, points, TIME), chosen))
    return found


def plot_front(
    results: Sequence[Results], title: str = "In how few steps does it paint as well?", columns: int = 2
) -> go.Figure:
    """Plots quality against the time of a picture: a line per number of decoding steps, a ring around the choice."""
    found = front_info(results)
    if not found:
        return style.empty(title, f"Nothing measured yet. Run <b>{COMMAND}</b>.")
    panels = [panel for panel, _ in found]
    names = list(dict.fromkeys(point.name for panel in panels for point in panel.points))
    colours = {name: palette.candidate_colour(i) for i, name in enumerate(names)}
    columns = min(columns, len(panels))
    rings = [_ring(point, i) for i, (_, point) in enumerate(found) if point is not None]
    figure = composed(
        panel_grid([panel.title for panel in panels], columns, 300),
        [*lines(panels, colours, style.model_symbols(names)), *rings],
        [{"title": {"text": TIME}, "rangemode": "tozero"} for _ in panels],
        [{"title": {"text": panel.axis}, "range": span_of(panel.points, [])} for panel in panels],
    )
    note = "each line from many denoising steps to few; bands: 95 % intervals; ring: the fastest as good as the slowest"
    return titled(figure, title, style.figure_text(note))


def _row(measure: Measure) -> tuple[object, ...]:
    where = measure.where
    return where["steps"], where["sampling_steps"], where.get("way"), where.get("model")


def _line_of(measure: Measure) -> str:
    """Name of the line on which a point lies."""
    where = measure.where
    return ", ".join([f"{where['steps']} steps", *(where[name] for name in ("way", "model") if where.get(name))])


def _ring(point: Point, panel: int) -> dict[str, object]:
    """The trace of the ring around a point."""
    x, y = axes(panel)
    mark = {"symbol": "circle-open", "size": 20, "color": palette.NEUTRAL, "line": {"width": 2.5}}
    ring = {"type": "scatter", "mode": "markers", "x": [point.at], "y": [point.value], "marker": mark}
    return {**ring, "hoverinfo": "skip", "showlegend": False, "xaxis": x, "yaxis": y}
