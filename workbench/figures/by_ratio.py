"""Measures by mask ratio, one line per model."""

from collections.abc import Sequence

import plotly.graph_objects as go

from dream.data.drawn.grammar import EDIT_KINDS
from dream.evaluation.results import Results
from workbench import palette
from workbench.figures import style
from workbench.figures.measured import ModelStyles, Wanted, chance_of, current_measures
from workbench.figures.panels import Panel, Point, add_lines, panel_cell, panel_grid, point_of, titled

CURVES = (
    Wanted("Caption to picture", "R@1 (share)", "retrieval", "text to image R@1"),
    Wanted("Picture to caption", "R@1 (share)", "retrieval", "image to text R@1"),
    Wanted("Objects swapped", "true caption preferred (share)", "edits", "swapped", {"combination": "all"}),
    Wanted("Shape edited", "true caption preferred (share)", "edits", "shape", {"combination": "all"}),
    Wanted("Zero-shot classification", "accuracy (share)", "zero_shot", "accuracy"),
    Wanted("Contrastive loss", "loss (nats)", "losses", "contrastive loss", better="lower"),
    Wanted("Generative loss", "loss (head's units)", "losses", "generative loss", better="lower"),
    Wanted("Alignment gap", "cosine, own minus other captions", "losses", "alignment gap"),
)
"""Measures shown by mask ratio, across all tasks."""
RETRIEVAL = tuple(
    Wanted(f"{title}, R@{rank}", f"R@{rank} (share)", "retrieval", f"{way} R@{rank}")
    for title, way in (("Caption to picture", "text to image"), ("Picture to caption", "image to text"))
    for rank in (1, 5, 10)
)
LOSSES = (
    Wanted("Generative loss", "loss (head's units)", "losses", "generative loss", better="lower"),
    Wanted("Contrastive loss", "loss (nats)", "losses", "contrastive loss", better="lower"),
    Wanted("Alignment gap", "cosine, own minus other captions", "losses", "alignment gap"),
    Wanted("Alignment with own caption", "cosine", "losses", "alignment with its own caption"),
    Wanted("Alignment with other captions", "cosine", "losses", "alignment with other captions", better="lower"),
)
RATIO = "mask ratio (share of tokens hidden)"
COMBINATIONS = {
    "all": "all pictures",
    "seen": "combinations seen in training",
    "unseen": "combinations never seen in training",
}
"""Pictures that the accuracy of an edit is measured on."""


def mask_ratio_info(results: Sequence[Results], wanted: Sequence[Wanted] = CURVES) -> list[Panel]:
    """Returns a panel per measure taken at several mask ratios; `at` is the ratio."""
    panels = []
    for each in wanted:
        points = []
        for result in results:
            curve: dict[float, Point] = {}
            for measure in current_measures(result):
                ratio = measure.where.get("mask_ratio")
                if each.fits(measure) and isinstance(ratio, (int, float)):
                    curve.setdefault(float(ratio), point_of(result.name, measure, float(ratio)))
            points += [curve[ratio] for ratio in sorted(curve)] if len(curve) > 1 else []
        if points:
            panels.append(Panel(each.title, each.axis, points))
    return panels


def plot_by_mask_ratio(
    results: Sequence[Results],
    title: str = "Measures by mask ratio",
    look: ModelStyles | None = None,
    *,
    wanted: Sequence[Wanted] = CURVES,
    tasks: str = "retrieval,edits",
    note: str = "bands: 95 % intervals",
) -> go.Figure:
    """Plots one panel per measure and one line per model by mask ratio, with 95 % intervals as bands.

    `tasks` are the tasks that an empty figure asks the reader to run.
    """
    panels = mask_ratio_info(results, wanted)
    if not panels:
        return style.empty(title, f"Nothing measured by mask ratio yet. Run <b>dream evaluate --tasks {tasks}</b>.")
    columns = min(3, len(panels))
    figure = panel_grid([panel.title for panel in panels], columns, 330).update_annotations(font_size=14)
    look = look or ModelStyles.of(results)
    add_lines(figure, panels, look.colours, look.symbols)
    for i, panel in enumerate(panels):
        where = panel_cell(i, columns)
        figure.update_yaxes(title_text=panel.axis, **where)
        figure.update_xaxes(title_text=RATIO, tickformat=".2~f", **where)
    return titled(figure, title, note)


def plot_retrieval_by_ratio(results: Sequence[Results], look: ModelStyles | None = None) -> go.Figure:
    """Plots recall at 1, 5 and 10 in both directions by mask ratio, with chance."""
    note = "bands: 95 % intervals; dotted: chance"
    figure = plot_by_mask_ratio(
        results, "Retrieval by mask ratio", look, wanted=RETRIEVAL, tasks="retrieval", note=note
    )
    return _with_chance(figure.update_yaxes(matches="y"), results, RETRIEVAL)


def plot_edits(results: Sequence[Results], combination: str = "all", look: ModelStyles | None = None) -> go.Figure:
    """Plots how often a picture prefers its caption to an edited one by mask ratio, one panel per kind of edit.

    `combination` is one of COMBINATIONS.
    """
    kinds = tuple(
        Wanted(
            f"{kind.capitalize()} edited" if kind != "swapped" else "Objects swapped",
            "true caption preferred (share)",
            "edits",
            kind,
            {"combination": combination},
        )
        for kind in EDIT_KINDS
    )
    note = f"{COMBINATIONS[combination]}; bands: 95 % intervals; dotted: chance"
    figure = plot_by_mask_ratio(results, "Edited captions by mask ratio", look, wanted=kinds, tasks="edits", note=note)
    return _with_chance(figure.update_yaxes(matches="y"), results, kinds)


def plot_losses_by_ratio(results: Sequence[Results], look: ModelStyles | None = None) -> go.Figure:
    """Plots both losses and the alignments of unseen pictures by mask ratio."""
    note = "unseen pictures; bands: 95 % intervals; dotted: chance among the captions of a pool"
    figure = plot_by_mask_ratio(results, "Losses by mask ratio", look, wanted=LOSSES, tasks="losses", note=note)
    return _with_chance(figure, results, LOSSES)


def _with_chance(figure: go.Figure, results: Sequence[Results], wanted: Sequence[Wanted]) -> go.Figure:
    """Adds a dotted line for chance to each panel where it is known."""
    shown = {panel.title for panel in mask_ratio_info(results, wanted)}
    panels = [each for each in wanted if each.title in shown]
    for i, each in enumerate(panels):
        known = [
            chance_of(measure)
            for result in results
            for measure in current_measures(result)
            if each.fits(measure) and "mask_ratio" in measure.where
        ]
        if known and known[0] is not None:
            figure.add_hline(
                y=known[0],
                line={"color": palette.NEUTRAL, "width": 1.5, "dash": "dot"},
                **panel_cell(i, min(3, len(panels))),
            )
    return figure
