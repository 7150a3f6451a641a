"""Models side by side: one panel per measure, one row per model."""

from collections.abc import Sequence

import plotly.graph_objects as go

from dream.evaluation.results import Results
from workbench.figures import style
from workbench.figures.measured import ModelStyles, Wanted, current_measures, short_name, sources_of, span_of
from workbench.figures.panels import Panel, Point, bars, hover, panel_cell, panel_grid, point_of, titled

MAIN = (
    Wanted("Caption to picture", "R@1 (share)", "retrieval", "text to image R@1", {"mask_ratio": 0.0}),
    Wanted("Caption to picture, 75 % hidden", "R@1 (share)", "retrieval", "text to image R@1", {"mask_ratio": 0.75}),
    Wanted(
        "Objects swapped",
        "true caption preferred (share)",
        "edits",
        "swapped",
        {"mask_ratio": 0.0, "combination": "all"},
    ),
    Wanted("Zero-shot classification", "accuracy (share)", "zero_shot", "accuracy", {"mask_ratio": 0.0}),
    Wanted("Nearest neighbours", "accuracy (share)", "knn", "accuracy"),
    Wanted("Linear probe", "accuracy (share)", "probe", "accuracy", {"form": "lars"}),
    Wanted("Few-shot classification", "accuracy (share)", "few_shot", "accuracy"),
    Wanted("Fine-tuned", "accuracy (share)", "fine_tune", "accuracy"),
    Wanted("Unseen combinations", "accuracy (share)", "robustness", "accuracy", {"shift": "unseen"}),
    Wanted("Segmentation", "mIoU (share)", "segmentation", "mIoU"),
    Wanted("Depth", "RMSE (depth units)", "depth", "RMSE", better="lower"),
    Wanted(
        "Prompts painted correctly",
        "share of pictures",
        "prompts",
        "every attribute right",
        {"combination": "unseen", "things": "all"},
    ),
    Wanted("Painted versus real pictures", "Fréchet distance", "generation", "FID or Frechet distance", better="lower"),
    Wanted(
        "Gain from selection at 30 %",
        "share of prompts",
        "selection",
        "gain of the choice",
        {"headline": True, "malformed_refused": False},
    ),
)
"""Main measures of the table."""


def comparison_info(results: Sequence[Results]) -> list[Panel]:
    """Returns a panel per main measure and data set, with one point per model that has it."""
    panels = []
    sources = sources_of(results)
    for wanted in MAIN:
        for source in sources:
            points = []
            for result in results:
                fitting = [m for m in current_measures(result, source) if wanted.fits(m)]
                points += [point_of(result.name, fitting[0])] if fitting else []
            if points:
                title = wanted.title if len(sources) == 1 else f"{wanted.title}, {short_name(source)}"
                panels.append(Panel(title, f"{wanted.axis},<br>{wanted.better} is better", points))
    return panels


def plot_comparison(
    results: Sequence[Results], title: str = "Models side by side", look: ModelStyles | None = None, columns: int = 4
) -> go.Figure:
    """Plots one panel per measure with one row per model; bars are 95 % intervals."""
    panels = comparison_info(results)
    if not panels:
        return style.empty(title, "Nothing measured yet. Run <b>dream evaluate</b>.")
    names, look = [style.figure_text(result.name) for result in results], look or ModelStyles.of(results)
    columns = min(columns, len(panels))
    figure = panel_grid([panel.title for panel in panels], columns, 26 + 30 * len(names), legend=False)
    figure.update_annotations(font_size=14)
    for i, panel in enumerate(panels):
        for point in panel.points:
            figure.add_trace(_dot(point, panel, look), **panel_cell(i, columns))
        figure.update_xaxes(title_text=panel.axis, nticks=5, range=span_of(panel.points), **panel_cell(i, columns))
    figure.update_yaxes(
        categoryorder="array", categoryarray=names[::-1], range=[-0.6, len(names) - 0.4], tickvals=names
    )
    note = "95 % intervals; a model without a marker was not measured, or not trained for the task"
    return titled(figure, title, note)


def _dot(point: Point, panel: Panel, look: "ModelStyles") -> go.Scatter:
    name = style.figure_text(point.name)
    text = f"<b>{name}</b><br>{panel.title}<br>{style.ESTIMATE}<br>mean of %{{customdata[3]}}"
    return go.Scatter(
        x=[point.value],
        y=[name],
        mode="markers",
        name=name,
        marker=look.marker(point.name),
        error_x=bars([point], look.colours[point.name]),
        customdata=[hover(point)],
        hovertemplate=f"{text}<extra></extra>",
        showlegend=False,
    )
